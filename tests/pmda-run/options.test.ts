// Goal: the command line of an agent says what PCP's agents say: messages, usage and exit statuses of
// their standard options (spec pmda.md 11.1); and the tools around agents refuse what makes no sense.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { usageText } from "../../lib/cli/mod.ts";
import { agentVerb } from "../../cmd/options/pmda-run.ts";
import { privateFolder, run } from "../helpers/process.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");

/** Runs `pcpbox pmda-run` to its end. */
const pmdaRun = (args: readonly string[], cwd?: string) =>
  run([process.execPath, main, "pmda-run", ...args], {
    ...(cwd !== undefined && { cwd }),
    stdin: "",
  });

const simpleUsage = `Usage: pmdasimple [options]

Options:
  -d NUM, --domain=NUM  use domain (numeric) for metrics domain of PMDA
  -l FILE, --log=FILE   write log to FILE rather than using default log name
  -U USER, --username=USER
                        run the PMDA using the named user account
  -?, --help            show this usage message and exit

Exactly one of the following options may appear:
  -i PORT, --inet=PORT  pmcd IPv4 connection service name or numeric port
  -p, --pipe            use a pipe for communication with pmcd
  -u FILE, --unix=FILE  use a unix domain socket for communication with pmcd
  -6 PORT, --ipv6=PORT  pmcd IPv6 connection service name or numeric port
`;

test("usage is that of the agent in C", () => {
  expect(usageText(agentVerb("simple"))).toBe(simpleUsage);
  expect(usageText(agentVerb("txmon"))).toStartWith("Usage: pmdatxmon [options] tx_type [...]\n");
  expect(usageText(agentVerb("trivial"))).not.toContain("--inet");
  expect(usageText(agentVerb("weather"))).toContain("-h FILE, --helpfile=FILE");
});

describe("mistakes", () => {
  const cases: readonly (readonly [string[], string])[] = [
    [["-d", "abc"], "-d requires numeric domain number"],
    [["-d", "253x"], "-d requires numeric domain number"],
    [["-i", "1", "-u", "x"], "-u option clashes with -i option"],
    [["-p", "-i", "3"], "-i option clashes with -p option"],
    [["--pipe", "--ipv6=3"], "-6 option clashes with -p option"],
    [["-D", "foo"], "unrecognized debug options specification (foo)"],
    [["-Z"], "invalid option -- 'Z'"],
    [["-d"], "option requires an argument -- 'd'"],
  ];
  for (const [args, sentence] of cases) {
    test(args.join(" "), async () => {
      const { stderr, stdout, status } = await pmdaRun(["simple", ...args]);
      expect({ stderr, stdout, status }).toEqual({
        stderr: `pmdasimple: ${sentence}\n${simpleUsage}`,
        stdout: "",
        status: 1,
      });
    });
  }

  test("the question for help has status 1", async () => {
    const { stderr, status } = await pmdaRun(["simple", "-?"]);
    expect({ stderr, status }).toEqual({ stderr: simpleUsage, status: 1 });
  });

  test("an agent that is none", async () => {
    const { stderr, status } = await pmdaRun(["simpel"]);
    expect(stderr).toStartWith("pmdasimpel: unknown agent 'simpel'; did you mean 'simple'?\n");
    expect(stderr).toContain("\n  trivial ");
    expect(status).toBe(1);
  });

  test("no agent", async () => {
    const { stderr, status } = await pmdaRun([]);
    expect(stderr).toStartWith("pcpbox pmda-run: no agent named\n");
    expect(status).toBe(2);
  });

  test("a user that is none, after the log is open", async () => {
    const folder = privateFolder("user");
    const { status } = await pmdaRun(["trivial", "-U", "nosuchuser"], folder);
    expect(status).toBe(1);
    expect(readFileSync(join(folder, "trivial.log"), "utf8")).toMatch(
      /pmdatrivial\(\d+\) Critical: cannot find the nosuchuser user to switch to\n\nLog finished /,
    );
  });

  test("a domain that no agent can have", async () => {
    for (const more of [[], ["--install", "--dry-run"], ["--metrics"]]) {
      const { stderr, status } = await pmdaRun(["simple", "-d", "511", ...more]);
      expect({ stderr, status }).toEqual({
        stderr: "pmdasimple: domain 511 of simple is above 510\n",
        status: 1,
      });
    }
  });

  test("a service that is none", async () => {
    const { stderr, status } = await pmdaRun(["trivial", "-l", "-", "-i", "nosuchservice"]);
    expect(stderr).toContain("Critical: __pmdaOpenSocket: getservbyname(nosuchservice)");
    expect(status).toBe(1);
  });

  test("help files that are none are a warning", async () => {
    const { stderr } = await pmdaRun(["trivial", "-l", "-", "-h", "/nonexistent/help"]);
    expect(stderr).toContain(
      'Warning: pmdaInit: PMDA pmdatrivial: Unable to open help text file(s) from "/nonexistent/help": No such file or directory',
    );
  });
});

test("the list, plain and as JSON", async () => {
  const { stdout } = await pmdaRun(["--list"]);
  expect(stdout).toMatch(/^simple +253 {2}\S/m);
  const { stdout: json } = await pmdaRun(["--list", "--json"]);
  const names = (JSON.parse(json) as { name: string }[]).map(({ name }) => name);
  expect(names).toContain("trivial");
});

describe("--new", () => {
  test("writes an agent and never over one", async () => {
    const folder = privateFolder("new");
    const first = await pmdaRun(["--new", "weather"], folder);
    expect(first.stdout).toContain("pcpbox pmda-run ./weather.ts --check");
    const path = join(folder, "weather.ts");
    const text = readFileSync(path, "utf8");
    expect(text).toContain('name: "weather.fetches"');
    expect(text).not.toContain("example");
    writeFileSync(path, "mine");
    const second = await pmdaRun(["--new", "weather"], folder);
    expect(second.stderr).toBe(`pcpbox pmda-run: ${path}: is there already\n`);
    expect(second.status).toBe(1);
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  test("takes a domain that pmcd.conf does not have", async () => {
    const folder = privateFolder("new");
    const conf = join(folder, "pmcd.conf");
    writeFileSync(conf, "# 400 is taken\nother 400 pipe binary /x\nmore\t401\tpipe binary /y\n");
    await run([process.execPath, main, "pmda-run", "--new", "third"], {
      cwd: folder,
      env: { PCP_PMCDCONF_PATH: conf },
    });
    expect(readFileSync(join(folder, "third.ts"), "utf8")).toContain("  domain: 402,\n");
  });

  test("refuses what is no name", async () => {
    const folder = privateFolder("new");
    const { status, stderr } = await pmdaRun(["--new", "../x"], folder);
    expect(status).toBe(2);
    expect(stderr).toContain("'../x' is no name for an agent");
  });
});

describe("--check", () => {
  test("refuses what dbpmda refuses", async () => {
    for (const [args, sentence] of [
      [["-q", "0"], "-q requires a positive numeric argument"],
      [["-Z"], "invalid option -- 'Z'"],
      [["-D", "foo"], "unrecognized debug flag specification (foo)"],
    ] as const) {
      const { stderr, status } = await pmdaRun(["--check", ...args]);
      expect(stderr).toStartWith(`dbpmda: ${sentence}\nUsage: dbpmda [options]\n`);
      expect(status).toBe(1);
    }
    const { stderr, status } = await pmdaRun(["--check", "-f", "-n", "/nonexistent"]);
    expect(stderr).toBe(
      'Error Parsing ASCII PMNS: Cannot open "/nonexistent"\ndbpmda: Cannot load namespace from "/nonexistent": No such file or directory\n',
    );
    expect(status).toBe(1);
  });

  test("runs the commands of .dbpmdarc first, with its own prompt", async () => {
    const folder = privateFolder("rc");
    writeFileSync(join(folder, ".dbpmdarc"), "timer on\nbogus\n");
    const { stdout, stderr } = await run([process.execPath, main, "pmda-run", "--check", "-e"], {
      cwd: folder,
      stdin: "foo\nquit\nnever\n",
    });
    expect(stdout).toBe(
      `.dbpmdarc> timer on\n.dbpmdarc> bogus\n${" ".repeat(15)}^ at or near here\n.dbpmdarc> foo\n${" ".repeat(10)}^ at or near here\nquit\n`,
    );
    expect(stderr).toBe(
      "Error [.dbpmdarc, line 2]: Unrecognized command\nType 'help' for a list of commands.\nError: Unrecognized command\nType 'help' for a list of commands.\n",
    );
  });
});
