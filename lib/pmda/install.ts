// What the installation of an agent changes, as texts (spec pmda.md 2, 15.3, 16): pmcd.conf gets a line
// for it, in order of domains, and the name space its names. The caller reads, locks and writes.
// Refuses words that a line of pmcd.conf cannot carry, and names that belong to another agent.
import { PcpError, PM_ERR } from "../base/mod.ts";
import {
  dynamicRootPmid,
  isDynamicRoot,
  type NamedPmid,
  type Names,
  namesFrom,
  namesText,
  type Pmid,
  pmidCluster,
  pmidDomain,
  pmIDStr,
} from "../pcp/mod.ts";
import type { RunningAgent } from "./agent.ts";

/** A line of pmcd.conf to be. */
export interface InstalledAgent {
  readonly name: string;
  readonly domain: number;
  /** How pmcd reaches it. */
  readonly transport:
    | { readonly kind: "pipe"; readonly notready: boolean }
    | { readonly kind: "inet" | "ipv6" | "unix"; readonly address: string };
  /** What pmcd runs. */
  readonly command: readonly string[];
}

/** Changed text, and what is to be said about it. */
export interface Edited {
  readonly text: string;
  readonly warnings: readonly string[];
}

/** A word as pmcd.conf has it. */
function confWord(word: string): string {
  if (/[\n\r\0]/.test(word)) throw new PcpError(PM_ERR.ARG, `pmcd.conf cannot hold "${word}"`);
  const escaped = word.replace(/["#]/g, "\\$&");
  return /[ \t]/.test(word) || word === "" ? `"${escaped}"` : escaped;
}

/** The line of an agent, as PCP's installation scripts write it. */
export function confLine({ name, domain, transport, command }: InstalledAgent): string {
  const words = command.map(confWord).join(" ");
  const reached =
    transport.kind === "pipe"
      ? `pipe\tbinary ${transport.notready ? "notready" : ""}\t\t${words}`
      : `socket\t${transport.kind} ${confWord(transport.address)}\t${words}`;
  return `${name}\t${domain}\t${reached}`;
}

const ACCESS = /^[ \t]*\[[ \t]*access[ \t]*\]/i;

/** Name and domain of a line that is an agent's. */
function agentOf(line: string): { readonly name: string; readonly domain: string } | undefined {
  const match = /^\s*([^\s#[]\S*)\s+(\d+)\s/.exec(line);
  return match === null ? undefined : { name: match[1] ?? "", domain: match[2] ?? "" };
}

/** A line with those that continue it. */
function logicalLines(text: string): string[] {
  const lines: string[] = [];
  let open = false;
  for (const line of text.split("\n")) {
    if (open) lines.push(`${lines.pop() ?? ""}\n${line}`);
    else lines.push(line);
    open = line.endsWith("\\");
  }
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Why a line has to go: the agent itself, or one that has its name or its domain. */
function clashOf(
  path: string,
  line: string,
  name: string,
  domain: number,
): { readonly warning: string | undefined } | undefined {
  const agent = agentOf(line);
  if (agent === undefined) return undefined;
  const sameName = agent.name === name;
  const sameDomain = Number(agent.domain) === domain;
  if (sameName && sameDomain) return { warning: undefined };
  if (sameName)
    return {
      warning: `Warning: ${path}: culling entry with same PMDA name (${name}) but different domain (${agent.domain} not ${domain})`,
    };
  if (sameDomain)
    return {
      warning: `Warning: ${path}: culling entry with same PMDA domain (${domain}) but different name (${agent.name} not ${name})`,
    };
  return undefined;
}

/** pmcd.conf in its parts, without the lines of an agent. */
function partsOf(path: string, text: string, name: string, domain: number) {
  const lines = logicalLines(text);
  const found = lines.findIndex((line) => ACCESS.test(line));
  const at = found < 0 ? lines.length : found;
  const warnings: string[] = [];
  const kept = lines.slice(0, at).filter((line) => {
    const clash = clashOf(path, line, name, domain);
    if (clash?.warning !== undefined) warnings.push(clash.warning);
    return clash === undefined;
  });
  return { kept, access: lines.slice(at), warnings, culled: kept.length < at };
}

/** pmcd.conf without an agent: its lines, and those with its name or its domain. */
export function confWithout(path: string, text: string, name: string, domain: number): Edited {
  const { kept, access, warnings, culled } = partsOf(path, text, name, domain);
  return { text: culled ? `${[...kept, ...access].join("\n")}\n` : text, warnings };
}

/** pmcd.conf with an agent: agents by domain, [access] and what follows it at the end. */
export function confWith(path: string, text: string, agent: InstalledAgent): Edited {
  const { kept, access, warnings } = partsOf(path, text, agent.name, agent.domain);
  const lines = kept.filter((line) => line.trim() !== "");
  const domainOf = (line: string): number => Number(agentOf(line)?.domain ?? -1);
  const agents = [...lines.filter((line) => agentOf(line) !== undefined), confLine(agent)];
  const comments = lines.filter((line) => agentOf(line) === undefined);
  const sorted = agents.toSorted((a, b) => domainOf(a) - domainOf(b));
  const all = [...comments, ...sorted, "", ...access];
  return { text: `${all.join("\n").trimEnd()}\n`, warnings };
}

const domainOfName = (pmid: Pmid): number =>
  isDynamicRoot(pmid) ? pmidCluster(pmid) : pmidDomain(pmid);

/** Takes all names of a domain out of a tree; which these were. */
export function dropDomain(names: Names, domain: number): readonly NamedPmid[] {
  const gone = [...names.traverse()].filter(({ pmid }) => domainOfName(pmid) === domain);
  for (const { name } of gone) names.remove(name);
  return gone;
}

/** The names of an agent: its metrics, and its dynamic roots. */
export const agentNames = ({ leaves, dynamicRoots, domain }: RunningAgent): Names =>
  namesFrom([...leaves, ...dynamicRoots.map((name) => ({ name, pmid: dynamicRootPmid(domain) }))]);

/** Puts an agent's names into a tree, in place of those of its domain. Throws PM_ERR_PMNS. */
export function addDomain(names: Names, own: Names, domain: number): void {
  dropDomain(names, domain);
  for (const { name, pmid } of own.traverse()) {
    const other = names.find(name)?.pmid;
    if (other !== undefined && other !== pmid)
      throw new PcpError(
        PM_ERR.PMNS,
        `metric name "${name}" is ${pmIDStr(other)}, of another agent`,
      );
    names.add(name, pmid);
  }
}

/** The file of an agent's own names, as pmnsadd takes it: one subtree, or several below root. */
export function subtreeText(own: Names): string {
  const text = namesText(own);
  return own.root.children.size === 1 ? text.slice(text.indexOf("}\n\n") + 3) : text;
}
