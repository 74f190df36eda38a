// Goal: `--dump` of newcontext-probe prints what pmdumplog prints for the same parts, window, order and
// zone; damage is told after what precedes it; derived metrics can be asked for by file.
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pcp6 } from "../helpers/pcp6.ts";
import { runIn } from "../helpers/pcp.ts";
import { describePeer } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { ARCHIVES, probe } from "./probe.ts";

setDefaultTimeout(300_000);

const types = join(ARCHIVES, "rec/v3-types");

type Case = readonly [ours: readonly string[], theirs: readonly string[]];

const CASES: readonly Case[] = [
  [["--part", "label"], ["-L"]],
  [["--part", "descs"], ["-d"]],
  [["--part", "insts"], ["-i"]],
  [["--part", "index"], ["-t"]],
  [["--part", "values"], ["-m"]],
  [
    ["--part", "values", "-S", "+2", "-T", "+1"],
    ["-m", "-S", "+2", "-T", "+1"],
  ],
  [
    ["--part", "values", "--reverse"],
    ["-m", "-r"],
  ],
  [
    ["--part", "values", "-Z", "EST5"],
    ["-m", "-Z", "EST5"],
  ],
];

describePeer("pcp6", "dumps are those of pmdumplog", () => {
  for (const [ours, theirs] of CASES) {
    test.concurrent(ours.join(" "), async () => {
      const dump = await probe(["-a", types, "--dump", ...ours]);
      expect([dump.stderr, dump.status]).toEqual(["", 0]);
      const real = await runIn(pcp6, ["pmdumplog", ...theirs, types]);
      // pmdumplog prints metrics and domains in the order of its hash tables.
      const sorted = ours.includes("descs") || ours.includes("insts");
      const text = (out: string): string =>
        sorted ? out.trim().split("\n").sort().join("\n") : out.trim();
      expect(text(dump.stdout)).toBe(text(real.stdout));
    });
  }

  test("values of some metrics", async () => {
    const dump = await probe(["-a", types, "--part", "values", "sample.bin", "sample.colour"]);
    const real = await runIn(pcp6, ["pmdumplog", types, "sample.bin", "sample.colour"]);
    expect(dump.stdout.trim()).toBe(real.stdout.trim());
  });
});

test("damage is told after what precedes it", async () => {
  const archive = join(ARCHIVES, "bad/v3-d-badtrail");
  const { stdout, stderr, status } = await probe(["-a", archive, "--part", "values"]);
  expect(status).toBe(1);
  expect(stdout).toContain("(sample.dupnames.two.seconds or sample.seconds): value ");
  expect(stderr).toStartWith(
    `newcontext-probe: archive "${archive}": Corrupted record in a PCP archive\n` +
      "  code: PM_ERR_LOGREC (-12373)\n",
  );
});

test("metrics of a file of derived metrics", async () => {
  const file = join(privateFolder("derived"), "d");
  writeFileSync(file, "my.two = sample.long.one + 1\nmy.none = no.such + 1\n");
  const args = ["-a", types, "-s", "1", "--derived", file];
  const { stdout, stderr, status } = await probe([...args, "my.two"]);
  expect([stderr, status]).toEqual(["", 0]);
  expect(stdout).toMatch(/^20:53:02\.443 +2$/m);
  // What does not suit this source is told to those alone who ask for it by its name.
  const branch = await probe([...args, "my"]);
  expect([branch.stderr, branch.status]).toEqual(["", 0]);
  const none = await probe([...args, "my.none"]);
  expect(none.status).toBe(1);
  expect(none.stderr).toStartWith(
    "newcontext-probe: Semantic error: derived metric my.none: operand no.such: " +
      "Unknown operand metric\nnewcontext-probe: my.none: Unknown metric name [PM_ERR_NAME, -12357]\n",
  );
});

interface JsonMetric {
  readonly pmid: string;
  readonly values: readonly { readonly instance: number | null; readonly value: unknown }[];
}

test("JSON has the facts of the text, a line for each", async () => {
  for (const name of ["rec/v3-types", "rec/v2-mark", "gen/interp-v3", "rec/v3-dyn"]) {
    const args = ["-a", join(ARCHIVES, name), "--dump"];
    const text = (await probe(args)).stdout;
    const { stdout, stderr, status } = await probe([...args, "--json"]);
    expect([stderr, status]).toEqual(["", 0]);
    const objects = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(objects[0]).toMatchObject({ part: "dump", tool: "newcontext-probe", ok: true });
    const of = (part: string) => objects.filter((each) => each["part"] === part);
    const lines = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
    expect(of("label").length).toBe(1);
    expect(of("descriptor").length).toBe(lines(/^PMID: .*\n {4}Data Type/gm));
    expect(of("instances").length).toBe(lines(/^\S+ \d+ instances$/gm));
    expect(of("text").filter(({ oneline }) => oneline === true).length).toBe(
      lines(/^(?:PMID|InDom): \S+ \[/gm),
    );
    expect(of("mark").length).toBe(lines(/<mark>$/gm));
    expect(of("record").length).toBe(lines(/^\S+ \d+ metrics?$/gm));
    const whole = new Set(["32", "U32", "64", "U64"]);
    const types = new Map(of("descriptor").map(({ pmid, type }) => [pmid, type as string]));
    const integers = (of("record") as unknown as readonly { metrics: readonly JsonMetric[] }[])
      .flatMap(({ metrics }) => metrics)
      .filter(({ pmid }) => whole.has(types.get(pmid) ?? ""))
      .flatMap(({ values }) => values.map(({ value }) => String(value)));
    // Lines of a metric follow its first one.
    let pmid = "";
    const printed = text.split("\n").flatMap((line) => {
      pmid = /^ {4}(\d+\.\d+\.\d+) \(/.exec(line)?.[1] ?? pmid;
      const value = /^ {4}.* value (-?\d+)$/.exec(line)?.[1];
      return value !== undefined && whole.has(types.get(pmid) ?? "") ? [value] : [];
    });
    expect(integers.length).toBeGreaterThan(0);
    expect(integers).toEqual(printed);
  }
});

test("JSON of damage ends with the failure", async () => {
  const { stdout, stderr, status } = await probe([
    "-a",
    join(ARCHIVES, "bad/v3-d-badtrail"),
    "--part",
    "values",
    "--json",
  ]);
  expect([stderr, status]).toEqual(["", 1]);
  const objects = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  const parts = objects.map(({ part }) => part).join(" ");
  expect(parts).toBe("dump record record record failure");
  expect(objects.at(-1)).toMatchObject({ ok: false, error: { symbol: "PM_ERR_LOGREC" } });
});
