// Goal: on a terminal a long run shows how far it is, on one line that is gone at the end and before any
// other text; nothing of it where standard error is a pipe, or where it is not wanted. The clock of the
// program under test is fast, so that a short run counts as long.
import { beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { baseEnvironment, privateFolder, run } from "../helpers/process.ts";
import { at, desc, makeArchive } from "./archive-maker.ts";

const folder = privateFolder("extract-terminal");
const entry = join(import.meta.dir, "../../cmd/main.ts");
const clock = join(folder, "clock.ts");
const input = join(folder, "in");
const CLEAR = "\r\u001b[K";
let made = 0;

beforeAll(() => {
  writeFileSync(
    clock,
    "const now = performance.now.bind(performance);\nperformance.now = () => 1000 * now();\n",
  );
  makeArchive(input, {
    metadata: [desc("t.s", "100.0.1")],
    results: Array.from({ length: 60_000 }, (_, k) => ({
      time: at(k),
      sets: [["100.0.1", [[-1, k]]]],
    })),
  });
});

const command = (...options: readonly string[]): string[] => {
  const output = join(folder, `out${made++}`);
  return [process.execPath, "--preload", clock, entry, "extract", ...options, input, output];
};

/** Runs a command with a terminal as its standard streams; its status and what it wrote there. */
async function onTerminal(argv: string[]): Promise<readonly [number, string]> {
  const pieces: Uint8Array[] = [];
  const child = Bun.spawn(argv, {
    env: { ...baseEnvironment(), TERM: "xterm" },
    cwd: folder,
    terminal: { cols: 120, rows: 24, data: (_, piece) => void pieces.push(piece.slice()) },
  });
  const status = await child.exited;
  child.terminal?.close();
  return [status, Buffer.concat(pieces).toString()];
}

test("a terminal sees records, speed, part and time left, and then nothing of it", async () => {
  // With a limit of records, however large, each record has its own turn.
  const [status, text] = await onTerminal(command("-v", "1000000"));
  expect(status).toBe(0);
  const lines = text.split(CLEAR);
  // Each line takes the place of the one before, and the last one goes.
  expect(lines.shift()).toBe("");
  expect(lines.pop()).toBe("");
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) {
    expect(line).toMatch(
      /^pmlogextract: [1-9][\d,]* records, \d+\.\d MB\/s, \d{1,3} %(?:, [\d:]+ left)?$/,
    );
  }
});

test("it is gone before other text", async () => {
  const [status, text] = await onTerminal(command("-v", "40000"));
  expect(status).toBe(0);
  const before = text.slice(0, text.indexOf("pmlogextract: New log volume 1, at "));
  expect(before).toContain(" records, ");
  expect(before.endsWith(CLEAR)).toBe(true);
  expect(text.endsWith(CLEAR) || text.endsWith("\n")).toBe(true);
});

test("a pipe sees nothing of it, nor does a terminal that wants none", async () => {
  const { status, stdout, stderr } = await run(command());
  expect([status, stdout, stderr]).toEqual([0, "", ""]);
  expect(await onTerminal(command("--no-progress"))).toEqual([0, ""]);
});
