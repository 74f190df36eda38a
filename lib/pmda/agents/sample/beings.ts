// sample: processes that nobody started, and ghosts (spec pmda.md 18.4). The processes come and go by
// a generator of their own, so that they are the same after each reset.
import { PM_ERR } from "../../../base/mod.ts";
import type { InstanceId, Instant } from "../../../pcp/mod.ts";
import type { InstanceRow } from "../../define.ts";
import { type Behaviour, type Part, secondsFrom, type World } from "./behaviour.ts";

const MAX_PROCESSES = 20;
const FIXED_PROCESSES = 4;
const MAX_PID = 999;
/** How likely a process ends, or an empty place gets one, at a fetch. */
const CHANCE = 0.075;
const TOP = ["/etc", "/usr", "/usr/local", "/usr/opt"] as const;
const MIDDLE = ["", "/bin"] as const;
const CLOWNS = [
  "bozo",
  "bobo",
  "jester",
  "loko",
  "pierrot",
  "waldo",
  "yobo",
  "jojo",
  "koko",
  "lala",
] as const;

interface Process {
  readonly pid: number;
  readonly ordinal: number;
  readonly started: Instant;
  readonly name: string;
  readonly exec: string;
}

/** proc.* */
export function processes({ now }: World): Part {
  let places: (Process | undefined)[] = [];
  /** In the order in which the domain lists them. */
  let listed: Process[] = [];
  let seed = 1;
  let ordinal = 1;
  let pid = 0;
  let named = 0;

  const lot = (): number => {
    seed = (Math.imul(1_103_515_245, seed) + 12_345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
  const start = (): Process => {
    do pid = pid >= MAX_PID ? 1 : pid + 1;
    while (listed.some((each) => each.pid === pid));
    const number = String(ordinal).padStart(4, "0");
    let path = "";
    if (ordinal > 1) {
      path = `${TOP[named % TOP.length]}${MIDDLE[named % MIDDLE.length]}/`;
      path += CLOWNS[named % CLOWNS.length];
      named += 1;
    }
    const name = `${number} ${path === "" ? "init" : path}`;
    const exec = path === "" ? name : path.slice(path.lastIndexOf("/") + 1);
    const process = { pid, ordinal, started: now(), name, exec };
    ordinal += 1;
    listed.push(process);
    return process;
  };
  const reset = (): void => {
    places = [];
    listed = [];
    seed = 1;
  };
  const change = (): void => {
    if (listed.length === 0) {
      ordinal = 1;
      pid = 0;
      named = 0;
      places = Array.from({ length: MAX_PROCESSES }, (_, i) =>
        i < FIXED_PROCESSES ? start() : undefined,
      );
      return;
    }
    for (let i = FIXED_PROCESSES; i < places.length; i++) {
      const process = places[i];
      if (process === undefined || lot() >= CHANCE) continue;
      listed = listed.filter((each) => each !== process);
      places[i] = undefined;
    }
    for (let i = FIXED_PROCESSES; i < places.length; i++)
      if (places[i] === undefined && lot() < CHANCE) places[i] = start();
  };
  const of =
    <T>(value: (process: Process) => T) =>
    (instance: InstanceId) => {
      const process = listed.find((each) => each.pid === instance);
      return process === undefined ? { error: PM_ERR.INST } : value(process);
    };
  return {
    behaviours: {
      156: { fetch: of((process) => process.ordinal) },
      157: { fetch: of((process) => process.exec) },
      158: { fetch: of(({ started }) => Math.trunc(1000 * secondsFrom(started, now()))) },
      159: { fetch: () => 0, store: reset },
    },
    indoms: [{ serial: 12, instances: () => listed.map(({ pid: id, name }) => ({ id, name })) }],
    refresh: (wants) => {
      if ([156, 157, 158].some(wants)) change();
    },
  };
}

const GHOSTS: readonly (readonly [name: string, origin: string])[] = [
  ["Obambo", "Africa"],
  ["Banjhakri", "Nepal"],
  ["Mogwai", "China"],
  ["Pocong", "Indonesia"],
  ["Hitodama", "Japan"],
  ["Krahang", "Thailand"],
  ["Zmeu", "Roumania"],
  ["Duppy", "Jamaica"],
];
/** States repeat after this many fetches. */
const STATES = 24;
/** Fetches for which a ghost keeps its state. */
const PERSISTENCE = [1, 1, 2, 2, 3, 3, 4] as const;

/** Items of ghosts that cannot be seen while none is to be seen. */
export const HAUNTED: readonly number[] = [1009, 1010, 1011];

/** ghosts.*: `visible` says how many there are to be seen; below 0 nothing is known of any. */
export function ghosts(): Part & { visible(): number } {
  let visible = -1;
  let state = STATES - 1;
  const haunted = (behaviour: Behaviour): Behaviour => ({
    ...behaviour,
    refused: () => (visible < 0 ? PM_ERR.PMID : 0),
  });
  const stateOf = (instance: InstanceId): number => {
    const keeps = PERSISTENCE[instance - 1];
    if (keeps === undefined) return 0;
    const first = state % (2 * keeps) < keeps;
    return Number(instance % 2 === 1 ? first : !first);
  };
  return {
    behaviours: {
      1008: {
        fetch: () => visible,
        store: (given) => {
          visible = Math.min(Number(given), GHOSTS.length);
          state = STATES - 1;
        },
      },
      1009: haunted({ fetch: (instance) => GHOSTS[instance - 1]?.[1] }),
      1010: haunted({ fetch: (instance) => GHOSTS[instance - 1]?.[0].length }),
      1011: haunted({ fetch: stateOf }),
    },
    indoms: [
      {
        serial: 11,
        instances: (): InstanceRow[] =>
          GHOSTS.slice(0, Math.max(visible, 0)).map(([name], i) => ({ id: i + 1, name })),
      },
    ],
    refresh: (wants) => {
      if (HAUNTED.some(wants)) state = (state + 1) % STATES;
    },
    visible: () => visible,
  };
}
