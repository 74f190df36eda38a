// One coarse clock for everything on the server that must not wait for ever: handshakes, dials, half
// closed connections, idle HTTP connections. A timer per connection would cost more than the
// connection; node:http's own time-outs do not fire on the streams that it is given here.

/** Something with an end: `expired` is called once, at or after `deadline` (milliseconds of `now`). */
export interface Timed {
  deadline: number;
  expired(): void;
}

export interface Deadlines {
  /** Milliseconds of the clock that deadlines are in. */
  now(): number;
  /** Sets the deadline `ms` from now, 0 = none; moves it when it is set already. */
  set(timed: Timed, ms: number): void;
  clear(timed: Timed): void;
  readonly size: number;
  /** For good: nothing is waited for any more. */
  stop(): void;
}

/** Milliseconds between two looks; how late an expiry may be. */
const TICK_MS = 250;

/** `onFault` hears of what `expired` threw; the others are still served. */
export function createDeadlines(onFault: (error: unknown) => void): Deadlines {
  let stopped = false;
  const waiting = new Set<Timed>();
  let timer: ReturnType<typeof setInterval> | undefined;
  const now = (): number => performance.now();

  const look = (): void => {
    const at = now();
    for (const timed of waiting) {
      if (timed.deadline > at) continue;
      waiting.delete(timed);
      try {
        timed.expired();
      } catch (error) {
        onFault(error);
      }
    }
    if (waiting.size === 0) pause();
  };
  const pause = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    now,
    set(timed, ms) {
      if (ms <= 0 || stopped) {
        waiting.delete(timed);
        return;
      }
      timed.deadline = now() + ms;
      waiting.add(timed);
      timer ??= setInterval(look, TICK_MS);
    },
    clear: (timed) => void waiting.delete(timed),
    get size() {
      return waiting.size;
    },
    stop() {
      stopped = true;
      waiting.clear();
      pause();
    },
  };
}
