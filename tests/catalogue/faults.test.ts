// Goal: whatever happens to a catalogue's file, it answers as its archives do or says in one sentence why
// not: missing, damaged, cut, of another version or program, in a place that cannot be written, on a
// full disk, used by two processes, killed while it was being written.
import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  existsSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { rescan } from "../../lib/catalogue/follow.ts";
import { embeddedSearch } from "../../lib/catalogue/search.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import { asSeriesId } from "../../lib/series/ids.ts";
import { type Random, seeded } from "../fuzz/random.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { thrown } from "../helpers/rejected.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = [
  "v2-labels",
  "v3-dyn-721",
  "v3-dyn",
  "v3-events",
  "v3-labels",
  "v3-mark",
  "v3-types",
];
const PAGE = 4096;
/** For tests that make many files or processes. */
const SLOW_MS = 300_000;

const directory = privateFolder("faults");
for (const name of NAMES)
  for (const part of ["0", "meta", "index"])
    cpSync(join(ARCHIVES, `${name}.${part}`), join(directory, `${name}.${part}`));

/** All that a catalogue says, but for what the last of several archives decides. */
const FACTS: Readonly<Record<string, string>> = {
  archives: "SELECT path AS fact FROM archive",
  series: "SELECT hash || name || indom || type || units || semantics AS fact FROM series",
  held: `SELECT series.hash || archive.path || holds.pmid || coalesce(group_concat(instance.hash || place), '')
      AS fact FROM holds JOIN series ON series.id = series JOIN archive ON archive.id = archive
    LEFT JOIN slot ON slot.slots = holds.slots LEFT JOIN instance ON instance.id = slot.instance
    GROUP BY series.hash, archive.path`,
  instances: "SELECT hash || name AS fact FROM instance",
  has: `SELECT DISTINCT series.hash || instance.hash AS fact FROM series JOIN has ON has.series = series.id
    JOIN slot ON slot.slots = has.slots JOIN instance ON instance.id = slot.instance`,
  labels: "SELECT name || value AS fact FROM label",
  carries: `SELECT label.name || value || hash AS fact FROM carries JOIN label ON label.id = label
    JOIN series ON series.id = series`,
  texts: `SELECT path || type || document.name || indom || coalesce(oneline, '') || coalesce(helptext, '')
      AS fact FROM describes JOIN archive ON archive.id = archive
    JOIN tells ON tells.texts = describes.texts JOIN document ON document.id = tells.document`,
  documents: "SELECT type || name || indom AS fact FROM document",
  words: "SELECT term || doc || cnt AS fact FROM word_count",
  names: "SELECT term || doc || cnt AS fact FROM name_word",
};

function factsOf({ database }: Catalogue): Record<string, readonly string[]> {
  for (const index of ["words", "names"])
    database.run(`INSERT INTO ${index} (${index}, rank) VALUES ('integrity-check', 1)`);
  return Object.fromEntries(
    Object.entries(FACTS).map(([name, sql]) => [
      name,
      database
        .query<{ fact: string }, []>(sql)
        .all()
        .map(({ fact }) => fact)
        .sort(),
    ]),
  );
}

/** The same of a catalogue that was never anything but made from these archives. */
function truthOf(paths: readonly string[]): Record<string, readonly string[]> {
  const catalogue = openCatalogue(":memory:");
  for (const path of paths) catalogue.put(path, "", surveyArchive(path));
  return factsOf(catalogue);
}

const truth = truthOf(NAMES.map((name) => join(directory, name)));
const newFile = (): string => join(privateFolder("faults"), "series.sqlite");

/** A file that is whole and closed. */
const sound = newFile();
beforeAll(async () => {
  const catalogue = openCatalogue(sound);
  await rescan(catalogue, [directory]);
  catalogue.close();
});

const copy = (): string => {
  const file = newFile();
  copyFileSync(sound, file);
  return file;
};

/** Opens what is there, brings it in step, and gives what it says. */
async function recovered(file: string): Promise<Record<string, readonly string[]>> {
  const catalogue = openCatalogue(file);
  await rescan(catalogue, [directory]);
  const facts = factsOf(catalogue);
  catalogue.close();
  return facts;
}

const thrownBy = (body: () => unknown): string => {
  try {
    body();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const noise = (random: Random, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, () => random.below(256)));

describe("a file that is not what it was", () => {
  test("missing or empty: made", async () => {
    expect(await recovered(newFile())).toEqual(truth);
    const empty = newFile();
    writeFileSync(empty, "");
    expect(await recovered(empty)).toEqual(truth);
    expect(existsSync(`${empty}.damaged`)).toBe(false);
  });

  test("no database at all: put aside, made anew", async () => {
    const file = newFile();
    const text = "This is somebody's letter. ".repeat(999);
    writeFileSync(file, text);
    expect(await recovered(file)).toEqual(truth);
    expect(readFileSync(`${file}.damaged`, "utf8")).toBe(text);
  });

  test("is told when it was put aside, and then no more", () => {
    const file = newFile();
    writeFileSync(file, "x".repeat(9999));
    const told: string[] = [];
    const open = () => openCatalogue(file, { warn: (text) => told.push(text) }).close();
    open();
    open();
    expect(told).toEqual([
      `catalogue ${file}: damaged, made anew; what was there is ${file}.damaged`,
    ]);
  });

  test(
    "cut anywhere: made anew",
    async () => {
      const random = seeded(3);
      const { size } = statSync(sound);
      for (let round = 0; round < 8; round++) {
        const file = copy();
        truncateSync(file, random.below(size));
        expect(await recovered(file)).toEqual(truth);
      }
    },
    SLOW_MS,
  );

  test(
    "pages of it overwritten: made anew",
    async () => {
      const random = seeded(4);
      const pages = statSync(sound).size / PAGE;
      for (let round = 0; round < 12; round++) {
        const file = copy();
        const descriptor = openSync(file, "r+");
        for (let count = random.below(3); count >= 0; count--)
          writeSync(descriptor, noise(random, PAGE), 0, PAGE, random.below(pages) * PAGE);
        closeSync(descriptor);
        expect(await recovered(file)).toEqual(truth);
      }
    },
    SLOW_MS,
  );

  test("damage that is met later is told, and the file made anew when it is opened next", async () => {
    const file = copy();
    const catalogue = openCatalogue(file, { check: false });
    const pages = statSync(file).size / PAGE;
    const descriptor = openSync(file, "r+");
    for (let page = 1; page < pages; page++)
      writeSync(descriptor, noise(seeded(page), PAGE), 0, PAGE, page * PAGE);
    closeSync(descriptor);
    const store = embeddedStore(catalogue);
    const wanted = `catalogue ${file}: database disk image is malformed; it is made anew when it is opened again`;
    expect(await thrown(store.names("instance"))).toThrow(wanted);
    catalogue.close();
    expect(await recovered(file)).toEqual(truth);
    expect(await recovered(file)).toEqual(truth);
  });

  test("of another version: made anew in its place, whoever has it open", async () => {
    const file = copy();
    const database = new Database(file);
    database.run("PRAGMA user_version = 1");
    database.run("CREATE TABLE other (x)");
    const inode = statSync(file).ino;
    expect(await recovered(file)).toEqual(truth);
    expect(statSync(file).ino).toBe(inode);
    expect(() => database.query("SELECT * FROM other").all()).toThrow("no such table");
    database.close();
  });

  test("a database of another program stays as it is", () => {
    const file = newFile();
    const database = new Database(file);
    database.run("CREATE TABLE letters (text)");
    database.run("INSERT INTO letters VALUES ('dear')");
    database.close();
    const before = readFileSync(file);
    expect(thrownBy(() => openCatalogue(file))).toBe(
      `catalogue ${file}: a database of another program`,
    );
    expect(readFileSync(file).equals(before)).toBe(true);
  });
});

const worker = join(import.meta.dir, "worker.ts");
const argvOf = (...args: readonly string[]): string[] => [process.execPath, worker, ...args];

describe("a place where it cannot be", () => {
  test("a directory, and one that is not there", () => {
    const folder = privateFolder("faults");
    expect(thrownBy(() => openCatalogue(folder))).toStartWith(`catalogue ${folder}: `);
    const none = join(folder, "none", "series.sqlite");
    expect(thrownBy(() => openCatalogue(none))).toBe(
      `catalogue ${none}: unable to open database file`,
    );
  });

  testWith("root", "a directory that may not be written", async () => {
    const folder = privateFolder("faults");
    const file = join(folder, "series.sqlite");
    copyFileSync(sound, file);
    const script = `mount --bind ${folder} ${folder} && mount -o remount,ro,bind ${folder} && exec "$@"`;
    const argv = ["unshare", "-m", "sh", "-c", script, "sh", ...argvOf("once", file, directory)];
    const { stdout } = await run(argv);
    expect(stdout).toBe(`catalogue ${file}: unable to open database file\n`);
  });
});

describe("a disk that is full", () => {
  testWith("root", "is one sentence, and what was there before counts", async () => {
    const folder = privateFolder("faults");
    const kept = newFile();
    for (const size of ["40k", "120k", "240k", "360k"]) {
      const file = join(folder, "series.sqlite");
      const script = `mount -t tmpfs -o size=${size} none ${folder} && "$@"; cp ${file}* $(dirname ${kept})`;
      const argv = ["unshare", "-m", "sh", "-c", script, "sh", ...argvOf("once", file, directory)];
      const { stdout } = await run(argv);
      expect(stdout.trimEnd().split("\n").at(-1) ?? "").toBe(
        `catalogue ${file}: no space left for it`,
      );
      const catalogue = openCatalogue(kept);
      expect(factsOf(catalogue)).toEqual(truthOf(catalogue.archives().map(({ path }) => path)));
      catalogue.close();
      expect(await recovered(kept)).toEqual(truth);
      for (const suffix of ["", "-wal", "-shm", ".suspect"])
        rmSync(`${kept}${suffix}`, { force: true });
    }
  });

  test("so is a limit of the size of files", async () => {
    const file = newFile();
    const script = 'trap "" XFSZ; ulimit -f 200; exec "$@"';
    const argv = ["bash", "-c", script, "bash", ...argvOf("once", file, directory)];
    const { stdout } = await run(argv);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe(`catalogue ${file}: disk I/O error`);
    const catalogue = openCatalogue(file);
    expect(factsOf(catalogue)).toEqual(truthOf(catalogue.archives().map(({ path }) => path)));
    catalogue.close();
    expect(await recovered(file)).toEqual(truth);
  });
});

/** A process that writes into a file until it is killed. */
async function writing(file: string, seed: number) {
  const child = Bun.spawn(argvOf("write", file, directory, String(seed)), { stdout: "pipe" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  expect(Buffer.from(value ?? []).toString()).toBe("open\n");
  return {
    kill: async (): Promise<void> => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

describe("processes", () => {
  test(
    "killed at any moment while it is written, it is in step with some of the archives",
    async () => {
      const random = seeded(9);
      const file = newFile();
      let whole = 0;
      for (let round = 0; round < 21; round++) {
        const child = await writing(file, round);
        await Bun.sleep(random.below(120));
        await child.kill();
        if (round % 3 === 0) rmSync(`${file}-shm`, { force: true });
        const catalogue = openCatalogue(file);
        const paths = catalogue.archives().map(({ path }) => path);
        expect(factsOf(catalogue)).toEqual(truthOf(paths));
        if (paths.length === NAMES.length) whole++;
        catalogue.close();
        if (round % 7 === 6) expect(await recovered(file)).toEqual(truth);
      }
      expect(existsSync(`${file}.damaged`)).toBe(false);
      expect(whole).toBeLessThan(21);
    },
    SLOW_MS,
  );

  test(
    "one writes while another asks: no question fails, and what is new is seen",
    async () => {
      const file = newFile();
      const child = await writing(file, 1);
      const catalogue = openCatalogue(file);
      const store = embeddedStore(catalogue);
      const index = embeddedSearch(catalogue);
      const all = new Set(openNames());
      const expression = asSeriesId("0".repeat(40));
      if (expression === undefined) throw new Error("no identifier");
      const descriptor = {
        indom: "none",
        pmid: "none",
        semantics: "none",
        source: "",
        type: "",
        units: "",
      };
      const counts = new Set<number>();
      // For as long as it takes the other one to write something.
      for (let round = 0; round < 60 || (counts.size === 1 && round < 5000); round++) {
        const names = await store.names("metric");
        counts.add(names.length);
        for (const name of names) expect(all).toContain(name);
        for (const name of await index.suggest("sam", 5)) expect(all).toContain(name);
        await index.text({
          query: "sample",
          types: [],
          fields: [],
          returns: [],
          highlight: [],
          limit: 5,
          offset: 0,
        });
        if (round < 60 && round % 10 === 0)
          await store.fabricate(expression, String(round), descriptor);
        await Bun.sleep(10);
      }
      await child.kill();
      expect(counts.size).toBeGreaterThan(1);
      expect(await store.expressions([expression])).toEqual(["50"]);
      await rescan(catalogue, [directory]);
      expect(factsOf(catalogue)).toEqual(truth);
      catalogue.close();
    },
    SLOW_MS,
  );

  test(
    "two open a missing file at the same moment",
    async () => {
      for (let round = 0; round < 3; round++) {
        const file = newFile();
        const both = [0, 1].map(() => run(argvOf("once", file, directory)));
        for (const { stdout } of await Promise.all(both))
          expect(stdout).toBe(`open\n${NAMES.length}\n`);
        expect(await recovered(file)).toEqual(truth);
      }
    },
    SLOW_MS,
  );
});

/** Names of all metrics of the archives. */
function openNames(): readonly string[] {
  const catalogue = openCatalogue(":memory:");
  for (const name of NAMES) catalogue.put(name, "", surveyArchive(join(directory, name)));
  return catalogue.database
    .query<{ name: string }, []>("SELECT DISTINCT name FROM document WHERE type <> 0")
    .all()
    .map(({ name }) => name);
}
