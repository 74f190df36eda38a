// What the relay knows of a cluster of key servers: which node has which slot, and where the keys of commands
// are (spec series.md 1.5). Made from the replies to CLUSTER SLOTS and COMMAND, corrected by what servers
// say of moved slots. Replies of another form are refused.

import { SLOTS } from "../keyserver/mod.ts";
import type { ReplyValue } from "./resp-reply.ts";
import type { HostPort } from "./settings.ts";

/** Nodes and commands of a cluster; shared by all clients, always as of the last news. */
export interface ClusterMap {
  /** The node of a slot; the first node where nobody says that it has it, or without a slot. */
  nodeOf(slot: number | undefined): HostPort;
  /** Index of the key among the parts of a command; 0 where it has none, or nobody knows. */
  keyPlace(name: string): number;
  /** Whether a command with a key may have this many parts, its name among them. */
  takes(name: string, parts: number): boolean;
  /** A server says that a slot is elsewhere. */
  moved(slot: number, to: HostPort): void;
  /** Takes over a newer answer; false: it has another form, and nothing changes. */
  update(slots: ReplyValue, asked: HostPort): boolean;
  /** Every node that is known. */
  nodes(): readonly HostPort[];
}

const isList = (value: ReplyValue | undefined): value is readonly ReplyValue[] =>
  Array.isArray(value);

/** A range of slots and who has it; servers that do not know their own name give none. */
function rangeOf(entry: ReplyValue, asked: HostPort) {
  if (!isList(entry)) return undefined;
  const [from, to, owner] = entry;
  if (typeof from !== "number" || typeof to !== "number" || !isList(owner)) return undefined;
  const [name, port] = owner;
  const host = typeof name === "string" && name !== "" && name !== "?" ? name : asked.host;
  if (typeof port !== "number" || !(from >= 0 && from <= to && to < SLOTS)) return undefined;
  return { from, to, node: { host, port } };
}

/** What is known of a command with a key. */
interface KeyCommand {
  readonly place: number;
  /** Number of parts, or less than 0: that many and more. */
  readonly arity: number;
}

/** Commands with keys by their names. */
function keyCommandsOf(commands: ReplyValue): ReadonlyMap<string, KeyCommand> {
  const known = new Map<string, KeyCommand>();
  if (!isList(commands)) return known;
  for (const entry of commands) {
    if (!isList(entry)) continue;
    const [name, arity, , first] = entry;
    if (typeof name === "string" && typeof first === "number" && first > 0)
      known.set(name.toUpperCase(), {
        place: first,
        arity: typeof arity === "number" ? arity : -1,
      });
  }
  return known;
}

/** The map of a cluster; undefined where `slots` is no answer to CLUSTER SLOTS. `asked`: who answered. */
export function createClusterMap(
  slots: ReplyValue,
  commands: ReplyValue,
  asked: HostPort,
): ClusterMap | undefined {
  const known = keyCommandsOf(commands);
  const owners = new Uint16Array(SLOTS);
  /** The first one is who answered, unless it has no slots. */
  let nodes: HostPort[] = [asked];
  const indexOf = ({ host, port }: HostPort): number => {
    const known = nodes.findIndex((node) => node.host === host && node.port === port);
    return known >= 0 ? known : nodes.push({ host, port }) - 1;
  };
  const map: ClusterMap = {
    nodeOf: (slot) => nodes[slot === undefined ? 0 : (owners[slot] ?? 0)] ?? asked,
    keyPlace: (name) => known.get(name)?.place ?? 0,
    takes(name, parts) {
      const { arity = -1 } = known.get(name) ?? {};
      return arity < 0 ? parts >= -arity : parts === arity;
    },
    moved(slot, to) {
      if (slot >= 0 && slot < SLOTS) owners[slot] = indexOf(to);
    },
    update(next, from) {
      if (!isList(next)) return false;
      const ranges = next.map((entry) => rangeOf(entry, from));
      if (ranges.includes(undefined)) return false;
      const masters = ranges.flatMap((range) => (range === undefined ? [] : [range.node]));
      const same = masters.find(({ host, port }) => port === from.port && host === from.host);
      nodes = [same ?? masters[0] ?? from];
      owners.fill(0);
      for (const range of ranges)
        if (range !== undefined) owners.fill(indexOf(range.node), range.from, range.to + 1);
      return true;
    },
    nodes: () => nodes,
  };
  return map.update(slots, asked) ? map : undefined;
}
