// Goal: what PCP programs do with command lines beyond single options: options that exclude each other
// in the order of the mistakes, POSIXLY_CORRECT, warnings that come first, a usage text of PCP's own
// options alone, statuses of help, PCP_STDERR, and file names as operands in completion.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { completionScript } from "../../lib/cli/completion.ts";
import { defineOptions, readOptions } from "../../lib/cli/options.ts";
import { pageOf } from "../../lib/cli/page.ts";
import { usageText } from "../../lib/cli/usage.ts";
import { defineVerb, keysGiven, readVerb, type Verb } from "../../lib/cli/verb.ts";

const entry = join(import.meta.dir, "../../cmd/main.ts");

const one = { options: ["right"], error: "at most one" } as const;
const options = defineOptions({
  left: { short: "l", excludes: one, help: "left", group: "", knownTo: "pcp" },
  right: {
    short: "r",
    excludes: { options: ["left"], error: "at most one" },
    help: "right",
    group: "",
    knownTo: "pcp",
  },
  own: { long: "own", help: "own", group: "Pcpbox", knownTo: "pcpbox" },
});

const verb: Verb<typeof options> = defineVerb({
  name: "try",
  program: "pmtry",
  actsAsPcp: true,
  exactUsage: true,
  summary: "try",
  usage: ["[options] in out"],
  options,
  operands: [{ name: "file", text: "A file.", repeats: true, completes: "file" }],
  description: [],
  examples: [],
  sections: [],
  mistakeStatus: 1,
  check: (given, operands) => (operands.length < 2 && !given.has("own") ? ["too few"] : []),
});

describe("options that exclude each other", () => {
  const errors = (...args: readonly string[]): readonly string[] => {
    const result = readVerb(verb, args);
    return result.kind === "error" ? result.errors : [];
  };

  test("are a mistake at its place among the others, whichever comes first", () => {
    expect(errors("-lrq", "a", "b")).toEqual(["at most one", "invalid option -- 'q'"]);
    expect(errors("-rql", "a", "b")).toEqual(["invalid option -- 'q'", "at most one"]);
    expect(errors("-ll", "a", "b")).toEqual([]);
  });

  test("can be told by both spellings", () => {
    const error = (spelling: string, earlier: string): string => `${spelling} after ${earlier}`;
    const table = defineOptions({
      a: { short: "a", help: "a", group: "", knownTo: "pcp" },
      b: { short: "b", long: "bee", help: "b", group: "", knownTo: "pcp" },
      c: {
        short: "c",
        excludes: { options: ["a", "b"], error },
        help: "c",
        group: "",
        knownTo: "pcp",
      },
    });
    const result = readOptions(table, ["-a", "--bee", "-c"]);
    expect(result.kind === "error" ? result.errors : []).toEqual(["-c after --bee"]);
  });

  test("of a verb's own check, operands are known to it and mistakes leave it out", () => {
    expect(errors("a")).toEqual(["too few"]);
    expect(errors("--own")).toEqual([]);
    expect(errors("-q")).toEqual(["invalid option -- 'q'"]);
  });

  test("are known by their keys, mistakes or not", () => {
    expect([...keysGiven(readOptions(options, ["-lq"]))]).toEqual(["left"]);
    expect([...keysGiven(readOptions(options, ["-r", "--own"]))]).toEqual(["right", "own"]);
  });
});

test("operands end the options when asked to", () => {
  const read = (operandsLast: boolean) => readOptions(options, ["-l", "a", "-r"], { operandsLast });
  expect(read(false)).toMatchObject({ kind: "error" });
  expect(read(true)).toMatchObject({ kind: "ok", operands: ["a", "-r"] });
});

test("the exact usage text has PCP's options alone, help has all", () => {
  expect(usageText(verb)).toBe(
    "Usage: pmtry [options] in out\n\nOptions:\n  -l                    left\n  -r                    right\n",
  );
  const titles = pageOf(verb).sections.map((each) => each.title);
  expect(titles).toEqual(["Usage", "Description", "File", "Options", "Pcpbox options"]);
});

test("operands that are files are completed as files", () => {
  expect(completionScript("bash", [verb])).toContain("    *) _pcpbox_found -f; ;;\n");
  expect(completionScript("zsh", [verb])).toContain("'*:file:_files'");
  expect(completionScript("fish", [verb])).toContain("complete -c pmtry -r -F\n");
});

test("PCP_STDERR takes mistakes and usage, each run at the end; else standard error has them", () => {
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-notice-"));
  try {
    const run = (path: string): string => {
      const env = { ...process.env, PCP_STDERR: path };
      const argv = [process.execPath, entry, "-q"];
      return Bun.spawnSync(argv, { argv0: "pmproxy", env, stderr: "pipe" }).stderr.toString();
    };
    const file = join(folder, "notices");
    const direct = run("");
    expect(direct).toStartWith("pmproxy: invalid option -- 'q'\nUsage: pmproxy [options]\n");
    expect(run("DISPLAY")).toBe(direct);
    expect([run(file), run(file)]).toEqual(["", ""]);
    expect(readFileSync(file, "utf8")).toBe(direct + direct);
    const lost = join(folder, "no/such");
    expect(run(lost)).toBe(
      `pmflush: cannot append to file '${lost}' (from $PCP_STDERR): No such file or directory\n${direct}`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
