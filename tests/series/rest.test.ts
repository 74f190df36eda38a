// Goal: texts of REST answers are quoted with PCP's bytes, or as JSON that everybody reads. Whole answers are
// held against recordings in tests/web/series.test.ts.
import { expect, test } from "bun:test";
import { quoted } from "../../lib/series/mod.ts";

test("texts between quotes", () => {
  const text = 'a"b\\c\n\t\u0007\u0001ü\u007f';
  expect(quoted(text, "pcp")).toBe('"a\\"b\\\\c\\n\\t\\a\\x01\\xc3\\xbc\\x7f"');
  expect(JSON.parse(quoted(text, "json"))).toBe(text);
});
