// /proc/net/snmp and /proc/net/netstat: pairs of lines, names and numbers, one pair for each protocol.
// Where the names stand is worked out when the first line of a pair changes, not at every request.
import type { MetricRow } from "../../define.ts";
import type { Collected } from "./collector.ts";
import type { Host } from "./host.ts";
import { type Count, cursorOn, nextLine, rememberLines, skipWord, takeCount } from "./scan.ts";
import { NETSTAT_TABLES, type ProtocolTable, SNMP_TABLES } from "./protocol-tables.ts";
import { rowsFrom, tableLines, withSource } from "./table.ts";

/** Values by protocol ("Tcp") and by the place of their name in its list. */
export type PairsParser = (
  bytes: Uint8Array,
) => ReadonlyMap<string, readonly (Count | undefined)[]>;

/** A parser for these names of each protocol; other names and protocols are ignored. */
export function createPairsParser(names: ReadonlyMap<string, readonly string[]>): PairsParser {
  const placesOf = rememberLines((line): readonly number[] => {
    const [head = "", ...columns] = line.split(/\s+/);
    const wanted = names.get(head.slice(0, -1)) ?? [];
    return columns.map((name) => wanted.indexOf(name));
  });
  const protocolOf = rememberLines((name) => (names.has(name) ? name : ""));
  const values = new Map<string, (Count | undefined)[]>();
  return (bytes) => {
    values.clear();
    const cursor = cursorOn(bytes);
    for (let line = 0; cursor.at < bytes.length; line += 1) {
      const start = cursor.at;
      skipWord(cursor);
      const protocol = protocolOf(line, bytes, start, Math.max(start, cursor.at - 1));
      const end = bytes.indexOf(10, cursor.at);
      const headEnd = end < 0 ? bytes.length : end;
      nextLine(cursor);
      const places = protocol === "" ? [] : placesOf(line, bytes, start, headEnd);
      skipWord(cursor);
      if (protocol !== "") {
        const list: (Count | undefined)[] = [];
        for (const place of places) {
          const value = takeCount(cursor);
          if (value === undefined) break;
          if (place >= 0) list[place] = value;
        }
        values.set(protocol, list);
      }
      nextLine(cursor);
    }
    return values;
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
  const parse = createPairsParser(names);
  const sample = host.sampled(() => {
    const bytes = host.read(path);
    return bytes === undefined ? undefined : parse(bytes);
  });
  const metrics: MetricRow[] = parsed.flatMap(({ protocol, lines }) =>
    lines.map((line) => {
      const place = names.get(protocol)?.indexOf(line.key) ?? -1;
      return withSource(line, () => sample()?.get(protocol)?.[place]);
    }),
  );
  return { metrics, sample };
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
          return (type) => snmp.sample()?.get("IcmpMsg")?.[from + type];
        },
      ),
    ],
  };
}
