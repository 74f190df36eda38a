// Goal: the recorded sessions of PCP's checking tool with PCP's agents come out the same with our tool
// and our agents, each in a process of its own. What depends on the moment is masked.
import { test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { baseEnvironment, privateFolder } from "../helpers/process.ts";
import { replaySession, sessionLines, without } from "./sessions.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");

/** A folder of agents as PCP has one, with ours in it. */
function agentsFolder(name: string): string {
  const folder = privateFolder("own");
  const path = join(folder, name, `pmda${name}`);
  mkdirSync(join(folder, name));
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${main}" pmda-run ${name} "$@"\n`);
  chmodSync(path, 0o755);
  writeFileSync(join(folder, name, "simple.conf"), "sec,min,hour\n");
  return folder;
}

/** Values that are another moment's. */
const momentary: Readonly<Record<string, (text: string) => string>> = {
  sample: (text) => text,
  trivial: (text) => text.replace(/\b1\d{9}\b/g, "SECONDS"),
  simple: (text) =>
    text
      // simple.now is the time of day.
      .replace(/\(simple\.now\): .*\n(?: +inst .*\n)+/g, (set) =>
        set.replace(/ value \d+$/gm, " value N"),
      )
      .replace(/^(253\.1\.2: )\S+ -> 1$/m, "$1CPU -> 1"),
};

/** Commands that are answered otherwise than by the 6 of the recording, as by PCP 7, and their lines. */
const newer: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
  sample: [
    ["name 29.0.1001", 2],
    ["children sample.secret", 3],
    ["traverse sample.secret", 10],
    // Help is in words of our own.
    ["text sample.bin", 14],
    ["text indom 29.2", 4],
  ],
};

for (const [name, moment] of Object.entries(momentary)) {
  test(`the session with ${name}`, async () => {
    const folder = agentsFolder(name);
    const path = join(folder, name, `pmda${name}`);
    const lines = (newer[name] ?? []).reduce(
      (kept, [command, printed]) => without(kept, command, printed),
      sessionLines(`${name}-pipe`),
    );
    await replaySession(lines, {
      over: { env: { ...baseEnvironment(), PCP_PMDAS_DIR: folder } },
      command: (line) => line.replace("@PMDAS@", folder).replace("@W@", folder),
      compared: (text) =>
        moment(
          text
            .replaceAll(path, "AGENT")
            .replace(`@PMDAS@/${name}/pmda${name}`, "AGENT")
            .replaceAll(folder, "@W@")
            .replace(`Start pmda${name}`, "Start AGENT"),
        ),
    });
  });
}
