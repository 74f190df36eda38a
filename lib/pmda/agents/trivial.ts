// trivial: the smallest agent of PCP, one metric without instances (spec pmda.md 18.2).
import { PM_SEM, PM_TYPE, unitsWord } from "../../pcp/mod.ts";
import type { AgentDefinition } from "../define.ts";

/** The agent trivial, of interface version 2: no labels and no names of its own. */
export const trivial = (): AgentDefinition => ({
  name: "trivial",
  version: 2,
  metrics: [
    {
      name: "trivial.time",
      cluster: 0,
      item: 0,
      type: PM_TYPE.U64,
      sem: PM_SEM.COUNTER,
      units: unitsWord({ dimTime: 1, scaleTime: 3 }),
      oneline: "time in seconds since 1 Jan 1970",
      help: "The time in seconds since the epoch (1st of January, 1970).",
      fetch: () => Math.floor(Date.now() / 1000),
    },
  ],
});
