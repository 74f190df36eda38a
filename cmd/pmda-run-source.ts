// Which agent a command line means: one of ours by name, a module of an author by its path, or a
// compiled one. Refuses names that are none with the list of those that there are.

import { basename } from "node:path";

import { nearestName, PcpError, PM_ERR } from "../lib/base/mod.ts";
import { readPcpConf } from "../lib/daemon/mod.ts";
import { type AgentFactory, BUILTIN_AGENTS, builtinAgent } from "../lib/pmda/mod.ts";
import { isModulePath, loadAuthorModule } from "../lib/pmda/mod.ts";
import type { DsoArgument } from "./options/pmda-run.ts";

/** An agent that can be run. */
export type AgentSource =
  | {
      readonly kind: "builtin" | "module";
      readonly name: string;
      /** Undefined: only -d can tell. */
      readonly domain: number | undefined;
      readonly factory: AgentFactory;
      /** How it is named on a command line, whatever the working directory. */
      readonly word: string;
    }
  | { readonly kind: "dso"; readonly name: string; readonly dso: DsoArgument };

/** Places and names that agents look for. */
const VARIABLES = [
  "PCP_LOG_DIR",
  "PCP_PMDAS_DIR",
  "PCP_RUN_DIR",
  "PCP_SYSCONF_DIR",
  "PCP_TMPFILE_DIR",
  "PCP_TMP_DIR",
  "PCP_USER",
  "PCP_VAR_DIR",
] as const;

/** The environment with PCP's places in it: as pmcd hands them on, else as pcp.conf has them. */
export function agentEnvironment(): Readonly<Record<string, string | undefined>> {
  const conf = readPcpConf(process.env);
  const places = VARIABLES.map((name) => [name, conf.get(name)] as const);
  return {
    ...Object.fromEntries(places.filter(([, value]) => value !== undefined)),
    ...process.env,
  };
}

/** What an agent is called before anything of it is loaded: by its name or its file's. */
export const agentTitle = (wanted: string): string =>
  isModulePath(wanted)
    ? basename(wanted)
        .replace(/\.[cm]?[jt]s$/, "")
        .replace(/^pmda_?/, "")
        .replace(/\W/g, "_")
    : wanted.replace(/^pmda(?=.)/, "");

function unknownAgent(wanted: string): PcpError {
  const names = BUILTIN_AGENTS.map(({ name }) => name);
  const near = nearestName(agentTitle(wanted), names);
  const lines = BUILTIN_AGENTS.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`);
  return new PcpError(
    PM_ERR.GENERIC,
    [
      `unknown agent '${wanted}'${near === undefined ? "" : `; did you mean '${near}'?`}`,
      "Agents of pcpbox:",
      ...lines,
      "A file of an agent is named with its path, such as ./weather.ts",
    ].join("\n"),
  );
}

/** `/a/pmda_sample.so` holds the agent sample. */
const nameOfDso = (path: string): string =>
  basename(path)
    .replace(/\.so$/, "")
    .replace(/^pmda_?/, "");

/** Finds and loads the agent. Throws PcpError with what is to be printed. */
export async function agentSource(
  wanted: string | undefined,
  dso: DsoArgument | undefined,
): Promise<AgentSource> {
  if (dso !== undefined) return { kind: "dso", name: nameOfDso(dso.path), dso };
  if (wanted === undefined) throw new PcpError(PM_ERR.GENERIC, "no agent named");
  if (isModulePath(wanted)) {
    const { name, domain, factory, path } = await loadAuthorModule(wanted);
    return { kind: "module", name, domain, factory, word: path };
  }
  const found = builtinAgent(agentTitle(wanted));
  if (found === undefined) throw unknownAgent(wanted);
  const { name, domain } = found;
  return { kind: "builtin", name, domain, factory: await found.load(), word: name };
}
