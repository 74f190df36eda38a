// Goal: `pcpbox extract` and pmlogextract as programs: what goes to which stream with which status, what
// is left on the disk, the summary and the report of a dry run, and the picture of a mistake for people
// alone. Each case runs the real entry point as a child.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { progressText } from "../../cmd/extract-progress.ts";

const entry = join(import.meta.dir, "../../cmd/main.ts");
const archives = join(import.meta.dir, "../fixtures/archives");
const single = join(archives, "gen/interp-v3");
const [first, second] = [join(archives, "set/a1"), join(archives, "set/a2")];

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pcpbox-extract-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

async function run(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const child = Bun.spawn([process.execPath, entry, ...args], {
    argv0: name,
    cwd: folder,
    env: { ...process.env, TZ: "UTC", PCP_STDERR: "", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, out, err };
}

const pmlogextract = (...args: readonly string[]): Promise<Outcome> => run("pmlogextract", args);
const extract = (...args: readonly string[]): Promise<Outcome> =>
  run("pcpbox", ["extract", ...args]);

/** Files of an output below the folder. */
const made = (base: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith(`${base}.`))
    .sort();

describe("runs", () => {
  test("write an archive in silence", async () => {
    expect(await pmlogextract(first, second, "both")).toEqual({ status: 0, out: "", err: "" });
    expect(made("both")).toEqual(["both.0", "both.index", "both.meta"]);
  });

  test("end with 1 for help and mistakes under PCP's name, help of pcpbox ends with 0", async () => {
    const usage = "Usage: pmlogextract [options] input-archive output-archive\n";
    const asked = await pmlogextract("-?");
    expect([asked.status, asked.out]).toEqual([1, ""]);
    expect(asked.err).toStartWith(usage);
    const wrong = await pmlogextract("-w", "-q");
    expect(wrong.status).toBe(1);
    expect(wrong.err).toStartWith(
      `pmlogextract: Warning: -w flag requires that both -S and -T are specified.\nIgnoring -w flag.\npmlogextract: invalid option -- 'q'\n${usage}`,
    );
    const help = await extract("--help");
    expect([help.status, help.err]).toEqual([0, ""]);
    expect(help.out).toContain("--dry-run");
  });

  test("refuse an output that exists, and leave it alone", async () => {
    writeFileSync(join(folder, "old.index"), "mine");
    const notices = join(folder, "notices");
    const outcome = await run("pmlogextract", [single, "old"], { PCP_STDERR: notices });
    expect(outcome).toEqual({
      status: 1,
      out: "",
      err: "pmlogextract: Error: __pmLogCreate: File exists\n",
    });
    expect(readFileSync(notices, "utf8")).toBe(
      '__pmLogNewFile: "old.index" already exists, not over-written\n',
    );
    expect(made("old")).toEqual(["old.index"]);
    expect(readFileSync(join(folder, "old.index"), "utf8")).toBe("mine");
  });

  test("tell the zone on standard output, also when they fail", async () => {
    const note = 'Note: timezone set to "TZ=EST5EDT"\n\n';
    const { status, out, err } = await pmlogextract("-Z", "EST5EDT", "-s0", single, "none");
    expect([status, out]).toEqual([1, note]);
    expect(err).toBe(
      'pmlogextract: Warning: no qualifying records found.\nArchive "none" not created.\n',
    );
    expect(made("none")).toEqual([]);
  });

  test("take a configuration from any file that can be read", async () => {
    writeFileSync(join(folder, "keep"), "t.u32\nnosuch\n");
    const { status, err } = await pmlogextract("-c", "keep", single, "kept");
    expect([status, made("kept").length]).toEqual([0, 3]);
    expect(err).toBe(
      'Warning [keep, line 3]\nProblem with lookup for metric "nosuch" ... metric ignored\nReason: Unknown metric name\n',
    );
    mkdirSync(join(folder, "dir"));
    expect(await pmlogextract("-c", "dir", single, "lost")).toEqual({
      status: 2,
      out: "",
      err: "input in flex scanner failed\n",
    });
    expect(made("lost")).toEqual([]);
  });

  test("show the place of a mistake to people, not to scripts", async () => {
    writeFileSync(join(folder, "wrong"), "t.u32\ninst.instant[1,]\n");
    const plain = "Specification error in configuration file (wrong)\n[line 2] syntax error\n";
    const script = await pmlogextract("-c", "wrong", single, "w");
    expect(script).toEqual({ status: 1, out: "", err: plain });
    const person = await extract("-c", "wrong", single, "w");
    expect(person.err).toBe(
      `${plain}wrong:2:16: expected an instance, found "]"\ninst.instant[1,]\n               ^\n`,
    );
    expect(made("w")).toEqual([]);
  });
});

test("all conflicts are told to people, the first one to scripts", async () => {
  const inputs = [first, join(archives, "set/a2-type"), join(archives, "set/a2-indom")];
  const lines = ({ err }: Outcome): string[] =>
    err.split("\n").filter((line) => line.startsWith("pmlogextract: Error: metric "));
  const people = await extract(...inputs, "conflict");
  const scripts = await pmlogextract(...inputs, "conflict");
  expect([people.status, scripts.status]).toEqual([1, 1]);
  expect(lines(scripts)).toEqual(lines(people).slice(0, 1));
  expect(lines(people).length).toBeGreaterThan(1);
  expect(made("conflict")).toEqual([]);
});

describe("a dry run", () => {
  test("reports what a run would do and writes nothing", async () => {
    const { status, out, err } = await extract("--dry-run", "-S", "+1s", first, second, "dry");
    expect([status, err]).toEqual([0, ""]);
    expect(made("dry")).toEqual([]);
    expect(out).toStartWith(`Inputs:\n  ${first}: version 3, host `);
    expect(out).toMatch(/\nWindow: 20\S+T\S+Z to the end\nMetrics kept: \d+\n {2}\d+\.\d+\.\d+ /);
    expect(out).toMatch(/\nOutput: dry, version 3, 1 volume, \d+ records of which \d+ marks?\n/);
    expect(out).toEndWith("\nNothing was written.\n");
  });

  test("foretells the sizes of the files", async () => {
    const dry = await extract("--dry-run", "--json", "-v", "5", single, "size");
    const foretold = JSON.parse(dry.out);
    const real = await extract("--json", "-v", "5", single, "size");
    const summary = JSON.parse(real.out);
    expect({ ...foretold, dryRun: false, seconds: 0 }).toEqual({ ...summary, seconds: 0 });
    const size = (pattern: RegExp): number =>
      made("size")
        .filter((name) => pattern.test(name))
        .reduce((sum, name) => sum + Bun.file(join(folder, name)).size, 0);
    expect(summary.bytes).toEqual({
      data: size(/\.\d+$/),
      meta: size(/\.meta$/),
      index: size(/\.index$/),
      total: size(/./),
    });
    expect(summary.volumes).toBe(made("size").length - 2);
  });
});

describe("--json", () => {
  test("is one line about the run, notes and messages are elsewhere", async () => {
    const { status, out, err } = await extract("--json", "-z", "-V3", single, "json");
    expect(status).toBe(0);
    expect(err).toStartWith("Note: timezone set to local timezone of host ");
    expect(out.split("\n").length).toBe(2);
    const summary = JSON.parse(out);
    expect(summary).toMatchObject({
      status: 0,
      dryRun: false,
      output: "json",
      version: 3,
      compression: null,
      inputs: [{ name: single, version: 3, damaged: false }],
      window: { start: null, finish: null },
      dropped: [],
      volumes: 1,
    });
    expect(summary.start).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    expect(summary.metrics[0]).toMatchObject({ pmid: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });

  test("tells of a failure too", async () => {
    const { status, out, err } = await extract("--json", "nosuch", "failed");
    expect(status).toBe(1);
    expect(err).toBe(
      'pmlogextract: Error: cannot open archive "nosuch": No such file or directory\n',
    );
    expect(JSON.parse(out)).toMatchObject({ status: 1, inputs: [], records: 0, volumes: 0 });
    expect(existsSync(join(folder, "failed.0"))).toBe(false);
  });
});

test("progress is records, speed, part and time left", () => {
  const progress = { bytesRead: 400_000_000, bytesTotal: 1_000_000_000, records: 1_200_000 };
  expect(progressText({ ...progress, seconds: 8 })).toBe(
    "1,200,000 records, 50.0 MB/s, 40 %, 0:12 left",
  );
  expect(progressText({ ...progress, bytesRead: 1e6, seconds: 8 })).toBe(
    "1,200,000 records, 0.1 MB/s, 0 %",
  );
  expect(progressText({ ...progress, bytesTotal: 4e12, bytesRead: 2e11, seconds: 360 })).toEndWith(
    "5 %, 1:54:00 left",
  );
});
