// An agent for tests that does what agents should not, beside what they may: callbacks that hang,
// throw and answer nonsense, dynamic names that come and go, times when it is not ready.
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import { asPmid, PM_SEM, PM_TYPE, pmidBuild } from "../../lib/pcp/mod.ts";
import {
  type AgentDefinition,
  type AgentSetting,
  createNameTree,
  type MetricRow,
} from "../../lib/pmda/mod.ts";

/** Its domain, that of PCP's agent txmon, which it never meets. */
export const FAULTY_DOMAIN = 248;

/** Its name space for pmcd. */
export const FAULTY_NAMES = `root {
    faulty
}
faulty {
    good        248:0:0
    hang        248:0:1
    throw       248:0:2
    nonsense    248:0:3
    late        248:0:4
    partly      248:0:5
    unready     248:0:6
    gone        248:0:7
    dyn         248:*:*
}
`;

/** The agent. */
export function faulty(setting: AgentSetting): AgentDefinition {
  const tree = createNameTree();
  const row = (item: number, fetch: MetricRow["fetch"], more: Partial<MetricRow> = {}) => ({
    cluster: 0,
    item,
    type: PM_TYPE.I32,
    sem: PM_SEM.INSTANT,
    ...(fetch === undefined ? {} : { fetch }),
    ...more,
  });
  const fixed: MetricRow[] = [
    row(0, () => 42, { name: "faulty.good", oneline: "a good one", labels: { good: true } }),
    row(1, () => new Promise<number>(() => undefined)),
    row(2, () => {
      throw new Error("on purpose");
    }),
    row(3, () => "text for a number"),
    row(4, async () => {
      await Bun.sleep(20);
      return 43;
    }),
    row(
      5,
      (instance) => {
        if (instance === 1) throw new PcpError(PM_ERR.APPVERSION);
        return instance === 2 ? Number.NaN : instance;
      },
      { indom: 0 },
    ),
    row(6, () => 0, {
      store(value) {
        setting.ready(false);
        setTimeout(() => setting.ready(true), Number(value));
      },
    }),
  ];
  const dynamic = (item: number, name: string): MetricRow => {
    tree.insert(pmidBuild(setting.domain, 1, item), `faulty.dyn.${name}`);
    return row(item, () => 100 + item, { cluster: 1, name: `faulty.dyn.${name}` });
  };
  const extra = [dynamic(0, "a"), dynamic(1, "b.c")];
  fixed.push(
    row(8, () => extra.length, {
      name: "faulty.dyn.more",
      store() {
        extra.push(dynamic(extra.length, `n${extra.length}`));
        setting.redefine({ metrics: [...fixed, ...extra], indoms });
        setting.changed("names");
      },
    }),
  );
  tree.insert(asPmid(pmidBuild(setting.domain, 0, 8)), "faulty.dyn.more");
  const indoms = [
    { serial: 0, instances: [0, 1, 2, 3].map((id) => ({ id, name: `number ${id}` })) },
  ];
  return {
    name: "faulty",
    metrics: [...fixed, ...extra],
    indoms,
    names: tree,
    dynamicRoots: ["faulty.dyn"],
    clusterLabels: (cluster) => ({ cluster }),
  };
}
