// Goal: over archives the values of newcontext-probe are those that pmval prints for the same
// options: every record without -t, interpolated with it, counters as rates or raw, in every form of
// time window and zone; text and JSON say the same; a growing archive is followed.
import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pcp6 } from "../helpers/pcp6.ts";
import { type PcpTree, runIn } from "../helpers/pcp.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { describePeer } from "../helpers/peers.ts";
import { privateFolder, turnstile } from "../helpers/process.ts";
import { ARCHIVES, type Json, probe, probeJson, startProbe } from "./probe.ts";

setDefaultTimeout(300_000);

/** Rows of a table by time: the cells of pmval or of ours, `?` and missing ones as "". */
function rows(text: string): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const line of text.split("\n")) {
    const row = /^(\d\d:\d\d:\d\d\.\d{3,4})( .*|-\d+)$/.exec(line);
    if (row === null) continue;
    const [, time = "", rest = ""] = row;
    if (/[a-z] [a-z]/i.test(rest)) {
      if (!/suspended|interrupted/.test(rest)) continue;
      found.set(time, ["mark"]);
      continue;
    }
    found.set(time, rest.trim().split(/\s+/));
  }
  return found;
}

/** Times as pmval prints them: it cuts, and writes a full second as .1000. */
const normalTime = (time: string): string => {
  const [clock = "", fraction = ""] = time.split(".");
  if (fraction !== "1000") return time;
  const [hour = 0, minute = 0, second = 0] = clock.split(":").map(Number);
  const total = hour * 3600 + minute * 60 + second + 1;
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(total / 3600))}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}.000`;
};

/** Whether two cells are one value: pmval rounds to four digits. */
function sameCell(ours: string, theirs: string): boolean {
  const missing = (cell: string): boolean => cell === "?" || cell === "-";
  if (missing(ours) || missing(theirs)) return missing(ours) && missing(theirs);
  if (ours === theirs) return true;
  const [a, b] = [Number(ours), Number(theirs)];
  return Math.abs(a - b) <= Math.max(Math.abs(b) * 6e-4, 5e-4);
}

type Case = readonly [archive: string, metric: string, args: readonly string[]];

const INTERP = "gen/interp-v3";
const COUNTERS = ["t.i32.counter", "t.double.counter", "wrap.i64", "inst.counter"];
const OTHERS = ["t.u32.instant", "t.u64.discrete", "t.float.instant", "inst.instant"];
const MEMBERS = "set/a1,set/a2,set/a3";

const CASES: readonly Case[] = [
  ...[...COUNTERS, ...OTHERS, "wrap.i32", "sparse.counter"].map((name): Case => [INTERP, name, []]),
  ...COUNTERS.flatMap((name): Case[] => [
    [INTERP, name, ["-r"]],
    [INTERP, name, ["-t", "0.7"]],
    [INTERP, name, ["-t", "2.5"]],
  ]),
  ...OTHERS.map((name): Case => [INTERP, name, ["-t", "500msec"]]),
  ["gen/interp-v2", "inst.counter", ["-t", "1"]],
  ["rec/v3-mark", "sample.seconds", []],
  ["rec/v2-mark", "sample.seconds", ["-t", "0.3", "-s", "7"]],
  [MEMBERS, "sample.seconds", []],
  [MEMBERS, "sample.seconds", ["-t", "0.25"]],
  [INTERP, "t.u32.instant", ["-t", "1", "-S", "+3"]],
  [INTERP, "t.u32.instant", ["-t", "1", "-S", "-3"]],
  [INTERP, "t.u32.instant", ["-t", "1", "-S", "+2", "-T", "+5"]],
  [INTERP, "t.u32.instant", ["-t", "1", "-O", "+2.5"]],
  [INTERP, "t.u32.instant", ["-t", "2", "-A", "2sec", "-S", "+1"]],
  [INTERP, "t.u32.instant", ["-t", "1", "-S", "@00:00:02", "-T", "@00:00:06"]],
  [INTERP, "t.u32.counter", ["-t", "1", "-s", "3", "-Z", "EST5EDT"]],
  [INTERP, "t.u32.instant", ["-S", "+2", "-T", "+10"]],
  [INTERP, "t.u32.instant", ["-z", "-s", "2"]],
  ["comp/mixed-mv", "sample.seconds", []],
  ["rec/v3-mv", "sample.milliseconds", ["-t", "1.5"]],
];

/** Where the archives are for programs in another root: a folder that both see. */
const shared = privateFolder("values");
cpSync(ARCHIVES, shared, { recursive: true });

/** Releases differ in values between records that are no counters (spec archive.md 16). */
const differs = (metric: string, args: readonly string[]): boolean =>
  args.includes("-t") && !/counter|^wrap|seconds|milliseconds/.test(metric);

async function compare(tree: PcpTree, [archive, metric, args]: Case): Promise<void> {
  const names = archive
    .split(",")
    .map((each) => join(shared, each))
    .join(",");
  const source = args.includes("-t") ? ["-a", names] : ["-U", names];
  const pmval = await runIn(tree, ["pmval", ...source, ...args, metric]);
  const ours = await probe(["-a", names, ...args, metric]);
  expect([ours.stderr, ours.status]).toEqual(["", 0]);
  const theirs = new Map([...rows(pmval.stdout)].map(([time, cells]) => [normalTime(time), cells]));
  const found = rows(ours.stdout);
  for (const [time, cells] of theirs) {
    const mine = found.get(time) ?? [];
    // Columns of instances that come later are not there yet; pmval prints them as ?.
    for (let i = 0; i < Math.max(cells.length, mine.length); i++) {
      const [a, b] = [mine[i] ?? "?", cells[i] ?? "?"];
      if (!sameCell(a, b)) expect([time, i, a]).toEqual([time, i, b]);
    }
  }
  // What pmval does not print has no value.
  for (const [time, cells] of found) {
    if (theirs.has(time)) continue;
    expect([time, cells.filter((cell) => !/^(?:\?|-|!|mark)$/.test(cell))]).toEqual([time, []]);
  }
}

for (const tree of [pcp6, pcp7]) {
  describePeer(tree.name, `values are those of pmval of ${tree.name}`, () => {
    const turn = turnstile(2);
    const cases = CASES.filter(([, name, args]) => differs(name, args) === (tree === pcp7));
    for (const each of cases) {
      const [archive, metric, args] = each;
      test.concurrent(`${archive} ${metric} ${args.join(" ")}`, () =>
        turn(() => compare(tree, each)),
      );
    }
  });
}

test("JSON says what the table says", async () => {
  const args = ["-a", join(ARCHIVES, INTERP), "-t", "0.7", "inst.counter", "t.double.instant"];
  const { json, status } = await probeJson(args);
  expect(status).toBe(0);
  const table = [...rows((await probe(args)).stdout).values()];
  const samples = json["samples"] as readonly { metrics: readonly Json[]; mark: boolean }[];
  expect(json["metrics"]).toMatchObject([
    { name: "inst.counter", pmid: "245.4.29", type: "U32", semantics: "counter", indom: "245.1" },
    { name: "t.double.instant", type: "DOUBLE", semantics: "instant", indom: null },
  ]);
  expect(samples.length).toBeGreaterThan(15);
  expect(table.length).toBe(samples.length);
  samples.forEach((sample, at) => {
    const shown = table[at]?.at(-1) ?? "?";
    const values = sample.metrics[1]?.["values"] as readonly Json[];
    if (values.length > 0) expect(Number(shown)).toBeCloseTo(values[0]?.["value"] as number, 4);
  });
});

test("64-bit values and numbers that are none stay what they are in JSON", async () => {
  const { json } = await probeJson(["-a", join(ARCHIVES, INTERP), "-r", "-s", "2", "wrap.u64"]);
  expect(json["samples"]).toMatchObject([
    { metrics: [{ values: [{ value: "18446744073709551000" }] }] },
    { metrics: [{ values: [{ value: "18446744073709551610" }] }] },
  ]);
});

test("event records are unpacked", async () => {
  const archive = join(ARCHIVES, "rec/v3-events");
  const { stdout } = await probe(["-a", archive, "sample.event.records", "-s", "3"]);
  expect(stdout).toContain(
    "    20:52:54.441 --- event record [0] flags 0x1 (point) ---\n      sample.event.type 1\n",
  );
  const { json } = await probeJson(["-a", archive, "sample.event.records", "-s", "1"]);
  expect(json["samples"]).toMatchObject([
    { metrics: [{ values: [{ events: [] }, { events: [{ flags: ["point"] }, {}] }] }] },
  ]);
});

test("a growing archive is followed, and ends with status 0", async () => {
  const folder = privateFolder("growing");
  const base = join(folder, "g");
  const from = join(ARCHIVES, INTERP);
  for (const end of ["meta", "index"]) copyFileSync(`${from}.${end}`, `${base}.${end}`);
  const data = readFileSync(`${from}.0`);
  // Half of the volume now, within a record; the rest later.
  const half = Math.floor(data.length / 2);
  writeFileSync(`${base}.0`, data.subarray(0, half));
  const watcher = startProbe(["-a", base, "--watch", "0.2", "t.u32.instant"]);
  expect(await watcher.has("00:00:01.000")).toBe(true);
  expect(watcher.output()).not.toContain("00:00:14.000");
  appendFileSync(`${base}.0`, data.subarray(half));
  expect(await watcher.has("00:00:14.000")).toBe(true);
  expect(await watcher.end("SIGINT")).toBe(0);
  expect(watcher.output()).not.toContain("\u001b");
});
