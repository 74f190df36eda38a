// One timer for many short waits, one after the other: it is set again only when it fires too early,
// so a wait that ends soon costs no timer. Refuses nothing.

/** The time limit of the present wait. */
export interface Deadline {
  /** A wait of at most so many milliseconds begins; 0: without limit. */
  start(limit: number): void;
  /** The wait is over. */
  rest(): void;
  /** No wait will begin any more. */
  stop(): void;
}

const NEVER = Number.POSITIVE_INFINITY;

/** Calls `late` when a wait lasts longer than its limit. The timer keeps no program running. */
export function createDeadline(late: () => void): Deadline {
  let deadline = NEVER;
  let timerAt = NEVER;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const set = (now: number): void => {
    clearTimeout(timer);
    timerAt = deadline;
    timer = setTimeout(fire, Math.max(1, Math.ceil(deadline - now)));
    timer.unref();
  };
  function fire(): void {
    timerAt = NEVER;
    if (deadline === NEVER) return;
    const now = performance.now();
    if (now < deadline) {
      set(now);
      return;
    }
    deadline = NEVER;
    late();
  }
  return {
    start(limit) {
      if (limit === 0) {
        deadline = NEVER;
        return;
      }
      const now = performance.now();
      deadline = now + limit;
      if (deadline < timerAt) set(now);
    },
    rest() {
      deadline = NEVER;
    },
    stop() {
      deadline = NEVER;
      clearTimeout(timer);
    },
  };
}
