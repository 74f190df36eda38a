// Goal: the completion scripts offer what the tables have. The script for bash is run in bash; those
// for zsh and fish are run by their shells for syntax where these are installed, and looked at as
// text everywhere.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { VERBS } from "../../cmd/verbs.ts";
import { completionScript, SHELLS } from "../../lib/cli/completion.ts";
import { defineVerb } from "../../lib/cli/verb.ts";

const described = await Promise.all(VERBS.map((each) => each.describe()));

/** Runs a shell over a script in a file; stdout, with failures as exceptions. */
async function shell(program: string, args: readonly string[], script: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "pcpbox-completion-"));
  try {
    const file = join(folder, "script");
    writeFileSync(file, script);
    const child = Bun.spawn([program, ...args, file], { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    if ((await child.exited) !== 0 || err !== "") throw new Error(`${program}: ${err}`);
    return out;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What bash would offer for each line of words; the last word is the one at the cursor. */
async function bashOffers(lines: readonly (readonly string[])[]): Promise<readonly string[][]> {
  const calls = lines.map((words) => {
    const quoted = words.map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _pcpbox ${quoted}; printf '%s ' "\${COMPREPLY[@]}"; echo`;
  });
  const out = await shell(
    "bash",
    ["--norc"],
    `set -u\n${completionScript("bash", described)}\n${calls.join("\n")}\n`,
  );
  return out
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ").filter((word) => word !== ""));
}

describe("bash", () => {
  const cases: readonly (readonly [string[], string[]])[] = [
    [
      ["pcpbox", ""],
      [...VERBS.map((each) => each.name), "--help", "--version"],
    ],
    [["pcpbox", "pr"], ["proxy"]],
    [["pcpbox", "--v"], ["--version"]],
    [
      ["pcpbox", "proxy", "st"],
      ["start", "stop", "status"],
    ],
    [
      ["pcpbox", "proxy", "--log"],
      ["--log", "--log-format", "--log-level"],
    ],
    [["pcpbox", "--no-color", "proxy", "--sys"], ["--systemd"]],
    [
      ["pmproxy", "--redis"],
      ["--redisport", "--redishost"],
    ],
    [["/usr/lib/pcp/bin/pmproxy", "--log-format", "=", "j"], ["json"]],
    [
      ["pmproxy.exe", "--log-format", "="],
      ["text", "json"],
    ],
    [
      ["pmproxy", "-D", "pd"],
      ["pdu", "pdubuf"],
    ],
    [["pmproxy", "-U", "roo"], ["root"]],
    [["pmproxy", "-c", "/etc/passw"], ["/etc/passwd"]],
    [["pmproxy", "-p", ""], []],
    [
      ["pcpbox", "completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [["pcpbox", "help", "ver"], ["version"]],
    [["pcpbox", "nothing", ""], []],
  ];

  test("offers verbs, options, arguments and operands", async () => {
    const offers = await bashOffers(cases.map(([words]) => words));
    for (const [index, [words, expected]] of cases.entries()) {
      const offered = (offers[index] ?? []).filter((word) => word !== "/etc/passwd-");
      expect([words, offered]).toEqual([words, expected]);
    }
  });

  test("is registered for pcpbox and the names it answers to", () => {
    expect(completionScript("bash", described)).toContain(
      "complete -F _pcpbox pcpbox pmproxy pmlogextract\n",
    );
  });
});

describe("zsh", () => {
  const script = completionScript("zsh", described);

  test("is a completion function for all names", () => {
    expect(script).toStartWith("#compdef pcpbox pmproxy pmlogextract\n");
    expect(script).toContain(
      "'(-l --log)--log=[redirect diagnostics and trace output]:PATH:_files'",
    );
    expect(script).toContain("'*-p+[accept connections on this port]:PORT: '");
    expect(script).toContain("[default text\\]");
  });
});

describe("fish", () => {
  const script = completionScript("fish", described);

  test("has a line for each option, under both names", () => {
    const port = "-s 'p' -l 'port' -x -d 'accept connections on this port'";
    expect(script).toContain(`complete -c pmproxy ${port}\n`);
    const within = "complete -c pcpbox -n '__fish_seen_subcommand_from proxy'";
    expect(script).toContain(`${within} ${port}\n`);
    expect(script).toContain("-d 'log lines as text (PCP\\'s form) or json [default text]'\n");
  });
});

for (const name of SHELLS) {
  const program = Bun.which(name);
  if (program === null) continue;
  test(`${name} finds no mistake in its script`, async () => {
    await shell(program, ["-n"], completionScript(name, described));
  });
}

test("a text of a table cannot become a command", async () => {
  const hostile = "'; touch pwned; $(touch pwned) `touch pwned` \\' ]:x";
  const verb = defineVerb({
    name: "proxy",
    program: "pmproxy",
    actsAsPcp: true,
    summary: hostile,
    usage: [],
    options: {
      first: {
        long: "first",
        argument: "X",
        choices: ["$(touch_pwned)", "`touch_pwned`", "'q"],
        help: hostile,
        group: "G",
        knownTo: "pcp",
      },
    },
    operands: [],
    description: [],
    examples: [],
    sections: [],
    mistakeStatus: 1,
  });
  const script = completionScript("bash", [verb]);
  expect(script).not.toContain("touch pwned");
  const call = `COMP_WORDS=(pmproxy --first ''); COMP_CWORD=2; _pcpbox pmproxy 2>&1; echo "\${#COMPREPLY[@]}"`;
  expect((await shell("bash", ["--norc"], `${script}\n${call}\n`)).trim()).toBe("3");
});
