// Goal: with `[pmlogger] authenticate` who pushes is let in as with pmproxy 7.2: pmcd is asked about the name and
// password, once a connection, and a pmcd that cannot be asked lets nobody in.
import { afterAll, expect } from "bun:test";
import { Agent, request } from "node:http";
import { startPmcd } from "../helpers/pcp.ts";
import { pcp7, startPmproxy7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { proxySubject, startProxyUnderTest } from "../helpers/proxy.ts";

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString("base64")}`;
const GOOD = basic("nobody:open sesame");
const WRONG = basic("nobody:wrong");

/** A client that keeps its connection: status and body of what it gets. */
function connect(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ping = (authorization: string | undefined, query = ""): Promise<string> =>
    new Promise((resolve, reject) => {
      // pmproxy knows this name in this case only.
      const headers = authorization === undefined ? {} : { Authorization: authorization };
      const path = `/logger/ping${query}`;
      request({ agent, host: "127.0.0.1", port, path, headers }, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("error", reject);
        response.on("end", () => {
          resolve(`${response.statusCode} ${Buffer.concat(pieces).toString().trim()}`);
        });
      })
        .on("error", reject)
        .end();
    });
  return { ping, close: () => agent.destroy() };
}

const conf = (host: string, enabled = true): string =>
  [
    "[pmproxy]",
    "http.enabled = true",
    "[discover]",
    "enabled = false",
    "[pmseries]",
    "enabled = false",
    "[pmlogger]",
    `enabled = ${enabled}`,
    "authenticate = true",
    `auth_host = ${host}`,
    "",
  ].join("\n");

const STARTERS = [
  ["pmproxy", startPmproxy7],
  [proxySubject.name, startProxyUnderTest],
] as const;

for (const [name, start] of STARTERS)
  testWith(
    ["pcp7", "pcp7-sasl"],
    `accounts of pmcd, ${name}`,
    async () => {
      const pmcd = await startPmcd(pcp7, { sasl: { user: "nobody", password: "open sesame" } });
      closers.push(() => pmcd.stop());
      const proxy = await start({ conf: conf(`localhost:${pmcd.port}`) });
      closers.push(() => proxy.stop());
      const [one, other] = [connect(proxy.port), connect(proxy.port)];
      const no = '{"success":false}';
      const good = '200 {"success":true}';
      expect(await one.ping(undefined)).toBe(`403 ${no}`);
      expect(await one.ping("Bearer abc")).toBe(`403 ${no}`);
      expect(await one.ping("Basic abc")).toBe(`401 ${no}`);
      expect(await one.ping(basic("nobody"))).toBe(`401 ${no}`);
      for (const pair of ["nobody:wrong", "nobody:", "nosuchone:x", ":x", ":"])
        expect([pair, await one.ping(basic(pair))]).toEqual([pair, `403 ${no}`]);
      expect(await one.ping(WRONG, "?client=c")).toBe('403 {"client":"c","success":false}');
      expect(await one.ping(GOOD)).toBe(good);
      expect(await one.ping(undefined)).toBe(`403 ${no}`);
      expect(await one.ping(WRONG)).toBe(`403 ${no}`);
      expect(await one.ping(GOOD)).toBe(good);
      // What one connection has brought says nothing of another.
      const asked = await Promise.all([other.ping(WRONG), one.ping(GOOD), other.ping(undefined)]);
      expect(asked).toEqual([`403 ${no}`, good, `403 ${no}`]);
      await pmcd.daemon().stop();
      expect(await one.ping(GOOD)).toBe(good);
      expect(await other.ping(GOOD)).toBe(`503 ${no}`);
      expect(await one.ping(WRONG)).toBe(`503 ${no}`);
      expect(await one.ping(GOOD)).toBe(`503 ${no}`);
      one.close();
      other.close();
    },
    300_000,
  );

for (const [name, start] of STARTERS)
  testWith(
    "pcp7",
    `a pmcd without accounts, ${name}`,
    async () => {
      const pmcd = await startPmcd(pcp7);
      closers.push(() => pmcd.stop());
      const [refused, away] = ['403 {"success":false}', '503 {"success":false}'];
      for (const [host, enabled, reply] of [
        [`localhost:${pmcd.port}`, true, refused],
        [`localhost:${pmcd.port}`, false, refused],
        [`unix:${pmcd.socket}`, true, refused],
        ["localhost:xx", true, refused],
        ["unix:/nosuch/socket", true, refused],
        ["localhost:1", true, away],
      ] as const) {
        const proxy = await start({ conf: conf(host, enabled) });
        const client = connect(proxy.port);
        expect([host, await client.ping(GOOD)]).toEqual([host, reply]);
        client.close();
        await proxy.stop();
      }
    },
    300_000,
  );
