// Our side of the archive figures of `make bench`, told by the same arguments as archive.c, each in a
// process of its own. `frames` walks without a look at values, `values` has every value set checked
// and visited. One JSON object on stdout.
//
//   bun archive-ours.ts walk BASE SECONDS forward|backward frames|values
//   bun archive-ours.ts seek BASE SECONDS FROM TO
//   bun archive-ours.ts fetch BASE SECONDS forward|interp+|interp- COUNT plain|derived
//   bun archive-ours.ts open|pass BASE
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { type ArchiveContext, newContext, PM_MODE } from "../../lib/context/mod.ts";
import type { Pmid } from "../../lib/pcp/mod.ts";

const WARM_UP_MS = 200;
/** A fetch passes through more code than a walk. */
const FETCH_WARM_UP_MS = 600;
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

/** Fetches one after the other, as a client makes them: each is awaited. */
async function fetches(context: ArchiveContext, pmids: readonly Pmid[], how: string) {
  const back = how === "interp-";
  const delta = back ? { sec: -1, nsec: 300_000_000 } : { sec: 0, nsec: 700_000_000 };
  const mode = how === "forward" ? PM_MODE.FORW : PM_MODE.INTERP;
  const rewind = (): void =>
    context.setMode(mode, back ? context.end() : context.label().start, delta);
  rewind();
  return async (milliseconds: number): Promise<number> => {
    const from = performance.now();
    for (let done = 0; ;) {
      for (let i = 0; i < BETWEEN_CLOCKS; i++) {
        try {
          await context.fetch(pmids);
          done++;
        } catch (error) {
          if (!(error instanceof PcpError) || error.code !== PM_ERR.EOL) throw error;
          rewind();
        }
      }
      const spent = performance.now() - from;
      if (spent >= milliseconds) return (done / spent) * 1000;
    }
  };
}

async function fetchRate(milliseconds: number): Promise<object> {
  const [, how = "", count = "", derived] = rest;
  const context = await newContext(
    { type: "archive", archive: base },
    derived === "derived" ? { env: { PCP_DERIVED_CONFIG: "" } } : { derived: "none" },
  );
  if (context.type !== "archive") throw new Error("no archive");
  const names = (await context.traverse("bench")).slice(0, Number(count));
  const { pmids } = await context.lookupNames(names);
  const run = await fetches(context, pmids, how);
  await run(FETCH_WARM_UP_MS);
  return { rate: await run(milliseconds) };
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

async function main(): Promise<object> {
  const milliseconds = Number(rest[0]) * 1000;
  if (what === "walk") return walk(milliseconds, rest[1] === "backward", rest[2] === "values");
  if (what === "seek") return seek(milliseconds, Number(rest[1]), Number(rest[2]));
  if (what === "fetch") return fetchRate(milliseconds);
  return open(what === "pass");
}

console.log(JSON.stringify(await main()));
