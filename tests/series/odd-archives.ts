// Archives in which instances have no names, several numbers, or labels that come late, made record by record:
// what loading makes of these is easily missed. Refuses nothing.
import { join } from "node:path";
import { type MetaRecord } from "../../lib/archive/mod.ts";
import { asInstance, parseLabels, PM_IN_NULL, PM_LABEL } from "../../lib/pcp/mod.ts";
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

/** Makes the archives in a folder; gives their base names. */
export function oddArchives(folder: string): readonly string[] {
  return Object.entries(RECIPES).map(([name, recipe]) => {
    const base = join(folder, name);
    makeArchive(base, recipe);
    return base;
  });
}
