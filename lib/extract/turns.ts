// Whose turn it is: inputs as a heap by the times of what they wait with, and of equal times by their
// order on the command line. Refuses nothing.
import type { Timestamp } from "../pcp/mod.ts";

/** Who waits for a turn. */
export interface Waiting extends Timestamp {
  readonly order: number;
}

/** Whether a time is before another. */
export const isBefore = (a: Timestamp, b: Timestamp): boolean =>
  a.sec < b.sec || (a.sec === b.sec && a.nsec < b.nsec);

function isLess(a: Waiting, b: Waiting): boolean {
  if (a.sec !== b.sec) return a.sec < b.sec;
  return a.nsec === b.nsec ? a.order < b.order : a.nsec < b.nsec;
}

/** Puts one into the heap. */
export function rise<T extends Waiting>(heap: T[], one: T): void {
  let at = heap.push(one) - 1;
  while (at > 0) {
    const up = (at - 1) >> 1;
    const above = heap[up] as T;
    if (!isLess(one, above)) break;
    heap[at] = above;
    at = up;
  }
  heap[at] = one;
}

/** Moves the first one, whose time has changed, down to its place. */
export function sink<T extends Waiting>(heap: T[]): void {
  const one = heap[0];
  if (one === undefined) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    const right = heap[child + 1];
    if (right !== undefined && isLess(right, heap[child] as T)) child++;
    const below = heap[child] as T;
    if (!isLess(below, one)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = one;
}
