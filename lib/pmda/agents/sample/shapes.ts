// sample: values that change from fetch to fetch in known ways: saw teeth, steps, counters that wrap,
// random walks, and things that pretend to be a machine (spec pmda.md 18.4).
import { readFileSync } from "node:fs";
import { freemem, loadavg, totalmem, uptime } from "node:os";
import { PcpError, PM_ERR, viewOf } from "../../../base/mod.ts";
import { type Atom, PM_VAL } from "../../../pcp/mod.ts";
import {
  type Behaviour,
  type Behaviours,
  type Part,
  secondsFrom,
  type World,
} from "./behaviour.ts";

const INT_MAX = 0x7fffffffn;
const LONGLONG_MAX = 0x7fffffffffffffffn;
const STEP_SECONDS = 30;
/** Bytes of struct sysinfo on 64-bit Linux. */
const SYSINFO_BYTES = 112;

/** Counters that jump far enough at each fetch to wrap soon, by item. */
const WRAPS: Readonly<Record<number, readonly [step: bigint, wrap: (value: bigint) => bigint]>> = {
  57: [INT_MAX / 2n - 1n, (value) => BigInt.asIntN(32, value)],
  58: [0xffffffffn / 2n - 1n, (value) => BigInt.asUintN(32, value)],
  59: [LONGLONG_MAX / 2n - 1n, (value) => BigInt.asIntN(64, value)],
  60: [0xffffffffffffffffn / 2n - 1n, (value) => BigInt.asUintN(64, value)],
  160: [INT_MAX / 10n - 1n, (value) => BigInt.asIntN(32, value)],
  161: [INT_MAX / 10n - 1n, (value) => BigInt.asUintN(32, value)],
  162: [LONGLONG_MAX / 10n - 1n, (value) => BigInt.asIntN(64, value)],
  163: [LONGLONG_MAX / 10n - 1n, (value) => BigInt.asUintN(64, value)],
};

function wrapping([step, wrap]: readonly [bigint, (value: bigint) => bigint]): Behaviour {
  let value = 0n;
  return {
    fetch: () => {
      value = wrap(value + step);
      return value;
    },
  };
}

/** scale_step.*: what follows a value, by item; where it ends it starts again. */
const SCALES: Readonly<Record<number, (value: number) => number>> = {
  65: (value) => (value < 2 ** 40 ? value * 2 : 1),
  66: (value) => (value > 1 ? value / 2 : 2 ** 40),
  67: (value) => (value < 1e12 ? value * 10 : 1),
  68: (value) => (value > 1 ? value / 10 : 1e12),
  69: (value) => (value < 86_400 ? value * 10 : 1),
  70: (value) => (value < 86_400e9 ? value * 10 : 1),
  71: (value) => (value < 1e7 ? value * 10 : 1),
};

/** Five fetches of one value, then the next. */
function scaling(next: (value: number) => number): Behaviour {
  let value = 1;
  let fetches = 0;
  return {
    fetch: () => {
      const now = value;
      fetches += 1;
      if (fetches % 5 === 0) value = next(value);
      return now;
    },
  };
}

const over = <T>(
  table: Readonly<Record<number, T>>,
  make: (entry: T) => Behaviour,
): [string, Behaviour][] => Object.entries(table).map(([item, entry]) => [item, make(entry)]);

/** negative.*: one value for each type in three semantics, counted up from far below 0. */
function negatives(): Behaviours {
  const groups = [
    [141, 145, 149],
    [142, 146, 150],
    [143, 147, 151],
    [144, 148, 152],
  ];
  return Object.fromEntries(
    groups.flatMap((items) => {
      let value: number | bigint = -10_000;
      const shared: Behaviour = {
        fetch: () => {
          value = typeof value === "bigint" ? value + 1n : value + 1;
          return value;
        },
        store: (given) => {
          value = typeof given === "bigint" ? given : Number(given);
        },
      };
      return items.map((item) => [item, shared]);
    }),
  );
}

/** updown.*: up and down between two bounds. */
function upDown(): Behaviours {
  const first = { value: 0, direction: 1, left: 5, repeat: 5, min: 0, max: 200, step: 10 };
  const state = { ...first };
  const positive = (given: Atom): number => {
    if ((Number(given) | 0) < 0) throw new PcpError(PM_ERR.SIGN);
    return Number(given);
  };
  const move = (): void => {
    state.left = state.repeat;
    state.value += state.direction * state.step;
    if (state.value < state.min) {
      state.value = state.min + state.step;
      state.direction = -state.direction;
    }
    if (state.value > state.max) {
      state.value = state.max - state.step;
      state.direction = -state.direction;
    }
  };
  return {
    164: {
      fetch: () => {
        state.left -= 1;
        if (state.left <= 0) move();
        return state.value;
      },
      store: (given) => {
        state.value = Number(given);
      },
    },
    165: {
      fetch: () => state.repeat,
      store: (given) => {
        state.repeat = positive(given);
        state.left = state.repeat;
      },
    },
    166: {
      fetch: () => state.min,
      store: (given) => {
        state.min = Number(given);
      },
    },
    167: {
      fetch: () => state.max,
      store: (given) => {
        state.max = Number(given);
      },
    },
    168: {
      fetch: () => state.step,
      store: (given) => {
        state.step = positive(given);
      },
    },
    170: {
      fetch: () => state.direction,
      store: (given) => {
        if (Math.abs(Number(given)) !== 1) throw new PcpError(PM_ERR.BADSTORE);
        state.direction = Number(given);
      },
    },
    171: {
      fetch: () => 0,
      store: () => {
        Object.assign(state, first);
      },
    },
  };
}

/** Values that are drawn by lot. */
function lots({ random }: World): Behaviours {
  let drift = 200;
  let sign = -1;
  let bytes = 0;
  const lights = { colour: 0, left: 0 };
  const magnitude = { value: 0, left: 0 };
  const counter: Behaviour = {
    fetch: () => {
      bytes = (bytes + (random() % 1024)) | 0;
      return bytes;
    },
  };
  const rate: Behaviour = { fetch: () => random() % 1024 };
  return {
    7: {
      fetch: () => {
        drift = Math.max(0, drift + sign * (random() % 50));
        const value = drift;
        if (random() % 100 < 20) sign = -sign;
        return value;
      },
      store: (given) => {
        drift = Number(given);
      },
    },
    46: {
      fetch: () => {
        if (lights.left === 0) {
          lights.colour = random() % 3;
          lights.left = 1 + (random() % 10);
        }
        lights.left -= 1;
        return ["red", "yellow", "green"][lights.colour];
      },
    },
    47: {
      fetch: () => {
        if (magnitude.left === 0) {
          magnitude.value = 1 << (1 + (random() % 6));
          magnitude.left = 1 + (random() % 5);
        }
        magnitude.left -= 1;
        return magnitude.value;
      },
    },
    81: counter,
    82: rate,
    83: counter,
    84: rate,
    85: rate,
  };
}

/** Values that depend on the time. */
function timed(world: World): Behaviours {
  const { start, now } = world;
  let step = 20;
  let rapid = 0n;
  const rated = { value: 10_485_760, gradient: 0, at: { sec: 0, nsec: 0 } };
  const steps: Behaviour = {
    fetch: () => ((1 + Math.floor((now().sec - start.sec) / STEP_SECONDS)) * step) | 0,
  };
  return {
    2: { fetch: () => now().sec - start.sec },
    3: { fetch: () => 1000 * secondsFrom(start, now()) },
    8: {
      ...steps,
      store: (given) => {
        step = Number(given);
      },
    },
    63: steps,
    64: {
      labels: { measure: "speed", units: "metres per second", unitsystem: "SI" },
      fetch: () => {
        rapid += 80_000_000n;
        return Number(BigInt.asUintN(32, rapid * 10n));
      },
    },
    72: {
      fetch: () => {
        const at = now();
        rated.value = Math.trunc(rated.value + rated.gradient * secondsFrom(rated.at, at)) >>> 0;
        rated.at = at;
        return rated.value;
      },
      store: (given) => {
        rated.value = Number(given);
      },
    },
    73: {
      fetch: () => rated.gradient,
      store: (given) => {
        rated.gradient = Number(given);
      },
    },
  };
}

const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Kilobytes by their names, of /proc/meminfo; nothing on systems without it. */
function memory(): ReadonlyMap<string, bigint> {
  if (process.platform !== "linux") return new Map();
  const lines = readFileSync("/proc/meminfo", "latin1").matchAll(/^(\w+): +(\d+) kB$/gm);
  return new Map(Array.from(lines, ([, name = "", amount = "0"]) => [name, BigInt(amount)]));
}

/** Processes and threads, of /proc/loadavg; 0 on systems without it. */
function processCount(): number {
  if (process.platform !== "linux") return 0;
  const [, count = "0"] = /\/(\d+)/.exec(readFileSync("/proc/loadavg", "latin1")) ?? [];
  return Number(count) & 0xffff;
}

/** What sysinfo(2) gives, as the structure of 64-bit Linux. */
function sysinfo(): Uint8Array {
  const bytes = new Uint8Array(SYSINFO_BYTES);
  const view = viewOf(bytes);
  const amounts = memory();
  const size = (name: string): bigint => (amounts.get(name) ?? 0n) * 1024n;
  const words = [
    BigInt(Math.floor(uptime())),
    ...loadavg().map((load) => BigInt(Math.floor(load * 65_536))),
    BigInt(totalmem()),
    amounts.has("MemFree") ? size("MemFree") : BigInt(freemem()),
    ...["Shmem", "Buffers", "SwapTotal", "SwapFree"].map(size),
  ];
  for (const [i, word] of words.entries()) view.setBigUint64(8 * i, word, LITTLE);
  view.setUint16(80, processCount(), LITTLE);
  view.setUint32(104, 1, LITTLE);
  return bytes;
}

/** The process and its machine. */
function machine(): Behaviours {
  const kilobytes = (): number => Math.floor(process.memoryUsage.rss() / 1024);
  const atStart = kilobytes();
  return {
    1: { fetch: () => process.pid },
    39: { fetch: sysinfo, valfmt: PM_VAL.SPTR },
    91: { fetch: () => Math.max(0, kilobytes() - atStart) },
  };
}

/** All values that change by themselves. */
export const shapes = (world: World): Part => ({
  behaviours: {
    ...Object.fromEntries(over(WRAPS, wrapping)),
    ...Object.fromEntries(over(SCALES, scaling)),
    ...negatives(),
    ...upDown(),
    ...lots(world),
    ...timed(world),
    ...machine(),
  },
});
