// Goal: archives whose loggers or servers went away in the middle end with whole records, those without data
// go, and two servers in one directory do not touch each other's.
import { afterAll, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";
import { createPush, type Push, type PushTarget } from "../../lib/push/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { labelOf, recorded, recordsOf, withHost } from "./pushing.ts";

const BASE = recorded("rec/v3-labels-721");
const LABEL = withHost(labelOf(`${BASE}.meta`), "h");
const [META, INDEX, DATA] = (["meta", "index", "0"] as const).map((ending) =>
  Uint8Array.from(Buffer.concat(recordsOf(`${BASE}.${ending}`))),
) as [Uint8Array, Uint8Array, Uint8Array];
const VOLUME: PushTarget = { kind: "volume", volume: 0 };
const visible = (folder: string): string[] =>
  readdirSync(folder).filter((name) => !name.startsWith("."));
const opened: Push[] = [];
afterAll(() => Promise.all(opened.map((push) => push.close())));

function start(directory = join(privateFolder("push-ending"), "pushed")) {
  const lines: string[] = [];
  const push = createPush({
    directory,
    settings: () => ({ freeBytes: 0, syncMs: -1 }),
    log: { write: (level, text) => void lines.push(`${level} ${text}`) },
  });
  opened.push(push);
  return { push, directory, lines };
}

/** Pushes parts of an archive; its path without suffix. */
async function pushParts(
  { push, directory }: ReturnType<typeof start>,
  parts: readonly (readonly [PushTarget, Uint8Array])[],
): Promise<string> {
  const metas = (): string[] =>
    visible(join(directory, "h")).filter((name) => name.endsWith(".meta"));
  const before = existsSync(join(directory, "h")) ? metas() : [];
  const outcome = await push.label(LABEL, undefined);
  if (outcome.status !== 200) throw new Error(`label: ${outcome.status}`);
  for (const [target, bytes] of parts)
    expect(await push.append(outcome.archive, target, bytes)).toBe(200);
  const name = metas().find((each) => !before.includes(each)) ?? "";
  return join(directory, "h", name.replace(/\.meta$/, ""));
}

/** Records of the first volume, read to its end. */
function countRecords(base: string): number {
  const cursor = new ArchiveCursor(openArchive(base));
  let count = 0;
  while (cursor.next()) count += 1;
  cursor.close();
  return count;
}
const RECORDS = recordsOf(`${BASE}.0`).length;

test("a push that ends in the middle of a record leaves whole ones, and an index of these", async () => {
  const server = start();
  const half = DATA.subarray(0, Math.floor(DATA.length * 0.9));
  const base = await pushParts(server, [
    [{ kind: "meta" }, META],
    [{ kind: "index" }, INDEX],
    [VOLUME, half.subarray(0, 1000)],
    [VOLUME, half.subarray(1000)],
  ]);
  server.push.reset();
  await server.push.close();
  const count = countRecords(base);
  expect(count).toBeGreaterThan(1);
  expect(count).toBeLessThan(RECORDS);
  expect(readFileSync(`${base}.0`).length).toBeLessThan(808 + half.length);
  expect(readFileSync(`${base}.index`).length).toBeLessThan(808 + INDEX.length);
  expect(server.lines.every((line) => line.includes("were not pushed whole"))).toBe(true);
  expect(readdirSync(join(server.directory, "h")).some((name) => name.startsWith("."))).toBe(false);
});

test("what is whole stays byte for byte, and what are no records", async () => {
  const server = start();
  const whole = await pushParts(server, [
    [{ kind: "meta" }, META],
    [VOLUME, DATA],
    [{ kind: "index" }, INDEX],
  ]);
  const odd = await pushParts(server, [
    [{ kind: "meta" }, new Uint8Array(9)],
    [{ kind: "index" }, new Uint8Array(32)],
    [VOLUME, new Uint8Array(10)],
  ]);
  await server.push.close();
  for (const [ending, bytes] of [
    ["meta", META],
    ["0", DATA],
    ["index", INDEX],
  ] as const)
    expect(readFileSync(`${whole}.${ending}`).subarray(808).equals(bytes)).toBe(true);
  expect(readFileSync(`${odd}.0`).length).toBe(818);
  expect(server.lines).toEqual([]);
});

test("an index without entries goes: with it nothing opens the archive", async () => {
  const server = start();
  const base = await pushParts(server, [
    [{ kind: "meta" }, META],
    [VOLUME, DATA],
  ]);
  await server.push.close();
  expect(existsSync(`${base}.index`)).toBe(false);
  expect(countRecords(base)).toBe(RECORDS);
});

test("an archive without data goes when it ends", async () => {
  const server = start();
  await pushParts(server, [[{ kind: "meta" }, META]]);
  await pushParts(server, []);
  expect(visible(join(server.directory, "h"))).toHaveLength(4);
  await server.push.close();
  expect(readdirSync(join(server.directory, "h"))).toEqual([]);
  expect(readdirSync(server.directory)).toEqual(["h"]);
});

test("an archive without data goes when its server was killed", async () => {
  const first = start();
  await pushParts(first, [[{ kind: "meta" }, META]]);
  const copy = join(privateFolder("push-killed"), "pushed");
  cpSync(first.directory, copy, { recursive: true });
  await start(copy).push.close();
  expect(readdirSync(join(copy, "h"))).toEqual([]);
  // Nor the lock of the killed one.
  expect(readdirSync(copy)).toEqual(["h"]);
});

/** A copy of what a server wrote, as the next one finds it; `boot`: of another start of the machine. */
function leftBehind(directory: string, boot: "same" | "other"): string {
  const copy = join(privateFolder("push-left"), "pushed");
  cpSync(directory, copy, { recursive: true });
  for (const name of readdirSync(join(copy, "h"))) {
    const path = join(copy, "h", name);
    const [owner] = readFileSync(path, "utf8").split(" ");
    if (name.endsWith(".pushing") && boot === "other") writeFileSync(path, `${owner} other\n`);
  }
  return copy;
}

test("after a power cut data that are missing in the middle end an archive", async () => {
  const first = start();
  const base = await pushParts(first, [
    [{ kind: "meta" }, META],
    [VOLUME, DATA],
    [{ kind: "index" }, INDEX],
  ]);
  const records = recordsOf(`${BASE}.0`);
  const hole = records.slice(0, 2).reduce((sum, { length }) => sum + length, 808);
  const bytes = Uint8Array.from(readFileSync(`${base}.0`));
  bytes.fill(0, hole, hole + (records[2]?.length ?? 0));
  writeFileSync(`${base}.0`, bytes);
  const sizeAfter = async (boot: "same" | "other"): Promise<number> => {
    const copy = leftBehind(first.directory, boot);
    await start(copy).push.close();
    return readFileSync(base.replace(first.directory, copy) + ".0").length;
  };
  expect(await sizeAfter("other")).toBe(hole);
  // Killed on the same day: whatever it is, it was written so.
  expect(await sizeAfter("same")).toBe(bytes.length);
});

test("after a power cut data without metadata go", async () => {
  const first = start();
  const base = await pushParts(first, [
    [{ kind: "meta" }, META],
    [VOLUME, DATA],
    [{ kind: "index" }, INDEX],
  ]);
  truncateSync(`${base}.meta`, 808);
  const copy = leftBehind(first.directory, "other");
  await start(copy).push.close();
  expect(readdirSync(join(copy, "h"))).toEqual([]);
});

test("a server that begins in the directory of another one leaves its archives alone", async () => {
  const first = start();
  const half = DATA.subarray(0, DATA.length - 3);
  const base = await pushParts(first, [
    [{ kind: "meta" }, META],
    [VOLUME, half],
  ]);
  const second = start(first.directory);
  const other = await pushParts(second, [
    [{ kind: "meta" }, META],
    [VOLUME, DATA],
    [{ kind: "index" }, INDEX],
  ]);
  expect(other).not.toBe(base);
  await second.push.close();
  expect(readFileSync(`${base}.0`).length).toBe(808 + half.length);
  await first.push.close();
  expect(countRecords(base)).toBe(RECORDS - 1);
  expect(countRecords(other)).toBe(RECORDS);
  expect(second.lines).toEqual([]);
});

test("files that somebody else wrote to are not mended", async () => {
  const server = start();
  const half = DATA.subarray(0, DATA.length - 3);
  const base = await pushParts(server, [
    [{ kind: "meta" }, META],
    [VOLUME, half],
  ]);
  const longer = new Uint8Array(readFileSync(`${base}.0`).length + 5);
  await Bun.write(`${base}.0`, longer);
  await server.push.close();
  expect(readFileSync(`${base}.0`).length).toBe(longer.length);
  expect(existsSync(`${base}.meta`)).toBe(true);
});
