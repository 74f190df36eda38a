// Goal: the D-Bus client gives up on a peer that is no bus or a hostile one, with an error and without
// keeping more than its bound, and reads addresses as the specification writes them.
import { afterAll, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import {
  busPaths,
  type BusSignal,
  connectBus,
  systemBusAddress,
} from "../../lib/advertise/dbus.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { thrown } from "../helpers/rejected.ts";

const folder = privateFolder("dbus");
const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
});

/** A peer that answers each chunk by `react`, given how many chunks came before. */
async function peer(react: (socket: Socket, count: number) => void): Promise<string> {
  const path = join(folder, `peer${servers.length}`);
  const server = createServer((socket) => {
    let count = 0;
    socket.on("data", () => react(socket, count++));
    socket.on("error", () => socket.destroy());
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

const ADMITTED = "OK 1234deadbeef\r\n";
const bytesOf = (...hex: readonly string[]): Uint8Array =>
  Buffer.from(hex.join("").replaceAll(" ", ""), "hex");
/** Little-endian reply to Hello: fields reply serial 1 and signature s, body ":1.7". */
const HELLO = bytesOf(
  "6c020101 09000000 01000000 0f000000",
  "05017500 01000000 08016700 01730000",
  "04000000 3a312e37 00",
);
/** A signal without a body; path "/", interface "i", member "m", sender "x". */
const SIGNAL = bytesOf(
  "6c040101 00000000 02000000 3a000000",
  "01016f00 01000000 2f000000 00000000",
  "02017300 01000000 69000000 00000000",
  "03017300 01000000 6d000000 00000000",
  "07017300 01000000 78000000 00000000",
);
const TOO_LARGE = bytesOf("6c020101000000080100000000000000");
const PAST_THE_END = bytesOf("420201010000000000000001000000080801730000", "00ffff");
const UNKNOWN_TYPE = bytesOf("42020101000000000000000100000008", "08017b0000000000");

const silent = { onSignal: () => undefined, onClose: () => undefined };

describe("a peer that is no bus", () => {
  const cases: readonly [string, (socket: Socket, count: number) => void, string][] = [
    ["refuses", (socket) => socket.write("REJECTED EXTERNAL\r\n"), "not admitted: REJECTED"],
    ["talks without end", (socket) => socket.write("x".repeat(5000)), "endless greeting"],
    ["hangs up", (socket) => socket.end(), "connection closed"],
    [
      "sends something else after the greeting",
      (socket, count) => socket.write(count === 0 ? ADMITTED : "HTTP/1.1 400 Bad Request\r\n"),
      "not a message of version 1",
    ],
    [
      "announces a message above the bound",
      (socket, count) => socket.write(count === 0 ? ADMITTED : TOO_LARGE),
      "at most 65536",
    ],
    [
      "has fields that reach past the end",
      (socket, count) => socket.write(count === 0 ? ADMITTED : PAST_THE_END),
      "bytes needed",
    ],
    [
      "has a field of an unknown type",
      (socket, count) => socket.write(count === 0 ? ADMITTED : UNKNOWN_TYPE),
      "signature { not known",
    ],
  ];
  for (const [what, react, complaint] of cases) {
    test(`that ${what}`, async () => {
      expect(await thrown(connectBus(await peer(react), silent))).toThrow(complaint);
    });
  }

  test("that is not there", async () => {
    expect(await thrown(connectBus(join(folder, "nobody"), silent))).toThrow("ENOENT");
  });
});

describe("a bus", () => {
  test("byte by byte, with a signal; its end is told once and rejects calls", async () => {
    const signals: BusSignal[] = [];
    const reasons: string[] = [];
    let other: Socket | undefined;
    const path = await peer((socket, count) => {
      other = socket;
      const bytes = Buffer.concat(count === 0 ? [Buffer.from(ADMITTED)] : [HELLO, SIGNAL]);
      if (count < 2) for (const byte of bytes) socket.write(Uint8Array.of(byte));
    });
    const bus = await connectBus(path, {
      onSignal: (signal) => signals.push(signal),
      onClose: (reason) => reasons.push(reason),
    });
    const method = { destination: "a", path: "/", iface: "a.b", member: "C" };
    const call = bus.call(method).catch((cause: unknown) => String(cause));
    while (signals.length === 0) await Bun.sleep(5);
    expect(signals).toEqual([{ sender: "x", path: "/", iface: "i", member: "m", body: [] }]);
    other?.end();
    expect(await call).toContain("connection closed");
    expect(reasons).toEqual(["connection closed"]);
    expect(await thrown(bus.call(method))).toThrow("not connected");
    bus.close();
    expect(reasons).toHaveLength(1);
  });

  test("that never answers: at most 64 calls wait", async () => {
    const path = await peer((socket, count) => {
      if (count < 2) socket.write(count === 0 ? ADMITTED : HELLO);
    });
    const bus = await connectBus(path, silent);
    const method = { destination: "a", path: "/", iface: "a.b", member: "C" };
    const calls = Array.from({ length: 65 }, () => bus.call(method).catch(String));
    expect(await calls[64]).toContain("64 calls unanswered");
    bus.close();
    expect(await calls[0]).toContain("D-Bus: closed");
  });

  test("that sends random bytes: an error or silence, never more", async () => {
    let seed = 4711;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    for (let round = 0; round < 60; round++) {
      const reasons: string[] = [];
      const path = await peer((socket, count) => {
        if (count === 0) socket.write(ADMITTED);
        if (count !== 1) return;
        const bytes = Buffer.concat([HELLO, SIGNAL, SIGNAL, SIGNAL]);
        for (let flips = 1 + random(6); flips > 0; flips--)
          bytes[HELLO.length + random(bytes.length - HELLO.length)] = random(256);
        socket.end(bytes);
      });
      const gone = Promise.withResolvers<void>();
      const onClose = (reason: string): void => {
        reasons.push(reason);
        gone.resolve();
      };
      // What comes with the answer to Hello may end it before or after it is there.
      const bus = await connectBus(path, { onSignal: () => undefined, onClose }).catch(
        (cause: unknown) => {
          expect(cause).toBeInstanceOf(PcpError);
        },
      );
      if (bus === undefined) continue;
      await gone.promise;
      bus.close();
      expect(reasons).toHaveLength(1);
    }
  });
});

test("addresses", () => {
  expect(busPaths("unix:path=/run/a")).toEqual(["/run/a"]);
  expect(busPaths("tcp:host=x,port=1;unix:abstract=/tmp/b,guid=12;")).toEqual(["\0/tmp/b"]);
  expect(busPaths("unix:guid=1,path=/with%20space")).toEqual(["/with space"]);
  expect(busPaths("")).toEqual([]);
  expect(() => busPaths("/run/a")).toThrow("without a transport");
  expect(() => busPaths("unix:path=%zz")).toThrow("bad escape");
  expect(systemBusAddress({ DBUS_SYSTEM_BUS_ADDRESS: "unix:path=/x" })).toBe("unix:path=/x");
  expect(busPaths(systemBusAddress({}))[0]).toBe("/run/dbus/system_bus_socket");
});
