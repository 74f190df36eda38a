// /proc/loadavg and /proc/uptime: load, processes, time since the start.
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { cursorOn, takeDecimal, takeNumber } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** One /proc/loadavg. */
export interface LoadSample {
  /** Over 1, 5 and 15 minutes. */
  readonly load: readonly number[];
  readonly runnable: number;
  readonly nprocs: number;
  readonly lastpid: number;
}

/** Undefined for a text without the three loads. */
export function parseLoadavg(bytes: Uint8Array): LoadSample | undefined {
  const cursor = cursorOn(bytes);
  const load = [takeDecimal(cursor), takeDecimal(cursor), takeDecimal(cursor)];
  if (load.some(Number.isNaN)) return undefined;
  const runnable = takeNumber(cursor);
  cursor.at += 1; // the slash
  const nprocs = takeNumber(cursor);
  return { load, runnable, nprocs, lastpid: takeNumber(cursor) };
}

/** Seconds since the start, and idle seconds of all processors; undefined without both. */
export function parseUptime(bytes: Uint8Array): readonly [number, number] | undefined {
  const cursor = cursorOn(bytes);
  const up = takeDecimal(cursor);
  const idle = takeDecimal(cursor);
  return Number.isNaN(up + idle) ? undefined : [up, idle];
}

const LOAD_INDOM = 2;
const SPANS = [
  { id: 1, name: "1 minute" },
  { id: 5, name: "5 minute" },
  { id: 15, name: "15 minute" },
];

/** The metrics of both files. */
export function collectLoad(host: Host): Collected {
  const load = host.sampled(() => {
    const bytes = host.read("/proc/loadavg", WHOLE);
    return bytes === undefined ? undefined : parseLoadavg(bytes);
  });
  const uptime = host.sampled(() => {
    const bytes = host.read("/proc/uptime", WHOLE);
    return bytes === undefined ? undefined : parseUptime(bytes);
  });
  const head = {
    cluster: 2,
    prefix: "kernel.all.",
    type: "u32",
    sem: "instant",
    units: "none",
  } as const;
  /** A number, or none where the text had none. */
  const real = (value: number | undefined): number | undefined =>
    value === undefined || Number.isNaN(value) ? undefined : value;
  return {
    indoms: [{ serial: LOAD_INDOM, instances: SPANS, oneline: "spans of time that load is over" }],
    metrics: [
      ...rowsFrom({ ...head, indom: LOAD_INDOM }, AVERAGE, () => (instance) => {
        const place = SPANS.findIndex(({ id }) => id === instance);
        return load()?.load[place];
      }),
      ...rowsFrom(head, PROCESSES, ({ key }) => {
        if (key === "runnable") return () => real(load()?.runnable);
        return key === "nprocs" ? () => real(load()?.nprocs) : () => real(load()?.lastpid);
      }),
      ...rowsFrom({ ...head, cluster: 26 }, UPTIME, ({ key }) => {
        const place = key === "uptime" ? 0 : 1;
        return () => uptime()?.[place];
      }),
    ],
  };
}

const AVERAGE = `
0 load float | mean number of threads that run or wait, over 1, 5 and 15 minutes
`;

const PROCESSES = `
1 lastpid | the process number given last
2 runnable | threads that could run now
3 nprocs | processes and threads
`;

const UPTIME = `
0 uptime double sec | seconds since the system was started
1 idletime double sec | idle seconds since the start, of all processors together
`;
