// Goal: under a real pmcd, of both releases and by every transport, our simple and trivial look to
// PCP's programs like PCP's own: names, descriptors, texts, labels, values, stores, reloads. Further:
// what becomes of agents that end, and of a pmcd that does.
import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { type OwnAgent, type PcpTree, type Pmcd, runIn, startPmcd } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { FAULTY_DOMAIN, FAULTY_NAMES } from "../helpers/agent-faulty.ts";
import { havePeers, type Peer, testWith } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { type Daemon, must, privateFolder, startDaemon } from "../helpers/process.ts";
import { ownAgent, sessionText, writeSimpleConf } from "./pmcd-session.ts";

const main = join(import.meta.dir, "../helpers/agent-main.ts");
const expected = readFileSync(join(import.meta.dir, "../fixtures/pmda/pmcd-session.txt"), "utf8");

const RELEASES: readonly { readonly peer: Peer; readonly tree: PcpTree }[] = [
  { peer: "pcp6", tree: pcp6 },
  { peer: "pcp7", tree: pcp7 },
];

const running: (Daemon | Pmcd)[] = [];
afterAll(async () => {
  for (const each of running) await each.stop();
});

// A program that pmcd 7 can start in its own root, where there is neither Bun nor this tree.
let program = "";
beforeAll(async () => {
  if (!havePeers("pcp6") && !havePeers("pcp7")) return;
  program = join(privateFolder("agent"), "agent");
  await must([process.execPath, "build", "--compile", main, "--outfile", program], {
    cwd: join(import.meta.dir, "../.."),
  });
}, 300_000);

/** Agents that pmcd starts itself, with pipes. */
const piped = (name: "simple" | "trivial"): OwnAgent =>
  ownAgent(name, (folder) => {
    const log = join(folder, "log", `${name}.log`);
    return `pipe binary /bin/sh -c "exec ${program} ${name} pipe 2> ${log}"`;
  });

/** An agent that listens already when pmcd starts, which only connects. */
async function listening(
  name: "simple" | "trivial",
  kind: "inet" | "ipv6" | "unix",
  folder: string,
): Promise<OwnAgent> {
  const where = kind === "unix" ? join(folder, `${name}.socket`) : String(await freePort());
  const log = join(folder, `${name}.log`);
  if (name === "simple") writeSimpleConf(folder, "sec,min,hour\n");
  const env = { PCP_PMDAS_DIR: join(folder, "pmdas") };
  const daemon = startDaemon([program, name, kind, where], log, { env });
  running.push(daemon);
  const ready = async (): Promise<boolean> =>
    existsSync(log) && readFileSync(log, "utf8").includes("listening");
  expect(await waitUntil(ready, daemon.alive)).toBe(true);
  return ownAgent(name, () => `socket ${kind} ${where}`);
}

for (const { peer, tree } of RELEASES) {
  const start = async (own: readonly OwnAgent[]): Promise<Pmcd> => {
    // pmcd looks ipv6 agents up as "localhost", which has no such address on every machine.
    const isRoot = process.getuid?.() === 0;
    const hosts =
      tree.root === "" && isRoot ? { hosts: "127.0.0.1 localhost\n::1 localhost\n" } : {};
    const pmcd = await startPmcd(tree, { agents: [], own, ...hosts });
    running.push(pmcd);
    return pmcd;
  };

  testWith(peer, `${peer}: by pipe`, async () => {
    const pmcd = await start([piped("simple"), piped("trivial")]);
    expect(await sessionText(pmcd)).toBe(expected);
  });

  for (const [forSimple, forTrivial] of [
    ["inet", "unix"],
    ["unix", "ipv6"],
    ["ipv6", "inet"],
  ] as const) {
    const name = `${peer}: by ${forSimple} and ${forTrivial}`;
    testWith([peer, "ipv6", "root"], name, async () => {
      const folder = privateFolder("agents");
      const simple = await listening("simple", forSimple, folder);
      const trivial = await listening("trivial", forTrivial, folder);
      expect(await sessionText(await start([simple, trivial]), folder)).toBe(expected);
    });
  }
}

/** An agent that does what it should not. */
const faultyAgent: OwnAgent = {
  name: "faulty",
  domain: FAULTY_DOMAIN,
  names: FAULTY_NAMES,
  probe: "faulty.good",
  line: (folder) =>
    `pipe binary /bin/sh -c "exec ${program} faulty pipe 2> ${folder}/log/faulty.log"`,
};

for (const { peer, tree } of RELEASES) {
  testWith(peer, `${peer}: an agent outlives its callbacks, whatever they do`, async () => {
    const pmcd = await startPmcd(tree, { agents: [], own: [faultyAgent] });
    running.push(pmcd);
    const ask = async (...words: readonly string[]): Promise<string> => {
      const [name = "", ...rest] = words;
      const argv = [name, "-h", `unix:${pmcd.socket}`, ...rest];
      const { stdout, stderr } = await runIn(tree, argv, { env: pmcd.clientEnv });
      return (stdout + stderr).trim();
    };
    const before = processes().length;
    expect(await ask("pmprobe", "-v", "faulty.good")).toBe("faulty.good 1 42");
    expect(
      await ask("pminfo", "-f", ...["good", "hang", "late"].map((each) => `faulty.${each}`)),
    ).toBe(
      [
        "faulty.good",
        "    value 42",
        "",
        "faulty.hang",
        "Error: Try again. Information not currently available",
        "",
        "faulty.late",
        "    value 43",
      ].join("\n"),
    );
    expect(await ask("pmprobe", "faulty.throw")).toBe(
      "faulty.throw -12345 Generic error, already reported above",
    );
    expect(await ask("pmprobe", "faulty.nonsense")).toBe(
      "faulty.nonsense -12397 Unknown or illegal metric type",
    );
    expect(await ask("pmprobe", "-I", "faulty.partly")).toBe(
      'faulty.partly 2 "number 0" "number 3"',
    );
    expect(await ask("pmprobe", "faulty.gone")).toContain("Unknown or illegal metric identifier");
    // Names of its own, more of them, and the metrics behind them.
    expect(await ask("pminfo", "-m", "faulty.dyn")).toBe(
      [
        "faulty.dyn.more PMID: 248.0.8",
        "faulty.dyn.b.c PMID: 248.1.1",
        "faulty.dyn.a PMID: 248.1.0",
      ].join("\n"),
    );
    await ask("pmstore", "faulty.dyn.more", "1");
    expect(await ask("pmprobe", "-v", "faulty.dyn.n2")).toBe("faulty.dyn.n2 1 102");
    expect(await ask("pminfo", "-l", "faulty.good")).toContain('"good":true');
    // Not ready for a while.
    await ask("pmstore", "faulty.unready", "400");
    expect(await ask("pmprobe", "faulty.good")).toContain("Try again");
    expect(
      await waitUntil(async () => (await ask("pmprobe", "-v", "faulty.good")).endsWith("1 42")),
    ).toBe(true);
    expect(processes().length).toBe(before);
    const log = readFileSync(join(pmcd.folder, "log/faulty.log"), "utf8");
    expect(log).toContain("Fetch callback error from metric PMID 248.0.2[-1]: on purpose");
    expect(log).toContain("Warning: pmdaFetch: PMID 248.0.1[-1]: no answer within 0.3 s");
    expect(readFileSync(pmcd.logFile, "utf8")).not.toContain("Cleanup");
  });
}

for (const { peer, tree } of RELEASES) {
  testWith(peer, `${peer}: an agent that needs its time to start is waited for`, async () => {
    const slow: OwnAgent = {
      ...faultyAgent,
      line: (folder) =>
        `pipe binary notready /bin/sh -c "exec ${program} faulty pipe notready 2> ${folder}/log/faulty.log"`,
    };
    // Ready is when the probe has a value.
    const pmcd = await startPmcd(tree, { agents: [], own: [slow] });
    running.push(pmcd);
    const argv = ["pmprobe", "-h", `unix:${pmcd.socket}`, "-v", "pmcd.agent.status", "faulty.late"];
    const { stdout } = await runIn(tree, argv, { env: pmcd.clientEnv });
    expect(stdout.trim()).toBe("pmcd.agent.status 2 0 0\nfaulty.late 1 43");
    expect(readFileSync(pmcd.logFile, "utf8")).not.toContain("Cleanup");
  });
}

/** Processes of the program, each started for one agent. */
const processes = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readlinkSync(`/proc/${name}/exe`) === program;
      } catch (error) {
        // It may have ended since the folder was read.
        expect(error).toBeInstanceOf(Error);
        return false;
      }
    })
    .map(Number);

const numfetch = async (pmcd: Pmcd): Promise<string> => {
  const argv = ["pmprobe", "-h", `unix:${pmcd.socket}`, "-v", "simple.numfetch"];
  const { stdout } = await runIn(pmcd.tree, argv, { env: pmcd.clientEnv });
  return stdout.trim();
};

testWith("pcp6", "an agent is killed, started again, and ends with pmcd", async () => {
  const before = new Set(processes());
  const pmcd = await startPmcd(pcp6, { agents: [], own: [piped("simple")] });
  running.push(pmcd);
  const [pid = 0] = processes().filter((each) => !before.has(each));
  expect(await numfetch(pmcd)).toMatch(/^simple.numfetch 1 \d+$/);
  process.kill(pid, "SIGKILL");
  const back = async (): Promise<boolean> => / 1 \d+$/.test(await numfetch(pmcd));
  expect(await waitUntil(back)).toBe(true);
  const after = processes().filter((each) => !before.has(each));
  expect(after).not.toContain(pid);
  expect(after.length).toBe(1);
  pmcd.daemon().signal("SIGHUP");
  await Bun.sleep(200);
  expect(await back()).toBe(true);
  expect(processes().filter((each) => !before.has(each))).toEqual(after);
  await pmcd.stop();
  const gone = async (): Promise<boolean> => !processes().some((each) => !before.has(each));
  expect(await waitUntil(gone)).toBe(true);
});

testWith("pcp6", "pmcd starts an agent with a socket itself, and it ends with pmcd", async () => {
  const before = new Set(processes());
  const agent = ownAgent("trivial", (folder) => {
    const socket = join(folder, "run", "trivial.socket");
    return `socket unix ${socket} ${program} trivial unix ${socket}`;
  });
  const pmcd = await startPmcd(pcp6, { agents: [], own: [agent] });
  running.push(pmcd);
  await pmcd.stop();
  const gone = async (): Promise<boolean> => !processes().some((each) => !before.has(each));
  expect(await waitUntil(gone)).toBe(true);
});
