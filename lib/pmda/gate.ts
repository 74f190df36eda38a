// What surrounds a request to an agent written here: its check callback before, its done callback
// after, and the time that it may take (spec pmda.md 7.2). What callbacks throw becomes the code of
// the request; a fault of the author's code, and a time that is over, get a line in the log.
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import type { AgentDefinition, AgentSetting } from "./define.ts";
import { createTimeLimit, isLate, isPromise } from "./limit.ts";
import type { Awaitable, Caller } from "./types.ts";

/** Lets requests of one agent through. */
export interface Gate {
  /** Whether there is a check or a done callback. */
  readonly hasHooks: boolean;
  /**
   * Does the work of a request between check and done. `what` names it in the log. `limit` is the
   * time in milliseconds, 0 for work that keeps to the time by itself. Throws, or rejects with,
   * PcpError.
   */
  run<T>(
    what: string,
    by: Caller | undefined,
    work: () => Awaitable<T>,
    limit?: number,
  ): Awaitable<T>;
}

/** The gate of a definition; `timeLimit` in milliseconds is what a request may take. */
export function createGate(
  definition: AgentDefinition,
  log: AgentSetting["log"],
  timeLimit: number,
): Gate {
  const hasHooks = definition.check !== undefined || definition.done !== undefined;
  const tell = (level: "Error" | "Warning", what: string, { message }: PcpError): void =>
    log(level, `pmda${definition.name}: ${what}: ${message}`);

  const done = (): Awaitable<void> => {
    const failed = (cause: unknown): void => tell("Error", "done callback", asPcpError(cause));
    try {
      const later = definition.done?.();
      return isPromise(later) ? (later as Promise<void>).catch(failed) : undefined;
    } catch (cause) {
      failed(cause);
      return undefined;
    }
  };

  /** What was thrown as the code of the request. */
  const coded = (what: string, cause: unknown): PcpError => {
    const error = asPcpError(cause);
    // What agents in C answer; pmcd turns it into this for its clients, and hears of readiness.
    if (error.code === PM_ERR.PMDANOTREADY)
      return new PcpError(PM_ERR.AGAIN, error.message, { cause });
    if (error.code === PM_ERR.GENERIC || !(cause instanceof PcpError)) tell("Error", what, error);
    else if (isLate(error)) tell("Warning", what, error);
    return error;
  };

  const inTime = async <T>(what: string, promise: Promise<T>, milliseconds: number): Promise<T> => {
    const limit = createTimeLimit(milliseconds);
    try {
      return await limit.wait(promise);
    } catch (cause) {
      throw coded(what, cause);
    } finally {
      limit.stop();
    }
  };

  const plain = <T>(what: string, work: () => Awaitable<T>, milliseconds: number): Awaitable<T> => {
    let value: Awaitable<T>;
    try {
      value = work();
    } catch (cause) {
      throw coded(what, cause);
    }
    return isPromise(value) ? inTime(what, value as Promise<T>, milliseconds) : value;
  };

  const check = (by: Caller | undefined): Awaitable<void> => {
    try {
      return definition.check?.(by);
    } catch (cause) {
      throw coded("check callback", cause);
    }
  };

  const afterCheck = async <T>(
    what: string,
    checked: Promise<void>,
    work: () => Awaitable<T>,
    milliseconds: number,
  ): Promise<T> => {
    try {
      await inTime("check callback", checked, timeLimit);
      return await plain(what, work, milliseconds);
    } finally {
      await done();
    }
  };

  return {
    hasHooks,
    run<T>(
      what: string,
      by: Caller | undefined,
      work: () => Awaitable<T>,
      limit = timeLimit,
    ): Awaitable<T> {
      if (!hasHooks) return plain(what, work, limit);
      let value: Awaitable<T>;
      try {
        const checked = check(by);
        if (isPromise(checked)) return afterCheck(what, checked as Promise<void>, work, limit);
        value = plain(what, work, limit);
      } catch (error) {
        void done();
        throw error;
      }
      if (isPromise(value)) return (value as Promise<T>).finally(done);
      const after = done();
      return isPromise(after) ? after.then(() => value) : value;
    },
  };
}
