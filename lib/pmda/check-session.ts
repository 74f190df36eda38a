// A session of the checking tool (spec pmda.md 17): lines in, commands run, text out. Refuses lines
// that are no command, with a caret, and goes on; a session as such does not fail.
import { setTimeout as sleep } from "node:timers/promises";

import { PcpError, PM_ERR } from "../base/mod.ts";
import { asInstance } from "../pcp/mod.ts";
import { createProfile, encodePdu } from "../pdu/mod.ts";
import { type CheckCommand, type MetricWord, parseCommand } from "./check-grammar.ts";
import { helpText, synopsisText } from "./check-help.ts";
import { openLink } from "./check-link.ts";
import { profileText } from "./check-print.ts";
import {
  type CheckSetting,
  Given,
  linkOf,
  metricOf,
  request,
  type State,
  TIMED,
  Unknown,
} from "./check-requests.ts";
import { type CheckMistake, wordsOf } from "./check-words.ts";

/** Where a line comes from, for what is said about mistakes in it. */
export interface LineOrigin {
  /** What stands before the commands. */
  readonly prompt: string;
  /** In front of the reason: empty, or ` [FILE, line N]`. */
  readonly place: string;
  /** Prints the line first. */
  readonly echo: boolean;
}

/** A session; `run` takes one line without its newline and says whether there may be more. */
export interface CheckSession {
  run(line: string, origin: LineOrigin): Promise<boolean>;
  /** Ends the connection to the agent. */
  close(): Promise<void>;
}

async function closeLink(state: State): Promise<void> {
  const { link } = state;
  if (link === undefined) return;
  state.link = undefined;
  link.send(encodePdu({ kind: "error", from: 0, code: PM_ERR.NOTCONN }));
  await link.close();
}

async function openCommand(
  state: State,
  target: Extract<CheckCommand, { kind: "open" }>["target"],
): Promise<void> {
  const link = await openLink(target, state.setting, () => closeLink(state));
  if (link === undefined) return;
  state.link = link;
  state.profile = createProfile();
  state.profileChanged = true;
}

function profileCommand(
  state: State,
  { indom, change, instance }: Extract<CheckCommand, { kind: "profile" }>,
): void {
  const one = [asInstance(instance)];
  if (change === "all") state.profile.add(indom);
  else if (change === "none") state.profile.delete(indom);
  else if (change === "add") state.profile.add(indom, one);
  else state.profile.delete(indom, one);
  state.profileChanged = true;
}

function debugCommand({ debug, setting }: State, flags: readonly string[]): void {
  for (const flag of flags) {
    if (flag === "none") debug.clear();
    else if (flag === "all") for (const name of setting.debugNames) debug.add(name);
    else if (flag.startsWith("-")) debug.delete(flag.slice(1));
    else if (/^\d+$/.test(flag)) {
      // Numbers are a mask of the oldest options.
      for (const [bit, name] of setting.debugNames.entries())
        if (bit < 31 && ((Number(flag) >> bit) & 1) === 1) debug.add(name);
    } else debug.add(flag);
  }
}

function debugText({ debug, setting }: State): string {
  const all = setting.debugNames.filter((name) => name !== "all");
  if (debug.size === 0) return "(none)";
  if (all.every((name) => debug.has(name))) return "(all)";
  return all.filter((name) => debug.has(name)).join(" ");
}

function statusCommand(state: State): void {
  const { link, on, setting } = state;
  const line = (title: string, value: string): string => `${`${title}:`.padEnd(24)}${value}\n`;
  let text = `\n${line("Namespace", state.namesPath ?? "(default)")}`;
  text += line("PMDA", link?.title ?? "none");
  if (link !== undefined) {
    text += line("Connection", link.dso ? "dso" : `daemon (pid: ${link.pid})`);
    if (link.dso) text += line("DSO Interface Version", `${link.interfaceVersion}`);
    text += line("PMDA PMAPI Version", link.version === undefined ? "unknown!" : `${link.version}`);
  }
  text += line("Debug options", debugText(state));
  for (const [title, key] of [
    ["Timer", "timer"],
    ["Getdesc", "getdesc"],
    ["Getiname", "getiname"],
  ] as const)
    text += line(title, on[key] ? "on" : "off");
  setting.out(`${text}\n${profileText(state.profile)}\n`);
}

function namespaceCommand(state: State, path: string): void {
  const { setting } = state;
  try {
    state.names = setting.readNames(path);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    setting.err(`${error.message}\n`);
    const first = setting.namesPath;
    setting.err(
      `${setting.program}: ${first === undefined ? "Reload default namespace" : `Reload namespace from "${first}"`}\n`,
    );
    state.names = undefined;
  }
  // As PCP's tool: `status` names the file that was asked for, read or not.
  state.namesPath = path;
}

/** Everything that is no request to the agent. */
async function perform(state: State, command: CheckCommand): Promise<void> {
  const { setting } = state;
  switch (command.kind) {
    case "synopsis":
      setting.out(synopsisText(command.of));
      return;
    case "help":
      setting.out(helpText(command.of));
      return;
    case "open":
      return openCommand(state, command.target);
    case "close":
      linkOf(state);
      return closeLink(state);
    case "status":
      return statusCommand(state);
    case "profile":
      return profileCommand(state, command);
    case "debug":
      return debugCommand(state, command.flags);
    case "namespace":
      return namespaceCommand(state, command.path);
    case "watch":
      return setting.watch(command.path);
    case "switch":
      state.on[command.of] = command.on;
      return undefined;
    case "wait":
      await sleep(command.seconds * 1000);
      return undefined;
    default:
      return request(state, command);
  }
}

/** Looks metrics up that stand before a mistake: one that there is not is the mistake then. */
async function lookUp(state: State, metrics: readonly MetricWord[]): Promise<void> {
  for (const metric of metrics) await metricOf(state, metric);
}

/** Runs a command; mistakes that show only now are thrown as Unknown. */
async function runCommand(state: State, command: CheckCommand): Promise<void> {
  const start = performance.now();
  try {
    await perform(state, command);
  } catch (error) {
    if (!(error instanceof Given)) throw error;
    return;
  }
  if (state.on.timer && TIMED.includes(command.kind)) {
    const seconds = (performance.now() - start) / 1000;
    state.setting.out(`Timer: ${seconds.toFixed(6)} seconds\n`);
  }
}

/** Column of the caret where the prompt is not what stands before the line. */
const PROMPT_WIDTH = 8;

function complain(
  { out, err }: CheckSetting,
  { read, reason }: CheckMistake,
  { prompt, place }: LineOrigin,
): void {
  const column = (prompt.length || PROMPT_WIDTH) + Math.max(read, 1) - 1;
  out(`${" ".repeat(column)}^ at or near here\n`);
  err(`Error${place}: ${reason}\nType 'help' for a list of commands.\n`);
}

export type { CheckSetting } from "./check-requests.ts";

/** A session with no agent yet. */
export function createCheckSession(setting: CheckSetting): CheckSession {
  const state: State = {
    setting,
    names: undefined,
    namesPath: setting.namesPath,
    link: undefined,
    profile: createProfile(),
    profileChanged: true,
    debug: new Set(),
    on: { timer: false, getdesc: false, getiname: false },
    results: 0,
  };
  return {
    async run(line, origin) {
      if (origin.echo) setting.out(`${line}\n`);
      const { command, mistake, metrics } = parseCommand(wordsOf(line), line.length, setting);
      if (command?.kind === "quit") return false;
      try {
        if (command === undefined) {
          await lookUp(state, metrics);
          complain(setting, mistake, origin);
        } else await runCommand(state, command);
      } catch (error) {
        if (error instanceof Unknown) complain(setting, error.mistake, origin);
        else if (!(error instanceof Given)) throw error;
      }
      return true;
    },
    close: () => closeLink(state),
  };
}
