// Goal: metadata and windows of given series are those of PCP where it answers, nothing where it crashes, and
// what cannot be read is refused with its message.
import { describe, expect, test } from "bun:test";
import { UTC } from "../../lib/pcp/mod.ts";
import {
  allNames,
  checkedSeries,
  describeSeries,
  evaluateQuery,
  instancesOfSeries,
  type LookupOptions,
  namesOfSeries,
  parseQuery,
  readWindow,
  type SeriesStore,
  stampText,
  type TimeSpec,
  valuesInWindow,
  type WindowTexts,
} from "../../lib/series/mod.ts";
import edgeDump from "../fixtures/series/edge.dump-7.2.1.json";
import zeroDump from "../fixtures/series/zero_disk_activity.dump-7.2.1.json";
import { type Dump, dumpStore } from "./dump-store.ts";
import { thrown } from "../helpers/rejected.ts";

const options: LookupOptions = { now: { sec: 1_800_000_000, nsec: 0 }, zone: UTC };
const newStore = (): SeriesStore =>
  dumpStore([zeroDump, edgeDump].map((dump) => dump as unknown as Dump));
const READ = "3b38a928777fc3f8cb62e5993c370295dccdce63";
const NOTHING = "f".repeat(40);

async function fabricated(store: SeriesStore, text: string): Promise<string> {
  const { ids } = await evaluateQuery(store, parseQuery(text, options), options);
  return ids[0] ?? "";
}

/** Each sample as series and time. */
async function window(
  store: SeriesStore,
  series: readonly string[],
  times: TimeSpec,
): Promise<string[]> {
  const lines: string[] = [];
  for await (const block of valuesInWindow(store, series, times, options))
    for (const time of block.times) lines.push(`${block.series.slice(0, 4)} ${stampText(time)}`);
  return lines;
}

describe("windows as parameters", () => {
  const messageOf = (texts: WindowTexts): string => {
    try {
      readWindow(texts, options);
      return "";
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
  };
  test.each<[WindowTexts, string]>([
    [{ interval: "xyz" }, "Cannot parse time delta with pmParseInterval:\nxyz\n^ -- "],
    [{ range: "xyz" }, "Cannot parse time range with pmParseInterval:\nxyz\n^ -- "],
    [{ start: "bad" }, "Cannot parse time start with __pmtimespecParse:\nbad\n^ -- "],
    [{ finish: "bad" }, "Cannot parse time end with __pmtimespecParse:\nbad\n^ -- "],
    [{ align: "bad" }, "Cannot parse time align with __pmtimespecParse:\nbad\n^ -- "],
    [{ count: "abc" }, "Invalid sample count requested - abc"],
    [{ offset: "x" }, "Invalid sample offset requested - x"],
    [{ zone: "no such zone" }, "Cannot parse timezone with pmNewZone:\nno such zone - "],
    [{ interval: "2min", start: "1531404682", count: "3", zone: "EST5EDT" }, ""],
  ])("%j", (texts, wanted) => {
    if (wanted === "") expect(messageOf(texts)).toBe("");
    else expect(messageOf(texts)).toStartWith(wanted);
  });

  test.each<[string, number | undefined]>([
    ["", 0],
    [" +7", 7],
    ["010", 10],
    ["-1", 2 ** 32 - 1],
    ["-3", 2 ** 32 - 3],
    ["4294967296", 0],
    ["9".repeat(30), 2 ** 32 - 1],
    ["0x2", undefined],
    ["3 ", undefined],
    ["1.5", undefined],
  ])("a number of samples as strtoul(3) reads it: '%s'", (text, wanted) => {
    if (wanted === undefined)
      expect(messageOf({ offset: text })).toBe(`Invalid sample offset requested - ${text}`);
    else
      expect(readWindow({ count: text, offset: text }, options)).toEqual({
        count: wanted,
        offset: wanted,
      });
  });

  test("numbers are seconds, texts are of the zone", () => {
    expect(readWindow({ start: "1531404682.5" }, options).start?.at).toEqual({
      sec: 1_531_404_682,
      nsec: 500_000_000,
    });
    const texts = { start: "2018-07-12 10:11:20", zone: "EST5EDT" };
    expect(readWindow(texts, options).start?.at.sec).toBe(1_531_404_680);
  });
});

test("identifiers are hexadecimal in pairs, and longer ones are cut", () => {
  expect(() => checkedSeries("zz")).toThrow("Invalid SID zz near offset 0");
  expect(() => checkedSeries("12")).toThrow("Invalid SID 12 near offset 2");
  expect(() => checkedSeries(`${"0".repeat(39)}g`)).toThrow("near offset 38");
  expect(checkedSeries(`${READ.toUpperCase()}ab`)).toBe(READ);
});

test("a window without bounds is the latest value; fabricated series come last", async () => {
  const store = newStore();
  const rate = await fabricated(store, "rate(disk.dev.total_bytes)");
  expect(await window(store, [READ], {})).toEqual(["3b38 1531404722094.320"]);
  expect(await window(store, [NOTHING], {})).toEqual([]);
  const times = readWindow({ start: "1531404710", interval: "1sec" }, options);
  expect(await window(store, [rate, NOTHING, READ], times)).toEqual([
    "3b38 1531404712098.651",
    "3b38 1531404722094.320",
    // The start is only where the steps begin: the sample before the first one counts.
    `${rate.slice(0, 4)} 1531404712098.651`,
    `${rate.slice(0, 4)} 1531404722094.320`,
  ]);
  const bad = valuesInWindow(store, ["12"], {}, options).next();
  expect(await thrown(bad)).toThrow("Invalid SID");
});

test("values of a fabricated series leave its descriptor as values have it", async () => {
  const store = newStore();
  const sum = await fabricated(store, "disk.all.read + disk.all.read");
  const [before] = await store.descriptors([sum]);
  await window(store, [sum], {});
  const [after] = await store.descriptors([sum]);
  expect([before?.type, after?.type]).toEqual(["u64", "U64"]);
});

test("fabricated series: names, instances, and none where their metrics have none", async () => {
  const store = newStore();
  const disks = await fabricated(store, "max(disk.dm.write)");
  const plain = await fabricated(store, "2 * disk.all.read");
  const sums = await fabricated(store, "sum_sample(disk.dm.write)");
  const ids = [disks, plain, sums, NOTHING];
  expect(await namesOfSeries(store, ids)).toEqual([
    ["max(disk.dm.write)"],
    ["2*disk.all.read"],
    ["sum_sample(disk.dm.write)"],
    [],
  ]);
  const instances = await instancesOfSeries(store, ids, options);
  expect(instances.map((list) => list.map(({ inst, name }) => [inst, name]))).toEqual([
    [
      [0, "fedora-root"],
      [1, "fedora-swap"],
    ],
    [],
    [],
    [],
  ]);
});

test("what is unknown, and names that fit", async () => {
  const store = newStore();
  expect(await describeSeries(store, [NOTHING])).toEqual([
    {
      indom: "unknown",
      pmid: "PM_ID_NULL",
      semantics: "unknown",
      source: "unknown",
      type: "unknown",
      units: "unknown",
    },
  ]);
  const names = await allNames(store, "instance", "*a[12]");
  expect(names.toSorted()).toEqual(["vda1", "vda2"]);
  expect(await allNames(store, "label", "nosuch*")).toEqual([]);
});

test("a store is asked for no more samples than can be told", async () => {
  const inner = newStore();
  const asked: unknown[] = [];
  const store: SeriesStore = {
    ...inner,
    values: (requests) => {
      asked.push(...requests.map(({ most, newest }) => [newest, most]));
      return inner.values(requests);
    },
  };
  const start = { text: "0", at: { sec: 0, nsec: 1000 } };
  const interval = { text: "1", span: { negative: false, sec: 1, nsec: 0 } };
  const all = await window(store, [READ], { start });
  expect(await window(store, [READ], { start, count: 2 })).toEqual(all.slice(0, 2));
  await window(store, [READ], { start, count: 2, interval });
  await window(store, [READ], { count: 2 });
  expect(asked).toEqual([
    [undefined, undefined],
    [undefined, 2],
    [undefined, undefined],
    [2, 2],
  ]);
});
