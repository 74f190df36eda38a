// Goal: the first byte of a connection decides its protocol, on every kind of listener and again inside TLS; the PCP
// greeting is understood however it is cut into pieces, refused when it is none, and what follows it passes unchanged
// (spec proxy.md 9, 11, 12; pdu.md 12). Raw bytes, with a stand-in for pmcd; the rows are in tests/fixtures/proxy.
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { startKeyServer } from "../helpers/pcp.ts";
import type { KeyServer, Proxy } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { concurrentTestWith, skipAloud } from "../helpers/peers.ts";
import type { Peer } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { proxySubject, startProxyUnderTest } from "../helpers/proxy.ts";
import { tlsFiles } from "../helpers/tls.ts";
import type { TlsFiles } from "../helpers/tls.ts";

interface Row {
  readonly id: string;
  readonly send: readonly string[];
  readonly reply: string | null;
  readonly prefix?: true;
  readonly waits?: true;
  readonly closed: boolean | null;
  readonly real?: string;
  readonly peers?: readonly Peer[];
}

const fixtures = join(import.meta.dir, "../fixtures/proxy");
const rowsOf = (name: string): Row[] =>
  readFileSync(join(fixtures, `${name}.jsonl`), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);

/** ERROR PDU with which every pmcd begins (spec pdu.md 8.2). */
const challenge = Buffer.from("0000001400007000000000000000000002010e44", "hex").toString("latin1");

/** A PDU of type FETCH that carries `payload`, as the proxy looks at the lengths (`-L`). */
function pdu(payload: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeInt32BE(header.length + payload.length, 0);
  header.writeInt32BE(0x7003, 4);
  return Buffer.concat([header, payload]);
}

/** About `size` bytes of PDUs. */
function pdus(size: number): Buffer {
  const one = pdu(Buffer.alloc(50_001, "a pattern of 23 bytes. "));
  return Buffer.concat(Array.from({ length: Math.ceil(size / one.length) }, () => one));
}

/** A server that greets as pmcd does and then echoes, and what it knows of its connections. */
interface StandIn {
  readonly port: number;
  readonly server: Server;
  readonly sockets: Set<Socket>;
}

function standIn(host: string, greet: (socket: Socket) => void): Promise<StandIn> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    greet(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port: 0 }, () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve({ port: address.port, server, sockets });
    });
  });
}

const echo = (socket: Socket): void => {
  socket.write(challenge, "latin1");
  socket.pipe(socket);
};

interface Setting {
  readonly tls: TlsFiles;
  readonly proxy: Proxy;
  readonly pmcd: StandIn;
  readonly pmcd6: StandIn | null;
  readonly closedPort: number;
}

let started: Promise<Setting> | undefined;
const setting = (): Promise<Setting> =>
  (started ??= (async () => {
    const tls = await tlsFiles();
    return {
      tls,
      proxy: await startProxyUnderTest({ tls }),
      pmcd: await standIn("127.0.0.1", echo),
      pmcd6: await standIn("::1", echo).catch(() => null),
      closedPort: await freePort(),
    };
  })());

let withKeys: Promise<{ proxy: Proxy; keys: KeyServer }> | undefined;
const keySetting = () =>
  (withKeys ??= (async () => {
    const keys = await startKeyServer(pcp6);
    const tls = await tlsFiles();
    const proxy = await startProxyUnderTest({ tls, keyServerPort: keys.port });
    // The real one connects to the key server after it has begun to listen.
    const ping: Row = { id: "", send: ["*1\r\n$4\r\nPING\r\n"], reply: "", closed: null };
    const answers = async () => {
      const { reply } = await play(ping, entries.IPv4.open(proxy), (text) => text);
      return reply !== "";
    };
    expect(await waitUntil(answers)).toBe(true);
    return { keys, proxy };
  })());

const others: Server[] = [];
afterAll(async () => {
  const first = await started;
  for (const server of [first?.pmcd.server, first?.pmcd6?.server, ...others]) server?.close();
  const second = await withKeys;
  await Promise.all([first?.proxy.stop(), second?.proxy.stop(), second?.keys.stop()]);
});

/** The ways a connection can come in. */
const entries = {
  IPv4: { peers: [], open: ({ port }: Proxy) => connect({ host: "127.0.0.1", port }) },
  IPv6: { peers: ["ipv6"], open: ({ port }: Proxy) => connect({ host: "::1", port }) },
  "unix socket": { peers: [], open: ({ socket }: Proxy) => connect({ path: socket }) },
  TLS: {
    peers: [],
    open: ({ port }: Proxy, tls: TlsFiles) => {
      const ca = readFileSync(tls.authority);
      return connectTls({ host: "127.0.0.1", port, ca, servername: "localhost" });
    },
  },
} as const satisfies Record<
  string,
  { peers: readonly Peer[]; open: (proxy: Proxy, tls: TlsFiles) => Socket }
>;

/** A raw client that remembers what it got. */
function client(socket: Socket) {
  const chunks: Buffer[] = [];
  const state = { closed: false, length: 0 };
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    state.length += chunk.length;
  });
  for (const event of ["end", "close", "error"] as const) {
    socket.on(event, () => {
      state.closed = true;
    });
  }
  return { state, socket, text: () => Buffer.concat(chunks).toString("latin1") };
}

async function play(row: Row, socket: Socket, replace: (text: string) => string) {
  const { state, text } = client(socket);
  const encrypted = "encrypted" in socket;
  await new Promise<void>((resolve) => {
    socket.once(encrypted ? "secureConnect" : "connect", () => resolve());
    socket.once("close", () => resolve());
  });
  const expected = row.reply === null ? null : replace(row.reply);
  const arrived = () => expected === null || state.length >= expected.length;
  for (const [index, piece] of row.send.entries()) {
    if (index > 0) await Bun.sleep(20); // so that it arrives as a piece of its own
    if (row.waits === true && index === row.send.length - 1) await waitUntil(arrived);
    if (!state.closed) socket.write(replace(piece), "latin1");
  }
  await waitUntil(() => arrived() && (row.closed !== true || state.closed));
  await Bun.sleep(100); // for what should not come: more bytes, or the end
  const reply = text();
  socket.destroy();
  return {
    reply: row.prefix === true ? reply.slice(0, expected?.length ?? 0) : reply,
    closed: state.closed,
    expected,
  };
}

/** Registers a row; `use` answers with the proxy it is played against. */
function rowTest(
  row: Row,
  entry: keyof typeof entries,
  use: () => Promise<Proxy>,
  peers: readonly Peer[] = [],
): void {
  if (proxySubject.real && row.real !== undefined) {
    skipAloud(row.id, `a fault of the real pmproxy: ${row.real}`);
    return;
  }
  const { open, peers: entryPeers } = entries[entry];
  const all: Peer[] = ["openssl", ...entryPeers, ...(row.peers ?? []), ...peers];
  concurrentTestWith(all, row.id, async () => {
    const { tls, pmcd, pmcd6, closedPort } = await setting();
    const replace = (text: string) =>
      text
        .replaceAll("{{PMCD}}", String(pmcd.port))
        .replaceAll("{{PMCD6}}", String(pmcd6?.port ?? 0))
        .replaceAll("{{CLOSED}}", String(closedPort))
        .replaceAll("{{CHALLENGE}}", challenge)
        .replace(/{{PDU:(.*?)}}/g, (_, payload: string) =>
          pdu(Buffer.from(payload)).toString("latin1"),
        );
    const result = await play(row, open(await use(), tls), replace);
    if (result.expected !== null) expect(result.reply).toBe(result.expected);
    if (row.closed !== null) expect(result.closed).toBe(row.closed);
  });
}

for (const entry of Object.keys(entries) as (keyof typeof entries)[]) {
  describe(entry, () => {
    const plain = async () => (await setting()).proxy;
    for (const row of [...rowsOf("relay"), ...rowsOf("detection")]) rowTest(row, entry, plain);
    const keyed = async () => (await keySetting()).proxy;
    for (const row of rowsOf("resp")) rowTest(row, entry, keyed, ["redis"]);
  });
}

describe("hang-ups", () => {
  const greeting = (port: number): string => `pmproxy-client 1\n127.0.0.1 ${port}\n`;

  const pass = async (greet: (socket: Socket) => void, entry: keyof typeof entries) => {
    const { proxy, tls } = await setting();
    const pmcd = await standIn("127.0.0.1", greet);
    others.push(pmcd.server);
    const raw = client(entries[entry].open(proxy, tls));
    raw.socket.write(greeting(pmcd.port));
    return { pmcd, raw };
  };

  for (const entry of ["IPv4", "unix socket", "TLS"] as const) {
    const check = proxySubject.real
      ? (name: string) => skipAloud(name, "a fault of the real pmproxy")
      : (name: string, body: () => Promise<void>) => concurrentTestWith("openssl", name, body);

    check(`pmcd sends much and hangs up: ${entry}`, async () => {
      const much = Buffer.alloc(4 << 20, "0123456789abcdef");
      const { raw } = await pass((socket) => socket.end(much), entry);
      await waitUntil(() => raw.state.closed);
      expect(raw.text()).toBe(`pmproxy-server 1\n${much.toString("latin1")}`);
      expect(raw.state.closed).toBe(true);
    });

    check(`the client hangs up: ${entry}`, async () => {
      const { pmcd, raw } = await pass(echo, entry);
      expect(await waitUntil(() => raw.state.length === 17 + 20)).toBe(true);
      expect(pmcd.sockets.size).toBe(1);
      raw.socket.destroy();
      await waitUntil(() => [...pmcd.sockets].every(({ readable }) => !readable));
      expect([...pmcd.sockets].filter(({ readable }) => readable)).toEqual([]);
    });

    check(`what the client sent before it hung up arrives: ${entry}`, async () => {
      let got = 0;
      const { raw, pmcd } = await pass((socket) => {
        socket.write(challenge, "latin1");
        socket.on("data", (chunk) => (got += chunk.length));
        socket.on("end", () => socket.end());
      }, entry);
      expect(await waitUntil(() => raw.state.length === 17 + 20)).toBe(true);
      const much = pdus(2 << 20);
      raw.socket.end(much);
      await waitUntil(() => got >= much.length && pmcd.sockets.size === 0);
      expect([got, pmcd.sockets.size]).toEqual([much.length, 0]);
    });

    check(`much both ways: ${entry}`, async () => {
      const { raw } = await pass(echo, entry);
      const much = pdus(3 << 20);
      raw.socket.write(much);
      const length = 17 + 20 + much.length;
      await waitUntil(() => raw.state.length >= length);
      expect(raw.text()).toBe(`pmproxy-server 1\n${challenge}${much.toString("latin1")}`);
      raw.socket.destroy();
    });
  }
});

test("the rows are there", () => {
  const counts = ["relay", "detection", "resp"].map((name) => rowsOf(name).length);
  expect(counts.every((count) => count > 10)).toBe(true);
});
