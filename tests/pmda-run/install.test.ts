// Goal: `pmda-run AGENT --install` makes a real pmcd run the agent, `--remove` makes it stop, and both
// leave the files otherwise as they were; pmcd's restarts and ends of the agent are survived; a dry
// run says what would change and changes nothing.
import { expect } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type PcpTree, type Pmcd, runIn, startPmcd } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { must, privateFolder, run } from "../helpers/process.ts";

const root = join(import.meta.dir, "../..");
const main = join(root, "cmd/main.ts");
const template = join(root, "docs/agent-template.ts");

/** A private pmcd, and the program that installs agents for it. */
interface Stage {
  readonly tree: PcpTree;
  readonly pmcd: Pmcd;
  readonly program: readonly string[];
}

/** The program as one executable, where programs of every tree see it. */
async function compiled(): Promise<readonly string[]> {
  const path = join(privateFolder("pmda-run"), "pcpbox");
  await must([process.execPath, "build", "--compile", `--outfile=${path}`, main], { cwd: root });
  return [path];
}

/** Runs `pcpbox pmda-run` with the files of the private pmcd. */
async function pmdaRun({ pmcd, program }: Stage, ...args: readonly string[]): Promise<string> {
  const { folder } = pmcd;
  const result = await run([...program, "pmda-run", ...args], {
    env: {
      PCP_CONF: join(folder, "pcp.conf"),
      PCP_PMCDCONF_PATH: join(folder, "pmcd.conf"),
      PMNS_DEFAULT: join(folder, "pmns"),
    },
    cwd: folder,
  });
  expect(result.stderr).toBe("");
  expect(result.status).toBe(0);
  return result.stdout;
}

/** What pminfo says about a metric. */
async function pminfo({ tree, pmcd }: Stage, ...args: readonly string[]): Promise<string> {
  const argv = ["pminfo", "-h", `unix:${pmcd.socket}`, ...args];
  const { stdout, stderr } = await runIn(tree, argv, { env: pmcd.clientEnv });
  return stdout + stderr;
}

/** Whether something becomes true before patience is over. */
const soon = (ready: () => boolean | Promise<boolean>): Promise<boolean> => waitUntil(ready);

/** Processes that a process has started. */
const children = (pid: number): number[] => {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
};

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** Installs, restarts, ends and removes an agent of ours. */
async function builtinAgent(stage: Stage): Promise<void> {
  const { pmcd } = stage;
  const conf = join(pmcd.folder, "pmcd.conf");
  const names = join(pmcd.folder, "pmns");
  const confBefore = readFileSync(conf, "utf8");
  const namesBefore = readFileSync(names, "utf8");

  const dry = await pmdaRun(stage, "simple", "--install", "--dry-run");
  expect(dry).toContain("+\tnumfetch\t253:0:0\n");
  expect(dry).toMatch(/\n\+simple\t253\tpipe\tbinary \t\t\S+( \S+)? pmda-run simple -d 253\n/);
  expect(readFileSync(conf, "utf8")).toBe(confBefore);
  expect(existsSync(join(pmcd.folder, "simple"))).toBeFalse();

  expect(await pmdaRun(stage, "simple", "--install")).toBe(
    "Updating the Performance Metrics Name Space (PMNS) ...\nUpdating the PMCD control file, and notifying PMCD ...\nCheck simple metrics have appeared ... 5 metrics and 6 values\n",
  );
  const appeared = async () => (await pminfo(stage, "-f", "simple.color")).includes('"red"');
  expect(await soon(appeared)).toBeTrue();
  expect(statSync(conf).mode & 0o777).toBe(0o644);

  await pmcd.restart();
  expect(await soon(appeared)).toBeTrue();

  const [agent = 0] = children(stage.pmcd.daemon().pid);
  process.kill(agent, "SIGKILL");
  expect(await soon(appeared)).toBeTrue();
  expect(children(stage.pmcd.daemon().pid)).not.toContain(agent);

  // A second time: the running agent is replaced by one of the same line.
  const [second = 0] = children(stage.pmcd.daemon().pid);
  await pmdaRun(stage, "simple", "--install");
  expect(await soon(() => !existsSync(`/proc/${second}`))).toBeTrue();
  expect(await soon(appeared)).toBeTrue();

  expect(await pmdaRun(stage, "simple", "--remove")).toBe(
    "Culling the Performance Metrics Name Space ...\n    simple ... done\nUpdating the PMCD control file, and notifying PMCD ...\nCheck simple metrics have gone away ... OK\n",
  );
  const gone = async () => (await pminfo(stage, "simple")).includes("Unknown metric name");
  expect(await soon(gone)).toBeTrue();
  expect(readFileSync(names, "utf8")).toBe(namesBefore);
  expect(existsSync(join(pmcd.folder, "simple"))).toBeFalse();
  expect(linesOf(readFileSync(conf, "utf8"))).toEqual(linesOf(confBefore));
}

/** Installs a module of an author. */
async function authorModule(stage: Stage): Promise<void> {
  const path = join(stage.pmcd.folder, "weather.ts");
  writeFileSync(path, readFileSync(template, "utf8").replaceAll(/\bexample\b/g, "weather"));
  await pmdaRun(stage, path, "--install", "-d", "401", "plum", "fig");
  const appeared = async () =>
    (await pminfo(stage, "-f", "weather.fruit.weight")).includes('"fig"] value 0.3');
  expect(await soon(appeared)).toBeTrue();
  expect(await pminfo(stage, "-mdt", "weather.limit")).toBe(
    `
weather.limit PMID: 401.0.1 [a setting that pmstore(1) can change]
    Data Type: 32-bit unsigned int  InDom: PM_INDOM_NULL 0xffffffff
    Semantics: discrete  Units: sec
`,
  );
}

/** Installs a compiled agent, and ends the process around it. */
async function compiledAgent(stage: Stage): Promise<void> {
  const agent = ["--dso", "/var/lib/pcp/pmdas/sample/pmda_sample.so,sample_init", "-d", "29"];
  const log = join(stage.pmcd.folder, "log", "dso.log");
  await pmdaRun(stage, ...agent, "--install", "-l", log);
  const appeared = async () => {
    const shown = await pminfo(stage, "-f", "sample.long.ten", "sample.secret.foo.one");
    return shown.includes("value 10\n") && shown.includes("sample.secret.foo.one");
  };
  expect(await soon(appeared)).toBeTrue();
  // The agent's own process answers pmcd; the one with the shared object is below it.
  const hosts = (): number[] =>
    children(stage.pmcd.daemon().pid)
      .flatMap(children)
      .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("sample_init"));
  const [host = 0] = hosts();
  process.kill(host, "SIGSEGV");
  expect(await soon(appeared)).toBeTrue();
  expect(hosts()).not.toContain(host);
  expect(readFileSync(log, "utf8")).toContain(
    'Warning: agent "sample" (domain 29): killed by SIGSEGV; the next request starts it',
  );
  await pmdaRun(stage, ...agent, "--remove");
  const gone = async () => (await pminfo(stage, "sample")).includes("Unknown metric name");
  expect(await soon(gone)).toBeTrue();
}

async function onStage(tree: PcpTree, program: readonly string[]): Promise<void> {
  // A busy machine may take longer than the three seconds that pmcd gives agents to begin.
  const pmcd = await startPmcd(tree, { agents: [], args: ["-q", "30", "-t", "30"] });
  const stage = { tree, pmcd, program };
  await builtinAgent(stage);
  await authorModule(stage);
  await compiledAgent(stage);
  await pmcd.stop();
}

testWith(
  ["pcp6", "root"],
  "under pmcd 6, from the sources: installed, restarted, removed",
  () => onStage(pcp6, [process.execPath, main]),
  300_000,
);

testWith(
  "pcp7",
  "under pmcd 7, as one executable: installed, restarted, removed",
  async () => onStage(pcp7, await compiled()),
  300_000,
);
