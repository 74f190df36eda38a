// Work of which little may be done at a time for one place, such as connecting to a pmcd: it holds few
// connections that it has not accepted, and lets the others wait for seconds. Those that wait for a place
// where nobody answers fail with the one that has found that out.

/** Turns of all places. */
export interface Turns {
  /**
   * Does `work` when it is its turn at `place`. When it fails with an error that is `hopeless` for
   * the place, so do all that wait there.
   */
  run<T>(place: string, work: () => Promise<T>, hopeless: (error: unknown) => boolean): Promise<T>;
}

interface Waiting {
  go(): void;
  fail(error: unknown): void;
}

interface Place {
  active: number;
  readonly waiting: Waiting[];
}

/** Turns of which `most` are taken at a time in each place. Who may wait is bounded by the caller. */
export function createTurns(most: number): Turns {
  const places = new Map<string, Place>();
  return {
    async run(name, work, hopeless) {
      const place = places.get(name) ?? { active: 0, waiting: [] };
      places.set(name, place);
      // Who is let go has the place of the one before.
      if (place.active < most) place.active += 1;
      else await new Promise<void>((go, fail) => place.waiting.push({ go, fail }));
      try {
        return await work();
      } catch (error) {
        if (hopeless(error)) for (const each of place.waiting.splice(0)) each.fail(error);
        throw error;
      } finally {
        const next = place.waiting.shift();
        if (next !== undefined) next.go();
        else {
          place.active -= 1;
          if (place.active === 0) places.delete(name);
        }
      }
    },
  };
}
