// Goal: a recorder that is killed at any moment, fifty times, leaves archives that all programs read,
// without a record lost that was followed by another one, and without one that is there twice.
import { expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ArchiveCursor, openArchive } from "../../lib/archive/mod.ts";
import { makeClock, makeMachine, openMachine } from "./machine.ts";
import { startRecorder } from "../../lib/record/mod.ts";
import { runIn } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { havePeers } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";

const SEED = 20_260_303;
const KILLS = 50;

/** A stream of numbers in [0, 1) that is the same each time (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("killed fifty times", async () => {
  const folder = privateFolder("record-kill");
  const directory = join(folder, "archives");
  const script = join(import.meta.dir, "child.ts");
  const next = numbers(SEED);
  const archives = (): string[] =>
    existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".meta")) : [];
  /** Bytes of data of all archives. */
  const bytes = (): number =>
    archives()
      .map((name) => join(directory, name.replace(/meta$/, "0")))
      .reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
  for (let i = 0; i < KILLS; i++) {
    const [before, had] = [archives().length, bytes()];
    const child = startDaemon([process.execPath, script, directory], join(folder, "log"));
    // Some die while their first archive is made, others with its first record, or after tens of them.
    const isEarly = i % 5 === 0;
    if (!isEarly) await waitUntil(() => archives().length > before, child.alive);
    if (i % 5 > 2) await waitUntil(() => bytes() > had + 4000, child.alive);
    await Bun.sleep(next() * (isEarly ? 120 : 60));
    child.signal("SIGKILL");
    await child.ended;
  }
  // One more to mend what the last one left.
  const clock = makeClock(Date.now());
  const open = openMachine(makeMachine(), clock.now);
  const log = { write: () => undefined };
  const last = startRecorder({ directory, open, metrics: ["m"], freeBytes: 0, clock, log });
  await clock.asleep();
  await last.close();

  const names = archives().toSorted();
  expect(names.length).toBeGreaterThan(KILLS / 2);
  const times: string[] = [];
  for (const name of names) {
    const base = join(directory, name.replace(/\.meta$/, ""));
    const cursor = new ArchiveCursor(openArchive(base));
    let bytes = 808;
    while (cursor.next()) {
      const { sec, nsec, length } = cursor.record;
      times.push(`${sec}.${String(nsec).padStart(9, "0")}`);
      bytes += length;
    }
    cursor.close();
    // Up to its end it is whole records.
    expect(statSync(`${base}.0`).size).toBe(bytes);
  }
  expect(times.length).toBeGreaterThan(KILLS);
  expect(new Set(times).size).toBe(times.length);
  if (!havePeers("pcp6")) return;
  for (const name of names) {
    const base = join(directory, name.replace(/\.meta$/, ""));
    const checked = await runIn(pcp6, ["pmlogcheck", base]);
    expect([checked.status, checked.stdout, checked.stderr]).toEqual([0, "", ""]);
  }
  const all = await runIn(pcp6, ["pminfo", "-a", directory, "m"]);
  expect([all.status, all.stderr]).toEqual([0, ""]);
}, 300_000);
