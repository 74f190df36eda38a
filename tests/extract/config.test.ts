// Goal: a configuration file means what it means to the C program: the same specs, with the line that
// warnings name, up to the same mistake with the same sentence and line; and our own place, reason and
// picture point at the character that is wrong.
import { describe, expect, test } from "bun:test";
import { utf8 } from "../../lib/base/mod.ts";
import { MAX_CONFIG_BYTES, parseConfig, selectionOf } from "../../lib/extract/config.ts";
import type { MetricRequest } from "../../lib/extract/mod.ts";

const read = (text: string) => parseConfig(utf8(text));
const requests = (text: string): readonly MetricRequest[] => {
  const { requests: list, mistake } = read(text);
  expect(mistake).toBeUndefined();
  return list;
};
const names = (text: string): string[] => requests(text).map((each) => each.name);

describe("specs", () => {
  test("names with or without commas and line breaks between them", () => {
    expect(names("a b,c\n d.e_2 ,\nf")).toEqual(["a", "b", "c", "d.e_2", "f"]);
    expect(names("a\r\nb\r\n")).toEqual(["a", "b"]);
  });

  test("an empty file and one of comments have no specs", () => {
    expect(requests("")).toEqual([]);
    expect(requests(" # one [\n\t# two")).toEqual([]);
  });

  test("instances by name, number and quoted text, repetitions and order kept", () => {
    const [spec] = requests(`m [ 10, ten "a one" , 'b"two' 10 ]`);
    expect(spec).toEqual({ name: "m", instances: [10, "ten", "a one", 'b"two', 10], line: 1 });
  });

  test("a quoted text is not a number and is read as UTF-8", () => {
    expect(requests(`m["10", "größe"]`)[0]?.instances).toEqual(["10", "größe"]);
  });

  test("a name may end in dots or have several, whatever an archive says to that", () => {
    expect(names("a. b..c")).toEqual(["a.", "b..c"]);
  });

  test("numbers are cut to 32 bits, as the C program's are", () => {
    const numbers = "m[4294967297 99999999999 2147483648 9223372036854775808 99999999999999999999]";
    expect(requests(numbers)[0]?.instances).toEqual([1, 1215752191, -2147483648, -1, -1]);
  });
});

describe("the line of a warning", () => {
  const lines = (text: string): number[] => requests(text).map((each) => each.line);

  test("is that of the word after a spec without brackets, or of the end", () => {
    expect(lines("nosuch\n\n\nk")).toEqual([4, 4]);
    expect(lines("nosuch\n")).toEqual([2]);
    expect(lines("nosuch # comment\n#more\n k")).toEqual([3, 3]);
  });

  test("is that of the closing bracket with brackets", () => {
    expect(lines("m[\n9\n,\n'x'\n]\n\n")).toEqual([5]);
    expect(lines("m\n[1]\nk")).toEqual([2, 3]);
  });
});

describe("mistakes", () => {
  const SYNTAX = "syntax error";
  const odd = (character: string): string => `Unexpected character '${character}'`;
  /** Text, specs before the mistake, sentence, line:column. */
  const cases: readonly (readonly [string, readonly string[], string, string])[] = [
    ["nosuch {", [], odd("{"), "1:8"],
    ["nosuch ,,", ["nosuch"], SYNTAX, "1:9"],
    ["nosuch ]", ["nosuch"], SYNTAX, "1:8"],
    ['nosuch "str"', ["nosuch"], SYNTAX, "1:8"],
    ["m[", [], SYNTAX, "1:3"],
    ["m[1", [], SYNTAX, "1:4"],
    ["m[]", [], SYNTAX, "1:3"],
    ["m[,1]", [], SYNTAX, "1:3"],
    ["m[1,]", [], SYNTAX, "1:5"],
    ["m[1,,2]", [], SYNTAX, "1:5"],
    ["m[[1]]", [], SYNTAX, "1:3"],
    [",m", [], SYNTAX, "1:1"],
    ["m,", ["m"], SYNTAX, "1:3"],
    ["m,\n", ["m"], SYNTAX, "2:1"],
    ['"m"', [], SYNTAX, "1:1"],
    ["12", [], SYNTAX, "1:1"],
    ["_a", [], odd("_"), "1:1"],
    ["m[-1]", [], odd("-"), "1:3"],
    ["m[1.5]", [], odd("."), "1:4"],
    ['m[""]', [], odd('"'), "1:3"],
    ['m["a\n"]', [], odd('"'), "1:3"],
    ["m['a", [], odd("'"), "1:3"],
    ["a[1] ]", ["a"], SYNTAX, "1:6"],
    ["a[1] {", ["a"], odd("{"), "1:6"],
    ["a\n\tb[1]\n c?", ["a", "b"], odd("?"), "3:3"],
    ["a é", [], odd("é"), "1:3"],
    ["'é' ü", [], SYNTAX, "1:1"],
    ["a\fb", [], odd("\f"), "1:2"],
  ];
  for (const [text, before, message, place] of cases) {
    test(JSON.stringify(text), () => {
      const { requests: list, mistake } = read(text);
      expect(list.map((each) => each.name)).toEqual([...before]);
      expect(mistake?.message).toBe(message);
      expect(`${mistake?.line}:${mistake?.column}`).toBe(place);
      expect(mistake?.reason).not.toBe("");
    });
  }

  test("the picture puts its mark below the character, in a line of any length", () => {
    const { mistake } = read(`ok\n${"x ".repeat(50)}\t"größe" ${"y ".repeat(50)}`);
    const [line = "", mark = ""] = mistake?.picture.split("\n") ?? [];
    expect(line.slice(mark.length - 1)).toStartWith('"größe" y y');
    expect(line).toStartWith("... x x ");
    expect(line.length).toBeLessThan(140);
    expect(mark.trim()).toBe("^");
  });

  test("what is expected is named", () => {
    expect(read("m[1").mistake?.reason).toBe(
      `expected an instance, a comma or "]", found the end of the file`,
    );
    expect(read("m[1] 'x'").mistake?.reason).toBe(
      "expected a comma or a metric name, found a quoted text",
    );
  });
});

describe("selection", () => {
  const file = "keep.conf";

  test("a good file has no failure", () => {
    expect(selectionOf(file, utf8("m[1]"), true)).toEqual({
      file,
      requests: [{ name: "m", instances: [1], line: 1 }],
    });
  });

  test("a mistake gives the C program's two lines, with a picture if wished", () => {
    const plain =
      "Specification error in configuration file (keep.conf)\n[line 2] Unexpected character '{'\n";
    expect(selectionOf(file, utf8("ok\n{"), false).failure).toEqual({ text: plain, status: 1 });
    expect(selectionOf(file, utf8("ok\n{"), true).failure?.text).toBe(
      `${plain}keep.conf:2:1: a name is a letter, then letters, digits, _ and dots; instances of other names need quotes\n{\n^\n`,
    );
  });

  test("a file over the limit is refused before it is read", () => {
    const { requests: list, failure } = selectionOf(
      file,
      new Uint8Array(MAX_CONFIG_BYTES + 1),
      true,
    );
    expect(list).toEqual([]);
    expect(failure?.status).toBe(1);
    expect(failure?.text).toContain("16777217 bytes");
  });
});
