// Goal: whoever watches a connection being made sees each step in order, with facts, times and errors:
// addresses, sockets, proxy, challenge, CREDS, TLS with the certificate, SASL, container.
import { describe, expect, test } from "bun:test";
import { PM_ERR } from "../../lib/base/mod.ts";
import { connectPmcd } from "../../lib/pdu/connection.ts";
import type { ConnectStep } from "../../lib/pdu/observe.ts";
import { startFakePmcd } from "../helpers/fakepmcd.ts";
import { startPmcd, startRealPmproxy } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { freePort } from "../helpers/ports.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { codeOf } from "./connection-peer.ts";

type Options = Parameters<typeof connectPmcd>[1];

/** The steps of connecting, and the code that it ended with (0: connected, and closed again). */
async function watched(spec: string, options: Options = {}) {
  const steps: ConnectStep[] = [];
  const before = performance.now();
  const observe = (step: ConnectStep): void => void steps.push(step);
  const work = connectPmcd(spec, { env: {}, ...options, observe }).then((pmcd) => pmcd.close());
  const code = await codeOf(work);
  const elapsed = performance.now() - before;
  for (const { start, duration } of steps) {
    expect(start).toBeGreaterThanOrEqual(0);
    expect(duration).toBeGreaterThanOrEqual(0);
    expect(start + duration).toBeLessThanOrEqual(elapsed);
  }
  return { steps, code, kinds: steps.map(({ kind }) => kind) };
}

describe("watching a connection being made", () => {
  test("a plain session", async () => {
    const pmcd = await startFakePmcd();
    try {
      const { steps, code } = await watched(`127.0.0.1:${pmcd.port}`);
      expect(code).toBe("none");
      expect(steps).toMatchObject([
        { kind: "resolve", name: "127.0.0.1", addresses: ["127.0.0.1"], error: undefined },
        { kind: "connect", address: "127.0.0.1", port: pmcd.port, outcome: "connected" },
        { kind: "challenge", version: 2, features: 0xe44, error: undefined },
        { kind: "creds", flags: 0, error: undefined },
      ]);
      const target = { kind: "tcp", host: "127.0.0.1", port: pmcd.port } as const;
      for (const step of steps) expect(step.target).toEqual(target);
    } finally {
      await pmcd.stop();
    }
  });

  test("a port that nobody listens on, then one that refuses, then a mute one", async () => {
    const dead = await freePort();
    const refusing = await startFakePmcd({
      behaviour: { fault: { kind: "refuse", code: PM_ERR.CONNLIMIT } },
    });
    const mute = await startFakePmcd({ behaviour: { fault: { kind: "mute" } } });
    try {
      const { steps, code } = await watched(`127.0.0.1:${dead},${refusing.port},${mute.port}`, {
        env: { PMCD_REQUEST_TIMEOUT: "2" },
      });
      expect(code).toBe(PM_ERR.TIMEOUT);
      expect(steps).toMatchObject([
        { kind: "resolve" },
        { kind: "connect", port: dead, outcome: "failed", error: { code: -111 } },
        { kind: "resolve" },
        { kind: "connect", port: refusing.port, outcome: "connected" },
        { kind: "challenge", version: 0, features: 0, error: { code: PM_ERR.CONNLIMIT } },
        { kind: "resolve" },
        { kind: "connect", port: mute.port, outcome: "connected" },
        { kind: "challenge", error: { code: PM_ERR.TIMEOUT } },
      ]);
    } finally {
      await refusing.stop();
      await mute.stop();
    }
  });

  test("what pmcd does not offer, a name without addresses, a socket path", async () => {
    const pmcd = await startFakePmcd();
    try {
      const secure = await watched(`pcps://127.0.0.1:${pmcd.port}`);
      expect(secure.code).toBe(-95);
      expect(secure.steps.at(-1)).toMatchObject({ kind: "creds", flags: 0, error: { code: -95 } });
      const nowhere = await watched("no-such-host.invalid:1");
      expect(nowhere.steps).toMatchObject([{ kind: "resolve", addresses: [] }]);
      const path = await watched("unix:/no/such/socket");
      expect(path.steps).toMatchObject([
        { kind: "connect", address: "/no/such/socket", port: undefined, outcome: "failed" },
      ]);
    } finally {
      await pmcd.stop();
    }
  });

  for (const [peer, sasl, tree] of [
    ["pcp6", "pcp6-sasl", pcp6],
    ["pcp7", "pcp7-sasl", pcp7],
  ] as const) {
    testWith([peer, sasl, "openssl"], `${peer}: TLS, SASL, container, proxy`, async () => {
      const files = await tlsFiles();
      const account = { user: "nobody", password: "qapass" };
      const pmcd = await startPmcd(tree, { tls: files, sasl: account, agents: [] });
      const proxy = await startRealPmproxy(tree);
      try {
        const spec = `pcps://localhost:${pmcd.port}@127.0.0.1:${proxy.port}`;
        const wishes = "?user=nobody&pass=qapass&method=plain&container=abc";
        const trusting = { tls: { verify: true, caFile: files.authority } };
        const { steps, code } = await watched(`${spec}${wishes}`, trusting);
        expect(code).toBe("none");
        const tls = {
          kind: "tls",
          protocol: "TLSv1.3",
          trusted: true,
          distrust: undefined,
          error: undefined,
        };
        expect(steps).toMatchObject([
          { kind: "resolve", name: "127.0.0.1" },
          { kind: "connect", port: proxy.port, outcome: "connected" },
          { kind: "greeting", host: "localhost", port: pmcd.port },
          { kind: "challenge", version: 2, features: 0xe55 },
          { kind: "creds", flags: 0x55 },
          tls,
          { kind: "sasl", mechanism: "PLAIN", user: "nobody" },
          { kind: "attribute", name: "container", value: "abc" },
        ]);
        expect(JSON.stringify(steps)).not.toContain("qapass");
        const shown = steps.find((step) => step.kind === "tls");
        expect(shown?.certificate).toMatchObject({
          subject: "CN=pcpbox test server",
          issuer: "CN=pcpbox test authority",
        });
        expect(shown?.certificate?.names).toContain("DNS:localhost");
        expect(shown?.certificate?.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
        const now = Date.now();
        expect(shown?.certificate?.validFrom.getTime()).toBeLessThan(now);
        expect(shown?.certificate?.validTo.getTime()).toBeGreaterThan(now);

        const plain = `pcps://127.0.0.1:${pmcd.port}`;
        const stranger = { verify: true, caFile: files.strangerAuthority };
        const refused = await watched(plain, { tls: stranger });
        expect(refused.code).toBe(PM_ERR.TLS);
        expect(refused.steps.at(-1)).toMatchObject({
          kind: "tls",
          certificate: { issuer: "CN=pcpbox test authority" },
          error: { code: PM_ERR.TLS },
        });
        const distrusting = await watched(plain, { tls: { ...stranger, verify: false } });
        const last = distrusting.steps.at(-1);
        expect(last).toMatchObject({ kind: "tls", trusted: false, error: undefined });
        expect(last?.kind === "tls" ? last.distrust : "").toMatch(/[A-Z_]{10}/);
        const wrong = await watched(`127.0.0.1:${pmcd.port}?user=nobody&pass=no&method=login`);
        expect(wrong.steps.at(-1)).toMatchObject({ kind: "sasl", mechanism: "LOGIN" });
      } finally {
        await proxy.stop();
        await pmcd.stop();
      }
    });
  }
});
