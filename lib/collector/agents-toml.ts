// agents.toml: the table of a collector where there is no pmcd.conf. One [[agent]] for each agent, what
// it is by one of builtin, module, dso, command or socket; and settings of the collector. Refuses what
// it does not know, each fault with file, agent and key; a fault of TOML itself with line and column.
import { basename } from "node:path";
import { parse, TomlError } from "smol-toml";
import { PcpError, PM_ERR } from "../base/mod.ts";
import type { AgentKind } from "./table-file.ts";

/** An agent of the table: of pmcd.conf's kinds, one of ours, or a module of somebody else's. */
export interface AgentSpec {
  readonly label: string;
  /** Left out: the agent's own. */
  readonly domain: number | undefined;
  readonly kind:
    | AgentKind
    | { readonly type: "builtin"; readonly name: string; readonly args: readonly string[] }
    | { readonly type: "module"; readonly path: string; readonly args: readonly string[] };
}

/** A table with its settings. */
export interface AgentsToml {
  readonly agents: readonly AgentSpec[];
  /** Statements as in the [access] part of pmcd.conf. */
  readonly access: string | undefined;
  /** Seconds that agents have for an answer. */
  readonly timeout: number | undefined;
}

const MAX_AGENTS = 511;
const MAX_DOMAIN = 510;

/** Keys of an agent, and those of them that say what it is. */
const WHAT = ["builtin", "module", "dso", "command", "socket"] as const;
type What = (typeof WHAT)[number];
const KEYS: ReadonlySet<string> = new Set([...WHAT, "name", "domain", "args", "init", "notready"]);
const TOP: ReadonlySet<string> = new Set(["agent", "access", "timeout"]);

type Table = Readonly<Record<string, unknown>>;
const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads one agent. `fail` names the agent. */
function agentOf(table: Table, fail: (reason: string) => never): AgentSpec {
  for (const key of Object.keys(table)) if (!KEYS.has(key)) fail(`key "${key}" is not known`);
  const text = (key: string): string | undefined => {
    const value = table[key];
    if (value !== undefined && (typeof value !== "string" || value === ""))
      fail(`${key} must be a text`);
    return typeof value === "string" ? value : undefined;
  };
  const words = (key: string): readonly string[] => {
    const value = table[key] ?? [];
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    const strings = list.filter((each) => typeof each === "string");
    if (!Array.isArray(value) || strings.length !== list.length)
      fail(`${key} must be a list of texts`);
    return strings;
  };
  const given = WHAT.filter((key) => table[key] !== undefined);
  const [what] = given;
  if (what === undefined) return fail(`one of ${WHAT.join(", ")} is wanted`);
  // A daemon behind a socket may have to be started.
  if (given.length > 1 && given.join() !== "command,socket")
    return fail(`${given.join(" and ")} do not go together`);
  const { domain } = table;
  const isDomain = Number.isInteger(domain) && Number(domain) >= 0 && Number(domain) <= MAX_DOMAIN;
  if (domain !== undefined && !isDomain) fail(`domain must be a number from 0 to ${MAX_DOMAIN}`);
  const notReady = table["notready"] ?? false;
  if (typeof notReady !== "boolean") fail("notready must be true or false");
  const kind = kindOf(given.includes("socket") ? "socket" : what, {
    text,
    words,
    notReady: notReady === true,
    fail,
  });
  if (domain === undefined && kind.type !== "builtin" && kind.type !== "module")
    fail("domain is wanted");
  return {
    label: text("name") ?? labelOf(kind),
    domain: isDomain ? Number(domain) : undefined,
    kind,
  };
}

/** What an agent without a name is called. */
function labelOf(kind: AgentSpec["kind"]): string {
  if (kind.type === "builtin") return kind.name;
  if (kind.type === "module" || kind.type === "dso") return basename(kind.path);
  return basename(kind.command[0] ?? "agent");
}

interface Fields {
  readonly text: (key: string) => string | undefined;
  readonly words: (key: string) => readonly string[];
  readonly notReady: boolean;
  readonly fail: (reason: string) => never;
}

function kindOf(what: What, { text, words, notReady, fail }: Fields): AgentSpec["kind"] {
  const args = words("args");
  switch (what) {
    case "builtin":
      return { type: "builtin", name: text(what) ?? "", args };
    case "module":
      return { type: "module", path: text(what) ?? "", args };
    case "dso":
      return { type: "dso", path: text(what) ?? "", init: text("init") ?? fail("init is wanted") };
    case "command": {
      const command = words(what);
      if (command.length === 0) fail("command must not be empty");
      return { type: "pipe", notReady, command: [...command, ...args] };
    }
    case "socket": {
      const [, family, address = ""] = /^(inet|ipv6|unix):(.+)$/.exec(text(what) ?? "") ?? [];
      if (family !== "inet" && family !== "ipv6" && family !== "unix")
        return fail('socket must be "inet:PORT", "ipv6:PORT" or "unix:PATH"');
      return { type: "socket", family, address, command: [...words("command"), ...args] };
    }
  }
}

/** Reads the text of a file. Throws PcpError PM_ERR_GENERIC with every fault, one a line. */
export function parseAgentsToml(text: string, file: string): AgentsToml {
  const faults: string[] = [];
  let top: Table;
  try {
    top = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ""] = error.message.split("\n");
    throw new PcpError(
      PM_ERR.GENERIC,
      `${file}:${error.line}:${error.column}: ${first.replace(/^Invalid TOML document: /, "")}`,
      { cause: error },
    );
  }
  for (const key of Object.keys(top))
    if (!TOP.has(key)) faults.push(`${file}: key "${key}" is not known`);
  const list = top["agent"] ?? [];
  if (!Array.isArray(list)) faults.push(`${file}: agents are written as [[agent]]`);
  const tables: readonly unknown[] = Array.isArray(list) ? list : [];
  if (tables.length > MAX_AGENTS) faults.push(`${file}: more than ${MAX_AGENTS} agents`);
  const agents: AgentSpec[] = [];
  const owners = new Map<number, string>();
  tables.slice(0, MAX_AGENTS).forEach((table, index) => {
    const name = isTable(table) && typeof table["name"] === "string" ? ` ("${table["name"]}")` : "";
    const place = `${file}: agent ${index + 1}${name}`;
    try {
      const agent = agentOf(isTable(table) ? table : {}, (reason) => {
        throw new PcpError(PM_ERR.GENERIC, `${place}: ${reason}`);
      });
      const owner = agent.domain === undefined ? undefined : owners.get(agent.domain);
      if (owner !== undefined)
        faults.push(`${place}: domain ${agent.domain} is that of "${owner}" already`);
      if (agent.domain !== undefined) owners.set(agent.domain, agent.label);
      agents.push(agent);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      faults.push(error.message);
    }
  });
  const { access, timeout } = top;
  if (access !== undefined && typeof access !== "string")
    faults.push(`${file}: access must be a text of statements`);
  if (timeout !== undefined && (typeof timeout !== "number" || timeout < 0 || timeout > 3600))
    faults.push(`${file}: timeout must be a number of seconds from 0 to 3600`);
  if (faults.length > 0) throw new PcpError(PM_ERR.GENERIC, faults.join("\n"));
  return {
    agents,
    access: typeof access === "string" ? access : undefined,
    timeout: typeof timeout === "number" ? timeout : undefined,
  };
}
