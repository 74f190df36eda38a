// The pace of a context whose calls do their work at once: a search through a large archive, and many
// short calls one after the other, let other work of the process in between. Refuses nothing itself;
// what is found after a pause may end the call.

import { turn } from "../base/mod.ts";

/** How long a context may keep the process to itself, in milliseconds. */
const SLICE = 5;
/** Steps between two looks at the clock, less one; all bits set. */
const STEPS = 31;

/** The pace of the calls of a context. */
export interface Pacer {
  /** To be called for each step; a promise when others should have their turn before the next one. */
  tick(): Promise<void> | undefined;
}

/** `check` is called after each pause and may throw, so that the call ends. */
export function createPacer(check: () => void): Pacer {
  let steps = 0;
  let since = performance.now();
  const pause = async (): Promise<void> => {
    await turn();
    since = performance.now();
    check();
  };
  return {
    tick() {
      steps++;
      if ((steps & STEPS) !== 0 || performance.now() - since < SLICE) return undefined;
      return pause();
    },
  };
}
