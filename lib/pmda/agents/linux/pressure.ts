// /proc/pressure: how long work waits for processors, memory, devices and interrupts.
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import type { Count } from "./scan.ts";
import { cursorOn, latin1, nextLine, skipText, skipWord, takeCount, takeDecimal } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** One line: averages in percent over 10 seconds, 1 and 5 minutes, and all time in microseconds. */
export interface Pressure {
  readonly averages: readonly number[];
  readonly total: Count | undefined;
}

/** One file, by the first words of its lines: "some" and "full". */
export type PressureSample = ReadonlyMap<string, Pressure>;

const AVERAGES = [" avg10=", " avg60=", " avg300="].map((text) => Buffer.from(text));
const TOTAL = Buffer.from(" total=");

/** Lines of another form are left out. */
export function parsePressure(bytes: Uint8Array): PressureSample {
  const sample = new Map<string, Pressure>();
  const cursor = cursorOn(bytes);
  for (; cursor.at < bytes.length; nextLine(cursor)) {
    const start = cursor.at;
    skipWord(cursor);
    const end = cursor.at;
    const averages: number[] = [];
    for (const head of AVERAGES) if (skipText(cursor, head)) averages.push(takeDecimal(cursor));
    if (averages.length < AVERAGES.length || averages.some(Number.isNaN)) continue;
    const total = skipText(cursor, TOTAL) ? takeCount(cursor) : undefined;
    if (total !== undefined) sample.set(latin1(bytes, start, end), { averages, total });
  }
  return sample;
}

const INDOM = 37;
const SPANS = [
  { id: 10, name: "10 second" },
  { id: 60, name: "1 minute" },
  { id: 300, name: "5 minute" },
];
const RESOURCES = [
  { resource: "cpu", cluster: 83, kinds: ["some"], of: "a processor" },
  { resource: "memory", cluster: 84, kinds: ["some", "full"], of: "memory" },
  { resource: "io", cluster: 85, kinds: ["some", "full"], of: "devices" },
  { resource: "irq", cluster: 93, kinds: ["full"], of: "interrupts" },
] as const;

/** The metrics of all files. */
export function collectPressure(host: Host): Collected {
  return {
    indoms: [{ serial: INDOM, instances: SPANS, oneline: "spans of time that pressure is over" }],
    metrics: RESOURCES.flatMap(({ resource, cluster, kinds, of }) => {
      const sample = host.sampled(() => {
        const bytes = host.read(`/proc/pressure/${resource}`, WHOLE);
        return bytes === undefined ? undefined : parsePressure(bytes);
      });
      return kinds.flatMap((kind, order) => {
        const prefix = `kernel.all.pressure.${resource}.${kind}.`;
        const who = kind === "some" ? "some" : "all";
        return [
          ...rowsFrom(
            { cluster, prefix, type: "float", sem: "instant", units: "none", indom: INDOM },
            `${order * 2} avg | percent of time in which ${who} work waited for ${of}`,
            () => (instance) => {
              const place = SPANS.findIndex(({ id }) => id === instance);
              return sample()?.get(kind)?.averages[place];
            },
          ),
          ...rowsFrom(
            { cluster, prefix, type: "u64", sem: "counter", units: "usec" },
            `${order * 2 + 1} total | time in which ${who} work waited for ${of}`,
            () => () => sample()?.get(kind)?.total,
          ),
        ];
      });
    }),
  };
}
