// Goal: for the same arguments our program and the real pmlogextract print the same on both streams, end
// with the same status and leave the same files with the same contents (labels apart, which have the
// process id). One script runs all cases of a program; cases are short so that ours can start for each.
import { beforeAll, expect, test } from "bun:test";
import { chmodSync, cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { describePeer } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";

const entry = join(import.meta.dir, "../../cmd/main.ts");
const archives = join(import.meta.dir, "../fixtures/archives");

/**
 * Command lines for archives a (version 3, marks in it), v2, b1 and b2 (one after the other), c1 and,
 * with metadata that differ from its own, type and indom; o is the output.
 */
const LINES: readonly string[] = [
  "",
  "a",
  "-?",
  "--foo",
  "-q -s x -V 9 -c nofile",
  "-w -q",
  "-z -Z UTC a o",
  "--s=3",
  "--config",
  "--mark=1 a o",
  "-V x a o",
  "-v 0.5hours a o",
  "a o",
  "v2 o",
  "-V 3 v2 o",
  "-V 2 a o",
  "b1 b2 o",
  "-m b2 b1 o",
  "b1 b1 o",
  "-ms 2 a o",
  "-s 0 a o",
  "-v 5 a o",
  "-v 5k a o",
  "-v 5.5 a o",
  "-D appl5 -v 5.5 a o",
  "--debug=appl5 -v 1kb a o",
  "-Dappl5 -v 3 a o",
  "-z a o",
  "-Z EST5EDT -v 3 a o",
  "-Z Nowhere/Land a o",
  "-w -S @00:00:01 a o",
  "-S foo a o",
  "-T -5s a o",
  "-S +1s -T +3s a o",
  "-w -S @00:00:01 -T @00:00:02 a o",
  "nofile o",
  "a /nodir/o",
  "a a",
  "a -- o -s 3",
  "-c keep a o",
  "-c wrong a o",
  "-c dir a o",
  "-x b1 type o",
  "b1 type o",
  "b1 host o",
  "c1 type indom o",
  "-x c1 type indom o",
  "-Z '' a o",
  "-f -m -V 3 b2 v2 o",
];

/** Configurations, one a file. */
const CONFIGS: readonly string[] = [
  "",
  "# nothing",
  "nosuch",
  "nosuch\n\n\nt.u32",
  "nosuch {",
  "nosuch ,,",
  "nosuch ]",
  "t.u32, inst.instant [ 1, 'b two' \"a\" ]\n",
  "inst.instant[99 1]\ninst.instant[2]",
  "inst.instant[99]\ninst.instant[1]",
  "inst.instant[\n9\n,\n'x'\n]\n\n",
  "inst[2 1]",
  "inst.instant[1 1]",
  "inst.instant[b_x]",
  "inst.instant['b t']",
  "inst.instant[4294967297]",
  "inst.instant[99999999999]",
  "t.u32[1]",
  'inst.instant[""]',
  "t[1",
  "t,",
  "t..u32 t.",
  "event.flags",
  `inst.instant["${"x".repeat(300)}"] ${"n".repeat(300)}`,
  "\n\n  nosuch\n[1]\n$",
];

const script = `
program=$1 lines=$2
cd "$(dirname "$0")" || exit 1
one() {
  rm -f o.*
  echo "=== $1"
  eval "\\"$program\\" $1" >out 2>err </dev/null
  echo "status $?"
  sed 's/^/out: /' out
  sed 's/^/err: /' err
  ls o.* 2>/dev/null
  for file in o.*; do
    [ -f "$file" ] || continue
    # The label of version 2 has 132 bytes, that of version 3 has 808.
    size=$(od -An -tx1 -N4 "$file" | tr -d ' ')
    tail -c +$((0x$size + 1)) "$file" | cksum
  done
}
while IFS= read -r line; do one "$line"; done <"$lines"
rm -f o.*
`;

/** A folder with everything the lines name; it is reached under its own path everywhere. */
function workFolder(): string {
  const folder = privateFolder("extract-peers");
  const copy = (from: string, to: string): void => {
    for (const part of ["0", "meta", "index"]) {
      cpSync(join(archives, `${from}.${part}`), join(folder, `${to}.${part}`));
    }
  };
  copy("gen/interp-v3", "a");
  copy("gen/interp-v2", "v2");
  copy("set/b1", "b1");
  copy("set/b2", "b2");
  copy("set/a1", "c1");
  copy("set/a2-type", "type");
  copy("set/a2-indom", "indom");
  copy("set/a2-host", "host");
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write("keep", "t.u32, nosuch\ninst.instant[1 nosuch]\n");
  write("wrong", "t.u32\ninst.instant[1,]\n");
  for (const [index, text] of CONFIGS.entries()) write(`config${index}`, text);
  write("lines", `${LINES.join("\n")}\n`);
  write("configs", `${CONFIGS.map((_, index) => `-c config${index} a o`).join("\n")}\n`);
  write("script", script);
  write("ours", `#!/bin/bash\nexec -a pmlogextract ${process.execPath} ${entry} "$@"\n`);
  chmodSync(join(folder, "ours"), 0o755);
  cpSync(join(archives, "bad"), join(folder, "dir"), { recursive: true });
  return folder;
}

/** What a program did for each line of a file. */
async function outcomes(argv: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const text = await must(argv);
  const parts = text.split("=== ").slice(1);
  return new Map(parts.map((part) => [part.slice(0, part.indexOf("\n")), part]));
}

/** What our program did, in a folder of its own, for all lines and configurations. */
let own: Promise<ReadonlyMap<string, string>> | undefined;

async function runOurs(): Promise<ReadonlyMap<string, string>> {
  const folder = workFolder();
  const path = (file: string): string => join(folder, file);
  const found = new Map<string, string>();
  for (const file of ["lines", "configs"]) {
    const argv = ["bash", path("script"), path("ours"), path(file)];
    for (const [key, value] of await outcomes(argv)) found.set(key, value);
  }
  return found;
}

const peers = [
  ["pcp6", pcp6],
  ["pcp7", pcp7],
] as const;

for (const [name, tree] of peers) {
  describePeer(name, `the same as the real program of ${name}`, () => {
    // Messages of 6.0.3 differ where 7.2 is followed; its configuration files mean the same.
    const files = name === "pcp7" ? ["lines", "configs"] : ["configs"];
    let ours: ReadonlyMap<string, string> = new Map();
    const theirs = new Map<string, string>();
    beforeAll(async () => {
      own ??= runOurs();
      ours = await own;
      const folder = workFolder();
      for (const file of files) {
        const argv = ["bash", join(folder, "script"), "pmlogextract", join(folder, file)];
        for (const [key, value] of await outcomes(tree.command(argv))) theirs.set(key, value);
      }
    }, 300_000);

    test.each(CONFIGS.map((text, index) => [text, index] as const))("-c %j", (_text, index) => {
      const key = `-c config${index} a o`;
      expect(ours.get(key) ?? "").toBe(theirs.get(key) ?? "nothing");
    });

    if (files.includes("lines")) {
      test.each(LINES.map((line) => [line] as const))("pmlogextract %s", (line) => {
        expect(ours.get(line) ?? "").toBe(theirs.get(line) ?? "nothing");
      });
    }
  });
}
