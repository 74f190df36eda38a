// Definitions of derived metrics, in the order in which they were made, with the PMIDs that libpcp
// would give them. Refused with libpcp's words: expressions that are none, and names defined twice.
// Whether a definition makes sense is not known here: binding tells, context by context.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { DYNAMIC_DOMAIN, pmidBuild, type Pmid } from "../pcp/mod.ts";
import type { Expr } from "./expr.ts";
import { parseExpression, type SyntaxComplaint } from "./parse.ts";

/** A derived metric that was defined. */
export interface Definition {
  readonly name: string;
  readonly pmid: Pmid;
  /** The expression as it was given. */
  readonly text: string;
  readonly expr: Expr;
  /** Help texts, when they were given. */
  oneline: string | undefined;
  help: string | undefined;
}

/** Most definitions in one set. */
const MAX_DEFINITIONS = 100_000;

/** Whose definitions they are: of all contexts, or of one. PMIDs and messages differ. */
export type DerivedScope = "global" | "context";

const ITEMS = 1023;
const TOP_CLUSTER = 2047;

/** Global metrics are numbered from 511.0.1 upwards, those of a context from 511.2047.1023 down. */
function pmidOf(scope: DerivedScope, index: number): Pmid {
  const cluster = Math.floor(index / ITEMS);
  const item = index % ITEMS;
  return scope === "global"
    ? pmidBuild(DYNAMIC_DOMAIN, cluster, item + 1)
    : pmidBuild(DYNAMIC_DOMAIN, TOP_CLUSTER - cluster, ITEMS - item);
}

/** Definitions by name. */
export interface DerivedSet {
  readonly scope: DerivedScope;
  /** In the order of definition; grows. */
  readonly definitions: readonly Definition[];
  find(name: string): Definition | undefined;
  /** Adds a metric; a complaint in its place leaves the set as it was. */
  define(name: string, text: string): Definition | SyntaxComplaint;
}

const EVENT_METRICS = [
  ["event.flags", "Flags for event records", "The flags of an event record."],
  ["event.missed", "Missed event records", "How many event records were lost before this one."],
] as const;

/**
 * A set without definitions; a global one has the two metrics that decoding events needs. `limit`:
 * most definitions, those two not counted (PCP_DERIVED_GLOBAL_LIMIT, PCP_DERIVED_CONTEXT_LIMIT of
 * pmSetDerivedControl(3)).
 */
export function createDerivedSet(
  scope: DerivedScope = "global",
  limit: number = MAX_DEFINITIONS,
): DerivedSet {
  const most = Math.min(limit, MAX_DEFINITIONS) + (scope === "global" ? EVENT_METRICS.length : 0);
  const definitions: Definition[] = [];
  const byName = new Map<string, Definition>();
  const set: DerivedSet = {
    scope,
    definitions,
    find: (name) => byName.get(name),
    define(name, text) {
      const owner = scope === "global" ? "global" : "per-context";
      if (byName.has(name)) {
        return { offset: 0, reason: `Duplicate ${owner} derived metric name` };
      }
      if (definitions.length >= most) {
        return { offset: 0, reason: `Too many ${owner} derived metrics` };
      }
      const expr = parseExpression(text);
      if (!("kind" in expr)) return expr;
      const pmid = pmidOf(scope, definitions.length);
      const definition: Definition = {
        name,
        pmid,
        text,
        expr,
        oneline: undefined,
        help: undefined,
      };
      definitions.push(definition);
      byName.set(name, definition);
      return definition;
    },
  };
  if (scope === "global") {
    for (const [name, oneline, help] of EVENT_METRICS) {
      Object.assign(set.define(name, "anon(PM_TYPE_U32)"), { oneline, help });
    }
  }
  return set;
}

/** An expression with a caret below the place of a complaint, and the reason; ends with a newline. */
export function complaintPicture(text: string, { offset, reason }: SyntaxComplaint): string {
  const picture = `${text}\n${" ".repeat(offset)}^\n`;
  return reason === "" ? picture : `${picture}${reason}\n`;
}

/**
 * Defines a metric for all contexts, as pmRegisterDerivedMetric(3). Throws PM_ERR_BADDERIVE with the
 * whole message of the call, which has several lines.
 */
export function registerDerived(set: DerivedSet, name: string, text: string): Definition {
  const definition = set.define(name, text);
  if ("pmid" in definition) return definition;
  throw new PcpError(
    PM_ERR.BADDERIVE,
    `Error: pmRegisterDerivedMetric("${name}", ...)\n${complaintPicture(text, definition)}`,
  );
}
