// Goal: what few machines have comes out as with PCP's linux agent: processors with other names in
// /proc/cpuinfo, processors that are taken out, drivers that tell the present frequency alone, names of
// multiple devices and the program that knows them, and owners of shared memory.
import { expect, test } from "bun:test";
import { linuxAgent, unpackTree, valuesOf } from "./linux-tree.ts";

/** Values of some metrics over files, as `INSTANCE VALUE`. */
async function valuesOver(
  files: Readonly<Record<string, string>>,
  names: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { agent } = await linuxAgent(unpackTree(new Map(Object.entries(files))), env);
  const answers = await valuesOf(agent);
  return names.flatMap((name) => {
    const answer = answers.get(name);
    if (typeof answer === "number" || answer === undefined) return [`${name} ${answer}`];
    return [...answer].map(([instance, value]) => `${name} ${instance} ${value}`);
  });
}

const STAT = "cpu  1 0 0 0\ncpu0 1 0 0 0\n";

test("a processor that says less than usual has what is unknown in words", async () => {
  const cpuinfo = "cpu : Beta\ncpu model : B5\ncpu revision : 3\nBogoMIPS : 12.5\n";
  const names = ["vendor", "model", "stepping", "model_name", "flags", "bogomips", "cache"];
  expect(
    await valuesOver(
      { "/proc/stat": STAT, "/proc/cpuinfo": cpuinfo },
      names.map((name) => `hinv.cpu.${name}`),
    ),
  ).toEqual([
    "hinv.cpu.vendor cpu0 unknown",
    "hinv.cpu.model cpu0 B5",
    "hinv.cpu.stepping cpu0 3",
    "hinv.cpu.model_name cpu0 B5",
    "hinv.cpu.flags cpu0 unknown",
    "hinv.cpu.bogomips cpu0 12.5",
  ]);
});

test("processors are those of sysfs where it has any", async () => {
  const files = {
    "/proc/stat": `${STAT}cpu1 2 0 0 0\ncpu2 3 0 0 0\n`,
    "/sys/devices/system/cpu/cpu0/online": "1\n",
    "/sys/devices/system/cpu/cpu2/online": "1\n",
    "/sys/devices/system/cpu/cpu3/online": "0\n",
  };
  expect(await valuesOver(files, ["hinv.ncpu", "hinv.cpu.online"])).toEqual([
    "hinv.ncpu  3",
    "hinv.cpu.online cpu0 1",
    "hinv.cpu.online cpu2 1",
    "hinv.cpu.online cpu3 0",
  ]);
});

test("without times the frequency of now is the count", async () => {
  const files = {
    "/proc/stat": STAT,
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2739269\n",
  };
  const names = ["count", "current", "time"].map((name) => `hinv.cpu.frequency_scaling.${name}`);
  expect(await valuesOver(files, names)).toEqual([
    "hinv.cpu.frequency_scaling.count cpu0 2739",
    expect.stringMatching(/current cpu0 2739\.2/),
  ]);
});

test("multiple devices have names that are no numbers, and mdadm is a program of this machine", async () => {
  const files = {
    "/proc/diskstats":
      "   9       0 md0 1 0 2 0 3 0 4 0 0 0 0\n   9       1 md1 1 0 2 0 3 0 4 0 0 0 0\n",
    "/dev/md/0": "-> ../md0",
    "/dev/md/home": "-> ../md1",
  };
  expect(await valuesOver(files, ["disk.md.status"], { LINUX_MDADM: "/bin/true" })).toEqual([
    "disk.md.status md0 0",
    "disk.md.status home 0",
  ]);
});

test("owners are users of this machine where the recorded one has none", async () => {
  const files = {
    "/proc/sysvipc/shm":
      "       key      shmid perms       size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime        rss       swap\n         0          5   600     393216   101   102      2     0     0     0     0 1 2 3 0 0\n",
  };
  expect(await valuesOver(files, ["ipc.shm.owner"])).toEqual(["ipc.shm.owner 5 root"]);
});

test("the bandwidth that somebody states is that of this machine", async () => {
  const folder = unpackTree(new Map([["/linux/bandwidth.conf", "Version:1.0\nnode0:1024\n"]]));
  expect(
    await valuesOver({ "/proc/stat": STAT }, ["mem.numa.max_bandwidth"], { PCP_PMDAS_DIR: folder }),
  ).toEqual(["mem.numa.max_bandwidth node0 1024"]);
});
