// Goal: derived metrics over an archive have the metadata, the values and the errors that libpcp of
// PCP 7.2 gives, forwards, backwards and interpolated, for hundreds of expressions. Where libpcp's
// answer is no answer (memory that was never written, instances matched by their place), ours is shown.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openArchives } from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { openArchiveContext, PM_MODE } from "../../lib/context/mod.ts";
import { withDerived } from "../../lib/context/derived.ts";
import { createDerivedSet } from "../../lib/derived/mod.ts";
import {
  type Pmid,
  PM_TYPE,
  pmExtractValue,
  pmInDomStr,
  pmUnitsStr,
  type ResultView,
} from "../../lib/pcp/mod.ts";
import { FOLDER, valuesRows } from "../derived/recorded.ts";
import { thrown } from "../helpers/rejected.ts";

const START = 1_000_000_000;
const MODES = { forw: PM_MODE.FORW, back: PM_MODE.BACK, interp: PM_MODE.INTERP } as const;
const ARCHIVE = join(FOLDER, "derived");
const archives = openArchives(ARCHIVE);

/** A context over the recorded archive with one derived metric. */
async function open(expression: string) {
  const set = createDerivedSet();
  set.define("der.x", expression);
  const told: string[] = [];
  const inner = await openArchiveContext(ARCHIVE, { env: {}, set: archives });
  const context = withDerived(inner, set, { warn: (message) => told.push(message) });
  // As when it was recorded: with a metric that is in every record.
  const { pmids } = await context.lookupNames(["der.x", "s.u32.instant"]);
  return { context, told, pmids };
}

/** The values of the first metric of a result, as the recording has them. */
function firstSet(result: ResultView): (string | number)[] {
  const set = result.sets();
  set.next();
  const row: (string | number)[] = [set.numval];
  for (let i = 0; i < set.numval; i++) {
    const value = pmExtractValue(set, i, set.valfmt === 0 ? typeOfWord : blockTypeOf(set, i));
    row.push(`${set.instance(i)}:${typeof value === "string" ? JSON.stringify(value) : value}`);
  }
  return row;
}
let typeOfWord: number = PM_TYPE.U32;
const blockTypeOf = (set: { view: DataView; block(i: number): number }, i: number): number =>
  set.view.getUint8(set.block(i));

/** Equal texts, or doubles that differ in their last digits alone: how often was rounded differs. */
function isClose(ours: string | number | undefined, theirs: string | number | undefined): boolean {
  if (ours === theirs) return true;
  if (typeof ours !== "string" || typeof theirs !== "string") return false;
  const [instance, value] = ours.split(":");
  const [other, expected] = theirs.split(":");
  const [a, b] = [Number(value), Number(expected)];
  return instance === other && (a === b || Math.abs(a - b) <= 1e-15 * Math.abs(b));
}

async function compare(row: (typeof valuesRows)[number]): Promise<string[]> {
  const [expression, mode, described, rows] = row;
  const { context, told, pmids } = await open(expression);
  const differing: string[] = [];
  const differ = (what: string, ours: unknown, theirs: unknown): void => {
    differing.push(`${expression} (${mode}) ${what}: ${String(ours)}, expected ${String(theirs)}`);
  };
  const [derived] = pmids as [Pmid];
  if (typeof described === "number") {
    const error: unknown = await context.desc(derived).catch((reason: unknown) => reason);
    const code = error instanceof PcpError ? error.code : 0;
    const message = told[0]?.replace("Semantic error: derived metric der.x: ", "");
    if (code !== described) differ("code", code, described);
    // libpcp has no name for an operand that is an expression here.
    if (message !== String(rows).replace("(null)", "<expr>")) differ("message", message, rows);
    return differing;
  }
  const { type, indom, sem, units } = await context.desc(derived);
  const desc = [type, pmInDomStr(indom), sem, pmUnitsStr(units)].join();
  if (desc !== described.join()) differ("descriptor", desc, described);
  typeOfWord = type;
  const at = { sec: START + (mode === "back" ? 14 : 0), nsec: 0 };
  context.setMode(MODES[mode], at, { sec: 0, nsec: mode === "interp" ? 700_000_000 : 0 });
  for (const expected of rows as readonly (number | readonly (string | number)[])[]) {
    if (typeof expected === "number") {
      const error: unknown = await context.fetch(pmids).catch((reason: unknown) => reason);
      const code = error instanceof PcpError ? error.code : 0;
      if (code !== expected) differ("end", code, expected);
      break;
    }
    const { result } = await context.fetch(pmids);
    const [time, ...values] = expected;
    const ours = firstSet(result);
    if (ours.length !== values.length || !ours.every((value, i) => isClose(value, values[i]))) {
      differ(`at ${time}`, ours, values);
    }
  }
  await context.close();
  return differing;
}

describe("as libpcp", () => {
  test("metadata, values and errors", async () => {
    const differing: string[] = [];
    for (const row of valuesRows) differing.push(...(await compare(row)));
    expect(differing).toEqual([]);
    expect(valuesRows.length).toBeGreaterThan(1000);
  }, 300_000);
});

/** All values of a metric, sample by sample. */
async function samples(expression: string): Promise<(string | number)[][]> {
  const { context, pmids } = await open(expression);
  typeOfWord = (await context.desc(pmids[0] as Pmid)).type;
  const rows: (string | number)[][] = [];
  for (let i = 0; i < 7; i++) rows.push(firstSet((await context.fetch(pmids)).result));
  await context.close();
  return rows;
}

describe("other than libpcp", () => {
  test.each([
    ["no smallest value of none", "min(isparse)", 0, [0]],
    ["a rate times a time of another scale", "u.bps*u.min", 0, [1, "-1:60000000"]],
    ["not, of a double", "!s.double.instant", 5, [1, "-1:1"]],
    ["a text chosen", "s.u32.instant?s.string.instant:s.string.instant", 4, [1, '-1:"x y"']],
    ["change of one instance", "delta(i.u32.counter[red])", 3, [1, "0:7"]],
    [
      "a guard by instance",
      "isparse>1?s.u32.instant:i.u32.instant",
      1,
      [2, "0:4294967290", "20:4294967290"],
    ],
    ["operands by instance", "i.u32.instant>10?isparse:i.u32.instant", 2, [2, "0:3", "20:4"]],
    [
      "no value for an instance",
      "i.u32.instant>10?novalue():i.u32.instant",
      3,
      [2, "0:10", "20:0"],
    ],
  ] as const)("%s", async (_, expression, at, expected) => {
    const ours = (await samples(expression))[at] ?? [];
    expect(ours.map(String)).toEqual(expected.map(String));
  });
  test("not, of a text, is refused", async () => {
    const { context, pmids, told } = await open("!s.string.instant");
    expect(await thrown(context.desc(pmids[0] as Pmid))).toThrow("Non-arithmetic operand");
    expect(told).toHaveLength(1);
    await context.close();
  });
});
