// The agents that are part of pcpbox, by name. Each is loaded when it is first wanted: whoever runs
// one agent does not pay for the others.
import type { BuiltinAgent } from "./define.ts";

/** All of them, by domain. */
export const BUILTIN_AGENTS: readonly BuiltinAgent[] = [
  {
    name: "trivial",
    domain: 250,
    summary: "the time, in one metric",
    load: async () => (await import("./agents/trivial.ts")).trivial,
  },
];

/** The one of this name, without pmda before it. */
export const builtinAgent = (name: string): BuiltinAgent | undefined =>
  BUILTIN_AGENTS.find((agent) => agent.name === name);
