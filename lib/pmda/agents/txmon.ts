// txmon: PCP's example of an agent that programs feed through shared memory (spec pmda.md 18.3): the
// words of its command line are types of transactions, which PCP's txrecord counts and times. Refuses
// to start without a type. Where there is no such memory it serves its metrics over memory of its own.
import { openSharedMemory, PcpError, PM_ERR, type SharedMemory, viewOf } from "../../base/mod.ts";
import { type Atom, type InstanceId, PM_SEM, PM_TYPE, unitsWord } from "../../pcp/mod.ts";
import type { AgentDefinition, AgentSetting, FetchValue, MetricRow } from "../define.ts";

const KEY = 0xdeadbeef;
const MODE = 0o666;
const EINVAL = -22;
const ENOSYS = -38;
/** Records start at a multiple of this. */
const CACHE_LINE = 32;
/** Offsets in the head of the memory; offsets of the records follow it. */
const HEAD = { level: 0, count: 4, index: 8 } as const;
/** Offsets in a record, and its size. */
const RECORD = { type: 0, resetCount: 20, count: 24, max: 28, sum: 32, size: 64 } as const;
const TYPE_BYTES = 20;
const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

const lineUp = (bytes: number): number => Math.ceil(bytes / CACHE_LINE) * CACHE_LINE;
const recordsAt = (count: number): number => lineUp(HEAD.index + 4 * count);

/** Bytes of the memory for a number of types. */
export const transactionBytes = (count: number): number => recordsAt(count) + RECORD.size * count;

/** The names as they fit into a record. */
const fitted = (types: readonly string[]): string[] =>
  types.map((type) =>
    Buffer.from(type)
      .subarray(0, TYPE_BYTES - 1)
      .toString(),
  );

/** Lays out fresh memory: level 2, no transactions. */
function layOut(view: DataView, bytes: Uint8Array, types: readonly string[]): void {
  bytes.fill(0);
  view.setInt32(HEAD.level, 2, LITTLE);
  view.setInt32(HEAD.count, types.length, LITTLE);
  for (const [i, type] of types.entries()) {
    const at = recordsAt(types.length) + RECORD.size * i;
    view.setInt32(HEAD.index + 4 * i, at, LITTLE);
    bytes.set(Buffer.from(type), at + RECORD.type);
    view.setFloat32(at + RECORD.max, -1, LITTLE);
  }
}

/** The metrics over one memory. */
function rows(view: DataView, count: number): readonly MetricRow[] {
  const at = (instance: InstanceId): number => recordsAt(count) + RECORD.size * instance;
  const level = (): number => view.getInt32(HEAD.level, LITTLE);
  const u32 = (instance: InstanceId, field: number): number =>
    view.getUint32(at(instance) + field, LITTLE);
  const sinceReset = (instance: InstanceId): number =>
    (u32(instance, RECORD.count) - u32(instance, RECORD.resetCount)) >>> 0;
  const from =
    (least: number, value: (instance: InstanceId) => FetchValue) =>
    (instance: InstanceId): FetchValue =>
      level() < least ? { error: PM_ERR.AGAIN } : value(instance);
  const reset = (): void => {
    for (let i = 0; i < count; i++) {
      const record = recordsAt(count) + RECORD.size * i;
      view.setUint32(
        record + RECORD.resetCount,
        view.getUint32(record + RECORD.count, LITTLE),
        LITTLE,
      );
      view.setFloat32(record + RECORD.max, -1, LITTLE);
      view.setFloat64(record + RECORD.sum, 0, LITTLE);
    }
  };
  const setLevel = (value: Atom): void => {
    const given = Number(value) | 0;
    view.setInt32(HEAD.level, Math.max(given, 0), LITTLE);
    if (given < 0) throw new PcpError(PM_ERR.SIGN);
  };
  const counts = { dimCount: 1 } as const;
  return [
    {
      name: "txmon.count",
      cluster: 0,
      item: 0,
      type: PM_TYPE.U32,
      indom: 0,
      sem: PM_SEM.COUNTER,
      units: unitsWord(counts),
      oneline: "count by transaction type",
      help: `Count by transaction type of transactions serviced since the txmon PMDA
started.`,
      fetch: from(1, (instance) => u32(instance, RECORD.count)),
    },
    {
      name: "txmon.ave_time",
      cluster: 0,
      item: 1,
      type: PM_TYPE.FLOAT,
      indom: 0,
      sem: PM_SEM.INSTANT,
      units: unitsWord({ dimTime: 1, dimCount: -1, scaleTime: 3 }),
      oneline: "average time per transaction type",
      help: `Average recorded service time per transaction type since the last time
the statistics were reset.`,
      fetch: from(2, (instance) => {
        const transactions = sinceReset(instance);
        if (transactions === 0) return -1;
        return view.getFloat64(at(instance) + RECORD.sum, LITTLE) / transactions;
      }),
    },
    {
      name: "txmon.max_time",
      cluster: 0,
      item: 2,
      type: PM_TYPE.FLOAT,
      indom: 0,
      sem: PM_SEM.INSTANT,
      units: unitsWord({ dimTime: 1, scaleTime: 3 }),
      oneline: "maximum time per transaction type",
      help: `Maximum recorded service time per transaction type since the last time
the statistics were reset.`,
      fetch: from(2, (instance) => view.getFloat32(at(instance) + RECORD.max, LITTLE)),
    },
    {
      name: "txmon.reset_count",
      cluster: 0,
      item: 3,
      type: PM_TYPE.U32,
      indom: 0,
      sem: PM_SEM.INSTANT,
      units: unitsWord(counts),
      oneline: "reset count by transaction type",
      help: `Count by transaction type of transactions serviced since the last time
the average and maximum summaries were reset.`,
      fetch: from(1, sinceReset),
    },
    {
      name: "txmon.control.level",
      cluster: 0,
      item: 4,
      type: PM_TYPE.U32,
      sem: PM_SEM.INSTANT,
      oneline: "statistics control levels",
      help: `0 => no statistics are collected
1 => transaction counts are enabled
2 => transaction counts and service times are enabled`,
      fetch: level,
      store: setLevel,
    },
    {
      name: "txmon.control.reset",
      cluster: 0,
      item: 5,
      type: PM_TYPE.U32,
      sem: PM_SEM.INSTANT,
      oneline: "reset statistics",
      help: `This metric is a toggle-switch ... any pmStore() operation for this
metric will reset all statistics except txmon.count.

The value for this metric is always 1.`,
      fetch: () => 1,
      store: reset,
    },
  ];
}

/**
 * The agent over memory of the caller, which must have transactionBytes(types); `end` is called
 * when the agent ends.
 */
export function txmonOver(
  bytes: Uint8Array,
  types: readonly string[],
  end: () => void = () => undefined,
): AgentDefinition {
  const names = fitted(types);
  const view = viewOf(bytes);
  layOut(view, bytes, names);
  return {
    name: "txmon",
    metrics: rows(view, names.length),
    indoms: [
      {
        serial: 0,
        instances: names.map((name, id) => ({ id, name })),
        oneline: 'Instance domain "transaction type name" for txmon PMDA',
        help: "There is one instance for each transaction type.",
      },
    ],
    close: end,
  };
}

/** The agent txmon. Throws PcpError: EINVAL without types, what shmget and shmat refuse. */
export function txmon({ args, log }: AgentSetting): AgentDefinition {
  if (args.length === 0) throw new PcpError(EINVAL, "No transaction types specified");
  const size = transactionBytes(args.length);
  let memory: SharedMemory;
  try {
    memory = openSharedMemory(KEY, size, MODE);
  } catch (error) {
    if (!(error instanceof PcpError) || error.code !== ENOSYS) throw error;
    log("Warning", `${error.message}: transactions cannot be recorded by other programs`);
    return txmonOver(new Uint8Array(size), args);
  }
  return txmonOver(memory.bytes, args, () => memory.end(true));
}
