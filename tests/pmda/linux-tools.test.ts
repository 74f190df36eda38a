// Goal: PCP's own programs work with a pmcd whose linux agent is ours, in place of PCP's: pmrep's sets
// of metrics, the pcp commands that look at a machine, pmstat, pmlogger with its default configuration.
import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pmcd } from "../helpers/pcp.ts";
import { pcp6, startPmcd6 } from "../helpers/pcp6.ts";
import { havePeers, testWith } from "../helpers/peers.ts";
import { must, privateFolder, run } from "../helpers/process.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");

const home = privateFolder("home");
let pmcd: Pmcd | undefined;
beforeAll(async () => {
  if (!havePeers("pcp6")) return;
  const names = readFileSync("/var/lib/pcp/pmns/root_linux", "utf8");
  pmcd = await startPmcd6({
    agents: [],
    own: [
      {
        name: "linux",
        domain: 60,
        line: (folder) =>
          `pipe binary /usr/bin/env PCP_VAR_DIR=${folder} ${process.execPath} ${main} pmda-run linux -d 60 -l ${folder}/log/linux.log`,
        names,
        probe: "kernel.all.load",
      },
    ],
  });
}, 300_000);
afterAll(() => pmcd?.stop());

/** Runs a program of PCP against this pmcd. */
async function ask(argv: readonly string[]) {
  if (pmcd === undefined) throw new Error("no pmcd");
  // Their sets are in the installed configuration; the programs in Python want the system's.
  const derived = "/var/lib/pcp/config/derived";
  const env = { HOME: home, PATH: "/usr/bin:/bin", PCP_DERIVED_CONFIG: derived };
  return run(pcp6.command(argv), { env });
}

const host = (): string => `localhost:${pmcd?.port ?? 0}`;

testWith("pcp6", "pminfo finds a value, or none, for every metric of PCP's list", async () => {
  const { stdout, stderr } = await ask(["pminfo", "-h", host(), "-dmtT"]);
  expect(stderr).toBe("");
  const metrics = stdout.match(/^\S+ PMID: 60\./gm) ?? [];
  expect(metrics.length).toBe(1340);
  expect(stdout).not.toContain("One-line Help: Error");
});

const SETS =
  "vmstat vmstat-a vmstat-d vmstat-w mpstat mpstat-P-ALL mpstat-I-SUM sar sar-B sar-b sar-d-dev sar-F " +
  "sar-n-DEV sar-n-EDEV sar-n-SOCK sar-n-TCP-ETCP sar-r-ALL sar-S sar-u-ALL sar-u-ALL-P-ALL sar-v " +
  "sar-W sar-w iostat-dktx collectl-sc collectl-sd collectl-sD collectl-sm collectl-sn numa-per-node-cpu";

testWith(
  ["pcp6", "pcp6-python"],
  "pmrep's sets of metrics have values",
  async () => {
    for (const set of SETS.split(" ")) {
      const { stdout, stderr, status } = await ask([
        "pmrep",
        "-h",
        host(),
        "-t",
        "0.1",
        "-s",
        "2",
        `:${set}`,
      ]);
      expect({ set, status, stderr }).toEqual({ set, status: 0, stderr: "" });
      expect(`${set}: ${stdout}`).toMatch(/\d/);
    }
  },
  300_000,
);

const COMMANDS: readonly (readonly [command: string, says: RegExp])[] = [
  ["pcp -h HOST dstat --nocolor 1 1", /usr/],
  ["pcp -h HOST vmstat 0.1 2", /swpd/],
  ["pcp -h HOST free", /Mem:\s+\d+/],
  ["pcp -h HOST iostat -s 2 -t 0.1", /Device/],
  ["pcp -h HOST mpstat -s 2 -t 0.1", /%usr/],
  ["pcp -h HOST uptime", /load average: [\d.]+/],
  ["pcp -h HOST numastat", /numa_hit\s+\d+/],
  ["pcp -h HOST", /hardware:\s+\d+ cpus?, \d+ disks?/],
  ["pmstat -h HOST -s 2 -t 0.1", /\d+\.\d+/],
];

testWith(
  ["pcp6", "pcp6-python"],
  "the commands that look at a machine",
  async () => {
    for (const [command, says] of COMMANDS) {
      const { stdout, status } = await ask(command.replace("HOST", host()).split(" "));
      expect({ command, status }).toEqual({ command, status: 0 });
      expect(`${command}: ${stdout}`).toMatch(says);
    }
  },
  300_000,
);

testWith("pcp6", "pmlogger records it, and pmlogcheck finds nothing", async () => {
  const folder = privateFolder("linux-log");
  const archive = join(folder, "log");
  const config = join(folder, "config");
  await Bun.write(
    config,
    "log mandatory on 200 msec { kernel.all kernel.percpu mem.util mem.vmstat swap disk hinv\n" +
      " network.interface network.tcp filesys ipc nfs rpc vfs }\n",
  );
  const logged = await ask([
    "pmlogger",
    "-h",
    host(),
    "-c",
    config,
    "-s",
    "3",
    "-l",
    join(folder, "log.txt"),
    archive,
  ]);
  expect(`${logged.status} ${logged.stderr}`).toBe("0 ");
  expect(existsSync(`${archive}.0`)).toBe(true);
  expect((await must(pcp6.command(["pmlogcheck", archive]))).trim()).toBe("");
});
