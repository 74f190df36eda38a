// sample: constants of every type, values that can be written, quantities in several units, and bins,
// one set of values that many metrics show (spec pmda.md 18.4).
import { utf8 } from "../../../base/mod.ts";
import type { Atom, InstanceId } from "../../../pcp/mod.ts";
import { type Behaviour, type Behaviours, constant, type Part, type World } from "./behaviour.ts";

const HULLO = "hullo world!";
const FIRST_WRITTEN = 13;
const BINS = [100, 200, 300, 400, 500, 600, 700, 800, 900] as const;

/** Items of one, ten, hundred and million, by type. */
const CONSTANTS: readonly (readonly number[])[] = [
  [10, 11, 12, 13],
  [93, 94, 95, 96],
  [20, 21, 22, 23],
  [98, 99, 100, 101],
  [15, 16, 17, 18],
  [25, 26, 27, 28],
];
const AMOUNTS = [1, 10, 100, 1_000_000] as const;

/** ulong.count.*: one number in five scales. */
const COUNTS: Readonly<Record<number, number>> = {
  115: 42_000_000,
  116: 4_200_000,
  117: 420_000,
  118: 42_000,
  119: 42,
};

/** Values that clients may change; a label says whether they did. */
const WRITABLE: readonly (readonly [item: number, first: Atom, labelled: boolean])[] = [
  [14, FIRST_WRITTEN, true],
  [97, FIRST_WRITTEN, true],
  [24, FIRST_WRITTEN, true],
  [102, FIRST_WRITTEN, true],
  [19, FIRST_WRITTEN, true],
  [29, FIRST_WRITTEN, true],
  [36, 2, true],
  [32, String(FIRST_WRITTEN), false],
  [35, utf8(String(FIRST_WRITTEN)), false],
];

/** Items of quantities that are one: what the first one is and how the others follow from it. */
interface Quantity {
  readonly first: number;
  readonly scales: readonly (readonly [
    item: number,
    from: (base: number) => number,
    to: (value: number) => number,
  ])[];
}

const times = (item: number, factor: number): Quantity["scales"][number] => [
  item,
  (base) => base * factor,
  (value) => value / factor,
];

const QUANTITIES: readonly Quantity[] = [
  {
    first: 0,
    scales: [
      times(172, 1),
      [173, (celsius) => 32 + 1.8 * celsius, (value) => (value - 32) / 1.8],
      [174, (celsius) => celsius + 273.15, (value) => value - 273.15],
    ],
  },
  { first: 240, scales: [times(175, 1), times(176, 1e3), times(177, 1e6)] },
  { first: 13, scales: [times(178, 1), times(179, 1e3), times(180, 1e6)] },
  { first: 42, scales: [times(181, 1e-3), times(182, 1), times(183, 1e3), times(184, 1e6)] },
];

function writable(first: Atom, labelled: boolean): Behaviour {
  let value = first;
  const behaviour: Behaviour = {
    fetch: () => value,
    store: (given) => {
      value = given;
    },
  };
  if (!labelled) return behaviour;
  // Worked out anew for each request.
  return Object.defineProperty(behaviour, "notes", {
    enumerable: true,
    get: () => ({ changed: Number(value) !== Number(first) }),
  });
}

function quantity({ first, scales }: Quantity): [number, Behaviour][] {
  let base = first;
  return scales.map(([item, from, to]) => [
    item,
    {
      fetch: () => Math.fround(from(base)),
      store: (given) => {
        base = Math.fround(to(Number(given)));
      },
    },
  ]);
}

/** The bins as the domains of bin and scramble show them. */
export const binRows = BINS.map((id) => ({ id, name: `bin-${id}` }));
/** Labels of a bin. */
export const binLabels = (instance: InstanceId): { readonly bin: number } => ({ bin: instance });

/** Values by bin. */
function bins(world: World): Behaviours {
  const values = new Map<number, number>(BINS.map((bin) => [bin, bin]));
  const valueOf = (instance: InstanceId): number => values.get(instance) ?? 0;
  const value: Behaviour = { fetch: valueOf };
  // The sum with the age of the agent makes counters of these.
  const ageing: Behaviour = {
    fetch: (instance) => valueOf(instance) + world.now().sec - world.start.sec,
  };
  const same = [48, 103, 104, 105, 106, 107, 108, 109, 110, 113, 114, 121];
  return {
    ...Object.fromEntries(same.map((item) => [item, value])),
    6: {
      fetch: valueOf,
      store: (given, instance) => {
        values.set(instance, Number(given));
      },
    },
    50: { instances: () => BINS.filter((bin) => bin % 200 !== 0), fetch: valueOf },
    // Every second instance is none of the domain.
    51: {
      instances: () => BINS.map((bin) => (bin % 200 === 0 ? bin + 50 : bin)),
      fetch: (instance) => {
        const odd = instance % 100;
        return valueOf((instance - odd) as InstanceId) + odd;
      },
    },
    111: ageing,
    112: ageing,
    153: { fetch: (instance) => String(valueOf(instance)).padStart(3) },
  };
}

/** Constants, writable values, quantities and bins. */
export function numbers(world: World): Part {
  const constants = CONSTANTS.flatMap((items) =>
    items.map((item, i): [number, Behaviour] => [item, constant(AMOUNTS[i] ?? 0)]),
  );
  return {
    behaviours: {
      ...Object.fromEntries(constants),
      ...Object.fromEntries(Object.entries(COUNTS).map(([item, count]) => [item, constant(count)])),
      ...Object.fromEntries(WRITABLE.map((row) => [row[0], writable(row[1], row[2])])),
      ...Object.fromEntries(QUANTITIES.flatMap(quantity)),
      ...bins(world),
      4: constant(42),
      30: constant(""),
      31: constant(HULLO),
      33: constant(new Uint8Array(0)),
      34: constant(utf8(HULLO)),
      1023: constant(0x3fffff),
    },
    indoms: [{ serial: 2, instances: binRows, instanceLabels: binLabels }],
  };
}
