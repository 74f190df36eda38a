// The time that callbacks of an agent may take (spec pmda.md 5: pmcd drops an agent that has not
// answered within 5 s, and serves nobody meanwhile). What takes longer is given up, not ended: its
// promise may still settle and is then ignored. Synchronous code cannot be cut.
import { PcpError, PM_ERR } from "../base/mod.ts";

/** Milliseconds for one request; below pmcd's limit of 5 s with room for the answer's way back. */
export const DEFAULT_TIME_LIMIT = 4000;

/** What a promise is given up with. */
const LATE = Symbol("late");

/** The time of one request; its clock starts with the first promise that it is asked to wait for. */
export interface TimeLimit {
  /**
   * The value of a promise, or PcpError PM_ERR_AGAIN when the time of the request is over: the agent
   * is there and the value may come, which is what AGAIN says to clients. PM_ERR_TIMEOUT would make
   * them give up their connection to pmcd. A promise that has settled counts even then.
   */
  wait<T>(promise: Promise<T>): Promise<T>;
  /** Ends the clock. */
  stop(): void;
}

/** A limit of so many milliseconds; 0: none. */
export function createTimeLimit(milliseconds: number): TimeLimit {
  let over: Promise<typeof LATE> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    async wait(promise) {
      if (milliseconds === 0) return promise;
      over ??= new Promise((resolve) => {
        timer = setTimeout(() => resolve(LATE), milliseconds);
      });
      const first = await Promise.race([promise, over]);
      if (first === LATE)
        throw new PcpError(PM_ERR.AGAIN, `no answer within ${milliseconds / 1000} s`, {
          cause: LATE,
        });
      return first as Awaited<typeof promise>;
    },
    stop: () => clearTimeout(timer),
  };
}

/** Whether an error says that a time was over. */
export const isLate = (error: PcpError): boolean => error.cause === LATE;

/** Whether something is to be waited for. */
export const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === "object" &&
  value !== null &&
  "then" in value &&
  typeof value.then === "function";
