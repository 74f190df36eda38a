// Runs `bun test` for `make test` and ends with the closing line "N passed, N failed, N skipped",
// alone on its line. Arguments are handed on (file patterns, -t NAME). Exit status: 0 when nothing
// failed; 1 otherwise, and in CI (CI=true) also when a test was skipped. A run that ends without a
// summary (crash, unknown option, no test found) counts as one failure.

import process from "node:process";

/** The bound of one test, in milliseconds. It only ends a hang: tests talk to real daemons, on busy machines. */
const TEST_TIMEOUT = 300_000;

const suite = Bun.spawn(
  [process.execPath, "test", `--timeout=${TEST_TIMEOUT}`, ...process.argv.slice(2)],
  {
    stdin: "ignore",
    stdout: "inherit",
    stderr: "pipe",
    // Recorded texts have times of this zone and words of this language.
    env: { ...process.env, TZ: "UTC", LC_ALL: "C.UTF-8" },
  },
);

const decoder = new TextDecoder();
let text = "";
for await (const chunk of suite.stderr) {
  text += decoder.decode(chunk, { stream: true });
  process.stderr.write(chunk);
}
const status = await suite.exited;

/** The number of the summary line " N WORD", 0 when that line is not printed. */
function count(summary: string, word: string): number {
  return Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(summary)?.[1] ?? 0);
}

const summary = /^ *\d+ (pass|fail)$[\s\S]*^Ran \d+ tests? across/m.exec(text)?.[0] ?? "";
const passed = count(summary, "pass");
const skipped = count(summary, "skip") + count(summary, "todo");
const failed = Math.max(count(summary, "fail"), status === 0 ? 0 : 1);

const names = [...text.matchAll(/^\((?:skip|todo)\) (.*)$/gm)].map((match) => match[1]);
if (names.length > 0) console.log(`\nskipped:\n${names.map((name) => `  ${name}`).join("\n")}`);
const forbidden = process.env["CI"] === "true" && skipped > 0;
if (forbidden) console.log("\nin CI every test must run: skipped tests fail the run");

console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 || forbidden ? 1 : 0;
