// Goal: the recorder writes archives that say what the machine said, and nothing else, whatever comes
// between: days, sizes, clocks, lost sources, new instances, full disks, other recorders and loggers.
import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";
import { openArchiveContext } from "../../lib/context/mod.ts";
import { PM_TYPE } from "../../lib/pcp/mod.ts";
import {
  loggerAround,
  type Recorder,
  type RecorderOptions,
  startRecorder,
} from "../../lib/record/mod.ts";
import { describePeer } from "../helpers/peers.ts";
import { must, privateFolder, startDaemon } from "../helpers/process.ts";
import { makeClock, makeMachine, openMachine } from "./machine.ts";

const NOON = Date.UTC(2026, 2, 3, 12, 0, 0);
const DAY = 86_400_000;
const running: Recorder[] = [];
afterAll(() => Promise.all(running.map((recorder) => recorder.close())));

/** A recorder of a made-up machine in a folder of its own. */
function start(more: Partial<RecorderOptions> = {}) {
  const machine = makeMachine();
  const clock = makeClock(NOON);
  const directory = more.directory ?? join(privateFolder("record"), "archives", "made.up");
  const lines: string[] = [];
  const told: string[] = [];
  const recorder = startRecorder({
    directory,
    open: openMachine(machine, clock.now),
    metrics: ["m", "not.there"],
    freeBytes: 0,
    sync: false,
    clock,
    log: { write: (level, text) => void lines.push(`${level} ${text}`) },
    onArchive: (base) => void told.push(base),
    ...more,
  });
  running.push(recorder);
  return { machine, clock, directory, lines, told, recorder };
}

/** Archives of a directory. */
const archivesIn = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => /^\d.*\.meta$/.test(name))
    .map((name) => join(directory, name.replace(/\.meta$/, "")))
    .toSorted();

/** Times of the records of an archive in milliseconds; marks as "mark". */
function timesOf(base: string): (number | "mark")[] {
  const cursor = new ArchiveCursor(openArchive(base));
  const times: (number | "mark")[] = [];
  while (cursor.next()) {
    const { sec, nsec, numpmid } = cursor.record;
    times.push(numpmid === 0 ? "mark" : sec * 1000 + nsec / 1e6);
  }
  cursor.close();
  return times;
}

test("what is recorded is read again, with instances, labels and texts", async () => {
  const { recorder, clock, machine, told, directory } = start();
  await clock.asleep();
  await clock.go(10_000);
  machine.disks.set(2, "sdc");
  await clock.go(10_000);
  machine.disks.delete(0);
  await clock.go(10_000);
  expect(recorder.status()).toMatchObject({ state: "recording", metrics: 4, records: 4 });
  await recorder.close();
  expect(recorder.status().state).toBe("closed");
  expect(machine.open).toBe(0);
  const [base = ""] = archivesIn(directory);
  expect(told).toEqual([base]);
  expect(timesOf(base)).toEqual([
    NOON - 1,
    ...[0, 10, 20, 30].map((s) => NOON + s * 1000),
    NOON + 30_001,
  ]);
  const context = await openArchiveContext(base);
  const names = (await context.traverse("m")).toSorted();
  expect(names).toEqual(["m.disk.reads", "m.load", "m.name", "m.ticks"]);
  expect(await context.hostName()).toBe("made.up");
  const { pmids } = await context.lookupNames(["m.disk.reads"]);
  const [pmid] = pmids;
  if (pmid === undefined) throw new Error("no metric");
  const { indom } = await context.desc(pmid);
  expect((await context.archiveInstances(indom)).names.toSorted()).toEqual(["sda", "sdb", "sdc"]);
  expect(await context.text("metric", pmid, "oneline")).toBe(`metric ${pmid}`);
  await context.close();
});

test("a directory that somebody removes is made again", async () => {
  const { recorder, clock, directory } = start();
  await clock.asleep();
  await clock.go(10_000);
  rmSync(directory, { recursive: true });
  for (let minute = 0; minute < 15; minute++) await clock.go(60_000);
  expect(recorder.status().state).toBe("recording");
  expect(archivesIn(directory)).toHaveLength(1);
  // Also while there is no archive under way.
  rmSync(directory, { recursive: true });
  await clock.go(DAY);
  for (let minute = 0; minute < 15; minute++) await clock.go(60_000);
  expect(recorder.status().state).toBe("recording");
  expect(archivesIn(directory)).not.toEqual([]);
});

test("a new archive each day, and when one is large", async () => {
  const { recorder, clock, machine, directory } = start({ keepBytes: 600 * 1024 });
  await clock.asleep();
  for (let day = 0; day < 2; day++) await clock.go(DAY);
  expect(archivesIn(directory).map((base) => base.slice(-14))).toEqual([
    "20260303.12.00",
    "20260304.12.00",
    "20260305.12.00",
  ]);
  for (let disk = 0; disk < 500; disk++) machine.disks.set(disk, `disk number ${disk}`);
  for (let i = 0; i < 40; i++) await clock.go(10_000);
  await recorder.close();
  const bases = archivesIn(directory);
  expect(bases.length).toBeGreaterThan(4);
  for (const base of bases) expect(timesOf(base).length).toBeGreaterThan(2);
  const all = bases.flatMap(timesOf);
  expect(new Set(all).size).toBe(all.length);
});

test("old archives and those that are too much are removed; files of others never", async () => {
  const { recorder, clock, directory } = start({ keepDays: 3, keepBytes: 64 * 1024 });
  await clock.asleep();
  const other = join(directory, "20200101.00.00");
  for (const ending of ["meta", "index", "0"]) writeFileSync(`${other}.${ending}`, "not ours");
  writeFileSync(join(directory, "notes.txt"), "");
  for (let day = 0; day < 6; day++) {
    // Files have the time of this machine, not that of the clock.
    for (const base of archivesIn(directory))
      if (base !== other && !base.endsWith(new Date(clock.at).toISOString().slice(11, 16)))
        for (const ending of ["meta", "index", "0"])
          utimesSync(`${base}.${ending}`, dayOf(base), dayOf(base));
    await clock.go(DAY);
  }
  const kept = archivesIn(directory).map((base) => base.slice(-14, -6));
  expect(kept).toEqual(["20200101", "20260306", "20260307", "20260308", "20260309"]);
  expect(recorder.status().removed).toBe(3);
  // Bytes: another recorder may keep next to nothing.
  await recorder.close();
  const second = start({ directory, keepBytes: 1, keepDays: 1000 });
  await second.clock.asleep();
  expect(archivesIn(directory)).toHaveLength(2);
  expect(readFileSync(`${other}.0`, "utf8")).toBe("not ours");
  expect(existsSync(join(directory, "notes.txt"))).toBe(true);
});

const dayOf = (base: string): Date => {
  const name = base.slice(-14);
  return new Date(Date.UTC(+name.slice(0, 4), +name.slice(4, 6) - 1, +name.slice(6, 8), 12));
};

test("a clock that goes back begins a new archive, one that goes forward does not", async () => {
  const { recorder, clock, directory } = start();
  await clock.asleep();
  await clock.go(10_000);
  await clock.go(-5_000);
  await clock.go(10_000);
  await clock.go(3_600_000);
  await recorder.close();
  const bases = archivesIn(directory);
  expect(bases.map((base) => timesOf(base).slice(1, -1))).toEqual([
    [NOON, NOON + 10_000],
    [NOON + 5_000, NOON + 15_000, NOON + 3_615_000],
  ]);
});

test("a source that was lost leaves a mark; changed metrics a new archive", async () => {
  const { recorder, clock, machine, directory, lines } = start();
  await clock.asleep();
  await clock.go(10_000);
  machine.isAway = true;
  for (let i = 0; i < 3; i++) await clock.go(10_000);
  expect(recorder.status()).toMatchObject({ state: "waiting" });
  machine.isAway = false;
  await clock.go(10_000);
  const [base = ""] = archivesIn(directory);
  expect(timesOf(base).slice(1)).toEqual([NOON, NOON + 10_000, "mark", NOON + 50_000]);
  // Agents come and go without an end of the archive.
  machine.descs.delete("m.load");
  machine.changes = 1;
  await clock.go(10_000);
  await clock.go(10_000);
  expect(archivesIn(directory)).toHaveLength(1);
  const ticks = machine.descs.get("m.ticks");
  if (ticks === undefined) throw new Error("no metric");
  machine.descs.set("m.ticks", { ...ticks, type: PM_TYPE.U32 });
  machine.changes = 1;
  await clock.go(10_000);
  await clock.go(10_000);
  await recorder.close();
  expect(archivesIn(directory)).toHaveLength(2);
  expect(lines.filter((line) => line.includes("away"))).toHaveLength(1);
});

test("a pmcd that comes back is waited for before others stand in; those give way", async () => {
  const { recorder, clock, machine, directory } = start();
  await clock.asleep();
  machine.isAway = true;
  await clock.go(10_000);
  machine.isAway = false;
  machine.type = "local";
  await clock.go(10_000);
  expect(recorder.status().state).toBe("waiting");
  for (let i = 0; i < 6; i++) await clock.go(10_000);
  expect(recorder.status().state).toBe("recording");
  machine.type = "host";
  for (let i = 0; i < 31; i++) await clock.go(10_000);
  await recorder.close();
  // Of pmcd, of what stood in, of pmcd.
  expect(archivesIn(directory)).toHaveLength(3);
  expect(machine.open).toBe(0);
});

test("one recorder at a time", async () => {
  const first = start();
  await first.clock.asleep();
  const second = start({ directory: first.directory });
  await second.clock.asleep();
  expect(second.recorder.status().state).toBe("locked");
  await first.recorder.close();
  await second.clock.go(60_000);
  expect(second.recorder.status().state).toBe("recording");
  await second.recorder.close();
  expect(archivesIn(first.directory)).toHaveLength(2);
});

test("what somebody else records is not recorded", async () => {
  let reason: string | undefined = "pmlogger does it";
  const { recorder, clock, directory, lines, machine } = start({ standBy: async () => reason });
  await clock.asleep();
  expect(recorder.status()).toMatchObject({ state: "standing by", reason: "pmlogger does it" });
  expect(existsSync(directory)).toBe(false);
  reason = undefined;
  for (let i = 0; i < 7; i++) await clock.go(10_000);
  expect(recorder.status().state).toBe("recording");
  reason = "again";
  for (let i = 0; i < 7; i++) await clock.go(10_000);
  expect(recorder.status().state).toBe("standing by");
  expect(machine.open).toBe(0);
  expect(timesOf(archivesIn(directory)[0] ?? "").at(-1)).toBe(NOON + 110_001);
  expect(lines.filter((line) => line.includes("standing by"))).toHaveLength(2);
});

test("loggers around are found by their files and by archives that grow", async () => {
  const folder = privateFolder("around");
  const options = {
    tmpDirectory: join(folder, "tmp"),
    archiveDirectory: join(folder, "log"),
    host: "web.example",
  };
  expect(await loggerAround(options)).toBeUndefined();
  mkdirSync(join(folder, "tmp/pmlogger"), { recursive: true });
  const control = (pid: number, host: string): void =>
    writeFileSync(join(folder, "tmp/pmlogger", String(pid)), `4330\n${host}\n/log/a\npmlogger\n`);
  // This process is none, and one that is gone neither.
  control(process.pid, "web.example");
  control(2 ** 22 - 3, "web.example");
  expect(await loggerAround(options)).toBeUndefined();
  const program = join(folder, "pmlogger");
  cpSync((await must(["which", "sleep"])).trim(), program);
  const logger = startDaemon([program, "60"], join(folder, "out"));
  control(logger.pid, "db.example");
  await must(["sleep", "0.2"]);
  expect(await loggerAround(options)).toBeUndefined();
  for (const host of ["local:", "localhost:44321", "web", "web.example"]) {
    control(logger.pid, host);
    expect(await loggerAround(options)).toContain(`process ${logger.pid}`);
  }
  await logger.stop();
  expect(await loggerAround(options)).toBeUndefined();
  mkdirSync(join(folder, "log/web.example"), { recursive: true });
  const volume = join(folder, "log/web.example/20260101.0");
  writeFileSync(volume, "");
  expect(await loggerAround(options)).toBe(`${volume} is growing`);
  utimesSync(volume, 1, 1);
  expect(await loggerAround(options)).toBeUndefined();
});

test("ended archives are compressed where that is wanted", async () => {
  const { recorder, clock, directory } = start({ compress: true });
  await clock.asleep();
  await clock.go(10_000);
  await clock.go(DAY);
  await recorder.close();
  const names = readdirSync(directory).filter((name) => /\.0(\.gz)?$/.test(name));
  expect(names.toSorted()).toEqual(["20260303.12.00.0.gz", "20260304.12.00.0.gz"]);
  for (const base of archivesIn(directory)) expect(timesOf(base).length).toBeGreaterThan(2);
});

test("what a killed recorder left is mended, and a new archive begun", async () => {
  const first = start();
  await first.clock.asleep();
  for (let i = 0; i < 5; i++) await first.clock.go(10_000);
  const copy = privateFolder("record-killed");
  cpSync(first.directory, copy, { recursive: true });
  await first.recorder.close();
  const [base = ""] = archivesIn(copy);
  const before = timesOf(base);
  for (const ending of ["meta", "index", "0"])
    appendFileSync(`${base}.${ending}`, "\0\0\0\x40torn");
  writeFileSync(join(copy, ".20260303.12.01.meta.tmp"), "half");
  writeFileSync(join(copy, "20260303.12.01.0"), "half");
  appendFileSync(join(copy, ".pcpbox-recorder"), "20260303.12.01 open\n");
  const second = start({ directory: copy });
  await second.clock.go(3_600_000);
  await second.recorder.close();
  expect(timesOf(base)).toEqual(before);
  expect(readdirSync(copy).some((name) => name.includes("12.01"))).toBe(false);
  expect(archivesIn(copy)).toHaveLength(2);
  expect(second.lines.filter((line) => line.includes("cut off"))).toHaveLength(3);
});

describePeer("root", "a full disk", () => {
  test("is told once, is no harm to what was recorded, and goes on when there is room", async () => {
    const folder = privateFolder("record-full");
    mkdirSync(join(folder, "disk"));
    await must(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", join(folder, "disk")]);
    try {
      const directory = join(folder, "disk", "archives");
      const { recorder, clock, machine, lines } = start({ directory });
      for (let disk = 0; disk < 200; disk++) machine.disks.set(disk, `disk number ${disk}`);
      await clock.asleep();
      writeFileSync(join(folder, "disk", "others"), new Uint8Array(100_000));
      for (let i = 0; i < 60 && recorder.status().state === "recording"; i++)
        await clock.go(10_000);
      expect(recorder.status().state).toBe("full");
      for (let i = 0; i < 3; i++) await clock.go(10_000);
      expect(lines.filter((line) => line.includes("no room is left"))).toHaveLength(1);
      const [base = ""] = archivesIn(directory);
      const times = timesOf(base);
      expect(times.length).toBeGreaterThan(3);
      writeFileSync(join(folder, "disk", "others"), "");
      await clock.go(10_000);
      expect(recorder.status().state).toBe("recording");
      expect(timesOf(base)).toEqual(times);
      await recorder.close();
    } finally {
      await must(["umount", "-l", join(folder, "disk")]);
    }
  });
  test("old archives stay where removing all of them would not make room", async () => {
    const folder = privateFolder("record-others");
    mkdirSync(join(folder, "disk"));
    await must(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", join(folder, "disk")]);
    try {
      const directory = join(folder, "disk", "archives");
      const { recorder, clock } = start({ directory, freeBytes: 150 * 1024 });
      for (let i = 0; i < 3; i++) await clock.go(DAY);
      const before = archivesIn(directory).slice(0, 2);
      writeFileSync(join(folder, "disk", "others"), new Uint8Array(330 * 1024));
      for (let i = 0; i < 3; i++) await clock.go(DAY);
      expect(recorder.status()).toMatchObject({ state: "full", removed: 0 });
      expect(archivesIn(directory)).toEqual(expect.arrayContaining(before));
      writeFileSync(join(folder, "disk", "others"), "");
      await clock.go(10_000);
      expect(recorder.status().state).toBe("recording");
      await recorder.close();
    } finally {
      await must(["umount", "-l", join(folder, "disk")]);
    }
  });
  test("old archives make room before that", async () => {
    const folder = privateFolder("record-room");
    mkdirSync(join(folder, "disk"));
    await must(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", join(folder, "disk")]);
    try {
      const directory = join(folder, "disk", "archives");
      const { recorder, clock, machine } = start({ directory, freeBytes: 150 * 1024 });
      for (let disk = 0; disk < 100; disk++) machine.disks.set(disk, `disk number ${disk}`);
      for (let i = 0; i < 60; i++) await clock.go(i % 5 === 0 ? DAY : 10_000);
      expect(recorder.status()).toMatchObject({ state: "recording", records: 61 });
      expect(recorder.status().removed).toBeGreaterThan(0);
      await recorder.close();
    } finally {
      await must(["umount", "-l", join(folder, "disk")]);
    }
  });
});
