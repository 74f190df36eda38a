// Goal: recorded command lines of pmseries, in their order over the key server that they were recorded from,
// print what the real program printed: identifiers, values, functions, operators, metadata, messages.
import { describe, expect, test } from "bun:test";
import type { SeriesStore } from "../../lib/series/mod.ts";
import { dumpStore, numberStore } from "./dump-store.ts";
import {
  AWKWARD,
  awkwardLines,
  replay,
  TWO_ARCHIVE_LINES,
  TWO_ARCHIVES,
  twoArchiveLines,
} from "./recorded-lines.ts";

/** Values as a key server has them, and as archives have them: the answers are the same. */
describe.each([
  ["texts", (store: SeriesStore): SeriesStore => store],
  ["numbers", numberStore],
])("values as %s", (_, as) => {
  test("command lines over two archives", async () => {
    expect(await replay(as(dumpStore(TWO_ARCHIVES)), twoArchiveLines)).toBe(TWO_ARCHIVE_LINES);
  });

  test("command lines over awkward names, labels and values", async () => {
    expect(await replay(as(dumpStore(AWKWARD)), awkwardLines)).toBe(awkwardLines.length);
  });
});
