// Goal: what discovery knows of instances: their names and labels are fixed when their record is read, and
// another source is told of all instances that are there, whatever a record of changes names.
import { expect, test } from "bun:test";
import { decodeMeta, encodeMeta, META_TYPE, type MetaRecord } from "../../lib/archive/mod.ts";
import { exclusions } from "../../lib/discover/exclusions.ts";
import { hostLabels, readMetadata } from "../../lib/discover/known.ts";
import { asIndom, asInstance, parseLabels, PM_IN_NULL, PM_LABEL } from "../../lib/pcp/mod.ts";
import { at, indom, indomOf } from "../extract/archive-maker.ts";

const INDOM = asIndom(indomOf(1));

function labelled(type: number, ident: number, json: string): MetaRecord {
  const set = { ...parseLabels(json, type, asInstance(PM_IN_NULL)), error: 0 };
  return { kind: "labels", timestamp: at(0), type, ident, sets: [set] };
}

const TYPES = { indom: META_TYPE.INDOM, labels: META_TYPE.LABEL } as const;

test("after the labels of a source come, a record of changes tells of all instances", () => {
  const metadata = readMetadata(hostLabels("first"), exclusions({}));
  const read = (record: MetaRecord): boolean => {
    const bytes = encodeMeta(3, record);
    expect(decodeMeta(bytes).kind).toBe(record.kind);
    const isDelta = record.kind === "indom" && record.delta;
    const type = isDelta
      ? META_TYPE.INDOM_DELTA
      : TYPES[record.kind === "indom" ? "indom" : "labels"];
    return metadata.read(type, bytes, { file: "meta", offset: 0 });
  };
  const known = (inst: number) => metadata.known.instance(INDOM, asInstance(inst));
  read(
    indom(0, 1, [
      [1, "one"],
      [2, "two"],
      [3, "three"],
    ]),
  );
  read(labelled(PM_LABEL.DOMAIN, 100, '{"agent":"a"}'));
  read(
    indom(
      1,
      1,
      [
        [4, "four"],
        [3, undefined],
      ],
      true,
    ),
  );
  expect(known(1)?.identity).toBe('{"hostname":"first"}');
  expect(known(4)?.identity).toBe('{"agent":"a","hostname":"first"}');
  expect(read(labelled(PM_LABEL.CONTEXT, -1, '{"hostname":"second"}'))).toBe(true);
  expect(known(1)).toBe(undefined);
  read(
    indom(
      2,
      1,
      [
        [5, "five"],
        [2, undefined],
      ],
      true,
    ),
  );
  expect([1, 2, 3, 4, 5].map((inst) => known(inst)?.name)).toEqual([
    "one",
    undefined,
    undefined,
    "four",
    "five",
  ]);
  // Labels of domains are those of the source that is.
  expect(known(1)?.identity).toBe('{"hostname":"second"}');
});
