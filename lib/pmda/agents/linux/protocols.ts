// /proc/net/snmp and /proc/net/netstat: pairs of lines, names and numbers, one pair for each protocol.
// Where the names stand is worked out when the first line of a pair changes, not at every request.
import type { MetricRow } from "../../define.ts";
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { type Count, cursorOn, nextLine, rememberLines, skipWord, takeCount } from "./scan.ts";
import { NETSTAT_TABLES, type ProtocolTable, SNMP_TABLES } from "./protocol-tables.ts";
import { rowsFrom, tableLines, withSource } from "./table.ts";

/** Values of a protocol by the place of their name in its list; undefined: the file has none. */
export type PairValues = readonly (Count | undefined)[];

/** Parses a whole file into lists that stay the same. */
export interface PairsParser {
  /** By protocol ("Tcp"). */
  readonly lists: ReadonlyMap<string, PairValues>;
  parse(bytes: Uint8Array): void;
}

/** A parser for these names of each protocol; other names and protocols are ignored. */
export function createPairsParser(names: ReadonlyMap<string, readonly string[]>): PairsParser {
  const lists = new Map<string, (Count | undefined)[]>();
  for (const [protocol, wanted] of names)
    lists.set(
      protocol,
      wanted.map(() => undefined),
    );
  const placesOf = rememberLines((line): readonly number[] => {
    const [head = "", ...columns] = line.split(/\s+/);
    const wanted = names.get(head.slice(0, -1)) ?? [];
    return columns.map((name) => wanted.indexOf(name));
  });
  const protocolOf = rememberLines((name) => (names.has(name) ? name : ""));
  return {
    lists,
    parse(bytes) {
      for (const list of lists.values()) list.fill(undefined);
      const cursor = cursorOn(bytes);
      for (let line = 0; cursor.at < bytes.length; line += 1) {
        const start = cursor.at;
        skipWord(cursor);
        const protocol = protocolOf(line, bytes, start, Math.max(start, cursor.at - 1));
        const list = lists.get(protocol);
        const end = bytes.indexOf(10, cursor.at);
        const places = list && placesOf(line, bytes, start, end < 0 ? bytes.length : end);
        nextLine(cursor);
        if (list !== undefined && places !== undefined) {
          skipWord(cursor);
          for (const place of places) {
            const value = takeCount(cursor);
            if (value === undefined) break;
            if (place >= 0) list[place] = value;
          }
        }
        nextLine(cursor);
      }
    },
  };
}

/** The metrics of the tables, from one file. */
function fromFile(
  host: Host,
  path: string,
  tables: readonly ProtocolTable[],
  more: ReadonlyMap<string, readonly string[]> = new Map(),
) {
  const parsed = tables.map(({ protocol, prefix, cluster, table }) => ({
    protocol,
    lines: tableLines(
      {
        cluster,
        prefix,
        type: "u64",
        sem: "counter",
        units: "count",
        text: (key) => `${protocol} ${key} of ${path}`,
      },
      table,
    ),
  }));
  const names = new Map<string, readonly string[]>(
    parsed.map(({ protocol, lines }) => [protocol, [...new Set(lines.map(({ key }) => key))]]),
  );
  for (const [protocol, keys] of more) names.set(protocol, keys);
  const parser = createPairsParser(names);
  /** Whether there is such a file; the values are in the lists then. */
  const sample = host.sampled(() => {
    const bytes = host.read(path, WHOLE);
    if (bytes !== undefined) parser.parse(bytes);
    return bytes !== undefined;
  });
  const valueOf = (protocol: string, place: number): (() => Count | undefined) => {
    const list = parser.lists.get(protocol) ?? [];
    return () => (sample() ? list[place] : undefined);
  };
  const metrics: MetricRow[] = parsed.flatMap(({ protocol, lines }) =>
    lines.map((line) => {
      const place = names.get(protocol)?.indexOf(line.key) ?? -1;
      return withSource(line, valueOf(protocol, place));
    }),
  );
  return { metrics, valueOf };
}

/** ICMP messages by their type. */
const TYPES = 256;
const ICMP_INDOM = 23;

/** The metrics of both files. */
export function collectProtocols(host: Host): Collected {
  const types = Array.from({ length: TYPES }, (_, type) => type);
  const messages = [
    ...types.map((type) => `InType${type}`),
    ...types.map((type) => `OutType${type}`),
  ];
  const snmp = fromFile(host, "/proc/net/snmp", SNMP_TABLES, new Map([["IcmpMsg", messages]]));
  const netstat = fromFile(host, "/proc/net/netstat", NETSTAT_TABLES);
  return {
    indoms: [
      {
        serial: ICMP_INDOM,
        instances: types.map((id) => ({ id, name: `Type${id}` })),
        oneline: "types of ICMP messages",
      },
    ],
    metrics: [
      ...snmp.metrics,
      ...netstat.metrics,
      ...rowsFrom(
        {
          cluster: 14,
          prefix: "network.icmpmsg.",
          type: "u64",
          sem: "counter",
          units: "count",
          indom: ICMP_INDOM,
        },
        "88 intype | ICMP messages received, by type\n89 outtype | ICMP messages sent, by type",
        ({ key }) => {
          const from = key === "intype" ? 0 : TYPES;
          const values = types.map((type) => snmp.valueOf("IcmpMsg", from + type));
          return (type) => values[type]?.();
        },
      ),
    ],
  };
}
