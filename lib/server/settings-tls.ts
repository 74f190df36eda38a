// Whether TLS is set up, and from which files (spec proxy.md 10.1, 10.2): tls.conf to its values,
// then the decision on both files. No file is opened here. One rule is milder than pmproxy's: a
// missing tls.conf without any certificate means no TLS, not the end of the start-up.

import { PcpError, PM_ERR } from "../base/mod.ts";
import type { SecureSettings, TlsSettings } from "./settings.ts";

/** A line of tls.conf that says less than it seems to, or nothing. */
export interface TlsConfProblem {
  readonly severity: "warning";
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Values of tls.conf by key; the last of a repeated key. */
export interface TlsConf {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly TlsConfProblem[];
}

const KEYS: readonly string[] = [
  "tls-cert-file",
  "tls-key-file",
  "tls-ca-cert-file",
  "tls-ca-cert-dir",
  "tls-ciphers",
  "tls-ciphersuites",
  "tls-verify-clients",
  "tls-client-cert-file",
  "tls-client-key-file",
];

/**
 * Reads tls.conf: `key = value` or `key : value`. As in PCP a value ends at the first blank or `#`
 * (quotes are part of it), and lines of any other form mean nothing.
 */
export function parseTlsConf(text: string): TlsConf {
  const values = new Map<string, string>();
  const problems: TlsConfProblem[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.replace(/\r$/, "");
    const start = line.search(/\S/);
    if (start < 0 || line[start] === "#") continue;
    const warn = (column: number, message: string): void => {
      problems.push({ severity: "warning", line: index + 1, column: column + 1, message });
    };
    const match = /^\s*([A-Za-z0-9-]+)(\s*[=:]\s*)([^\s#]*)(\s*)(.*)$/.exec(line);
    if (match === null) {
      warn(start, "not of the form key = value, has no effect");
      continue;
    }
    const [, key = "", sign = "", value = "", blank = "", rest = ""] = match;
    const end = start + key.length + sign.length + value.length;
    if (!KEYS.includes(key)) warn(start, `unknown key "${key}"`);
    if (rest !== "" && !rest.startsWith("#")) {
      warn(end + blank.length, "text after the first blank has no effect");
    }
    if (value !== "") values.set(key, value);
  }
  return { values, problems };
}

const set = (text: string | undefined): text is string => text !== undefined && text !== "";

/**
 * TLS to be set up, or undefined for plain connections only. A PcpError when certificate or key is
 * missing while something asks for TLS; its sentence is the end of pmproxy's log line
 * (`OpenSSL … - no private key found`).
 */
export function resolveTls(
  config: SecureSettings,
  tlsConf: ReadonlyMap<string, string> | undefined,
): TlsSettings | undefined | PcpError {
  const { enabled } = config;
  if (enabled !== undefined && "false".startsWith(enabled)) return undefined;
  if (tlsConf === undefined && enabled !== undefined && !"true".startsWith(enabled)) {
    return undefined;
  }
  const { certificates, privateKey, authority, cipherList, cipherSuites } = config;
  const configured = [certificates, privateKey, authority, cipherList, cipherSuites].some(
    (value) => value !== undefined,
  );
  const chain = certificates ?? tlsConf?.get("tls-cert-file");
  if (!configured && chain === undefined) return undefined;
  if (!set(chain)) return new PcpError(PM_ERR.TLS, "no certificate file found");
  const key = privateKey ?? tlsConf?.get("tls-key-file");
  if (!set(key)) return new PcpError(PM_ERR.TLS, "no private key found");
  return {
    certificates: chain,
    privateKey: key,
    passphraseFile: config.passphraseFile,
    authority: authority ?? tlsConf?.get("tls-ca-cert-file"),
    authorityDirectory: tlsConf?.get("tls-ca-cert-dir"),
    cipherList: cipherList ?? tlsConf?.get("tls-ciphers"),
    cipherSuites: cipherSuites ?? tlsConf?.get("tls-ciphersuites"),
    verifyClients: tlsConf?.get("tls-verify-clients") === "true",
    fromProxyConfig: configured || tlsConf === undefined,
  };
}
