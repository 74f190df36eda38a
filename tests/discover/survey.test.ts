// Goal: a survey that keeps few of the metadata records says the same of an archive as one that keeps all.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Survey, surveyArchive } from "../../lib/catalogue/survey.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");

const said = ({ series, source, texts }: Survey) => ({ series, source, texts });

test.each(["v2-dyn", "v3-dyn-721", "v3-dyn", "v3-types", "v3-labels-721"])(
  "%s: with and without its instance domain records",
  (name) => {
    const path = join(ARCHIVES, name);
    const all = surveyArchive(path, { dataBytes: 0 });
    const few = surveyArchive(path, { dataBytes: 0, indomBytes: 0 });
    expect(all.complete).toBe(false);
    expect(said(few)).toEqual(said(all));
    // Data that were looked at tell of instances in their own order, of all that are named.
    const ids = ({ series }: Survey) =>
      series.map(({ id, instances }) => [id, instances.map((each) => each.id).sort()]).sort();
    const looked = surveyArchive(path, { indomBytes: 0 });
    expect(ids(looked)).toEqual(ids(few));
  },
);
