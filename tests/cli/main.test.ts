// Goal: the program is the verb that its name or first word says, answers questions and mistakes on
// the right stream with the right status, and colours nothing but terminals. Each case runs the real
// entry point as a child; verbs that keep running are not started here.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runCommand } from "citty";

import packageJson from "../../package.json";
import { wantsColour } from "../../cmd/output.ts";
import { command, unknownVerb } from "../../cmd/verb.ts";
import { programName, PROGRAMS, VERBS } from "../../cmd/verbs.ts";
import { defineOptions, valuesGiven } from "../../lib/cli/options.ts";
import { defineVerb } from "../../lib/cli/verb.ts";

const entry = join(import.meta.dir, "../../cmd/main.ts");

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(name: string, ...args: readonly string[]): Promise<Outcome> {
  const child = Bun.spawn([process.execPath, entry, ...args], {
    argv0: name,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, out, err };
}

const pcpbox = (...args: readonly string[]): Promise<Outcome> => run("pcpbox", ...args);

describe("pcpbox", () => {
  test("alone lists the verbs", async () => {
    const { status, out, err } = await pcpbox();
    expect([status, err]).toEqual([0, ""]);
    for (const { name } of VERBS) expect(out).toContain(`\n  ${name} `);
    expect((await pcpbox("--help")).out).toBe(out);
    expect((await pcpbox("-?")).out).toBe(out);
    expect((await pcpbox("help")).out).toBe(out);
  });

  test("says its version", async () => {
    const { status, out, err } = await pcpbox("--version");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toMatch(/^pcpbox \d+\.\d+\.\d+ \(commit \w+, Bun 1\.\S+, \S+; PCP 7\.\S+ .*\)\n$/);
    expect((await pcpbox("version")).out).toBe(out);
    expect((await pcpbox("-V")).out).toBe(out);
    expect((await pcpbox("proxy", "--version")).out).toBe(out);
  });

  test("says its version to programs", async () => {
    const { status, out } = await pcpbox("--version", "--json");
    expect(status).toBe(0);
    const facts: unknown = JSON.parse(out);
    expect(facts).toEqual({
      name: "pcpbox",
      version: packageJson.version,
      commit: "unknown",
      bun: Bun.version,
      target: `${process.platform}-${process.arch}`,
      pcp: "7.2.1 / 6.0.3",
    });
    for (const args of [
      ["version", "--json"],
      ["--json", "-V"],
      ["proxy", "--version", "--json"],
    ]) {
      expect((await pcpbox(...args)).out).toBe(out);
    }
  });

  const mistakes: readonly (readonly [string[], string])[] = [
    [["proxxy"], "pcpbox: unknown verb 'proxxy'; did you mean 'proxy'?\n"],
    [["zzz"], "pcpbox: unknown verb 'zzz'\n"],
    [["--bogus", "proxy"], "pcpbox: unrecognized option '--bogus'\n"],
    [["-x"], "pcpbox: invalid option -- 'x'\n"],
    [["--json", "help"], "pcpbox: option '--json' belongs to"],
    [["completion"], "pcpbox completion: which shell? bash, zsh or fish\n"],
    [["completion", "tcsh"], "pcpbox completion: unknown shell 'tcsh'"],
    [["completion", "bash", "zsh"], "pcpbox completion: unexpected argument 'zsh'\n"],
    [["help", "prox"], "pcpbox help: unknown verb 'prox'; did you mean 'proxy'?\n"],
    [["version", "-q"], "pcpbox version: invalid option -- 'q'\n"],
  ];
  for (const [args, text] of mistakes) {
    test(`${args.join(" ")} is a mistake, status 2`, async () => {
      const { status, out, err } = await pcpbox(...args);
      expect(err).toStartWith(text);
      expect([status, out]).toEqual([2, ""]);
      expect(err).toMatch(/\nTry 'pcpbox .*\n$/);
    });
  }

  test("explains a verb in two ways", async () => {
    const { status, out, err } = await pcpbox("help", "proxy");
    expect([status, err]).toEqual([0, ""]);
    expect(out).toBe(readFileSync(join(import.meta.dir, "golden/proxy-help.txt"), "utf8"));
    expect((await pcpbox("proxy", "--help")).out).toBe(out);
    expect((await pcpbox("--help", "proxy")).out).toBe(out);
  });

  test("prints and writes manual pages", async () => {
    const { out } = await pcpbox("help", "proxy", "--man");
    expect(out).toStartWith('.TH "PCPBOX\\-PROXY" 1');
    const folder = mkdtempSync(join(tmpdir(), "pcpbox-man-"));
    try {
      const pages = join(folder, "man1");
      expect(await pcpbox("help", "--man", pages)).toEqual({ status: 0, out: "", err: "" });
      const names = ["pcpbox.1", ...VERBS.map((each) => `pcpbox-${each.name}.1`)];
      expect(readdirSync(pages).sort()).toEqual(names.sort());
      expect(readFileSync(join(pages, "pcpbox-proxy.1"), "utf8")).toBe(out);
      const failed = await pcpbox("help", "--man", "/dev/null/man");
      expect(failed.status).toBe(1);
      expect(failed.err).toStartWith("pcpbox help: cannot write manual pages: ");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("prints completion scripts", async () => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { status, out } = await pcpbox("completion", shell);
      expect(status).toBe(0);
      expect(out).toContain(`made by: pcpbox completion ${shell}\n`);
    }
  });

  test("ends with status 1 when its output cannot be written", async () => {
    if (!existsSync("/dev/full")) return;
    const script = `"$0" "$1" --version > /dev/full`;
    const child = Bun.spawn(["sh", "-c", script, process.execPath, entry], { stderr: "pipe" });
    expect(await child.stderr.text()).toBe("pcpbox: cannot write to standard output\n");
    expect(await child.exited).toBe(1);
  });

  test("is quiet when its reader goes away", async () => {
    const script = `{ "$0" "$1" help proxy; echo "status $?" >&2; } | true`;
    const child = Bun.spawn(["sh", "-c", script, process.execPath, entry], { stderr: "pipe" });
    expect(await child.stderr.text()).toBe("status 0\n");
    await child.exited;
  });
});

describe("names of PCP's programs", () => {
  test("are found in argv[0]", () => {
    const names: Readonly<Record<string, string>> = {
      pmproxy: "pmproxy",
      "/x/y/pmproxy": "pmproxy",
      "./pmproxy": "pmproxy",
      "C:\\pcp\\pmproxy.exe": "pmproxy",
      "pmproxy.EXE": "pmproxy",
      "pmproxy-7": "pmproxy-7",
      "": "",
    };
    for (const [argv0, name] of Object.entries(names)) expect(programName(argv0)).toBe(name);
    expect([...PROGRAMS]).toEqual([
      ["pmproxy", "proxy"],
      ["pmlogextract", "extract"],
      ["dbpmda", "pmda-run"],
      ...["simple", "trivial", "txmon", "sample", "linux"].map((agent): [string, string] => [
        `pmda${agent}`,
        "pmda-run",
      ]),
    ]);
  });

  for (const name of ["pmproxy", "/usr/lib/pcp/bin/pmproxy", "pmproxy.exe"]) {
    test(`called as ${name}, a mistake gives PCP's text`, async () => {
      const { status, out, err } = await run(name, "--no-such-option");
      expect([status, out]).toEqual([1, ""]);
      expect(err).toStartWith(
        "pmproxy: unrecognized option '--no-such-option'\nUsage: pmproxy [options]\n",
      );
    });
  }

  test("pmproxy -? is the usage text on standard error, status 0", async () => {
    const usage = readFileSync(join(import.meta.dir, "golden/proxy-usage.txt"), "utf8");
    expect(await run("pmproxy", "-?")).toEqual({ status: 0, out: "", err: usage });
    expect(await run("pmproxy", "--help")).toEqual({ status: 0, out: "", err: usage });
  });

  test("a verb word is no verb there", async () => {
    const { status, err } = await run("pmproxy", "help");
    expect(status).toBe(1);
    expect(err).toStartWith("pmproxy: unknown action 'help'");
  });

  test("a bad value ends with pmproxy's last word, a misspelt option does not", async () => {
    const last = /\] pmproxy\(\d+\) Error: pmproxy not started due to errors!\n$/;
    const bad = await pcpbox("proxy", "-L0");
    expect(bad.status).toBe(1);
    expect(bad.err).toStartWith(
      "pmproxy: -L requires a positive value\nUsage: pmproxy [options]\n",
    );
    expect(bad.err).toMatch(last);
    const folder = mkdtempSync(join(tmpdir(), "pcpbox-fatal-"));
    const fatal = join(folder, "fatal");
    await pcpbox("proxy", "-L0", "-l", "no such log", "-x", fatal);
    expect(readFileSync(fatal, "utf8")).toBe(
      'NOTE: pmproxy not started due to errors!  Log file "no such log" has vanished!\n',
    );
    rmSync(folder, { recursive: true });
    const misspelt = await pcpbox("proxy", "-z");
    expect(misspelt.status).toBe(1);
    expect(misspelt.err).not.toMatch(last);
  });

  test("pmproxy --version is one line in PCP's words", async () => {
    expect(await run("pmproxy", "--version")).toEqual({
      status: 0,
      out: `pmproxy version 7.2.1 (pcpbox ${packageJson.version})\n`,
      err: "",
    });
  });

  test("a program whose verb is not in this build says so", async () => {
    for (const [program, verb] of PROGRAMS) {
      if (VERBS.some((each) => each.name === verb)) continue;
      const err = `${program}: this build of pcpbox has no ${verb} verb\n`;
      expect(await run(program, "-?")).toEqual({ status: 1, out: "", err });
    }
  });
});

describe("a verb's command", () => {
  const verb = defineVerb({
    name: "try",
    program: "pcpbox try",
    actsAsPcp: false,
    summary: "try",
    usage: [],
    options: defineOptions({
      value: { short: "v", argument: "V", repeatable: true, help: "v", group: "G", knownTo: "pcp" },
    }),
    operands: [{ name: "thing", text: "A thing." }],
    description: [],
    examples: [],
    sections: [],
    mistakeStatus: 2,
  });

  test("gets options in order, operands, and how it was called", async () => {
    const invocation = { program: "pcpbox", verbs: VERBS };
    const work = command(verb, (line) => {
      expect(valuesGiven(line.options, "value")).toEqual(["--no-a", "b"]);
      expect(line.operands).toEqual(["thing"]);
      expect(line.invocation).toBe(invocation);
      return 7;
    });
    const rawArgs = ["-v", "--no-a", "thing", "-vb"];
    expect(await runCommand(work, { rawArgs, data: invocation })).toEqual({ result: 7 });
  });
});

test("verbs are named once and loaded under their own names", async () => {
  const names = VERBS.map((each) => each.name);
  expect(new Set(names).size).toBe(names.length);
  for (const each of VERBS) expect((await each.describe()).name).toBe(each.name);
  expect(unknownVerb("helpp", VERBS)).toBe("unknown verb 'helpp'; did you mean 'help'?");
});

test("colour is for terminals only", () => {
  expect(wantsColour(true, {})).toBe(true);
  expect(wantsColour(false, {})).toBe(false);
  expect(wantsColour(true, { NO_COLOR: "1" })).toBe(false);
  expect(wantsColour(true, { NO_COLOR: "" })).toBe(true);
  expect(wantsColour(true, { TERM: "dumb" })).toBe(false);
});
