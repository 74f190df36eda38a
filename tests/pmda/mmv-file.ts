// Writes memory-mapped value files as mmv(5) lays them out, for tests of the agent that reads them.
import { PM_SEM, PM_TYPE } from "../../lib/pcp/mod.ts";

/** One metric with the values of its instances. */
export interface WrittenMetric {
  readonly name: string;
  readonly item: number;
  readonly type: number;
  readonly sem?: number;
  readonly units?: number;
  /** Serial number of an instance domain. */
  readonly indom?: number;
  readonly oneline?: string;
  readonly help?: string;
  /** By instance; -1 for a metric with one value. Bytes are the eight of the value as they are. */
  readonly values?: Readonly<Record<number, number | bigint | string | Uint8Array>>;
  /** The extra number of the value. */
  readonly extra?: bigint;
}

/** What a file says. */
export interface Written {
  readonly version: 1 | 2 | 3;
  readonly flags?: number;
  readonly pid?: number;
  readonly cluster?: number;
  readonly generations?: readonly [bigint, bigint];
  readonly metrics: readonly WrittenMetric[];
  readonly indoms?: Readonly<
    Record<
      number,
      { instances: readonly (readonly [number, string])[]; oneline?: string; help?: string }
    >
  >;
  readonly labels?: readonly {
    flags: number;
    identity: number;
    instance?: number;
    json: string;
  }[];
}

const NO_INDOM = 0xffffffff;

/** Eight bytes of a value. */
function valueBytes(type: number, value: number | bigint | Uint8Array): Uint8Array {
  if (typeof value === "object") return value;
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  if (type === PM_TYPE.FLOAT) view.setFloat32(0, Number(value), true);
  else if (type === PM_TYPE.DOUBLE) view.setFloat64(0, Number(value), true);
  else if (type === PM_TYPE.I32 || type === PM_TYPE.U32) view.setInt32(0, Number(value), true);
  else view.setBigInt64(0, BigInt(value), true);
  return bytes;
}

/** The bytes of a file. */
export function mmvFile(written: Written): Uint8Array {
  const { version, metrics, indoms = {}, labels = [] } = written;
  const serials = Object.keys(indoms).map(Number);
  const instances = serials.flatMap((serial) =>
    (indoms[serial]?.instances ?? []).map(([id, name]) => ({ serial, id, name })),
  );
  const values = metrics.flatMap((metric, index) =>
    Object.entries(metric.values ?? {}).map(([id, value]) => ({
      metric,
      index,
      id: Number(id),
      value,
    })),
  );
  const instanceBytes = version === 1 ? 80 : 24;
  const metricBytes = version === 1 ? 104 : 48;
  const counts: (readonly [type: number, count: number, size: number])[] = [
    ...(serials.length > 0
      ? ([
          [1, serials.length, 32],
          [2, instances.length, instanceBytes],
        ] as const)
      : []),
    [3, metrics.length, metricBytes],
    [4, values.length, 32],
    ...(labels.length > 0 ? ([[6, labels.length, 256]] as const) : []),
  ];
  const places = new Map<number, number>();
  let end = 40 + 16 * (counts.length + 1);
  for (const [type, count, size] of counts) {
    places.set(type, end);
    end += count * size;
  }
  const place = (type: number): number => places.get(type) ?? 0;
  const strings: string[] = [];
  const text = (value: string | undefined): bigint =>
    value === undefined ? 0n : BigInt(end + 256 * (strings.push(value) - 1));
  const out = Buffer.alloc(1 << 20);
  const [first, second] = written.generations ?? [7n, 7n];
  out.write("MMV\0", 0, "latin1");
  out.writeUInt32LE(version, 4);
  out.writeBigUInt64LE(first, 8);
  out.writeBigUInt64LE(second, 16);
  out.writeUInt32LE(counts.length + 1, 24);
  out.writeUInt32LE(written.flags ?? 0, 28);
  out.writeInt32LE(written.pid ?? process.pid, 32);
  out.writeUInt32LE(written.cluster ?? 0, 36);
  serials.forEach((serial, index) => {
    const at = place(1) + 32 * index;
    const indom = indoms[serial];
    out.writeUInt32LE(serial, at);
    out.writeUInt32LE(indom?.instances.length ?? 0, at + 4);
    const start = instances.findIndex((each) => each.serial === serial);
    out.writeBigUInt64LE(BigInt(place(2) + instanceBytes * Math.max(0, start)), at + 8);
    out.writeBigUInt64LE(text(indom?.oneline), at + 16);
    out.writeBigUInt64LE(text(indom?.help), at + 24);
  });
  instances.forEach(({ serial, id, name }, index) => {
    const at = place(2) + instanceBytes * index;
    out.writeBigUInt64LE(BigInt(place(1) + 32 * serials.indexOf(serial)), at);
    out.writeInt32LE(id, at + 12);
    if (version === 1) out.write(name, at + 16, "utf8");
    else out.writeBigUInt64LE(text(name), at + 16);
  });
  metrics.forEach((metric, index) => {
    let at = place(3) + metricBytes * index;
    if (version === 1) out.write(metric.name, at, "utf8");
    else out.writeBigUInt64LE(text(metric.name), at);
    at += version === 1 ? 64 : 8;
    out.writeUInt32LE(metric.item, at);
    out.writeInt32LE(metric.type, at + 4);
    out.writeInt32LE(metric.sem ?? PM_SEM.INSTANT, at + 8);
    out.writeUInt32LE(metric.units ?? 0, at + 12);
    out.writeUInt32LE(metric.indom ?? NO_INDOM, at + 16);
    out.writeBigUInt64LE(text(metric.oneline), at + 24);
    out.writeBigUInt64LE(text(metric.help), at + 32);
  });
  values.forEach(({ metric, index, id, value }, number) => {
    const at = place(4) + 32 * number;
    const isText = typeof value === "string";
    out.set(valueBytes(metric.type, isText ? 0 : value), at);
    out.writeBigInt64LE(isText ? text(value) : (metric.extra ?? 0n), at + 8);
    out.writeBigUInt64LE(BigInt(place(3) + metricBytes * index), at + 16);
    const member = instances.findIndex((each) => each.serial === metric.indom && each.id === id);
    if (member >= 0) out.writeBigUInt64LE(BigInt(place(2) + instanceBytes * member), at + 24);
  });
  labels.forEach((label, index) => {
    const at = place(6) + 256 * index;
    out.writeUInt32LE(label.flags, at);
    out.writeUInt32LE(label.identity, at + 4);
    out.writeInt32LE(label.instance ?? -1, at + 8);
    out.write(label.json, at + 12, "utf8");
  });
  [
    ...counts.map(([type, count]) => [type, count, place(type)] as const),
    [5, strings.length, end] as const,
  ].forEach(([type, count, start], index) => {
    out.writeUInt32LE(type, 40 + 16 * index);
    out.writeUInt32LE(count, 44 + 16 * index);
    out.writeBigUInt64LE(BigInt(start), 48 + 16 * index);
  });
  strings.forEach((value, index) => out.write(value, end + 256 * index, "utf8"));
  return new Uint8Array(out.subarray(0, end + 256 * strings.length));
}
