// /proc/interrupts and /proc/softirqs: counts by source and processor. Both are a head line with the
// processors and a line for each source; rows and their arrays stay while the lines are the same, so
// that a request only reads numbers.
import type { IndomRow, MetricRow } from "../../define.ts";
import { type Collected, keptIndom, type KeptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { cursorOn, nextLine, rememberLines, takeCount, takeWord } from "./scan.ts";
import { rowsFrom } from "./table.ts";
import { CPU_INDOM } from "./topology.ts";

/** One source of interrupts. */
export interface GridRow {
  readonly name: string;
  /** By column; the kernel's counters have 32 bits. */
  readonly counts: number[];
  /** What stands behind the counts, with single blanks. */
  text: string;
}

/** A whole file. */
export interface Grid {
  /** Processor numbers of the columns. */
  readonly cpus: readonly number[];
  readonly rows: readonly GridRow[];
  /** Lines with one count for the whole system, by name. */
  readonly alone: ReadonlyMap<string, number>;
}

const ALONE: readonly string[] = ["ERR", "Err", "BAD", "MIS"];
const COLON = 58;

/** A parser that hands out the same rows while names and processors stay the same. */
export function createGridParser(): (bytes: Uint8Array) => Grid {
  let cpus: readonly number[] = [];
  let rows: readonly GridRow[] = [];
  const textOf = rememberLines((text) => text.trim().replaceAll(/\s+/g, " "));
  const known = new Map<string, GridRow>();
  const rowOf = rememberLines((name): GridRow => {
    const row = known.get(name) ?? { name, counts: [], text: "" };
    known.set(name, row);
    return row;
  });
  return (bytes) => {
    const cursor = cursorOn(bytes);
    const columns: number[] = [];
    for (let word = takeWord(cursor); word !== ""; word = takeWord(cursor)) {
      if (/^CPU\d{1,6}$/.test(word)) columns.push(Number(word.slice(3)));
    }
    if (columns.length !== cpus.length || columns.some((cpu, i) => cpu !== cpus[i])) cpus = columns;
    const found: GridRow[] = [];
    const alone = new Map<string, number>();
    for (let line = 0; nextLine(cursor); line += 1) {
      let start = cursor.at;
      while (bytes[start] === 32) start += 1;
      const colon = bytes.indexOf(COLON, start);
      const end = bytes.indexOf(10, start);
      if (colon < 0 || (end >= 0 && colon > end)) continue;
      cursor.at = colon + 1;
      const row = rowOf(line, bytes, start, colon);
      if (ALONE.includes(row.name)) {
        alone.set(row.name, Number(takeCount(cursor) ?? 0));
        continue;
      }
      for (let i = 0; i < cpus.length; i++) row.counts[i] = Number(takeCount(cursor) ?? 0);
      row.counts.length = cpus.length;
      row.text = textOf(line, bytes, cursor.at, end < 0 ? bytes.length : end);
      found.push(row);
    }
    if (found.length !== rows.length || found.some((row, i) => row !== rows[i])) rows = found;
    return { cpus, rows, alone };
  };
}

const sum = (counts: readonly number[]): number =>
  counts.reduce((total, count) => total + count, 0);

/** One cell: a source on a processor. */
interface Cell {
  readonly row: GridRow;
  readonly cpu: number;
  readonly column: number;
}

/** One of the two files with its two domains. */
interface GridSource {
  readonly sample: () => Grid | undefined;
  readonly sources: KeptIndom<GridRow>;
  readonly cells: KeptIndom<Cell>;
  readonly refresh: () => void;
}

function gridSource(host: Host, path: string, serials: readonly [number, number]): GridSource {
  const parse = createGridParser();
  const sample = host.sampled(() => {
    const bytes = host.read(path);
    return bytes === undefined ? undefined : parse(bytes);
  });
  const sources = keptIndom<GridRow>(host, serials[0]);
  const cells = keptIndom<Cell>(host, serials[1]);
  let last: Grid | undefined;
  const refresh = (): void => {
    const grid = sample();
    if (last !== undefined && grid?.rows === last.rows && grid.cpus === last.cpus) return;
    last = grid;
    const { rows, cpus } = grid ?? { rows: [], cpus: [] };
    sources.replace(rows.map((row) => [row.name, row]));
    cells.replace(
      rows.flatMap((row) =>
        cpus.map((cpu, column): readonly [string, Cell] => [
          `${row.name}::cpu${cpu}`,
          { row, cpu, column },
        ]),
      ),
    );
  };
  return { sample, sources, cells, refresh };
}

/** The sum of a processor's column. */
function ofCpu(grid: Grid | undefined, cpu: number): number | undefined {
  const column = grid?.cpus.indexOf(cpu) ?? -1;
  if (grid === undefined || column < 0) return undefined;
  return grid.rows.reduce((total, row) => total + (row.counts[column] ?? 0), 0);
}

const IRQ_INDOM = 4;
const IRQ_CPU_INDOM = 40;
const SOFTIRQ_INDOM = 36;
const SOFTIRQ_CPU_INDOM = 41;

function indomRows(hard: GridSource, soft: GridSource): IndomRow[] {
  const irqLabels = ({ name, text }: GridRow) => ({
    irq: name,
    ...(text === "" ? {} : { irqtext: text }),
  });
  return [
    {
      serial: IRQ_INDOM,
      instances: hard.sources.cache,
      oneline: "sources of interrupts",
      labels: { device_type: "irq", indom_name: "per irq" },
      instanceLabels(instance) {
        const row = hard.sources.get(instance);
        return row === undefined ? undefined : irqLabels(row);
      },
    },
    {
      serial: IRQ_CPU_INDOM,
      instances: hard.cells.cache,
      oneline: "sources of interrupts on each processor",
      labels: { device_type: ["irq", "cpu"], indom_name: "per cpu, per irq" },
      instanceLabels(instance) {
        const cell = hard.cells.get(instance);
        return cell === undefined ? undefined : { cpu: cell.cpu, ...irqLabels(cell.row) };
      },
    },
    {
      serial: SOFTIRQ_INDOM,
      instances: soft.sources.cache,
      oneline: "kinds of soft interrupts",
      labels: { indom_name: "per softirq" },
    },
    {
      serial: SOFTIRQ_CPU_INDOM,
      instances: soft.cells.cache,
      oneline: "kinds of soft interrupts on each processor",
      labels: { device_type: "cpu", indom_name: "per cpu, per softirq" },
      instanceLabels(instance) {
        const cell = soft.cells.get(instance);
        return cell === undefined ? undefined : { cpu: cell.cpu, softirq: cell.row.name };
      },
    },
  ];
}

/** The three metrics of one file: by source, by source and processor, by processor. */
function metricRows(
  source: GridSource,
  clusters: Readonly<Record<"total" | "cells" | "cpus", readonly [number, number, string]>>,
): MetricRow[] {
  const head = { type: "u64", sem: "counter", units: "count" } as const;
  const lineOf = ([, , text]: readonly [number, number, string]) => text;
  const [totalCluster, totalIndom] = clusters.total;
  const [cellCluster, cellIndom] = clusters.cells;
  const [cpuCluster, cpuIndom] = clusters.cpus;
  return [
    ...rowsFrom(
      { ...head, prefix: "", cluster: totalCluster, indom: totalIndom },
      lineOf(clusters.total),
      () => (instance) => {
        const row = source.sources.get(instance);
        return row === undefined ? undefined : sum(row.counts);
      },
    ),
    ...rowsFrom(
      { ...head, prefix: "", cluster: cellCluster, indom: cellIndom },
      lineOf(clusters.cells),
      () => (instance) => {
        const cell = source.cells.get(instance);
        return cell?.row.counts[cell.column];
      },
    ),
    ...rowsFrom(
      { ...head, prefix: "", cluster: cpuCluster, indom: cpuIndom },
      lineOf(clusters.cpus),
      () => (cpu) => ofCpu(source.sample(), cpu),
    ),
  ];
}

/** The metrics of both files. */
export function collectInterrupts(host: Host): Collected {
  const hard = gridSource(host, "/proc/interrupts", [IRQ_INDOM, IRQ_CPU_INDOM]);
  const soft = gridSource(host, "/proc/softirqs", [SOFTIRQ_INDOM, SOFTIRQ_CPU_INDOM]);
  const alone = (names: readonly string[]) => () => {
    const grid = hard.sample();
    if (grid === undefined) return undefined;
    return names.map((name) => grid.alone.get(name)).find((count) => count !== undefined) ?? 0;
  };
  return {
    refreshers: new Map([
      [IRQ_INDOM, hard.refresh],
      [IRQ_CPU_INDOM, hard.refresh],
      [SOFTIRQ_INDOM, soft.refresh],
      [SOFTIRQ_CPU_INDOM, soft.refresh],
    ]),
    indoms: indomRows(hard, soft),
    metrics: [
      ...metricRows(hard, {
        total: [4, IRQ_INDOM, TOTAL],
        cells: [4, IRQ_CPU_INDOM, CELLS],
        cpus: [4, CPU_INDOM, CPUS],
      }),
      ...metricRows(soft, {
        total: [82, SOFTIRQ_INDOM, SOFT_TOTAL],
        cells: [63, SOFTIRQ_CPU_INDOM, SOFT_CELLS],
        cpus: [63, CPU_INDOM, SOFT_CPUS],
      }),
      ...rowsFrom(
        {
          cluster: 4,
          prefix: "kernel.all.interrupts.",
          type: "u32",
          sem: "counter",
          units: "count",
        },
        ALONE_TABLE,
        ({ key }) => (key === "missed" ? alone(["MIS"]) : alone(["ERR", "Err", "BAD"])),
      ),
    ],
  };
}

const TOTAL = `
0 kernel.all.interrupts.total | interrupts of one source, on all processors
`;
const CELLS = `
1 kernel.percpu.interrupts u32 | interrupts of one source on one processor
`;
const CPUS = `
4 kernel.percpu.intr | interrupts on one processor, from all sources
`;
const SOFT_TOTAL = `
0 kernel.all.softirqs.total | soft interrupts of one kind, on all processors
`;
const SOFT_CELLS = `
0 kernel.percpu.softirqs u32 | soft interrupts of one kind on one processor
`;
const SOFT_CPUS = `
1 kernel.percpu.sirq | soft interrupts on one processor, of all kinds
`;
const ALONE_TABLE = `
2 missed | interrupts that the controller lost (MIS)
3 errors | errors of the interrupt controller (ERR)
`;
