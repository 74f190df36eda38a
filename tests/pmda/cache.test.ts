// Goal: instance caches give the numbers, codes and files that pmdaCache gives (spec pmda.md 14):
// the recorded session call by call, the files it saved, every file of cache/load, and the hash.
import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PcpError, pmErrStr } from "../../lib/base/mod.ts";
import {
  CACHE_STATE,
  type CacheEntry,
  cacheHash,
  createCache,
  type InstanceCache,
} from "../../lib/pmda/cache.ts";
import {
  cacheFilePath,
  cacheFileText,
  loadCache,
  parseCacheFile,
  saveCache,
} from "../../lib/pmda/cache-file.ts";
import { asInstance } from "../../lib/pcp/mod.ts";

const fixtures = join(import.meta.dir, "../fixtures/pmda/cache");
const text = (path: string): string => readFileSync(join(fixtures, path), "utf8");

/** What the recorder printed for a call: its result, or the code with its text. */
function outcome(call: () => number): string {
  try {
    return String(call());
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return `${error.code} ${pmErrStr(error.code)}`;
  }
}

const KEYS: Readonly<Record<string, Uint8Array>> = {
  "key-string": Buffer.from("abc"),
  "key-bytes": Uint8Array.of(1, 2, 3, 4),
  "key-high": Uint8Array.of(0x80, 0xff, 0xfe),
  "key-long": Buffer.from("abcdefghijklmnopqrstuvwxyz0123456789"),
  "name-only": new Uint8Array(0),
  "other-name": Buffer.from("abc"),
};

/** Makes the calls of the recorded session again, line by line. */
class Session {
  private readonly caches = new Map<number, InstanceCache>();
  private keyed = 0;

  constructor(private readonly folder: string) {}

  private cache(serial: number): InstanceCache {
    const cache = this.caches.get(serial) ?? createCache({ label: `99.${serial}` });
    this.caches.set(serial, cache);
    return cache;
  }

  private op(serial: number, name: string): number {
    const cache = this.cache(serial);
    const path = cacheFilePath(this.folder, 99, serial);
    switch (name) {
      case "LOAD":
        return loadCache(cache, path, () => undefined);
      case "SAVE":
        return saveCache(cache, path, "entries", 1795294595);
      case "SYNC":
        return saveCache(cache, path, "stamps", 1795294595);
      case "SIZE":
        return cache.sizes.all;
      case "SIZE_ACTIVE":
        return cache.sizes.active;
      case "SIZE_INACTIVE":
        return cache.sizes.inactive;
      case "ACTIVE":
        return cache.activateAll();
      case "INACTIVE":
        return cache.hideAll();
      case "CULL":
        return cache.cullAll();
      case "CHECK":
        return 1;
      case "STRINGS":
        cache.strings();
        return 0;
      case "REUSE":
        cache.reuse();
        return 0;
      case "REORG":
        cache.reorganize();
        return 0;
      default:
        throw new Error(`no operation ${name}`);
    }
  }

  private found(entry: CacheEntry | undefined): string {
    return entry === undefined ? "-12360 inst=-1" : `${entry.state} inst=${entry.id}`;
  }

  private store(serial: number, flag: string, name: string): number {
    const cache = this.cache(serial);
    if (flag === "HIDE") return cache.hide(name);
    return flag === "CULL" ? cache.cull(name) : cache.add(name);
  }

  private storeKey(name: string): number {
    const cache = this.cache(2);
    // The second store of key-string with another key of the same length.
    this.keyed += name === "key-string" ? 1 : 0;
    const key = this.keyed === 3 && name === "key-string" ? Buffer.from("xyz") : KEYS[name];
    return cache.addKeyed(name, key);
  }

  /** What we say to a recorded line; undefined for lines that are no calls. */
  run(line: string): string | undefined {
    const store = /^store\((\d+),(\w+),"(.*)"\)=/.exec(line);
    if (store !== null) {
      const [, serial = "", flag = "", given = ""] = store;
      const name = given === "<1099 x>" ? "x".repeat(1099) : given;
      return outcome(() => this.store(Number(serial), flag, name));
    }
    const key = /^storekey\(2,ADD,"(.*)",len=/.exec(line);
    if (key !== null) return outcome(() => this.storeKey(key[1] ?? ""));
    const op = /^op\((\d+),(\w+)\)=/.exec(line);
    if (op !== null && !/^(?:REWIND|NEXT|DUMP)/.test(op[2] ?? ""))
      return outcome(() => this.op(Number(op[1]), op[2] ?? ""));
    const name = /^lookupname\((\d+),"(.*)"\)=/.exec(line);
    if (name !== null) return this.found(this.cache(Number(name[1])).byName(name[2] ?? ""));
    const inst = /^lookup\((\d+),(\d+)\)=/.exec(line);
    if (inst !== null) {
      const entry = this.cache(Number(inst[1])).byId(asInstance(Number(inst[2])));
      return entry === undefined ? "-12360 name=(null)" : `${entry.state} name=${entry.name}`;
    }
    if (line.startsWith("lookupkey bytes")) {
      const entry = this.cache(2).byKey("", KEYS["key-bytes"]);
      return `${this.found(entry)} name=${entry?.name}`;
    }
    const size = /^resize (\d+)=/.exec(line);
    if (size === null) return undefined;
    return outcome(() => {
      this.cache(3).resize(Number(size[1]));
      return 0;
    });
  }

  active(serial: number): string {
    return this.cache(serial)
      .active()
      .map(({ id, name }) => `${id} "${name}"`)
      .join("\n");
  }
}

const withFolder = (use: (folder: string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-cache-"));
  try {
    use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

test("the recorded session gives the same results, call by call, and the same files", () => {
  withFolder((folder) => {
    const session = new Session(folder);
    let compared = 0;
    for (const line of text("session.txt").split("\n")) {
      const ours = session.run(line);
      if (ours === undefined) continue;
      compared += 1;
      const theirs = line
        .replace(/^.*?\)=|^[^=]*=/, "")
        .replace(/ (?:Unknown or illegal inst).*/, "");
      const given = /^(?:lookup|lookupname)\(/.test(line) ? ours : ours.replace(/ Unknown.*/, "");
      expect(`${line} -> ${given}`).toBe(`${line} -> ${theirs}`);
    }
    expect(compared).toBeGreaterThan(80);
    expect(session.active(9)).toBe('0 "one string"\n1 "one string with more"\n2 ""');
    for (const name of readdirSync(join(fixtures, "saved"))) {
      const stamps = (file: string): string => file.replace(/^(\d+) \d+ /gm, "$1 STAMP ");
      const ours = readFileSync(join(folder, "config/pmda", name), "utf8");
      expect(stamps(ours)).toBe(stamps(text(`saved/${name}`)));
    }
  });
});

/** The recorder's account of loading one file: messages, entries, count, the next number. */
function loadAccount(bytes: string): string {
  let account = "";
  withFolder((folder) => {
    const path = cacheFilePath(folder, 99, 8);
    const cache = createCache({ label: "99.8" });
    const shown = (message: string): string =>
      message.replace(`${folder}/config/pmda/99.8`, "@VAR@/config/pmda/99.8");
    expect(() => loadCache(cache, path, () => undefined)).toThrow(/ENOENT/);
    writeFileSync(path, bytes);
    let result = "";
    try {
      const lines = loadCache(cache, path, (level, message) => {
        account += `${level}: ${shown(message)}\n`;
      });
      result = `load=${lines}`;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      account += `Error: ${shown(error.message)}\n`;
      result = `load=${error.code} ${pmErrStr(error.code)}`;
    }
    for (const { id, name, key } of cache.save(0).records) {
      expect(cache.byId(asInstance(id))?.state).toBe(CACHE_STATE.INACTIVE);
      const hex = key === undefined ? "" : ` [key=0x${Buffer.from(key).toString("hex")}]`;
      account += `${id} ${name}${hex}\n`;
    }
    account += `${result}\nadd newone=${cache.add("newone")}\n`;
  });
  return account;
}

test("every recorded file loads as it does in PCP", () => {
  const recorded = text("load/expected.txt").split(/^== (.*)\n/m);
  for (let i = 1; i < recorded.length; i += 2) {
    const [name = "", account = ""] = recorded.slice(i, i + 2);
    // The dump says how names match; a bad header leaves its mode behind there.
    const theirs = account
      .replace(/^pmdaCacheDump.*\n/gm, "")
      .replace(/^ +(\d+) {2}inactive \(nil\) (.*?)(?: \[match len=\d+\])?$/gm, "$1 $2")
      .replace(/\n\n+/g, "\n")
      .replace(/^(load=\d+) $/m, "$1");

    expect(`${name}\n${loadAccount(text(`load/${name}`))}`).toBe(`${name}\n${theirs}`);
  }
});

test("the hash is that of the table in spec pmda.md 14", () => {
  const hashes: readonly [Uint8Array, number][] = [
    [Buffer.from("abc"), 0x251e4793],
    [Uint8Array.of(1, 2, 3, 4), 0x8c353ddc],
    [Buffer.from("name-only"), 0xfc1cfab4],
    [Uint8Array.of(0x80, 0xff, 0xfe), 0x85cc1a19],
    [Buffer.from("abcdefghijklmnopqrstuvwxyz0123456789"), 0x92c983c7],
  ];
  for (const [key, hash] of hashes) expect(cacheHash(key)).toBe(hash);
  expect(cacheHash(Buffer.from("abc"), 0x251e4793) & 0x7fffffff).toBe(207224748);
});

test("a keyed number stays below the largest one, as 7.2 makes it", () => {
  const cache = createCache();
  cache.resize(99);
  expect(cache.addKeyed("name", Buffer.from("abc"))).toBe(asInstance(0x251e4793 % 100));
});

test("numbers of reorganized entries come again only with reuse", () => {
  const cache = createCache();
  for (const name of ["a", "b", "c"]) cache.add(name);
  cache.cull("c");
  cache.reorganize();
  expect(cache.sizes).toEqual({ all: 2, active: 2, inactive: 0 });
  expect(cache.add("d")).toBe(asInstance(3));
  cache.reuse();
  expect(cache.add("e")).toBe(asInstance(2));
});

test("what was saved long ago is purged, what is new is not", () => {
  const cache = createCache();
  cache.add("old");
  cache.save(1000);
  cache.add("new");
  expect(cache.purge(60, 2000)).toBe(1);
  expect(cache.active().map(({ name }) => name)).toEqual(["new"]);
  expect(cache.changed).toBe("entries");
});

test("a value stays with its entry until another one is given", () => {
  const cache = createCache<string>();
  const id = cache.add("a", "first");
  cache.hide("a");
  cache.add("a");
  expect(cache.byId(id)?.value).toBe("first");
  cache.add("a", "second");
  expect(cache.active()).toMatchObject([{ value: "second" }]);
});

test("long names and line breaks come back as one record", () => {
  const cache = createCache();
  cache.add("x".repeat(3000));
  cache.add("two\nlines");
  const { contents, lines, fault } = parseCacheFile(cacheFileText(cache.save(7)));
  expect({ lines, fault }).toEqual({ lines: 2, fault: undefined });
  expect(contents?.records.map(({ name }) => name.length)).toEqual([3000, 9]);
});

test("a large domain keeps its numbers and stays quick", () => {
  const cache = createCache();
  for (let i = 0; i < 200_000; i++) cache.add(`instance ${i}`.replace(" ", "-"));
  cache.hideAll();
  expect(cache.add("instance-199999")).toBe(asInstance(199_999));
  expect(() => cache.resize(100)).toThrow("199999");
  expect(cache.active()).toHaveLength(1);
});
