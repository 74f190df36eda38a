// Fuzzes the framing of a key server's protocol with streams of requests and replies, some of them changed.
// The promise: requests, their names, slots and bytes are those that a reader of the whole stream finds,
// wherever the stream is cut, and what is no request is refused no later than with the bytes that show
// it; replies end where such a reader says.
import { KeySlot } from "../../lib/keyserver/slot.ts";
import { RequestFramer, type Route } from "../../lib/server/resp-request.ts";
import { ReplyFramer, replyValue } from "../../lib/server/resp-reply.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const WORDS = [
  "GET",
  "set",
  "XADD",
  "CLUSTER",
  "slots",
  "{a}b",
  "",
  "x".repeat(70),
  "é",
  "a{}b{c}",
];
const PLACES: Readonly<Record<string, number>> = { GET: 1, SET: 1, XADD: 2 };
const REPLIES = [
  "+OK\r\n",
  "-MOVED 1 a:1\r\n",
  ":1\r\n",
  "$-1\r\n",
  "$3\r\na\r\n\r\n",
  "*0\r\n",
  "*-1\r\n",
];

const requestOf = (words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((each) => `$${Buffer.byteLength(each)}\r\n${each}\r\n`).join("")}`;

function requests(random: Random): Uint8Array {
  const parts: string[] = [];
  for (let part = random.below(6); part >= 0; part--) {
    if (random.below(5) === 0) parts.push(random.pick(["\r\n", "*0\r\n", "*-1\r\n"]));
    parts.push(requestOf(Array.from({ length: 1 + random.below(4) }, () => random.pick(WORDS))));
  }
  return new Uint8Array(Buffer.from(parts.join("")));
}

function replies(random: Random): Uint8Array {
  const one = (depth: number): string => {
    if (depth === 0 || random.below(3) > 0) return random.pick(REPLIES);
    const count = random.below(4);
    const [type, each] = random.pick([
      ["*", 1],
      ["%", 2],
      ["~", 1],
    ] as const);
    return `${type}${count}\r\n${Array.from({ length: count * each }, () => one(depth - 1)).join("")}`;
  };
  return new Uint8Array(
    Buffer.from(Array.from({ length: 1 + random.below(4) }, () => one(3)).join("")),
  );
}

interface Found {
  readonly bytes: string;
  readonly name: string;
  readonly slot: number | undefined;
}

/** A plain reader of all that has come. */
function readWhole(stream: Uint8Array): { found: Found[]; isBad: boolean } {
  const text = Buffer.from(stream).toString("latin1");
  const found: Found[] = [];
  let at = 0;
  const number = (sign: string): number | undefined => {
    const match = new RegExp(`^\\${sign}(-?\\d{1,10})\\r\\n`).exec(text.slice(at, at + 16));
    if (match === null) return undefined;
    at += match[0].length;
    return Number(match[1]);
  };
  while (at < text.length) {
    if (text.startsWith("\r\n", at)) {
      at += 2;
      continue;
    }
    const begin = at;
    const count = number("*");
    if (count === undefined || count > 1 << 20) return { found, isBad: true };
    if (count <= 0) continue;
    const words: string[] = [];
    for (let word = 0; word < count; word++) {
      const length = number("$");
      if (length === undefined || length < 0 || !text.startsWith("\r\n", at + length))
        return { found, isBad: true };
      words.push(text.slice(at, at + length));
      at += length + 2;
    }
    const [first = ""] = words;
    const name = first.length > 64 ? "" : first.toUpperCase();
    const key = words[PLACES[name] ?? 0];
    let slot: number | undefined;
    if (PLACES[name] !== undefined && key !== undefined) {
      const whole = new KeySlot();
      const tag = /\{([^}]+)\}/.exec(key.slice(key.indexOf("{")));
      const isTag = tag !== null && key.indexOf("{") >= 0 && tag.index === 0;
      whole.add(Buffer.from(isTag ? (tag[1] ?? "") : key, "latin1"));
      // What is taken for a tag has no brace of its own any more.
      slot = whole.slot;
    }
    found.push({ bytes: text.slice(begin, at), name, slot });
  }
  return { found, isBad: false };
}

function checkRequests(stream: Uint8Array, nextSize: () => number, stopsAfter: number): void {
  const found: Found[] = [];
  let pieces: Uint8Array[] = [];
  let route: Route | undefined;
  const framer = new RequestFramer({
    look: (name) => ({ place: PLACES[name] ?? 0, isKey: PLACES[name] !== undefined }),
    piece: (bytes) => void pieces.push(bytes),
    route: (told) => {
      if (route !== undefined) throw new Error("two routes of one request");
      route = told;
    },
    ended: () => {
      const bytes = Buffer.concat(pieces).toString("latin1");
      if (route === undefined) throw new Error("no route");
      found.push({ bytes, name: route.name, slot: route.slot });
      pieces = [];
      route = undefined;
      return found.length % stopsAfter !== 0;
    },
  });
  let isBad = false;
  for (let at = 0; at < stream.length && !isBad;) {
    const end = Math.min(stream.length, at + nextSize());
    const taken = framer.pass(stream.subarray(0, end), at);
    isBad = taken < 0;
    if (!isBad && taken <= at) throw new Error("nothing was taken");
    at = taken;
  }
  const whole = readWhole(stream);
  const wanted = JSON.stringify(whole.found);
  if (JSON.stringify(found) !== wanted) throw new Error(`${JSON.stringify(found)} for ${wanted}`);
  // One that is merely cut is no mistake yet.
  if (isBad && !whole.isBad) throw new Error("refused what is good");
}

function checkReplies(stream: Uint8Array, nextSize: () => number, isChanged: boolean): void {
  const ends = (size: () => number): number[] => {
    const framer = new ReplyFramer();
    const list: number[] = [];
    for (let at = 0, stop = 0; at < stream.length;) {
      stop = Math.max(stop, Math.min(stream.length, at + size()));
      const end = framer.take(stream.subarray(0, stop), at);
      if (end < 0) return [...list, -1];
      if (end > 0) list.push(end);
      at = end > 0 ? end : stop;
    }
    return list;
  };
  const whole = ends(() => stream.length);
  const cut = ends(nextSize);
  if (whole.join() !== cut.join()) throw new Error(`ends at ${cut.join()}, not ${whole.join()}`);
  if (isChanged) return;
  if (whole.at(-1) !== stream.length) throw new Error("it does not end");
  whole.forEach((end, index) => {
    const value = replyValue(stream.subarray(whole[index - 1] ?? 0, end));
    if (value === undefined) throw new Error("a reply without a value");
  });
}

/** See the head of this file. */
export const fuzzResp: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const isReply = random.below(3) === 0;
    const isChanged = random.below(3) === 0;
    const good = isReply ? replies(random) : requests(random);
    const stream = isChanged ? mutate(good, random, [good]) : good;
    const largest = random.pick([1, 2, 7, 100, 100_000]);
    const nextSize = (): number => 1 + random.below(largest);
    try {
      if (isReply) checkReplies(stream, nextSize, isChanged);
      else checkRequests(stream, nextSize, 1 + random.below(3));
    } catch (error) {
      throw new FuzzFinding("resp", seed, iteration, hex(stream), String(error), { cause: error });
    }
  }
};
