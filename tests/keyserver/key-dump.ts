// Everything that a key server holds, in the form of the recordings, and a key server filled from them.
import type { KeyArgument, KeyCommand, KeyReply, KeyServer } from "../../lib/keyserver/keys.ts";
import { microsecondsOfEntry, partsOfReply } from "../../lib/keyserver/schema.ts";
import { SeriesProblem } from "../../lib/series/problem.ts";
import type { Dump } from "../series/dump-store.ts";

/** What was no printable text is written in hexadecimal digits. */
const bytesOf = (text: string): Buffer =>
  text.startsWith("hex:") ? Buffer.from(text.slice(4), "hex") : Buffer.from(text);

type Entry = readonly [id: string, fields: readonly (readonly [name: string, value: string])[]];

function commandsOf(key: string, type: string, value: unknown): KeyCommand[] {
  switch (type) {
    case "set":
      return [["SADD", key, ...(value as readonly string[]).map(bytesOf)]];
    case "hash":
      return [
        [
          "HSET",
          key,
          ...Object.entries(value as Record<string, string>)
            .flat()
            .map(bytesOf),
        ],
      ];
    case "stream":
      return (value as readonly Entry[]).map(([id, fields]) => [
        "XADD",
        key,
        id,
        ...fields.flat().map(bytesOf),
      ]);
    case "string":
      return [["SET", key, bytesOf(String(value))]];
    default:
      return Object.entries(value as Record<string, string>).map(([member, score]) => [
        "ZADD",
        key,
        score,
        bytesOf(member),
      ]);
  }
}

/** Writes what dumps hold to a key server. */
export async function fillServer(server: KeyServer, dumps: readonly Dump[]): Promise<void> {
  const commands = dumps.flatMap(({ keys }) =>
    Object.entries(keys).flatMap(([key, { type, value }]) => commandsOf(key, type, value)),
  );
  for (const reply of await server.run(commands)) if (reply instanceof SeriesProblem) throw reply;
}

const PRINTABLE = /^[\P{Cc}]*$/u;

/** Bytes as the recordings write them. */
function written(reply: KeyReply | undefined): string {
  if (!Buffer.isBuffer(reply)) return String(reply);
  const text = reply.toString();
  return PRINTABLE.test(text) && Buffer.from(text).equals(reply)
    ? text
    : `hex:${reply.toString("hex")}`;
}

const pairs = (reply: KeyReply | undefined): [string, string][] => {
  const list = partsOfReply(reply);
  const found: [string, string][] = [];
  for (let at = 0; at < list.length; at += 2)
    found.push([written(list[at]), written(list[at + 1])]);
  return found;
};

const READERS: Readonly<
  Record<string, { ask: (key: string) => KeyArgument[]; read: (reply: KeyReply) => unknown }>
> = {
  set: { ask: (key) => ["SMEMBERS", key], read: (all) => partsOfReply(all).map(written).sort() },
  hash: {
    ask: (key) => ["HGETALL", key],
    read: (all) => Object.fromEntries(pairs(all).sort(([a], [b]) => (a < b ? -1 : 1))),
  },
  string: { ask: (key) => ["GET", key], read: written },
  zset: {
    ask: (key) => ["ZRANGE", key, "0", "-1", "WITHSCORES"],
    read: (all) => Object.fromEntries(pairs(all)),
  },
  stream: {
    ask: (key) => ["XRANGE", key, "-", "+"],
    read: (all) =>
      partsOfReply(all).map((entry) => {
        const [id, fields] = partsOfReply(entry);
        if (Buffer.isBuffer(id) && Number.isNaN(microsecondsOfEntry(id)))
          throw new Error("no entry");
        return [written(id), pairs(fields)];
      }),
  },
};

/** All keys of a key server that is no cluster. */
export async function dumpServer(server: KeyServer): Promise<Dump["keys"]> {
  const [all = null] = await server.run([["KEYS", "*"]]);
  const keys = partsOfReply(all).map(String).sort();
  const types = (await server.run(keys.map((key) => ["TYPE", key]))).map(String);
  const limits = await server.run(keys.map((key) => ["TTL", key]));
  const values = await server.run(
    keys.map((key, at) => READERS[types[at] ?? ""]?.ask(key) ?? ["GET", key]),
  );
  return Object.fromEntries(
    keys.map((key, at) => {
      const type = types[at] ?? "";
      const value = READERS[type]?.read(values[at] ?? null);
      return [key, { type, value, ...(Number(limits[at]) > 0 ? { expire: true } : {}) }];
    }),
  );
}
