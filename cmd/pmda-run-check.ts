// `pcpbox pmda-run --check`, alias dbpmda: a session with an agent, out of standard input or at a prompt
// (spec pmda.md 17). With an agent named before, that agent is open from the start and its metric
// names are the ones known. Refuses name spaces that cannot be read, before anything is asked.

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline/promises";

import { asPcpError, PcpError, pmErrStr } from "../lib/base/mod.ts";
import { DEBUG_OPTIONS, type Given, isGiven, lastGiven, valuesGiven } from "../lib/cli/mod.ts";
import { becomeUser, lookUpUser, readPcpConf } from "../lib/daemon/mod.ts";
import { hostArgument } from "../lib/collector/mod.ts";
import { Names } from "../lib/pcp/mod.ts";
import {
  type CheckSession,
  type CheckSetting,
  createCheckSession,
  type LineOrigin,
  readNames,
} from "../lib/pmda/mod.ts";
import type { checkOptions, PmdaRunOptions } from "./options/pmda-run.ts";
import { complain, say } from "./output.ts";
import { pmdaCommand } from "./pmda-run-command.ts";
import { metricsOf } from "./pmda-run-metrics.ts";
import type { AgentSource } from "./pmda-run-source.ts";
import { hostCommand } from "./self.ts";
import type { CommandLine } from "./verb.ts";

const PROGRAM = "dbpmda";
const RC_FILE = ".dbpmdarc";
const CREDS_SECONDS = 3;

type CheckGiven = readonly Given<typeof checkOptions>[];

/** Reads a name space; the error has PCP's lines and the program's own. */
function namesFrom(path: string): Names {
  const varDir = readPcpConf(process.env).get("PCP_VAR_DIR") ?? "/var/lib/pcp";
  try {
    return readNames(path, varDir);
  } catch (error) {
    const { code, message } = asPcpError(error);
    const missing = !existsSync(path);
    const reason = missing ? "No such file or directory" : pmErrStr(code);
    throw new PcpError(
      code,
      `${message}\n${PROGRAM}: Cannot load namespace from "${path}": ${reason}`,
    );
  }
}

/** The names that pmcd has. */
function defaultNames(): Names {
  const conf = readPcpConf(process.env);
  const varDir = conf.get("PCP_VAR_DIR") ?? "/var/lib/pcp";
  const path = process.env["PMNS_DEFAULT"] ?? join(varDir, "pmns", "root");
  // Without PCP there are no names but those of agents: metrics can be given as numbers.
  return existsSync(path) ? namesFrom(path) : new Names();
}

const settingWith = (over: Partial<CheckSetting>): CheckSetting => ({
  credsSeconds: CREDS_SECONDS,
  env: process.env,
  out: say,
  err: complain,
  names: defaultNames,
  namesPath: undefined,
  readNames: namesFrom,
  debugNames: DEBUG_OPTIONS,
  program: PROGRAM,
  dsoCommand: (path, init, domain = 0) => {
    const name = basename(path)
      .replace(/^pmda_/, "")
      .replace(/\.so$/, "");
    const spec = { path, name, init, domain, program: PROGRAM, reports: true };
    return [...hostCommand(), hostArgument(spec)];
  },
  watch: (path) => {
    const title = `${PROGRAM} watch ${path}`;
    const argv = ["xterm", "-hold", "-title", title, "-geom", "80x16", "-e", "tail", "-f", path];
    if (Bun.which("xterm") === null) complain("sh: 1: xterm: not found\n");
    else Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] }).unref();
  },
  ...over,
});

/** Runs the commands of a file as if they were typed. */
async function runFile(session: CheckSession, path: string): Promise<boolean> {
  const lines = readFileSync(path, "utf8").split("\n");
  if (lines.at(-1) === "") lines.pop();
  const prompt = `${RC_FILE}> `;
  for (const [index, line] of lines.entries()) {
    say(prompt);
    const place = ` [${RC_FILE}, line ${index + 1}]`;
    if (!(await session.run(line, { prompt, place, echo: true }))) return false;
  }
  say(prompt);
  return true;
}

/** Commands from a terminal, with a history. */
async function runTerminal(session: CheckSession, prompt: string): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt });
  lines.prompt();
  let more = true;
  for await (const line of lines) {
    lines.pause();
    more = await session.run(line, { prompt, place: "", echo: false });
    if (!more) break;
    lines.resume();
    lines.prompt();
  }
  if (more) say("\n");
  lines.close();
}

/** Commands from a file or a pipe. */
async function runInput(
  session: CheckSession,
  origin: LineOrigin,
  interactive: boolean,
): Promise<void> {
  const prompted = (): void => {
    if (interactive) say(origin.prompt);
  };
  prompted();
  const lines = createInterface({ input: process.stdin });
  let more = true;
  for await (const line of lines) {
    more = await session.run(line, origin);
    if (!more) break;
    prompted();
  }
  // After the last prompt, so that what comes next begins a line of its own.
  if (more && interactive) say("\n");
  lines.close();
}

async function hold(
  setting: CheckSetting,
  given: { readonly echo: boolean; readonly interactive: boolean; readonly rc: boolean },
  first: readonly string[],
): Promise<number> {
  const session = createCheckSession(setting);
  const prompt = `${PROGRAM}> `;
  const origin = { prompt, place: "", echo: given.echo };
  let more = true;
  for (const line of first) more &&= await session.run(line, { ...origin, echo: false });
  const rc = [RC_FILE, join(process.env["HOME"] ?? "/", RC_FILE)].find((path) => existsSync(path));
  if (given.rc && rc !== undefined) more &&= await runFile(session, rc);
  if (more) {
    const typed = process.stdin.isTTY;
    if (typed) await runTerminal(session, prompt);
    else await runInput(session, origin, given.interactive);
  }
  await session.close();
  return 0;
}

/** `--check` as the first word: any agent. Returns the exit status. */
export async function checkByHand(options: CheckGiven): Promise<number> {
  const user = lastGiven(options, "username")?.value;
  if (user !== undefined) {
    const found = lookUpUser(user);
    if (found === undefined) {
      complain(`${PROGRAM}: cannot find the ${user} user to switch to\n`);
      return 1;
    }
    becomeUser(found);
  }
  const path = lastGiven(options, "namespace")?.value;
  let names: (() => Names) | undefined;
  if (path !== undefined) {
    try {
      const read = namesFrom(path);
      names = () => read;
    } catch (error) {
      complain(`${asPcpError(error).message}\n`);
      return 1;
    }
  }
  const setting = settingWith({
    credsSeconds: lastGiven(options, "creds")?.value ?? CREDS_SECONDS,
    namesPath: path,
    ...(names !== undefined && { names }),
  });
  const debug = valuesGiven(options, "debug").flat();
  return hold(
    setting,
    {
      echo: isGiven(options, "echo"),
      interactive: isGiven(options, "interactive"),
      rc: !isGiven(options, "norc"),
    },
    debug.length === 0 ? [] : [`debug ${debug.join(" ")}`],
  );
}

/** `AGENT --check`: that agent, with the names that it has. Returns the exit status. */
export async function checkAgent(
  source: AgentSource,
  line: CommandLine<PmdaRunOptions>,
): Promise<number> {
  const argv = pmdaCommand(source, line, ["-l", "-"]);
  const names = source.kind === "dso" ? undefined : metricsOf(source, line);
  const setting = settingWith(names === undefined ? {} : { names: () => names });
  const quoted = argv.map((word) => (/^[\w./-]+$/.test(word) ? word : `"${word}"`));
  return hold(setting, { echo: false, interactive: false, rc: false }, [
    `open pipe ${quoted.join(" ")}`,
  ]);
}
