// Goal: the PCP greeting and host line are understood however they are cut, what follows them arrives
// at the server byte for byte, and anything else closes the connection and is counted (spec pdu.md
// 12.2, 12.3, proxy.md 11, 15).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { havePeers, testWith } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { GREETING, rawClient, serverWith, standIn, stopAll, WELCOME } from "./support.ts";
import type { StandIn, TestServer } from "./support.ts";

let server: TestServer;
let deprecated: TestServer;
let echo: StandIn;
let echo6: StandIn | undefined;
let closedPort = 0;
const CHALLENGE = "\0\0\0\x14\0\0\x70\0" + "\0".repeat(8) + "\x02\x01\x0e\x44";
/** A PDU of 16 bytes, of a type that nobody knows. */
const PDU = "\0\0\0\x10\0\0\x70\xff\0\0\0\0body";
/** The first PDU of a client, version 2, no features. */
const CREDS = "\0\0\0\x14\0\0\x70\x0c\0\0\0\0\0\0\0\x01\x01\x02\0\0";

beforeAll(async () => {
  server = await serverWith();
  deprecated = await serverWith({ deprecated: true });
  const greet = (socket: Socket): void => {
    socket.write(CHALLENGE, "latin1");
    socket.pipe(socket);
  };
  echo = await standIn(greet, "127.0.0.1", await freePort());
  if (havePeers("ipv6")) echo6 = await standIn(greet, "::1", echo.port);
  closedPort = await freePort();
});
afterAll(stopAll);

const expected = (after: string): string => WELCOME + CHALLENGE + after;

async function exchange(to: TestServer, pieces: readonly string[], after: string): Promise<string> {
  const client = await rawClient(to.port);
  for (const piece of pieces) {
    client.socket.write(Buffer.from(piece, "latin1"));
    if (pieces.length > 1) await Bun.sleep(1);
  }
  const text = await client.got(expected(after).length);
  client.socket.destroy();
  return text;
}

describe("understood", () => {
  test("cut at every byte", async () => {
    const whole = `${GREETING}127.0.0.1 ${echo.port}\n${PDU}`;
    const cuts = Array.from({ length: whole.length + 1 }, (_, at) => at);
    const results = await Promise.all(
      cuts.map((at) => exchange(server, [whole.slice(0, at), whole.slice(at)], PDU)),
    );
    for (const [at, result] of results.entries()) expect([at, result]).toEqual([at, expected(PDU)]);
  });

  test("byte by byte", async () => {
    const whole = [...`${GREETING}127.0.0.1 ${echo.port}\n${PDU}`];
    expect(await exchange(server, whole, PDU)).toBe(expected(PDU));
  });

  test("much in the packet of the host line", async () => {
    const many = PDU.repeat(3000);
    const whole = `${GREETING}127.0.0.1 ${echo.port}\n${many}`;
    expect(await exchange(server, [whole], many)).toBe(expected(many));
  });

  for (const host of ["127.0.0.1", "localhost", "127.1"]) {
    test(`host ${host}`, async () => {
      const whole = `${GREETING}${host} ${echo.port}\n`;
      expect(await exchange(server, [whole], "")).toBe(expected(""));
    });
  }
  for (const host of ["::1", "[::1]"]) {
    testWith("ipv6", `host ${host}`, async () => {
      expect(echo6).toBeDefined();
      const whole = `${GREETING}${host} ${echo.port}\n`;
      expect(await exchange(server, [whole], "")).toBe(expected(""));
    });
  }

  test("with -d lines end at a return, too", async () => {
    const whole = `pmproxy-client 1\r127.0.0.1 ${echo.port}\r${CREDS}`;
    expect(await exchange(deprecated, [whole], CREDS)).toBe(expected(CREDS));
  });
});

describe("refused without an answer", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["another version", "pmproxy-client 2\n127.0.0.1 1\n"],
    ["a return before the newline", "pmproxy-client 1\r\n127.0.0.1 1\r\n"],
    ["17 other bytes", "pppppppppppppppppp"],
    ["a greeting that goes wrong at its end", "pmproxy-client 1 "],
  ];
  for (const [name, bytes] of rows) {
    test(name, async () => {
      const before = server.counters()["greetingFailures"] ?? 0;
      const client = await rawClient(server.port, bytes);
      expect(await client.end()).toBe("");
      expect(server.counters()["greetingFailures"]).toBe(before + 1);
    });
  }
});

describe("refused after the greeting", () => {
  const line = (text: string) => `${GREETING}${text}`;
  const rows: readonly (readonly [string, string])[] = [
    ["no port", line("127.0.0.1\n")],
    ["no host", line(" 44321\n")],
    ["nothing", line("\n")],
    ["two blanks", line("127.0.0.1  44321\n")],
    ["three words", line("127.0.0.1 44321 x\n")],
    ["a port of letters", line("127.0.0.1 44x\n")],
    ["port 0", line("127.0.0.1 0\n")],
    ["port 65536", line("127.0.0.1 65536\n")],
    ["port 99999999999", line("127.0.0.1 99999999999\n")],
    ["a negative port", line("127.0.0.1 -1\n")],
    ["a return before the newline", line("127.0.0.1 44321\r\n")],
    ["a line without an end", line("h".repeat(300))],
    ["a line that is too long", line(`${"h".repeat(300)} 44321\n`)],
    ["a host with a control character", line("a\x01b 44321\n")],
    ["a host with NUL", line("a\0b 44321\n")],
    ["an empty pair of brackets", line("[] 44321\n")],
  ];
  for (const [name, bytes] of rows) {
    test(name, async () => {
      const before = server.counters()["greetingFailures"] ?? 0;
      const client = await rawClient(server.port, bytes);
      expect(await client.end()).toBe(WELCOME);
      expect(server.counters()["greetingFailures"]).toBe(before + 1);
    });
  }

  test("the client ends in the middle", async () => {
    const client = await rawClient(server.port);
    client.socket.end(`${GREETING}127.0`);
    expect(await client.end()).toBe(WELCOME);
  });

  test("with -d the first PDU must be CREDS", async () => {
    const bytes = `${GREETING}127.0.0.1 ${echo.port}\n${PDU}`;
    const client = await rawClient(deprecated.port, bytes);
    const text = await client.end();
    expect(expected("").startsWith(text)).toBe(true);
    expect(deprecated.counters()["badPdus"]).toBe(1);
  });
});

test("with -d nothing but PCP is served", async () => {
  const before = deprecated.counters()["unknown"] ?? 0;
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "\x16\x03\x01"]) {
    expect(await (await rawClient(deprecated.port, bytes)).end()).toBe("");
  }
  expect(deprecated.counters()["unknown"]).toBe(before + 3);
});

describe("no server", () => {
  const hosts: readonly (readonly [string, () => string])[] = [
    ["refuses", () => `127.0.0.1 ${closedPort}`],
    ["has an unknown name", () => "nosuch.invalid 44321"],
    ["has a name of 255 characters", () => `${"h".repeat(255)} 44321`],
    ["has the name ...", () => "... 44321"],
    ["has a name of bytes", () => "\xff\xfe 44321"],
  ];
  for (const [name, line] of hosts) {
    test(name, async () => {
      const before = server.counters()["connectFailures"] ?? 0;
      const client = await rawClient(server.port, `${GREETING}${line()}\n`);
      expect(await client.end()).toBe(WELCOME);
      expect(server.counters()["connectFailures"]).toBe(before + 1);
    });
  }

  test("the reason is in the status", async () => {
    const client = await rawClient(server.port, `${GREETING}127.0.0.1 ${closedPort}\n`);
    await client.end();
    const pcp = server.proxy.status()["pcp"] as { lastFailure: Record<string, string> };
    expect(pcp.lastFailure["target"]).toBe(`127.0.0.1:${closedPort}`);
    expect(pcp.lastFailure["reason"]).toMatch(/connect|refused/i);
  });
});

test("nothing is left of all this", async () => {
  const levels = () => {
    const { active, relays, dials } = server.counters();
    return { active, relays, dials };
  };
  await waitUntil(() => Object.values(levels()).every((level) => level === 0));
  expect(levels()).toEqual({ active: 0, relays: 0, dials: 0 });
  expect(server.counters()["faults"]).toBe(0);
});
