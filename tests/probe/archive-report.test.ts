// Goal: what a report says of an archive is what is in it: labels, ends, counts and marks are those that
// pmdumplog and pminfo give, contradictions those that pmlogcheck finds; errors and damage of archives
// and sets have the code of the real library, with file, offset, kind and reason, and everything that
// can still be read is counted.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { ctimeText, UTC } from "../../lib/pcp/mod.ts";
import { type ArchiveReport, archiveReport, type MemberReport } from "../../lib/probe/mod.ts";
import { testWith } from "../helpers/peers.ts";

const FOLDER = join(import.meta.dir, "../fixtures/archives");
const environment = { ...process.env, TZ: "UTC", LC_ALL: "C", PCP_DERIVED_CONFIG: "" };

const inFolder = (names: string): string =>
  names
    .split(",")
    .map((name) => join(FOLDER, name))
    .join(",");

const reportOf = (names: string, check = false): ArchiveReport =>
  archiveReport(inFolder(names), { check });

/** The report of the only member. */
function single(name: string, check = false): MemberReport {
  const { members } = reportOf(name, check);
  expect(members.length).toBe(1);
  return members[0] as MemberReport;
}

const RECORDED = [
  ["rec/v2-types", "rec/v3-types", "rec/v2-mv", "rec/v3-mv", "rec/v2-labels", "rec/v3-labels"],
  ["rec/v3-labels-721", "rec/v3-events", "rec/v2-dyn", "rec/v3-dyn", "rec/v3-dyn-721"],
  ["rec/v2-mark", "rec/v3-mark", "gen/interp-v2", "gen/interp-v3", "gen/y2200-v3"],
  ["set/a1", "set/b1", "comp/xz", "comp/gz", "comp/bz2", "comp/mixed-mv"],
].flat();

const run = (...argv: readonly string[]): string =>
  Bun.spawnSync([...argv], { env: environment }).stdout.toString();

const matches = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

describe("figures are those of the real programs", () => {
  for (const name of RECORDED) {
    testWith("pcp6", name, () => {
      const base = inFolder(name);
      const { label, end, counts, start } = single(name);
      const digits = label?.version === 2 ? 6 : 9;
      const dump = run("pmdumplog", "-LdehIit", base);
      const records = run("pmdumplog", "-mM", "-T", "@Jan 1 00:00 2400", base);
      const part = (from: string, to: string): string =>
        dump.slice(dump.indexOf(from), to === "" ? undefined : dump.indexOf(to));
      const labels = part("Metric Labels", "Metric Help");
      const domains = part("Instance Domains on-disk", "Instance Domains in");
      expect(dump).toContain(`(Log Format Version ${label?.version})`);
      expect(dump).toContain(`metrics from host ${label?.host}\n`);
      expect(dump).toContain(`commencing ${ctimeText(start ?? { sec: 0, nsec: 0 }, UTC, digits)}`);
      expect(dump).toContain(`ending     ${ctimeText(end ?? { sec: 0, nsec: 0 }, UTC, digits)}`);
      expect(dump).toContain(`Archive timezone: ${label?.timezone}\n`);
      expect(dump).toContain(`PID for pmlogger: ${label?.pid}\n`);
      expect(counts).toMatchObject({
        metrics: matches(dump, /^PMID: .*\n {4}Data Type/gm),
        names: run("pminfo", "-a", base).trim().split("\n").length - EVENT_METRICS,
        instanceDomains: matches(part("Instance Domains in", "Temporal"), /^InDom: /gm),
        domainRecords: matches(domains, / InDom: \S+ (?:delta )?\d+ instances$/gm),
        domainChanges: matches(domains, / InDom: \S+ delta /gm),
        indexEntries: matches(part("Temporal", ""), /^\d\d:\d\d:\d\d/gm),
      });
      const sets = Object.values(counts.labelSets).reduce((sum, count) => sum + count, 0);
      // PCP 6 does not show all label sets of instances that PCP 7 has written.
      const shown = name === "rec/v3-dyn-721" ? 96 : matches(labels, / labels \(\d+ bytes\): /g);
      expect(sets).toBe(shown);
      if (name !== "gen/y2200-v3") {
        expect(counts.dataRecords).toBe(matches(records, /^\d\d:\S+ \d+ metrics?$/gm));
        expect(counts.markRecords).toBe(matches(records, /^\d\d:\S+ {2}<mark>$/gm));
      }
    });
  }
});

/** event.flags and event.missed, which pminfo shows for every archive. */
const EVENT_METRICS = 2;

test("instances are counted over all times", () => {
  const { counts } = single("rec/v3-dyn");
  expect(counts.largestDomain).toEqual({ indom: "29.8", instances: 30, atOnce: 30 });
  expect(counts.instances).toBe(46);
  // The same recording without records of changes, which ends a record earlier.
  expect(single("rec/v2-dyn").counts.largestDomain).toEqual(counts.largestDomain);
});

test("files, compression and sizes are told one by one", () => {
  const { files, counts } = single("comp/mixed-mv");
  expect(files.map(({ kind, volume, compression }) => `${kind} ${volume} ${compression}`)).toEqual([
    "metadata -1 .xz",
    "index -2 null",
    "volume 0 .xz",
    "volume 1 .gz",
    "volume 2 .bz2",
    "volume 3 null",
  ]);
  const plain = single("rec/v3-mv");
  expect(files.map(({ records }) => records)).toEqual(plain.files.map(({ records }) => records));
  expect(files.map((file) => file.decodedBytes)).toEqual(plain.files.map(({ bytes }) => bytes));
  expect(counts.decodedBytes).toBe(plain.counts.bytes);
  expect(counts.bytes).toBeLessThan(plain.counts.bytes);
});

test("prologue and epilogue say what the logger was", () => {
  const { prologue, epilogue } = single("rec/v3-mark");
  const logger = { pid: 8468, host: "localhost", port: 4331, archive: "/srv/pcpvec/rec/v3-mark" };
  expect(prologue).toMatchObject({ ...logger, pmcdPid: "7575", pmcdSequence: 6 });
  expect(epilogue).toMatchObject({ ...logger, pmcdPid: "8696", pmcdSequence: 6 });
  expect(single("gen/interp-v3")).toMatchObject({ prologue: null, epilogue: null });
});

test("gaps are longer than usual, marks are where they stand", () => {
  const { spacing, marks, counts } = single("rec/v3-mark");
  expect(counts.markRecords).toBe(1);
  expect(marks).toEqual([{ sec: 1795294404, nsec: 538169105 }]);
  expect(spacing.interval).toBeCloseTo(1, 2);
  expect(spacing.gaps).toEqual([
    {
      from: { sec: 1795294404, nsec: 537169105 },
      to: { sec: 1795294407, nsec: 537492221 },
      seconds: expect.closeTo(3.000323116, 9),
      mark: true,
    },
  ]);
  const { gaps } = archiveReport(inFolder("rec/v3-mark"), { gapFactor: 4 });
  expect(gaps).toEqual([]);
});

describe("contradictions that pmlogcheck finds", () => {
  test("none in what a logger recorded", () => {
    for (const name of RECORDED.filter((each) => !each.startsWith("gen/interp"))) {
      const { check, damage } = single(name, true);
      expect({ name, check, damage }).toEqual({
        name,
        check: { findings: [], counts: {} },
        damage: [],
      });
    }
  });

  testWith("pcp6", "counters that fall", () => {
    const { check } = single("gen/interp-v3", true);
    const found = check.findings.map(({ message }) => message) ?? [];
    // pmlogcheck looks at integers only.
    const integers = found
      .filter((message) => !/\(t\.(?:float|double)/.test(message))
      .map((message) => /\((\S+)\)/.exec(message)?.[1] ?? "");
    const argv = ["pmlogcheck", inFolder("gen/interp-v3")];
    const real = Bun.spawnSync(argv, { env: environment }).stderr.toString();
    const wraps = [...real.matchAll(/^\S+\]: (\S+?)(?:\[.*\])?: (?:un)?signed \d+-bit wrap/gm)];
    expect(integers.toSorted()).toEqual(wraps.map(([, metric = ""]) => metric).toSorted());
  });

  test("entries of an index that lead nowhere", () => {
    const finding = (name: string) => single(name, true).check.findings[0];
    expect(finding("bad/v3-i-badtime")).toMatchObject({ sort: "index-time", offset: 1 });
    expect(finding("bad/v3-i-beyond")).toMatchObject({ sort: "index-place", offset: 2 });
  });

  test("findings are bounded, their number is not", () => {
    const { members } = archiveReport(inFolder("gen/interp-v3"), { check: true, maxFindings: 3 });
    expect(members[0]?.check.findings.length).toBe(3);
    expect(members[0]?.check.counts).toEqual({ "counter-backwards": 14 });
  });
});

describe("damage", () => {
  /** Each damaged archive with what a client of the real library met, see apidump.txt. */
  const text = readFileSync(join(FOLDER, "apidump.txt"), "utf8");
  const cases = text
    .split(/^=== /m)
    .slice(1)
    .map((part) => {
      const [, name = "", dump = ""] = /^bad\/\S+ = (bad\/\S+)\n([^]*)$/.exec(part) ?? [];
      const open = /^pmNewContext err (-\d+)$/m.exec(dump)?.[1];
      const forward = /fetch-archive forward\n[^]*?err (-\d+)\nfetch-archive backward/.exec(
        dump,
      )?.[1];
      return { name, open: open === undefined ? 0 : Number(open), forward: Number(forward) };
    })
    .filter(({ name }) => name !== "");

  for (const { name, open, forward } of cases) {
    test(`${name} has the codes of the real library`, () => {
      const { error, damage } = reportOf(name, true);
      expect(error?.code ?? 0).toBe(open);
      if (forward === PM_ERR.LOGREC) {
        expect(damage).toContainEqual(
          expect.objectContaining({ code: PM_ERR.LOGREC, kind: "data record" }),
        );
      }
      for (const { file, offset, reason } of damage) {
        expect(file).toStartWith(join(FOLDER, "bad"));
        expect(offset).toBeGreaterThanOrEqual(0);
        expect(reason).not.toBe("");
      }
    });
  }

  test("there are cases of each sort", () => {
    expect(cases.length).toBeGreaterThan(90);
    expect(cases.filter(({ open }) => open !== 0).length).toBeGreaterThan(50);
    expect(cases.filter(({ forward }) => forward === PM_ERR.LOGREC).length).toBeGreaterThan(10);
  });

  test("is told with file, offset, kind and reason, and reading goes on", () => {
    const { damage, damageCount, counts, files } = single("bad/v3-d-badtrail");
    expect(damage).toEqual([
      {
        file: join(FOLDER, "bad/v3-d-badtrail.0"),
        offset: 2188,
        kind: "data record",
        reason: "length 1024 at its start, 1028 at its end",
        code: PM_ERR.LOGREC,
        text: "Corrupted record in a PCP archive",
      },
    ]);
    expect(damageCount).toBe(1);
    expect(counts.dataRecords).toBe(3);
    expect(files.at(-1)).toMatchObject({ recordsBehindDamage: 4, incompleteBytes: 0 });
  });

  test("an incomplete end is damage, unless the archive may still grow", () => {
    const name = inFolder("bad/v3-d-trunc-mid");
    const [still] = archiveReport(name).members;
    expect(still?.damage.length).toBe(1);
    expect(still?.files.at(-1)?.incompleteBytes).toBe(174);
    const [growing] = archiveReport(name, { growing: true }).members;
    expect(growing?.damage).toEqual([]);
    expect(growing?.files.at(-1)?.incompleteBytes).toBe(174);
  });

  test("an archive that PCP does not open is still looked through", () => {
    const report = reportOf("bad/v3-m-badtrail");
    expect(report).toMatchObject({ error: { code: PM_ERR.LOGREC }, start: null, end: null });
    const [member] = report.members;
    expect(member?.counts).toMatchObject({ dataRecords: 8, metrics: 2, indexEntries: 3 });
    expect(member?.label?.host).toBe("vm");
  });

  test("of compressed data is met where it is", () => {
    const { error, damage, counts } = reportOf("comp/bad-gz");
    expect(error).toBeNull();
    expect(damage).toMatchObject([{ kind: "file", code: PM_ERR.LOGREC, offset: null }]);
    expect(counts.dataRecords).toBe(7);
  });

  test("a missing archive is an error and nothing else", () => {
    const report = reportOf("no/such");
    expect(report.error?.code).toBe(-2);
    expect(report).toMatchObject({ start: null, density: null, damage: [] });
    const folder = mkdtempSync(join(tmpdir(), "pcpbox-empty-"));
    expect(archiveReport(folder)).toMatchObject({ error: { code: PM_ERR.LOGFILE }, members: [] });
    rmSync(folder, { recursive: true });
  });
});

describe("sets", () => {
  test("members are counted together, what they share once", () => {
    const { members, counts, error, start, end } = reportOf("set/dir");
    expect(error).toBeNull();
    expect(members.map(({ name }) => name.slice(-2))).toEqual(["a1", "a2", "a3"]);
    expect(counts.metrics).toBe(members[0]?.counts.metrics ?? 0);
    expect(counts.dataRecords).toBe(
      members.reduce((sum, member) => sum + member.counts.dataRecords, 0),
    );
    // The loggers differ, the colours do not.
    expect(counts.instances).toBe(6);
    expect([start, end]).toEqual([members[0]?.start ?? null, members[2]?.end ?? null]);
  });

  test("the order is that of time, whatever the order of names", () => {
    const { members } = reportOf("set/a3,set/a1,set/a2,set/a1");
    expect(members.map(({ name }) => name.slice(-2))).toEqual(["a1", "a2", "a3"]);
  });

  test("an overlap is told with its times", () => {
    const { overlaps, members, error } = reportOf("set/ov1,set/ov2");
    expect(error).toBeNull();
    const [earlier, later] = members;
    expect(overlaps).toEqual([
      {
        earlier: earlier?.name ?? "",
        later: later?.name ?? "",
        from: later?.start ?? { sec: 0, nsec: 0 },
        to: earlier?.end ?? { sec: 0, nsec: 0 },
        seconds: expect.closeTo(1.86, 1),
      },
    ]);
  });

  test("silence between members is a gap", () => {
    const { gaps, members } = reportOf("set/a1,set/a3");
    expect(gaps).toEqual([
      {
        from: members[0]?.end ?? { sec: 0, nsec: 0 },
        to: members[1]?.start ?? { sec: 0, nsec: 0 },
        seconds: expect.closeTo(2.93, 1),
        mark: true,
      },
    ]);
  });

  for (const [names, code] of [
    ["set/a1,set/a2-host", PM_ERR.LOGHOST],
    ["set/a1,set/a2-type", PM_ERR.LOGCHANGETYPE],
    ["set/a1,set/a2-sem", PM_ERR.LOGCHANGESEM],
    ["set/a1,set/a2-indom", PM_ERR.LOGCHANGEINDOM],
    ["set/a1,set/a2-units", PM_ERR.LOGCHANGEUNITS],
  ] as const) {
    test(`${names} is refused with ${code}, and each member reported`, () => {
      const { error, members } = reportOf(names);
      expect(error?.code).toBe(code);
      expect(members.map((member) => member.error)).toEqual([null, null]);
      expect(members.every(({ counts }) => counts.dataRecords > 0)).toBe(true);
    });
  }

  test("a member that cannot be read is left out with PCP's warning", () => {
    const { error, warnings, members, counts } = reportOf("set/a1,set/a2-cmeta,set/a3");
    expect(error).toBeNull();
    expect(warnings).toEqual([
      `initarchive: skipping corrupt/unreadable archive "${inFolder("set/a2-cmeta")}": Corrupted record in a PCP archive`,
    ]);
    expect(members.map((member) => member.error?.code ?? 0)).toEqual([0, 0, PM_ERR.LOGREC]);
    expect(counts.dataRecords).toBeGreaterThan(0);
  });

  test("each member is checked against its own metadata", () => {
    const { members, counts } = reportOf("set/dir", true);
    expect(members.map(({ check }) => check)).toEqual(
      Array.from({ length: 3 }, () => ({ findings: [], counts: {} })),
    );
    expect(counts.values).toBe(
      members.reduce((sum, member) => sum + (member.counts.values ?? 0), 0),
    );
    expect(counts.values).toBeGreaterThan(100);
  });

  test("damage of a member is that of the set", () => {
    const { error, damage } = reportOf("set/a1,set/a2-cdata,set/a3");
    expect(error).toBeNull();
    expect(damage).toMatchObject([{ file: inFolder("set/a2-cdata.0"), offset: 1212 }]);
  });
});

test("a report is plain data for JSON", () => {
  for (const name of ["rec/v3-types", "set/dir", "bad/v3-m-badtrail", "no/such"]) {
    const report = reportOf(name, true);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  }
});
