// Child process of archive-large.test.ts: makes an archive with a large volume of repeated records in
// the folder argv[2], looks at it as argv[3] says, and prints what it saw and how much its peak of
// memory grew in megabytes, as JSON.
import { closeSync, copyFileSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { labelBytes, openArchives } from "../../lib/archive/mod.ts";
import { archiveReport, dumpArchives } from "../../lib/probe/mod.ts";

const [, , folder = "", what = ""] = process.argv;
const SOURCE = join(import.meta.dir, "../fixtures/archives/rec/v3-types");
const RECORDS = 200_000;
/** Offset and length of a record of fourteen metrics in the source. */
const RECORD_AT = 1164;
const RECORD_BYTES = 1024;

const name = join(folder, "large");
const volume = readFileSync(`${SOURCE}.0`);
const view = new DataView(volume.buffer, volume.byteOffset, volume.length);
const first = view.getUint32(RECORD_AT + 4);
copyFileSync(`${SOURCE}.meta`, `${name}.meta`);
const file = openSync(`${name}.0`, "w");
writeSync(file, volume.subarray(0, labelBytes(3)));
const block = Buffer.alloc(RECORD_BYTES * 1000);
for (let i = 0; i < RECORDS;) {
  for (let at = 0; at < block.length; at += RECORD_BYTES, i++) {
    volume.copy(block, at, RECORD_AT, RECORD_AT + RECORD_BYTES);
    block.writeUInt32BE(first + 10 * i, at + 4);
  }
  writeSync(file, block);
}
closeSync(file);

const peak = (): number => process.resourceUsage().maxRSS / 1024;
const before = peak();
let saw: unknown;
if (what === "dump") {
  let bytes = 0;
  const finish = { sec: first + 10 * 20_000 - 1, nsec: 0 };
  for (const text of dumpArchives(openArchives(name), { finish })) bytes += text.length;
  saw = bytes;
} else {
  const { counts, gaps, members } = archiveReport(name, { check: what === "check" });
  const [member] = members;
  saw = {
    records: counts.dataRecords,
    values: counts.values,
    gaps: gaps.length,
    interval: member?.spacing.interval,
    damage: member?.damageCount,
  };
}
console.log(JSON.stringify({ saw, megabytes: peak() - before }));
