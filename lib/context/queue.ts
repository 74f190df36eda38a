// The calls of one context, one after the other in the order in which they were made: what a source
// is asked for in several steps is not mixed with the next call. Refuses calls above a bound
// (PM_ERR_TOOBIG) and after the context was closed.
import { PcpError, PM_ERR } from "../base/mod.ts";

/** Calls that may wait behind the one that is served, unless told otherwise. */
export const CALLS_LIMIT = 1024;

/** The queue of a context. */
export interface CallQueue {
  /**
   * Does `work` when its turn comes, before `run` returns when nothing is being served. Rejects with
   * what it throws, PcpError PM_ERR_TOOBIG when too many calls wait, or the reason of `close`.
   */
  run<T>(work: () => T | Promise<T>): Promise<T>;
  /**
   * A change that nobody waits for, in its turn among the calls: at once when nothing is being
   * served, and then what it throws is thrown. Later on the call after it fails with that. Throws
   * PM_ERR_TOOBIG when too many calls wait, and the reason of `close`.
   */
  note(change: () => void): void;
  /**
   * From now on calls fail with `reason`; so do those that wait or are being served. Resolves when
   * the work of the one that was being served has come to its end.
   */
  close(reason: PcpError): Promise<void>;
  /** Whether nothing is being served, so that a call would begin at once. */
  readonly idle: boolean;
  /** Why it was closed; undefined while open. */
  readonly closed: PcpError | undefined;
}

/** What waits: a call, or a change, which has nobody to tell of a failure. */
interface Entry {
  /** Begins; a call is then being served until it has ended. Never throws. */
  start(): void;
  fail(reason: PcpError): void;
}

/** A queue in which at most `limit` calls wait. */
export function createCallQueue(limit: number = CALLS_LIMIT): CallQueue {
  /** Those that wait are from `head` on, so that taking the first one moves no other. */
  let waiting: Entry[] = [];
  let head = 0;
  let served: Entry | undefined;
  let ended: Promise<void> | undefined;
  let going = false;
  let closed: PcpError | undefined;
  /** What a change came to after its caller had gone on. */
  let late: { readonly error: unknown } | undefined;

  const checkLate = (): void => {
    if (late === undefined) return;
    const { error } = late;
    late = undefined;
    throw error;
  };
  /** Begins what waits, until a call is being served. */
  const goOn = (): void => {
    // A call that fails before its first pause has ended in here: the loop below goes on.
    if (going) return;
    going = true;
    while (served === undefined && head < waiting.length) {
      const entry = waiting[head++];
      if (head * 2 > waiting.length) {
        waiting = waiting.slice(head);
        head = 0;
      }
      entry?.start();
    }
    going = false;
  };
  const wait = (entry: Entry): void => {
    if (waiting.length - head >= limit)
      throw new PcpError(PM_ERR.TOOBIG, `${limit} calls wait for this context already`);
    waiting.push(entry);
  };

  return {
    run: <T>(work: () => T | Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        if (closed !== undefined) throw closed;
        // Before the caller hears of the end, so that its next call or change is made at once.
        const over = (): void => {
          served = undefined;
          goOn();
        };
        const succeed = (result: T): void => {
          resolve(result);
          over();
        };
        const fail = (error: unknown): void => {
          reject(error);
          over();
        };
        const call: Entry = {
          start() {
            served = call;
            let result: T | Promise<T>;
            try {
              checkLate();
              result = work();
            } catch (error) {
              ended = Promise.resolve();
              fail(error);
              return;
            }
            if (result instanceof Promise) ended = result.then(succeed, fail);
            else {
              ended = Promise.resolve();
              succeed(result);
            }
          },
          fail: reject,
        };
        if (served === undefined) call.start();
        else wait(call);
      }),
    note(change) {
      if (closed !== undefined) throw closed;
      if (served === undefined) {
        change();
        return;
      }
      const start = (): void => {
        try {
          change();
        } catch (error) {
          late ??= { error };
        }
      };
      wait({ start, fail: () => undefined });
    },
    async close(reason) {
      closed ??= reason;
      const left = waiting.slice(head);
      waiting = [];
      head = 0;
      for (const entry of left) entry.fail(closed);
      served?.fail(closed);
      if (served !== undefined) await ended;
    },
    get idle() {
      return served === undefined;
    },
    get closed() {
      return closed;
    },
  };
}
