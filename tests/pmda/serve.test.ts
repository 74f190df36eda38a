// Goal: agents are served by every transport as spec pmda.md 11.2 says: one connection, the rights of
// the socket, replies larger than any buffer, the end with the connection. Without any PCP.
import { expect, test } from "bun:test";
import { existsSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { PcpError } from "../../lib/base/mod.ts";
import { PM_TYPE, type Pmid, pmidBuild, ResultView, ResultWriter } from "../../lib/pcp/mod.ts";
import { createProfile } from "../../lib/pdu/mod.ts";
import {
  type Agent,
  type AgentAddress,
  agentOverLink,
  makeAgent,
  serveAgent,
  type ServeOptions,
  type Transport,
} from "../../lib/pmda/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { freePort } from "../helpers/ports.ts";
import { baseEnvironment, privateFolder } from "../helpers/process.ts";

const domain = 99;
const small = pmidBuild(domain, 0, 0);
const large = pmidBuild(domain, 0, 1);
const by = { context: 0, profile: createProfile() };
const TEXT = "x".repeat(100_000);

const newAgent = () =>
  makeAgent(
    {
      name: "served",
      metrics: [
        { cluster: 0, item: 0, type: PM_TYPE.I32, sem: 3, fetch: () => 5 },
        { cluster: 0, item: 1, type: PM_TYPE.STRING, sem: 3, indom: 0, fetch: () => TEXT },
      ],
      indoms: [
        { serial: 0, instances: Array.from({ length: 40 }, (_, id) => ({ id, name: `${id}` })) },
      ],
    },
    { domain },
  );

/** Bytes of the result of a fetch. */
async function fetchSize(agent: Agent, pmid: Pmid): Promise<number> {
  const out = new ResultWriter();
  await agent.fetch([pmid], by, out);
  const bytes = out.finish(0);
  const sets = new ResultView(bytes, { sec: 0, nsec: 0 }, out.count, 0).sets();
  expect(sets.next()).toBe(true);
  expect(sets.numval).toBeGreaterThan(0);
  return bytes.length;
}

/** Serves until the promise settles; resolves when the socket is there. */
async function started(transport: Transport, more: Partial<ServeOptions> = {}) {
  const logged: string[] = [];
  let over: Promise<string> = Promise.resolve("");
  await new Promise<void>((resolve, reject) => {
    const served = serveAgent(newAgent(), {
      transport,
      log: (level, text) => void logged.push(`${level} ${text}`),
      onListening: resolve,
      ...more,
    });
    over = served.then(
      () => "well",
      (error: unknown) => (error instanceof PcpError ? error.message : "another error"),
    );
    served.catch(reject);
  });
  return { over, logged };
}

async function use(address: AgentAddress): Promise<void> {
  const agent = await agentOverLink(address, { name: "served", domain });
  expect(await fetchSize(agent, small)).toBe(20);
  expect(await fetchSize(agent, large)).toBeGreaterThan(4_000_000);
  expect(await fetchSize(agent, small)).toBe(20);
  await agent.close?.();
}

for (const kind of ["inet", "ipv6"] as const) {
  testWith("ipv6", `one connection by ${kind}`, async () => {
    const address = { kind, port: await freePort() };
    const { over, logged } = await started(address);
    await use(address);
    expect(await over).toBe("well");
    expect(logged).toEqual([]);
    // Nobody listens any more.
    const failed = await agentOverLink(address, { name: "served", domain }).catch(
      (error: unknown) => error,
    );
    expect(failed).toBeInstanceOf(PcpError);
  });
}

test("a unix socket: what was there gives way, its rights, its owner", async () => {
  const path = join(privateFolder("serve"), "a.socket");
  writeFileSync(path, "in the way");
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const { over, logged } = await started({ kind: "unix", path, owner });
  expect(logged).toEqual([`Warning __pmdaOpenUnix(${path}): socket exists, unlinked it`]);
  expect((statSync(path).mode & 0o777).toString(8)).toBe("660");
  await use({ kind: "unix", path });
  expect(await over).toBe("well");
});

test("a second caller is for nobody", async () => {
  const path = join(privateFolder("serve"), "b.socket");
  const { over } = await started({ kind: "unix", path });
  const agent = await agentOverLink({ kind: "unix", path }, { name: "served", domain });
  const second = connect(path);
  await new Promise((resolve) => {
    second.once("error", resolve);
    second.once("close", resolve);
  });
  expect(await fetchSize(agent, small)).toBe(20);
  await agent.close?.();
  expect(await over).toBe("well");
});

test("a caller that hangs up without a word, and a service that is ended", async () => {
  const path = join(privateFolder("serve"), "c.socket");
  const { over, logged } = await started({ kind: "unix", path });
  connect(path).end();
  expect(await over).toContain("version exchange failure");
  expect(logged[0]).toStartWith("Critical ");
  const controller = new AbortController();
  const other = await started({ kind: "unix", path }, { signal: controller.signal });
  controller.abort();
  expect(await other.over).toBe("well");
});

test("a socket that cannot be opened", async () => {
  const served = serveAgent(newAgent(), {
    transport: { kind: "unix", path: "/nowhere/at/all.socket" },
  });
  expect(await served.catch((error: unknown) => error)).toBeInstanceOf(PcpError);
});

const program = (log: string): string => `
  import { makeAgent, serveAgent } from ${JSON.stringify(join(import.meta.dir, "../../lib/pmda/mod.ts"))};
  import { writeFileSync } from "node:fs";
  let ticks = 0;
  setInterval(() => void (ticks += 1), 1);
  const agent = makeAgent({
    name: "piped",
    metrics: [
      { cluster: 0, item: 0, type: 0, sem: 3, fetch: () => ticks },
      { cluster: 0, item: 1, type: 6, sem: 3, indom: 0, fetch: () => "x".repeat(100_000) },
    ],
    indoms: [{ serial: 0, instances: Array.from({ length: 40 }, (_, id) => ({ id, name: "" + id })) }],
    close: () => writeFileSync(${JSON.stringify(log)}, "closed"),
  }, { domain: 99 });
  await serveAgent(agent, { transport: { kind: "pipe" } });
  await agent.close();
  process.exit(0);
`;

test("pipes: large replies, timers that run between requests, the end with the pipe", async () => {
  const log = join(privateFolder("serve"), "log");
  const child = Bun.spawn([process.execPath, "-e", program(log)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: baseEnvironment(),
  });
  const agent = await agentOverLink(child, { name: "piped", domain });
  expect(await fetchSize(agent, large)).toBeGreaterThan(4_000_000);
  const out = new ResultWriter();
  let ticks = 0;
  for (let i = 0; i < 50_000 && ticks < 3; i++) {
    out.reset();
    await agent.fetch([small], by, out);
    const sets = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, 1, 0).sets();
    ticks = sets.next() ? sets.word(0) : 0;
    await Bun.sleep(1);
  }
  expect(ticks).toBeGreaterThanOrEqual(3);
  expect(existsSync(log)).toBe(false);
  await agent.close?.();
  expect(await child.exited).toBe(0);
  expect(readFileSync(log, "utf8")).toBe("closed");
});

test("an output that takes nothing ends the service, from its first PDU on", async () => {
  const logged: string[] = [];
  const input = join(privateFolder("serve"), "input");
  writeFileSync(input, Buffer.from("000000140000700c000048320000000101020000", "hex"));
  const served = serveAgent(newAgent(), {
    transport: { kind: "pipe", input: openSync(input, "r"), output: openSync("/dev/full", "w") },
    log: (level, text) => void logged.push(`${level} ${text}`),
  });
  const error = await served.catch((cause: unknown) => cause);
  expect(error instanceof PcpError ? error.code : error).toBe(-28);
  expect(logged.length).toBe(1);
});
