// Goal: an agent's log has the file, the lines and the levels that PCP's agents have (spec pmda.md
// 11.3), keeps a message to one line, and does not fill the disk with one message.
import { expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { createAgentLog } from "../../lib/pmda/mod.ts";
import { must, privateFolder, run } from "../helpers/process.ts";

function logOf(debug = false) {
  const lines: string[] = [];
  let time = Date.UTC(2026, 10, 21, 20, 49, 57);
  const log = createAgentLog(
    { write: (line) => (lines.push(line), true) },
    { program: "pmdatrivial", pid: 18485, debug, now: () => new Date(time) },
  );
  return { log, lines, pass: (milliseconds: number) => void (time += milliseconds) };
}

/** Without the time, which is local. */
const text = (line: string | undefined): string => (line ?? "").replace(/^\[[^\]]{19}\] /, "");

test("a message has time, program, process and level, on one line", () => {
  const { log, lines } = logOf();
  log.write("Error", "pmdaDesc: Requested metric 250.0.1 is not defined");
  log.write("Notice", "two\nlines");
  log.write("Debug", "not asked for");
  expect(lines[0]).toMatch(
    /^\[[A-Z][a-z]{2} Nov 2[12] \d\d:49:57\] pmdatrivial\(18485\) Error: pmdaDesc: Requested metric 250.0.1 is not defined\n$/,
  );
  expect(text(lines[1])).toBe("pmdatrivial(18485) Notice: two\\x0alines\n");
  expect(lines.length).toBe(2);
  const loud = logOf(true);
  loud.log.write("Debug", "asked for");
  expect(loud.lines.length).toBe(1);
});

test("a message that repeats itself is counted", () => {
  const { log, lines, pass } = logOf();
  for (let i = 0; i < 1000; i++) log.write("Error", "again");
  log.write("Error", "another");
  expect(lines.length).toBe(11);
  pass(61_000);
  log.write("Error", "again");
  expect(lines.slice(11).map(text)).toEqual([
    "pmdatrivial(18485) Info: 990 times more: again\n",
    "pmdatrivial(18485) Error: again\n",
  ]);
  for (let i = 0; i < 20; i++) log.write("Error", "again");
  log.close();
  expect(text(lines.at(-1))).toBe("pmdatrivial(18485) Info: 11 times more: again\n");
});

test("messages that are all different are all written", () => {
  const { log, lines } = logOf();
  for (let i = 0; i < 2000; i++) log.write("Error", `number ${i}`);
  expect(lines.length).toBe(2000);
});

const program = (path: string): string => `
  import { openAgentLog } from ${JSON.stringify(join(import.meta.dir, "../../lib/pmda/mod.ts"))};
  try {
    const log = openAgentLog(${JSON.stringify(path)}, { program: "pmdasimple" });
    log.write("Warning", "first");
    process.stderr.write("what else goes to stderr\\n");
    log.close();
  } catch (error) {
    console.error(error.message);
  }
`;

test("the file takes the place of stderr, and of the file before it", async () => {
  const path = join(privateFolder("log"), "simple.log");
  writeFileSync(path, "one");
  writeFileSync(`${path}.prev`, "zero");
  await must([process.execPath, "-e", program(path)]);
  expect(readFileSync(`${path}.prev`, "utf8")).toBe("one");
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines[0]).toStartWith(`Log for pmdasimple on ${hostname()} started `);
  expect(lines[1]).toBe("");
  expect(lines[2]).toMatch(/^\[.{19}\] pmdasimple\(\d+\) Warning: first$/);
  expect(lines[3]).toBe("what else goes to stderr");
  expect(lines[4]).toBe("");
  expect(lines[5]).toStartWith("Log finished ");
});

test("a file that cannot be opened leaves stderr as it is", async () => {
  const path = join(privateFolder("log"), "none/simple.log");
  const { stderr } = await run([process.execPath, "-e", program(path)]);
  expect(stderr).toBe(
    `pmdasimple: cannot open log "${path}" for writing : No such file or directory\n`,
  );
  expect(existsSync(path)).toBe(false);
});
