// Goal: a long script of right and wrong commands comes out of our checking tool as out of PCP's own,
// with the same real agent behind both.
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { namesText } from "../../lib/pcp/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { masked, sessionNames } from "./sessions.ts";

const root = join(import.meta.dir, "../..");
const script = readFileSync(join(root, "tests/fixtures/pmda-run/differential.in"), "utf8");

testWith("pcp6", "a script through dbpmda and through pmda-run --check", async () => {
  const folder = privateFolder("differential");
  const names = join(folder, "names");
  writeFileSync(names, namesText(sessionNames()));
  const outputOf = async (...program: readonly string[]): Promise<string[]> => {
    const { stdout, stderr } = await run(
      ["sh", "-c", 'exec "$@" 2>&1', "sh", ...program, "-n", names, "-e", "-f"],
      { cwd: folder, stdin: script.replaceAll("@W@", folder) },
    );
    expect(stderr).toBe("");
    return masked(stdout)
      .replace(/Timer: \d+\.\d+ seconds/g, "Timer")
      .split("\n");
  };
  const theirs = await outputOf("dbpmda");
  const ours = await outputOf(process.execPath, join(root, "cmd/main.ts"), "pmda-run", "--check");
  expect(theirs.length).toBeGreaterThan(400);
  expect(ours).toEqual(theirs);
});

testWith("pcp6", "a name space that cannot be read leaves those of the start", async () => {
  const folder = privateFolder("reload");
  for (const name of ["first", "other"])
    writeFileSync(join(folder, name), `root { ${name} 29:0:13 }\n`);
  const fetches = "fetch first\nfetch other\nstatus\n";
  const script = [
    "open pipe /var/lib/pcp/pmdas/sample/pmdasample -d 29 -l sample.log",
    ...["/nosuch/one", "/nosuch/two", "other", "/dev/null", "other"].map(
      (path) => `namespace ${path}\n${fetches}`,
    ),
  ].join("\n");
  const outputOf = async (...program: readonly string[]): Promise<string> => {
    const argv = [...program, "-n", "first", "-e", "-f"];
    const { stdout } = await run(["sh", "-c", 'exec "$@" 2>&1', "sh", ...argv], {
      cwd: folder,
      stdin: script,
    });
    return masked(stdout);
  };
  const theirs = await outputOf("dbpmda");
  expect(theirs).toContain('Reload namespace from "first"');
  const ours = await outputOf(process.execPath, join(root, "cmd/main.ts"), "pmda-run", "--check");
  expect(ours).toBe(theirs);
});

testWith("pcp6", "exit is quit", async () => {
  const outputOf = async (...program: readonly string[]): Promise<string> =>
    (await run([...program, "-i", "-f"], { stdin: "exit now\nexit\nstatus\n" })).stdout;
  const theirs = await outputOf("dbpmda");
  const ours = await outputOf(process.execPath, join(root, "cmd/main.ts"), "pmda-run", "--check");
  expect(ours).toBe(theirs);
});

testWith("pcp6", "the end of the input ends the line of the last prompt", async () => {
  const outputOf = async (...program: readonly string[]): Promise<string> => {
    const { stdout } = await run([...program, "-i", "-f"], { stdin: "getdesc on\n" });
    return stdout;
  };
  const theirs = await outputOf("dbpmda");
  expect(theirs).toEndWith("> \n");
  const ours = await outputOf(process.execPath, join(root, "cmd/main.ts"), "pmda-run", "--check");
  expect(ours).toBe(theirs);
});
