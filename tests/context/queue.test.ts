// Goal: the order of calls on a context: one at a time, changes between them in their turn, a bounded
// number that waits, an end with a reason; and over archives that what is changed while a call is
// under way, or waits, counts from that place on.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { createPacer } from "../../lib/context/pace.ts";
import { createCallQueue } from "../../lib/context/queue.ts";
import { PM_MODE } from "../../lib/context/types.ts";
import { asInstance, type Pmid } from "../../lib/pcp/mod.ts";
import { rejected } from "../helpers/rejected.ts";

const GONE = new PcpError(PM_ERR.NOCONTEXT, "gone");

test("calls and changes come one after the other, the first at once", async () => {
  const queue = createCallQueue();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  queue.note(() => order.push("change at once"));
  const first = queue.run(async () => {
    order.push("first begins");
    await gate.promise;
    order.push("first ends");
    return 1;
  });
  expect(order).toEqual(["change at once", "first begins"]);
  expect(queue.idle).toBe(false);
  queue.note(() => order.push("change"));
  const second = queue.run(() => order.push("second"));
  const third = queue.run(() => {
    throw GONE;
  });
  const fault = third.catch((error: unknown) => error);
  gate.resolve();
  expect(await first).toBe(1);
  expect(await second).toBe(5);
  expect(await fault).toBe(GONE);
  expect(order.slice(2)).toEqual(["first ends", "change", "second"]);
  // Who hears of the end of a call finds the queue idle.
  expect(queue.idle).toBe(true);
});

test("a change that fails in its turn is told by the call after it, one made at once to its caller", async () => {
  const queue = createCallQueue();
  const fault = new PcpError(PM_ERR.TOOBIG);
  const fail = (): never => {
    throw fault;
  };
  expect(() => queue.note(fail)).toThrow(fault);
  const first = queue.run(async () => "fine");
  queue.note(fail);
  const second = queue.run(() => "not run");
  const third = queue.run(() => "run");
  const told = second.catch((error: unknown) => error);
  expect(await first).toBe("fine");
  expect(await told).toBe(fault);
  expect(await third).toBe("run");
});

test("what waits is bounded, calls and changes alike", async () => {
  const queue = createCallQueue(3);
  const gate = Promise.withResolvers<void>();
  const served = queue.run(() => gate.promise);
  const waiting = [queue.run(() => 1), queue.run(() => 2)];
  queue.note(() => undefined);
  expect(await rejected(queue.run(() => 4))).toMatchObject({ code: PM_ERR.TOOBIG });
  expect(() => queue.note(() => undefined)).toThrow("wait for this context already");
  gate.resolve();
  await served;
  expect(await Promise.all(waiting)).toEqual([1, 2]);
  expect(await queue.run(() => 5)).toBe(5);
});

test("the end fails what waits and what is served, and waits for its work", async () => {
  const queue = createCallQueue();
  const gate = Promise.withResolvers<void>();
  let over = false;
  const calls = [
    queue.run(async () => {
      await gate.promise;
      over = true;
    }),
    queue.run(() => expect.unreachable()),
  ];
  const settled = Promise.allSettled(calls);
  const closed = queue.close(GONE);
  expect((await settled).map((each) => each.status === "rejected" && each.reason === GONE)).toEqual(
    [true, true],
  );
  expect(over).toBe(false);
  gate.resolve();
  await closed;
  expect(over).toBe(true);
  expect(await rejected(queue.run(() => 1))).toBe(GONE);
  expect(() => queue.note(() => undefined)).toThrow(GONE);
  expect(queue.closed).toBe(GONE);
});

test("thousands of calls wait in order", async () => {
  const queue = createCallQueue(5000);
  const seen: number[] = [];
  await Promise.all(
    Array.from({ length: 5000 }, (_, i) => queue.run(async () => void seen.push(i))),
  );
  expect(seen).toEqual(Array.from({ length: 5000 }, (_, i) => i));
  const fails = Array.from({ length: 5000 }, () =>
    queue.run(() => {
      throw GONE;
    }),
  );
  const ends = await Promise.allSettled(fails);
  expect(ends.every(({ status }) => status === "rejected")).toBe(true);
});

test("many short calls let others have their turn", async () => {
  const pacer = createPacer(() => undefined);
  let turns = 0;
  const others = setImmediate(() => turns++);
  const limit = performance.now() + 30_000;
  while (turns === 0 && performance.now() < limit) await pacer.tick();
  clearImmediate(others);
  expect(turns).toBe(1);
});

test("over an archive a profile counts for the calls after it, not for those before", async () => {
  const path = join(import.meta.dir, "../fixtures/archives/gen/interp-v3");
  const context = await openArchiveContext(path, { env: {} });
  const { pmids } = await context.lookupNames(["inst.instant"]);
  const { indom } = await context.desc(pmids[0] as Pmid);
  const fetched = async (): Promise<number[]> => {
    const { result } = await context.fetch(pmids);
    const set = result.sets();
    set.next();
    return Array.from({ length: set.numval }, (_, i) => set.instance(i));
  };
  const [found = 0] = await fetched();
  context.setMode(PM_MODE.FORW, context.label().start);
  const before = fetched();
  context.setMode(PM_MODE.FORW, context.label().start);
  const again = fetched();
  context.deleteProfile(indom);
  context.setMode(PM_MODE.FORW, context.label().start);
  const none = fetched();
  context.addProfile(indom, [asInstance(found)]);
  context.setMode(PM_MODE.FORW, context.label().start);
  const one = fetched();
  expect((await before)[0]).toBe(found);
  expect(await again).toEqual(await before);
  expect(await none).toEqual([]);
  expect(await one).toEqual([found]);
  await context.close();
});
