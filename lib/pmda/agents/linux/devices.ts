// Tape drives, Fibre Channel adapters, SCSI devices and serial lines.
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { type Count, cursorOn, linesOf, takeHex, times } from "./scan.ts";
import { rowsFrom } from "./table.ts";

const TAPE_INDOM = 34;
const FC_INDOM = 39;
const SCSI_INDOM = 11;
const TTY_INDOM = 35;

function collectTapes(host: Host): Collected {
  const folder = "/sys/class/scsi_tape";
  const kept = keptIndom<string>(host, TAPE_INDOM);
  // Other names are other ways to the same drive.
  const drives = host.sampled(() => host.list(folder).filter((name) => /^st\d+$/.test(name)));
  return {
    refreshers: new Map([
      [TAPE_INDOM, () => kept.replace(drives().map((name) => [name, name] as const))],
    ]),
    indoms: [{ serial: TAPE_INDOM, instances: kept.cache, oneline: "tape drives" }],
    metrics: [
      ...rowsFrom(
        {
          cluster: 71,
          prefix: "tape.dev.",
          type: "u64",
          sem: "counter",
          units: "count",
          indom: TAPE_INDOM,
        },
        TAPES,
        ({ key }) =>
          (instance) => {
            const name = kept.get(instance);
            return name === undefined ? undefined : host.number(`${folder}/${name}/stats/${key}`);
          },
      ),
      ...rowsFrom(
        { cluster: 71, prefix: "hinv.", type: "u32", sem: "discrete", units: "none" },
        "16 ntape | tape drives",
        () => () => drives().length,
      ),
    ],
  };
}

/** Files of an adapter, and what one unit of them is in the units of the metric. */
const FC_FILES: Readonly<Record<string, readonly [file: string, factor: number]>> = {
  "in.frames": ["rx_frames", 1],
  "out.frames": ["tx_frames", 1],
  "in.bytes": ["rx_words", 4],
  "out.bytes": ["tx_words", 4],
  lip_count: ["lip_count", 1],
  nos_count: ["nos_count", 1],
  error_frames: ["error_frames", 1],
  dumped_frames: ["dumped_frames", 1],
};

/** A count of sysfs, with 0x before it; adapters that do not count have all bits set. */
export function hexCount(text: string): Count | undefined {
  const digits = /^0x([\da-f]+)$/i.exec(text)?.[1];
  if (digits === undefined) return undefined;
  if (digits.length > 8) return BigInt(`0x${digits}`);
  return takeHex(cursorOn(Buffer.from(digits)));
}

function collectAdapters(host: Host): Collected {
  const folder = "/sys/class/fc_host";
  const prefix = "fchost.";
  const kept = keptIndom<string>(host, FC_INDOM);
  const adapters = host.sampled(() => host.list(folder));
  return {
    refreshers: new Map([
      [FC_INDOM, () => kept.replace(adapters().map((name) => [name, name] as const))],
    ]),
    indoms: [{ serial: FC_INDOM, instances: kept.cache, oneline: "Fibre Channel adapters" }],
    metrics: [
      ...rowsFrom(
        { cluster: 91, prefix, type: "u64", sem: "counter", units: "count", indom: FC_INDOM },
        ADAPTERS,
        ({ name }) => {
          const [file = "", factor = 1] = FC_FILES[name.slice(prefix.length)] ?? [];
          return (instance) => {
            const adapter = kept.get(instance);
            if (adapter === undefined) return undefined;
            const text = host.line(`${folder}/${adapter}/statistics/${file}`);
            const count = text === undefined ? undefined : hexCount(text);
            return count === undefined ? undefined : times(count, factor);
          };
        },
      ),
      ...rowsFrom(
        { cluster: 91, prefix: "hinv.", type: "u32", sem: "discrete", units: "none" },
        "16 nfchost | Fibre Channel adapters",
        () => () => adapters().length,
      ),
    ],
  };
}

/** One SCSI device. */
export interface ScsiDevice {
  /** Host, channel, target, unit: "0:0:0:0". */
  readonly address: string;
  /** "Direct-Access" */
  readonly type: string;
}

/** /proc/scsi/scsi: a line with the address, then one with the type. */
export function parseScsi(bytes: Uint8Array): ScsiDevice[] {
  const devices: ScsiDevice[] = [];
  let address: string | undefined;
  for (const line of linesOf(bytes)) {
    const place = /^Host: scsi(\d+) Channel: (\d+) Id: (\d+) Lun: (\d+)/.exec(line);
    if (place !== null) address = place.slice(1).map(Number).join(":");
    const type = /^\s+Type:\s+(\S+)/.exec(line)?.[1];
    if (type === undefined || address === undefined) continue;
    devices.push({ address, type });
    address = undefined;
  }
  return devices;
}

function collectScsi(host: Host): Collected {
  const kept = keptIndom<string>(host, SCSI_INDOM);
  const refresh = (): void => {
    const bytes = host.readOnce("/proc/scsi/scsi");
    const devices = bytes === undefined ? [] : parseScsi(bytes);
    kept.replace(
      devices.flatMap(({ address, type }): (readonly [string, string])[] => {
        const name = host.list(`/sys/class/scsi_device/${address}/device/block`)[0];
        return name === undefined ? [] : [[`scsi${address} ${type}`, name]];
      }),
    );
  };
  return {
    refreshers: new Map([[SCSI_INDOM, refresh]]),
    indoms: [
      {
        serial: SCSI_INDOM,
        instances: kept.cache,
        oneline: "SCSI devices",
        labels: { device_type: "block", indom_name: "per disk" },
      },
    ],
    metrics: rowsFrom(
      {
        cluster: 15,
        prefix: "hinv.map.",
        type: "string",
        sem: "discrete",
        units: "none",
        indom: SCSI_INDOM,
      },
      "0 scsi | kernel's name of a SCSI device",
      () => (instance) => kept.get(instance),
    ),
  };
}

/** Numbers of a serial line by their names in the file. */
export type SerialLine = ReadonlyMap<string, number>;

/** By the number of the line; ports without a chip are left out. */
export function parseSerial(bytes: Uint8Array): ReadonlyMap<string, SerialLine> {
  const lines = new Map<string, SerialLine>();
  for (const line of linesOf(bytes)) {
    const found = /^(\d+): uart:(\S+)(.*)$/.exec(line);
    if (found === null || found[2] === "unknown") continue;
    const words = (found[3] ?? "").matchAll(/\b(irq|tx|rx|fe|pe|brk|oe):(\d+)/g);
    lines.set(
      String(Number(found[1])),
      new Map([...words].map(([, name = "", value]) => [name, Number(value)])),
    );
  }
  return lines;
}

const SERIAL_NAMES: Readonly<Record<string, string>> = { frame: "fe", parity: "pe", overrun: "oe" };

function collectSerial(host: Host): Collected {
  const kept = keptIndom<SerialLine>(host, TTY_INDOM);
  const refresh = (): void => {
    const bytes = host.read("/proc/tty/driver/serial");
    kept.replace(bytes === undefined ? [] : parseSerial(bytes));
  };
  return {
    guarded: TTY_INDOM,
    refreshers: new Map([[TTY_INDOM, refresh]]),
    indoms: [{ serial: TTY_INDOM, instances: kept.cache, oneline: "serial lines" }],
    metrics: rowsFrom(
      {
        cluster: 74,
        prefix: "tty.serial.",
        type: "u32",
        sem: "counter",
        units: "none",
        indom: TTY_INDOM,
      },
      SERIAL,
      ({ key }) =>
        (instance) => {
          const line = kept.get(instance);
          return line === undefined ? undefined : (line.get(SERIAL_NAMES[key] ?? key) ?? 0);
        },
    ),
  };
}

/** The metrics of all these devices. */
export const collectDevices = (host: Host): readonly Collected[] => [
  collectTapes(host),
  collectAdapters(host),
  collectScsi(host),
  collectSerial(host),
];

const TAPES = `
0 in_flight instant | operations under way
1 io_ns nsec | time of all operations
2 other_cnt | operations that neither read nor wrote
3 read_byte_cnt byte | bytes read
4 read_cnt | reads
5 read_ns nsec | time of all reads
6 resid_cnt | operations that moved less than asked for
7 write_byte_cnt byte | bytes written
8 write_cnt | writes
9 write_ns nsec | time of all writes
`;

const ADAPTERS = `
0 in.frames | frames received
1 out.frames | frames sent
2 in.bytes byte | bytes received
3 out.bytes byte | bytes sent
4 lip_count | initializations of the loop
5 nos_count | losses of the signal
6 error_frames | frames with errors
7 dumped_frames | frames that were dropped
`;

const SERIAL = `
0 tx | characters sent
1 rx | characters received
2 frame | framing errors
3 parity | parity errors
4 brk | breaks
5 overrun | characters lost because they came too fast
6 irq discrete | number of the interrupt
`;
