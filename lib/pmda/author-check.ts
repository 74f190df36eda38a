// What a definition out of an author's module must look like before it is made an agent: modules are
// not type-checked when they are loaded, and a wrong number would otherwise show as a strange PMID.
// Only shapes are looked at; what tables contradict is told by makeAgent.
import { PM_SEM, PM_TYPE } from "../pcp/mod.ts";

type Shape = Readonly<Record<string, unknown>>;

const isShape = (value: unknown): value is Shape =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const MAX_CLUSTER = 0xfff;
const MAX_ITEM = 0x3ff;
const MAX_SERIAL = 0x3ffffe;
const METRIC_NAME = /^[A-Za-z]\w*(\.[A-Za-z]\w*)*$/;

const TYPES: readonly unknown[] = Object.values(PM_TYPE).filter((type) => type !== PM_TYPE.UNKNOWN);
const SEMANTICS: readonly unknown[] = Object.values(PM_SEM);

const isWhole = (value: unknown, most: number): boolean =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;

const shown = (value: unknown): string =>
  typeof value === "string" || isShape(value) ? JSON.stringify(value) : String(value);

/** The names of a row, or undefined when they are no names. */
function namesOf(name: unknown): readonly string[] | undefined {
  const list: readonly unknown[] = name === undefined ? [] : Array.isArray(name) ? name : [name];
  return list.every((each) => typeof each === "string" && METRIC_NAME.test(each))
    ? (list as readonly string[])
    : undefined;
}

function metricProblem(row: unknown, index: number, seen: Map<string, number>): string | undefined {
  if (!isShape(row)) return `metrics[${index}] is no object`;
  const names = namesOf(row["name"]);
  if (names === undefined) return `metrics[${index}].name ${shown(row["name"])} is no metric name`;
  const called = `metrics[${index}]${names[0] === undefined ? "" : ` ${names[0]}`}`;
  const check = (key: string, good: boolean, wanted: string): string | undefined =>
    good ? undefined : `${called}: ${key} is ${shown(row[key])}, ${wanted} wanted`;
  const problem =
    check("cluster", isWhole(row["cluster"], MAX_CLUSTER), `0 to ${MAX_CLUSTER}`) ??
    check("item", isWhole(row["item"], MAX_ITEM), `0 to ${MAX_ITEM}`) ??
    check("type", TYPES.includes(row["type"]), "one of PM_TYPE") ??
    check("sem", SEMANTICS.includes(row["sem"]), "one of PM_SEM") ??
    check(
      "indom",
      row["indom"] === undefined || isWhole(row["indom"], MAX_SERIAL),
      "the serial of an instance domain",
    ) ??
    check(
      "units",
      row["units"] === undefined || typeof row["units"] === "number",
      "a units word",
    ) ??
    check("fetch", ["undefined", "function"].includes(typeof row["fetch"]), "a function") ??
    check("store", ["undefined", "function"].includes(typeof row["store"]), "a function");
  if (problem !== undefined) return problem;
  for (const name of names) {
    const before = seen.get(name);
    if (before !== undefined)
      return `metrics[${index}]: name ${name} is that of metrics[${before}]`;
    seen.set(name, index);
  }
  return undefined;
}

function indomProblem(row: unknown, index: number): string | undefined {
  if (!isShape(row)) return `indoms[${index}] is no object`;
  const { serial, instances } = row;
  if (!isWhole(serial, MAX_SERIAL))
    return `indoms[${index}]: serial is ${shown(serial)}, 0 to ${MAX_SERIAL} wanted`;
  if (typeof instances === "function") return undefined;
  if (isShape(instances) && instances["kind"] === "cache") return undefined;
  if (!Array.isArray(instances))
    return `indoms[${index}]: instances is ${shown(instances)}, a table, a cache or a function wanted`;
  const at = instances.findIndex(
    (each: unknown) =>
      !isShape(each) || !isWhole(each["id"], 0x7fffffff) || typeof each["name"] !== "string",
  );
  return at < 0
    ? undefined
    : `indoms[${index}].instances[${at}] is ${shown(instances[at])}, { id, name } wanted`;
}

/** What is wrong with a definition, or undefined. */
export function checkDefinition(made: unknown): string | undefined {
  if (!isShape(made)) return `create gave ${shown(made)}, a definition wanted`;
  const { metrics, indoms = [], version } = made;
  if (!Array.isArray(metrics)) return `metrics is ${shown(metrics)}, a table wanted`;
  if (!Array.isArray(indoms)) return `indoms is ${shown(indoms)}, a table wanted`;
  if (version !== undefined && !(isWhole(version, 7) && Number(version) >= 2))
    return `version is ${shown(version)}, 2 to 7 wanted`;
  const seen = new Map<string, number>();
  for (const [index, row] of metrics.entries()) {
    const problem = metricProblem(row, index, seen);
    if (problem !== undefined) return problem;
  }
  for (const [index, row] of indoms.entries()) {
    const problem = indomProblem(row, index);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
