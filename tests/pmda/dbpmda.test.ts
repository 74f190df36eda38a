// Goal: PCP's own checking tool, dbpmda, has the same conversation with our simple and trivial as it
// had with PCP's when it was recorded. What depends on the moment or the place is masked.
import { expect } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { ownAgent, writeSimpleConf } from "./pmcd-session.ts";

const main = join(import.meta.dir, "../helpers/agent-main.ts");
const COMMAND =
  /^(?:open|status|desc|fetch|instance|getdesc|profile|store|text|label|pmid|name|children|traverse|attr|getiname|close|quit)\b/;

/** Makes equal what is another moment's or another place's. */
const masked = (text: string): string =>
  text
    .replace(/^open pipe .*\n.*\n/, "")
    .replaceAll(/0x[0-9a-f]+ timestamp/g, "0xADDR timestamp")
    .replaceAll(/pid: \d+/g, "pid: PID")
    .replaceAll(/^(Namespace|PMDA): .*(?<!none)$/gm, "$1:")
    .replaceAll(/^(253\.1\.2: )\S+ -> 1$/gm, "$1CPU -> 1")
    .replaceAll(/\b1[78]\d{8}\b/g, "SECONDS")
    .replaceAll(/\(simple\.now\): .*\n(?: +inst .*\n)+/g, (set) =>
      set.replaceAll(/ value \d+$/gm, " value N"),
    );

for (const name of ["simple", "trivial"] as const) {
  testWith("pcp6", `dbpmda and ${name}`, async () => {
    const folder = privateFolder("dbpmda");
    writeSimpleConf(folder, "sec,min,hour\n");
    const agent = join(folder, "agent");
    writeFileSync(
      agent,
      `#!/bin/sh\nexec ${process.execPath} ${main} ${name} pipe 2> ${folder}/log\n`,
    );
    chmodSync(agent, 0o755);
    const names = join(folder, "names");
    writeFileSync(names, ownAgent(name, () => "").names);
    const recorded = readFileSync(
      join(import.meta.dir, `../fixtures/pmda-run/${name}-pipe.txt`),
      "utf8",
    );
    const commands = recorded
      .split("\n")
      .filter((line) => COMMAND.test(line))
      .map((line) => line.replace(/^open pipe .*/, `open pipe ${agent}`));
    const { stdout } = await run(["sh", "-c", 'exec dbpmda -f -e -n "$0" 2>&1', names], {
      stdin: `${commands.join("\n")}\n`,
      env: { PCP_PMDAS_DIR: join(folder, "pmdas"), PCP_SYSCONF_DIR: folder },
    });
    expect(masked(stdout)).toBe(masked(recorded));
  });
}
