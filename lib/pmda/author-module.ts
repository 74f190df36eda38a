// Loads an agent out of a TypeScript file of its author, which imports "pcpbox": a module that is
// part of this program. Refuses files that do not load and exports that are no agent, each with one
// line that names the author's file, and where it can the line in it.
import { existsSync, realpathSync } from "node:fs";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { PcpError, PM_ERR } from "../base/mod.ts";
import * as author from "./author.ts";
import type { AgentDefinition, AgentFactory } from "./define.ts";
import { checkDefinition } from "./author-check.ts";
import { createTimeLimit } from "./limit.ts";

/** An agent of a module. */
export interface LoadedAgent {
  readonly name: string;
  /** Undefined when the module leaves it to the command line. */
  readonly domain: number | undefined;
  readonly summary: string;
  readonly factory: AgentFactory;
  /** The file, without links. */
  readonly path: string;
}

/** What the bundler and the resolver say about a file. */
interface BuildFault {
  readonly message: string;
  readonly position?: {
    readonly file: string;
    readonly line: number;
    readonly column: number;
  } | null;
}

/** Milliseconds for a module that waits for something before it is there. */
const LOAD_TIME = 10_000;

let known = false;

/** Makes "pcpbox" a module that can be imported. */
function publishModule(): void {
  if (known) return;
  known = true;
  Bun.plugin({
    name: "pcpbox",
    setup: (build) => {
      build.module("pcpbox", () => ({ exports: { ...author }, loader: "object" }));
    },
  });
}

/** Whether this names a file of an author rather than an agent of ours. */
export const isModulePath = (text: string): boolean =>
  text.includes("/") || /\.[cm]?[jt]s$/.test(text);

/** `file:///a/b.ts:3:7` of a stack that lies in the file, as `LINE:COLUMN`. */
function placeIn(path: string, stack: string): string | undefined {
  for (const line of stack.split("\n")) {
    const at = line.lastIndexOf(path);
    const match = at < 0 ? null : /^:(\d+)(?::(\d+))?/.exec(line.slice(at + path.length));
    if (match !== null) return match[2] === undefined ? match[1] : `${match[1]}:${match[2]}`;
  }
  return undefined;
}

const isBuildFault = (error: unknown): error is BuildFault =>
  typeof error === "object" && error !== null && "position" in error && "message" in error;

/** One line for what went wrong in a module: its file, the place, the reason. */
export function moduleFault(path: string, error: unknown): string {
  const [first] = error instanceof AggregateError ? error.errors : [error];
  if (isBuildFault(first) && first.position) {
    const { file, line, column } = first.position;
    return `${file === "" ? path : file}:${line}:${column}: ${first.message}`;
  }
  if (!(first instanceof Error)) return `${path}: ${String(first)}`;
  const place = placeIn(path, first.stack ?? "");
  const kind = first instanceof PcpError || first.name === "Error" ? "" : `${first.name}: `;
  return `${place === undefined ? path : `${path}:${place}`}: ${kind}${first.message}`;
}

const fault = (text: string, cause?: unknown): PcpError =>
  new PcpError(PM_ERR.GENERIC, text, cause === undefined ? undefined : { cause });

/** `my-agent.ts` is called my_agent. */
const nameOfFile = (path: string): string =>
  basename(path)
    .replace(/\.[cm]?[jt]s$/, "")
    .replace(/^pmda_?/, "")
    .replace(/\W/g, "_");

/** Runs the author's create, with its faults told as those of the file. */
const guarded =
  (path: string, name: string, create: author.AuthorAgent["create"]): AgentFactory =>
  async (setting) => {
    let made: unknown;
    try {
      made = await create(setting);
    } catch (error) {
      throw fault(moduleFault(path, error), error);
    }
    const problem = checkDefinition(made);
    if (problem !== undefined) throw fault(`${path}: ${problem}`);
    return { ...(made as author.AuthorDefinition), name } satisfies AgentDefinition;
  };

function agentOf(path: string, exported: unknown): LoadedAgent {
  const fallback = nameOfFile(path);
  if (typeof exported === "function") {
    if (!author.AGENT_NAME.test(fallback)) throw fault(`${path}: no name for an agent`);
    const create = exported as author.AuthorAgent["create"];
    const factory = guarded(path, fallback, create);
    return { name: fallback, domain: undefined, summary: "", factory, path };
  }
  if (typeof exported !== "object" || exported === null)
    throw fault(
      `${path}: the default export is ${exported === undefined ? "missing" : typeof exported}, an agent made by defineAgent wanted`,
    );
  try {
    const agent = author.defineAgent(exported as author.AuthorAgent);
    const { name, domain, summary = "", create } = agent;
    return { name, domain, summary: String(summary), factory: guarded(path, name, create), path };
  } catch (error) {
    throw fault(moduleFault(path, error), error);
  }
}

/**
 * Loads the agent of a file. Rejects with PcpError PM_ERR_GENERIC whose message is one line:
 * `FILE:LINE:COLUMN: REASON`.
 */
export async function loadAuthorModule(file: string): Promise<LoadedAgent> {
  const given = resolve(file);
  if (!existsSync(given)) throw fault(`${file}: No such file or directory`);
  const path = realpathSync(given);
  publishModule();
  let loaded: unknown;
  const limit = createTimeLimit(LOAD_TIME);
  try {
    loaded = await limit.wait(import(pathToFileURL(path).href));
  } catch (error) {
    throw fault(moduleFault(path, error), error);
  } finally {
    limit.stop();
  }
  const { default: exported } = loaded as { readonly default?: unknown };
  return agentOf(path, exported);
}
