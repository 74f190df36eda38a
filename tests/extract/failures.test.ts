// Goal: whatever is wrong with inputs or output, a run ends with a clear message and a status, leaves the
// inputs as they were, and never leaves a half archive: taken names, an output that is an input, folders that
// cannot be written, a full disk, metrics in conflict, damage in any byte of the inputs, cancellation.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { extract, type ExtractHooks, type ExtractJob } from "../../lib/extract/mod.ts";
import { describePeer } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";
import {
  at,
  dataLines,
  desc,
  indom,
  makeArchive,
  metaLines,
  type Recipe,
} from "./archive-maker.ts";

const folder = privateFolder("extract-failures");
let made = 0;

/** A name in a folder of its own. */
function newBase(): string {
  const place = join(folder, `${made++}`);
  mkdirSync(place);
  return join(place, "a");
}

function archive(recipe: Recipe): string {
  const base = newBase();
  makeArchive(base, recipe);
  return base;
}

async function run(
  inputs: readonly string[],
  options: Partial<ExtractJob> = {},
  hooks: Partial<ExtractHooks> = {},
) {
  const output = options.output ?? newBase();
  let said = "";
  const job: ExtractJob = { env: { TZ: "UTC" }, ...options, inputs, output };
  const summary = await extract(job, { say: (text) => (said += text), ...hooks });
  const left = readdirSync(join(output, "..")).sort();
  return { status: summary.status, said: said.replaceAll(output, "OUT"), output, left, summary };
}

const plain = (pmid: string, seconds: number, count = 3, more: Partial<Recipe> = {}): string =>
  archive({
    metadata: [desc("t.s", pmid)],
    results: Array.from({ length: count }, (_, k) => ({
      time: at(seconds + k),
      sets: [[pmid, [[-1, k]]]],
    })),
    ...more,
  });

const one = plain("100.0.1", 0);

test("names that are taken are not touched", async () => {
  for (const ending of ["index", "meta", "0", "0.xz", "meta.gz"]) {
    const output = newBase();
    writeFileSync(`${output}.${ending}`, "mine");
    const { status, said, left } = await run([one], { output });
    expect([status, said]).toEqual([
      1,
      `__pmLogNewFile: "OUT.${ending}" already exists, not over-written\n` +
        "pmlogextract: Error: __pmLogCreate: File exists\n",
    ]);
    expect(left).toEqual([`a.${ending}`]);
    expect(readFileSync(`${output}.${ending}`, "utf8")).toBe("mine");
  }
});

test("an output that is an input is a name that is taken", async () => {
  const before = readFileSync(`${one}.0`);
  const { status } = await run([one], { output: one });
  expect(status).toBe(1);
  expect(readFileSync(`${one}.0`)).toEqual(before);
});

test("a volume whose name is taken ends the run, and stays", async () => {
  const output = newBase();
  writeFileSync(`${output}.2`, "mine");
  const { status, left } = await run([one], { output, volume: { kind: "records", limit: 1 } });
  expect([status, left]).toEqual([1, ["a.2"]]);
});

test("a folder that is not there", async () => {
  const output = join(newBase(), "no", "a");
  let said = "";
  const { status } = await extract({ inputs: [one], output }, { say: (text) => (said += text) });
  expect([status, said.replaceAll(output, "OUT")]).toEqual([
    1,
    '__pmLogNewFile: failed to create "OUT.index": No such file or directory\n' +
      "pmlogextract: Error: __pmLogCreate: No such file or directory\n",
  ]);
});

test("inputs that are not there, empty, or of different hosts", async () => {
  const missing = await run([join(folder, "nosuch")]);
  expect([missing.status, missing.said, missing.left]).toEqual([
    1,
    `pmlogextract: Error: cannot open archive "${folder}/nosuch": No such file or directory\n`,
    [],
  ]);
  const empty = plain("100.0.1", 0, 0);
  const alone = await run([empty]);
  expect([alone.status, alone.said]).toEqual([
    1,
    `pmlogextract: Warning: empty archive "${empty}" will be skipped\n` +
      "pmlogextract: Warning: all input archive(s) are empty, no output archive created\n",
  ]);
  const skipped = await run([empty, one]);
  expect([skipped.status, skipped.summary.empty, skipped.summary.records]).toEqual([0, [empty], 3]);
  const other = plain("100.0.1", 9, 3, { host: "other" });
  const hosts = await run([one, other]);
  expect([hosts.status, hosts.said, hosts.left]).toEqual([
    1,
    "pmlogextract: Error: host name mismatch for input archives\n" +
      `archive: ${one} host: qahost\narchive: ${other} host: other\n` +
      'Archive "OUT" not created.\n',
    [],
  ]);
  const version = await run([plain("100.0.1", 9, 3, { version: 3 })], { version: 2 });
  expect(version.said).toContain("input archive version must be no more than 2");
});

test("a volume that the system does not let us read ends the run, one that is gone is passed over", async () => {
  const input = newBase();
  const three = await run([one], { output: input, volume: { kind: "records", limit: 1 } });
  expect(three.summary.volumes).toBe(3);
  rmSync(`${input}.1`);
  const passed = await run([input]);
  expect([passed.status, dataLines(passed.output).length]).toEqual([0, 2]);
  mkdirSync(`${input}.1`);
  const { status, said, left } = await run([input]);
  expect([status, said, left]).toEqual([
    1,
    `pmlogextract: Error: __pmLogRead[log ${input}]: ${input}.1: Is a directory\nArchive "OUT" not created.\n`,
    [],
  ]);
});

test("more inputs at a time than files may be open", async () => {
  const inputs = Array.from({ length: 60 }, (_, i) => plain("100.0.1", 0, 1 + i));
  const usual = await run(inputs);
  const output = newBase();
  const engine = join(import.meta.dir, "../../lib/extract/mod.ts");
  const script = join(folder, "few.ts");
  writeFileSync(
    script,
    `import { extract } from ${JSON.stringify(engine)};\n` +
      `const job = ${JSON.stringify({ inputs, output })};\n` +
      "const { status } = await extract(job, { say: (text) => process.stdout.write(text) });\n" +
      "process.stdout.write(`status ${status}\\n`);\n",
  );
  const command = 'ulimit -n 48 && exec "$0" "$1"';
  expect(await must(["sh", "-c", command, process.execPath, script])).toBe("status 0\n");
  expect(dataLines(output)).toEqual(dataLines(usual.output));
});

test("values of a metric that nobody describes are shown and left out", async () => {
  const input = archive({
    metadata: [desc("t.s", "100.0.1")],
    results: [
      {
        time: at(0),
        sets: [
          ["70.1.1", [[-1, 8n]]],
          ["100.0.1", [[-1, 1]]],
        ],
      },
      { time: at(1), sets: [["70.1.2", [[3, 9]]]] },
    ],
  });
  const { status, said, output } = await run([input]);
  const warning = (pmid: string): string =>
    `pmlogextract: Warning: [log ${input}] metadata for PMID ${pmid} has not been found, culling this metric ...\n`;
  expect([status, said]).toEqual([
    0,
    `${warning("70.1.1")}__pmResult dump from 0x84 timestamp: 1700000000.000000000 22:13:20.000000000 numpmid: 2\n` +
      "[0]   70.1.1 (<noname>): numval: 1 valfmt: 1 vlist[]:\n   value 8\n" +
      `${warning("70.1.2")}__pmResult dump from 0xcc timestamp: 1700000001.000000000 22:13:21.000000000 numpmid: 1\n` +
      "[0]   70.1.2 (<noname>): numval: 1 valfmt: 0 vlist[]:\n   inst [3 or ???] value 9\n",
  ]);
  expect(dataLines(output)).toEqual(["+0 100.0.1=1", "+1 MARK"]);
});

test("a name that no time zone has", async () => {
  const { status, said, left } = await run([one], { zone: { kind: "named", name: "a b" } });
  expect([status, said, left]).toEqual([
    1,
    'pmlogextract: Cannot set timezone to "a b": Invalid argument\nArchive "OUT" not created.\n',
    [],
  ]);
});

test("all metrics in conflict are told at once, or left out", async () => {
  const changed = archive({
    metadata: [desc("t.other", "100.0.1", undefined, true), desc("t.s", "100.0.7", 3)],
    results: [{ time: at(50), sets: [["100.0.7", [[-1, 1]]]] }],
  });
  const lines = [
    "metric PMID 100.0.1: name changed from t.s to t.other!",
    "metric t.s: type changed from 32 to U64!",
    "metric t.s: PMID changed from 100.0.1 to 100.0.7!",
  ];
  const refused = await run([one, changed]);
  expect([refused.status, refused.said, refused.left]).toEqual([
    1,
    lines.map((line) => `pmlogextract: Error: ${line}\n`).join("") + 'Archive "OUT" not created.\n',
    [],
  ]);
  const kept = await run([one, changed], { skipConflicts: true });
  expect(kept.said).toBe(
    lines.map((line) => `pmlogextract: Warning: ${line}\n`).join("") +
      "Warning: the metrics below will be missing from the output archive\n\tPMID: 100.0.1\n",
  );
  expect(dataLines(kept.output)).toEqual(["+50 100.0.7=1"]);
  expect(metaLines(kept.output)).toEqual(["desc 100.0.7"]);
});

test("a desperate run keeps what was written", async () => {
  const output = newBase();
  writeFileSync(`${output}.2`, "mine");
  const options = { output, desperate: true, volume: { kind: "records", limit: 1 } } as const;
  const { status, left, said } = await run([one], options);
  expect([status, left, said.includes("not created")]).toEqual([
    1,
    ["a.0", "a.1", "a.2", "a.index", "a.meta"],
    false,
  ]);
});

test("a desperate run takes all that can be read when the end of an input is lost", async () => {
  const input = plain("100.0.1", 100);
  const bytes = readFileSync(`${input}.0`);
  bytes.fill(0xff, 132);
  writeFileSync(`${input}.0`, bytes);
  const refused = await run([one, input]);
  const failure = `pmlogextract: Error: cannot get end of archive (${input}): Corrupted record in a PCP archive\n`;
  expect([refused.status, refused.said, refused.left]).toEqual([1, failure, []]);
  const kept = await run([one, input], { desperate: true });
  expect([kept.status, kept.said.startsWith(failure)]).toEqual([0, true]);
  expect(dataLines(kept.output).slice(0, 3)).toEqual(dataLines(one));
});

test("a run that is cancelled leaves nothing", async () => {
  const long = plain("100.0.1", 0, 200_000);
  let looks = 0;
  const { status, left } = await run([long], {}, { cancelled: () => ++looks > 0 });
  // A machine that is done before it asks has an archive to show.
  expect(left.length === 0 ? status : 1).toBe(1);
});

test("a dry run writes nothing and tells what would be", async () => {
  const { status, left, summary } = await run([one], { dryRun: true });
  expect([status, left]).toEqual([0, []]);
  const written = await run([one]);
  const { records, bytes, metrics } = written.summary;
  expect([summary.records, summary.bytes, summary.metrics]).toEqual([records, bytes, metrics]);
  expect(readFileSync(`${written.output}.0`).length).toBe(bytes.data);
  expect(readFileSync(`${written.output}.meta`).length).toBe(bytes.meta);
  expect(readFileSync(`${written.output}.index`).length).toBe(bytes.index);
});

test("directories and comma lists stand for all archives in them", async () => {
  const place = newBase();
  mkdirSync(place);
  for (const seconds of [0, 100]) {
    makeArchive(join(place, `part${seconds}`), {
      metadata: [desc("t.s", "100.0.1")],
      results: [{ time: at(seconds), sets: [["100.0.1", [[-1, seconds]]]] }],
    });
  }
  const all = ["+0 100.0.1=0", "+0.001 MARK", "+100 100.0.1=100"];
  expect(dataLines((await run([place])).output)).toEqual(all);
  const list = `${place}/part100,${place}/part0`;
  expect(dataLines((await run([list])).output)).toEqual(all);
});

test("any damaged byte ends in a status, with inputs untouched and no half archive", async () => {
  const input = archive({
    version: 3,
    metadata: [
      desc("t.s", "100.0.1"),
      desc("t.m", "100.0.2", 1, true),
      indom(0, 1, [
        [1, "a"],
        [2, "b"],
      ]),
      indom(
        1,
        1,
        [
          [2, undefined],
          [3, "c"],
        ],
        true,
      ),
    ],
    results: [0, 1, 2].map((k) => ({
      time: at(k),
      sets: [
        ["100.0.1", [[-1, k]]],
        [
          "100.0.2",
          [
            [1, 5n],
            [3, 6n],
          ],
        ],
      ],
    })),
  });
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
  for (let i = 0; i < 300; i++) {
    const ending = ["0", "meta", "index"][random(3)] as string;
    const path = `${input}.${ending}`;
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    for (let k = 0; k <= random(2); k++) bad[random(bad.length)] = random(256);
    writeFileSync(path, random(6) === 0 ? bad.subarray(0, random(bad.length)) : bad);
    const before = readFileSync(path);
    const { status, left, said } = await run([input], { version: 3 });
    expect(left.length === 0 || left.length === 3).toBe(true);
    expect(status === 0 || said !== "").toBe(true);
    expect(left.length === 3).toBe(status === 0);
    expect(readFileSync(path)).toEqual(before);
    writeFileSync(path, good);
  }
}, 300_000);

describePeer(["root"], "a full disk", () => {
  /** Extracts a long archive on a small disk; what is said, and what is left, copied to `kept`. */
  async function fill(desperate: boolean, kept: string): Promise<readonly [string, string]> {
    const place = newBase();
    mkdirSync(place);
    mkdirSync(kept);
    const long = plain("100.0.1", 0, 100_000);
    const script = join(folder, "full.ts");
    const engine = join(import.meta.dir, "../../lib/extract/mod.ts");
    const output = join(place, "o");
    writeFileSync(
      script,
      `import { extract } from ${JSON.stringify(engine)};\n` +
        `const job = ${JSON.stringify({ inputs: [long], output, desperate, pid: 1 })};\n` +
        "const { status } = await extract(job, { say: (text) => process.stdout.write(text) });\n" +
        "process.stdout.write(`status ${status}\\n`);\n",
    );
    // The mount goes with the name space of the command.
    const command =
      'mount -t tmpfs -o size=3m none "$1" && "$2" "$3" && ls -A "$1" && cp -r "$1/." "$4"';
    const words = ["sh", "-c", command, "sh", place, process.execPath, script, kept];
    const said = await must(["unshare", "-m", "--propagation", "private", ...words]);
    expect(existsSync(`${long}.0`)).toBe(true);
    return [said.replaceAll(output, "OUT"), long];
  }

  test("is told, and nothing stays", async () => {
    const [said] = await fill(false, newBase());
    expect(said).toBe(
      "pmlogextract: Error: __pmLogPutResult: log data: No space left on device\n" +
        'Archive "OUT" not created.\nstatus 1\n',
    );
  });

  test("leaves what there was room for to the desperate", async () => {
    const kept = newBase();
    const [said, long] = await fill(true, kept);
    expect(said).toBe(
      "pmlogextract: Error: __pmLogPutResult: log data: No space left on device\nstatus 1\n" +
        "o.0\no.index\no.meta\n",
    );
    const again = await run([join(kept, "o")], { desperate: true });
    expect(again.status).toBe(0);
    const whole = readFileSync(`${long}.0`);
    const part = readFileSync(`${again.output}.0`);
    expect(part.length).toBeGreaterThan(1e6);
    // The labels have process ids and times of their own.
    expect(part.subarray(1000).equals(whole.subarray(1000, part.length))).toBe(true);
  });
});
