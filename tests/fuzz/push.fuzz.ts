// Fuzzes archives that loggers push: labels, paths and bodies that are nearly right, and files that are torn
// afterwards. The promise: one reply with a status of the API; files only below the directory of a host, none
// of them before a good label; records that were acknowledged whole are there in their order, with nothing
// but what was sent behind them, and no files without data; mending ends, and has nothing left to do the
// second time.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { mendArchive } from "../../lib/archive/mod.ts";
import { createPush } from "../../lib/push/mod.ts";
import { createLoggerApi } from "../../lib/web/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { labelOf, recorded, recordsOf } from "../push/pushing.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

/** An archive with its requests costs as much as so many inputs of other fuzzers. */
const ARCHIVES = 150;
const REQUESTS = 40;
const STATUSES: readonly number[] = [200, 400, 403, 409, 410, 422, 500, 503];
const NAMES = ["rec/v2-dyn", "rec/v3-dyn-721", "rec/v3-labels-721"];
// Copies that are no Buffers: a slice of a Buffer is no copy, and mutations are made in slices.
const LABELS = NAMES.map((name) => Uint8Array.from(labelOf(`${recorded(name)}.meta`)));
const RECORDS = NAMES.flatMap((name) =>
  ["meta", "0", "index"].flatMap((ending) => recordsOf(`${recorded(name)}.${ending}`)),
).map((bytes) => Uint8Array.from(bytes));
const PARTS = ["meta", "index", "volume/0", "volume/1", "volume/5000", "volume/x", "label", "ping"];
const QUERIES = ["", "client=x", "polltimeout=1e9", "polltimeout=x", "polltimeout=-1", "%zz"];
const HOST = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

const body = (random: Random): Uint8Array =>
  random.below(3) === 0 ? mutate(random.pick(RECORDS), random, RECORDS) : random.pick(RECORDS);

async function session(random: Random, folder: string): Promise<void> {
  const directory = join(folder, "pushed");
  const push = createPush({
    directory,
    settings: () => ({ freeBytes: 0, syncMs: random.below(2) - 1, bodyBytes: 1000 }),
    log: { write: () => undefined },
  });
  const api = createLoggerApi(push);
  const ask = async (method: string, path: string, bytes: Uint8Array | undefined) => {
    const header = (): undefined => undefined;
    const request = { method, path, query: random.pick(QUERIES), header };
    const reply = await api.answer(bytes === undefined ? request : { ...request, body: bytes });
    if (reply === undefined || !STATUSES.includes(reply.status))
      throw new Error(`${method} ${path}: status ${reply?.status}`);
    return { status: reply.status, text: String(reply.body) };
  };
  const label = random.pick(LABELS);
  const given = random.below(2) === 0 ? label : mutate(label, random, LABELS);
  const { status, text } = await ask("POST", "/logger/label", given);
  const archive = Number(/\d+/.exec(text)?.[0] ?? random.below(9));
  const taken = new Map<string, Uint8Array[]>();
  for (let i = 0; i < REQUESTS; i++) {
    const part = random.pick(PARTS.slice(0, -random.below(2) || undefined));
    const number = random.below(9) === 0 ? random.word() : archive;
    const bytes = random.below(9) === 0 ? undefined : body(random);
    const method = random.below(9) === 0 ? "GET" : "POST";
    const got = await ask(method, `/logger/${part}/${number}`, bytes);
    if (got.status !== 200 || number !== archive || bytes === undefined || !/[mxe]/.test(part))
      continue;
    taken.set(part, [...(taken.get(part) ?? []), bytes]);
  }
  await push.close();
  if (status === 200) check(random, directory, taken);
}

/** Shorter ones are no data records, in neither version. */
const SHORTEST = 24;

/** Bytes of the whole records that bytes begin with. */
function wholeRecords(bytes: Buffer): number {
  for (let at = 0; ;) {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : 0;
    const isWhole = length >= SHORTEST && at + length <= bytes.length;
    if (!isWhole || bytes.readUInt32BE(at + length - 4) !== length) return at;
    at += length;
  }
}

/** Looks at what was written, tears it and mends it. */
function check(random: Random, directory: string, taken: Map<string, Uint8Array[]>): void {
  const hosts = readdirSync(directory);
  if (hosts.some((name) => !HOST.test(name))) throw new Error(`directories ${hosts.join()}`);
  for (const host of hosts) {
    const folder = join(directory, host);
    const names = readdirSync(folder);
    if (names.some((name) => !/^\d{8}\.\d\d\.\d\d(-\d\d)?\.(meta|index|\d+)$/.test(name)))
      throw new Error(`files ${names.join()}`);
    if (names.length === 0 || hosts.length > 1) continue;
    const base = join(folder, (names[0] ?? "").replace(/\.[^.]*$/, ""));
    const hasData = names.some((name) => /\.\d+$/.test(name));
    if (!hasData) throw new Error(`files without data: ${names.join()}`);
    for (const [part, bodies] of taken) {
      if (part === "label" || part === "ping") continue;
      const all = Buffer.concat(bodies);
      const path = `${base}.${part.replace("volume/", "")}`;
      const whole = part === "index" || !hasData ? 0 : wholeRecords(all);
      if (!existsSync(path)) {
        if (whole > 0) throw new Error(`${part} is gone`);
        continue;
      }
      const bytes = readFileSync(path);
      const there = bytes.subarray(bytes.readUInt32BE(0));
      if (there.length < whole || !all.subarray(0, there.length).equals(there))
        throw new Error(`${part} differs`);
    }
    for (const name of names) {
      const path = join(folder, name);
      const size = readFileSync(path).length;
      if (random.below(2) === 0) truncateSync(path, random.below(size + 1));
    }
    mendArchive(base);
    if (mendArchive(base).length > 0) throw new Error("mended twice");
  }
}

/** See the head of the file. */
export const fuzzPush: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  const folder = privateFolder("fuzz-push");
  for (let iteration = 0; iteration < iterations; iteration += ARCHIVES)
    try {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "other"), "");
      await session(random, folder);
      const names = readdirSync(folder).filter((name) => name !== "pushed");
      if (names.join() !== "other") throw new Error(`files ${names.join()}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FuzzFinding("push", seed, iteration, "see the seed", reason, { cause: error });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
};
