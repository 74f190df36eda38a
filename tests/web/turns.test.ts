// Goal: little is done at a time for one place, in order, others unharmed; a place where nobody answers
// fails those that wait there at once, and is forgotten.
import { expect, test } from "bun:test";
import { createTurns } from "../../lib/web/turns.ts";

const never = (): boolean => false;

test("at most so many at a time in one place, in order; other places do not wait", async () => {
  const turns = createTurns(2);
  const begun: string[] = [];
  const gates = new Map<string, () => void>();
  const start = (place: string, name: string) =>
    turns.run(
      place,
      () => {
        begun.push(name);
        return new Promise<string>((resolve) => gates.set(name, () => resolve(name)));
      },
      never,
    );
  const all = ["a", "b", "c", "d"].map((name) => start("x", name));
  const other = start("y", "e");
  expect(begun).toEqual(["a", "b", "e"]);
  gates.get("b")?.();
  expect(await all[1]).toBe("b");
  await Bun.sleep(0);
  expect(begun).toEqual(["a", "b", "e", "c"]);
  for (const name of ["a", "c", "e"]) gates.get(name)?.();
  await Promise.all([all[0], all[2], other]);
  gates.get("d")?.();
  expect(await all[3]).toBe("d");
});

test("one failure is its own; a hopeless one is that of all who wait", async () => {
  const turns = createTurns(1);
  const fails = (text: string, isHopeless: boolean) => () =>
    turns.run(
      "x",
      () => Promise.reject(new Error(text)),
      () => isHopeless,
    );
  const told = (work: () => Promise<unknown>) => work().catch((error: unknown) => String(error));
  const works = [fails("first", false), fails("second", true), fails("third", false)];
  expect(await Promise.all(works.map(told))).toEqual([
    "Error: first",
    "Error: second",
    "Error: second",
  ]);
  expect(await turns.run("x", async () => "fine", never)).toBe("fine");
});
