// Archives in which instances have no names, several numbers, or labels that come late, made record by record:
// what loading makes of these is easily missed. Refuses nothing.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MetaRecord } from "../../lib/archive/mod.ts";
import {
  asInstance,
  parseLabels,
  PM_IN_NULL,
  PM_LABEL,
  PM_TYPE,
  type PmType,
} from "../../lib/pcp/mod.ts";
import { at, desc, indom, indomOf, makeArchive, type Recipe } from "../extract/archive-maker.ts";

/** Labels of a level from a time on; of single instances by their numbers. */
const labelled = (
  seconds: number,
  type: number,
  ident: number,
  sets: readonly (readonly [instance: number, json: string])[],
): MetaRecord => ({
  kind: "labels",
  timestamp: at(seconds),
  type,
  ident,
  sets: sets.map(([instance, json]) => ({
    ...parseLabels(json, type, asInstance(instance)),
    error: 0,
  })),
});

const set = (item: number, ...instances: readonly number[]) =>
  [`100.0.${item}`, instances.map((inst) => [inst, 100 * item + inst] as const)] as const;
const plain = (item: number) => [`100.0.${item}`, [[-1, item]]] as const;
const broken = (item: number) => [`100.0.${item}`, -12351] as const;

const typed = (name: string, pmid: string, type: PmType, serial?: number): MetaRecord => {
  const record = desc(name, pmid, serial);
  return record.kind === "desc" ? { ...record, desc: { ...record.desc, type } } : record;
};

/** What archives are made of, by their names. */
const RECIPES: Readonly<Record<string, Recipe>> = {
  /** Instances without names: all of a domain, one of two, until later; metrics that begin with an error. */
  nameless: {
    version: 3,
    metadata: [
      desc("nameless.all", "100.0.1", 1),
      desc("nameless.one", "100.0.2", 2),
      desc("nameless.first", "100.0.3", 3),
      desc("nameless.error", "100.0.4", 1),
      desc("nameless.named", "100.0.5", 2),
      indom(0, 2, [[0, "zero"]]),
      indom(2, 3, [
        [0, "zero"],
        [1, "one"],
      ]),
    ],
    results: [
      { time: at(0), sets: [set(1, 0, 1), set(2, 0, 1), set(3, 0, 1), broken(4), set(5, 0)] },
      { time: at(1), sets: [set(1, 1), set(2, 1), set(3, 1), set(4, 0), set(5, 0)] },
      { time: at(2), sets: [broken(1), set(2, 0, 1), set(3, 0), set(4, 0, 1), set(5, 0)] },
      { time: at(3), sets: [set(1, 0), set(2, 1), set(3, 0, 1), broken(4), set(5, 0)] },
    ],
  },
  /** One name of instances with several numbers, in a domain and in two. */
  numbers: {
    version: 3,
    metadata: [
      desc("numbers.a", "100.0.1", 1),
      desc("numbers.b", "100.0.2", 1),
      desc("numbers.c", "100.0.3", 2),
      desc("numbers.d", "100.0.4", 3),
      indom(0, 1, [
        [1, "x"],
        [2, "y"],
      ]),
      indom(1, 1, [
        [5, "x"],
        [2, "y"],
      ]),
      indom(2, 1, [
        [4, "x"],
        [2, "y"],
      ]),
      indom(0, 2, [
        [9, "x"],
        [8, "y"],
      ]),
      indom(0, 3, [
        [3, "z"],
        [6, "z"],
      ]),
    ],
    results: [
      { time: at(0), sets: [set(1, 1, 2), set(3, 8), set(4, 3, 6)] },
      { time: at(1), sets: [set(2, 2, 5), set(3, 8, 9)] },
      { time: at(2), sets: [set(1, 2, 4), set(2, 4)] },
      { time: at(3), sets: [set(1, 2, 4), set(2, 2, 4), set(3, 8, 9), set(4, 3)] },
    ],
  },
  /** What is not a number, with and without a sign: see withSigns. */
  nan: {
    version: 3,
    metadata: [
      typed("nan.float", "100.0.1", PM_TYPE.FLOAT),
      typed("nan.double", "100.0.2", PM_TYPE.DOUBLE, 1),
      indom(0, 1, [
        [1, "one"],
        [2, "two"],
      ]),
    ],
    results: [1.5, Number.NaN, Number.NaN, -2].map((value, seconds) => ({
      time: at(seconds),
      sets: [
        ["100.0.1", [[-1, value]]],
        [
          "100.0.2",
          [
            [1, value],
            [2, -value],
          ],
        ],
      ],
    })),
  },
  /** Texts of NULs, with some at their end and between. */
  texts: {
    version: 3,
    metadata: [typed("texts.a", "100.0.1", PM_TYPE.STRING)],
    results: ["", "a", "b\0\0\0", "c\0d", "\0", "\0\0e\0"].map((text, seconds) => ({
      time: at(seconds),
      sets: [["100.0.1", [[-1, text]]]],
    })),
  },
  /** From the first moment of 1970 on, of which loading takes no values. */
  early: {
    version: 3,
    start: { sec: 0, nsec: 0 },
    metadata: [desc("early.a", "100.0.1"), desc("early.b", "100.0.2")],
    results: [0, 1, 2].map((sec) => ({ time: { sec, nsec: 0 }, sets: [plain(1), plain(2)] })),
  },
  /** Labels of a domain and of an instance domain that come after its instances, none of which has own ones. */
  bare: {
    version: 3,
    metadata: [
      desc("bare.a", "100.0.1", 1),
      desc("bare.b", "100.0.2", 1),
      desc("bare.c", "100.0.3", 1),
      desc("bare.d", "100.0.4", 1),
      desc("bare.e", "101.0.5", 3),
      desc("bare.f", "101.0.6", 3),
      indom(0, 1, [[0, "zero"]]),
      indom(2, 1, [
        [0, "zero"],
        [1, "one"],
      ]),
      indom(3, 1, [
        [0, "zero"],
        [1, "one"],
        [2, "two"],
      ]),
      indom(0, 3, [[0, "nil"]]),
      labelled(1, PM_LABEL.DOMAIN, 100, [[PM_IN_NULL, '{"domain":1}']]),
      labelled(3, PM_LABEL.INDOM, indomOf(1), [[PM_IN_NULL, '{"kind":"k"}']]),
      labelled(4, PM_LABEL.ITEM, (100 << 22) | 4, [[PM_IN_NULL, '{"item":"d"}']]),
    ],
    results: [
      { time: at(0), sets: [set(1, 0), ["101.0.5", [[0, 5]]]] },
      { time: at(1), sets: [set(1, 0), set(2, 0)] },
      { time: at(2), sets: [set(2, 0), set(3, 0, 1)] },
      { time: at(3), sets: [set(1, 0, 1, 2), set(3, 0, 1), ["101.0.6", [[0, 6]]]] },
      { time: at(4), sets: [set(4, 0, 1, 2), set(2, 0)] },
    ],
  },
  /** Own labels of instances that are empty, at first or for ever, and labels of their domain that come late. */
  empty: {
    version: 3,
    metadata: [
      desc("empty.a", "100.0.1", 1),
      desc("empty.b", "100.0.2", 1),
      desc("empty.c", "100.0.3", 2),
      indom(0, 1, [
        [0, "zero"],
        [1, "one"],
      ]),
      indom(2, 1, [
        [0, "zero"],
        [1, "one"],
        [2, "two"],
      ]),
      indom(4, 1, [
        [0, "zero"],
        [1, "one"],
        [2, "two"],
        [3, "three"],
      ]),
      indom(0, 2, [
        [7, "zero"],
        [8, "one"],
      ]),
      labelled(0, PM_LABEL.INSTANCES, indomOf(1), [
        [0, "{}"],
        [1, "{}"],
      ]),
      labelled(1, PM_LABEL.DOMAIN, 100, [[PM_IN_NULL, '{"domain":1}']]),
      labelled(3, PM_LABEL.INSTANCES, indomOf(1), [
        [0, '{"own":"late"}'],
        [1, "{}"],
        [2, "{}"],
        [3, "{}"],
      ]),
    ],
    results: [
      { time: at(0), sets: [set(1, 0), set(3, 7, 8)] },
      { time: at(1), sets: [set(1, 0, 1), set(3, 7)] },
      { time: at(2), sets: [set(1, 0, 1, 2), set(2, 1)] },
      { time: at(3), sets: [set(1, 0, 1), set(2, 0, 1)] },
      { time: at(4), sets: [set(1, 0, 1, 2, 3), set(2, 0, 3), set(3, 7, 8)] },
      { time: at(5), sets: [set(1, 0, 1, 2, 3), set(2, 0, 1, 2, 3)] },
    ],
  },
  /** Labels of all levels that come after the first values. */
  late: {
    version: 3,
    metadata: [
      desc("late.a", "100.0.1", 1),
      desc("late.b", "100.0.2", 1),
      desc("late.c", "100.0.3", 1),
      desc("late.d", "100.0.4", 2),
      desc("late.p", "100.0.5"),
      desc("late.q", "100.0.6"),
      indom(0, 1, [[0, "zero"]]),
      indom(2, 1, [
        [0, "zero"],
        [1, "one"],
      ]),
      indom(4, 1, [
        [0, "zero"],
        [1, "one"],
        [2, "two"],
      ]),
      indom(0, 2, [
        [0, "uno"],
        [3, "tre"],
      ]),
      labelled(1, PM_LABEL.DOMAIN, 100, [[PM_IN_NULL, '{"level":"domain","domain":1}']]),
      labelled(1, PM_LABEL.CLUSTER, 100 << 22, [[PM_IN_NULL, '{"cluster":true}']]),
      labelled(2, PM_LABEL.INDOM, indomOf(1), [[PM_IN_NULL, '{"level":"indom","kind":"k"}']]),
      labelled(3, PM_LABEL.INSTANCES, indomOf(1), [
        [0, '{"own":"zero"}'],
        [1, '{"own":"one"}'],
      ]),
      labelled(4, PM_LABEL.INSTANCES, indomOf(1), [
        [0, '{"own":"later"}'],
        [2, '{"own":"two"}'],
      ]),
      labelled(3, PM_LABEL.ITEM, (100 << 22) | 6, [[PM_IN_NULL, '{"item":"q"}']]),
    ],
    results: [
      { time: at(0), sets: [set(1, 0), set(2, 0), set(4, 0), plain(5)] },
      { time: at(1), sets: [set(1, 0), set(2, 0), plain(5)] },
      { time: at(2), sets: [set(1, 0, 1), set(2, 0)] },
      { time: at(3), sets: [set(2, 0, 1), set(3, 0), set(4, 3), plain(6)] },
      { time: at(4), sets: [set(1, 0, 1, 2), set(3, 0, 1), plain(5), plain(6)] },
      { time: at(5), sets: [set(2, 0, 1, 2), set(3, 0, 1, 2), set(4, 0, 3)] },
    ],
  },
};

/** Numbers of instances whose names change: of met ones, of ones without values then, and back again. */
const RENAMED: Recipe = {
  version: 3,
  metadata: [
    desc("renamed.a", "100.0.1", 1),
    desc("renamed.b", "100.0.2", 1),
    desc("renamed.c", "100.0.3", 1),
    ...[
      [0, "one", "two", undefined, "seven"],
      [2, "uno", "two", "three", "sette"],
      [4, "one", "due", "tre", "seven"],
      [6, "eins", "zwei", "drei", undefined],
    ].map(([seconds, ...names]) =>
      indom(
        Number(seconds),
        1,
        [1, 2, 3, 7].flatMap((inst, place): [number, string][] => {
          const name = names[place];
          return name === undefined ? [] : [[inst, String(name)]];
        }),
      ),
    ),
  ],
  results: [
    { time: at(0), sets: [set(1, 1, 2)] },
    { time: at(1), sets: [set(1, 1, 2), set(2, 2)] },
    { time: at(2), sets: [set(1, 1, 2)] },
    { time: at(3), sets: [set(1, 1, 2), set(2, 1, 2)] },
    { time: at(4), sets: [set(1, 1, 2, 3), set(2, 1, 2)] },
    { time: at(5), sets: [set(1, 1, 2, 3), set(2, 1, 2, 3), set(3, 1)] },
    { time: at(6), sets: [set(1, 1, 2), set(3, 1, 2)] },
    { time: at(7), sets: [set(1, 1, 2, 3), set(2, 1, 2, 7), set(3, 1, 2, 3)] },
    { time: at(8), sets: [set(1, 1, 2, 3, 7), set(2, 1, 2, 7), set(3, 1, 2, 3, 7)] },
  ],
};

/** Gives every other value that is not a number a sign: no writer of numbers keeps it. */
function withSigns(base: string): void {
  const file = `${base}.0`;
  const bytes = readFileSync(file);
  let count = 0;
  for (let place = 0; place + 4 <= bytes.length; place += 4) {
    const high = bytes.readUInt32BE(place);
    if ((high === 0x7fc0_0000 || high === 0x7ff8_0000) && count++ % 2 === 1)
      bytes.writeUInt32BE((high | 0x8000_0000) >>> 0, place);
  }
  writeFileSync(file, bytes);
}

/** Makes the archives in a folder; gives their base names. */
export function oddArchives(folder: string): readonly string[] {
  return Object.entries(RECIPES).map(([name, recipe]) => {
    const base = join(folder, name);
    makeArchive(base, recipe);
    if (name === "nan") withSigns(base);
    return base;
  });
}

/** Makes the archive in which names change, of which the catalogue has the first ones; gives its base name. */
export function renamedArchive(folder: string): string {
  const base = join(folder, "renamed");
  makeArchive(base, RENAMED);
  return base;
}
