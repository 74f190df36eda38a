// tls.conf (spec pdu.md 8.4, proxy.md 10.2): its keys with their values, and what they say to a
// client. Read as PCP reads it: a value ends at the first blank or `#`, quotes are part of it, the
// last one of a key counts, lines of any other form mean nothing. No certificate is opened here.
import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { PcpError, PM_ERR } from "../base/mod.ts";

/** A line of tls.conf that says less than it seems to, or nothing; places count from 1. */
export interface TlsConfProblem {
  readonly message: string;
  readonly line: number;
  readonly column: number;
  readonly severity: "warning";
}

/** A tls.conf: values that are not empty by key, and what is odd about its lines. */
export interface TlsConf {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly TlsConfProblem[];
}

const KEYS: ReadonlySet<string> = new Set(
  "cert-file key-file ca-cert-file ca-cert-dir ciphers ciphersuites verify-clients client-cert-file client-key-file"
    .split(" ")
    .map((name) => `tls-${name}`),
);

const KEY = /[A-Za-z0-9-]+/y;
const SIGN = /\s*[=:]\s*/y;
const VALUE = /[^\s#]*/y;

const match = (pattern: RegExp, text: string, at: number): string => {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
};

/** Reads the text of a tls.conf. Refuses nothing. */
export function parseTlsConf(text: string): TlsConf {
  const values = new Map<string, string>();
  const problems: TlsConfProblem[] = [];
  text.split("\n").forEach((whole, index) => {
    const line = whole.trim();
    if (line === "" || line.startsWith("#")) return;
    const indent = whole.indexOf(line);
    const tell = (at: number, message: string): void => {
      const column = indent + at + 1;
      problems.push({ severity: "warning", line: index + 1, column, message });
    };
    const key = match(KEY, line, 0);
    const sign = match(SIGN, line, key.length);
    if (key === "" || sign === "") {
      tell(0, "not of the form key = value, has no effect");
      return;
    }
    const from = key.length + sign.length;
    const value = match(VALUE, line, from);
    if (!KEYS.has(key)) tell(0, `unknown key "${key}"`);
    const rest = line.slice(from + value.length).trimStart();
    if (rest !== "" && !rest.startsWith("#")) {
      tell(line.length - rest.length, "text after the first blank has no effect");
    }
    if (value !== "") values.set(key, value);
  });
  return { values, problems };
}

/** What tls.conf says to a client; paths of PEM files. */
export interface TlsSettings {
  readonly caFile?: string;
  /** Folder of PEM files. */
  readonly caFolder?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** OpenSSL cipher list for TLS 1.2; suites of TLS 1.3 cannot be chosen. */
  readonly ciphers?: string;
  /** True: the server's certificate must be valid; its name is never looked at. */
  readonly verify: boolean;
}

/** TLS without verification and without a client certificate: PCP's default. */
export const DEFAULT_TLS: TlsSettings = { verify: false };

/** The client's part of a tls.conf; a client's own certificate goes before that of the server. */
export function clientTls({ values }: TlsConf): TlsSettings {
  const pick = <K extends string>(key: K, ...names: string[]): { [P in K]?: string } => {
    const value = names.map((name) => values.get(name)).find((item) => item !== undefined);
    return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
  };
  const verify = values.get("tls-verify-clients");
  return {
    ...pick("caFile", "tls-ca-cert-file"),
    ...pick("caFolder", "tls-ca-cert-dir"),
    ...pick("certificateFile", "tls-client-cert-file", "tls-cert-file"),
    ...pick("keyFile", "tls-client-key-file", "tls-key-file"),
    ...pick("ciphers", "tls-ciphers"),
    verify: verify === "yes" || verify === "true",
  };
}

/** Longest tls.conf in bytes. */
const TLS_CONF_LIMIT = 65536;

/**
 * Reads the client's part of the file at `path`; no file: the defaults. Throws PcpError PM_ERR_TLS
 * for a file that cannot be read or is longer than 64 KiB.
 */
export function readTlsConf(path: string): TlsSettings {
  try {
    if (statSync(path).size <= TLS_CONF_LIMIT) {
      return clientTls(parseTlsConf(readFileSync(path, "utf8")));
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return DEFAULT_TLS;
    throw new PcpError(PM_ERR.TLS, `cannot read ${path}: ${String(error)}`, { cause: error });
  }
  throw new PcpError(PM_ERR.TLS, `${path}: longer than ${TLS_CONF_LIMIT} bytes`);
}

/**
 * The certificates in a PEM text that can be read, each in PEM form; other blocks and what is no
 * certificate are passed over, as OpenSSL passes over odd files in a folder of authorities.
 */
export function certificatesOf(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.filter((block) => {
    try {
      return new X509Certificate(block).raw.length > 0;
    } catch (error) {
      if (error instanceof Error) return false;
      throw error;
    }
  });
}
