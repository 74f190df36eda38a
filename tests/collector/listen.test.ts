// Goal: a collector answers PCP's clients of both releases as pmcd does: names, descriptors, values,
// stores, labels, state changes, TLS, the unix socket with its accounts, containers; access rules are
// kept; odd and hostile clients get what pmcd gives them, and nobody else notices.
import { afterAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  type AgentSpec,
  type Collector,
  type CollectorTable,
  parseAccess,
  startCollector,
} from "../../lib/collector/mod.ts";
import { openHostContext } from "../../lib/context/mod.ts";
import { PM_IN_NULL, PM_TYPE } from "../../lib/pcp/mod.ts";
import { type PcpTree, runIn } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { thrown } from "../helpers/rejected.ts";

const folder = privateFolder("collector");
const running: Collector[] = [];
afterAll(async () => {
  for (const collector of running) await collector.stop();
});

const builtin = (name: string): AgentSpec => ({
  label: name,
  domain: undefined,
  kind: { type: "builtin", name, args: [] },
});
const USUAL = ["simple", "trivial"].map(builtin);

let sockets = 0;
interface Given {
  readonly rules?: string;
  readonly table?: () => Promise<CollectorTable>;
  readonly tls?: { cert: string; key: string; ca?: string; needsCertificate?: boolean };
  readonly maxClients?: number;
}
async function start({ rules = "", table, ...more }: Given = {}) {
  const socketPath = join(folder, `socket${(sockets += 1)}`);
  const log: string[] = [];
  const collector = await startCollector({
    env: { PCP_PMDAS_DIR: folder, PCP_TMP_DIR: folder },
    ports: [0],
    interfaces: ["127.0.0.1", "::1"],
    socketPath,
    version: "7.2.1",
    build: "test",
    log: (level, text) => void log.push(`${level} ${text}`),
    loadModule: () => Promise.reject(new Error("no modules here")),
    table: table ?? (async () => ({ agents: USUAL, rules: parseAccess(rules, "rules") })),
    ...more,
  });
  running.push(collector);
  const [port = 0] = collector.server.ports;
  return { collector, port, socketPath, log };
}

const RELEASES: readonly (readonly ["pcp6" | "pcp7", PcpTree])[] = [
  ["pcp6", pcp6],
  ["pcp7", pcp7],
];
for (const [peer, tree] of RELEASES) {
  const ask = async (...args: string[]): Promise<string> => {
    const { stdout, stderr } = await runIn(tree, args);
    return `${stdout}${stderr}`;
  };

  describe(`clients of ${peer}`, () => {
    testWith(peer, "names, descriptors, texts, labels and values", async () => {
      const { port } = await start();
      const host = `localhost:${port}`;
      const names = (await ask("pminfo", "-h", host)).trim().split("\n");
      expect(names).toContain("simple.color");
      expect(names).toContain("pmcd.numclients");
      const all = await ask("pminfo", "-h", host, "-dmtTl", "simple.color", "trivial.time");
      expect(all).toContain("simple.color PMID: 253.0.1 [");
      expect(all).toContain("Data Type: 32-bit int  InDom: 253.0 0x3f400000");
      expect(all).toContain('"model":"RGB"');
      expect(all).toContain("trivial.time PMID: 250.0.0 [");
      const values = await ask("pminfo", "-h", host, "-f", "simple.color");
      expect(values).toMatch(/inst \[2 or "blue"\] value 20\d/);
      expect(await ask("pmprobe", "-h", host, "-I", "simple.color")).toContain(
        '"red" "green" "blue"',
      );
      expect(await ask("pminfo", "-h", host, "-f", "pmcd.version")).toContain('value "7.2.1"');
    });

    testWith(peer, "stores, and what may not be stored", async () => {
      const { port } = await start();
      const host = `localhost:${port}`;
      expect(await ask("pmstore", "-h", host, "simple.numfetch", "41")).toContain("new value=41");
      expect(await ask("pminfo", "-h", host, "-f", "simple.numfetch")).toContain("value 42");
      expect(await ask("pmstore", "-h", host, "trivial.time", "1")).toContain("No permission");
      const own = await ask("pmstore", "-h", host, "pmcd.control.register", "7");
      expect(own).toContain('inst [15 or "15"] old value=0 new value=7');
    });

    testWith(peer, "TLS when the client wants it, and without", async () => {
      const files = await tlsFiles();
      const tls = {
        cert: readFileSync(files.serverCertificate, "utf8"),
        key: readFileSync(files.serverKey, "utf8"),
      };
      const { port } = await start({ tls });
      const plain = await ask("pminfo", "-h", `localhost:${port}`, "-f", "pmcd.feature.secure");
      expect(plain).toContain("value 1");
      const secure = await ask("pminfo", "-h", `pcps://localhost:${port}`, "-f", "simple.color");
      expect(secure).toContain('inst [0 or "red"]');
      const boxed = `pcps://localhost:${port}?container=box`;
      const container = await ask("pminfo", "-h", boxed, "-f", "pmcd.client.container");
      expect(container).toContain('value "box"');
    });

    testWith(peer, "hosts that may not store, or not come at all", async () => {
      const { port } = await start({ rules: 'disallow ".*" : store; disallow ":*" : all;' });
      const store = await ask("pmstore", "-h", `127.0.0.1:${port}`, "simple.numfetch", "1");
      expect(store).toContain("No permission to perform requested operation");
      expect(await ask("pminfo", "-h", `127.0.0.1:${port}`, "-f", "trivial.time")).toContain(
        "value",
      );
      const refused = await ask("pminfo", "-h", `[::1]:${port}`, "-f", "trivial.time");
      expect(refused).toContain("No permission to perform requested operation");
    });
  });
}

/** Connects as our own client. */
const context = (port: number, hostspec = `127.0.0.1:${port}`) =>
  openHostContext(hostspec, { env: {} });
const codeOf = (promise: Promise<unknown>): Promise<number> =>
  promise.then(
    () => 0,
    (error: unknown) => asPcpError(error).code,
  );

test("the unix socket knows its clients", async () => {
  const { socketPath } = await start({ rules: "disallow users * : all; allow user root : all;" });
  const client = await context(0, `unix:${socketPath}`);
  const root = process.getuid?.() === 0;
  const { pmids } = root ? await client.lookupNames(["trivial.time"]) : { pmids: [] };
  if (root) {
    const [set] = await client.labels(1, 0);
    expect(Buffer.from(set?.json ?? new Uint8Array(0)).toString()).toContain('"userid":0');
  }
  expect(pmids.length).toBe(root ? 1 : 0);
  await client.close();
});

test("clients without an account are refused where rules speak of users", async () => {
  const { port } = await start({ rules: "disallow user nobody : store;" });
  const opened = await codeOf(context(port).then((client) => client.lookupNames(["trivial.time"])));
  expect(opened).not.toBe(0);
});

test("connections are limited, by a rule and by number", async () => {
  const { port } = await start({ rules: "allow host 127.* : all, maximum 1 connections;" });
  const first = await context(port);
  expect(await codeOf(context(port))).toBe(PM_ERR.CONNLIMIT);
  await first.close();
  const { port: other } = await start({ maxClients: 1 });
  const only = await context(other);
  expect(await codeOf(context(other))).toBe(PM_ERR.CONNLIMIT);
  await only.close();
});

test("the table is read again: agents go and come, clients stay and hear of it", async () => {
  let agents: readonly AgentSpec[] = USUAL;
  const { collector, port } = await start({ table: async () => ({ agents, rules: [] }) });
  const client = await context(port);
  const { pmids } = await client.lookupNames(["simple.numfetch"]);
  await client.fetch(pmids);
  agents = [builtin("trivial")];
  await collector.reload();
  const gone = await client.fetch(pmids);
  expect(gone.result.find(pmids[0] ?? expect.unreachable())?.numval).toBe(PM_ERR.NOAGENT);
  expect(gone.changes & 4).toBe(4);
  agents = USUAL;
  await collector.reload();
  const back = await client.fetch(pmids);
  expect(back.result.find(pmids[0] ?? expect.unreachable())?.numval).toBe(1);
  expect(back.changes & 3).not.toBe(0);
  agents = [builtin("trivial"), { ...builtin("simple"), domain: 2 }];
  expect(await thrown(collector.reload())).toThrow("domain 2 is the collector's own");
  expect((await client.fetch(pmids)).result.find(pmids[0] ?? expect.unreachable())?.numval).toBe(1);
  await client.close();
});

test("access rules are read again, and count for clients that are there", async () => {
  let rules = "";
  const table = async () => ({ agents: USUAL, rules: parseAccess(rules, "rules") });
  const { collector, port, log } = await start({ table });
  const client = await context(port);
  const { pmids } = await client.lookupNames(["simple.numfetch"]);
  const [pmid] = pmids;
  if (pmid === undefined) expect.unreachable();
  const sets = [{ pmid, type: PM_TYPE.U32, instances: [PM_IN_NULL], values: [1] }];
  const store = () => codeOf(client.store({ timestamp: { sec: 0, nsec: 0 }, sets }));
  expect(await store()).toBe(0);
  rules = 'disallow ".*" : store; allow host nowhere.invalid : all;';
  await collector.reload();
  expect(await store()).toBe(PM_ERR.PERMISSION);
  expect(log.join("\n")).toContain('access rule of line 1: host "nowhere.invalid" is nobody\'s: ');
  rules = 'disallow ".*" : all;';
  await collector.reload();
  expect(await codeOf(client.fetch(pmids))).toBe(PM_ERR.IPC);
  expect(await codeOf(context(port))).toBe(PM_ERR.PERMISSION);
  rules = "nonsense";
  expect(await thrown(collector.reload())).toThrow("pmcd config[rules line 1]");
  rules = "";
  await collector.reload();
  expect(await codeOf(context(port).then((again) => again.close()))).toBe(0);
  await client.close();
});

/** Sends bytes and gives what comes back until the collector closes, or `length` bytes and then nothing more. */
async function raw(
  port: number,
  bytes: Uint8Array,
  length: number,
): Promise<{ all: Buffer; closed: boolean }> {
  const parts: Buffer[] = [];
  let closed = false;
  const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
  socket.on("data", (part: Buffer) => parts.push(part));
  for (const event of ["close", "error"]) socket.on(event, () => (closed = true));
  await waitUntil(() => closed || Buffer.concat(parts).length >= length);
  await Bun.sleep(50);
  const found = { all: Buffer.concat(parts), closed };
  socket.destroy();
  return found;
}

const words = (...list: readonly number[]): Uint8Array => {
  const out = Buffer.alloc(4 * list.length);
  list.forEach((word, at) => out.writeUInt32BE(word >>> 0, 4 * at));
  return new Uint8Array(out);
};
const CREDS = words(20, 0x700c, 1, 1, 0x01020000);
const CHALLENGE = 20;
const join2 = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

describe("odd clients", () => {
  const error = (code: number): string => Buffer.from(words(16, 0x7000, 0, code)).toString("hex");
  const cases: readonly (readonly [string, Uint8Array, string | "dropped"])[] = [
    ["first PDU is no CREDS", words(12, 0x700a, 0), "dropped"],
    ["length below 12", join2(CREDS, words(4, 0x7004, 0)), "dropped"],
    ["length above the ceiling", join2(CREDS, words(0x7fffffff, 0x7004, 0)), "dropped"],
    ["garbage", new Uint8Array(Buffer.from("GET / HTTP/1.1\r\n\r\n")), "dropped"],
    [
      "an unknown type of credential, then a request",
      join2(words(20, 0x700c, 1, 1, 0x09020000), words(16, 0x7004, 0, 1)),
      "dropped",
    ],
    ["TLS that nobody offered", words(20, 0x700c, 1, 1, 0x01020001), error(PM_ERR.NOTCONN)],
    ["compression", words(20, 0x700c, 1, 1, 0x01020002), error(-95)],
    ["an unknown type", join2(CREDS, words(12, 0x7055, 0)), error(PM_ERR.IPC)],
    [
      "a fetch without a profile",
      join2(CREDS, words(32, 0x7003, 0, 0, 0, 0, 1, 1)),
      error(PM_ERR.NOPROFILE),
    ],
    ["a cut request", join2(CREDS, words(12, 0x7004, 0)), error(PM_ERR.IPC)],
    ["profile 64", join2(CREDS, words(28, 0x7002, 0, 64, 0, 0, 0)), error(-11)],
    ["an unknown metric", join2(CREDS, words(16, 0x7004, 0, 0x3f4003e7)), error(PM_ERR.PMID)],
    ["an unknown domain", join2(CREDS, words(16, 0x7004, 0, 1)), error(PM_ERR.PMID)],
  ];
  test.each(cases)("%s", async (_name, bytes, wanted) => {
    const { port } = await start();
    const length = wanted === "dropped" ? Infinity : CHALLENGE + wanted.length / 2;
    const { all, closed } = await raw(port, bytes, length);
    expect(all.subarray(0, 8).toString("hex")).toBe("0000001400007000");
    if (wanted === "dropped")
      expect({ closed, extra: all.length - CHALLENGE }).toEqual({ closed: true, extra: 0 });
    else expect(all.subarray(CHALLENGE).toString("hex")).toBe(wanted);
  });

  test("one that never reads is held, others are served", async () => {
    const { port, collector } = await start();
    const traverse = words(20, 0x7010, 0, 0, 0);
    const many = join2(CREDS, ...Array.from({ length: 20_000 }, () => traverse));
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(many);
    const other = await context(port);
    for (let round = 0; round < 20; round++)
      expect((await other.traverse("simple")).length).toBeGreaterThan(0);
    await other.close();
    socket.destroy();
    await waitUntil(() => collector.server.clients === 0);
    expect(collector.server.clients).toBe(0);
  });
});

describe("a place that cannot be had is named", () => {
  const refused = (given: Partial<Parameters<typeof startCollector>[0]>) =>
    startCollector({
      env: {},
      ports: [],
      interfaces: ["127.0.0.1"],
      version: "",
      build: "",
      log: () => undefined,
      loadModule: () => Promise.reject(new Error("none")),
      table: async () => ({ agents: [], rules: [] }),
      ...given,
    });
  test("a port that is taken", async () => {
    const { port } = await start();
    expect(await thrown(refused({ ports: [port] }))).toThrow(
      `cannot listen on 127.0.0.1 port ${port}: Address already in use`,
    );
  });
  test("an address that is none", async () => {
    expect(await thrown(refused({ ports: [0], interfaces: ["no such host"] }))).toThrow(
      /^cannot listen on no such host port 0: (?!Generic error)/,
    );
  });
  test("a unix socket", async () => {
    const { socketPath } = await start();
    expect(await thrown(refused({ socketPath }))).toThrow(`${socketPath}: somebody listens`);
    expect(await thrown(refused({ socketPath: folder }))).toThrow(`${folder}: is no socket`);
    const nowhere = join(folder, "nowhere", "socket");
    expect(await thrown(refused({ socketPath: nowhere }))).toThrow(
      `cannot listen on ${nowhere}: no folder ${join(folder, "nowhere")}`,
    );
  });
  test("a domain that two agents have", async () => {
    const agents = [builtin("simple"), { ...builtin("trivial"), domain: 253 }];
    expect(await thrown(refused({ table: async () => ({ agents, rules: [] }) }))).toThrow(
      'agent "trivial": domain 253 is that of agent "simple" already',
    );
  });
});
