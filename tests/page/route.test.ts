// Goal: the address of the page is its state. What is written is read back the same, for all names of
// hosts, metrics and instances; what comes from elsewhere is bounded and never breaks anything.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  hasChart,
  INTERVALS,
  MAX_CHARTS,
  MAX_HOSTS,
  readRoute,
  SPANS,
  VIEWS,
  withChart,
  withoutChart,
  writeRoute,
} from "../../lib/page/ui/route.ts";
import { LAST } from "../../lib/page/ui/past-range.ts";
import { FIRST_PAST } from "../../lib/page/ui/past-state.ts";

const first = readRoute("");

test("without anything, the own host and no charts", () => {
  expect(first).toEqual({
    view: "live",
    hosts: ["localhost"],
    host: "localhost",
    charts: [],
    every: 1,
    span: 300,
    past: FIRST_PAST,
  });
  expect(writeRoute(first)).toBe("#live");
});

test("an address that people can read", () => {
  const text = "#live?every=5&h=db1%3A44321&m=disk.dev.read&i=sda&i=sdb&m=kernel.all.load";
  const state = readRoute(text);
  expect(state).toMatchObject({
    hosts: ["db1:44321"],
    every: 5,
    charts: [
      { host: "db1:44321", metric: "disk.dev.read", instances: ["sda", "sdb"] },
      { host: "db1:44321", metric: "kernel.all.load", instances: undefined },
    ],
  });
  expect(writeRoute(state)).toBe(text);
});

test("what is written is read back", () => {
  const name = fc
    .string({ unit: "binary", minLength: 1, maxLength: 12 })
    .filter((text) => text.isWellFormed());
  const hosts = fc.uniqueArray(name, { minLength: 1, maxLength: 4 });
  const state = hosts.chain((list) =>
    fc.record({
      view: fc.constantFrom(...VIEWS),
      hosts: fc.constant(list),
      host: fc.constantFrom(...list),
      charts: fc.array(
        fc.record({
          host: fc.constantFrom(...list),
          metric: name,
          instances: fc.option(fc.uniqueArray(name, { maxLength: 3 }), { nil: undefined }),
        }),
        { maxLength: 5 },
      ),
      every: fc.constantFrom(...INTERVALS),
      span: fc.constantFrom(...SPANS),
      past: fc.record({
        origin: fc.oneof(fc.constant(""), name),
        metric: fc.oneof(fc.constant(""), name),
        lines: fc.option(fc.uniqueArray(name, { maxLength: 3 }), { nil: undefined }),
        query: fc.option(
          name.filter((text) => text.trim() !== ""),
          { nil: undefined },
        ),
        range: fc.oneof(
          fc.constant({ kind: "all" } as const),
          fc.constantFrom(...LAST).map(([seconds]) => ({ kind: "last", seconds }) as const),
          fc
            .tuple(fc.nat(2_000_000_000), fc.integer({ min: 2, max: 1e9 }))
            .map(([from, length]) => ({ kind: "between", from, to: from + length }) as const),
        ),
        follow: fc.boolean(),
      }),
    }),
  );
  fc.assert(
    fc.property(state, (each) => {
      expect(readRoute(writeRoute(each))).toEqual(each);
    }),
    { seed: 5, numRuns: 100 },
  );
});

test("any address is read, within the bounds", () => {
  const many = `#live?${Array.from({ length: 500 }, (_, n) => `h=h${n}&m=m${n}&i=a`).join("&")}`;
  const state = readRoute(many);
  expect(state.charts.length).toBeLessThanOrEqual(MAX_CHARTS);
  expect(state.hosts.length).toBeLessThanOrEqual(MAX_HOSTS);
  expect(state.charts.every(({ host }) => state.hosts.includes(host))).toBe(true);
  expect(readRoute("#nowhere?every=7&span=x&i=lost&list=gone")).toEqual(first);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
      const read = readRoute(text);
      expect(read.hosts).toContain(read.host);
    }),
    { seed: 6, numRuns: 300 },
  );
});

test("charts are added once, and taken away", () => {
  const once = withChart(first, "localhost", "a");
  expect(hasChart(once, "localhost", "a")).toBe(true);
  expect(withChart(once, "localhost", "a")).toBe(once);
  expect(withoutChart(once, "localhost", "a").charts).toEqual([]);
  let full = first;
  for (let n = 0; n < 2 * MAX_CHARTS; n++) full = withChart(full, "localhost", `m${n}`);
  expect(full.charts.length).toBe(MAX_CHARTS);
});
