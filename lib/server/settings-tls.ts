// Whether TLS is set up, and from which files (spec proxy.md 10.1, 10.2): the decision on what
// pmproxy.conf and tls.conf say. No file is opened here. One rule is milder than pmproxy's: a
// missing tls.conf without any certificate means no TLS, not the end of the start-up.

import { PcpError, PM_ERR } from "../base/mod.ts";
import type { SecureSettings, TlsSettings } from "./settings.ts";

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
