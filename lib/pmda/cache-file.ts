// The file of an instance cache (spec pmda.md 14.1): a header `2 MODE MAXINST`, then lines
// `INST STAMP [HEXKEY] NAME`. Read as leniently as PCP does; a bad header or a record without a name
// is PM_ERR_GENERIC with the line, and records before it stay loaded. Unlike PCP, lines are read
// whole whatever their length.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { asPcpError, PcpError, PM_ERR, utf8Text } from "../base/mod.ts";
import type { CacheChange, CacheContents, CacheRecord, InstanceCache } from "./cache.ts";

const MAX_INSTANCE = 0x7fffffff;
/** Larger files are none of PCP's: an instance domain has no more than some 100000 instances. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;

/** What reading found: the contents as far as they go, and what is wrong after them. */
export interface CacheFile {
  readonly contents: CacheContents | undefined;
  /** Lines after the header that were read. */
  readonly lines: number;
  /** `illegal record: LINE`, `illegal cache header record: LINE`; undefined when all is well. */
  readonly fault: string | undefined;
}

const HEADER = /^\s*(?:1\s+([+-]?\d+)|2\s+([+-]?\d+)\s+([+-]?\d+))/;
// White space, the instance, white space, the stamp, white space, and what comes then.
const RECORD = /^\s*(\d*)\s*(\d*)\s*([^]*)$/;

/**
 * Bytes of a key as PCP reads them: each two characters as one number, and what is none as the
 * number before it.
 */
function keyFrom(text: string, before: { byte: number }): Uint8Array {
  const key = new Uint8Array(text.length >> 1);
  for (let i = 0; i < key.length; i++) {
    const digits = /^\s*([0-9a-f]{1,2})/i.exec(text.slice(2 * i));
    if (digits?.[1] !== undefined && !/^\s*0x/i.test(text.slice(2 * i)))
      before.byte = Number.parseInt(digits[1], 16);
    key[i] = before.byte;
  }
  return key;
}

function recordFrom(line: string, before: { byte: number }): CacheRecord | undefined {
  const [, id = "", stamp = "", rest = ""] = RECORD.exec(line) ?? [];
  const key = /^\[([^\]]*)\]\s*/.exec(rest);
  const name = rest.slice(key?.[0].length ?? 0);
  if (name === "") return undefined;
  return {
    id: Number(id) & MAX_INSTANCE,
    stamp: Number(stamp),
    key: key?.[1] === undefined ? undefined : keyFrom(key[1], before),
    name,
  };
}

/** Reads a file; never throws. An empty text has no contents and no fault. */
export function parseCacheFile(text: string): CacheFile {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const [first] = lines;
  if (first === undefined) return { contents: undefined, lines: 0, fault: undefined };
  const [, mode1, mode2, max2] = HEADER.exec(first) ?? [];
  const mode = Number(mode1 ?? mode2 ?? -1);
  const max = mode1 === undefined ? Number(max2 ?? -1) : MAX_INSTANCE;
  if ((mode !== 0 && mode !== 1) || max < 0 || max > MAX_INSTANCE) {
    const fault = `illegal cache header record: ${first}`;
    return { contents: undefined, lines: 0, fault };
  }
  const records: CacheRecord[] = [];
  const before = { byte: 0 };
  for (const line of lines.slice(1)) {
    const record = recordFrom(line, before);
    if (record === undefined) {
      const fault = `illegal record: ${line}`;
      return { contents: { mode, max, records }, lines: records.length, fault };
    }
    records.push(record);
  }
  return { contents: { mode, max, records }, lines: records.length, fault: undefined };
}

/** The text of a file. A line break within a name would split its record: it becomes a blank. */
export function cacheFileText({ mode, max, records }: CacheContents): string {
  const lines = records.map(({ id, stamp, key, name }) => {
    const hex = key === undefined ? "" : `[${Buffer.from(key).toString("hex")}] `;
    return `${id} ${stamp} ${hex}${name.replaceAll("\n", " ")}\n`;
  });
  return `2 ${mode} ${max}\n${lines.join("")}`;
}

/** Where the file of an instance domain is, below $PCP_VAR_DIR. */
export const cacheFilePath = (varDir: string, domain: number, serial: number): string =>
  join(varDir, "config", "pmda", `${domain}.${serial}`);

/** Message and level of something that does not stop the work. */
export type CacheWarn = (level: "Error" | "Warning", text: string) => void;

const makeFolder = (path: string): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
};

/**
 * PMDA_CACHE_LOAD: the entries of the file, inactive; returns the lines read, 0 for an empty file.
 * Throws PcpError: a negated errno (ENOENT when there is no file), PM_ERR_GENERIC for a bad one.
 */
export function loadCache(cache: InstanceCache, path: string, warn: CacheWarn): number {
  let text: string;
  try {
    makeFolder(path);
    const bytes = readFileSync(path);
    if (bytes.length > MAX_FILE_BYTES)
      throw new PcpError(PM_ERR.TOOBIG, `${path}: ${bytes.length} bytes`);
    text = utf8Text(bytes);
  } catch (error) {
    throw asPcpError(error);
  }
  const { contents, lines, fault } = parseCacheFile(text);
  if (contents !== undefined) {
    cache.load(contents, ({ id, name }, by) =>
      warn(
        "Warning",
        `pmdaCacheOp: ${path}: loading instance ${id} ("${name}") ignored, already in cache as ${by.id} ("${by.name}")`,
      ),
    );
  }
  if (fault !== undefined) throw new PcpError(PM_ERR.GENERIC, `pmdaCacheOp: ${path}: ${fault}`);
  if (contents === undefined) warn("Error", `pmdaCacheOp: ${path}: empty file?`);
  return lines;
}

/** When a save writes: PMDA_CACHE_SAVE, PMDA_CACHE_SYNC, PMDA_CACHE_WRITE. */
export type CacheSaveWhen = "entries" | "stamps" | "always";

const DUE: Readonly<Record<CacheSaveWhen, readonly CacheChange[]>> = {
  entries: ["entries"],
  stamps: ["entries", "stamps"],
  always: ["entries", "stamps", "nothing"],
};

/**
 * Writes the file when there is reason to; returns the entries written, 0 when there was none.
 * Throws PcpError, a negated errno. `now` is in seconds since 1970.
 */
export function saveCache(
  cache: InstanceCache,
  path: string,
  when: CacheSaveWhen,
  now: number = Math.floor(Date.now() / 1000),
): number {
  if (!DUE[when].includes(cache.changed)) return 0;
  try {
    makeFolder(path);
    const contents = cache.save(now);
    writeFileSync(path, cacheFileText(contents), { mode: 0o644 });
    return contents.records.length;
  } catch (error) {
    throw asPcpError(error);
  }
}
