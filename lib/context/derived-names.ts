// The name space of a source with the names of derived metrics in it: these come after the names that
// the source has, on each level. Pure.
import { PM_ERR, PcpError } from "../base/mod.ts";
import type { Children } from "../pdu/mod.ts";

/** A level of names, in the order in which they were added. */
interface Level {
  leaf: boolean;
  readonly below: Map<string, Level>;
}

function add(root: Level, name: string): void {
  let level = root;
  for (const part of name.split(".")) {
    let next = level.below.get(part);
    if (next === undefined) {
      next = { leaf: false, below: new Map() };
      level.below.set(part, next);
    }
    level = next;
  }
  level.leaf = true;
}

function walk(level: Level, name: string, found: string[]): void {
  if (level.leaf) found.push(name);
  for (const [part, next] of level.below) walk(next, name === "" ? part : `${name}.${part}`, found);
}

/** Whether `name` is `root` or below it. */
export const isBelow = (name: string, root: string): boolean =>
  root === "" || name === root || name.startsWith(`${root}.`);

/** All names, depth first: those of the source in its order, derived ones last on their level. */
export function mergeNames(names: readonly string[], derived: readonly string[]): string[] {
  const root: Level = { leaf: false, below: new Map() };
  for (const name of names) add(root, name);
  for (const name of derived) add(root, name);
  const found: string[] = [];
  walk(root, "", found);
  return found;
}

/**
 * The children of `name`: those of the source (undefined when it does not know the name), then those
 * that derived metrics add. Throws PM_ERR_NAME when there is no such name.
 */
export function mergeChildren(
  name: string,
  source: Children | undefined,
  derived: readonly string[],
): Children {
  const known = derived.filter((each) => isBelow(each, name));
  if (source === undefined && known.length === 0) {
    throw new PcpError(PM_ERR.NAME, `"${name}" is no name of a metric`);
  }
  const names = [...(source?.names ?? [])];
  const statuses = [...(source?.statuses ?? [])];
  const seen = new Set(names);
  const start = name === "" ? 0 : name.length + 1;
  for (const each of known) {
    if (each.length < start) continue;
    const [part = "", ...rest] = each.slice(start).split(".");
    if (seen.has(part)) continue;
    seen.add(part);
    names.push(part);
    statuses.push(rest.length === 0 ? 0 : 1);
  }
  return { names, statuses };
}
