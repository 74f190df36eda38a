// What the author of an agent imports as "pcpbox": numbers and words of the field, caches, events,
// names of an agent's own, and defineAgent. docs/pcpbox.d.ts describes the same for editors and type checkers; a test keeps the two
// equal. Refuses agents without a sound name, domain and create function.
import { PcpError, PM_ERR } from "../base/mod.ts";
import { pmParseUnitsStr } from "../pcp/mod.ts";
import type { AgentDefinition, AgentSetting } from "./define.ts";
import type { Awaitable } from "./types.ts";

export { PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
export {
  PCP_ATTR,
  PM_EVENT,
  PM_IN_NULL,
  PM_SEM,
  PM_SPACE,
  PM_TIME,
  PM_TYPE,
  PM_VAL,
  pmidBuild,
  unitsWord,
} from "../pcp/mod.ts";
export { CACHE_STATE, createCache } from "./cache.ts";
export { cacheFilePath, loadCache, saveCache } from "./cache-file.ts";
export { createEventArray } from "./event-array.ts";
export { createEventQueue, createEventQueues } from "./event-queue.ts";
export { createNameTree, joinNameTrees } from "./tree.ts";
export { AGENT_FEATURE } from "./types.ts";

/** What `create` gives: a definition whose name is that of the module. */
export type AuthorDefinition = Omit<AgentDefinition, "name">;

/** An agent in a module of its author: the default export, made by defineAgent. */
export interface AuthorAgent {
  /** What it is called, without pmda before it: a letter, then letters, digits and `_`. */
  readonly name: string;
  /** Its domain where nobody gives another one with -d: 1 to 510. */
  readonly domain: number;
  /** One line about it. */
  readonly summary?: string;
  /** Called once at the start. */
  readonly create: (setting: AgentSetting) => Awaitable<AuthorDefinition>;
}

/** Names that agents may have. */
export const AGENT_NAME = /^[A-Za-z]\w{0,62}$/;
const MAX_DOMAIN = 510;

const wrong = (reason: string): PcpError => new PcpError(PM_ERR.GENERIC, `defineAgent: ${reason}`);

/** Checks an agent and gives it back. Throws PcpError PM_ERR_GENERIC that says what is wrong. */
export function defineAgent(agent: AuthorAgent): AuthorAgent {
  // Modules are not type-checked when they are loaded.
  const given: Readonly<Record<string, unknown>> =
    typeof agent === "object" && agent !== null ? { ...agent } : {};
  const { name, domain, create } = given;
  if (typeof name !== "string" || !AGENT_NAME.test(name))
    throw wrong(`name ${JSON.stringify(name)} is none of an agent`);
  if (typeof domain !== "number" || !Number.isInteger(domain) || domain < 1 || domain > MAX_DOMAIN)
    throw wrong(`domain ${String(domain)} of ${name}, 1 to ${MAX_DOMAIN} wanted`);
  if (typeof create !== "function") throw wrong(`${name} has no create function`);
  return agent;
}

/** The units word of a text such as "KB / sec", "count", "millisec". Throws PM_ERR_CONV. */
export const parseUnits = (text: string): number => pmParseUnitsStr(text).units;
