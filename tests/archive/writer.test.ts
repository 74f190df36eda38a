// Goal: what the writer makes is an archive to the real tools: copies print as their originals do,
// pmlogcheck finds nothing, the index is the one pmlogger makes. It is there whole or not at all:
// after an error, a full disk or a kill there is nothing under the final names.
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  ArchiveCursor,
  decodeIndexEntry,
  decodeLabel,
  encodeResult,
  indexEntryBytes,
  instanceEntry,
  labelBytes,
  openArchive,
} from "../../lib/archive/mod.ts";
import { ArchiveWriter, type WriterLabel } from "../../lib/archive/writer.ts";
import { indomChanges } from "../../lib/archive/writer-metadata.ts";
import { PM_ERR, PcpError, utf8, viewOf } from "../../lib/base/mod.ts";
import {
  asInstance,
  type Desc,
  indomBuild,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_SEM,
  PM_TYPE,
  pmidBuild,
  type ResultInit,
  type Timestamp,
} from "../../lib/pcp/mod.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { must, privateFolder, run } from "../helpers/process.ts";
import { copyArchive } from "./writer-copy.ts";

const originals = join(import.meta.dir, "../fixtures/archives");
const folder = privateFolder("writer");
let made = 0;
/** A base name in a directory of its own. */
const newBase = (name: string): string => join(privateFolder(`writer-${made++}`), name);

const namesIn = (base: string): string[] => readdirSync(join(base, "..")).sort();

/** What a body throws, as a PcpError. */
function refusal(body: () => unknown): PcpError {
  try {
    body();
  } catch (error) {
    if (error instanceof PcpError) return error;
    throw error;
  }
  throw new Error("no error");
}

const labelOf = (version: 2 | 3): WriterLabel => ({
  version,
  pid: 4321,
  host: "writer.example",
  timezone: "UTC",
  zoneinfo: version === 3 ? ":Etc/UTC" : "",
});
const at = (sec: number, nsec = 0): Timestamp => ({ sec: 1_700_000_000 + sec, nsec });

const DISKS = indomBuild(60, 1);
const LOAD: Desc = {
  pmid: pmidBuild(60, 2, 0),
  type: PM_TYPE.FLOAT,
  indom: PM_INDOM_NULL,
  sem: PM_SEM.INSTANT,
  units: 0,
};
const READS: Desc = {
  pmid: pmidBuild(60, 0, 4),
  type: PM_TYPE.U64,
  indom: DISKS,
  sem: PM_SEM.COUNTER,
  units: 0x00100000,
};

const load = (time: Timestamp, value: number): ResultInit => ({
  timestamp: time,
  sets: [{ pmid: LOAD.pmid, type: LOAD.type, instances: [-1], values: [value] }],
});
const reads = (time: Timestamp, instances: number[]): ResultInit => ({
  timestamp: time,
  sets: [
    { pmid: READS.pmid, type: READS.type, instances, values: instances.map((i) => BigInt(i) * 7n) },
  ],
});
const logger = {
  pid: 4321,
  host: "localhost",
  port: 4330,
  archive: "/var/log/pcp/x",
  pmcdPid: 99n,
  pmcdSequence: 1,
};

/** An archive with every kind of metadata, told in advance. */
function writeSample(base: string, version: 2 | 3): void {
  const writer = new ArchiveWriter({ base, label: labelOf(version) });
  writer.describe(LOAD, ["kernel.all.load"]);
  writer.describe(READS, ["disk.dev.read", "disk.alias.read"]);
  writer.setText({ kind: "text", type: 5, ident: READS.pmid, text: "reads of each disk" });
  writer.setText({ kind: "text", type: 9, ident: DISKS, text: "the disks" });
  const json = utf8('{"agent":"linux"}');
  const records = [{ nameOffset: 2, nameLength: 5, flags: 2, valueOffset: 9, valueLength: 7 }];
  writer.setLabels(PM_LABEL.DOMAIN, 60, [{ instance: asInstance(-1), json, records, error: 0 }]);
  const disks = (...numbers: number[]): void =>
    writer.setInstances(
      DISKS,
      numbers.map((i) => [i, `sd${i}`] as const),
    );
  writer.appendLogger(at(0), logger);
  writer.append(load(at(0, 20_000_000), 0.25));
  disks(3, 1, 2);
  writer.append(reads(at(1), [1, 2, 3]));
  disks(1, 2, 3);
  writer.append(reads(at(2), [1, 2, 3]));
  disks(1, 2, 3, 9);
  writer.append(reads(at(3), [1, 2, 3, 9]));
  writer.mark(at(4));
  disks(9);
  writer.append(encodeResult(version, reads(at(5), [9])));
  writer.appendLogger(at(6), logger);
  writer.finish();
}

interface Entry {
  readonly sec: number;
  readonly volume: number;
  readonly meta: number;
  readonly data: number;
}

/** The index of an archive on the disk, times as seconds after at(0). */
function indexOf(base: string, version: 2 | 3): Entry[] {
  const bytes = readFileSync(`${base}.index`);
  const entries: Entry[] = [];
  const size = indexEntryBytes(version);
  for (let from = labelBytes(version); from < bytes.length; from += size) {
    const { timestamp, volume, metaOffset, dataOffset } = decodeIndexEntry(
      viewOf(bytes),
      from,
      version,
    );
    entries.push({ sec: timestamp.sec - at(0).sec, volume, meta: metaOffset, data: dataOffset });
  }
  return entries;
}

/** Type words of the metadata records of an archive. */
function metaTypes(base: string, version: 2 | 3): number[] {
  const view = viewOf(readFileSync(`${base}.meta`));
  const types: number[] = [];
  for (let from = labelBytes(version); from < view.byteLength; from += view.getInt32(from)) {
    types.push(view.getInt32(from + 4));
  }
  return types;
}

test("metadata come just before their first use, in pmlogger's order; instances as changes", () => {
  const three = newBase("three");
  writeSample(three, 3);
  // Logger: DESC INDOM DESC DESC DESC DESC. Load: DESC, LABEL of the domain. Reads: DESC, TEXT,
  // TEXT, INDOM; one more disk is a delta, three less are more changes than instances.
  expect(metaTypes(three, 3)).toEqual([1, 5, 1, 1, 1, 1, 1, 7, 1, 4, 4, 5, 6, 5]);
  const two = newBase("two");
  writeSample(two, 2);
  expect(metaTypes(two, 2)).toEqual([1, 2, 1, 1, 1, 1, 1, 3, 1, 4, 4, 2, 2, 2]);
  expect(namesIn(two)).toEqual(["two.0", "two.index", "two.meta"]);
});

test("all labels carry the time of the first record", () => {
  const base = newBase("labels");
  writeSample(base, 3);
  for (const [ending, volume] of [
    ["meta", -1],
    ["index", -2],
    ["0", 0],
  ] as const) {
    const label = decodeLabel(readFileSync(`${base}.${ending}`), volume);
    expect(label.start).toEqual(at(0));
    expect(label.host).toBe("writer.example");
  }
});

test("index entries: first, new instances, 100,000 bytes further, last", () => {
  const base = newBase("index");
  const writer = new ArchiveWriter({ base, label: labelOf(3) });
  writer.describe(LOAD, ["kernel.all.load"]);
  const size = writer.append(load(at(0), 1));
  for (let i = 1; i < 5000; i++) writer.append(load(at(i), i));
  const ended = writer.finish();
  expect(ended).toEqual({ records: 5000, marks: 0, volumes: 1, start: at(0), end: at(4999) });
  const step = Math.ceil(100_000 / size);
  const entries = indexOf(base, 3);
  expect(entries.map((entry) => entry.sec)).toEqual([0, step, 2 * step, 4999]);
  expect(entries.map((entry) => entry.data)).toEqual(
    entries.map((entry) => 808 + entry.sec * size),
  );
  expect(entries[0]?.meta).toBe(808);
});

test("volumes are switched before they grow over the limit, and on demand", () => {
  for (const version of [2, 3] as const) {
    const base = newBase("volumes");
    const limit = 1000;
    const writer = new ArchiveWriter({ base, label: labelOf(version), maxVolumeBytes: limit });
    writer.describe(LOAD, ["kernel.all.load"]);
    for (let i = 0; i < 60; i++) writer.append(load(at(i), i));
    writer.switchVolume();
    writer.append(load(at(60), 60));
    // Nothing follows, so there is no empty volume.
    writer.switchVolume();
    const { volumes } = writer.finish();
    for (let i = 0; i < volumes; i++) {
      const bytes = readFileSync(`${base}.${i}`);
      expect(bytes.length).toBeLessThanOrEqual(limit);
      expect(decodeLabel(bytes, i).volume).toBe(i);
    }
    expect(volumes).toBeGreaterThan(2);
    const firsts = new Set(indexOf(base, version).map((entry) => entry.volume));
    expect(firsts.size).toBe(volumes);
    const cursor = new ArchiveCursor(openArchive(base));
    let records = 0;
    while (cursor.next()) records++;
    cursor.close();
    expect(records).toBe(61);
  }
});

test("what is refused, and what stays of it", () => {
  const base = newBase("refused");
  const writer = new ArchiveWriter({ base, label: labelOf(2) });
  expect(refusal(() => writer.append(load(at(1), 1))).code).toBe(PM_ERR.PMID_LOG);
  expect(refusal(() => writer.describe(LOAD, [])).code).toBe(PM_ERR.NAME);
  writer.describe(LOAD, ["kernel.all.load"]);
  expect(refusal(() => writer.describe({ ...LOAD, type: PM_TYPE.U32 }, ["x"])).code).toBe(
    PM_ERR.LOGCHANGETYPE,
  );
  writer.append(load(at(1), 1));
  expect(refusal(() => writer.append(load(at(0), 1))).message).toMatch(
    /1700000000.0* after one of 17/,
  );
  expect(refusal(() => writer.append(new Uint8Array(40))).code).toBe(PM_ERR.LOGREC);
  expect(refusal(() => writer.append(encodeResult(3, load(at(2), 1)))).code).toBe(PM_ERR.LOGREC);
  // None of these ended the archive.
  writer.append(load(at(2), 1));
  expect(writer.finish().records).toBe(2);
  writer.abort();
  expect(namesIn(base)).toEqual(["refused.0", "refused.index", "refused.meta"]);
  expect(refusal(() => writer.append(load(at(3), 1))).message).toContain("is ended");
  const again = refusal(() => new ArchiveWriter({ base, label: labelOf(2) }));
  expect(again.code).toBe(-17);
  expect(again.message).toContain("refused.");
});

test("an archive that appears meanwhile is not replaced", () => {
  const base = newBase("taken");
  const writer = new ArchiveWriter({ base, label: labelOf(3) });
  writer.describe(LOAD, ["kernel.all.load"]);
  writer.append(load(at(1), 1));
  writeFileSync(`${base}.meta.xz`, "another");
  expect(refusal(() => writer.finish()).code).toBe(-17);
  expect(namesIn(base)).toEqual(["taken.meta.xz"]);
});

test("given up, or without a result, nothing stays", () => {
  const base = newBase("none");
  const writer = new ArchiveWriter({ base, label: labelOf(3) });
  writer.describe(LOAD, ["kernel.all.load"]);
  for (let i = 0; i < 20_000; i++) writer.append(load(at(i), i));
  writer.switchVolume();
  writer.append(load(at(20_000), 0));
  expect(namesIn(base).every((name) => name.startsWith(".none."))).toBe(true);
  expect(namesIn(base).length).toBe(4);
  writer.abort();
  expect(namesIn(base)).toEqual([]);
  const empty = new ArchiveWriter({ base, label: labelOf(3) });
  expect(refusal(() => empty.finish()).code).toBe(PM_ERR.NODATA);
  expect(namesIn(base)).toEqual([]);
  const place = join(folder, "no-such-directory", "x");
  expect(refusal(() => new ArchiveWriter({ base: place, label: labelOf(3) })).code).toBe(-2);
  const host = "h".repeat(64);
  const tooLong = refusal(() => new ArchiveWriter({ base, label: { ...labelOf(2), host } }));
  expect(tooLong.code).toBe(PM_ERR.TOOBIG);
});

test("changes of instances: none, some, too many, renamed", () => {
  const before = new Map([
    [1, "a"],
    [2, "b"],
  ]);
  expect(indomChanges(before, before)).toEqual([]);
  expect(
    indomChanges(
      before,
      new Map([
        [2, "b"],
        [0, "z"],
      ]),
    ),
  ).toEqual([instanceEntry(0, "z"), instanceEntry(1, undefined)]);
  expect(
    indomChanges(
      before,
      new Map([
        [1, "b"],
        [2, "b"],
      ]),
    ),
  ).toBeUndefined();
  expect(indomChanges(before, new Map([[3, "c"]]))).toBeUndefined();
});

test("instances that change at random are read back as they were told", () => {
  const instances = fc.uniqueArray(fc.nat({ max: 12 }), { minLength: 1, maxLength: 8 });
  const steps = fc.array(instances, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(2 as const, 3 as const), steps, (version, told) => {
      const base = newBase("random");
      const writer = new ArchiveWriter({ base, label: labelOf(version) });
      writer.describe(READS, ["disk.dev.read"]);
      told.forEach((now, i) => {
        writer.setInstances(
          DISKS,
          // The last one has another name each time: such a change has to be a full record.
          now.map((inst) => [inst, inst === 12 ? `sd${inst}-${i}` : `sd${inst}`] as const),
        );
        writer.append(reads(at(i), now));
      });
      writer.finish();
      const { catalog } = openArchive(base);
      told.forEach((now, i) => {
        const found = catalog.indoms.get(DISKS)?.at(at(i));
        const sorted = [...now].sort((a, b) => a - b);
        expect([...(found?.ids ?? [])].map(Number)).toEqual(sorted);
        expect(found?.names).toEqual(
          sorted.map((inst) => (inst === 12 ? `sd${inst}-${i}` : `sd${inst}`)),
        );
      });
    }),
    { numRuns: 60, seed: 1 },
  );
});

/** What pmdumplog prints of an archive, with its place taken out. */
async function dumped(base: string, options = "-dehIilm"): Promise<string> {
  const text = await must(["pmdumplog", "-z", "-L", options, base]);
  return text.replaceAll(base, "ARCHIVE");
}

const plainNames = (set: string): string[] =>
  readdirSync(join(originals, set))
    .filter((name) => name.endsWith(".meta"))
    .map((name) => `${set}/${name.slice(0, -".meta".length)}`);

/** Some of PCP's own test archives, where they are installed. */
const INSTALLED = "/var/lib/pcp/testsuite/archives";
const installedNames = ["ok-foo", "ok-mv-bar", "dyninsts", "eventrec", "sample-labels", "markmerge"]
  .map((name) => join(INSTALLED, name))
  .filter((base) => existsSync(`${base}.meta`));

describePeer("pcp6", "the real tools", () => {
  test.each([...plainNames("rec").map((name) => join(originals, name)), ...installedNames])(
    "a copy of %s is the same to them",
    async (original) => {
      const base = newBase("copy");
      copyArchive(original, base);
      expect(await dumped(base)).toBe(await dumped(original));
      const [ours, theirs] = await Promise.all([
        run(["pmlogcheck", base]),
        run(["pmlogcheck", original]),
      ]);
      const told = ({ stdout, stderr }: typeof ours, place: string): string =>
        (stdout + stderr)
          .replaceAll(place, "ARCHIVE")
          .replaceAll(/\S*\/(copy|[\w.-]+)\.(meta|index|\d+)/g, "FILE");
      if (told(theirs, original) === "") expect(told(ours, base)).toBe("");
      else
        expect(told(ours, base).split("\n").length).toBeLessThanOrEqual(
          told(theirs, original).split("\n").length,
        );
    },
  );

  test.each(["v2-dyn", "v2-mark", "v2-mv", "v3-dyn", "v3-types", "v3-events", "v3-mv"])(
    "the index of a copy of %s is pmlogger's own",
    async (name) => {
      const original = join(originals, "rec", name);
      const base = newBase("copy");
      copyArchive(original, base);
      expect(await dumped(base, "-t")).toBe(await dumped(original, "-t"));
    },
  );

  test.each([2, 3] as const)("an archive of version %d made of plain results", async (version) => {
    const base = newBase("plain");
    writeSample(base, version);
    const { stdout, stderr } = await run(["pmlogcheck", base]);
    expect(stdout + stderr).toBe("");
    const text = await dumped(base, "-aeh");
    for (const part of [
      "<mark>",
      "sd9",
      "reads of each disk",
      '"agent":"linux"',
      "pmcd.pmlogger.archive",
    ]) {
      expect(text).toContain(part);
    }
    const values = await must([
      "pmval",
      "-z",
      "-a",
      base,
      "-r",
      "-s",
      "3",
      "-t",
      "1",
      "disk.dev.read",
    ]);
    expect(values).toContain("sd3");
  });

  test("an archive told from a catalog, the parameters of its events among it", async () => {
    const original = openArchive(join(originals, "rec/v3-events"));
    const base = newBase("told");
    const writer = new ArchiveWriter({ base, label: original.label });
    const { catalog } = original;
    const names = new Map<number, string[]>();
    for (const { name, pmid } of catalog.names.traverse()) {
      names.set(pmid, [...(names.get(pmid) ?? []), name]);
    }
    for (const desc of catalog.descs.values()) writer.describe(desc, names.get(desc.pmid) ?? []);
    const cursor = new ArchiveCursor(original);
    while (cursor.next()) {
      const result = cursor.record.result();
      for (const [indom, history] of catalog.indoms) {
        const now = history.at(result.timestamp);
        if (now !== undefined)
          writer.setInstances(
            indom,
            now.names.map((name, i) => [Number(now.ids[i]), name]),
          );
      }
      writer.append(result);
    }
    cursor.close();
    writer.finish();
    expect(await dumped(base, "-m")).toBe(await dumped(original.files.base, "-m"));
    const described = [...openArchive(base).catalog.descs.keys()].sort();
    expect(described).toEqual([...catalog.descs.keys()].sort());
    const { stdout, stderr } = await run(["pmlogcheck", base]);
    expect(stdout + stderr).toBe("");
  });

  test("a copy cut into small volumes has the same values", async () => {
    const original = join(originals, "rec/v3-dyn");
    const base = newBase("cut");
    const { volumes } = copyArchive(original, base, { maxVolumeBytes: 2000 });
    expect(volumes).toBeGreaterThan(2);
    expect(await dumped(base, "-m")).toBe(await dumped(original, "-m"));
    const { stdout, stderr } = await run(["pmlogcheck", base]);
    expect(stdout + stderr).toBe("");
  });

  test.each([
    ["v2-types", 3],
    ["v2-dyn", 3],
    ["v3-dyn", 2],
    ["v3-types", 2],
  ] as const)("a copy of %s in version %d has the same values", async (name, version) => {
    const original = join(originals, "rec", name);
    const base = newBase("other");
    copyArchive(original, base, { version });
    // Times of version 2 have microseconds, and it has no zoneinfo.
    const text = async (place: string): Promise<string> =>
      (await dumped(place, "-im"))
        .replace(/Log Format Version \d/, "")
        .replace(/^Archive zoneinfo: .*\n/m, "")
        .replaceAll(/(:\d\d\.\d{6})\d{3}\b/g, "$1");
    expect(await text(base)).toBe(await text(original));
    const { stdout, stderr } = await run(["pmlogcheck", base]);
    expect(stdout + stderr).toBe("");
  });
});

const program = join(import.meta.dir, "writer-copy.ts");
const source = join(originals, "rec/v3-types");

test("killed in the middle, nothing has a final name", async () => {
  const base = newBase("killed");
  const child = Bun.spawn([process.execPath, program, source, base, "1000000"], {
    stdout: "ignore",
    stderr: "ignore",
  });
  const directory = join(base, "..");
  const size = (): number =>
    readdirSync(directory).reduce((sum, name) => sum + Bun.file(join(directory, name)).size, 0);
  while (child.exitCode === null && size() < 2_000_000) await Bun.sleep(10);
  const { label } = openArchive(source);
  new ArchiveWriter({ base, label }).abort();
  expect(namesIn(base).length).toBe(3); // a writer that is at work keeps its files
  child.kill("SIGKILL");
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  expect(namesIn(base).length).toBe(3);
  expect(namesIn(base).every((name) => name.startsWith(".killed."))).toBe(true);
  expect(refusal(() => openArchive(base)).code).toBe(-2);
  const elsewhere = ".killed.meta.999999999-0.otherplace.tmp";
  const others = [elsewhere, ".killed.meta.999999999-0.tmp", ".killedtoo.0.999999999-0.x.tmp"];
  for (const name of others) writeFileSync(join(directory, name), "");
  new ArchiveWriter({ base, label }).abort();
  expect(
    readdirSync(directory)
      .filter((name) => name.startsWith(".killed"))
      .sort(),
  ).toEqual(others.sort());
});

testWith("root", "a full disk is one clear error, and nothing stays", async () => {
  const place = newBase("full");
  const directory = join(place, "..");
  const script = `mount -t tmpfs -o size=1m none ${directory} &&
    { ${process.execPath} ${program} ${source} ${place} 1000000; echo "left: $(ls -A ${directory})"; }`;
  const { stdout } = await run(["unshare", "-m", "sh", "-c", script]);
  expect(stdout).toContain(`-28 ${place}.0: cannot write: No space left on device\n`);
  expect(stdout).toContain("left: \n");
  expect(existsSync(`${place}.0`)).toBe(false);
});
