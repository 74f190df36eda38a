// The order of calls on one context: each is served when those before it have ended. And the pace of
// long ones: a search through a large archive lets other work of the process in between. Refuses with
// PM_ERR_TOOBIG more calls than a bounded number. Other than with queue.ts, a change that nobody waits
// for is made at once when no call is under way.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { CALLS_LIMIT } from "./queue.ts";

/** A queue of calls. */
export interface Serial {
  /** Runs `body` when the calls before it have ended, at once when there are none. */
  run<T>(body: () => T | Promise<T>): Promise<T>;
  /** As `run`, for a change that nobody waits for; `body` must not throw. */
  note(body: () => void): void;
}

/** A queue without calls. */
export function createSerial(): Serial {
  const waiting: (() => void)[] = [];
  let busy = false;
  const goOn = (): void => {
    busy = false;
    while (!busy) {
      const start = waiting.shift();
      if (start === undefined) return;
      start();
    }
  };
  return {
    run: (body) =>
      new Promise((resolve, reject) => {
        const start = async (): Promise<void> => {
          busy = true;
          try {
            resolve(await body());
          } catch (error) {
            reject(error);
          } finally {
            goOn();
          }
        };
        if (!busy) void start();
        else if (waiting.length < CALLS_LIMIT) waiting.push(() => void start());
        else reject(new PcpError(PM_ERR.TOOBIG, `${waiting.length} calls wait already`));
      }),
    note(body) {
      if (busy) waiting.push(body);
      else body();
    },
  };
}

/** How long a call may keep the process to itself, in milliseconds. */
const SLICE = 5;
/** Steps between two looks at the clock, less one; all bits set. */
const STEPS = 31;

/** The pace of a call that may take long. */
export interface Pacer {
  /** A call begins. */
  begin(): void;
  /** To be called for each step; a promise when others should have their turn before the next one. */
  tick(): Promise<void> | undefined;
}

/** `check` is called after each pause and may throw, so that the call ends. */
export function createPacer(check: () => void): Pacer {
  let steps = 0;
  let since = performance.now();
  const pause = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
    check();
  };
  return {
    begin() {
      since = performance.now();
    },
    tick() {
      steps++;
      if ((steps & STEPS) !== 0 || performance.now() - since < SLICE) return undefined;
      return pause();
    },
  };
}
