// TLS on the ports that plain connections use too (spec proxy.md 10): certificates are read once, at
// start-up; each connection that begins with a TLS record is wrapped and looked at again inside.
// NSS databases are not read.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, TLSSocket } from "node:tls";
import { PcpError } from "../base/mod.ts";
import { certificatesOf } from "../pdu/mod.ts";
import { Bridge } from "./bridge.ts";
import type { Server, TlsContext } from "./server.ts";
import type { TlsSettings } from "./settings.ts";
import type { Timed } from "./deadlines.ts";
import { StreamWire, type NativeWire } from "./wire.ts";

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

function failure(text: string, path: string, error: unknown): PcpError {
  return new PcpError(-22, `${text} ${path}: ${reasonOf(error)}`);
}

/** Contents of a PEM file, or of every file of a directory. */
function readPem(path: string, text: string): string {
  try {
    if (!statSync(path).isDirectory()) return readFileSync(path, "latin1");
    const files = readdirSync(path).sort();
    return files.map((name) => readFileSync(join(path, name), "latin1")).join("\n");
  } catch (error) {
    throw failure(text, path, error);
  }
}

const CHAIN = "Cannot load certificate chain from";
const KEY = "Cannot load private key from";
const CLIENT_CA = "Cannot load the client CA list from";

/** Suites of TLS 1.3: the three that BoringSSL has, in no order that anybody can change, then the rest. */
const SUITES: readonly string[] = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_CCM_SHA256",
  "TLS_AES_128_CCM_8_SHA256",
];

/** Reads what `settings` name. Throws a PcpError with the text of spec proxy.md 10.4. */
export function loadTls(settings: TlsSettings): TlsContext {
  const cert = readPem(settings.certificates, CHAIN);
  const key = readPem(settings.privateKey, KEY);
  const authorities: string[] = [];
  if (settings.authority !== undefined) authorities.push(readPem(settings.authority, CLIENT_CA));
  if (settings.authorityDirectory !== undefined) {
    authorities.push(readPem(settings.authorityDirectory, CLIENT_CA));
  }
  const passphrase =
    settings.passphraseFile === undefined
      ? undefined
      : readPem(settings.passphraseFile, "Cannot read the password file").split(/\r?\n/, 1)[0];
  const ca = authorities.flatMap(certificatesOf);
  if (authorities.length > 0 && ca.length === 0) {
    const path = settings.authority ?? settings.authorityDirectory ?? "";
    throw failure(CLIENT_CA, path, "no certificate in it");
  }
  const attempt = (
    text: string,
    path: string,
    options: Parameters<typeof createSecureContext>[0],
  ) => {
    try {
      return createSecureContext({ minVersion: "TLSv1.2", ...options });
    } catch (error) {
      throw failure(text, path, error);
    }
  };
  attempt(CHAIN, settings.certificates, { cert });
  const pair = { cert, key, ...(passphrase === undefined ? {} : { passphrase }) };
  attempt(KEY, settings.privateKey, pair);
  if (ca.length > 0) attempt(CLIENT_CA, settings.authority ?? "", { ca });
  const { cipherList, cipherSuites } = settings;
  if (cipherList !== undefined) {
    attempt("Cannot set the cipher list from", cipherList, { ciphers: cipherList });
  }
  const unknown = cipherSuites?.split(":").find((name) => !SUITES.includes(name));
  if (cipherSuites !== undefined && unknown !== undefined) {
    throw failure("Cannot set the cipher suites from", cipherSuites, `${unknown} is not known`);
  }
  // PCP's words, which people look for; the library is what Bun has of OpenSSL's interface.
  const notes = [`OpenSSL ${process.versions["openssl"] ?? ""} (BoringSSL) setup`];
  if (cipherSuites !== undefined) notes.push(`Using cipher suites: ${cipherSuites}`);
  else if (cipherList !== undefined) notes.push(`Using cipher list: ${cipherList}`);
  if (
    cipherSuites !== undefined &&
    SUITES.slice(0, 3).some((name) => !cipherSuites.includes(name))
  ) {
    notes.push("TLS 1.3 cipher suites cannot be chosen with BoringSSL: it offers all three");
  }
  if (settings.fromProxyConfig) {
    notes.push("TLS configured in pmproxy.conf, please switch to /etc/pcp/tls.conf");
  }
  return {
    secure: createSecureContext({
      ...pair,
      ...(ca.length > 0 ? { ca } : {}),
      ...(cipherList === undefined ? {} : { ciphers: cipherList }),
      minVersion: "TLSv1.2",
    }),
    verifyClients: settings.verifyClients,
    notes,
  };
}

/** A TLS handshake under way. */
class Handshake implements Timed {
  deadline = 0;
  /** It has succeeded or failed; what breaks later is an ordinary hang-up. */
  over = false;
  constructor(
    private readonly server: Server,
    private readonly wire: NativeWire,
    private readonly socket: TLSSocket,
  ) {}
  failed(reason: string): void {
    this.server.deadlines.clear(this);
    if (this.over) return;
    this.over = true;
    this.server.counters.tlsFailures += 1;
    this.server.log.debug(`client ${this.wire.peer}: TLS handshake failed: ${reason}`);
    this.socket.destroy();
    this.wire.destroy();
  }
  expired(): void {
    this.server.counters.tooSlow += 1;
    this.failed("timed out");
  }
}

/**
 * Ends TLS on `wire`, whose first bytes are `first`; `inside` gets the decrypted connection once the
 * handshake and the client's certificate, if there is one, are good.
 */
export function acceptTls(
  server: Server,
  context: TlsContext,
  wire: NativeWire,
  first: Uint8Array,
  inside: (wire: StreamWire) => void,
): void {
  const { peer } = wire;
  const bridge = new Bridge(server, wire);
  const socket = new TLSSocket(bridge, {
    isServer: true,
    secureContext: context.secure,
    requestCert: true,
    rejectUnauthorized: false,
  });
  const handshake = new Handshake(server, wire, socket);
  server.deadlines.set(handshake, server.settings.limits.handshakeTimeoutMs);
  const broken = (error: Error): void => {
    handshake.failed(error.message);
    socket.destroy();
  };
  bridge.on("error", broken);
  socket.on("error", broken);
  bridge.once("end", () => handshake.failed("end of file"));
  bridge.once("close", () => {
    handshake.failed("connection closed");
    socket.destroy();
  });
  socket.once("close", () => {
    handshake.failed("connection closed");
    bridge.destroy();
  });
  socket.once("secure", () => {
    server.deadlines.clear(handshake);
    if (handshake.over) return;
    const presented = Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
    if (presented && !socket.authorized) {
      return handshake.failed(`client certificate: ${String(socket.authorizationError)}`);
    }
    if (!presented && context.verifyClients) return handshake.failed("no client certificate");
    handshake.over = true;
    const hold = (isHeld: boolean): void => bridge.hold(isHeld);
    const within = new StreamWire(socket, peer, presented, hold, server.onFault);
    inside(within);
  });
  bridge.start(first);
}
