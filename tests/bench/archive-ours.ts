// Our side of the archive figures of `make bench`, told by the same arguments as archive.c, each in a
// process of its own. `frames` walks without a look at values, `values` has every value set checked
// and visited. One JSON object on stdout.
//
//   bun archive-ours.ts walk BASE SECONDS forward|backward frames|values
//   bun archive-ours.ts seek BASE SECONDS FROM TO
//   bun archive-ours.ts open|pass BASE
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";

const WARM_UP_MS = 200;
const BETWEEN_CLOCKS = 64;
const [what = "", base = "", ...rest] = process.argv.slice(2);

/** Visits the value sets of the record that the walk has come to. */
function visit(cursor: ArchiveCursor): number {
  let values = 0;
  for (const set = cursor.record.result().sets(); set.next();) values += set.numval;
  return values;
}

/** Runs `body`, which gives how many things it did, for a while; things a second. */
function rateFor(milliseconds: number, body: () => number): number {
  const from = performance.now();
  for (let done = 0; ;) {
    done += body();
    const spent = performance.now() - from;
    if (spent >= milliseconds) return (done / spent) * 1000;
  }
}

function walk(milliseconds: number, backward: boolean, values: boolean): object {
  const cursor = new ArchiveCursor(openArchive(base));
  const rewind = (): unknown => (backward ? cursor.toEnd() : cursor.toStart());
  const forward = (): number => {
    let records = 0;
    for (; records < BETWEEN_CLOCKS && cursor.next(); records++) if (values) visit(cursor);
    if (records < BETWEEN_CLOCKS) rewind();
    return records;
  };
  const back = (): number => {
    let records = 0;
    for (; records < BETWEEN_CLOCKS && cursor.previous(); records++) if (values) visit(cursor);
    if (records < BETWEEN_CLOCKS) rewind();
    return records;
  };
  rewind();
  rateFor(WARM_UP_MS, backward ? back : forward);
  const rate = rateFor(milliseconds, backward ? back : forward);
  cursor.close();
  return { rate };
}

function seek(milliseconds: number, from: number, to: number): object {
  const cursor = new ArchiveCursor(openArchive(base));
  let random = 1;
  const some = (): number => {
    for (let i = 0; i < BETWEEN_CLOCKS; i++) {
      random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
      cursor.seek({ sec: from + ((random >>> 8) % (to - from)), nsec: 0 }, "forward");
      if (!cursor.next()) throw new Error("no record after a seek");
      visit(cursor);
    }
    return BETWEEN_CLOCKS;
  };
  rateFor(WARM_UP_MS, some);
  return { rate: rateFor(milliseconds, some) };
}

function open(all: boolean): object {
  const from = performance.now();
  const archive = openArchive(base);
  if (!all) return { ms: performance.now() - from };
  const cursor = new ArchiveCursor(archive);
  let records = 0;
  for (; cursor.next(); records++) visit(cursor);
  cursor.close();
  return { seconds: (performance.now() - from) / 1000, records };
}

function main(): object {
  const milliseconds = Number(rest[0]) * 1000;
  if (what === "walk") return walk(milliseconds, rest[1] === "backward", rest[2] === "values");
  if (what === "seek") return seek(milliseconds, Number(rest[1]), Number(rest[2]));
  return open(what === "pass");
}

console.log(JSON.stringify(main()));
