// Host specifications: `host:port@proxy?attributes` and `unix:path` texts of -h and of web requests
// (spec pdu.md 7), parsed with PCP's messages and printed in its canonical form. Refuses what PCP
// refuses, and texts over MAX_HOSTSPEC_LENGTH. Values are text: bytes that are not UTF-8 become
// U+FFFD.
import { MAX_HOSTSPEC_LENGTH, PM_ERR, PcpError, utf8, utf8Text } from "../base/mod.ts";

/** Attribute codes by PCP's names without the PCP_ATTR_ prefix (spec pdu.md 3.13). */
export const PCP_ATTR = {
  NONE: 0,
  PROTOCOL: 1,
  SECURE: 2,
  COMPRESS: 3,
  USERAUTH: 4,
  USERNAME: 5,
  AUTHNAME: 6,
  PASSWORD: 7,
  METHOD: 8,
  REALM: 9,
  UNIXSOCK: 10,
  USERID: 11,
  GROUPID: 12,
  LOCAL: 13,
  PROCESSID: 14,
  CONTAINER: 15,
  EXCLUSIVE: 16,
} as const;
/** One of PCP_ATTR. */
export type PcpAttr = (typeof PCP_ATTR)[keyof typeof PCP_ATTR];

/** A host and the ports to be tried in order; none given means the default list. */
export interface HostPorts {
  /** Name or address without brackets; the absolute path when the specification is a socket. */
  readonly name: string;
  readonly ports: readonly number[];
}

/** An attribute; a null value was given without `=`. */
export interface HostAttribute {
  readonly code: PcpAttr;
  readonly value: string | null;
}

/** A parsed specification. */
export interface HostSpec {
  /** `unix` and `local` have one host, whose name is the path of the socket. */
  readonly transport: "tcp" | "unix" | "local";
  /** pmcd's host, then the proxy's; further ones are never used. May be empty. */
  readonly hosts: readonly HostPorts[];
  /** In the order given, the scheme's own first. hostAttribute finds the one in force. */
  readonly attributes: readonly HostAttribute[];
}

const EINVAL = -22;

const SCHEMES = [
  ["pcp:", "tcp", { code: PCP_ATTR.PROTOCOL, value: "pcp" }],
  ["pcps:", "tcp", { code: PCP_ATTR.PROTOCOL, value: "pcps" }],
  ["local:", "local", { code: PCP_ATTR.LOCAL, value: "local" }],
  ["unix:", "unix", { code: PCP_ATTR.UNIXSOCK, value: "unix" }],
] as const;

const ATTRIBUTE_NAMES: ReadonlyMap<string, PcpAttr> = new Map([
  ["secure", PCP_ATTR.SECURE],
  ["compress", PCP_ATTR.COMPRESS],
  ["userauth", PCP_ATTR.USERAUTH],
  ["authorise", PCP_ATTR.USERAUTH],
  ["authorize", PCP_ATTR.USERAUTH],
  ["user", PCP_ATTR.USERNAME],
  ["username", PCP_ATTR.USERNAME],
  ["pass", PCP_ATTR.PASSWORD],
  ["password", PCP_ATTR.PASSWORD],
  ["authmeth", PCP_ATTR.METHOD],
  ["method", PCP_ATTR.METHOD],
  ["realm", PCP_ATTR.REALM],
  ["unix", PCP_ATTR.UNIXSOCK],
  ["unixsock", PCP_ATTR.UNIXSOCK],
  ["uid", PCP_ATTR.USERID],
  ["userid", PCP_ATTR.USERID],
  ["gid", PCP_ATTR.GROUPID],
  ["groupid", PCP_ATTR.GROUPID],
  ["local", PCP_ATTR.LOCAL],
  ["pid", PCP_ATTR.PROCESSID],
  ["processid", PCP_ATTR.PROCESSID],
  ["container", PCP_ATTR.CONTAINER],
  ["exclusive", PCP_ATTR.EXCLUSIVE],
] as const);

// Printed names; those without "=" never show their value.
const CANONICAL: ReadonlyMap<PcpAttr, string> = new Map([
  [PCP_ATTR.SECURE, "secure="],
  [PCP_ATTR.COMPRESS, "compress"],
  [PCP_ATTR.USERAUTH, "userauth"],
  [PCP_ATTR.USERNAME, "username="],
  [PCP_ATTR.PASSWORD, "password="],
  [PCP_ATTR.METHOD, "method="],
  [PCP_ATTR.REALM, "realm="],
  [PCP_ATTR.USERID, "userid="],
  [PCP_ATTR.GROUPID, "groupid="],
  [PCP_ATTR.PROCESSID, "processid="],
  [PCP_ATTR.CONTAINER, "container="],
  [PCP_ATTR.EXCLUSIVE, "exclusive"],
] as const);

/** Where pmcd's socket is when a specification names none: PMCD_SOCKET, else the run directory. */
export const defaultSocketPath = (env: Readonly<Record<string, string | undefined>>): string =>
  env["PMCD_SOCKET"] ?? `${env["PCP_RUN_DIR"] ?? "/run/pcp"}/pmcd.socket`;

/** PCP's message of two lines: the text, and a caret under the offending place with the reason. */
function refuse(text: string, column: number, reason: string): never {
  const blanks = text.slice(0, column).replace(/[!-~]/g, " ");
  throw new PcpError(PM_ERR.GENERIC, `${text}\n${blanks}^ -- ${reason}\n`);
}

const isEnd = (text: string, at: number, ends: string): boolean =>
  at >= text.length || ends.includes(text.charAt(at));

/** Undoes %XX and +; text after an encoded NUL is lost, as in C. */
function urlDecode(value: string): string {
  if (/%(?![0-9A-Fa-f]{2})/.test(value)) {
    throw new PcpError(EINVAL, `bad %-escape in host specification attribute value "${value}"`);
  }
  const plain = value.replaceAll("+", " ");
  const encoded = utf8(plain);
  const decoded = new Uint8Array(encoded.length);
  let size = 0;
  for (let i = 0; i < encoded.length; i++) {
    let byte = encoded[i] as number;
    if (byte === 0x25) {
      byte = Number.parseInt(String.fromCharCode(encoded[i + 1] ?? 0, encoded[i + 2] ?? 0), 16);
      i += 2;
    }
    if (byte === 0) break;
    decoded[size++] = byte;
  }
  return utf8Text(decoded.subarray(0, size));
}

const urlEncode = (value: string): string => {
  let out = "";
  for (const byte of utf8(value)) {
    const char = String.fromCharCode(byte);
    if (/[A-Za-z0-9*\-._]/.test(char)) out += char;
    else if (byte === 0x20) out += "+";
    else out += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
};

function parseAttributes(text: string, into: HostAttribute[]): void {
  const slash = text.indexOf("/");
  const list = slash < 0 ? text : text.slice(0, slash);
  for (const item of list.split("&")) {
    const equals = item.lastIndexOf("=");
    const code = ATTRIBUTE_NAMES.get(equals < 0 ? item : item.slice(0, equals));
    if (code === undefined) continue;
    into.push({ code, value: equals < 0 ? null : urlDecode(item.slice(equals + 1)) });
  }
}

/** Reads `host[:ports]` at `at`; returns the host and where reading ended. */
function parseHost(text: string, at: number, first: boolean): [HostPorts, number] {
  let end: number;
  let name: string;
  if (text.charAt(at) === "[") {
    // The first character inside is part of the name even if it is a bracket.
    end = text.indexOf("]", at + 2);
    if (end < 0 && text.startsWith("[]", at)) end = at + 1;
    if (end < 0) refuse(text, text.length, "missing closing ']' for host spec");
    name = end === at + 1 ? "]" : text.slice(at + 1, end);
    end++;
    if (!isEnd(text, end, ":@?/")) refuse(text, end, "extra characters after host spec");
  } else {
    // After "@" the first character belongs to the host whatever it is.
    end = first || at >= text.length ? at : at + 1;
    while (!isEnd(text, end, ":@?/")) end++;
    name = text.slice(at, end);
  }
  const ports: number[] = [];
  if (text.charAt(end) !== ":") return [{ name, ports }, end];
  do {
    end++;
    if (isEnd(text, end, ",@?/")) refuse(text, end, "missing port");
    let port = 0;
    for (; !isEnd(text, end, ",@?/"); end++) {
      const digit = text.charCodeAt(end) - 0x30;
      if (!(digit >= 0 && digit <= 9)) refuse(text, end, "non-numeric port");
      port = (Math.imul(port, 10) + digit) | 0;
    }
    ports.push(port);
  } while (text.charAt(end) === ",");
  return [{ name, ports }, end];
}

/**
 * Parses a host specification (spec pdu.md 7.1). `defaultSocket` is the path for `unix:` and
 * `local:` without one. Throws PcpError: PM_ERR_GENERIC with the message of two lines, or -EINVAL
 * for a bad %-escape (hostSpecComplaint gives what PCP's tools print in either case).
 */
export function parseHostSpec(
  text: string,
  defaultSocket: string = defaultSocketPath(process.env),
): HostSpec {
  if (text.length > MAX_HOSTSPEC_LENGTH) {
    throw new PcpError(
      PM_ERR.GENERIC,
      `host specification of ${text.length} characters, ${MAX_HOSTSPEC_LENGTH} allowed\n`,
    );
  }
  const attributes: HostAttribute[] = [];
  const hosts: HostPorts[] = [];
  let transport: HostSpec["transport"] = "tcp";
  let at = 0;
  for (const [prefix, kind, attribute] of SCHEMES) {
    if (!text.startsWith(prefix)) continue;
    transport = kind;
    attributes.push(attribute);
    at = prefix.length;
    while (text.charAt(at) === "/") at++;
  }
  if (transport !== "tcp") {
    const start = at;
    while (!isEnd(text, at, ":?")) at++;
    if (text.charAt(at) === ":") refuse(text, at, "unexpected terminal character");
    hosts.push({ name: at === start ? defaultSocket : `/${text.slice(start, at)}`, ports: [] });
  } else if (!isEnd(text, at, "?/")) {
    if (text.charAt(at) === ":" || text.charAt(at) === "@") {
      refuse(text, at, "unexpected terminal character");
    }
    for (let more = true; more;) {
      const [host, end] = parseHost(text, at, hosts.length === 0);
      hosts.push(host);
      at = end;
      more = text.charAt(at) === "@";
      if (more) at++;
    }
  }
  if (text.charAt(at) === "?") parseAttributes(text.slice(at + 1), attributes);
  return { transport, hosts, attributes };
}

/** The value in force of an attribute: the last one given; undefined when there is none. */
export function hostAttribute(spec: HostSpec, code: PcpAttr): string | null | undefined {
  return spec.attributes.findLast((attribute) => attribute.code === code)?.value;
}

/**
 * What PCP's tools print after their name for a refused specification: `ROUTINE: bad host
 * specification`, a newline and the message, `(null)` where PCP has none.
 */
export function hostSpecComplaint(error: PcpError, routine = "pmNewContext"): string {
  const message = error.code === PM_ERR.GENERIC ? error.message : "(null)";
  return `${routine}: bad host specification\n${message}`;
}

/**
 * The order in which PCP prints attributes: that of a hash table of 1, then 6, 14, 30 and 62
 * chains, newest first within a chain, chains turned round whenever the table grows.
 */
function canonicalOrder(attributes: readonly HostAttribute[]): HostAttribute[] {
  let chains: HostAttribute[][] = [[]];
  const sizes = [6, 14, 30, 62];
  attributes.forEach((attribute, index) => {
    const count = index + 1;
    const grown = Math.trunc(count / 4) > chains.length ? sizes.shift() : undefined;
    if (grown !== undefined) {
      const wider: HostAttribute[][] = Array.from({ length: grown }, () => []);
      for (const old of chains.toReversed().flat()) wider[old.code % grown]?.unshift(old);
      chains = wider;
    }
    chains[attribute.code % chains.length]?.unshift(attribute);
  });
  return chains.flat();
}

/** The canonical text of a specification (spec pdu.md 7.5). */
export function unparseHostSpec(spec: HostSpec): string {
  const protocol = hostAttribute(spec, PCP_ATTR.PROTOCOL);
  let out = "";
  if (typeof protocol === "string") out = `${protocol}://`;
  else if (hostAttribute(spec, PCP_ATTR.UNIXSOCK) !== undefined) out = "unix:/";
  else if (hostAttribute(spec, PCP_ATTR.LOCAL) !== undefined) out = "local:/";
  out += spec.hosts
    .map(({ name, ports }) => {
      const host = name.includes(":") ? `[${name}]` : name;
      return ports.length === 0 ? host : `${host}:${ports.map((port) => port >>> 0).join(",")}`;
    })
    .join("@");
  const list: string[] = [];
  for (const { code, value } of canonicalOrder(spec.attributes)) {
    const name = CANONICAL.get(code);
    if (name === undefined) continue;
    list.push(name.endsWith("=") ? name + urlEncode(value ?? "") : name);
  }
  return list.length === 0 ? out : `${out}?${list.join("&")}`;
}
