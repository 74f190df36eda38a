// Goal: compressed archive files read at random exactly as plain ones do, for every form that xz, bzip2,
// gzip, compress and zstd write; damage is an error that names file, offset and reason, and what
// precedes it stays readable; memory stays bounded; a plain file may grow while it is read. What
// libraries of the system decode, our own decoders decode with the same result and the same errors.
import { afterAll, expect, test } from "bun:test";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import { compressionOf, MAX_CACHE_BYTES, openArchiveFile } from "../../lib/archive/file.ts";
import { libraries } from "../../lib/archive/decompress-library.ts";
import { skipAloud } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { numbers, sample, SAMPLE_BYTES } from "./compressed-sample.ts";

const fixtures = join(import.meta.dir, "../fixtures/compressed");
const names = readdirSync(fixtures)
  .filter((name) => compressionOf(name) !== undefined)
  .sort();
/** Samples that a library of the system decodes where it is there. */
const xzNames = names.filter((name) => name.endsWith(".xz"));
const bzip2Names = names.filter((name) => /\.bz2?$/.test(name));
/** Every sample, and those once more with our own decoder. */
const ways = [
  ...names.map((name) => [name, true] as const),
  ...[...xzNames, ...bzip2Names].map((name) => [name, false] as const),
];
const plain = sample();
const folder = privateFolder("compressed");
const opened: { close(): void }[] = [];
afterAll(() => opened.forEach((file) => file.close()));

function open(path: string, library = true): ReturnType<typeof openArchiveFile> {
  const file = openArchiveFile(path, { library });
  opened.push(file);
  return file;
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

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

test("the samples have every suffix", () => {
  const suffixes = new Set(names.map((name) => compressionOf(name)));
  expect([...suffixes].sort()).toEqual([".Z", ".bz", ".bz2", ".gz", ".lzma", ".xz", ".z", ".zst"]);
});

// First, while nobody else has these files open and decoded.
test("sizes that the file states are known at once", () => {
  for (const name of ["single.xz", "blocks.xz", "streams.xz", "sample.zst", "frames.zst"]) {
    expect(open(join(fixtures, name)).size).toBe(SAMPLE_BYTES);
  }
  expect(open(join(fixtures, "sample.gz")).size).toBeUndefined();
});

test.each(ways)("%s (library: %p): whole, at random places, backwards", (name, library) => {
  const file = open(join(fixtures, name), library);
  const next = numbers(7);
  for (let i = 0; i < 60; i++) {
    const position = next() % (SAMPLE_BYTES + 1000);
    const length = next() % (i % 10 === 0 ? SAMPLE_BYTES : 5000);
    const bytes = file.read(position, length);
    expect(same(bytes, plain.subarray(position, position + length))).toBe(true);
  }
  for (let end = SAMPLE_BYTES; end > 0; end -= 30_011) {
    const from = Math.max(0, end - 30_011);
    expect(same(file.read(from, end - from), plain.subarray(from, end))).toBe(true);
  }
  expect(file.read(Number.MAX_SAFE_INTEGER - 1, 1).length).toBe(0);
  expect(file.size).toBe(SAMPLE_BYTES);
  expect(file.read(SAMPLE_BYTES, 10).length).toBe(0);
  expect(same(file.read(0, SAMPLE_BYTES * 2), plain)).toBe(true);
});

test("the forms of one family are told apart by their first bytes", () => {
  const path = join(folder, "lzw.gz");
  writeFileSync(path, readFileSync(join(fixtures, "sample.Z")));
  expect(same(open(path).read(0, SAMPLE_BYTES), plain)).toBe(true);
});

test(".lzma data whose head has the size need no end mark", () => {
  const bytes = readFileSync(join(fixtures, "sample.lzma"));
  bytes.writeBigUInt64LE(BigInt(SAMPLE_BYTES), 5);
  const path = join(folder, "sized.lzma");
  writeFileSync(path, bytes);
  const file = open(path);
  expect(file.size).toBe(SAMPLE_BYTES);
  expect(same(file.read(0, SAMPLE_BYTES), plain)).toBe(true);
});

test.each(ways)("%s (library: %p) cut short: its start, then an error", (name, library) => {
  const whole = readFileSync(join(fixtures, name));
  // A block of bzip2 cannot be decoded in part, and most of the sample is in the first one.
  for (const share of compressionOf(name) === ".bz2" ? [0.97, 0.999] : [0.97, 0.6]) {
    const path = join(folder, `cut-${share}-${name}`);
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)));
    const file = open(path, library);
    const start = file.read(0, SAMPLE_BYTES);
    expect(start.length).toBeGreaterThan(SAMPLE_BYTES * 0.25);
    expect(start.length).toBeLessThan(SAMPLE_BYTES);
    expect(same(start, plain.subarray(0, start.length))).toBe(true);
    if (/z$/i.test(name) && compressionOf(name)?.toLowerCase() === ".z") continue;
    const error = refusal(() => file.read(start.length, 1));
    expect(error.code).toBe(PM_ERR.LOGREC);
    expect(error.message).toContain(path);
    expect(error.message).toMatch(/broken at offset \d+: /);
    // The error does not take away what was readable.
    expect(same(file.read(10, 1000), plain.subarray(10, 1010))).toBe(true);
  }
});

/** Reads all of a file of these bytes; what was read before an error, and the error. */
function readAll(
  name: string,
  bytes: Uint8Array,
  library = true,
): { data: Uint8Array; error?: PcpError } {
  const path = join(folder, `fuzz-${name}`);
  writeFileSync(path, bytes);
  let file: ReturnType<typeof openArchiveFile> | undefined;
  let data: Uint8Array = new Uint8Array(0);
  try {
    file = openArchiveFile(path, { library });
    data = file.read(0, 8 * SAMPLE_BYTES).slice();
    file.read(data.length, 1);
    return { data };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { data, error };
  } finally {
    file?.close();
  }
}

const WITHOUT_CHECKSUM = new Set([
  "sample.Z",
  "narrow.z",
  "sample.lzma",
  "streams.xz",
  "frames.zst",
]);

/** Up to three bytes of a file changed, most often in its head or at its end. */
function changed(whole: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.record({
    at: fc.oneof(
      fc.nat({ max: 40 }),
      fc.nat({ max: whole.length - 1 }),
      fc.integer({ min: whole.length - 60, max: whole.length - 1 }),
    ),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  return fc.array(place, { minLength: 1, maxLength: 3 }).map((changes) => {
    const bytes = Uint8Array.from(whole);
    for (const { at, byte } of changes) bytes[at] = (bytes[at] ?? 0) ^ byte;
    return bytes;
  });
}

test.each(names)("%s with wrong bytes: an error of ours, or the right data", (name) => {
  fc.assert(
    fc.property(changed(readFileSync(join(fixtures, name))), (bytes) => {
      const { data, error } = readAll(name, bytes);
      if (error !== undefined) expect(error.message).toContain(name);
      else if (!WITHOUT_CHECKSUM.has(name)) expect(same(data, plain)).toBe(true);
    }),
    { numRuns: 25, seed: 1 },
  );
});

function compareDecoders(name: string): void {
  const whole = readFileSync(join(fixtures, name));
  fc.assert(
    fc.property(changed(whole), fc.boolean(), fc.nat({ max: whole.length }), (bytes, cut, at) => {
      const file = cut ? bytes.subarray(0, at) : bytes;
      const theirs = readAll(name, file);
      const ours = readAll(name, file, false);
      expect(ours.error?.message).toBe(theirs.error?.message ?? "");
      expect(ours.error?.code).toBe(theirs.error?.code ?? 0);
      expect(same(ours.data, theirs.data)).toBe(true);
    }),
    { numRuns: 40, seed: 2 },
  );
}

const COMPARED = "%s, changed and cut: the same with and without the library";
if (libraries().lzma) test.each(xzNames)(COMPARED, compareDecoders);
else skipAloud(COMPARED, "no liblzma");
if (libraries().bzip2) test.each(bzip2Names)(COMPARED, compareDecoders);
else skipAloud(COMPARED, "no libbz2");

test("a decoder that is left early gives its memory back", () => {
  // A block whose head asks for a window of 128 MiB: the library reserves it at once.
  const bytes = Uint8Array.from(readFileSync(join(fixtures, "single.xz")));
  const head = bytes.subarray(12, 12 + 4 * ((bytes[12] ?? 0) + 1));
  head[4] = 30;
  new DataView(head.buffer, head.byteOffset).setUint32(
    head.length - 4,
    crc32(head.subarray(0, -4)),
    true,
  );
  const path = join(folder, "window.xz");
  writeFileSync(path, bytes);
  const reserved = (): number =>
    process.platform === "linux"
      ? Number(/^VmData:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1])
      : 0;
  const before = reserved();
  for (let i = 0; i < 20; i++) {
    const file = openArchiveFile(path);
    expect(same(file.read(0, 1000), plain.subarray(0, 1000))).toBe(true);
    file.close();
  }
  expect(reserved() - before).toBeLessThan(1024 * 1024);
});

test.each([".xz", ".lzma", ".bz2", ".gz", ".Z", ".zst"])(
  "noise in a %s file is refused",
  (suffix) => {
    const next = numbers(3);
    for (const length of [0, 1, 3, 12, 13, 400]) {
      const noise = Uint8Array.from({ length }, () => next() >>> 8);
      const { data, error } = readAll(`noise${suffix}`, noise);
      expect(error?.code ?? (data.length > 0 ? 0 : -1)).toBeLessThan(0);
    }
  },
);

test("a head that asks for a huge window or size costs no memory", () => {
  const head = new Uint8Array(60);
  head.set([0x5d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  expect(readAll("window.lzma", head).error?.message).toContain("a window of 4294967295 bytes");
  head.set([0x5d, 0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0, 0]);
  expect(readAll("size.lzma", head).error?.code).toBe(PM_ERR.LOGREC);
});

test("data over the size of the cache are read from any place", () => {
  const size = MAX_CACHE_BYTES + 8 * 1024 * 1024 + 12_345;
  const big = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0; i < big.length; i++) big[i] = i >>> 3;
  const bytes = new Uint8Array(big.buffer, 0, size);
  for (const [name, packed] of [
    ["big.gz", Bun.gzipSync(bytes, { level: 1 })],
    ["big.zst", Bun.zstdCompressSync(bytes, { level: 1 })],
  ] as const) {
    writeFileSync(join(folder, name), packed);
    const file = open(join(folder, name));
    for (const position of [0, size - 1000, 5, size - 500_000, size / 2, 1_000_000]) {
      const at = Math.floor(position);
      expect(same(file.read(at, 900), bytes.subarray(at, at + 900))).toBe(true);
    }
    expect(file.read(size, 1).length).toBe(0);
    expect(file.size).toBe(size);
  }
});

test("who has a file open reads on when another closes it", () => {
  const name = names[0] ?? "";
  const first = open(join(fixtures, name));
  const second = openArchiveFile(join(fixtures, name));
  expect(same(second.read(0, 5000), plain.subarray(0, 5000))).toBe(true);
  second.close();
  second.close();
  expect(same(first.read(3000, 5000), plain.subarray(3000, 8000))).toBe(true);
  const third = open(join(fixtures, name));
  expect(same(third.read(50_000, 5000), plain.subarray(50_000, 55_000))).toBe(true);
});

test("a plain file that grows is read again", () => {
  const path = join(folder, "plain.0");
  writeFileSync(path, "first");
  const file = open(path);
  expect(Buffer.from(file.read(0, 100)).toString()).toBe("first");
  expect(file.read(5, 10).length).toBe(0);
  appendFileSync(path, " and second");
  expect(file.size).toBe(16);
  expect(Buffer.from(file.read(0, 100)).toString()).toBe("first and second");
});

test("a file that is not there has the errno of the system", () => {
  expect(refusal(() => openArchiveFile(join(folder, "none.0"))).code).toBe(-2);
  expect(refusal(() => openArchiveFile(join(folder, "none.0.xz"))).code).toBe(-2);
});
