// Goal: sessions of PCP's checking tool with real agents come out the same here, commands, output and
// PDUs: an agent that replays the recorded PDUs refuses any other request.
import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { PcpError } from "../../lib/base/mod.ts";
import { createCheckSession } from "../../lib/pmda/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { collecting, replaySession, sessionLines, without } from "./sessions.ts";

const fixtures = join(import.meta.dir, "../fixtures");

/** A program that answers as an agent did in a recording. */
function recordedAgent(folder: string, name: string): void {
  const pdus = [`pmda-run/${name}.pdus`, `pmda/${name}-dbpmda.txt`]
    .map((path) => join(fixtures, path))
    .find((path) => existsSync(path));
  const script = join(import.meta.dir, "recorded-agent.ts");
  mkdirSync(join(folder, name));
  const path = join(folder, name, `pmda${name}`);
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${script}" "${pdus ?? ""}"\n`);
  chmodSync(path, 0o755);
}

for (const name of ["trivial", "simple", "txmon", "sample"]) {
  test(`a session with ${name}`, async () => {
    const folder = privateFolder("check");
    recordedAgent(folder, name);
    const path = `${folder}/${name}/pmda${name}`;
    await replaySession(sessionLines(`${name}-pipe`), {
      command: (line) =>
        line.startsWith("wait ")
          ? "wait 0"
          : line.replace("@PMDAS@", folder).replace("@W@", folder),
      compared: (text) =>
        text
          .replaceAll(folder, "@PMDAS@")
          .replace("-l @W@", "-l @PMDAS@")
          .replace(`Start pmda${name}`, "Start AGENT")
          .replace(
            `PMDA:                   ${path.replace(folder, "@PMDAS@")}`,
            "PMDA:                   AGENT",
          ),
    });
  });
}

test("a session of mistakes", async () => {
  const recorded = sessionLines("errors");
  const dso = recorded.find((line) => line.startsWith("open dso @PMDAS@")) ?? "";
  await replaySession(without(recorded, dso, 1), {
    over: {
      readNames: (path) => {
        throw new PcpError(
          -2,
          `Error Parsing ASCII PMNS: Cannot open "${path}"\ndbpmda: Cannot load namespace from "${path}": No such file or directory`,
        );
      },
    },
  });
});

test("help names every command and how it is written, as PCP's tool does", async () => {
  const recorded = sessionLines("help");
  const { setting, take } = collecting();
  const session = createCheckSession(setting);
  const origin = { prompt: "", place: "", echo: false };
  const told = recorded.filter((line) => /^help( \w+)?$/.test(line));
  expect(told.length).toBeGreaterThan(20);
  for (const command of told) {
    await session.run(command, origin);
    const forms = recorded.slice(recorded.indexOf(command) + 1);
    const start = forms[0] === "" ? 1 : 0;
    const end = forms.indexOf("", command === "help" ? 2 : start);
    expect(take()).toStartWith(
      forms
        .slice(0, end)
        .map((line) => `${line}\n`)
        .join(""),
    );
  }
});
