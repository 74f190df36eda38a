// Turns of the event loop: work that never waits for anything lets others go on now and then. Refuses
// nothing.

/** Milliseconds for which work may keep all others from theirs. */
const SLICE_MS = 5;

/** Signals, timers and sockets that are ready have their turn. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** For each step of long work: a promise where others should have their turn before it goes on. */
export function slices(): () => Promise<void> | undefined {
  let since = performance.now();
  const pause = async (): Promise<void> => {
    await turn();
    since = performance.now();
  };
  return () => (performance.now() - since < SLICE_MS ? undefined : pause());
}
