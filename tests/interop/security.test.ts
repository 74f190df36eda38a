// Goal: what a client and pmcd agree on at the start of a session - TLS, client certificates, SASL accounts,
// containers - passes through the proxy unchanged, the refusals too.
import { afterAll, describe, expect } from "bun:test";
import { runIn, startPmcd } from "../helpers/pcp.ts";
import type { PcpTree, Pmcd, PmcdOptions, Proxy } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { concurrentTestWith } from "../helpers/peers.ts";
import { turnstile } from "../helpers/process.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import { tlsFiles } from "../helpers/tls.ts";
import type { TlsFiles } from "../helpers/tls.ts";
import { settle } from "./clients.ts";

interface SecurityCase {
  readonly name: string;
  /** The client, with HOST for the specification; pminfo by default. */
  readonly argv?: readonly string[];
  /** Before the host: empty or `pcps://`. */
  readonly scheme?: string;
  /** After the host: `?attribute=value...`. */
  readonly attributes?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A text of the client's output. */
  readonly says: string;
}

const pminfo = ["pminfo", "-h", "HOST", "-f", "sample.long.million"];
const value = "value 1000000";

/** Cases by the kind of pmcd they are for. */
const kinds: readonly {
  readonly kind: string;
  readonly needsSasl?: true;
  readonly options: (tls: TlsFiles) => PmcdOptions;
  readonly cases: readonly SecurityCase[];
}[] = [
  {
    kind: "pmcd without certificates",
    options: () => ({}),
    cases: [
      { name: "secure wanted", scheme: "pcps://", says: "Operation not supported" },
      { name: "secure relaxed", scheme: "pcps://", attributes: "?secure=relaxed", says: value },
      { name: "container", attributes: "?container=none", says: "sample.long.million" },
      { name: "account, none known", attributes: "?user=nobody&pass=x&method=plain", says: "" },
    ],
  },
  {
    kind: "pmcd with certificates",
    options: (tls) => ({ tls }),
    cases: [
      { name: "plain", says: value },
      { name: "secure", scheme: "pcps://", says: value },
      { name: "secure relaxed", scheme: "pcps://", attributes: "?secure=relaxed", says: value },
      { name: "secure by variable", env: { PCP_SECURE_SOCKETS: "enforce" }, says: value },
      { name: "secure with container", scheme: "pcps://", attributes: "?container=none", says: "" },
    ],
  },
  {
    kind: "pmcd that wants client certificates",
    options: (tls) => ({ tls, requireCertificate: true }),
    cases: [{ name: "with one", scheme: "pcps://", says: value }],
  },
  {
    kind: "pmcd with accounts",
    needsSasl: true,
    options: (tls) => ({ tls, sasl: { user: "nobody", password: "open sesame" } }),
    cases: [
      { name: "none given", says: value },
      { name: "plain", attributes: "?user=nobody&pass=open sesame&method=plain", says: value },
      {
        name: "scram",
        attributes: "?user=nobody&pass=open sesame&method=scram-sha-256",
        says: value,
      },
      {
        name: "scram inside TLS",
        scheme: "pcps://",
        attributes: "?user=nobody&pass=open sesame&method=scram-sha-256",
        says: value,
      },
      {
        name: "wrong password",
        attributes: "?user=nobody&pass=wrong&method=plain",
        says: "authentication failure",
      },
      {
        name: "wrong password, scram",
        attributes: "?user=nobody&pass=wrong&method=scram-sha-256",
        says: "authentication failure",
      },
    ],
  },
  {
    kind: "pmcd that insists on accounts",
    needsSasl: true,
    options: (tls) => ({
      tls,
      sasl: { user: "nobody", password: "open sesame" },
      requireCredentials: true,
    }),
    cases: [
      { name: "plain", attributes: "?user=nobody&pass=open sesame&method=plain", says: value },
      { name: "none given", says: "Cannot connect" },
    ],
  },
  {
    kind: "pmcd that lets nobody store",
    options: () => ({ access: 'disallow ".*" : store;\ndisallow ":*" : store;' }),
    cases: [
      { name: "fetch", says: value },
      {
        name: "store",
        argv: ["pmstore", "-h", "HOST", "sample.long.write_me", "1"],
        says: "No permission to perform requested operation",
      },
    ],
  },
];

function securityOf(tree: PcpTree): void {
  let proxy: Promise<Proxy> | undefined;
  const started: Promise<Pmcd>[] = [];
  afterAll(async () => {
    await Promise.all([...started, proxy].map(async (peer) => (await peer)?.stop()));
  });
  for (const { kind, needsSasl, options, cases } of kinds) {
    describe(kind, () => {
      // pmcd negotiates with one client after the other; two at a time would time each other out.
      const turn = turnstile(1);
      let pmcd: Promise<Pmcd> | undefined;
      for (const { name, argv, scheme, attributes, env, says } of cases) {
        const body = async () => {
          if (pmcd === undefined) {
            pmcd = tlsFiles().then((tls) => startPmcd(tree, options(tls)));
            started.push(pmcd);
          }
          proxy ??= startProxyUnderTest();
          const [target, via] = await Promise.all([pmcd, proxy]);
          const look = async (at: string) => {
            const spec = `${scheme ?? ""}localhost:${target.port}${at}${attributes ?? ""}`;
            const words = (argv ?? pminfo).map((word) => (word === "HOST" ? spec : word));
            const run = { env: { ...target.clientEnv, ...env } };
            const result = await turn(() => runIn(tree, words, run));
            const clean = (text: string) => settle(text, spec);
            return { ...result, stdout: clean(result.stdout), stderr: clean(result.stderr) };
          };
          const [direct, through] = await Promise.all([look(""), look(`@localhost:${via.port}`)]);
          expect(direct.stdout + direct.stderr).toContain(says);
          expect(through).toEqual(direct);
        };
        const sasl = needsSasl === undefined ? [] : ([`${tree.name}-sasl`] as const);
        concurrentTestWith([tree.name, "openssl", ...sasl], name, body, 300_000);
      }
    });
  }
}

describe("PCP 6", () => securityOf(pcp6));
describe("PCP 7", () => securityOf(pcp7));
