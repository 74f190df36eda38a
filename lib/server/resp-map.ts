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

/** Places of keys by the names of commands. */
function placesOf(commands: ReplyValue): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  if (!isList(commands)) return places;
  for (const entry of commands) {
    if (!isList(entry)) continue;
    const [name, , , first] = entry;
    if (typeof name === "string" && typeof first === "number" && first > 0)
      places.set(name.toUpperCase(), first);
  }
  return places;
}

/** The map of a cluster; undefined where `slots` is no answer to CLUSTER SLOTS. `asked`: who answered. */
export function createClusterMap(
  slots: ReplyValue,
  commands: ReplyValue,
  asked: HostPort,
): ClusterMap | undefined {
  const places = placesOf(commands);
  const owners = new Uint16Array(SLOTS);
  /** The first one is who answered, unless it has no slots. */
  let nodes: HostPort[] = [asked];
  const indexOf = ({ host, port }: HostPort): number => {
    const known = nodes.findIndex((node) => node.host === host && node.port === port);
    return known >= 0 ? known : nodes.push({ host, port }) - 1;
  };
  const map: ClusterMap = {
    nodeOf: (slot) => nodes[slot === undefined ? 0 : (owners[slot] ?? 0)] ?? asked,
    keyPlace: (name) => places.get(name) ?? 0,
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
