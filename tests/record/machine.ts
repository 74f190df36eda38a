// A made-up machine to record: a context whose metrics, instances and time tests change, and a clock
// that goes when they say so.
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import type { Context } from "../../lib/context/mod.ts";
import {
  asInstance,
  type Desc,
  type Indom,
  indomBuild,
  parseLabels,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_SEM,
  PM_TYPE,
  type Pmid,
  pmidBuild,
  type ResultView,
  UTC,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";
import { decodePdu, encodeResult, FROM_ANON } from "../../lib/pdu/mod.ts";
import type { RecorderClock } from "../../lib/record/mod.ts";

const DISKS = indomBuild(60, 1);
const metric = (item: number, type: Desc["type"], indom: Indom, sem: Desc["sem"]): Desc => ({
  pmid: pmidBuild(60, 0, item),
  type,
  indom,
  sem,
  units: 0,
});

/** What may be changed while it is recorded. */
export interface Machine {
  readonly descs: Map<string, Desc>;
  disks: Map<number, string>;
  /** What the next fetch says of agents, names and labels that changed. */
  changes: number;
  /** Opening and fetching fails. */
  isAway: boolean;
  type: "host" | "local";
  /** Contexts that are open. */
  open: number;
  fetched: number;
}

export function makeMachine(): Machine {
  return {
    descs: new Map([
      ["m.load", metric(1, PM_TYPE.FLOAT, PM_INDOM_NULL, PM_SEM.INSTANT)],
      ["m.ticks", metric(2, PM_TYPE.U64, PM_INDOM_NULL, PM_SEM.COUNTER)],
      ["m.name", metric(3, PM_TYPE.STRING, PM_INDOM_NULL, PM_SEM.DISCRETE)],
      ["m.disk.reads", metric(4, PM_TYPE.U32, DISKS, PM_SEM.COUNTER)],
    ]),
    disks: new Map([
      [0, "sda"],
      [1, "sdb"],
    ]),
    changes: 0,
    isAway: false,
    type: "host",
    open: 0,
    fetched: 0,
  };
}

/** A clock that stands still until it is told to go on. */
export interface TestClock extends RecorderClock {
  at: number;
  /** Goes on, and waits until the recorder sleeps again. */
  go(milliseconds: number): Promise<void>;
  /** Waits until the recorder sleeps. */
  asleep(): Promise<void>;
}

export function makeClock(at: number): TestClock {
  let wake: (() => void) | undefined;
  let slept: (() => void)[] = [];
  const clock: TestClock = {
    at,
    now: () => clock.at,
    sleep: (_milliseconds, signal) =>
      new Promise((resolve) => {
        wake = () => {
          wake = undefined;
          resolve();
        };
        signal.addEventListener("abort", () => resolve());
        if (signal.aborted) resolve();
        for (const each of slept.splice(0)) each();
      }),
    asleep: () =>
      wake === undefined
        ? new Promise((resolve) => void (slept = [...slept, resolve]))
        : Promise.resolve(),
    async go(milliseconds) {
      await clock.asleep();
      clock.at += milliseconds;
      wake?.();
      await clock.asleep();
    },
  };
  return clock;
}

function resultOf(machine: Machine, pmids: readonly Pmid[], now: number): ResultView {
  const sets = pmids.map((pmid): ValueSetInit => {
    const desc = [...machine.descs.values()].find((each) => each.pmid === pmid);
    if (desc === undefined) return { pmid, error: PM_ERR.PMID } as never;
    const { type, indom } = desc;
    const n = machine.fetched;
    const one = type === PM_TYPE.STRING ? "the machine" : type === PM_TYPE.U64 ? BigInt(n) : n;
    const instances = indom === PM_INDOM_NULL ? [-1] : [...machine.disks.keys()];
    return { pmid, type, instances, values: instances.map(() => one) };
  });
  const sec = Math.floor(now / 1000);
  const timestamp = { sec, nsec: Math.round((now - sec * 1000) * 1e6) };
  const pdu = decodePdu(encodeResult(FROM_ANON, { timestamp, sets }, true));
  if (pdu.kind !== "highres-result") throw new Error(pdu.kind);
  return pdu.result;
}

/** Opens a context on the machine, as `open` of a recorder. */
export const openMachine = (machine: Machine, now: () => number) => async (): Promise<Context> => {
  const answer = (): void => {
    if (machine.isAway) throw new PcpError(PM_ERR.NOTCONN, "the machine is away");
  };
  answer();
  machine.open += 1;
  const descOf = (pmid: Pmid): Desc | undefined =>
    [...machine.descs.values()].find((desc) => desc.pmid === pmid);
  const context: Partial<Context> = {
    type: machine.type,
    name: "",
    traverse: async (name) => {
      answer();
      const found = [...machine.descs.keys()].filter((each) => `${each}.`.startsWith(`${name}.`));
      if (found.length === 0) throw new PcpError(PM_ERR.NAME, name);
      return found;
    },
    lookupNames: async (names) => {
      const pmids = names.map((name) => machine.descs.get(name)?.pmid ?? PM_ID_NULL);
      const resolved = pmids.filter((pmid) => pmid !== PM_ID_NULL).length;
      if (resolved === 0) throw new PcpError(PM_ERR.NAME, names.join());
      return { pmids, resolved };
    },
    desc: async (pmid) => {
      const desc = descOf(pmid);
      if (desc === undefined) throw new PcpError(PM_ERR.PMID, "desc");
      return desc;
    },
    descs: async (pmids) => pmids.flatMap((pmid) => descOf(pmid) ?? []),
    instances: async () => ({
      ids: [...machine.disks.keys()].map((id) => asInstance(id)),
      names: [...machine.disks.values()],
    }),
    text: async (subject, ident, level) => {
      if (level === "help") throw new PcpError(PM_ERR.TEXT, "help");
      return `${subject} ${ident}`;
    },
    labels: async (level) => {
      if (level === PM_LABEL.CONTEXT)
        return [{ ...parseLabels('{"hostname":"made.up"}', level), error: 0 }];
      if (level !== PM_LABEL.INSTANCES) throw new PcpError(PM_ERR.NOLABELS, "labels");
      return [...machine.disks.keys()].map((id) => ({
        ...parseLabels(`{"slot":${id}}`, level, asInstance(id)),
        error: 0,
      }));
    },
    fetch: async (pmids) => {
      answer();
      machine.fetched += 1;
      const { changes } = machine;
      machine.changes = 0;
      return { changes, result: resultOf(machine, pmids, now()) };
    },
    hostName: async () => "made.up",
    zone: async () => UTC,
    close: async () => {
      machine.open -= 1;
    },
  };
  return context as Context;
};
