// sample: the names that only the agent knows, below sample.secret and sample.ghosts; some of them
// are second names of other metrics, one leads to another agent (spec pmda.md 18.4).
import { PcpError, PM_ERR } from "../../../base/mod.ts";
import { type Pmid, pmidBuild, pmidCluster, pmidItem } from "../../../pcp/mod.ts";
import type { AgentNames } from "../../types.ts";
import { HAUNTED } from "./beings.ts";
import { type Behaviour, constant, type Part } from "./behaviour.ts";

/** The name whose metric belongs to pmcd. */
const REDIRECT = "secret.foo.bar.max.redirect";
const PMCD_AGENT_STATUS = [2, 4, 1] as const;
/** Leaf and branch in the status of a child. */
const LEAF = 0;
const BRANCH = 1;

/** Names below the agent's own, with items of cluster 0. */
const NAMES: readonly (readonly [name: string, item: number])[] = [
  [REDIRECT, 0],
  ["secret.bin", 6],
  ["secret.bar", 1000],
  ["secret.family", 1012],
  ["secret.foo.one", 1001],
  ["secret.foo.two", 1002],
  ["secret.foo.bar.three", 1003],
  ["secret.foo.bar.four", 1004],
  ["secret.foo.bar.grunt.five", 1005],
  ["secret.foo.bar.grunt.snort.six", 1006],
  ["secret.foo.bar.grunt.snort.huff.puff.seven", 1007],
  ["secret.en.one", 1001],
  ["secret.en.two", 1002],
  ["secret.en.three", 1003],
  ["secret.fr.un", 1001],
  ["secret.fr.deux", 1002],
  ["secret.fr.trois", 1003],
  ["secret.dk.et", 1001],
  ["secret.dk.to", 1002],
  ["secret.dk.tre", 1003],
  ["secret.es.unos", 1001],
  ["secret.es.dos", 1002],
  ["secret.es.tres", 1003],
  ["ghosts.visible", 1008],
  ["ghosts.origin", 1009],
  ["ghosts.karma", 1010],
  ["ghosts.state", 1011],
];

/** Values of the metrics that have no other names: 1000 to 1007. */
export const secrets: Part = {
  behaviours: {
    ...Object.fromEntries(
      [1, 2, 3, 4, 5, 6, 7].map((value): [number, Behaviour] => [1000 + value, constant(value)]),
    ),
    1000: constant("foo"),
  },
};

/** Roots of the dynamic names. */
export const DYNAMIC_ROOTS: readonly string[] = ["sample.secret", "sample.ghosts"];

/** What comes after the first component. */
const below = (name: string): string => {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
};

/** The names while `visible()` ghosts are to be seen. */
export function dynamicNames(domain: number, visible: () => number): AgentNames {
  const all = NAMES.map(([name, item]) => ({
    name,
    pmid: name === REDIRECT ? pmidBuild(...PMCD_AGENT_STATUS) : pmidBuild(domain & 0x1ff, 0, item),
  }));
  const haunted = (pmid: Pmid): boolean =>
    pmidCluster(pmid) === 0 && HAUNTED.includes(pmidItem(pmid));
  const seen = () => all.filter(({ pmid }) => visible() >= 0 || !haunted(pmid));
  return {
    lookup(name) {
      const wanted = below(name);
      const found = seen().find((each) => each.name === wanted);
      if (found !== undefined) return found.pmid;
      const branch = seen().some((each) => each.name.startsWith(`${wanted}.`));
      throw new PcpError(branch ? PM_ERR.NONLEAF : PM_ERR.NAME);
    },
    namesOf(pmid) {
      const found = seen().filter((each) => each.pmid === pmid);
      if (found.length === 0) throw new PcpError(PM_ERR.PMID);
      return found.map(({ name }) => `sample.${name}`);
    },
    children(name) {
      const prefix = `${below(name)}.`;
      const children = new Map<string, number>();
      for (const each of seen()) {
        if (!each.name.startsWith(prefix)) continue;
        const [child = "", ...more] = each.name.slice(prefix.length).split(".");
        if (!children.has(child)) children.set(child, more.length === 0 ? LEAF : BRANCH);
      }
      return { names: [...children.keys()], statuses: [...children.values()] };
    },
    traverse(name) {
      const root = name.slice(0, name.length - below(name).length);
      const prefix = below(name);
      return seen()
        .filter((each) => each.name === prefix || each.name.startsWith(`${prefix}.`))
        .map((each) => `${root}${each.name}`);
    },
  };
}
