// Goal: identifiers are those that PCP's programs give to the same things: every recorded example is
// made by the function for its kind.
import { expect, test } from "bun:test";
import {
  expressionId,
  identityLabels,
  instanceId,
  metricId,
  searchId,
  sourceId,
  stringId,
} from "../../lib/series/ids.ts";
import recorded from "../fixtures/series/ids.json";

/** The parts of a canonical text, by its kind. */
function made(input: string): string | undefined {
  const string = /^\{"series":"string","value":"(.*)"\}$/s.exec(input)?.[1];
  if (string !== undefined) return stringId(string);
  const source = /^\{"series":"source","labels":(.*)\}$/s.exec(input)?.[1];
  if (source !== undefined) return sourceId(source);
  const expression = /^\{"series":"expr","expr":"(.*)"\}$/s.exec(input)?.[1];
  if (expression !== undefined) return expressionId(expression);
  const instance = /^\{"series":"instance","name":"(.*)","labels":(.*)\}$/s.exec(input);
  if (instance !== null) return instanceId(instance[1] ?? "", instance[2] ?? "");
  const search = /^\{"series":"search","key":"pcp:text","type":"(\w+)",name:"(.*)"\}$/s.exec(input);
  if (search !== null)
    return searchId(search[1] as "metric" | "indom" | "instance", search[2] ?? "");
  const metric =
    /^\{"series":"metric","name":"(.*)","labels":(.*),"semantics":"(\w+)","type":"(\w+)","units":"(.*)"\}$/s.exec(
      input,
    );
  if (metric === null) return undefined;
  const [, name = "", labels = "", semantics = "", type = "", units = ""] = metric;
  return metricId({ name, labels, semantics, type, units });
}

test.each(recorded.examples.map(({ kind, input, sha1 }) => [kind, input, sha1] as const))(
  "%s",
  (_kind, input, sha1) => {
    expect(made(input) as string | undefined).toBe(sha1);
  },
);

test("labels of identifiers: later sets win, optional ones go, names are sorted by bytes", () => {
  const label = (name: string, value: string, flags = 1) => ({ name, value, flags });
  expect(identityLabels([])).toBe("null");
  expect(identityLabels([[label("b", "1"), label("a", '"x"')], [label("b", "2", 4)]])).toBe(
    '{"a":"x","b":2}',
  );
  expect(identityLabels([[label("a", "1")], [label("a", "2", 0x84)]])).toBe("null");
  expect(identityLabels([[label("ab", "1"), label("a", ""), label("B", "3")]])).toBe(
    '{"B":3,"a":null,"ab":1}',
  );
  const beyond = ["\u{1f600}", "\uff5e", "\ud7ff", "é", "z"];
  const sorted = [...beyond].reverse().map((name) => `"${name}":1`);
  expect(identityLabels([beyond.map((name) => label(name, "1"))])).toBe(`{${sorted.join(",")}}`);
});
