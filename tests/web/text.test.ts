// Goal: parameters, quotes, numbers and patterns of the REST API are read and written as clients of
// pmproxy know them (spec webapi.md 2.5, 3.1, 3.2, 8), and none of them costs more than its length.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hashOf } from "../../lib/web/metadata.ts";
import { matcherOf } from "../../lib/web/instances.ts";
import { Out } from "../../lib/web/out.ts";
import { listOf, parseParameters, unsignedOf } from "../../lib/web/parameters.ts";
import { helpLine, jsonString, labelString } from "../../lib/web/quote.ts";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { formatG, PM_TYPE } from "../../lib/pcp/mod.ts";
import { atomOf } from "../../lib/web/store.ts";

const pairs = (text: string) => {
  const found = parseParameters(text);
  return found === undefined ? undefined : Object.fromEntries(found);
};

describe("parameters", () => {
  test.each([
    ["a=1&b=2", { a: "1", b: "2" }],
    ["", {}],
    ["a", { a: "" }],
    ["a=", { a: "" }],
    ["&&a=1&", { a: "1" }],
    ["a=1&a=2", { a: "1" }],
    ["a=b=c", { "a=b": "c" }],
    ["x=a+b%2bc", { x: "a b+c" }],
    ["%70=%7e%C3%A9%ff", { p: "~é\ufffd" }],
    ["A=1&a=2", { A: "1", a: "2" }],
  ])("%s", (text, expected) => {
    expect(pairs(text)).toEqual(expected);
  });

  test("bad escapes and too many pairs are refused", () => {
    for (const text of ["a=%", "a=%4", "a=%zz", "%gg=1", "x=1&".repeat(5000)])
      expect(pairs(text)).toBeUndefined();
  });

  test("what encodeURIComponent writes is read again", () => {
    const value = fc.string({ unit: "grapheme", maxLength: 20 });
    const property = fc.property(value, value, (name, text) => {
      fc.pre(name !== "" || text !== "");
      const encoded = `${encodeURIComponent(name)}=${encodeURIComponent(text)}`;
      expect(pairs(encoded)).toEqual({ [name]: text });
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  test("lists, and numbers with what follows them", () => {
    expect(listOf("a,b,,c")).toEqual(["a", "b", "c"]);
    const read = (text: string, anyBase = false) => Object.values(unsignedOf(text, anyBase));
    expect(read("12")).toEqual([12n, true]);
    expect(read("")).toEqual([0n, true]);
    expect(read("-1")).toEqual([-1n, true]);
    expect(read("12x")).toEqual([12n, false]);
    expect(read("abc")).toEqual([0n, false]);
    expect(read("0x1F", true)).toEqual([31n, true]);
    expect(read("0x1F")).toEqual([0n, false]);
    expect(read("018", true)).toEqual([18n, true]);
    expect(read("0", true)).toEqual([0n, true]);
  });
});

describe("texts", () => {
  test("quotes of JSON and of the metrics formats", () => {
    expect(jsonString('a"b\\c\n\t\u007fé/<')).toBe(
      '"a\\u0022b\\u005Cc\\u000A\\u0009\\u007F\u00e9/<"',
    );
    expect(labelString('a"b\\c\nd')).toBe('"a\\"b\\\\c\\nd"');
    expect(helpLine('a"b\\c\nd')).toBe('a"b\\\\c\\nd');
  });

  test("JSON strings are read again as they were", () => {
    const property = fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
      expect(JSON.parse(jsonString(text))).toBe(text);
      const out = new Out(1);
      out.quoted(Buffer.from(text));
      expect(JSON.parse(Buffer.from(out.finish()).toString())).toBe(Buffer.from(text).toString());
    });
    fc.assert(property, { seed: 11, numRuns: 200 });
  });

  test("identities of the specification", () => {
    const labels =
      '"agent":"sample","cluster":"zero","domainname":"localdomain","hostname":"pcp-fixture","machineid":"0123456789abcdef0123456789abcdef","role":"testing"';
    const text = `{"series":"metric","name":"sample.long.one","labels":{${labels}},"semantics":"instant","type":"32","units":""}`;
    expect(hashOf(text)).toBe("29e30b66e22b0bb41b749a86577efecb6e8b6887");
  });
});

describe("numbers", () => {
  const words = { nan: "N", positive: "P", negative: "M" };
  const written = (write: (out: Out) => void): string => {
    const out = new Out(1);
    write(out);
    return Buffer.from(out.finish()).toString();
  };

  test("whole ones are written as they are", () => {
    const numbers = fc.integer({ min: -(2 ** 52), max: 2 ** 52 });
    const property = fc.property(numbers, (value) => {
      expect(written((out) => out.integer(value))).toBe(String(value));
    });
    fc.assert(property, { seed: 3, numRuns: 500 });
    for (const value of [0, 9, 10, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1])
      expect(written((out) => out.integer(value))).toBe(String(value));
  });

  test("floating ones as C writes them", () => {
    const property = fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      for (const digits of [8, 16])
        expect(written((out) => out.float(value, digits, words))).toBe(formatG(value, digits));
    });
    fc.assert(property, { seed: 5, numRuns: 300 });
    // The usual sizes, which have a way of their own; with ends that must be rounded, and ties.
    const usual = fc.tuple(
      fc.double({ min: -8, max: 8, noNaN: true }).map((power) => 10 ** power),
      fc.constantFrom(1, -1, 1 / 3, 0.5, 1 / 1024),
    );
    const other = fc
      .integer({ min: 0, max: 2 ** 31 })
      .map((bits): [number, number] => [bits, 2 ** -20]);
    const short = fc.property(fc.oneof(usual, other), ([size, factor]) => {
      const value = Math.fround(size * factor);
      expect(written((out) => out.float(value, 8, words))).toBe(formatG(value, 8));
    });
    fc.assert(short, { seed: 6, numRuns: 2000 });
    for (const [value, word] of [
      [Number.NaN, "N"],
      [Number.POSITIVE_INFINITY, "P"],
      [Number.NEGATIVE_INFINITY, "M"],
      [-0, "-0"],
    ] as const)
      expect(written((out) => out.float(value, 16, words))).toBe(word);
  });
});

describe("stored values", () => {
  const read = (text: string, type: number): unknown => {
    try {
      return atomOf(Buffer.from(text), type);
    } catch (error) {
      return error instanceof PcpError ? error.code : error;
    }
  };
  const ERANGE = -34;

  test.each([
    ["", PM_TYPE.I32, 0],
    ["-5", PM_TYPE.I32, -5],
    ["0x1F", PM_TYPE.U32, 31],
    ["017", PM_TYPE.I32, 17],
    ["12 ", PM_TYPE.I32, PM_ERR.TYPE],
    ["2147483648", PM_TYPE.I32, ERANGE],
    ["-1", PM_TYPE.U32, ERANGE],
    ["9223372036854775807", PM_TYPE.I64, 2n ** 63n - 1n],
    ["-1", PM_TYPE.U64, 2n ** 64n - 1n],
    ["18446744073709551616", PM_TYPE.U64, ERANGE],
    ["", PM_TYPE.DOUBLE, 0],
    [" -.5e1", PM_TYPE.DOUBLE, -5],
    ["0x1p3", PM_TYPE.DOUBLE, 8],
    ["0x1.8", PM_TYPE.DOUBLE, 1.5],
    ["0x10", PM_TYPE.DOUBLE, PM_ERR.TYPE],
    ["-inf", PM_TYPE.DOUBLE, -Infinity],
    ["inf", PM_TYPE.FLOAT, ERANGE],
    ["nan", PM_TYPE.FLOAT, Number.NaN],
    ["1e400", PM_TYPE.DOUBLE, ERANGE],
    ["1e39", PM_TYPE.FLOAT, ERANGE],
    ["1e-50", PM_TYPE.FLOAT, ERANGE],
    ["0e-50", PM_TYPE.FLOAT, 0],
    ["1e", PM_TYPE.DOUBLE, PM_ERR.TYPE],
    ["x", PM_TYPE.AGGREGATE, PM_ERR.TYPE],
  ])("%p as type %p", (text, type, expected) => {
    expect(read(text, type)).toEqual(expected);
  });

  test("strings are stored with their end", () => {
    expect(read("h\u00e9\0x", PM_TYPE.STRING)).toEqual(Uint8Array.of(0x68, 0xc3, 0xa9, 0));
  });
});

describe("patterns", () => {
  const matcher = (match: string, list: string) => () =>
    matcherOf(parseParameters(`match=${encodeURIComponent(match)}`) ?? new Map(), list);

  test("regular expressions are POSIX's, and bounded", () => {
    expect(matcher("regex", "^r[[:alpha:]]d$")()("red")).toBe(true);
    expect(matcher("regex", "e.,u")()("blue")).toBe(true);
    for (const bad of [
      "(",
      "(a*)*b",
      "(a|a)+b",
      "a**b",
      "(a)?+",
      "a*a*a*a*b",
      "(a)\\1",
      "x".repeat(300),
    ])
      expect(matcher("regex", bad)).toThrow("invalid regular expression");
    expect(matcher("like", "x")).toThrow("like - invalid 'match' parameter value");
  });
});
