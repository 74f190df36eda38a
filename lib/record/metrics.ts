// What is recorded of a machine where nothing else is asked for: enough to tell what it was doing and
// what it lacked (CPU, load, memory, disks, file systems, network), about what PCP's default
// configuration of pmlogger has of these. Names that a machine lacks are left out.
import type { Pace, WantedMetric } from "./types.ts";

const under = (prefix: string, leaves: string): string[] =>
  leaves.split(" ").map((leaf) => `${prefix}.${leaf}`);

const DISK =
  "read write total read_bytes write_bytes total_bytes avactive aveq read_merge write_merge " +
  "read_rawactive write_rawactive";

const ONCE = [
  ...under("hinv", "ncpu ndisk ninterface nnode physmem pagesize machine cpu.model cpu.vendor"),
  "kernel.uname",
  "kernel.all.boottime",
  ...under("filesys", "mountdir type blocksize"),
  ...under("network.interface", "mtu speed duplex inet_addr hw_addr"),
];

const SLOW = [
  ...under("filesys", "capacity used free avail full usedfiles freefiles maxfiles"),
  ...under("vfs", "files.count inodes.count"),
  "proc.nprocs",
  "proc.runq",
  ...under("swap", "length"),
];

const FAST = [
  "kernel.all.cpu",
  ...under("kernel.all", "load runnable running blocked nprocs intr pswitch sysfork uptime nusers"),
  "kernel.all.pressure",
  ...under("kernel.percpu.cpu", "user nice sys idle wait.total irq.soft irq.hard steal"),
  ...under(
    "mem.util",
    "used free available bufmem cached slab slabReclaimable dirty writeback anonpages mapped shmem " +
      "active inactive kernelStack pageTables committed_AS commitLimit swapTotal swapFree swapCached",
  ),
  ...under("swap", "used free pagesin pagesout in out"),
  ...under("mem.vmstat", "pgpgin pgpgout pswpin pswpout pgfault pgmajfault oom_kill"),
  ...under("disk.all", DISK),
  ...under("disk.dev", DISK),
  ...under("disk.dm", "read write read_bytes write_bytes avactive"),
  ...under("disk.md", "read write read_bytes write_bytes"),
  ...under("network.interface.in", "bytes packets errors drops"),
  ...under("network.interface.out", "bytes packets errors drops"),
  "network.interface.collisions",
  ...under(
    "network.tcp",
    "activeopens passiveopens attemptfails estabresets currestab insegs outsegs retranssegs inerrs " +
      "outrsts listenoverflows listendrops",
  ),
  ...under("network.udp", "indatagrams outdatagrams noports inerrors recvbuferrors sndbuferrors"),
  ...under("network.sockstat", "tcp.inuse udp.inuse"),
  ...under("network.softnet", "processed dropped time_squeeze"),
];

const paced = (names: readonly string[], pace: Pace): WantedMetric[] =>
  names.map((name) => ({ name, pace }));

/** The usual metrics. */
const USUAL_METRICS: readonly WantedMetric[] = [
  ...paced(ONCE, "once"),
  ...paced(SLOW, "slow"),
  ...paced(FAST, "fast"),
];

/** What a list of names asks for: the usual metrics without one. */
export const wantedMetrics = (names: readonly string[] | undefined): readonly WantedMetric[] =>
  names === undefined || names.length === 0 ? USUAL_METRICS : paced(names, "fast");
