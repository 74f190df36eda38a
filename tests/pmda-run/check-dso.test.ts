// Goal: the recorded sessions of PCP's checking tool with shared objects come out the same: with the
// real one of PCP's sample agent in a process around it, and with our agents in the place of those
// that are not installed. What is wrong with a shared object is said in PCP's words.
import { expect, test } from "bun:test";
import { join } from "node:path";

import { hostArgument } from "../../lib/collector/mod.ts";
import { createCheckSession } from "../../lib/pmda/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { baseEnvironment, privateFolder } from "../helpers/process.ts";
import { collecting, replaySession, sessionLines, without } from "./sessions.ts";

const root = join(import.meta.dir, "../..");
const sampleDso = "/var/lib/pcp/pmdas/sample/pmda_sample.so";

/** The process around a compiled agent. */
const dsoCommand = (path: string, init: string, domain = 0): readonly string[] => {
  const spec = { path, name: "sample", init, domain, program: "dbpmda", reports: true };
  return [process.execPath, join(root, "cmd/main.ts"), "--pcpbox-dso-host", hostArgument(spec)];
};

testWith("pcp6", "the session with the sample agent", async () => {
  let lines: readonly string[] = sessionLines("sample-dso");
  // Help files are compiled when the agent is installed.
  for (const command of lines.filter((line) => line.startsWith("text "))) {
    const at = lines.indexOf(command);
    const rest = lines.slice(at + 1);
    const next = rest.findIndex((line) => /^(text|attr|fetch|label) /.test(line));
    lines = without(lines, command, next);
  }
  await replaySession(lines, {
    over: { dsoCommand, env: { ...baseEnvironment(), PCP_PMDAS_DIR: privateFolder("none") } },
    command: (line) => line.replace("@PMDAS@/sample/pmda_sample.so", sampleDso),
  });
});

testWith("pcp6", "a function that a shared object lacks, and a file that is none", async () => {
  const { setting, take } = collecting({ dsoCommand });
  const session = createCheckSession(setting);
  const origin = { prompt: "", place: "", echo: false };
  await session.run(`open dso ${sampleDso} nosuch_init 29`, origin);
  expect(take()).toBe(`Error: couldn't find init function "nosuch_init" in DSO "${sampleDso}"\n`);
  await session.run(`open dso ${import.meta.path} some_init 29`, origin);
  expect(take()).toStartWith(`Error attaching DSO "${import.meta.path}"\n`);
  await session.run("fetch 29.0.1", origin);
  expect(take()).toEndWith("Warning: No PMDA currently opened\n");
});

/** Our agents speak PDUs on standard streams, as the process around a compiled one does. */
const ownAgent = (name: string, version: number) => (): readonly string[] => {
  const report = `echo '{"ok":true,"version":${version}}' >&3; exec 3>&-; exec "$@"`;
  const agent = [process.execPath, join(root, "cmd/main.ts"), "pmda-run", name, "-l", "-"];
  return ["sh", "-c", report, "sh", ...agent];
};

for (const [name, version] of [
  ["simple", 7],
  ["trivial", 2],
] as const) {
  test(`the session with ${name}`, async () => {
    const recorded = sessionLines(`${name}-dso`);
    // What the agent itself says about an unknown domain goes to its log here.
    const lines = recorded.filter((line) => !line.startsWith("[@DATE@] "));
    const { path } = { path: import.meta.path };
    await replaySession(lines, {
      over: { dsoCommand: ownAgent(name, version) },
      command: (line) => line.replace(/@PMDAS@\/\S+\.so/, path),
      compared: (text) =>
        text
          .replaceAll(path, `@PMDAS@/${name}/pmda_${name}.so`)
          .replace(/\b1\d{9}\b/g, "SECONDS")
          .replace(/\(simple\.now\): .*\n(?: +inst .*\n)+/g, (set) =>
            set.replace(/ value \d+$/gm, " value N"),
          ),
    });
  });
}
