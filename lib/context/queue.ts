// The calls of one context, one after the other in the order in which they were made: what a source
// is asked for in several steps is not mixed with the next call. Refuses calls above a bound
// (PM_ERR_TOOBIG) and after the context was closed.
import { PcpError, PM_ERR } from "../base/mod.ts";

/** Calls that may wait behind the one that is served, unless told otherwise. */
export const CALLS_LIMIT = 1024;

/** The queue of a context. */
export interface CallQueue {
  /**
   * Does `work` when its turn comes. Rejects with what it throws, PcpError PM_ERR_TOOBIG when too
   * many calls wait, or the reason of `close`.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** From now on calls fail with `reason`; so do those that wait or are being served. */
  close(reason: PcpError): void;
  /** Why it was closed; undefined while open. */
  readonly closed: PcpError | undefined;
}

interface Call {
  start(): Promise<void>;
  fail(reason: PcpError): void;
}

/** A queue in which at most `limit` calls wait. */
export function createCallQueue(limit: number = CALLS_LIMIT): CallQueue {
  const waiting: Call[] = [];
  let served: Call | undefined;
  let closed: PcpError | undefined;

  /** Serves calls until none waits. A call settles its own promise and never throws here. */
  const serve = async (first: Call): Promise<void> => {
    for (let call: Call | undefined = first; call !== undefined; call = waiting.shift()) {
      served = call;
      await call.start();
    }
    served = undefined;
  };

  return {
    run: <T>(work: () => Promise<T>) =>
      new Promise<T>((resolve, reject) => {
        if (closed !== undefined) {
          reject(closed);
          return;
        }
        const call: Call = {
          async start() {
            try {
              resolve(await work());
            } catch (error) {
              reject(error);
            }
          },
          fail: reject,
        };
        if (served === undefined) void serve(call);
        else if (waiting.length < limit) waiting.push(call);
        else reject(new PcpError(PM_ERR.TOOBIG, `${limit} calls wait for this context already`));
      }),
    close(reason) {
      closed ??= reason;
      for (const call of waiting.splice(0)) call.fail(closed);
      served?.fail(closed);
    },
    get closed() {
      return closed;
    },
  };
}
