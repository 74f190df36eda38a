// Goal: commands become the bytes that servers read, replies are found and read however their bytes come,
// slots of keys are those of the servers; and a connection takes what no real server says on demand:
// replies byte by byte, nonsense, a server that is loading, one that is too old, silence of a caller.
import { QUEUE_BYTES } from "../../lib/keyserver/connection.ts";
import {
  type KeyCommand,
  type KeyReply,
  type KeyServer,
  useKeyServer,
} from "../../lib/keyserver/keys.ts";
import {
  askInBytes,
  CommandBuffer,
  digitsOf,
  readReply,
  ReplyScanner,
} from "../../lib/keyserver/resp.ts";
import { slotOf } from "../../lib/keyserver/slot.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";
import { afterAll, describe, expect, test } from "bun:test";
import { waitUntil } from "../helpers/ports.ts";
import { type FakeServer, startFakeServer, usualAnswer } from "./fake-key-server.ts";
import { thrown } from "../helpers/rejected.ts";

describe("commands", () => {
  test("are arrays of counted parts", () => {
    const buffer = new CommandBuffer();
    buffer.add(["SET", "kéy", Buffer.from([0, 255]), ""]);
    buffer.add(["PING"]);
    expect(buffer.bytes.toString("latin1", 0, buffer.length)).toBe(
      "*4\r\n$3\r\nSET\r\n$4\r\nk\u00c3\u00a9y\r\n$2\r\n\0\xff\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n",
    );
    expect(buffer.count).toBe(2);
  });

  test("can be many, and can be copied", () => {
    const buffer = new CommandBuffer();
    for (let at = 0; at < 5000; at++) buffer.add(["ECHO", String(at)]);
    const other = new CommandBuffer();
    other.copy(buffer, 4999);
    other.copy(buffer, 0);
    const two = "*2\r\n$4\r\nECHO\r\n$4\r\n4999\r\n*2\r\n$4\r\nECHO\r\n$1\r\n0\r\n";
    expect(other.bytes.toString("latin1", 0, other.length)).toBe(two);
    expect(other.slotOf(0)).toBe(slotOf("4999"));
  });

  test("slots are those of the servers", () => {
    expect(slotOf("123456789")).toBe(12_739);
    expect(slotOf("pcp:map:metric.name")).toBe(slotOf(Buffer.from("pcp:map:metric.name")));
    expect(slotOf("{user1000}.following")).toBe(slotOf("user1000"));
    expect(slotOf("foo{}{bar}")).toBe(slotOf(Buffer.from("foo{}{bar}")));
    expect(slotOf("foo{}{bar}")).not.toBe(slotOf("bar"));
  });

  test("digits are counted", () => {
    for (const value of [0, 9, 10, 99, 100, 999_999, 1_000_000, 999_999_999_999_999])
      expect(digitsOf(value)).toBe(String(value).length);
  });
});

const REPLIES = [
  "+OK\r\n",
  ":-12\r\n",
  "$-1\r\n",
  "$0\r\n\r\n",
  "$5\r\na\r\nbc\r\n",
  "*-1\r\n",
  "*0\r\n",
  "*2\r\n*1\r\n$1\r\nx\r\n*2\r\n:1\r\n-ERR no\r\n",
  "%1\r\n$1\r\na\r\n~1\r\n_\r\n",
];

test("replies are found and read in pieces of any size", () => {
  const bytes = Buffer.from(REPLIES.join(""));
  for (const piece of [1, 2, 3, 7, bytes.length]) {
    const scanner = new ReplyScanner();
    const ends: number[] = [];
    for (let end = piece; ends.length < REPLIES.length; end += piece)
      while (scanner.next(bytes, Math.min(end, bytes.length))) ends.push(scanner.at);
    let end = 0;
    expect(ends).toEqual(REPLIES.map((each) => (end += each.length)));
  }
  const values = REPLIES.map((each) => readReply(Buffer.from(each), 0));
  expect(values.slice(0, 4)).toEqual(["OK", -12, null, Buffer.alloc(0)]);
  expect(String(values[4])).toBe("a\r\nbc");
  expect(values.slice(5, 7)).toEqual([null, []]);
  const nested = values[7] as readonly [readonly Buffer[], readonly [number, SeriesProblem]];
  expect(String(nested[0])).toBe("x");
  expect(nested[1][1]).toBeInstanceOf(SeriesProblem);
  expect(nested[1][1].message).toBe("ERR no");
  expect(values[8]).toEqual([Buffer.from("a"), [null]]);
});

test("what is no reply is refused", () => {
  const scan = (text: string): boolean => new ReplyScanner().next(Buffer.from(text), text.length);
  expect(() => scan("what\r\n")).toThrow("a byte 119 where a reply begins");
  expect(() => scan("$x\r\n")).toThrow("a length that is no number");
  expect(() => scan("*999999999999\r\n")).toThrow("parts or bytes");
  expect(() => scan(`-${"x".repeat(2 << 20)}`)).toThrow("a line of more than 1048576 bytes");
  expect(() => scan(`$${"0".repeat(2 << 20)}`)).toThrow("a line of more than 1048576 bytes");
  expect(scan("$1")).toBe(false);
  const deep = Buffer.from(`${"*1\r\n".repeat(100)}:1\r\n`);
  expect(() => readReply(deep, 0)).toThrow("nested too deep");
});

describe("a connection", () => {
  const closers: (() => unknown)[] = [];
  afterAll(() => Promise.all(closers.map((close) => close())));
  const fake = (answer: (command: string) => string, piece?: number): FakeServer => {
    const server = startFakeServer(answer, piece);
    closers.push(server.stop);
    return server;
  };
  const use = ({ port }: FakeServer): KeyServer => {
    const keys = useKeyServer({ servers: [`127.0.0.1:${port}`], pauses: [5] });
    closers.push(keys.close);
    return keys;
  };
  const ask = (keys: KeyServer, ...commands: KeyCommand[]): Promise<readonly KeyReply[]> =>
    askInBytes(keys.pipe, commands, () => undefined);
  const refusal = async (keys: KeyServer, wanted: string): Promise<void> => {
    await waitUntil(() => keys.state.kind === "down" && keys.state.reason.includes(wanted));
    expect(keys.state).toMatchObject({ kind: "down", reason: expect.stringContaining(wanted) });
  };

  test("takes replies byte by byte", async () => {
    const list = `*3\r\n${"$4\r\nabcd\r\n".repeat(3)}`;
    const keys = use(fake((command) => (command === "LIST" ? list : usualAnswer(command)), 1));
    await keys.ready();
    const [one, two] = await ask(keys, ["LIST"], ["LIST"]);
    expect(String(one)).toBe("abcd,abcd,abcd");
    expect(String(two)).toBe("abcd,abcd,abcd");
  });

  test("servers that are too old are refused", async () => {
    const old = "$22\r\nredis_version:4.0.14\r\n\r\n";
    const keys = use(fake((command) => (command === "INFO SERVER" ? old : usualAnswer(command))));
    await refusal(keys, "unsupported key server (got v4, expected v5 or above)");
  });

  test("a server that is loading its data is as good as none, until it has", async () => {
    let isLoading = true;
    const keys = use(
      fake((command) =>
        isLoading ? "-LOADING Redis is loading the dataset in memory\r\n" : usualAnswer(command),
      ),
    );
    await refusal(keys, "LOADING");
    expect(await thrown(keys.run([["PING"]]))).toThrow("no connection to the key server");
    isLoading = false;
    await keys.ready();
    expect(await keys.run([["PING"]])).toEqual(["OK"]);
    isLoading = true;
    expect(await thrown(keys.run([["PING"]]))).toThrow("no connection to the key server: LOADING");
  });

  test("what is no reply ends it, and it is made anew", async () => {
    const keys = use(fake((command) => (command === "PING" ? "?\r\n" : usualAnswer(command))));
    await keys.ready();
    expect(await thrown(ask(keys, ["PING"]))).toThrow("a byte 63 where a reply begins");
    await waitUntil(() => keys.generation === 2);
    expect(keys.generation).toBe(2);
  });

  test("a reply that nobody waits for ends it", async () => {
    const keys = use(
      fake((command) => (command === "PING" ? "+PONG\r\n+PONG\r\n" : usualAnswer(command))),
    );
    await keys.ready();
    // The first reply is sound, whatever follows.
    expect(await ask(keys, ["PING"])).toEqual(["PONG"]);
    await waitUntil(() => keys.generation === 2);
    expect(keys.generation).toBe(2);
  });

  test("the index for search is made where it is wanted, once", async () => {
    const first = fake(usualAnswer);
    for (const [answer, has] of [
      ["+OK\r\n", true],
      ["-Index already exists. Drop it first!\r\n", true],
      ["-ERR unknown command 'FT.CREATE'\r\n", false],
    ] as const) {
      const server = fake((c) => (c.startsWith("FT.CREATE") ? answer : usualAnswer(c)));
      const keys = useKeyServer({ servers: [`127.0.0.1:${server.port}`], wantSearch: true });
      closers.push(keys.close);
      await keys.ready();
      expect(keys.hasSearch).toBe(has);
      expect(server.commands.filter((each) => each.startsWith("FT."))).toEqual([
        "FT.CREATE pcp:text SCHEMA TYPE TAG SORTABLE NAME TEXT WEIGHT 9 SORTABLE INDOM TAG ONELINE TEXT WEIGHT 4 HELPTEXT TEXT WEIGHT 2",
      ]);
    }
    const keys = use(first);
    await keys.ready();
    expect(first.commands.some((each) => each.startsWith("FT."))).toBe(false);
  });

  test("more than waits for the network is refused", async () => {
    const keys = use(fake(usualAnswer));
    await keys.ready();
    const buffer = new CommandBuffer();
    buffer.add(["SET", "a", Buffer.alloc(QUEUE_BYTES)]);
    expect(await thrown(keys.pipe(buffer, () => undefined))).toThrow("too much on its way");
    expect(await ask(keys, ["PING"])).toEqual(["OK"]);
  });
});
