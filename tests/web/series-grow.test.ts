// Goal: questions that wait for room in the middle of their answers never wait for each other: who waits to
// grow gives its turn away, both sides of an operator have one place together, what is held by those who
// wait keeps nobody from growing, and is bounded itself; whoever goes leaves nothing behind.
import { expect, test } from "bun:test";
import { PcpError } from "../../lib/base/mod.ts";
import {
  Abandoned,
  createWorkplace,
  DEFAULT_SERIES_LIMITS,
  Larger,
  type SeriesLimits,
  type Work,
  type Workplace,
} from "../../lib/web/series-work.ts";
import { type Random, seeded } from "../fuzz/random.ts";

/** 500 bytes are a share. */
const LIMITS: SeriesLimits = {
  ...DEFAULT_SERIES_LIMITS,
  requests: 4,
  streams: 8,
  memory: 8000,
  waitMs: 300_000,
};
const MORE = 1000;

const place = (limits: Partial<SeriesLimits> = {}): Workplace =>
  createWorkplace(() => ({ ...LIMITS, ...limits }));

const begin = async (all: Workplace, peer: string, gone = () => false): Promise<Work> =>
  all.begin({ peer, gone });

/** A question whose answer has begun; it has its turn. */
async function answering(all: Workplace, peer: string, gone?: () => boolean): Promise<Work> {
  const work = await begin(all, peer, gone);
  work.stream();
  return work;
}

/** What a question throws that has no place to grow. */
function refused(work: Work, bytes: number): Larger {
  try {
    void work.hold(bytes);
  } catch (error) {
    if (error instanceof Larger) return error;
    throw error;
  }
  throw new Error("not refused");
}

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const EMPTY = { requests: 0, waiting: 0, streams: 0, held: 0 };

test("who has the place to grow gets a turn although all others wait to grow", async () => {
  const all = place();
  const first = await begin(all, "a");
  expect(first.hold(MORE)).toBeUndefined();
  const second = await begin(all, "b");
  const again = second.again(refused(second, MORE));
  // All turns are those of answers that have begun and wait to grow.
  const others = await Promise.all(["b", "b", "c"].map((peer) => answering(all, peer)));
  const grown = others.map(async (work) => {
    await work.hold(MORE);
    work.done();
  });
  first.done();
  await again;
  expect(second.hold(MORE)).toBeUndefined();
  second.done();
  await Promise.all(grown);
  expect(all.status()).toEqual(EMPTY);
});

test("both sides of an operator grow in one place", async () => {
  const all = place();
  const first = await begin(all, "a");
  expect(first.hold(MORE)).toBeUndefined();
  const work = await answering(all, "b");
  const sides = [work.hold(MORE), work.hold(MORE)];
  expect(all.status()).toMatchObject({ requests: 1, waiting: 1 });
  first.settled();
  await Promise.all(sides);
  expect(all.status()).toMatchObject({ requests: 2, waiting: 0 });
  work.settled();
  // Nothing of it has the place any more.
  expect(first.hold(MORE)).toBeUndefined();
  first.done();
  work.done();
  expect(all.status()).toEqual(EMPTY);
});

test("one that begins anew asks for a place once, whichever of its sides lacked it", async () => {
  const all = place();
  const first = await begin(all, "a");
  expect(first.hold(MORE)).toBeUndefined();
  const work = await begin(all, "b");
  const larger = refused(work, MORE);
  refused(work, MORE);
  expect(all.status()).toMatchObject({ waiting: 1 });
  first.done();
  await work.again(larger);
  expect(work.hold(MORE)).toBeUndefined();
  work.settled();
  const third = await begin(all, "c");
  expect(third.hold(MORE)).toBeUndefined();
  third.done();
  work.done();
  expect(all.status()).toEqual(EMPTY);
});

test("what those hold who wait to grow keeps nobody from growing, and is bounded", async () => {
  const all = place();
  const first = await answering(all, "a");
  expect(first.hold(LIMITS.memory - MORE)).toBeUndefined();
  const others = [await answering(all, "b"), await answering(all, "c")];
  const waiting = others.map((work) => work.hold(3 * MORE));
  expect(all.status()).toMatchObject({ requests: 1, waiting: 2 });
  // More than there is, all together.
  expect(first.hold(MORE)).toBeUndefined();
  const last = await answering(all, "d");
  expect(() => last.hold(3 * MORE)).toThrow(PcpError);
  last.done();
  first.done();
  await waiting[0];
  others[0]?.done();
  await waiting[1];
  others[1]?.done();
  expect(all.status()).toEqual(EMPTY);
});

test("who waits for memory gives its turn to those who hold it", async () => {
  const all = place({ requests: 1 });
  const first = await begin(all, "a");
  expect(first.hold(LIMITS.memory)).toBeUndefined();
  first.settled();
  first.stream();
  first.rest();
  const second = await answering(all, "a");
  const grown = second.hold(MORE);
  // The client has taken something.
  await first.resume();
  void first.hold(-LIMITS.memory);
  first.done();
  await grown;
  expect(all.status()).toMatchObject({ requests: 1, held: MORE });
  second.done();
  expect(all.status()).toEqual(EMPTY);
});

test("who goes while it waits to grow leaves nothing behind", async () => {
  const all = place();
  const first = await begin(all, "a");
  expect(first.hold(MORE)).toBeUndefined();
  let isGone = false;
  const work = await answering(all, "b", () => isGone);
  const grown = Promise.resolve(work.hold(MORE)).catch((error: unknown) => error);
  isGone = true;
  work.done();
  first.done();
  expect(await grown).toBeInstanceOf(Abandoned);
  expect(all.status()).toEqual(EMPTY);
});

/** One question with turns of fortune: gathers on some sides, tells, waits for its client, gathers again. */
async function question(all: Workplace, peer: string, random: Random): Promise<void> {
  let work: Work | undefined;
  let again = true;
  const isGone = random.below(8) === 0;
  let steps = 0;
  const hold = async (on: Work): Promise<number> => {
    let held = 0;
    for (let left = random.below(4); left > 0; left--) {
      const bytes = 1 + random.below(MORE);
      await on.hold(bytes);
      held += bytes;
      await later();
    }
    return held;
  };
  try {
    work = await begin(all, peer, () => isGone && steps > 2);
    while (again) {
      again = false;
      try {
        if (random.below(3) === 0) work.expect(random.below(2 * MORE));
        for (let phases = 1 + random.below(3); phases > 0; phases--) {
          steps++;
          // As operators do: both sides end before a failure is told.
          const sides = await Promise.allSettled([hold(work), hold(work)]);
          let held = 0;
          for (const side of sides) {
            if (side.status === "rejected") throw side.reason;
            held += side.value;
          }
          work.settled();
          work.stream();
          work.rest();
          await later();
          await work.resume();
          void work.hold(-held);
        }
      } catch (error) {
        if (!(error instanceof Larger)) throw error;
        await work.again(error);
        again = true;
      }
    }
  } catch (error) {
    if (!(error instanceof PcpError || error instanceof Abandoned)) throw error;
  } finally {
    work?.done();
  }
}

test("whatever questions do, all of them come to their end", async () => {
  for (let seed = 0; seed < 250; seed++) {
    const random = seeded(seed);
    const all = place({
      requests: 1 + random.below(5),
      streams: 2 + random.below(6),
      memory: 3 * MORE + random.below(5 * MORE),
    });
    const peers = 1 + random.below(4);
    const questions = Array.from({ length: 40 }, () =>
      question(all, String(random.below(peers)), random),
    );
    await Promise.all(questions);
    expect(all.status()).toEqual(EMPTY);
  }
}, 300_000);
