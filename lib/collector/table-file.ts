// pmcd.conf: the lines about agents, and where the rules of access begin (spec pmda.md 2); and the few
// of them that a local context takes from it, read in its own loose way (spec local.md 2). The strict
// reader reports every fault with its line, in pmcd's words; nothing is started or looked up here.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { MAX_DOMAIN } from "./specs.ts";

/** How an agent is reached. */
export type AgentKind =
  | { readonly type: "dso"; readonly init: string; readonly path: string }
  | { readonly type: "pipe"; readonly notReady: boolean; readonly command: readonly string[] }
  | {
      readonly type: "socket";
      readonly family: "inet" | "ipv6" | "unix";
      /** A port, the name of a service, or the path of a unix socket. */
      readonly address: string;
      /** Empty: nothing is started, only connected to. */
      readonly command: readonly string[];
    };

/** One line about an agent. */
export interface AgentLine {
  /** From 1. */
  readonly line: number;
  readonly label: string;
  readonly domain: number;
  readonly kind: AgentKind;
}

/** A pmcd.conf. */
export interface PmcdConf {
  readonly agents: readonly AgentLine[];
  /** What comes after `[access]`, and the line of its first character. */
  readonly access: { readonly text: string; readonly firstLine: number } | undefined;
  /** Faults in the order of their lines; any of them keeps pmcd from starting. */
  readonly problems: readonly string[];
}

/** Larger is no pmcd.conf. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Thrown where a line cannot go on. */
class Fault extends Error {}

interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

/** One line of words; it may span several of the text. */
interface Line {
  readonly number: number;
  readonly words: readonly Word[];
  /** Offset after each word. */
  readonly ends: readonly number[];
  readonly fault: string | undefined;
}

/** Cuts the text into lines of words. */
function* linesOf(text: string): Generator<Line> {
  let at = 0;
  let number = 1;
  while (at < text.length) {
    const words: Word[] = [];
    const ends: number[] = [];
    let fault: string | undefined;
    const first = number;
    /** The word at `at`, up to a blank; a quoted one up to its other quote. */
    const word = (): void => {
      const quoted = text[at] === '"';
      if (quoted) at += 1;
      let found = "";
      for (; at < text.length; at++) {
        const char = text.charAt(at);
        if (char === "\\" && text[at + 1] === "\n") {
          // Between words it counts as a blank, which is seen to below.
          if (!quoted) break;
          at += 1;
          number += 1;
          continue;
        }
        if (char === "\\" && (text[at + 1] === "#" || text[at + 1] === '"')) {
          at += 1;
          found += text.charAt(at);
        } else if (char === "\n" || (quoted ? char === '"' : /[\s#]/.test(char))) break;
        else found += char;
      }
      if (quoted && text[at] === '"') at += 1;
      else if (quoted) fault = "unterminated quoted string";
      if (!quoted && found === "") return;
      words.push({ text: found, quoted });
      ends.push(at);
    };
    while (at < text.length && text[at] !== "\n") {
      const char = text.charAt(at);
      if (char === "#") {
        const end = text.indexOf("\n", at);
        at = end < 0 ? text.length : end;
      } else if (char === "\\" && text[at + 1] === "\n") {
        at += 2;
        number += 1;
      } else if (/\s/.test(char)) at += 1;
      else word();
    }
    yield { number: first, words, ends, fault };
    at += 1;
    number += 1;
  }
}

const isWord = (word: Word | undefined, text: string): boolean =>
  word?.quoted === false && word.text.toLowerCase() === text;

const textsOf = (words: readonly Word[]): string[] => words.map(({ text }) => text);

function dsoKind([init, path, more]: readonly Word[]): AgentKind {
  if (init === undefined) throw new Fault("expected DSO entry point");
  if (path === undefined) throw new Fault("expected DSO pathname");
  if (!path.text.startsWith("/")) throw new Fault(`path "${path.text}" to PMDA is not absolute`);
  if (more !== undefined) throw new Fault("too many parameters for DSO");
  return { type: "dso", init: init.text, path: path.text };
}

function pipeKind([protocol, ...rest]: readonly Word[]): AgentKind {
  if (!isWord(protocol, "binary")) throw new Fault("pipe PDU type expected (`binary')");
  const notReady = isWord(rest[0], "notready");
  const command = textsOf(notReady ? rest.slice(1) : rest);
  if (command.length === 0) throw new Fault("command to create pipe agent expected.");
  return { type: "pipe", notReady, command };
}

function socketKind([family, address, ...command]: readonly Word[]): AgentKind {
  const known = (["inet", "ipv6", "unix"] as const).find((name) => isWord(family, name));
  if (known === undefined)
    throw new Fault("expected socket address domain (`inet', `ipv6', or `unix')");
  if (address === undefined) throw new Fault("expected socket port name or number");
  return { type: "socket", family: known, address: address.text, command: textsOf(command) };
}

function agentLine({ number, words }: Line, owners: ReadonlyMap<number, string>): AgentLine {
  const [label, domainWord, type, ...rest] = words;
  const name = label?.text ?? "";
  if (domainWord === undefined || !/^\d+$/.test(domainWord.text))
    throw new Fault(`expected domain number for "${name}" agent`);
  const domain = Number(domainWord.text);
  if (domain > MAX_DOMAIN)
    throw new Fault(`Illegal domain number (${domainWord.text}) for "${name}" agent`);
  const other = owners.get(domain);
  if (other !== undefined)
    throw new Fault(`domain number for "${name}" agent clashes with "${other}" agent`);
  let kind: AgentKind;
  if (isWord(type, "dso")) kind = dsoKind(rest);
  else if (isWord(type, "pipe")) kind = pipeKind(rest);
  else if (isWord(type, "socket")) kind = socketKind(rest);
  else throw new Fault("expected `dso', `socket' or `pipe'");
  return { line: number, label: name, domain, kind };
}

/** Reads a pmcd.conf. Faults are data; throws PcpError PM_ERR_TOOBIG for text over a bound. */
export function parsePmcdConf(text: string): PmcdConf {
  if (text.length > MAX_BYTES)
    throw new PcpError(PM_ERR.TOOBIG, `pmcd.conf of ${text.length} characters`);
  const agents: AgentLine[] = [];
  const problems: string[] = [];
  const owners = new Map<number, string>();
  for (const line of linesOf(text)) {
    const { number, words, ends, fault } = line;
    if (isWord(words[0], "[access]")) {
      const rest = text.slice(ends[0]);
      return { agents, problems, access: { text: rest, firstLine: number } };
    }
    if (words.length === 0 && fault === undefined) continue;
    try {
      if (fault !== undefined) throw new Fault(fault);
      const agent = agentLine(line, owners);
      owners.set(agent.domain, agent.label);
      agents.push(agent);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      problems.push(`pmcd config[line ${number}]: Error: ${error.message}`);
    }
  }
  return { agents, problems, access: undefined };
}

/** A compiled agent as local contexts have it. */
export interface LocalDso {
  readonly domain: number;
  readonly name: string;
  readonly init: string;
}

/** Agents that have a line of another type, but are there as shared objects too. */
const KNOWN = [
  { prefix: "proc", domain: 3, file: "proc/pmda_proc.so", init: "proc_init" },
  { prefix: "linux", domain: 60, file: "linux/pmda_linux.so", init: "linux_init" },
] as const;

/**
 * The agents of a pmcd.conf that local contexts start with, in its order, as current PCP picks them:
 * nothing is checked. `folder` is PCP_PMDAS_DIR.
 */
export function localDsos(text: string, folder: string): LocalDso[] {
  const found: LocalDso[] = [];
  for (const line of text.split("\n")) {
    // Only a prefix is looked at: pmcd's own agent needs the pmcd program around it.
    if (line.startsWith("#") || line.startsWith("pmcd")) continue;
    const known = KNOWN.find(({ prefix }) => line.startsWith(prefix));
    if (known !== undefined) {
      found.push({ domain: known.domain, name: `${folder}/${known.file}`, init: known.init });
      continue;
    }
    const [, domain = "", type = "", init, path] = line.trim().split(/\s+/);
    if (!type.startsWith("dso") || init === undefined || path === undefined) continue;
    const number = Number.parseInt(domain, 10);
    if (Number.isNaN(number)) continue;
    found.push({ domain: number, name: path, init });
  }
  return found;
}
