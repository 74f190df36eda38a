// Memory of a collector that has worked: what its requests have left behind is given back soon after,
// where the engine by itself would keep some ten megabytes until it needs them. Refuses nothing.
import type { ClientTable } from "./clients.ts";

/** Milliseconds between two looks. */
const EVERY = 2000;
/** Requests whose garbage is worth a collection, which takes some 10 ms. */
const WORTH = 100;

/** How memory is looked after; tests say more than the usual. */
export interface Housekeeping {
  /** Milliseconds between two looks. */
  readonly every?: number;
  readonly collect?: () => void;
}

/** Looks after memory until what it returns is called. Keeps no process alive. */
export function keepMemorySmall(
  { pduIn }: Pick<ClientTable, "pduIn">,
  { every = EVERY, collect = () => Bun.gc(true) }: Housekeeping = {},
): () => void {
  let before = 0;
  const timer = setInterval(() => {
    const requests = pduIn.reduce((sum, count) => sum + count, 0);
    if (requests - before < WORTH) return;
    before = requests;
    collect();
  }, every);
  timer.unref();
  return () => clearInterval(timer);
}
