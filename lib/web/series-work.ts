// Work for one question about series: whether somebody still waits for it, its place among others, the
// memory that its values take, and that others get their turn while it goes on. Large questions have places
// of their own; one that turns out to be large without one lets go of what it has, and begins anew when
// there is one. Refuses more than the bounds say, and who has waited too long.
import { slices } from "../base/mod.ts";
import {
  type Leaf,
  type NameList,
  type Room,
  type SeriesDescriptor,
  type SeriesId,
  type SeriesStore,
  tooLarge,
  type ValueBlock,
  type ValuesRequest,
} from "../series/mod.ts";
import { BusyError, createFairTurns, type FairTurns, WAITED_IN_VAIN } from "./fair.ts";

/** Bounds on what questions about series take together. One client gets half of each number at most. */
export interface SeriesLimits {
  /** Questions that are worked on at a time; others wait. */
  readonly requests: number;
  /** Questions that may wait; more are refused with 503. */
  readonly waiting: number;
  /** Long answers under way; others wait. */
  readonly streams: number;
  /** Bytes of values that functions hold, of all questions together; one question may have all of them. */
  readonly memory: number;
  /** Milliseconds that a question may wait, in all, before its answer begins; then it is refused with 503. */
  readonly waitMs: number;
  /** Hits of a text search that does not say how many. */
  readonly resultCount: number;
}

export const DEFAULT_SERIES_LIMITS: SeriesLimits = {
  requests: 16,
  waiting: 1024,
  streams: 256,
  memory: 96 << 20,
  waitMs: 30_000,
  resultCount: 10,
};

/** Nobody waits for the answer any more. */
export class Abandoned extends Error {
  constructor() {
    super("nobody waits for the answer");
    this.name = "Abandoned";
  }
}

/** A question is larger than was known: it is asked again when it has a place for that. */
export class Larger extends Error {
  /** Over when the place is there, with nothing, or with the error that there will be none. */
  readonly place: Promise<unknown>;
  /** `place` rejects with BusyError or Abandoned. */
  constructor(place: Promise<void>) {
    super("the question is a large one");
    this.name = "Larger";
    // Who is told of this may take a while to look.
    this.place = place.catch((error: unknown) => error);
  }
}

/** Who asks. */
export interface Asker {
  readonly gone: (() => boolean) | undefined;
  /** Address of the client. */
  readonly peer: string;
}

/**
 * One question under way; has a place until `done`, but while its answer waits for the client, or it waits for
 * room itself. As a Room: what is held counts until `done`. Beyond its share one question at a time may gather more, within what
 * `memory` leaves; it waits for that. `hold` throws PM_ERR_TOOBIG, or Larger; what it promises rejects with
 * BusyError or Abandoned.
 */
export interface Work extends Room {
  /** Throws Abandoned when nobody waits. */
  check(): void;
  /** Takes one of the places of long answers. Throws Larger. */
  stream(): void;
  /** After Larger: lets go of everything, waits for the place. Rejects with BusyError, Abandoned. */
  again(larger: Larger): Promise<void>;
  /** The client is to take something. */
  rest(): void;
  /** The client has taken it. Rejects with Abandoned. */
  resume(): Promise<void>;
  /** The end of it; nothing but the first call counts. */
  done(): void;
}

/** All questions of a server. */
export interface Workplace {
  /** Begins work. Throws BusyError; rejects with it or with Abandoned. */
  begin(asker: Asker): Work | Promise<Work>;
  /** `held`: bytes of values of functions. */
  status(): { requests: number; waiting: number; streams: number; held: number };
}

/** A place that a question may take. */
interface Seat {
  has: boolean;
  /** It is waited for: by both sides of an operator, say, which have one together. */
  coming: Promise<void> | undefined;
  readonly turns: FairTurns;
}

/** What the questions of a server share. */
interface Shared {
  readonly limits: () => SeriesLimits;
  readonly turns: FairTurns;
  readonly streams: FairTurns;
  /**
   * Who is at the beginning of a long answer, or gathers more than its share: one at a time, so that one
   * answer begins soon rather than all of them late.
   */
  readonly growth: FairTurns;
  held: number;
  /** How much of that is held by who waits to grow, in the middle of an answer: none of it goes before. */
  stuck: number;
  /** Wake those who wait until less is held: sides of the question that grows. */
  readonly short: Set<() => void>;
}

/** Bytes that a question may hold beside any number of others. */
const shareOf = ({ memory, streams }: SeriesLimits): number => Math.floor(memory / (2 * streams));

/** Work that has its first place. `until`: when it has waited long enough, ms of performance.now. */
class PlacedWork implements Work {
  private own = 0;
  private stuck = 0;
  /** Sides that wait to grow. */
  private waiting = 0;
  private isDone = false;
  /** Something was told already: it cannot begin anew. */
  private hasBegun = false;
  private readonly turn: Seat;
  private readonly long: Seat;
  private readonly growing: Seat;

  constructor(
    private readonly shared: Shared,
    private readonly asker: Asker,
    private readonly until: number,
  ) {
    this.turn = { has: true, coming: undefined, turns: shared.turns };
    this.long = { has: false, coming: undefined, turns: shared.streams };
    this.growing = { has: false, coming: undefined, turns: shared.growth };
  }

  private readonly isWanted = (): boolean => !this.isDone && this.asker.gone?.() !== true;
  private get left(): number {
    return Math.max(0, this.until - performance.now());
  }

  check(): void {
    if (!this.isWanted()) throw new Abandoned();
  }

  /** Takes a seat; a promise where there is none. Throws BusyError. */
  private take(seat: Seat, again = this.hasBegun): Promise<void> | undefined {
    if (seat.has) return undefined;
    if (seat.coming !== undefined) return seat.coming;
    const { peer } = this.asker;
    const patience = again ? { again } : { ms: this.left };
    const entered = seat.turns.enter(peer, this.isWanted, patience);
    if (entered === undefined) {
      seat.has = true;
      return undefined;
    }
    seat.coming = entered
      .then((isIn) => {
        if (!isIn) throw new Abandoned();
        seat.has = true;
        if (this.isDone) this.leave(seat);
      })
      .finally(() => {
        seat.coming = undefined;
      });
    return seat.coming;
  }
  private leave(seat: Seat): void {
    if (!seat.has) return;
    seat.has = false;
    seat.turns.leave(this.asker.peer);
  }

  stream(): void {
    const place = this.takeLong();
    if (place !== undefined) throw new Larger(place);
    this.hasBegun = true;
    this.leave(this.growing);
  }

  expect(bytes: number): void {
    if (this.hasBegun || bytes <= shareOf(this.shared.limits())) return;
    const place = this.takeLong() ?? this.take(this.growing);
    if (place !== undefined) throw new Larger(place);
  }

  /** Nobody who gathers waits for this place: that would keep all others from gathering. */
  private takeLong(): Promise<void> | undefined {
    const place = this.take(this.long);
    if (place !== undefined) this.leave(this.growing);
    return place;
  }

  hold(bytes: number): Promise<void> | undefined {
    // What began to let go of its values when it was over has none.
    if (this.isDone) return undefined;
    const { shared } = this;
    const limits = shared.limits();
    const own = this.own + bytes;
    // What waits in the middle of answers is bounded as well: this one is cut off.
    const stuck = this.hasBegun && !this.growing.has ? shared.stuck - this.stuck : 0;
    const isSmall = own <= shareOf(limits);
    if (bytes > 0 && (own > limits.memory || (!isSmall && stuck + own > limits.memory)))
      throw tooLarge(limits.memory);
    this.own = own;
    shared.held += bytes;
    if (bytes <= 0) {
      this.relieve();
      return undefined;
    }
    if (isSmall) return undefined;
    const place = this.take(this.growing);
    if (place === undefined && !this.isShort) return undefined;
    if (place !== undefined && !this.hasBegun) throw new Larger(place);
    return this.grow(place);
  }

  /** Waits for what it needs to grow; meanwhile its turn is for those who have to end before. */
  private async grow(place: Promise<void> | undefined): Promise<void> {
    const { shared } = this;
    this.waiting++;
    this.rest();
    const more = place === undefined ? 0 : this.own - this.stuck;
    this.stuck += more;
    shared.stuck += more;
    this.relieve();
    const isThere = (): void => {
      this.stuck -= more;
      shared.stuck -= more;
    };
    try {
      await place?.finally(isThere);
      await this.waitForMemory();
    } finally {
      this.waiting--;
    }
    // Another side that waits, or begins to meanwhile, would do so with the turn.
    if (this.waiting === 0) await this.resume();
    if (this.waiting > 0) this.rest();
  }

  /** Until what is held fits; only who grows waits here. */
  private async waitForMemory(): Promise<void> {
    const { shared } = this;
    const end = this.hasBegun ? Infinity : performance.now() + this.left;
    while (this.isShort) {
      this.check();
      if (performance.now() >= end) throw new BusyError(WAITED_IN_VAIN);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          shared.short.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, LOOK_MS);
        timer.unref();
        shared.short.add(wake);
      });
    }
    this.check();
  }

  settled(): void {
    this.leave(this.growing);
  }

  async again({ place }: Larger): Promise<void> {
    this.letGo();
    this.rest();
    const refusal = await place;
    if (refusal instanceof Error) throw refusal;
    await this.resume();
  }

  /** More is held than there is room for, by those who can go on. */
  private get isShort(): boolean {
    const { held, stuck, limits } = this.shared;
    return held - stuck > limits().memory;
  }
  private relieve(): void {
    if (!this.isShort) for (const wake of this.shared.short) wake();
  }
  private letGo(): void {
    const { own, shared } = this;
    this.own = 0;
    shared.held -= own;
    this.relieve();
  }

  rest(): void {
    this.leave(this.turn);
  }

  async resume(): Promise<void> {
    await this.take(this.turn, true);
  }

  done(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.rest();
    this.leave(this.long);
    this.leave(this.growing);
    this.letGo();
  }
}

/** Milliseconds between two looks whether somebody still waits for an answer that waits for memory. */
const LOOK_MS = 1000;

/** Places and memory within `limits`, which may change. */
export function createWorkplace(limits: () => SeriesLimits): Workplace {
  const places = (active: () => number) =>
    createFairTurns(() => ({ active: active(), waiting: limits().waiting }));
  const shared: Shared = {
    limits,
    turns: places(() => limits().requests),
    streams: places(() => limits().streams),
    growth: places(() => 1),
    held: 0,
    stuck: 0,
    short: new Set(),
  };
  const { turns, streams, growth } = shared;
  return {
    begin(asker) {
      const { gone, peer } = asker;
      const { waitMs } = limits();
      const until = performance.now() + waitMs;
      const entered = turns.enter(peer, () => gone?.() !== true, { ms: waitMs });
      if (entered === undefined) return new PlacedWork(shared, asker, until);
      return entered.then((isIn) => {
        if (!isIn) throw new Abandoned();
        return new PlacedWork(shared, asker, until);
      });
    },
    status: () => ({
      requests: turns.active,
      waiting: turns.waiting + streams.waiting + growth.waiting,
      streams: streams.active,
      held: shared.held,
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
