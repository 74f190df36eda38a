// Goal: the look at archives says in text what the report and pmdumplog say: label, times, counts,
// damage, gaps; fits 80 columns; agrees with its JSON; and --check is its verdict in one line.
import { expect, setDefaultTimeout, test } from "bun:test";
import { Glob } from "bun";
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArchiveReport } from "../../lib/probe/mod.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { runIn } from "../helpers/pcp.ts";
import { testWith } from "../helpers/peers.ts";
import { ARCHIVES, probe, probeJson } from "./probe.ts";

setDefaultTimeout(300_000);

const at = (name: string): string => join(ARCHIVES, name);

const reportOf = async (name: string): Promise<ArchiveReport> =>
  (await probeJson(["-a", name])).json["archive"] as ArchiveReport;

testWith("pcp6", "label and times are those of pmdumplog", async () => {
  for (const name of ["rec/v3-types", "rec/v2-mark", "gen/y2200-v3"]) {
    const { stdout, status } = await probe(["-a", at(name), "-z"]);
    expect(status).toBe(0);
    const label = (await runIn(pcp6, ["pmdumplog", "-z", "-L", at(name)])).stdout;
    const of = (pattern: RegExp): string => pattern.exec(label)?.[1] ?? "?";
    expect(stdout).toContain(`host       ${of(/from host (.*)/)}\n`);
    expect(stdout).toContain(`, pmlogger ${of(/PID for pmlogger: (\d+)/)}\n`);
    // Ours have six digits, cut.
    const time = (text: string): string => text.replace(/(\.\d{6})\d*/, "$1");
    expect(stdout).toContain(`start      ${time(of(/commencing (.*)/))}\n`);
    expect(stdout).toContain(`end        ${time(of(/ending {5}(.*)/))} (`);
  }
});

test("text, JSON and --check agree, within 80 columns", async () => {
  const files = [...new Glob("{rec,gen}/*.meta*").scanSync(ARCHIVES)].sort();
  const names = new Set(files.map((each) => each.replace(/\.meta.*$/, "")));
  for (const name of names) {
    const archive = at(name);
    const [text, report, check] = await Promise.all([
      probe(["-a", archive]),
      reportOf(archive),
      probe(["-a", archive, "--check"]),
    ]);
    const sound = text.stdout.startsWith(`archive "${archive}": opens, no fault found\n`);
    expect([name, report.error, report.damage.length === 0]).toEqual([name, null, sound]);
    expect([name, check.status]).toEqual([name, sound ? 0 : 1]);
    if (sound) expect(check.stdout).toBe(`archive "${archive}": ok\n`);
    const { counts } = report;
    expect(text.stdout).toContain(`records    ${counts.dataRecords} sample`);
    expect(text.stdout).toContain(
      `instances  ${counts.instances} in ${counts.instanceDomains} dom`,
    );
    expect(text.stdout).not.toContain("\u001b");
    for (const line of text.stdout.split("\n")) {
      if (!line.includes(archive)) expect(line.length).toBeLessThanOrEqual(80);
    }
  }
});

test("damage has file, offset, reason and code; what stands before is told", async () => {
  const archive = at("bad/v3-d-badtrail");
  const { stdout, status } = await probe(["-a", archive]);
  expect(status).toBe(0);
  expect(stdout).toStartWith(`archive "${archive}": opens, with 1 complaint\n`);
  expect(stdout.replaceAll(/\n {4}/g, " ")).toContain(
    `  ! ${archive}.0 offset 2188, data record: length 1024 at its start, 1028 at its end (PM_ERR_LOGREC)\n`,
  );
  const check = await probe(["-a", archive, "--check"]);
  expect([check.status, check.stdout.split("\n").length]).toEqual([1, 2]);
});

test("what is no damage and yet wrong is told without --check", async () => {
  for (const [name, wrong] of [
    ["v3-d-trunc-hdr2", ".0: 2 bytes at the end are no whole record"],
    ["v3-m-trunc-hdr", ".meta: 6 bytes at the end are no whole record"],
    ["v3-i-extra", ".index: 29 bytes at the end are no whole entry"],
    ["v3-i-missing", ": there is no temporal index"],
    ["v3-i-beyond", ".index: entry 3: offset to log file past end of file (6468)"],
    ["v3-vol-no3", ".index: entry 5: file missing for log volume 3"],
  ] as const) {
    const archive = at(`bad/${name}`);
    const { stdout, status } = await probe(["-a", archive]);
    expect([name, status]).toEqual([name, 0]);
    expect(stdout).toContain(": opens, with ");
    expect(stdout.replaceAll(/\n {4}/g, " ")).toContain(`  ! ${archive}${wrong}\n`);
    const check = await probe(["-a", archive, "--check"]);
    expect([check.status, check.stdout.startsWith(`archive "${archive}": ${archive}`)]).toEqual([
      1,
      true,
    ]);
  }
});

test("what is not written yet is no damage", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-written-"));
  const from = at("rec/v3-types");
  const archive = join(folder, "a");
  for (const end of [".meta", ".index"]) copyFileSync(from + end, archive + end);
  const data = readFileSync(`${from}.0`);
  let written = 2000;
  writeFileSync(`${archive}.0`, data.subarray(0, written));
  const write = setInterval(() => {
    appendFileSync(`${archive}.0`, data.subarray(written, written + 40));
    written += 40;
  }, 50);
  try {
    const { stdout, status } = await probe(["-a", archive, "--check"]);
    expect([stdout, status]).toEqual([`archive "${archive}": ok\n`, 0]);
  } finally {
    clearInterval(write);
    rmSync(folder, { recursive: true });
  }
});

test("links in a circle are told as PCP tells them, before anything is read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-loop-"));
  try {
    symlinkSync("b.meta", join(folder, "a.meta"));
    symlinkSync("a.meta", join(folder, "b.meta"));
    copyFileSync(`${at("rec/v3-types")}.0`, join(folder, "a.0"));
    const archive = join(folder, "a");
    const { stdout, stderr, status } = await probe(["-a", archive]);
    expect([status, stdout.split("\n")[0]]).toEqual([1, `archive "${archive}": cannot be opened`]);
    expect(stderr).toStartWith(
      `newcontext-probe: Cannot open archive "${archive}": Too many levels of symbolic links\n` +
        "  code: ELOOP (-40)\n",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a member that is left out is complained of once", async () => {
  const { stdout } = await probe(["-a", `${at("rec/v3-types")},,`]);
  expect(stdout).toContain(": opens, with 1 complaint\n  ! initarchive: skipping corrupt/unread");
});

test("a few records tell neither an interval nor a gap", async () => {
  const report = await reportOf(at("set/a2-cdata"));
  expect(report.counts.dataRecords).toBeLessThan(5);
  expect(report.members[0]?.spacing).toMatchObject({ interval: null, threshold: null, gaps: [] });
  expect((await probe(["-a", at("set/a2-cdata")])).stdout).not.toContain("interval");
});

test("a gap, its mark, and the picture of both", async () => {
  const { stdout } = await probe(["-a", at("rec/v3-mark")], { env: { LC_ALL: "C.UTF-8" } });
  expect(stdout).toContain(
    "\nGaps\n  Sat Nov 21 20:53:24.537 2026 to Sat Nov 21 20:53:27.537 2026: 3.0 s, marked\n",
  );
  expect(stdout).toContain("▲ mark   ╌ gap\n");
  const plain = await probe(["-a", at("rec/v3-mark")]);
  expect(plain.stdout).toContain("^ mark   ~ gap\n");
});

test("a set tells what its members have in common, and each of them", async () => {
  const names = ["set/a1", "set/a2", "set/a3"].map(at);
  const { stdout } = await probe(["-a", names.join(",")]);
  expect(stdout).toContain("\nSet of 3 archives\n  hosts      vm\n");
  for (const name of names) expect(stdout).toContain(`\nArchive ${name}\n`);
  const overlap = await probe(["-a", [at("set/ov1"), at("set/ov2")].join(",")]);
  expect(overlap.stdout.replaceAll(/\n {4}/g, " ")).toContain(
    `${at("set/ov1")} and ${at("set/ov2")} overlap by 1.8 s\n`,
  );
});
