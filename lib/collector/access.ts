// Who may ask a collector, and for what (pmcd(1), access control; spec pdu.md 10.7): the rules as they
// stand in the [access] part of pmcd.conf, and what they say about a client. Refuses rules that cannot
// be read, hosts with misplaced wildcards, and rules for the same one that contradict each other, each
// with file and line. Names of users and groups are looked up by whoever calls.
import { isIP } from "node:net";
import { PcpError, PM_ERR } from "../base/mod.ts";

/** What may be allowed or not, as bits. */
export const OPERATION = { FETCH: 1, STORE: 2, ALL: 3 } as const;

/** Where a client comes from: the unix socket, or an address without a zone. */
export type ClientHost = { readonly kind: "unix" } | { readonly kind: "inet"; address: string };

/** The account behind a client. */
export interface Account {
  readonly uid: number;
  readonly gids: readonly number[];
}

type Subject = "user" | "group" | "host";

/** One statement about one subject. */
export interface AccessRule {
  readonly subject: Subject;
  /** As written: a name, an address with or without a wildcard, `unix:`, `local:`, `*`. */
  readonly id: string;
  /** OPERATION bits that the statement speaks of, and those of them that it denies. */
  readonly speaks: number;
  readonly denies: number;
  /** Most connections at a time; 0 for no limit. */
  readonly maximum: number;
  /** Line of the file. */
  readonly line: number;
}

interface Token {
  readonly text: string;
  readonly quoted: boolean;
  readonly line: number;
}

/** Most rules of a file. */
const MAX_RULES = 10_000;

const fault = (file: string, line: number, reason: string): PcpError =>
  new PcpError(PM_ERR.GENERIC, `pmcd config[${file} line ${line}]: Error: ${reason}`);

/** Words, quoted words and delimiters; `#` starts a comment. */
function tokens(text: string, file: string, firstLine: number): Token[] {
  const found: Token[] = [];
  let line = firstLine;
  const pattern = /\n|[^\S\n]+|#[^\n]*|"([^"\n]*)("?)|[[\]{}:;,]|[^\s[\]{}:;,"#]+/g;
  for (const match of text.matchAll(pattern)) {
    const [whole, quoted, closing] = match;
    if (whole === "\n") line += 1;
    else if (quoted !== undefined) {
      if (closing === "") throw fault(file, line, "unterminated quoted string");
      found.push({ text: quoted, quoted: true, line });
    } else if (/^[^\s#]/.test(whole)) found.push({ text: whole, quoted: false, line });
  }
  return found;
}

/** Reads statements one after the other. */
function reader(list: readonly Token[], file: string, lastLine: number) {
  let at = 0;
  const peek = (): Token => list[at] ?? { text: "", quoted: false, line: lastLine };
  const is = (word: string): boolean => !peek().quoted && peek().text.toLowerCase() === word;
  return {
    is,
    peek,
    next(): Token {
      const token = peek();
      at += 1;
      return token;
    },
    accept(word: string): boolean {
      if (!is(word)) return false;
      at += 1;
      return true;
    },
    expect(word: string): void {
      if (is(word)) at += 1;
      else throw fault(file, peek().line, `'${word}' expected, found "${peek().text}"`);
    },
    get done(): boolean {
      return at >= list.length;
    },
  };
}
type TokenReader = ReturnType<typeof reader>;

const SUBJECTS: Readonly<Record<string, Subject>> = {
  user: "user",
  users: "user",
  group: "group",
  groups: "group",
  host: "host",
  hosts: "host",
};

/** One identifier of a list; those with a delimiter in them, such as addresses of IPv6, are quoted. */
function identifier(input: TokenReader, file: string): Token {
  const first = input.next();
  if (first.quoted) return first;
  if (first.text === "" || /^[[\]{};,]$/.test(first.text))
    throw fault(file, first.line, `an identifier expected, found "${first.text}"`);
  return first;
}

function operations(input: TokenReader, file: string): { bits: number; maximum: number } {
  let bits = 0;
  let maximum = 0;
  let except = false;
  do {
    const word = input.next();
    const name = word.quoted ? "" : word.text.toLowerCase();
    if (name === "fetch") bits |= OPERATION.FETCH;
    else if (name === "store") bits |= OPERATION.STORE;
    else if (name === "all") {
      bits |= OPERATION.ALL;
      if (input.accept("except")) {
        except = true;
        const left = input.next().text.toLowerCase();
        if (left === "fetch") bits &= ~OPERATION.FETCH;
        else if (left === "store") bits &= ~OPERATION.STORE;
        else throw fault(file, word.line, `operation "${left}" is not fetch or store`);
      }
    } else if (name === "maximum") {
      const count = input.next();
      maximum = /^\d{1,9}$/.test(count.text) ? Number(count.text) : 0;
      if (maximum === 0)
        throw fault(file, count.line, `maximum "${count.text}" is no number of connections`);
      if (!input.accept("connections") && !input.accept("connection"))
        throw fault(file, count.line, "'connections' expected after the number");
    } else if (except && name !== "") throw fault(file, word.line, `operation "${word.text}"`);
    else throw fault(file, word.line, `operation "${word.text}" is not fetch, store or all`);
  } while (input.accept(","));
  return { bits, maximum };
}

/** The identifiers up to the colon before the operations. */
function identifiers(input: TokenReader, file: string): Token[] {
  const found: Token[] = [];
  do found.push(identifier(input, file));
  while (input.accept(","));
  return found;
}

/** Reads the statements after `[access]`; `firstLine` is the line of the first character. */
export function parseAccess(text: string, file: string, firstLine = 1): readonly AccessRule[] {
  const input = reader(
    tokens(text, file, firstLine),
    file,
    firstLine + text.split("\n").length - 1,
  );
  const rules: AccessRule[] = [];
  while (!input.done) {
    const verb = input.next();
    const allow = verb.text.toLowerCase() === "allow";
    if (verb.quoted || (!allow && verb.text.toLowerCase() !== "disallow"))
      throw fault(file, verb.line, `'allow' or 'disallow' expected, found "${verb.text}"`);
    const named = input.peek().quoted ? undefined : SUBJECTS[input.peek().text.toLowerCase()];
    if (named !== undefined) input.next();
    const subject = named ?? "host";
    const ids = identifiers(input, file);
    input.expect(":");
    const { bits, maximum } = operations(input, file);
    if (!allow && maximum > 0)
      throw fault(file, verb.line, "a maximum of connections in a disallow statement");
    input.expect(";");
    for (const id of ids) {
      if (subject === "host") checkHostId(id.text, file, id.line);
      rules.push({
        subject,
        id: id.text,
        speaks: bits,
        denies: allow ? 0 : bits,
        maximum,
        line: id.line,
      });
      if (rules.length > MAX_RULES)
        throw fault(file, id.line, `more than ${MAX_RULES} access rules`);
    }
  }
  checkContradictions(rules, file);
  return rules;
}

const isHostId = (text: string): boolean => {
  if (text === "*" || text === ".*" || text === ":*") return true;
  if (isIP(text) !== 0 || /^(?:unix|local):\*?$/.test(text)) return true;
  const wild = /^(.*[.:])\*$/.exec(text)?.[1];
  if (wild !== undefined) return /^\d{1,3}(?:\.\d{1,3}){0,2}\.$/.test(wild) || isV6Prefix(wild);
  return !text.includes("*") && /^[\w.-]+$/.test(text);
};

const isV6Prefix = (text: string): boolean =>
  /^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6}:$/i.test(text) ||
  (text.split("::").length === 2 && /^[0-9a-f:]*:$/i.test(text) && text.split(":").length <= 8);

function checkHostId(text: string, file: string, line: number): void {
  if (!isHostId(text)) throw fault(file, line, `bad host "${text}"`);
}

/** Two statements about the same one must agree on every operation that both speak of. */
function checkContradictions(rules: readonly AccessRule[], file: string): void {
  const first = new Map<string, AccessRule>();
  for (const rule of rules) {
    const key = `${rule.subject} ${rule.id}`;
    const before = first.get(key);
    first.set(key, rule);
    const both = before === undefined ? 0 : before.speaks & rule.speaks;
    if (before !== undefined && (before.denies & both) !== (rule.denies & both))
      throw fault(
        file,
        rule.line,
        `${key} contradicts line ${before.line}: allowed in one, not in the other`,
      );
  }
}

/** What the rules make of a client; `release` ends its part in the numbers of connections. */
export interface Admission {
  /** OPERATION bits that the client may not use. */
  denied: number;
  release(): void;
}

/** The rules at work. */
export interface AccessControl {
  /** True when rules speak of users or groups: then clients without an account are refused. */
  readonly needsAccount: boolean;
  /** Throws PcpError PM_ERR_PERMISSION or PM_ERR_CONNLIMIT. */
  admitHost(host: ClientHost): Admission;
  /** Throws PcpError PM_ERR_PERMISSION or PM_ERR_CONNLIMIT. */
  admitAccount(account: Account): Admission;
}

/** What names stand for. */
export interface AccessNames {
  /** Addresses of a host; those of this machine for "localhost". Empty when it is unknown. */
  addresses(host: string): readonly string[];
  /** Undefined when it is unknown. */
  uid(user: string): number | undefined;
  gid(group: string): number | undefined;
}

/** A rule made ready: `level` 0 is exact, higher ones are wider. */
interface Entry {
  readonly rule: AccessRule;
  readonly level: number;
  readonly matches: (client: ClientHost | Account) => boolean;
  connections: number;
}

/** Eight groups of four hexadecimal digits, or the four numbers of IPv4. */
function addressParts(address: string): readonly string[] {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (isIP(plain) !== 6) return plain.split(".");
  const [head = "", tail] = plain.toLowerCase().split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(zeros).fill("0"), ...after].map((part) =>
    part.padStart(4, "0"),
  );
}

/** How many leading parts of the address an identifier fixes, and whether it fits. */
function hostMatcher(
  id: string,
  names: AccessNames,
): { level: number; of: (h: ClientHost) => boolean } {
  const isV6 = (host: ClientHost): boolean =>
    host.kind === "inet" && addressParts(host.address).length === 8;
  if (id === "*") return { level: 100, of: () => true };
  if (id === ".*") return { level: 99, of: (host) => host.kind === "inet" && !isV6(host) };
  if (id === ":*") return { level: 99, of: isV6 };
  if (/^unix:\*?$/.test(id)) return { level: 0, of: (host) => host.kind === "unix" };
  const wild = id.startsWith("local:") ? undefined : /^(.*)[.:]\*$/.exec(id)?.[1];
  if (wild !== undefined && wild.includes("::")) {
    const fixed = addressParts(`${wild.replace(/:$/, "")}:0`.replace(":::", "::")).slice(0, 7);
    return { level: 1, of: startsWith(fixed, 8) };
  }
  if (wild !== undefined) {
    const v6 = id.endsWith(":*");
    const parts = wild.split(v6 ? ":" : ".").map((part) => (v6 ? part.padStart(4, "0") : part));
    const size = v6 ? 8 : 4;
    return { level: size - parts.length, of: startsWith(parts, size) };
  }
  const local = /^local:\*?$/.test(id);
  const known = isIP(id) === 0 ? names.addresses(local ? "localhost" : id) : [id];
  const wanted = new Set(known.map((address) => addressParts(address).join(" ")));
  return {
    level: 0,
    of: (host) =>
      host.kind === "unix" ? id === "local:" : wanted.has(addressParts(host.address).join(" ")),
  };
}

const startsWith =
  (fixed: readonly string[], size: number) =>
  (host: ClientHost): boolean => {
    if (host.kind !== "inet") return false;
    const parts = addressParts(host.address);
    return parts.length === size && fixed.every((part, at) => parts[at] === part);
  };

function hostEntry(rule: AccessRule, names: AccessNames): Entry {
  const { level, of } = hostMatcher(rule.id, names);
  return { rule, level, matches: (client) => "kind" in client && of(client), connections: 0 };
}

function accountEntry(rule: AccessRule, names: AccessNames): Entry {
  const everyone = rule.id === "*";
  const number =
    rule.subject === "user" ? names.uid(rule.id) : everyone ? undefined : names.gid(rule.id);
  return {
    rule,
    level: everyone ? 1 : 0,
    matches(client) {
      if ("kind" in client) return false;
      if (everyone) return true;
      if (number === undefined) return false;
      return rule.subject === "user" ? client.uid === number : client.gids.includes(number);
    },
    connections: 0,
  };
}

/** The most specific statement about each operation decides, and the most specific limit counts. */
function judge(entries: readonly Entry[], client: ClientHost | Account): Admission {
  const matching = entries.filter((entry) => entry.matches(client));
  let spoken = 0;
  let denied = 0;
  for (const { rule } of matching) {
    denied |= rule.denies & ~spoken;
    spoken |= rule.speaks;
  }
  if (denied === OPERATION.ALL) throw new PcpError(PM_ERR.PERMISSION);
  const limiting = matching.find((entry) => entry.rule.maximum > 0);
  if (limiting !== undefined && limiting.connections >= limiting.rule.maximum)
    throw new PcpError(PM_ERR.CONNLIMIT);
  const counted = matching.filter((entry) => entry.rule.maximum > 0);
  for (const entry of counted) entry.connections += 1;
  let held = true;
  return {
    denied,
    release() {
      if (!held) return;
      held = false;
      for (const entry of counted) entry.connections -= 1;
    },
  };
}

/** Rules made ready to judge clients; without rules everybody may do everything. */
export function createAccessControl(
  rules: readonly AccessRule[],
  names: AccessNames,
): AccessControl {
  const byLevel = (a: Entry, b: Entry): number => a.level - b.level;
  const hosts = rules
    .filter(({ subject }) => subject === "host")
    .map((rule) => hostEntry(rule, names))
    .toSorted(byLevel);
  const accounts = rules
    .filter(({ subject }) => subject !== "host")
    .map((rule) => accountEntry(rule, names))
    .toSorted(byLevel);
  return {
    needsAccount: accounts.length > 0,
    admitHost: (host) => judge(hosts, host),
    admitAccount(account) {
      const users = accounts.filter(({ rule }) => rule.subject === "user");
      const groups = accounts.filter(({ rule }) => rule.subject === "group");
      const user = judge(users, account);
      try {
        const group = judge(groups, account);
        const denied = user.denied | group.denied;
        if (denied === OPERATION.ALL) {
          group.release();
          throw new PcpError(PM_ERR.PERMISSION);
        }
        return {
          denied,
          release() {
            user.release();
            group.release();
          },
        };
      } catch (error) {
        user.release();
        throw error;
      }
    },
  };
}
