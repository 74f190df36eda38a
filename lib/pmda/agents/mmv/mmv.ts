// mmv: metrics that programs leave in memory-mapped files (pmdammv(1)). Every file of a directory is
// one program; its metrics come and go with it. Files are read where they are and not mapped: a mapped
// file that its program cuts short would end this process. Refuses single files, each with a line in
// the log that names it; the others are not touched.
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError, PM_ERR, viewOf } from "../../../base/mod.ts";
import {
  type InstanceId,
  namesFrom,
  type NamedPmid,
  PM_IN_NULL,
  PM_LABEL,
  PM_SEM,
  PM_TIME,
  PM_TYPE,
  pmidBuild,
  unitsWord,
} from "../../../pcp/mod.ts";
import type {
  AgentDefinition,
  AgentFactory,
  AgentSetting,
  AgentTables,
  FetchValue,
  IndomRow,
  LabelObject,
  MetricRow,
} from "../../define.ts";
import type { AgentNames } from "../../types.ts";
import {
  MMV_ELAPSED,
  MMV_FLAG,
  MMV_HEAD_BYTES,
  MMV_STRING_BYTES,
  MMV_VALUE_BYTES,
  type MmvFile,
  type MmvMetric,
  type MmvValue,
  parseMmv,
  parseMmvHead,
} from "./file.ts";

/** What times that go on are counted in, whatever the file says. */
const MICROSECONDS = unitsWord({ dimTime: 1, scaleTime: PM_TIME.USEC });

/** Larger files are refused; values of that many metrics fit into far less. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const MAX_FILES = 4096;
const MAX_CLUSTER = 4095;
/** Bits of a serial number that are the file's own; the others are its cluster. */
const SERIAL_BITS = 11;
const NAME = /^[A-Za-z]\w*(?:\.[A-Za-z]\w*)*$/;
const SENTINEL = 0xffff_ffff_ffff_ffffn;

/** One file that is in use. */
interface Source {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
  readonly file: MmvFile;
  readonly cluster: number;
  /** All values as they were at the last fetch that wanted some, and whose fetch that was. */
  values: Uint8Array;
  fetched: number;
}

const readAt = (fd: number, at: number, size: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  let have = 0;
  while (have < size) {
    const got = readSync(fd, bytes, have, size - have, at + have);
    if (got === 0) throw new PcpError(PM_ERR.GENERIC, `offset ${at + have}: end of the file`);
    have += got;
  }
  return bytes;
};

/** True while the process that wrote a file runs. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM is a process of somebody else.
    return asPcpError(error).code === -1;
  }
}

/** Opens and reads one file. Throws PcpError. */
function openSource(path: string, name: string): Omit<Source, "cluster"> {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_FILE_BYTES) throw new PcpError(PM_ERR.TOOBIG, `${size} bytes`);
    const file = parseMmv(readAt(fd, 0, size));
    return { name, path, fd, file, values: new Uint8Array(0), fetched: -1 };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The string of a value, where it lies at present. */
function stringOf(source: Source, at: bigint): string | undefined {
  const { size } = fstatSync(source.fd);
  if (at < BigInt(MMV_HEAD_BYTES) || at >= BigInt(size)) return undefined;
  const length = Math.min(MMV_STRING_BYTES, size - Number(at));
  const bytes = readAt(source.fd, Number(at), length);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("utf8");
}

/** The value of one entry. */
function valueOf(source: Source, metric: MmvMetric, { at }: MmvValue): FetchValue {
  const view = viewOf(source.values);
  const offset = at - source.file.valuesAt;
  if (offset + MMV_VALUE_BYTES > view.byteLength) return { error: PM_ERR.VALUE };
  const hidden = (source.file.head.flags & MMV_FLAG.SENTINEL) !== 0;
  const whole = metric.type <= PM_TYPE.U64;
  if (hidden && whole && view.getBigUint64(offset, true) === SENTINEL) return undefined;
  switch (metric.type) {
    case PM_TYPE.I32:
      return view.getInt32(offset, true);
    case PM_TYPE.U32:
      return view.getUint32(offset, true);
    case PM_TYPE.I64:
      return view.getBigInt64(offset, true);
    case PM_TYPE.U64:
      return view.getBigUint64(offset, true);
    case PM_TYPE.FLOAT:
      return view.getFloat32(offset, true);
    case PM_TYPE.DOUBLE:
      return view.getFloat64(offset, true);
    case PM_TYPE.STRING:
      return stringOf(source, view.getBigUint64(offset + 8, true));
    case MMV_ELAPSED: {
      const since = view.getBigInt64(offset + 8, true);
      const now = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000));
      return view.getBigInt64(offset, true) + (since < 0n ? since + now : 0n);
    }
    default:
      return { error: PM_ERR.APPVERSION };
  }
}

/** The labels of one level and identity, as one object. */
function labelsAt(file: MmvFile, level: number, identity: number, instance?: number): LabelObject {
  const found: Record<string, unknown> = {};
  for (const label of file.labels) {
    if ((label.flags & level) === 0 || label.identity !== identity) continue;
    if (instance !== undefined && label.instance !== instance) continue;
    const parsed: unknown = parseObject(label.json);
    if (typeof parsed === "object" && parsed !== null) Object.assign(found, parsed);
  }
  return found;
}

function parseObject(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    // A label that its program wrote badly is no label.
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/** The rows of one file. */
function tablesOf(source: Source, prefix: string, log: AgentSetting["log"]): AgentTables {
  const { file, cluster, name } = source;
  const serialOf = (serial: number): number => (cluster << SERIAL_BITS) | (serial & 0x7ff);
  const known = new Set(file.indoms.map(({ serial }) => serial));
  const indoms: IndomRow[] = file.indoms.map((indom) => ({
    serial: serialOf(indom.serial),
    instances: indom.instances,
    oneline: indom.oneline,
    help: indom.help,
    labels: labelsAt(file, PM_LABEL.INDOM, indom.serial),
    instanceLabels: (id: InstanceId) => labelsAt(file, PM_LABEL.INSTANCES, indom.serial, id),
  }));
  const values = Map.groupBy(file.values, ({ metric }) => metric);
  const own = (file.head.flags & MMV_FLAG.NO_PREFIX) === 0 ? `${prefix}.${name}` : prefix;
  const metrics: MetricRow[] = [];
  file.metrics.forEach((metric, index) => {
    const full = `${own}.${metric.name}`;
    if (!NAME.test(full) || metric.item > 1023) {
      const what = metric.item > 1023 ? `item ${metric.item}` : "name";
      log(
        "Warning",
        `invalid metric[${index}] ${what} in ${source.path} (${metric.name}), ignored`,
      );
      return;
    }
    const places = new Map(
      (values.get(index) ?? []).map((value) => [value.instance ?? PM_IN_NULL, value]),
    );
    const unknown = metric.indom !== undefined && !known.has(metric.indom);
    if (unknown) {
      known.add(metric.indom);
      indoms.push({ serial: serialOf(metric.indom), instances: [] });
    }
    const elapsed = metric.type === MMV_ELAPSED;
    metrics.push({
      name: full,
      cluster,
      item: metric.item,
      type: elapsed ? PM_TYPE.I64 : metric.type,
      sem: elapsed || metric.sem === 0 ? PM_SEM.COUNTER : metric.sem,
      units: elapsed ? MICROSECONDS : metric.units,
      indom: metric.indom === undefined ? undefined : serialOf(metric.indom),
      oneline: metric.oneline,
      help: metric.help,
      labels: labelsAt(file, PM_LABEL.ITEM, metric.item),
      fetch(instance) {
        const place = places.get(instance);
        return place === undefined ? { error: PM_ERR.INST } : valueOf(source, metric, place);
      },
    });
  });
  return { metrics, indoms };
}

/** Files by name, each with its cluster. */
function openSources(folder: string, log: AgentSetting["log"]): Source[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => !name.startsWith("."));
  } catch (error) {
    if (asPcpError(error).code !== -2) log("Error", `${folder}: ${asPcpError(error).message}`);
    return [];
  }
  const opened: Omit<Source, "cluster">[] = [];
  for (const name of names.sort().slice(0, MAX_FILES)) {
    const path = join(folder, name);
    try {
      const source = openSource(path, name);
      const { flags, pid } = source.file.head;
      if ((flags & MMV_FLAG.PROCESS) !== 0 && !isAlive(pid)) closeSync(source.fd);
      else opened.push(source);
    } catch (error) {
      log("Warning", `${path}: ${asPcpError(error).message}, ignored`);
    }
  }
  const taken = new Set(opened.map(({ file }) => file.head.cluster));
  let next = 1;
  return opened.map((source) => {
    let { cluster } = source.file.head;
    if (cluster === 0) {
      while (next < MAX_CLUSTER && taken.has(next)) next += 1;
      cluster = next;
      taken.add(next);
    }
    return { ...source, cluster };
  });
}

/** What tells that files must be opened again. */
function isStale(source: Source): boolean {
  const { head } = source.file;
  try {
    const there = statSync(source.path);
    const same = fstatSync(source.fd);
    if (there.ino !== same.ino || there.dev !== same.dev) return true;
    const now = parseMmvHead(readAt(source.fd, 0, MMV_HEAD_BYTES));
    if (now.generation !== head.generation || now.version !== head.version) return true;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return true;
  }
  return (head.flags & MMV_FLAG.PROCESS) !== 0 && !isAlive(head.pid);
}

/** The three metrics about the agent itself. */
function controlRows(prefix: string, state: { reload: number; debug: number; files(): number }) {
  const row = (item: number, name: string, oneline: string) => ({
    name: `${prefix}.control.${name}`,
    cluster: 0,
    item,
    type: PM_TYPE.I32,
    sem: PM_SEM.INSTANT,
    oneline,
  });
  return [
    {
      ...row(0, "reload", "store anything but 0: all files are opened again"),
      fetch: () => state.reload,
      store(value) {
        state.reload = Number(value);
      },
    },
    {
      ...row(1, "debug", "debug flags"),
      fetch: () => state.debug,
      store(value) {
        state.debug = Number(value);
      },
    },
    { ...row(2, "files", "files whose metrics are there"), fetch: () => state.files() },
  ] satisfies MetricRow[];
}

/**
 * Two files may claim one cluster, or one name: what came first keeps both, and gets the names of what
 * has the same identifier.
 */
function merged(rows: readonly MetricRow[]): MetricRow[] {
  const byId = new Map<string, MetricRow>();
  const names = new Set<string>();
  for (const row of rows) {
    const name = String(row.name);
    if (names.has(name)) continue;
    names.add(name);
    const key = `${row.cluster}.${row.item}`;
    const first = byId.get(key);
    const all = first === undefined ? name : [first.name ?? [], name].flat();
    byId.set(key, { ...(first ?? row), name: all });
  }
  return [...byId.values()];
}

/** An agent over the files of a directory; all names begin with `prefix`. */
export function mmvAgent(folder: string, prefix: string, setting: AgentSetting): AgentDefinition {
  const { log, domain } = setting;
  let sources: Source[] = [];
  let stamp = Number.NaN;
  let names = namesFrom([]);
  let clusterLabels = new Map<number, LabelObject>();
  let fetch = 0;
  const state = { reload: 0, debug: 0, files: () => sources.length };
  const control = controlRows(prefix, state);

  const open = (): AgentTables => {
    for (const { fd } of sources) closeSync(fd);
    sources = openSources(folder, log);
    const tables = sources.map((source) => tablesOf(source, prefix, log));
    const metrics = merged([...control, ...tables.flatMap((each) => each.metrics)]);
    const serials = new Set<number>();
    const indoms = tables
      .flatMap((each) => each.indoms ?? [])
      .filter(({ serial }) => !serials.has(serial) && serials.add(serial));
    names = namesFrom(
      metrics.flatMap(({ name = [], cluster, item }): NamedPmid[] => {
        const pmid = pmidBuild(domain & 0x1ff, cluster, item);
        return (typeof name === "string" ? [name] : name).map((each) => ({ name: each, pmid }));
      }),
    );
    clusterLabels = new Map(
      sources.map(({ file, cluster }) => [
        cluster,
        labelsAt(file, PM_LABEL.CLUSTER, file.head.cluster),
      ]),
    );
    return { metrics, indoms };
  };

  const modified = (): number => statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  stamp = modified();
  const first = open();

  const refresh = (): void => {
    const now = modified();
    if (now === stamp && state.reload === 0 && !sources.some(isStale)) return;
    stamp = now;
    state.reload = 0;
    setting.redefine(open());
    setting.changed("names");
  };

  const own: AgentNames = {
    lookup: (name) => names.lookup(name),
    namesOf(pmid) {
      const found = names.namesOf(pmid);
      if (found.length === 0) throw new PcpError(PM_ERR.PMID);
      return found;
    },
    children(name) {
      // What came last stands first, as in pmdaTree.
      const found = [...names.children(name)].reverse();
      return {
        names: found.map((child) => child.name),
        statuses: found.map(({ leaf }) => (leaf ? 0 : 1)),
      };
    },
    traverse: (name) => Array.from(names.traverse(name), (leaf) => leaf.name).reverse(),
  };

  return {
    name: prefix,
    ...first,
    dynamicRoots: [prefix],
    names: own,
    check: refresh,
    clusterLabels: (cluster) => clusterLabels.get(cluster),
    refresh(rows) {
      fetch += 1;
      const wanted = new Set(rows.map(({ cluster }) => cluster));
      for (const source of sources) {
        if (!wanted.has(source.cluster) || source.fetched === fetch) continue;
        source.fetched = fetch;
        const { valuesAt, valuesEnd } = source.file;
        try {
          source.values = readAt(source.fd, valuesAt, valuesEnd - valuesAt);
        } catch (error) {
          // Cut short since: no values, and the next request finds out.
          log("Warning", `${source.path}: ${asPcpError(error).message}`);
          source.values = new Uint8Array(0);
        }
      }
    },
    close() {
      for (const { fd } of sources) closeSync(fd);
      sources = [];
    },
  };
}

/** The agent mmv over $PCP_TMP_DIR/mmv. */
export const mmv: AgentFactory = (setting) =>
  mmvAgent(join(setting.env["PCP_TMP_DIR"] ?? "/var/lib/pcp/tmp", "mmv"), "mmv", setting);
