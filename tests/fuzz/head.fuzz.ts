// Fuzzes the scanner of plain HTTP heads, those of pushed bodies included, with heads made of likely and
// unlikely parts, some of their bytes changed. The promises: it finds plain exactly what a regular
// expression for plain heads matches, in the same places; every shorter beginning of a plain head is
// partial; what is other stays other, however it goes on.
import { headerIn, latin1, newHead, PLAIN_BODY_MAX, scanHead } from "../../lib/server/head.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const PLAIN =
  /^(GET(?= )|HEAD(?= )|POST(?= \/logger\/)) (\/[!-~]*) HTTP\/1\.1\r\n((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~]*\r\n)*)\r\n/;
const BARRED =
  /^(expect|upgrade|proxy-connection|transfer-encoding|http2-settings):|^connection:(?![\t ]*(?:keep-alive|close)[\t ]*$)/im;

const METHODS = ["GET ", "HEAD ", "POST ", "POST ", "GET", "get ", "HEAP ", ""] as const;
const TARGETS = [
  "/",
  "/logger/x",
  "/logger/x",
  "/a?b=c",
  "*",
  "/%20",
  "http://x/",
  "",
  "/a b",
  "/\x7f",
  "/\xe9",
] as const;
const VERSIONS = [
  " HTTP/1.1\r\n",
  " HTTP/1.0\r\n",
  " HTTP/1.1\n",
  "\r\n",
  " HTTP/1.1 \r\n",
] as const;
const LINES = [
  "Host: x\r\n",
  "X-A:\t 1 2 \t\r\n",
  "x-a: 3\r\n",
  "X-A:\r\n",
  "Connection: close\r\n",
  "connection:Keep-Alive \r\n",
  "Connection: upgrade\r\n",
  "Content-Length: 3\r\n",
  "content-length:\t065536 \r\n",
  "Content-Length: 65537\r\n",
  "Content-Length: +3\r\n",
  "Content-Length:\r\n",
  "Expect: x\r\n",
  "Keep-Alive: 3\r\n",
  "X-A : 1\r\n",
  " folded\r\n",
  "X-A: 1\n",
  "X-A: 1\r",
  "X\xe9: 1\r\n",
  "X-A: \xe9\r\n",
] as const;
const LIMITS = { bytes: 400, targetBytes: 40, count: 5 };

/** One of a list whose first member is the likeliest. */
const likely = (random: Random, list: readonly string[]): string =>
  random.below(4) === 0 ? random.pick(list) : (list[0] ?? "");

function headBytes(random: Random): Uint8Array {
  const lines = Array.from({ length: random.below(7) }, () => random.pick(LINES)).join("");
  const target = likely(random, TARGETS) + "a".repeat(random.below(12) === 0 ? 36 : 0);
  const isPush = random.below(3) === 0;
  const start = isPush ? "POST /logger/x" : `${likely(random, METHODS)}${target}`;
  const text = `${start}${likely(random, VERSIONS)}${lines}\r\n`;
  const bytes = new Uint8Array(Buffer.from(text, "latin1"));
  return random.below(3) === 0 ? mutate(bytes, random, [bytes]) : bytes;
}

/** Bytes of the body that follows a head; undefined: the head is not plain. */
function lengthOf(method: string, lines: readonly string[]): number | undefined {
  const given = lines.filter((line) => /^content-length:/i.test(line));
  if (method !== "POST") return given.length === 0 ? 0 : undefined;
  const [, digits] = /^[^:]*:[\t ]*(\d+)[\t ]*$/.exec(given[0] ?? "") ?? [];
  if (given.length !== 1 || digits === undefined) return undefined;
  return Number(digits) > PLAIN_BODY_MAX ? undefined : Number(digits);
}

interface Found {
  readonly end: number;
  readonly length: number;
  readonly target: string;
  readonly values: string;
}

/** What the regular expression says; undefined: not plain, or not yet. */
function expected(text: string): Found | undefined {
  const match = PLAIN.exec(text);
  if (match === null) return undefined;
  const [whole, method = "", target = "", block = ""] = match;
  const lines = block.split("\r\n").slice(0, -1);
  if (lines.some((line) => BARRED.test(line)) || lines.length > LIMITS.count) return undefined;
  if (target.length > LIMITS.targetBytes || whole.length > LIMITS.bytes) return undefined;
  const values = lines.filter((line) => /^x-a:/i.test(line)).map((line) => line.slice(4).trim());
  const length = lengthOf(method, lines);
  if (length === undefined) return undefined;
  return { end: whole.length, length, target, values: values.join(", ") };
}

function check(bytes: Uint8Array, offset: number): void {
  const head = newHead();
  const text = latin1(bytes, 0, bytes.length);
  const before = new Uint8Array(offset + bytes.length);
  before.set(bytes, offset);
  const kind = scanHead(head, before, offset, LIMITS);
  const wanted = expected(text);
  if ((kind === "plain") !== (wanted !== undefined)) throw new Error(`found ${kind}`);
  let isSure = false;
  for (let length = 0; length < bytes.length; length++) {
    const part = scanHead(newHead(), bytes.subarray(0, length), 0, LIMITS);
    if (isSure && part !== "other") throw new Error(`${part} with ${length} bytes, other before`);
    isSure ||= part === "other";
    if (isSure && kind !== "other") throw new Error(`other with ${length} bytes, ${kind} with all`);
    const due = wanted !== undefined && length >= wanted.end;
    if (due !== (part === "plain")) throw new Error(`${part} with ${length} bytes`);
  }
  if (wanted === undefined) return;
  scanHead(head, before, offset, LIMITS);
  const found: Found = {
    end: head.end - offset,
    length: head.length,
    target: latin1(before, head.target, head.targetEnd),
    values: headerIn(before, head.headers, "x-a") ?? "",
  };
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
  }
}

/** Fuzzes scanHead and headerIn. */
export const fuzzHead: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const bytes = headBytes(random);
    try {
      check(bytes, random.below(3));
    } catch (error) {
      throw new FuzzFinding("head", seed, iteration, hex(bytes), String(error), { cause: error });
    }
  }
};
