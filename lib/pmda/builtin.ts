// The agents that are part of pcpbox, by name. Each is loaded when it is first wanted: whoever runs
// one agent does not pay for the others.
import type { BuiltinAgent } from "./define.ts";

/** All of them, by domain. */
export const BUILTIN_AGENTS: readonly BuiltinAgent[] = [
  {
    name: "proc",
    domain: 3,
    summary: "how many processes there are, and what they are doing",
    load: async () => (await import("./agents/proc.ts")).proc,
  },
  {
    name: "linux",
    domain: 60,
    summary: "the machine: processors, memory, disks, network, file systems, from /proc and /sys",
    load: async () => (await import("./agents/linux/agent.ts")).linux,
  },
  {
    name: "mmv",
    domain: 70,
    summary: "metrics that programs leave in memory-mapped files",
    load: async () => (await import("./agents/mmv/mmv.ts")).mmv,
  },
  {
    name: "sample",
    domain: 29,
    summary: "PCP's agent for tests: every type of value, instance domain, event and error",
    load: async () => (await import("./agents/sample/sample.ts")).sample,
  },
  {
    name: "txmon",
    domain: 248,
    summary: "PCP's example: transactions that programs count through shared memory",
    load: async () => (await import("./agents/txmon.ts")).txmon,
  },
  {
    name: "trivial",
    domain: 250,
    summary: "the time, in one metric",
    load: async () => (await import("./agents/trivial.ts")).trivial,
  },
  {
    name: "simple",
    domain: 253,
    summary: "PCP's example: counters, colours, and a time of day that a file configures",
    load: async () => (await import("./agents/simple.ts")).simple,
  },
];

/** The one of this name, without pmda before it. */
export const builtinAgent = (name: string): BuiltinAgent | undefined =>
  BUILTIN_AGENTS.find((agent) => agent.name === name);
