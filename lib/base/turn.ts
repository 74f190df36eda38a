// Turns of the event loop: work that never waits for anything lets others go on now and then. Refuses
// nothing.

/** Milliseconds for which work may keep all others from theirs. */
const SLICE_MS = 5;

/** Work that has stood back, the first to go on first. */
const waiting: (() => void)[] = [];

/** One goes on, and then the event loop: a hundred that work would else keep sockets waiting for all of them. */
function goOn(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(goOn);
}

/** Signals, timers and sockets that are ready have their turn, and others that work. */
export const turn = (): Promise<void> =>
  new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(goOn);
  });

/** For each step of long work: a promise where others should have their turn before it goes on. */
export function slices(): () => Promise<void> | undefined {
  let since = performance.now();
  const pause = async (): Promise<void> => {
    await turn();
    since = performance.now();
  };
  return () => (performance.now() - since < SLICE_MS ? undefined : pause());
}
