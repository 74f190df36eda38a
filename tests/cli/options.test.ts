// Goal: command lines are read as PCP's getopt reads them, with its texts for mistakes. The cases
// are those of spec proxy.md 2 and what pmproxy 6.0.3 and 7.2.1 printed for the same arguments; a
// property test shows that whatever the table can say is read back as the same list.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { proxyOptions, proxyVerb } from "../../cmd/options/proxy.ts";
import {
  defineOptions,
  isGiven,
  lastGiven,
  longNames,
  type OptionSpec,
  readOptions,
  valuesGiven,
} from "../../lib/cli/options.ts";
import { wholeNumber } from "../../lib/base/mod.ts";
import { debugList, interval, ports, positive } from "../../lib/cli/values.ts";
import { readVerb } from "../../lib/cli/verb.ts";

/** Options as `key` or `key=value`, then operands; mistakes as their sentences. */
function reading(args: readonly string[]): string {
  const result = readVerb(proxyVerb, args);
  if (result.kind === "error") return result.errors.join(" | ");
  if (result.kind !== "ok") return `ask ${result.kind}`;
  const options = result.options.map(({ option, value }) =>
    value === true ? option : `${option}=${JSON.stringify(value)}`,
  );
  return [...options, ...result.operands.map((each) => `operand ${each}`)].join(" ");
}

const cases: readonly (readonly [args: readonly string[], expected: string])[] = [
  [[], ""],
  [["-fA"], "foreground noAdvertise"],
  [["-Af", "-d", "-t"], "noAdvertise foreground deprecated timeseries"],
  [["-p44322"], "port=[44322]"],
  [["-p", "44322,44323"], "port=[44322,44323]"],
  [["-p0x1388"], "port=[5000]"],
  [["-p", "010"], "port=[8]"],
  [["-p0"], "port=[0]"],
  [["-fp44322", "-Al", "x"], 'foreground port=[44322] noAdvertise log="x"'],
  [["--port=1", "--port", "2", "-p3"], "port=[1] port=[2] port=[3]"],
  [["--foregr"], "foreground"],
  [["--lo=pmproxy.log"], 'log="pmproxy.log"'],
  [["--lo", "x"], 'log="x"'],
  [["--l", "x"], 'log="x"'],
  [["--log=a=b"], 'log="a=b"'],
  [["--log="], 'log=""'],
  [["--log", "-f"], 'log="-f"'],
  [["-l", "--"], 'log="--"'],
  [["-l-"], 'log="-"'],
  [["--systemd"], "managed"],
  [["--managed"], "managed"],
  [["--redishost=h", "--redisport", "1"], 'keyHost="h" keyPort=1'],
  [["--keyhost=h", "--keyport", "1"], 'keyHost="h" keyPort=1'],
  [["-h", "db", "-r6380"], 'keyHost="db" keyPort=6380'],
  [["-QS"], "certificateRequired authRequired"],
  [["--certr", "--reqa"], "certificateRequired authRequired"],
  [["-D", "http,PDU"], 'debug=["http","pdu"]'],
  [["-D5"], "debug=[]"],
  [["-L", "0x10000"], "pduCeiling=65536"],
  [["-T", "1min"], "runTime=60"],
  [["-i", "127.0.0.1", "-i", "::1"], 'interface="127.0.0.1" interface="::1"'],
  [["-d", "-c", "x"], 'deprecated config="x"'],
  [["-U", "pcp", "-x", "/dev/null"], 'username="pcp" fatal="/dev/null"'],
  [
    ["-C", "certs", "-M", "n", "-Ppw"],
    'certificates="certs" certificateName="n" passwordFile="pw"',
  ],
  [["--log-format=json", "--log-level", "debug"], 'logFormat="json" logLevel="debug"'],
  [["--check", "--health"], "check health"],
  [["start"], "operand start"],
  [["stop", "-f"], "foreground operand stop"],
  [["--", "status"], "operand status"],
  [["-?"], "ask help"],
  [["-f", "--help"], "ask help"],
  [["--h"], "ask help"],
  [["--version"], "ask version"],
  // Prefixes: PCP's names come first, so that a prefix which PCP reads keeps its meaning.
  [["--s", "x"], 'socket="x"'],
  [["--sy"], "managed"],
  [["--log-f", "text"], 'logFormat="text"'],
  // What is wrong, in PCP's words.
  [["-V"], "invalid option -- 'V'"],
  [["-fzA"], "invalid option -- 'z'"],
  [["-z", "-y"], "invalid option -- 'z' | invalid option -- 'y'"],
  [["--foo"], "unrecognized option '--foo'"],
  [["--foo=1", "x"], "unrecognized option '--foo=1'"],
  [["--=x"], "unrecognized option '--=x'"],
  [["--re"], "option '--re' is ambiguous; possibilities: '--reqauth' '--redishost' '--redisport'"],
  [
    ["--re=5"],
    "option '--re=5' is ambiguous; possibilities: '--reqauth' '--redishost' '--redisport'",
  ],
  [["--key"], "option '--key' is ambiguous; possibilities: '--keyport' '--keyhost'"],
  [["--de"], "option '--de' is ambiguous; possibilities: '--debug' '--deprecated'"],
  [["--foreground=1"], "option '--foreground' doesn't allow an argument"],
  [["--help=1"], "option '--help' doesn't allow an argument"],
  [["-p"], "option requires an argument -- 'p'"],
  [["-fh"], "option requires an argument -- 'h'"],
  [["--po"], "option '--port' requires an argument"],
  [["-pabc"], "-p requires a positive numeric argument (abc)"],
  [["--port", "x"], "-p requires a positive numeric argument (x)"],
  [["-p", "-3"], "-p requires a positive numeric argument (-3)"],
  [["-p", "1,x"], "-p requires a positive numeric argument (1,x)"],
  [["-p", "70000"], "-p requires a positive numeric argument (70000)"],
  [["-p", ""], "-p requires a positive numeric argument ()"],
  [["-L0"], "-L requires a positive value"],
  [["-L", "-5"], "-L requires a positive value"],
  [["-L", "99999999999999999999"], "-L requires a positive value"],
  [["-r", "0"], "-r requires a positive value"],
  [["-Dzzz"], "unrecognized debug options specification (zzz)"],
  [["-Dpdu,,http"], "unrecognized debug options specification (pdu,,http)"],
  [["-T", "10x"], "bad -T interval format:\n10x\n  ^ -- unexpected value"],
  [["-fF"], "at most one of -f and -F allowed"],
  [
    ["-pabc", "-L0"],
    "-p requires a positive numeric argument (abc) | -L requires a positive value",
  ],
  [
    ["-pabc", "--foo"],
    "-p requires a positive numeric argument (abc) | unrecognized option '--foo'",
  ],
  [["-?", "-z"], "invalid option -- 'z'"],
  [["start", "-z"], "invalid option -- 'z'"],
  [["--log-format=xml"], '--log-format must be one of text, json, not "xml"'],
  [["foo"], "unknown action 'foo', not one of start, stop, restart, status, reload"],
  [["--", "-z"], "unknown action '-z', not one of start, stop, restart, status, reload"],
  [["-"], "unknown action '-', not one of start, stop, restart, status, reload"],
  [["start", "x"], "unexpected argument 'x'"],
];

describe("command lines of the proxy", () => {
  for (const [args, expected] of cases) {
    test(`pmproxy ${args.join(" ")}`, () => {
      expect(reading(args)).toBe(expected);
    });
  }
});

test("a misspelt option is told apart from a bad value", () => {
  expect(readOptions(proxyOptions, ["-z"])).toMatchObject({ kind: "error", misspelt: true });
  expect(readOptions(proxyOptions, ["-L0"])).toMatchObject({ kind: "error", misspelt: false });
});

test("the sequence shows which of two options came last", () => {
  const modes = (args: readonly string[]) => {
    const result = readOptions(proxyOptions, args);
    return result.kind === "ok"
      ? lastGiven(result.options, "deprecated", "config", "keyHost", "keyPort", "timeseries")
          ?.option
      : result;
  };
  expect(modes(["-d"])).toBe("deprecated");
  expect(modes(["-d", "-c", "x"])).toBe("config");
  expect(modes(["-c", "x", "-d"])).toBe("deprecated");
  expect(modes(["-d", "-r", "1"])).toBe("keyPort");
  expect(modes(["-d", "-h", "x"])).toBe("keyHost");
  expect(modes(["-dt"])).toBe("timeseries");
  expect(modes(["-f"])).toBeUndefined();
});

test("values of a repeated option are typed and in order", () => {
  const result = readOptions(proxyOptions, ["-p1,2", "-A", "-p3"]);
  if (result.kind !== "ok") throw new Error(result.kind);
  const lists: readonly (readonly number[])[] = valuesGiven(result.options, "port");
  expect(lists.flat()).toEqual([1, 2, 3]);
  expect(isGiven(result.options, "noAdvertise")).toBe(true);
  expect(isGiven(result.options, "log")).toBe(false);
});

test("an ambiguous prefix whose names are one option is that option", () => {
  const table = defineOptions({
    colour: {
      long: "colour",
      old: [{ name: "color", help: "old", knownTo: "pcp" }],
      help: "x",
      group: "G",
      knownTo: "pcp",
    },
  });
  expect(readOptions(table, ["--col"])).toMatchObject({ kind: "ok" });
});

test("the table has each option of pmproxy's own tables, with and without argument", () => {
  const letters = new Map<string, boolean>();
  for (const [, letter = "", colon] of "Ac:dD:Ffh:i:l:L:p:r:s:tT:U:x:?QS".matchAll(/(.)(:?)/g)) {
    letters.set(letter, colon === ":");
  }
  const specs: readonly OptionSpec[] = Object.values(proxyOptions);
  for (const [letter, argument] of letters) {
    const spec = specs.find((each) => each.short === letter);
    expect([letter, spec?.argument !== undefined]).toEqual([letter, argument]);
  }
  const shorts = specs.flatMap((each) => each.short ?? []);
  const longs = longNames(proxyOptions).map((each) => each.name);
  expect(new Set(shorts).size).toBe(shorts.length);
  expect(new Set(longs).size).toBe(longs.length);
});

/** Texts that an option's parser takes, of every kind of argument in the table. */
const textOf = (key: string, spec: OptionSpec): fc.Arbitrary<string> => {
  if (spec.choices !== undefined) return fc.constantFrom(...spec.choices);
  switch (key) {
    case "port":
      return fc
        .array(fc.integer({ min: 0, max: 65535 }), { minLength: 1, maxLength: 4 })
        .map((list) => list.join(","));
    case "keyPort":
    case "pduCeiling":
      return fc.integer({ min: 1, max: 65535 }).map(String);
    case "runTime":
      return fc.integer({ min: 0, max: 9999 }).map((n) => `${n}min`);
    default:
      return fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 });
  }
};

interface Written {
  readonly key: string;
  readonly text: string | undefined;
  readonly args: readonly string[];
}

/** One option of the table, written in one of the ways there are. */
const written: fc.Arbitrary<Written> = fc
  .constantFrom(...Object.entries(proxyOptions as Readonly<Record<string, OptionSpec>>))
  .filter(([, spec]) => spec.asks === undefined)
  .chain(([key, spec]) => {
    const text = spec.argument === undefined ? fc.constant(undefined) : textOf(key, spec);
    return fc.tuple(text, fc.nat(99), fc.nat(99)).map(([value, way, cut]): Written => {
      const { short } = spec;
      const names = longNames(proxyOptions).filter((each) => each.key === key);
      const name = names[way % Math.max(1, names.length)]?.name;
      const byShort = name === undefined || (short !== undefined && way % 3 === 0);
      if (byShort) {
        const dash = `-${short}`;
        if (value === undefined) return { key, text: value, args: [dash] };
        return { key, text: value, args: cut % 2 === 0 ? [dash + value] : [dash, value] };
      }
      // The shortest prefix that no other name begins with, or any longer one.
      const all = longNames(proxyOptions).filter((each) => each.name !== name);
      let least = 1;
      while (
        least < name.length &&
        all.some((each) => each.name.startsWith(name.slice(0, least)))
      ) {
        least += 1;
      }
      const dashes = `--${name.slice(0, least + (cut % (name.length - least + 1)))}`;
      if (value === undefined) return { key, text: value, args: [dashes] };
      return { key, text: value, args: way % 2 === 0 ? [`${dashes}=${value}`] : [dashes, value] };
    });
  });

test("what is written by the table is read back as the same list", () => {
  const operand = fc.stringMatching(/^[a-z][a-z0-9.-]{0,5}$/);
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 4, arbitrary: written }, { weight: 1, arbitrary: operand }), {
        maxLength: 12,
      }),
      fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 }),
      (line, tail) => {
        const args = line.flatMap((each) => (typeof each === "string" ? [each] : each.args));
        const result = readOptions(proxyOptions, [...args, "--", ...tail]);
        if (result.kind !== "ok") throw new Error(JSON.stringify(result));
        const options = line.filter((each) => typeof each !== "string");
        expect(result.options.map((each) => each.option as string)).toEqual(
          options.map((each) => each.key),
        );
        for (const [index, { key, text }] of options.entries()) {
          const spec = (proxyOptions as Readonly<Record<string, OptionSpec>>)[key];
          const parsed = text === undefined ? undefined : spec?.parse?.(text);
          const value = parsed === undefined ? (text ?? true) : parsed.ok && parsed.value;
          expect(result.options[index]?.value as unknown).toEqual(value);
        }
        expect(result.operands).toEqual([
          ...line.filter((each) => typeof each === "string"),
          ...tail,
        ]);
      },
    ),
    { seed: 2, numRuns: 500 },
  );
});

test("flags in one cluster are the flags one by one", () => {
  const flags = "AdftQS";
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...flags), { minLength: 1, maxLength: 9 }), (letters) => {
      const apart = readOptions(
        proxyOptions,
        letters.map((each) => `-${each}`),
      );
      expect(readOptions(proxyOptions, [`-${letters.join("")}`])).toEqual(apart);
    }),
    { seed: 3, numRuns: 200 },
  );
});

test("any arguments at all are read or refused, never thrown at", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "binary", maxLength: 10 }), { maxLength: 6 }),
      (args) => {
        expect(["ok", "error", "help", "version"]).toContain(readVerb(proxyVerb, args).kind);
      },
    ),
    { seed: 4, numRuns: 1000 },
  );
}, 300_000);

describe("values", () => {
  test("numbers in strtol's bases", () => {
    const table: readonly (readonly [string, number | undefined])[] = [
      ["0", 0],
      ["10", 10],
      ["010", 8],
      ["0x10", 16],
      ["-3", -3],
      ["+3", 3],
      [" 3", 3],
      ["08", undefined],
      ["0x", undefined],
      ["3 ", undefined],
      ["3x", undefined],
      ["", undefined],
      ["1e3", undefined],
    ];
    for (const [text, value] of table) expect([text, wholeNumber(text)]).toEqual([text, value]);
  });

  test("intervals as in spec archive.md 14.1", () => {
    const seconds: Readonly<Record<string, number>> = {
      "10": 10,
      "10s": 10,
      "10 sec": 10,
      "10SECONDS": 10,
      "1h 30m 15s": 5415,
      "1h30m15s": 5415,
      "1 1 1": 3,
      min30: Number.NaN,
      "1min30": 90,
      "500 msec": 0.5,
      "500ms": 30_000,
      "1 ms": 60,
      "1d2h": 93_600,
      "1e3": 1000,
      ".5": 0.5,
      "5.": 5,
      "0x10": 16,
      "0x1p-1": 0.5,
      "+5": 5,
      "  ": 0,
      " 5 ": 5,
    };
    for (const [text, value] of Object.entries(seconds)) {
      const parsed = interval(text);
      expect([text, parsed.ok ? parsed.value : Number.NaN]).toEqual([text, value]);
    }
  });

  test("a bad interval is shown with its place", () => {
    const texts: Readonly<Record<string, string>> = {
      "": "\n^ -- Null or empty specification",
      "10x": "10x\n  ^ -- unexpected value",
      "1min 20x": "1min 20x\n       ^ -- unexpected value",
      "5 parsecs": "5 parsecs\n  ^ -- unexpected value",
      "5ns": "5ns\n ^ -- unexpected value",
      "1week": "1week\n ^ -- unexpected value",
      "-5": "-5\n^ -- unexpected value",
      inf: "inf\n^ -- unexpected value",
      sec: "sec\n^ -- unexpected value",
      "1:30": "1:30\n ^ -- unexpected value",
    };
    for (const [text, error] of Object.entries(texts)) {
      expect([text, interval(text)]).toEqual([text, { ok: false, error }]);
    }
  });

  test("lists and bounds", () => {
    expect(ports("-p")("1,2,")).toEqual({ ok: true, value: [1, 2] });
    expect(ports("-p")(",").ok).toBe(false);
    expect(positive("-r", 65535)("65536").ok).toBe(false);
    expect(debugList("all")).toEqual({ ok: true, value: ["all"] });
  });
});

test("an operand that repeats takes any number, after those before it", () => {
  const verb = {
    ...proxyVerb,
    operands: [
      { name: "source", text: "", choices: [{ term: "a", text: "" }] },
      { name: "metric", text: "", repeats: true },
    ],
  };
  const kind = (...args: readonly string[]): string => readVerb(verb, args).kind;
  expect([kind(), kind("a"), kind("a", "b", "c", "d"), kind("b", "c")]).toEqual([
    "ok",
    "ok",
    "ok",
    "error",
  ]);
});
