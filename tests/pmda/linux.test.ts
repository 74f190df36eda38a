// Goal: the linux agent gives for recorded machines what was reviewed beside PCP's agent over the same
// trees (values in tests/fixtures/linux/*.values), numbers instances as PCP's does, keeps them while
// devices come and go, reads what is asked for and nothing else; and a machine that lacks any or all
// files, or has folders and garbage in their place, has metrics without values, never a fault.
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PM_ERR, utf8Text } from "../../lib/base/mod.ts";
import { asInstance, indomBuild, PM_LABEL } from "../../lib/pcp/mod.ts";
import type { RunningAgent } from "../../lib/pmda/mod.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import {
  answerLines,
  asker,
  linuxAgent,
  readTree,
  unpackTree,
  USERID,
  valuesOf,
} from "./linux-tree.ts";

/** What the tree does not decide: the space of file systems, the name of the machine. */
const OF_THE_MACHINE =
  /^(filesys\.(capacity|used|free|avail|.*files|full|blocksize)|tmpfs\.|kernel\.uname\.(?!distro)|pmda\.|hinv\.machine)/;

const FIXED = { LINUX_HERTZ: "100", LINUX_PAGESIZE: "4096" };

for (const tree of ["big", "small"]) {
  test(`the values of a recorded machine (${tree})`, async () => {
    const { agent, logged } = await linuxAgent(unpackTree(readTree(tree)), FIXED);
    const answers = await valuesOf(agent);
    const lines = answerLines(answers).filter((line) => !OF_THE_MACHINE.test(line));
    const recorded = readFileSync(
      join(import.meta.dir, `../fixtures/linux/${tree}.values`),
      "utf8",
    );
    expect(lines).toEqual(recorded.trimEnd().split("\n"));
    expect(logged).toEqual([]);
  });
}

test("every metric has a name of its own, a help line, and an answer on this machine", async () => {
  const { agent } = await linuxAgent("");
  expect(agent.leaves.length).toBe(1457);
  expect(new Set(agent.leaves.map(({ name }) => name)).size).toBe(1457);
  for (const { pmid, name } of agent.leaves) {
    const text = await agent.text("metric", pmid, "oneline", asker);
    expect(`${name}: ${text}`).not.toMatch(/: $|undefined/);
  }
  const answers = await valuesOf(agent);
  expect(answers.get("hinv.pagesize")).toEqual(new Map([["", "4096"]]));
  expect(answers.size).toBe(1457);
});

/** The instances of a domain as "number name". */
async function instances(agent: RunningAgent, serial: number) {
  const { ids, names } = await agent.instances(indomBuild(60, serial), asker);
  return ids.map((id, i) => `${id} ${names[i]}`);
}

test("instances have the numbers of their order, and their names lead to them", async () => {
  const { agent } = await linuxAgent(unpackTree(readTree("big")), FIXED);
  expect(await instances(agent, 0)).toEqual(["0 cpu0", "1 cpu1", "2 cpu2", "3 cpu3"]);
  expect(await instances(agent, 19)).toEqual(["0 node0", "1 node1"]);
  expect(await instances(agent, 1)).toEqual(
    ["sda", "sdb", "nvme0n1", "mmcblk0", "vda", "sdaa", "nbd0", "rbd0"].map(
      (name, i) => `${i} ${name}`,
    ),
  );
  expect(await instances(agent, 24)).toEqual(["0 vg-root", "1 vg-home"]);
  expect(await instances(agent, 2)).toEqual(["1 1 minute", "5 5 minute", "15 15 minute"]);
  expect(await instances(agent, 32)).toEqual(
    ["node0", "DMA::node0", "Normal::node0", "node1", "Normal::node1", "Movable::node1"].map(
      (name, i) => `${i} ${name}`,
    ),
  );
  expect(await agent.instanceId(indomBuild(60, 2), "15", asker)).toBe(asInstance(15));
  expect(await agent.instanceName(indomBuild(60, 40), asInstance(2), asker)).toBe("0::cpu2");
});

test("a disk that goes and comes back keeps its number; another one gets the next", async () => {
  const files = readTree("big");
  const root = unpackTree(files);
  const { agent } = await linuxAgent(root, FIXED);
  const path = join(root, "/proc/diskstats");
  const text = files.get("/proc/diskstats") ?? "";
  expect(await instances(agent, 1)).toHaveLength(8);
  writeFileSync(path, text.replace(/^.* sdb .*\n/m, ""));
  expect(await instances(agent, 1)).not.toContain("1 sdb");
  writeFileSync(path, `${text}   8      32 sdc 1 2 3 4 5 6 7 8 9 10 11\n`);
  const now = await instances(agent, 1);
  expect(now).toContain("1 sdb");
  expect(now).toContain("8 sdc");
  const [read] = answerLines(await valuesOf(agent, ["disk.dev.read"])).filter((line) =>
    /sdc/.test(line),
  );
  expect(read).toBe("disk.dev.read[sdc] 1");
});

test("numbers are kept over restarts where PCP keeps them", async () => {
  const files = readTree("big");
  const folder = privateFolder("linux-var");
  mkdirSync(join(folder, "config"));
  const more = { ...FIXED, PCP_VAR_DIR: folder };
  const first = await linuxAgent(unpackTree(files), more);
  expect((await instances(first.agent, 10)).slice(0, 2)).toEqual(["0 sda1", "1 sda2"]);
  const text = (files.get("/proc/diskstats") ?? "").replace(/^.* sda1 .*\n/m, "");
  const second = await linuxAgent(unpackTree(new Map([["/proc/diskstats", text]])), more);
  expect((await instances(second.agent, 10))[0]).toBe("1 sda2");
  expect(readFileSync(join(folder, "config/pmda/60.10"), "utf8")).toMatch(
    /^0 \d+ sda1\n1 \d+ sda2$/m,
  );
  expect([...first.logged, ...second.logged]).toEqual([]);
});

test("labels of domains and instances say what they are about", async () => {
  const { agent } = await linuxAgent(unpackTree(readTree("big")), FIXED);
  const labels = async (serial: number) => {
    const sets = await agent.labels(PM_LABEL.INSTANCES, indomBuild(60, serial), asker);
    return sets.map(({ json }) => utf8Text(json));
  };
  expect((await labels(0)).slice(0, 2)).toEqual(['{"cpu":0}', '{"cpu":1}']);
  expect((await labels(1))[0]).toBe('{"device_name":"sda"}');
  expect((await labels(3))[1]).toBe('{"interface":"eth0"}');
  expect((await labels(4))[1]).toBe(
    '{"irq":"16","irqtext":"IO-APIC 16-fasteoi ehci_hcd:usb1, nvidia"}',
  );
  expect((await labels(31))[1]).toBe('{"numa_node":0,"order":1,"zone":"DMA"}');
  expect((await labels(33))[1]).toBe('{"lowmem_reserved":1,"numa_node":0,"zone":"DMA"}');
  expect((await labels(41))[1]).toBe('{"cpu":1,"softirq":"HI"}');
  const [domain] = await agent.labels(PM_LABEL.INDOM, indomBuild(60, 19), asker);
  expect(utf8Text(domain?.json ?? new Uint8Array())).toBe(
    '{"device_type":"numa_node","indom_name":"per numa_node"}',
  );
});

test("a machine without any file has metrics without values, or zeros", async () => {
  const { agent, logged } = await linuxAgent(unpackTree(new Map()), FIXED);
  const answers = await valuesOf(agent);
  expect(answers.get("kernel.all.load")).toEqual(new Map());
  expect(answers.get("mem.util.free")).toEqual(new Map());
  expect(answers.get("disk.dev.read")).toEqual(new Map());
  expect(answers.get("disk.all.read")).toEqual(new Map([["", "0"]]));
  expect(answers.get("hinv.ncpu")).toEqual(new Map([["", "0"]]));
  const faults = [...answers].filter(([, answer]) => typeof answer === "number");
  expect(faults).toEqual([
    ["swap.in", PM_ERR.APPVERSION],
    ["swap.out", PM_ERR.APPVERSION],
  ]);
  expect(logged).toEqual([]);
});

test("folders in the place of files are told once and are no fault", async () => {
  const root = unpackTree(readTree("small"));
  for (const path of ["/proc/stat", "/proc/meminfo", "/proc/diskstats"]) {
    rmSync(join(root, path));
    mkdirSync(join(root, path));
  }
  const { agent, logged } = await linuxAgent(root, FIXED);
  const names = ["kernel.all.cpu.user", "mem.util.free", "disk.dev.read", "kernel.all.load"];
  for (let i = 0; i < 2; i++) {
    const answers = await valuesOf(agent, names);
    expect(names.map((name) => answers.get(name))).toEqual([
      new Map(),
      new Map(),
      new Map(),
      expect.any(Map),
    ]);
  }
  expect(logged.length).toBe(3);
  expect(logged.every((line) => line.startsWith("Warning /proc/"))).toBe(true);
});

test("garbage and cut files are no fault for any metric", async () => {
  const files = readTree("small");
  const damages: ((text: string) => string)[] = [
    () => "",
    () => "\0\0\0",
    () => "::::\n- - -\n99999999999999999999999999 x\n",
    (text) => text.slice(0, text.length / 2),
    (text) => text.replaceAll(/\d/g, "x"),
    (text) => text.replaceAll(/ +/g, "\n"),
    (text) => text.replaceAll("\n", " "),
  ];
  for (const damage of damages) {
    const damaged = new Map([...files].map(([path, text]) => [path, damage(text)]));
    const { agent, logged } = await linuxAgent(unpackTree(damaged), FIXED);
    const answers = await valuesOf(agent);
    expect(answers.size).toBe(1457);
    expect(logged.filter((line) => line.startsWith("Error"))).toEqual([]);
  }
});

test("after a very large file the kernel's settings can still be read", async () => {
  const socket = `   0: 0100007F:0016 00000000:0000 06 ${"0".repeat(200)}\n`;
  const root = unpackTree(new Map([["/proc/net/tcp", `head\n${socket.repeat(40_000)}`]]));
  symlinkSync("/proc/sys", join(root, "/proc/sys"));
  const { agent } = await linuxAgent(root, FIXED);
  const answers = await valuesOf(agent, ["network.tcpconn.time_wait", "kernel.all.pid_max"]);
  expect(answers.get("network.tcpconn.time_wait")).toEqual(new Map([["", "40000"]]));
  expect(answers.get("kernel.all.pid_max")).not.toEqual(new Map());
});

test("caches of objects and serial lines are for clients of root", async () => {
  const files = new Map(readTree("big"));
  files.set("/proc/tty/driver/serial", "serinfo:1.0\n0: uart:16550A port:3F8 irq:4 tx:5 rx:0\n");
  const { agent } = await linuxAgent(unpackTree(files), FIXED);
  const names = ["mem.slabinfo.objects.active", "tty.serial.tx", "mem.buddyinfo.pages"];
  const seenBy = async (context: number): Promise<number[]> => {
    const answers = await valuesOf(agent, names, { ...asker, context });
    return names.map((name) => {
      const answer = answers.get(name);
      return answer instanceof Map ? answer.size : -1;
    });
  };
  const [slabs, lines, blocks] = await seenBy(asker.context);
  expect([slabs, lines, blocks]).toEqual([3, 1, 44]);
  expect(await seenBy(1)).toEqual([0, 0, 44]);
  await agent.attribute?.(1, USERID, "1000");
  expect(await seenBy(1)).toEqual([0, 0, 44]);
  await agent.attribute?.(1, USERID, "0");
  expect(await seenBy(1)).toEqual([3, 1, 44]);
  agent.contextClosed?.(1);
  expect(await seenBy(1)).toEqual([0, 0, 44]);
});

test("tables that the kernel hands out page by page are read to their end", async () => {
  const { agent } = await linuxAgent("");
  const listening = (): number =>
    readFileSync("/proc/net/tcp", "utf8")
      .split("\n")
      .filter((line) => line.trim().split(/\s+/)[3] === "0A").length;
  const sockets: Bun.TCPSocketListener[] = [];
  // 27 lines are a page: ends of the table before, at and after the end of one.
  for (let i = 0; i < 60; i++) {
    sockets.push(Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } }));
    // Others open and close sockets, too, also between two looks that count the same.
    const isCounted = async (): Promise<boolean> => {
      const before = listening();
      const answers = await valuesOf(agent, ["network.tcpconn.listen"]);
      const answer = answers.get("network.tcpconn.listen");
      return answer instanceof Map && answer.get("") === String(before);
    };
    expect(await waitUntil(isCounted)).toBe(true);
  }
  for (const socket of sockets) socket.stop();
});

test("a file that appears, changes or goes away is seen by later requests", async () => {
  const root = unpackTree(new Map());
  const path = join(root, "/proc/loadavg");
  const { agent } = await linuxAgent(root, FIXED);
  const load = async () => answerLines(await valuesOf(agent, ["kernel.all.nprocs"]));
  expect(await load()).toEqual(["kernel.all.nprocs none"]);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "0.00 0.00 0.00 1/17 5\n");
  expect(await load()).toEqual(["kernel.all.nprocs 17"]);
  writeFileSync(path, "0.00 0.00 0.00 1/18 5\n");
  expect(await load()).toEqual(["kernel.all.nprocs 18"]);
});
