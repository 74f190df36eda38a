// Goal: every recorded query is a query, or is refused with the message and the caret of PCP's own
// parser; trees say what was written; a parser of strange texts ends, with a tree or one error.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UTC } from "../../lib/pcp/mod.ts";
import { canonicalText } from "../../lib/series/canonical.ts";
import { parseQuery, parseWindow, QueryError, type QueryNode } from "../../lib/series/mod.ts";
import command from "../fixtures/series/queries-cli.json";
import edge from "../fixtures/series/queries-edge.json";

const options = { now: { sec: 1_800_000_000, nsec: 0 }, zone: UTC };
const parse = (text: string) => parseQuery(text, options);
const messageOf = (text: string): string => {
  try {
    parse(text);
    return "";
  } catch (error) {
    return error instanceof QueryError ? error.message : `no QueryError: ${String(error)}`;
  }
};

interface Outcome {
  readonly stderr?: string;
  readonly crash?: boolean;
}
interface Recorded {
  readonly argv?: readonly string[];
  readonly result?: Outcome;
  readonly "7.2.1"?: Outcome;
}
const PREFIX = "pmseries: [Error] ";
/** Queries of one argument that is no identifier, with what 7.2 said about their form. */
const CASES = [
  ...(command.queries as readonly Recorded[]),
  ...(edge.queries as readonly Recorded[]),
]
  .map(({ argv, result, "7.2.1": current }) => ({ argv, outcome: result ?? current }))
  .filter(({ argv, outcome }) => argv?.length === 1 && outcome?.stderr !== undefined)
  .map(({ argv, outcome }) => [argv?.[0] ?? "", outcome?.stderr ?? ""] as const)
  .filter(([text]) => !text.startsWith("-") && !/^[0-9a-f]{40}$/.test(text));

test("there are recordings", () => expect(CASES.length).toBeGreaterThan(300));

test.each(CASES)("%s", (text, stderr) => {
  const isForm = /cannot parse given|Cannot parse |Invalid (?:second|series query|time window)/;
  const wanted = isForm.test(stderr) ? stderr.slice(PREFIX.length, -1) : "";
  expect(messageOf(text)).toBe(wanted);
});

/** A tree as text with all its parentheses. */
function shown(node: QueryNode): string {
  switch (node.kind) {
    case "series":
      return `${node.name ?? ""}${node.glob ? "~" : ""}${node.selector === undefined ? "" : "{}"}`;
    case "call":
      return `${node.name}(${shown(node.operand)}${node.number ? `,${node.number.text}` : ""}${node.units === undefined ? "" : `,"${node.units}"`})`;
    case "binary":
      return `(${shown(node.left)}${node.operator}${shown(node.right)})`;
    case "scale":
      return node.numberFirst
        ? `(${node.number.text}*${shown(node.operand)})`
        : `(${shown(node.operand)}*${node.number.text})`;
  }
}

describe("trees", () => {
  test.each([
    ["a+b *c-d", "((a+(b*c))-d)"],
    ["2 * a + b *3", "((2*a)+(b*3))"],
    ["rate(a{x==1}) / max_inst(b.c)", "(rate(a{})/max_inst(b.c))"],
    ["topk_inst(sum(a), 3)", "topk_inst(sum(a),3)"],
    ["log(a,2.5)", "log(a,2.5)"],
    ['rescale(rate(a),"Mbyte / sec")', 'rescale(rate(a),"Mbyte / sec")'],
    ["a*2", "a*2~"],
    ["a%*b", "a%*b"],
    ["x = a + b", "(a+b)"],
    ['{hostname=="x"}', "{}"],
  ])("%s", (text, wanted) => expect(shown(parse(text).root)).toBe(wanted));
});

test("selectors", () => {
  const { root } = parse('{a=="x" && b:"y*", c<3 || d!~e}');
  const leaf = (key: string, comparison: string, value: string, quoted: boolean) => ({
    kind: "compare",
    key,
    comparison,
    value,
    quoted,
  });
  expect(root).toMatchObject({
    selector: {
      kind: "and",
      left: { kind: "and", left: leaf("a", "==", "x", true), right: leaf("b", "~~", "y*", true) },
      right: { kind: "or", left: leaf("c", "<", "3", false), right: leaf("d", "!~", "e", false) },
    },
  });
});

test("times accumulate, and say whether values are wanted", () => {
  const { root, times, values } = parse('a[count:2]+b[start:1,interval:"10sec"]');
  expect(values).toBe(true);
  expect(times).toMatchObject({ count: 2, interval: { span: { sec: 10, nsec: 0 } } });
  expect(root).toMatchObject({
    left: { times: { count: 2 } },
    right: { times: { count: 2, start: { at: { sec: 1, nsec: 0 } } } },
  });
  expect(parse("a").values).toBe(false);
  expect(parse('a[align:"10sec"]').values).toBe(false);
  expect(parse("a[count:0]").values).toBe(true);
  expect(parse("a[2h]").times.range?.span).toEqual({ sec: 7200, nsec: 0 });
  expect(parse('a[start:"-10sec"]').times.start?.at.sec).toBe(1_800_000_000 - 10);
  expect(parse('a[start:"-2weeks"]').times.start?.at.sec).toBe(1_800_000_000 - 14 * 86_400);
  expect(parse('a[start:"-1.5hour"]').times.start?.at.sec).toBe(1_800_000_000 - 5400);
  expect(parse('a[start:"-5h"]').times.start?.at.sec).toBe(1_800_000_000 - 18_000);
  expect(parse('a[start:"1 hour ago"]').times.start?.at.sec).toBe(1_800_000_000 - 3600);
  expect(() => parse('a[start:"-20]0days"]')).toThrow("\n-20]0days\n^ -- unexpected value\n");
  expect(parse('a[start:"@Thu Jul 12 14:11:52 2018"]').times.start?.at.sec).toBe(1_531_404_712);
  const melbourne = parse('a[tz:"Australia/Melbourne",start:"2018-07-12 14:11:20"]');
  expect(melbourne.times.start?.at.sec).toBe(1_531_404_680 - 36_000);
});

test("windows are times alone", () => {
  expect(parseWindow("[count:3]", options)).toEqual({ count: 3 });
  expect(() => parseWindow("a", options)).toThrow("Invalid time window specification");
  expect(() => parse("[count:3]")).toThrow("Invalid series query specification");
});

test("an unterminated text, deep nesting and long texts end in an error", () => {
  expect(messageOf('a{b=="c')).toContain("^ -- syntax error");
  expect(messageOf(`${"rate(".repeat(5000)}a`)).toContain("syntax error");
  expect(messageOf("x".repeat(70_000))).toContain("no QueryError: ");
  for (const part of ["+ a", "* a", "* 2", "- 3 * a"])
    expect(messageOf(`a${part.repeat(2000)}`)).toContain("^ -- syntax error");
  expect(messageOf(`a{b=="c"${'||b=="d"'.repeat(2000)}}`)).toContain("^ -- syntax error");
  expect(parse(`a${"+ a".repeat(400)}`)).toBeObject();
});

test("strange texts: a tree, or one error with its caret in the text", () => {
  const pieces = fc.constantFrom(
    ...'a b.c* rate( max( topk_inst( rescale( ) { } [ ] , : == =~ !~ ~~ && || + - * / 1 2.5 10sec count start tz "x" " ~ é \n'.split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 24 }), (list) => {
      const text = list.join("");
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        if (error.at !== undefined) expect(error.at).toBeLessThanOrEqual(text.length);
      }
    }),
    { numRuns: 500, seed: 7 },
  );
});

test.each([
  // A dot alone is a number, as far as the lexer is concerned.
  [".a*", "cannot parse given string\n\n.a*\n ^ -- syntax error\n"],
  // A second time is read before it is held against the first.
  [
    'a[start:1]+b[start:"xyz"]',
    "Cannot parse time with __pmtimespecParse:\nxyz\n^ -- unexpected value\n",
  ],
  ["a[10sec]+b[10x]", "Cannot parse range with pmParseInterval:\n10x\n  ^ -- unexpected value\n"],
  ["a[count(", "cannot parse given string\n\na[count(\n  ^ -- syntax error\n"],
  ["a = [count:2]", "Invalid series query specification"],
  ["a = [k", "cannot parse given string\n\na = [k\n     ^ -- syntax error\n"],
  ['a[tz:"UTC"]+b[tz:"x"]', 'Invalid second timezone requested - "UTC" vs "x"'],
])("as the real program says: %s", (text, message) => {
  expect(messageOf(text)).toBe(message);
});

test.each([
  ["a{metric.name==a}", "a{a}"],
  ['a{metric.na=="a"}', 'a{=="a"}'],
  ["a{m.name==a}", 'a{m.name=="a"}'],
])("canonical text of %s", (text, canonical) => {
  expect(canonicalText(parse(text).root, () => "a")).toBe(canonical);
});
