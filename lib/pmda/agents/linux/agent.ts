// linux: the machine itself, as PCP's agent of this name has it (domain 60): processors, memory,
// disks, network, file systems, from /proc and /sys. What a request does not ask for is not read.
import type { AgentDefinition, AgentSetting, MetricRow } from "../../define.ts";
import { AGENT_FEATURE, type Caller } from "../../types.ts";
import { collectAddresses } from "./addresses.ts";
import type { Collected } from "./collector.ts";
import { collectDevices } from "./devices.ts";
import { collectDisks } from "./disks.ts";
import { collectFilesystems } from "./filesystems.ts";
import { createHost } from "./host.ts";
import { collectInterrupts } from "./interrupts.ts";
import { collectIpc } from "./ipc.ts";
import { collectLimits } from "./limits.ts";
import { collectLoad } from "./load.ts";
import { collectMeminfo } from "./meminfo.ts";
import { collectNetDev } from "./netdev.ts";
import { collectNfs } from "./nfs.ts";
import { collectNfsd } from "./nfsd.ts";
import { collectNuma } from "./numa.ts";
import { collectPools } from "./pools.ts";
import { collectPressure } from "./pressure.ts";
import { collectProcessors } from "./processors.ts";
import { collectProtocols } from "./protocols.ts";
import { collectSnmp6 } from "./snmp6.ts";
import { collectSockets } from "./sockets.ts";
import { collectStat } from "./stat.ts";
import { collectSwaps } from "./swaps.ts";
import { collectSysfs } from "./sysfs.ts";
import { collectSystem } from "./system.ts";
import { collectVmstat } from "./vmstat.ts";
import { collectZoneinfo } from "./zoneinfo.ts";

/** The key of ATTR that tells a client's user (spec pdu.md 3.13). */
const USERID = 11;

/** A metric that has values for these contexts alone; none for others, which is what PCP answers. */
const forRoot = (row: MetricRow, roots: ReadonlySet<number>): MetricRow => ({
  ...row,
  fetch: (instance, by) => (roots.has(by.context) ? row.fetch?.(instance, by) : undefined),
});

/**
 * The agent. Environment: LINUX_STATSPATH goes before every path, LINUX_NCPUS, LINUX_HERTZ
 * and LINUX_PAGESIZE replace what the machine says, LINUX_MDADM is the program that knows multiple
 * devices.
 */
export function linux(setting: AgentSetting): AgentDefinition {
  const host = createHost(setting);
  const stat = collectStat(host);
  const { topology } = stat;
  const meminfo = collectMeminfo(host);
  const parts: readonly Collected[] = [
    stat,
    meminfo,
    collectVmstat(host),
    collectLoad(host),
    collectPressure(host),
    collectInterrupts(host),
    collectProcessors(host, topology),
    collectNuma(host, topology, meminfo.hugePageBytes),
    collectZoneinfo(host),
    ...collectPools(host),
    ...collectSysfs(host, topology),
    collectDisks(host),
    collectSwaps(host),
    collectFilesystems(host),
    collectNetDev(host),
    collectAddresses(host),
    collectProtocols(host),
    collectSnmp6(host),
    collectSockets(host),
    collectNfs(host),
    collectNfsd(host),
    collectIpc(host),
    collectLimits(host),
    collectSystem(host),
    ...collectDevices(host),
  ];
  /** By serial number; `at` is the request that it was last called for. */
  const refreshers: ({ readonly call: () => void; at: number } | undefined)[] = [];
  for (const [serial, call] of parts.flatMap(({ refreshers: each }) => [...(each ?? [])])) {
    while (refreshers.length <= serial) refreshers.push(undefined);
    refreshers[serial] = { call, at: 0 };
  }
  const guarded = new Set(parts.flatMap((part) => part.guarded ?? []));
  /** Contexts of clients that are root: they have told so, or pmcd has asked the system. */
  const roots = new Set<number>();
  let request = 0;
  const refreshOnce = (serial: number, by: Caller): void => {
    const refresher = refreshers[serial];
    if (refresher === undefined || refresher.at === request) return;
    if (guarded.has(serial) && !roots.has(by.context)) return;
    refresher.at = request;
    refresher.call();
  };
  const begin = (): void => {
    request += 1;
    host.begin();
  };
  return {
    name: "linux",
    features: AGENT_FEATURE.AUTH,
    metrics: parts.flatMap(({ metrics }) =>
      metrics.map((row) =>
        row.indom === undefined || !guarded.has(row.indom) ? row : forRoot(row, roots),
      ),
    ),
    indoms: parts.flatMap(({ indoms }) => indoms ?? []),
    refresh(rows, by) {
      begin();
      for (const { indom } of rows) if (indom !== undefined) refreshOnce(indom, by);
    },
    refreshInstances(serial, by) {
      begin();
      refreshOnce(serial, by);
    },
    attribute(context, key, value) {
      if (key !== USERID) return;
      if (value === "0") roots.add(context);
      else roots.delete(context);
    },
    contextClosed: (context) => void roots.delete(context),
    close: async () => host.close(),
  };
}
