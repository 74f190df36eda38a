// Goal: long work gives way: between any two pieces of it, of whatever work, sockets and timers have their turn.
import { expect, test } from "bun:test";
import { slices, turn } from "../../lib/base/mod.ts";

test("work goes on in the order in which it stood back, one piece a turn", async () => {
  const order: string[] = [];
  const work = async (name: string): Promise<void> => {
    for (let piece = 0; piece < 3; piece++) {
      await turn();
      order.push(name);
    }
  };
  let immediates = 0;
  let isOver = false;
  const look = (): void => {
    immediates++;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await Promise.all(["a", "b", "c"].map(work));
  isOver = true;
  expect(order).toEqual(["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
  expect(immediates).toBeGreaterThanOrEqual(9);
});

test("short work is not held up", () => {
  const pause = slices();
  expect(pause()).toBeUndefined();
});
