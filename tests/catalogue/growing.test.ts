// Goal: a survey that goes on when its archive grows says what a survey of all says, wherever the files end at
// each step, metadata before data or behind; the catalogue that is kept in step this way is the one that is
// made at once. What is not the same archive any more, or was changed by others, is surveyed again.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { followCatalogue, type FollowOptions, type Taken } from "../../lib/catalogue/follow.ts";
import {
  openSurvey,
  type OpenSurvey,
  type Survey,
  surveyArchive,
} from "../../lib/catalogue/survey.ts";
import { growingArchive } from "../discover/growing.ts";
import { type Random, seeded } from "../fuzz/random.ts";
import { privateFolder } from "../helpers/process.ts";
import { oddArchives } from "../series/odd-archives.ts";
import { thrown } from "../helpers/rejected.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = ["v2-dyn", "v3-dyn-721", "v3-mv", "v2-labels", "v3-labels-721", "v3-mark"];
const root = privateFolder("growing");
let count = 0;
const newFolder = (): string => {
  const made = join(root, String(count++));
  mkdirSync(made);
  return made;
};

const said = (survey: Survey) => ({ ...survey, archive: survey.archive.name });

/** What is said of an archive now; undefined when it cannot be opened. */
function surveyed(base: string, dataBytes: number): Survey | undefined {
  try {
    return surveyArchive(base, { dataBytes });
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return undefined;
  }
}

/** A copy of an archive that is written as far as is said. */
function copyOf(archive: string) {
  const base = join(newFolder(), "a");
  const file = (part: string): Buffer => readFileSync(`${archive}.${part}`);
  const volumes: Buffer[] = [];
  for (let n = 0; statSync(`${archive}.${n}`, { throwIfNoEntry: false }) !== undefined; n++)
    volumes.push(file(String(n)));
  const meta = file("meta");
  const dataBytes = volumes.reduce((sum, { length }) => sum + length, 0);
  return {
    base,
    metaBytes: meta.length,
    dataBytes,
    write(metaTo: number, dataTo: number): void {
      writeFileSync(`${base}.meta`, meta.subarray(0, metaTo));
      let left = dataTo;
      for (const [number, volume] of volumes.entries()) {
        if (left > 0) writeFileSync(`${base}.${number}`, volume.subarray(0, left));
        left -= volume.length;
      }
    },
  };
}

/** Ascending places in a file, the last its end; some of its first bytes are always there. */
function cuts(random: Random, steps: number, length: number): readonly number[] {
  const first = Math.floor(length / 4);
  const found = Array.from({ length: steps - 1 }, () => first + random.below(length - first));
  return [...found.sort((a, b) => a - b), length];
}

const STEPS = 12;
const BOUNDS = [Number.POSITIVE_INFINITY, 2000];
let wentOn = 0;
let began = 0;

describe.each([...NAMES.map((name) => join(ARCHIVES, name)), ...oddArchives(newFolder())])(
  "%s",
  (archive) => {
    test.each(BOUNDS)("step by step, %p bytes of data looked at", (dataBytes) => {
      for (let seed = 0; seed < 4; seed++) {
        const random = seeded(seed);
        const copy = copyOf(archive);
        const metaTo = cuts(random, STEPS, copy.metaBytes);
        const dataTo = cuts(random, STEPS, copy.dataBytes);
        let open: OpenSurvey | undefined;
        let shown: unknown;
        for (let step = 0; step < STEPS; step++) {
          // Metadata come first, as loggers write them, or wherever they end.
          const isAhead = seed % 2 === 0 && step > 2;
          copy.write(isAhead ? copy.metaBytes : (metaTo[step] ?? 0), dataTo[step] ?? 0);
          const wanted = surveyed(copy.base, dataBytes);
          const grown = open?.grow();
          if (wanted === undefined) {
            open = undefined;
            continue;
          }
          if (grown === undefined) {
            open = openSurvey(copy.base, { dataBytes });
            began++;
          } else wentOn++;
          // Nothing but values is new: all but the end is what was there before.
          if (grown === false) expect({ ...said(wanted), end: 0 }).toEqual(shown as never);
          const now = open?.survey();
          expect(now && said(now)).toEqual(said(wanted));
          shown = { ...said(wanted), end: 0 };
        }
      }
    });
  },
);

test("most steps went on from the one before", () => {
  expect(wentOn).toBeGreaterThanOrEqual(began);
});

/** What a catalogue says, without its own numbers. */
const contentOf = ({ database }: Catalogue): unknown =>
  [
    "SELECT path, stamp, host, begin, finish, complete, problem FROM archive ORDER BY path",
    `SELECT series.hash, archive.path, slot.place, instance.hash FROM holds
     JOIN series ON series.id = holds.series JOIN archive ON archive.id = holds.archive
     LEFT JOIN slot ON slot.slots = holds.slots LEFT JOIN instance ON instance.id = slot.instance
     ORDER BY 1, 2, 3`,
    "SELECT hash, inst, name, source FROM instance ORDER BY hash",
    `SELECT label.name, label.value, series.hash FROM carries JOIN label ON label.id = carries.label
     JOIN series ON series.id = carries.series ORDER BY 1, 2, 3`,
    "SELECT hash FROM document ORDER BY hash",
  ].map((sql) => database.query(sql).values());

/** Follows a directory, look by look. */
function following(folder: string, options: FollowOptions = {}) {
  const catalogue = openCatalogue(":memory:");
  const follower = followCatalogue(catalogue, options);
  return {
    catalogue,
    async look(): Promise<Taken[]> {
      await follower.look(folder);
      const taken: Taken[] = [];
      for (let some = follower.step(); some.length > 0; some = follower.step()) taken.push(...some);
      return taken;
    },
    /** That the catalogue is the one that would be made now. */
    async check(): Promise<void> {
      const calm = openCatalogue(":memory:");
      const other = followCatalogue(calm, options);
      await other.look(folder);
      while (other.step().length > 0);
      expect(contentOf(catalogue)).toEqual(contentOf(calm));
      calm.close();
    },
  };
}

const SECONDS = 300;

test("of an archive that grows only what is new is read, and the catalogue is in step", async () => {
  const folder = newFolder();
  const archive = growingArchive(join(folder, "a"));
  archive.append(0);
  const { catalogue, look, check } = following(folder);
  await look();
  archive.append(1);
  expect((await look())[0]?.bytes).toBe(statSync(`${archive.base}.meta`).size);
  for (let second = 2; second < SECONDS; second++) {
    const before = statSync(`${archive.base}.meta`).size;
    if (second % 7 === 0) archive.addInstance(second, `number ${second}`, second);
    if (second % 100 === 0) archive.switchVolume();
    archive.append(second);
    const [taken, ...others] = await look();
    expect(others).toEqual([]);
    expect(taken).toMatchObject({ path: archive.base, problem: undefined, known: true });
    expect(taken?.bytes).toBe(statSync(`${archive.base}.meta`).size - before);
    if (second % 60 === 0) await check();
  }
  await check();
  catalogue.close();
});

test("where not all data are looked at, too, whatever data come between", async () => {
  const folder = newFolder();
  const archive = growingArchive(join(folder, "a"));
  const { catalogue, look, check } = following(folder, { dataBytes: 200 });
  for (let second = 0; second < 20; second++) archive.append(second);
  await look();
  archive.addInstance(1, "one", 20);
  archive.append(20);
  expect((await look())[0]?.bytes).toBe(statSync(`${archive.base}.meta`).size);
  expect(catalogue.archives()[0]?.complete).toBe(false);
  for (let second = 21; second <= 60; second++) {
    const before = statSync(`${archive.base}.meta`).size;
    if (second % 3 === 0) archive.addInstance(second, `number ${second}`, second);
    if (second % 25 === 0) archive.switchVolume();
    archive.append(second);
    const [taken] = await look();
    expect(taken?.bytes).toBe(statSync(`${archive.base}.meta`).size - before);
    // Where it ends is not known after data alone.
    if (second % 12 === 0) await check();
  }
  catalogue.close();
});

test("what is not the same any more is surveyed again", async () => {
  const folder = newFolder();
  const archive = growingArchive(join(folder, "a"));
  const { base } = archive;
  const { catalogue, look, check } = following(folder);
  let second = 0;
  const grow = async (): Promise<number | undefined> => {
    archive.append(second++);
    const [taken] = await look();
    await check();
    return taken?.bytes;
  };
  const whole = (): number => statSync(`${base}.meta`).size;
  await grow();
  await grow();
  expect(await grow()).toBe(0);

  // Another archive in its place, that has the same inodes.
  const bytes = readFileSync(`${base}.0`);
  const cut = bytes.length - archive.record(0).length;
  truncateSync(`${base}.0`, cut);
  appendFileSync(`${base}.0`, archive.record(second + 10));
  expect(await grow()).toBe(whole());
  expect(await grow()).toBe(0);
  archive.addInstance(1, "one", second + 10);
  await grow();
  const meta = readFileSync(`${base}.meta`);
  writeFileSync(`${base}.meta`, meta.toString("latin1").replace("one", "two"), "latin1");
  expect(await grow()).toBe(whole());

  // Other files, which say the same.
  const same = readFileSync(`${base}.0`);
  rmSync(`${base}.0`);
  writeFileSync(`${base}.1`, "");
  writeFileSync(`${base}.0`, same);
  rmSync(`${base}.1`);
  expect(await grow()).toBe(whole());
  expect(await grow()).toBe(0);

  // Another one has put something else into the catalogue, or taken it out.
  catalogue.touch(base, "changed by another one");
  expect(await grow()).toBe(whole());
  catalogue.drop([base]);
  await grow();
  expect(await grow()).toBe(whole());
  expect(await grow()).toBe(0);

  // What could not be written is not taken for written.
  const pages = catalogue.database.query<{ page_count: number }, []>("PRAGMA page_count").get();
  catalogue.database.run(`PRAGMA max_page_count = ${pages?.page_count ?? 0}`);
  archive.append(second++);
  for (let more = 0; more < 10; more++)
    archive.addInstance(100 + more, `another one ${more} ${"x".repeat(4000)}`, second + 100);
  second += 100;
  archive.append(second++);
  expect(await thrown(look())).toThrow("no space left");
  catalogue.database.run("PRAGMA max_page_count = 100000");
  expect(await grow()).toBe(whole());
  catalogue.close();
});

test("an archive that is replaced while it is surveyed is not taken for the one before", async () => {
  const folder = newFolder();
  const archive = growingArchive(join(folder, "a"));
  const other = growingArchive(join(newFolder(), "a"));
  let replaces = false;
  const replace = (): boolean => {
    if (replaces)
      for (const part of ["meta", "index", "0"])
        renameSync(`${other.base}.${part}`, `${archive.base}.${part}`);
    replaces = false;
    return false;
  };
  const { catalogue, look, check } = following(folder, { excluded: replace });
  for (const [made, name] of [
    [archive, "one"],
    [other, "two"],
  ] as const) {
    made.append(0);
    made.addInstance(1, name, 1);
    made.append(1);
  }
  await look();
  archive.append(2);
  for (const second of [2, 3]) other.append(second);
  // Its metadata are read, its data are not.
  replaces = true;
  await look();
  expect(replaces).toBe(false);
  await look();
  await check();
  catalogue.close();
});

test("files that are compressed, cut or written by two are what they are then", async () => {
  const folder = newFolder();
  const archive = growingArchive(join(folder, "a"));
  const { base } = archive;
  const file = join(newFolder(), "series.sqlite");
  const [one, two] = [openCatalogue(file), openCatalogue(file)];
  const followers = [followCatalogue(one), followCatalogue(two)];
  const look = async (...which: readonly number[]): Promise<void> => {
    for (const number of which) {
      await followers[number]?.look(folder);
      while ((followers[number]?.step().length ?? 0) > 0);
    }
    const calm = openCatalogue(":memory:");
    const other = followCatalogue(calm);
    await other.look(folder);
    while (other.step().length > 0);
    expect(contentOf(one)).toEqual(contentOf(calm));
    calm.close();
  };
  let second = 0;
  const grow = (): void => {
    if (second % 2 === 0) archive.addInstance(second, `number ${second}`, second);
    archive.append(second++);
  };
  // In turn, by one while the other does not look, and both at the same change.
  for (const which of [[0], [1], [0], [1], [1], [1], [0], [0, 1], [1, 0], [0], [1]]) {
    grow();
    await look(...which);
  }
  const length = statSync(`${base}.0`).size - archive.record(0).length;
  for (const which of [[0], [0, 1]]) {
    truncateSync(`${base}.0`, length);
    await look(...which);
    grow();
    await look(...which);
  }
  archive.switchVolume();
  for (const part of ["0", "meta"]) {
    grow();
    await look(0, 1);
    writeFileSync(`${base}.${part}.zst`, Bun.zstdCompressSync(readFileSync(`${base}.${part}`)));
    rmSync(`${base}.${part}`);
    await look(0);
    await look(1);
  }
  one.close();
  two.close();
});

test("new data change nothing that another connection keeps of names; new metadata do", async () => {
  const folder = newFolder();
  const file = join(newFolder(), "series.sqlite");
  const [catalogue, other] = [openCatalogue(file), openCatalogue(file)];
  const archive = growingArchive(join(folder, "a"));
  const follower = followCatalogue(catalogue);
  const generations = async (): Promise<readonly number[]> => {
    await follower.look(folder);
    while (follower.step().length > 0);
    other.stale();
    catalogue.stale();
    return [catalogue.generation, other.generation];
  };
  for (const second of [0, 1, 2]) {
    archive.append(second);
    await generations();
  }
  const before = await generations();
  const [end] = other.database.query("SELECT finish FROM archive").values();
  archive.append(3);
  expect(await generations()).toEqual([...before]);
  expect(other.database.query("SELECT finish FROM archive").values()).not.toEqual([end ?? []]);
  archive.addInstance(1, "one", 4);
  archive.append(4);
  for (const [at, now] of (await generations()).entries())
    expect(now).toBeGreaterThan(before[at] ?? 0);
  catalogue.close();
  other.close();
});

test("archives that are put in together are all there, or wait on when they cannot be", async () => {
  const folder = newFolder();
  const ARCHIVES_THERE = 40;
  for (let number = 0; number < ARCHIVES_THERE; number++) {
    const archive = growingArchive(join(folder, `a${number}`), `host${number}.example`);
    archive.addInstance(number, `only here ${number} ${"x".repeat(2000)}`, 0);
    archive.append(0);
  }
  truncateSync(join(folder, "a7.meta"), 40);
  const { catalogue, look, check } = following(folder);
  const pages = catalogue.database.query<{ page_count: number }, []>("PRAGMA page_count").get();
  catalogue.database.run(`PRAGMA max_page_count = ${(pages?.page_count ?? 0) + 20}`);
  expect(await thrown(look())).toThrow("no space left");
  const there = catalogue.archives().length;
  expect(there).toBeLessThan(ARCHIVES_THERE);
  catalogue.database.run("PRAGMA max_page_count = 100000");
  const taken = await look();
  expect(taken).toHaveLength(ARCHIVES_THERE - there);
  expect(catalogue.archives()).toHaveLength(ARCHIVES_THERE);
  expect(catalogue.archives().filter(({ problem }) => problem !== undefined)).toHaveLength(1);
  await check();
  expect(await look()).toEqual([]);
  catalogue.close();
});

test("a change of the catalogue is made for many archives, not for each", async () => {
  const folder = newFolder();
  for (let number = 0; number < 100; number++) growingArchive(join(folder, `a${number}`)).append(0);
  const catalogue = openCatalogue(":memory:");
  let changes = 0;
  const counted = {
    ...catalogue,
    together: (body: () => void) => (changes++, catalogue.together(body)),
  };
  const follower = followCatalogue(counted);
  await follower.look(folder);
  while (follower.step().length > 0);
  expect(catalogue.archives()).toHaveLength(100);
  expect(changes).toBeLessThan(100);
  catalogue.close();
});
