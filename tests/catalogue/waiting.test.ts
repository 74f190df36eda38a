// Goal: values that wait for readers are bounded in all walks over archives together, however many readers
// there are and however slowly they read; what is told is the same with little room, and nothing is
// accounted for any more when it was told or nobody wants it.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { archiveShelf } from "../../lib/catalogue/shelf.ts";
import { archiveValues, type HeldRequest } from "../../lib/catalogue/values.ts";
import { pmidBuild } from "../../lib/pcp/mod.ts";
import { numbersOf } from "../../lib/series/column.ts";
import type { ValueBlock } from "../../lib/series/store.ts";
import { makeSeconds, START } from "../bench/archive-make.ts";
import { privateFolder } from "../helpers/process.ts";

const METRICS = 300;
const SECONDS = 200;
const VALUES = METRICS * SECONDS;
/** What a walk may have beyond the bound: its least, and what comes between two looks. */
const BESIDE = 2 * 16_384;

/** Requests for all metrics of an archive with `instances` values each. */
function archiveOf(instances: number, seconds: number): readonly HeldRequest[] {
  const path = join(privateFolder("waiting"), "a");
  makeSeconds(path, seconds, METRICS, instances);
  const ids = Array.from({ length: instances }, (_, at) => String(at).repeat(40));
  const slots = { places: new Map(ids.map((_, at) => [at, at])), ids };
  return Array.from({ length: METRICS }, (_, index) => ({
    index,
    request: { series: "f".repeat(40), from: 0, to: Infinity },
    type: "u64",
    holdings: [
      {
        path,
        stamp: "",
        begin: START * 1e6,
        end: undefined,
        pmid: pmidBuild(60, 0, index),
        slots: instances === 1 ? undefined : slots,
      },
    ],
  }));
}

const rowsOf = ({ request, times, ends, places, instances, values }: ValueBlock) => ({
  request,
  times: [...times],
  ends: [...ends],
  places: [...places],
  instances: [...instances],
  numbers: [...numbersOf(values)],
});

async function told(requests: readonly HeldRequest[], most?: number) {
  const shelf = archiveShelf({}, most);
  const rows: ReturnType<typeof rowsOf>[] = [];
  let peak = 0;
  for await (const block of archiveValues(requests, shelf)) {
    peak = Math.max(peak, shelf.waiting);
    rows.push(rowsOf(block));
  }
  expect(shelf.waiting).toBe(0);
  return { rows, peak };
}

test("little room changes nothing but the number of walks", async () => {
  const plain = archiveOf(1, SECONDS);
  const roomy = await told(plain);
  expect(roomy.rows.map(({ request }) => request)).toEqual(plain.map(({ index }) => index));
  expect(roomy.rows.reduce((sum, { numbers }) => sum + numbers.length, 0)).toBe(VALUES);
  expect(roomy.peak).toBeGreaterThan(VALUES / 2);
  const tight = await told(plain, 1);
  expect(tight.rows).toEqual(roomy.rows);
  expect(tight.peak).toBeLessThan(BESIDE);

  const wide = archiveOf(3, SECONDS / 4);
  const [one] = (await told(wide, 1)).rows;
  expect(one?.ends.slice(0, 3)).toEqual([3, 6, 9]);
  expect(one?.places.slice(0, 4)).toEqual([0, 1, 2, 0]);
  expect(await told(wide, 1)).toMatchObject({ rows: (await told(wide)).rows });
});

test("readers who do not read hold a bounded number of values together", async () => {
  const requests = archiveOf(1, SECONDS);
  const shelf = archiveShelf({}, VALUES);
  const readers = Array.from({ length: 12 }, () => archiveValues(requests, shelf));
  for (const reader of readers) expect((await reader.next()).done).toBe(false);
  // Without a bound: all values for each of them.
  expect(shelf.waiting).toBeLessThan(VALUES + readers.length * BESIDE);
  for (const reader of readers) await reader.return(undefined);
  expect(shelf.waiting).toBe(0);
});
