// Goal: `pmda-run AGENT --install` makes a real pmcd run the agent, `--remove` makes it stop, and both
// leave the files otherwise as they were; pmcd's restarts and ends of the agent are survived; a dry
// run says what would change and changes nothing.
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { startPmcd, type PcpTree, type Pmcd, runIn } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder, run } from "../helpers/process.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");
const template = join(import.meta.dir, "../../docs/agent-template.ts");

/** Runs `pcpbox pmda-run` with the files of a private pmcd. */
async function pmdaRun(pmcd: Pmcd, ...args: readonly string[]): Promise<string> {
  const { folder } = pmcd;
  const result = await run([process.execPath, main, "pmda-run", ...args], {
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
async function pminfo(tree: PcpTree, { socket, clientEnv }: Pmcd, ...args: readonly string[]) {
  const { stdout, stderr } = await runIn(tree, ["pminfo", "-h", `unix:${socket}`, ...args], {
    env: clientEnv,
  });
  return stdout + stderr;
}

/** Processes that pmcd has started. */
const children = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean)
    .map(Number);

describe("under pmcd 6", () => {
  testWith(
    ["pcp6", "root"],
    "installed, restarted, removed",
    async () => {
      const pmcd = await startPmcd(pcp6, { agents: [] });
      const conf = join(pmcd.folder, "pmcd.conf");
      const names = join(pmcd.folder, "pmns");
      const [confBefore, namesBefore] = [conf, names].map((path) => readFileSync(path, "utf8"));

      const dry = await pmdaRun(pmcd, "simple", "--install", "--dry-run");
      expect(dry).toContain("+\tnumfetch\t253:0:0\n");
      expect(dry).toMatch(/\n\+simple\t253\tpipe\tbinary \t\t\S+ \S+ pmda-run simple -d 253\n/);
      expect(readFileSync(conf, "utf8")).toBe(confBefore ?? "");
      expect(existsSync(join(pmcd.folder, "simple"))).toBeFalse();

      const said = await pmdaRun(pmcd, "simple", "--install");
      expect(said).toBe(
        "Updating the Performance Metrics Name Space (PMNS) ...\nUpdating the PMCD control file, and notifying PMCD ...\n",
      );
      const appeared = async () =>
        (await pminfo(pcp6, pmcd, "-f", "simple.color")).includes('"red"');
      await waitUntil(appeared, "simple.color under pmcd");
      expect(statSync(conf).mode & 0o777).toBe(0o644);

      await pmcd.restart();
      await waitUntil(appeared, "simple.color after pmcd's restart");

      const [agent = 0] = children(pmcd.daemon().pid);
      process.kill(agent, "SIGKILL");
      await waitUntil(appeared, "simple.color after the agent's end");
      expect(children(pmcd.daemon().pid)).not.toContain(agent);

      // A second time: the running agent is replaced by one of the same line.
      const [second = 0] = children(pmcd.daemon().pid);
      await pmdaRun(pmcd, "simple", "--install");
      await waitUntil(() => !existsSync(`/proc/${second}`), "the end of the agent before");
      await waitUntil(appeared, "simple.color of the next agent");

      expect(await pmdaRun(pmcd, "simple", "--remove")).toStartWith(
        "Culling the Performance Metrics Name Space ...\n    simple ... done\n",
      );
      await waitUntil(
        async () => (await pminfo(pcp6, pmcd, "simple")).includes("Unknown metric name"),
        "the end of simple",
      );
      expect(readFileSync(names, "utf8")).toBe(namesBefore ?? "");
      expect(existsSync(join(pmcd.folder, "simple"))).toBeFalse();
      const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
      expect(lines(readFileSync(conf, "utf8"))).toEqual(lines(confBefore ?? ""));
      await pmcd.stop();
    },
    60_000,
  );

  testWith(
    "pcp6",
    "a module of an author",
    async () => {
      const pmcd = await startPmcd(pcp6, { agents: [] });
      const path = join(pmcd.folder, "weather.ts");
      const text = readFileSync(template, "utf8").replaceAll(/\bexample\b/g, "weather");
      writeFileSync(path, text);
      await pmdaRun(pmcd, path, "--install", "-d", "401", "plum", "fig");
      await waitUntil(
        async () =>
          (await pminfo(pcp6, pmcd, "-f", "weather.fruit.weight")).includes('"fig"] value 0.3'),
        "the agent of the module",
      );
      expect(await pminfo(pcp6, pmcd, "-mdt", "weather.limit")).toBe(
        `
weather.limit PMID: 401.0.1 [a setting that pmstore(1) can change]
    Data Type: 32-bit unsigned int  InDom: PM_INDOM_NULL 0xffffffff
    Semantics: discrete  Units: sec
`,
      );
      await pmcd.stop();
    },
    60_000,
  );
});
