// The choice among samples while they stream by (spec series.md 7.4): the verdict on a sample may need the
// time of the next one, so the last sample of a block waits for the next block of its series.
import { pickSamples, type Samples } from "./samples.ts";
import { type Chooser, chooser, type Thinning } from "./sampling.ts";
import type { ValueBlock } from "./store.ts";

/** What is held of one series between two of its blocks. */
interface Held {
  readonly request: number;
  readonly choose: Chooser;
  stopped: boolean;
  /** How many may still be taken, where nothing else decides. */
  left: number;
  waiting: Samples | undefined;
}

const one = (samples: Samples, index: number): Samples => pickSamples(samples, [index], false);

/** Blocks with only the samples that are taken. */
export async function* thinned(
  blocks: AsyncIterable<ValueBlock>,
  thinning: Thinning,
): AsyncGenerator<ValueBlock> {
  if (thinning.interval === 0 && thinning.count === Infinity) {
    yield* blocks;
    return;
  }
  let held: Held | undefined;
  /** The sample that waited, if it is taken. */
  const settle = (next: number | undefined): ValueBlock | undefined => {
    if (held === undefined || held.waiting === undefined) return undefined;
    const { request, waiting } = held;
    held.waiting = undefined;
    const verdict = held.choose(waiting.times[0] ?? 0, next);
    held.stopped = verdict === "stop";
    return verdict === "take" ? { ...waiting, request } : undefined;
  };
  for await (const block of blocks) {
    const { request, times } = block;
    if (times.length === 0) continue;
    if (held?.request !== request) {
      const last = settle(undefined);
      if (last !== undefined) yield last;
      held = {
        request,
        choose: chooser(thinning),
        stopped: false,
        left: thinning.count,
        waiting: undefined,
      };
    }
    // Without an interval only their number decides.
    if (thinning.interval === 0) {
      const { left } = held;
      held.left = Math.max(0, left - times.length);
      if (times.length <= left) yield block;
      else if (left > 0) yield { ...pickSamples(block, [...Array(left).keys()], false), request };
      continue;
    }
    const waited = settle(times[0]);
    if (waited !== undefined) yield waited;
    const chosen: number[] = [];
    const sure = times.length - 1;
    for (let index = 0; index < sure && !held.stopped; index++) {
      const verdict = held.choose(times[index] ?? 0, times[index + 1]);
      if (verdict === "take") chosen.push(index);
      held.stopped = verdict === "stop";
    }
    if (chosen.length > 0) yield { ...pickSamples(block, chosen, false), request };
    if (!held.stopped) held.waiting = one(block, sure);
  }
  const last = settle(undefined);
  if (last !== undefined) yield last;
}
