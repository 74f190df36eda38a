// Goal: a script of PCP that calls pmlogextract cannot tell ours from the real one: pmlogger_merge, as
// pmlogger_daily runs it, says the same and leaves the same archives. The rest of PCP's scripts is tried
// by `make qa`. The script is that of PCP 6, the real pmlogextract that of PCP 7, which ours follows.
import { expect } from "bun:test";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";

const entry = join(import.meta.dir, "../../cmd/main.ts");
const archives = join(import.meta.dir, "../fixtures/archives/set");

const quoted = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");

/** A folder with archives of a day as pmlogger leaves them, and a PATH with a pmlogextract in front. */
function dayFolder(ours: boolean): { readonly folder: string; readonly path: string } {
  const folder = privateFolder("merge");
  for (const [from, to] of [
    ["b1", "20240101.00.10"],
    ["b2", "20240101.01.10"],
    ["a2-type", "20240102.00.10"],
  ] as const) {
    for (const part of ["0", "meta", "index"]) {
      cpSync(join(archives, `${from}.${part}`), join(folder, `${to}.${part}`));
    }
  }
  const programs = join(folder, "programs");
  mkdirSync(programs);
  // PCP 7 is entered in another directory.
  const inside = ["sh", "-c", 'cd "$0" && exec /usr/bin/pmlogextract "$@"', folder];
  const call = ours
    ? `-a pmlogextract ${quoted([process.execPath, entry])}`
    : quoted(pcp7.command(inside));
  const program = join(programs, "pmlogextract");
  writeFileSync(program, `#!/bin/bash\nexec ${call} "$@"\n`);
  chmodSync(program, 0o755);
  return { folder, path: `${programs}:/usr/bin:/bin:/usr/lib/pcp/bin` };
}

/** Contents of a file of an archive after its label, which has the process id. */
const contents = (file: string): string => {
  const bytes = readFileSync(file);
  return bytes.subarray(bytes.readUInt32BE(0)).toString("hex");
};

async function merge(ours: boolean, ...args: readonly string[]) {
  const { folder, path } = dayFolder(ours);
  const options = { cwd: folder, env: { PATH: path } };
  const { status, stdout, stderr } = await run(["pmlogger_merge", ...args], options);
  const files = readdirSync(folder).filter((name) => /\.(?:\d|meta|index)$/.test(name));
  return {
    status,
    text: (stdout + stderr)
      .replaceAll(folder, "FOLDER")
      .replaceAll(/ \w{3} +\d+ \d\d:\d\d /g, " TIME "),
    files: files.sort().map((name) => [name, contents(join(folder, name))]),
  };
}

const [hour1, hour2, other] = ["20240101.00.10", "20240101.01.10", "20240102.00.10"];

for (const [what, args] of [
  ["merges a day and removes its parts", ["-f", hour1, hour2, "20240101"]],
  ["merges by pattern", ["-V", "20240101.??.??", "all"]],
  ["keeps everything when metadata differ", ["-f", hour1, other, "both"]],
  ["leaves differing metrics out with -E", ["-E", hour1, other, "both"]],
] as const) {
  testWith(
    ["pcp6", "pcp7"],
    `pmlogger_merge ${what}`,
    async () => {
      const [theirs, own] = await Promise.all([merge(false, ...args), merge(true, ...args)]);
      expect(own).toEqual(theirs);
    },
    300_000,
  );
}
