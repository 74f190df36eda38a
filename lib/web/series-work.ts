// Work for one question about series: whether somebody still waits for it, its place among others, how
// many values it holds, and that others get their turn while it goes on. Refuses more than the bounds say.
import { PcpError, PM_ERR, slices } from "../base/mod.ts";
import type {
  Leaf,
  NameList,
  SeriesDescriptor,
  SeriesId,
  SeriesStore,
  ValueBlock,
  ValuesRequest,
} from "../series/mod.ts";
import { BusyError, createFairTurns } from "./fair.ts";

/** Bounds on what questions about series take together. One client gets half of each at most. */
export interface SeriesLimits {
  /** Questions that are worked on at a time; others wait. */
  readonly requests: number;
  /** Questions that may wait; more are refused with 503. */
  readonly waiting: number;
  /** Long answers under way; more are refused with 503. */
  readonly streams: number;
  /** Values that functions hold, of all questions together; one question may have all of them. */
  readonly gathered: number;
  /** Hits of a text search that does not say how many. */
  readonly resultCount: number;
}

export const DEFAULT_SERIES_LIMITS: SeriesLimits = {
  requests: 16,
  waiting: 1024,
  streams: 64,
  gathered: 10_000_000,
  resultCount: 10,
};

/** Nobody waits for the answer any more. */
export class Abandoned extends Error {
  constructor() {
    super("nobody waits for the answer");
    this.name = "Abandoned";
  }
}

/** Who asks. */
export interface Asker {
  readonly gone: (() => boolean) | undefined;
  /** Address of the client. */
  readonly peer: string;
}

/** One question under way; has a place until `done`, but while its answer waits for the client. */
export interface Work {
  /** Throws Abandoned when nobody waits. */
  check(): void;
  /** Values are held until `done`. Throws PM_ERR_TOOBIG, or BusyError where others hold them. */
  gather(values: number): void;
  /** Takes one of the places of long answers. Throws BusyError. */
  stream(): void;
  /** The client is to take something. */
  rest(): void;
  /** The client has taken it. Rejects with Abandoned. */
  resume(): Promise<void>;
  /** The end of it; nothing but the first call counts. */
  done(): void;
}

/** All questions of a server. */
export interface Workplace {
  /** Begins work. Throws BusyError; rejects with Abandoned. */
  begin(asker: Asker): Work | Promise<Work>;
  status(): { requests: number; waiting: number; streams: number; gathered: number };
}

/** Places and values within `limits`, which may change. */
export function createWorkplace(limits: () => SeriesLimits): Workplace {
  const turns = createFairTurns(() => ({ active: limits().requests, waiting: limits().waiting }));
  const streams = createFairTurns(() => ({ active: limits().streams, waiting: 0 }));
  let gathered = 0;

  const begun = ({ gone, peer }: Asker): Work => {
    let own = 0;
    let hasTurn = true;
    let hasStream = false;
    let isDone = false;
    const isWanted = (): boolean => !isDone && gone?.() !== true;
    const rest = (): void => {
      if (hasTurn) turns.leave(peer);
      hasTurn = false;
    };
    return {
      check() {
        if (!isWanted()) throw new Abandoned();
      },
      gather(values) {
        own += values;
        gathered += values;
        const most = limits().gathered;
        if (own > most)
          throw new PcpError(PM_ERR.TOOBIG, `a query of more than ${most} values in functions`);
        if (gathered > most) throw new BusyError();
      },
      stream() {
        // Nobody waits here: there is no room for it.
        if (!hasStream) void streams.enter(peer, isWanted);
        hasStream = true;
      },
      rest,
      async resume() {
        if (hasTurn) return;
        const entered = await turns.enter(peer, isWanted, true);
        if (entered === false) throw new Abandoned();
        hasTurn = true;
        if (isDone) rest();
      },
      done() {
        if (isDone) return;
        isDone = true;
        rest();
        if (hasStream) streams.leave(peer);
        gathered -= own;
      },
    };
  };

  return {
    begin(asker) {
      const { gone, peer } = asker;
      const entered = turns.enter(peer, () => gone?.() !== true);
      if (entered === undefined) return begun(asker);
      return entered.then((isIn) => {
        if (!isIn) throw new Abandoned();
        return begun(asker);
      });
    },
    status: () => ({
      requests: turns.active,
      waiting: turns.waiting,
      streams: streams.active,
      gathered,
    }),
  };
}

/** A store for one question. A class, since one is made for each question: functions would be a dozen. */
class AttendedStore implements SeriesStore {
  constructor(
    private readonly inner: SeriesStore,
    private readonly work: Work,
  ) {}

  /** The store, if somebody still waits for its answers. */
  private get wanted(): SeriesStore {
    this.work.check();
    return this.inner;
  }

  select(leaves: readonly Leaf[]) {
    return this.wanted.select(leaves);
  }
  descriptors(series: readonly string[]) {
    return this.wanted.descriptors(series);
  }
  metricNames(series: readonly string[]) {
    return this.wanted.metricNames(series);
  }
  instances(series: readonly string[]) {
    return this.wanted.instances(series);
  }
  instancesById(ids: readonly string[]) {
    return this.wanted.instancesById(ids);
  }
  labels(ids: readonly string[]) {
    return this.wanted.labels(ids);
  }
  sources(sources: readonly string[]) {
    return this.wanted.sources(sources);
  }
  labelValues(names: readonly string[]) {
    return this.wanted.labelValues(names);
  }
  names(list: NameList) {
    return this.wanted.names(list);
  }
  expressions(series: readonly string[]) {
    return this.wanted.expressions(series);
  }
  fabricate(series: SeriesId, expression: string, descriptor: SeriesDescriptor) {
    return this.wanted.fabricate(series, expression, descriptor);
  }
  async *values(requests: readonly ValuesRequest[]): AsyncGenerator<ValueBlock> {
    const { work } = this;
    const pause = slices();
    for await (const block of this.inner.values(requests)) {
      work.check();
      yield block;
      const turn = pause();
      if (turn === undefined) continue;
      await turn;
      work.check();
    }
  }
}

/** A store for one question: it stops when nobody waits, and lets others have their turn. */
export const attended = (store: SeriesStore, work: Work): SeriesStore =>
  new AttendedStore(store, work);
