// sample: event records in a cycle of four fetches, in both resolutions (spec pmda.md 18.4).
import {
  addSpan,
  type Instant,
  PM_EVENT,
  PM_TYPE,
  pmidBuild,
  type Pmid,
  subtractSpan,
} from "../../../pcp/mod.ts";
import { createEventArray, type EventArray } from "../../event-array.ts";
import type { Atom } from "../../../pcp/mod.ts";
import type { Behaviours, Part, World } from "./behaviour.ts";

const CYCLE = 4;
const AGGREGATE = Uint8Array.of(1, 3, 7, 15, 31, 63, 127, 255);
/** Seconds that the first record of a fetch lies back. */
const PAST = { sec: 10, nsec: 0 };
const SECOND = { sec: 1, nsec: 0 };
const { POINT, START, END, ID, PARENT } = PM_EVENT;

/** Items of parameters. */
const PARAMETER = {
  type: 127,
  i32: 128,
  u32: 129,
  i64: 130,
  u64: 131,
  float: 132,
  double: 133,
  string: 134,
  aggregate: 135,
} as const;
const TYPES: Readonly<Record<keyof typeof PARAMETER, number>> = {
  type: PM_TYPE.U32,
  i32: PM_TYPE.I32,
  u32: PM_TYPE.U32,
  i64: PM_TYPE.I64,
  u64: PM_TYPE.U64,
  float: PM_TYPE.FLOAT,
  double: PM_TYPE.DOUBLE,
  string: PM_TYPE.STRING,
  aggregate: PM_TYPE.AGGREGATE,
};

type Parameter = readonly [kind: keyof typeof PARAMETER, value: Atom];
/** Flags with parameters, or how many events were missed. */
type Step = readonly [flags: number, ...parameters: Parameter[]] | "missed";

/** Records of fungus, fetch by fetch. */
const STEPS: readonly (readonly Step[])[] = [
  [],
  [[POINT]],
  [
    [POINT, ["type", 1]],
    [POINT, ["type", 2], ["i64", -3]],
  ],
  [
    [START | ID | PARENT, ["type", 4], ["u64", 5], ["string", "6"]],
    [POINT, ["type", 7], ["double", 8], ["double", -9]],
    [
      END,
      ["type", 10],
      ["u64", 11],
      ["string", "twelve"],
      ["string", "thirteen"],
      ["i32", -14],
      ["u32", 15],
    ],
    "missed",
    [POINT, ["type", 16], ["float", -17], ["aggregate", AGGREGATE]],
  ],
];

/** The event metrics of one resolution. */
function cycle(domain: number, highres: boolean, now: () => Instant) {
  let fetches = 0;
  let others = 0;
  const pmidOf = (item: number): Pmid => pmidBuild(domain & 0x1ff, 0, item);
  const add = (array: EventArray, [kind, value]: Parameter): void =>
    array.addParameter(pmidOf(PARAMETER[kind]), TYPES[kind], value);

  const fungus = (array: EventArray): void => {
    let time = subtractSpan(now(), PAST);
    if (fetches < 0) {
      array.addRecord(time, POINT);
      add(array, ["type", fetches >>> 0]);
      // A metric that nobody knows.
      array.addParameter(pmidBuild(0, 100, 200), PM_TYPE.U32, fetches >>> 0);
    }
    for (const step of STEPS[fetches % CYCLE] ?? []) {
      if (step === "missed") array.addMissed(time, highres ? 7000 : 7);
      else {
        const [flags, ...parameters] = step;
        array.addRecord(time, flags);
        for (const parameter of parameters) add(array, parameter);
      }
      time = addSpan(time, SECOND);
    }
    fetches += 1;
  };
  const bogus = (array: EventArray): void => {
    const time = now();
    const texts = [`fetch #${others}`, ...(others % 3 === 0 ? ["bingo!"] : [])];
    for (const text of texts) {
      array.addRecord(time, POINT);
      add(array, ["string", text]);
    }
    others += 1;
  };
  return {
    records: (instance: number): Uint8Array => {
      const array = createEventArray(highres);
      if (instance === 0) fungus(array);
      else bogus(array);
      return array.payload();
    },
    count: () => fetches % CYCLE,
    reset: (given: Atom): void => {
      fetches = Number(given);
      others = fetches;
    },
  };
}

/** event.* */
export function events({ domain, now }: World): Part {
  const plain = cycle(domain, false, now);
  const high = cycle(domain, true, now);
  const silent: Behaviours = Object.fromEntries(
    Object.values(PARAMETER).map((item) => [item, { fetch: () => undefined }]),
  );
  return {
    behaviours: {
      ...silent,
      126: { fetch: plain.count, store: plain.reset },
      136: { fetch: plain.records },
      137: { fetch: plain.records },
      139: { fetch: high.records },
      140: { fetch: high.count, store: high.reset },
    },
    indoms: [
      {
        serial: 10,
        instances: [
          { id: 0, name: "fungus" },
          { id: 1, name: "bogus" },
        ],
      },
    ],
  };
}
