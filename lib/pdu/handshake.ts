// The set-up of a session with pmcd once a byte stream is there: what is wanted, what pmcd offers,
// what follows from both, and the exchange itself: challenge, CREDS, TLS, SASL, container (spec
// pdu.md 8.2 to 8.5, 8.8). The decisions are pure functions. Refuses what pmcd does not offer, and a
// session in clear when TLS was demanded.
import { readdir, readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { MAX_SASL_BYTES, PcpError, PM_ERR, pmErrStr, utf8, utf8Text } from "../base/mod.ts";
import { hostAttribute, type HostSpec, PCP_ATTR } from "../pcp/mod.ts";
import { decodePdu, encodePdu } from "./codec.ts";
import { errnoError } from "./endpoint.ts";
import { errorCode, type Link } from "./link.ts";
import { step, tlsFacts, type TlsFacts, type Watch } from "./observe.ts";
import { chooseMechanism, startSasl } from "./sasl.ts";
import type { Target } from "./target.ts";
import { certificatesOf, type TlsSettings } from "./tlsconf.ts";
import { type ChallengePdu, CREDS_VERSION_WORD, FEATURE, FROM_ANON, PDU_VERSION } from "./types.ts";

// ---------------------------------------------------------------- what is wanted

/** secure: TLS or nothing; relaxed: TLS when pmcd offers it. */
export type Security = "plain" | "relaxed" | "secure";

const securityOf = (text: string | null | undefined): Security => {
  if (text === "" || text === "1" || text === "enforce") return "secure";
  return text === "relaxed" ? "relaxed" : "plain";
};

/** Whether a specification and PCP_SECURE_SOCKETS ask for TLS (table of spec pdu.md 8.3). */
export function wantedSecurity(spec: HostSpec, secureSockets: string | undefined): Security {
  if (hostAttribute(spec, PCP_ATTR.PROTOCOL) !== "pcps") return securityOf(secureSockets);
  const secure = hostAttribute(spec, PCP_ATTR.SECURE);
  if (secure === undefined) return "secure";
  // `?secure` without a value counts as if there were no pcps:.
  return securityOf(secure ?? secureSockets);
}

/** What a caller wants of a session. */
export interface Wishes {
  readonly security: Security;
  readonly compress: boolean;
  /** Undefined: no authentication was asked for; pmcd may demand it all the same. */
  readonly sasl: SaslWish | undefined;
  readonly container: string | undefined;
}

/** Attributes for SASL; all may be missing. */
export interface SaslWish {
  readonly method: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** The wishes in a specification; `container` is that of the environment. */
export function wishesOf(
  spec: HostSpec,
  secureSockets: string | undefined,
  container: string | undefined,
): Wishes {
  const text = (code: (typeof PCP_ATTR)[keyof typeof PCP_ATTR]): string | undefined =>
    hostAttribute(spec, code) ?? undefined;
  const has = (code: (typeof PCP_ATTR)[keyof typeof PCP_ATTR]): boolean =>
    hostAttribute(spec, code) !== undefined;
  const { USERAUTH, USERNAME, PASSWORD, METHOD, REALM, COMPRESS, CONTAINER } = PCP_ATTR;
  const sasl = [USERAUTH, USERNAME, PASSWORD, METHOD, REALM].some(has)
    ? { method: text(METHOD), user: text(USERNAME), password: text(PASSWORD) }
    : undefined;
  return {
    security: wantedSecurity(spec, secureSockets),
    compress: has(COMPRESS),
    sasl,
    container: has(CONTAINER) ? (text(CONTAINER) ?? "") : container,
  };
}

// ---------------------------------------------------------------- what follows

/** What both sides will do. */
export interface Agreement {
  /** Flags of CREDS. */
  readonly flags: number;
  readonly tls: boolean;
  /** pmcd sends an ERROR before TLS starts. */
  readonly acknowledged: boolean;
  readonly sasl: boolean;
  readonly container: boolean;
}

/** Where pmcd is: behind a socket path, under a name that counts as local, or elsewhere. */
export type Place = "socket" | "local name" | "remote";

/** The place that a target counts as; through a proxy the proxy's name counts (spec pdu.md 8.2). */
export function placeOf(target: Target): Place {
  if (target.kind === "socket") return "socket";
  const name = target.kind === "tcp" ? target.host : target.proxyHost;
  return name.includes("localhost") ? "local name" : "remote";
}

const notOffered = (what: string): PcpError => errnoError("EOPNOTSUPP", `pmcd offers no ${what}`);

/**
 * The feature check of spec pdu.md 8.2, in its order. Throws PcpError PM_ERR_NEEDCLIENTCERT or
 * -EOPNOTSUPP.
 */
export function checkFeatures(
  offered: number,
  wishes: Pick<Wishes, "security" | "compress"> & { sasl: boolean; container: boolean },
  place: Place,
): Agreement {
  const offers = (feature: number): boolean => (offered & feature) !== 0;
  let flags = 0;
  if (offers(FEATURE.CREDS_REQD)) flags |= FEATURE.CREDS_REQD;
  if (offers(FEATURE.CERT_REQD) && place === "remote") {
    flags |= FEATURE.CERT_REQD;
    if (wishes.security === "plain") throw new PcpError(PM_ERR.NEEDCLIENTCERT);
  }
  if (wishes.security === "secure" && !offers(FEATURE.SECURE)) throw notOffered("TLS");
  // On a socket a pmcd that demands credentials takes the user from the socket and starts neither
  // TLS nor SASL, whatever the flags say.
  const credited = offers(FEATURE.CREDS_REQD) && place === "socket";
  const tls = wishes.security !== "plain" && offers(FEATURE.SECURE) && !credited;
  const acknowledged = tls && offers(FEATURE.SECURE_ACK);
  if (tls) flags |= FEATURE.SECURE;
  if (acknowledged) flags |= FEATURE.SECURE_ACK;
  if (wishes.compress) throw notOffered("compression");
  if (wishes.sasl && !offers(FEATURE.AUTH)) throw notOffered("authentication");
  if (wishes.sasl && !credited) flags |= FEATURE.AUTH;
  if (wishes.container && !offers(FEATURE.CONTAINER)) throw notOffered("containers");
  if (wishes.container) flags |= FEATURE.CONTAINER;
  const sasl = !credited && (wishes.sasl || offers(FEATURE.CREDS_REQD));
  return { flags, tls, acknowledged, sasl, container: wishes.container };
}

// ---------------------------------------------------------------- TLS

/** Most certificate files taken from a folder. */
const CA_FILES_LIMIT = 1024;

async function folderOfCertificates(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => /\.(pem|crt|cer|\d+)$/.test(name));
  const texts = names
    .slice(0, CA_FILES_LIMIT)
    .map(async (name) => certificatesOf(await readFile(join(folder, name), "latin1")));
  return (await Promise.all(texts)).flat();
}

/** The name a client shows to the server: that of the host, or its own (spec pdu.md 8.4). */
export function serverName(target: Target, ownName: string = hostname()): string | undefined {
  if (target.kind === "socket") return ownName;
  const name = target.kind === "tcp" ? target.host : target.proxyHost;
  // An address cannot stand there (RFC 6066).
  if (isIP(name.replace(/%.*$/, "")) !== 0) return undefined;
  return name.startsWith("local") ? ownName : name;
}

async function tlsOptions(settings: TlsSettings, target: Target): Promise<ConnectionOptions> {
  const { caFile, caFolder, certificateFile, keyFile, ciphers, verify } = settings;
  const servername = serverName(target);
  try {
    const ca: (Buffer | string)[] = [];
    if (caFile !== undefined) ca.push(await readFile(caFile));
    if (caFolder !== undefined) ca.push(...(await folderOfCertificates(caFolder)));
    return {
      minVersion: "TLSv1.2",
      rejectUnauthorized: verify,
      // Host names are not checked by PCP's clients, not even with verification.
      checkServerIdentity: () => undefined,
      ...(servername === undefined ? {} : { servername }),
      ...(ca.length === 0 ? {} : { ca }),
      ...(certificateFile === undefined ? {} : { cert: await readFile(certificateFile) }),
      ...(keyFile === undefined ? {} : { key: await readFile(keyFile) }),
      ...(ciphers === undefined ? {} : { ciphers }),
    };
  } catch (error) {
    throw new PcpError(PM_ERR.TLS, `TLS settings: ${String(error)}`, { cause: error });
  }
}

// ---------------------------------------------------------------- the exchange

/** The next PDU, whatever it is. */
const anyPdu = (): "last" => "last";

const unexpected = (wanted: string): PcpError =>
  new PcpError(PM_ERR.IPC, `${pmErrStr(PM_ERR.IPC)}: ${wanted} expected`);

/** Waits for pmcd's first PDU. */
async function awaitChallenge(link: Link, limit: number): Promise<ChallengePdu> {
  const bytes = await link.exchange(undefined, anyPdu, limit).catch((error: unknown) => {
    if (!(error instanceof PcpError) || error.code !== PM_ERR.TOOBIG) throw error;
    // Of another protocol: its first bytes are no length.
    throw new PcpError(PM_ERR.IPC, error.message);
  });
  const pdu = decodePdu(bytes);
  if (pdu.kind !== "challenge") throw unexpected("a challenge");
  if (pdu.code < 0) throw new PcpError(pdu.code);
  return pdu;
}

async function awaitAck(link: Link, limit: number): Promise<void> {
  const pdu = await link.exchange(undefined, anyPdu, limit);
  const code = errorCode(pdu);
  if (code === undefined) throw unexpected("an acknowledgement");
  if (code < 0) throw new PcpError(code);
}

/** Waits for a SASL message. */
async function awaitSasl(link: Link, limit: number): Promise<Uint8Array> {
  const pdu = decodePdu(await link.exchange(undefined, anyPdu, limit));
  if (pdu.kind === "error" && pdu.code < 0) throw new PcpError(pdu.code);
  if (pdu.kind !== "attr" || pdu.attribute !== PCP_ATTR.NONE) throw unexpected("a SASL message");
  if (pdu.value.length >= MAX_SASL_BYTES)
    throw new PcpError(PM_ERR.IPC, `SASL message of ${pdu.value.length} bytes`);
  return pdu.value;
}

function postAttribute(link: Link, attribute: number, value: Uint8Array): void {
  link.post(encodePdu({ kind: "attr", from: FROM_ANON, attribute, value }));
}

function postSasl(link: Link, value: Uint8Array): void {
  if (value.length >= MAX_SASL_BYTES)
    throw errnoError("EINVAL", `SASL message of ${value.length} bytes`);
  postAttribute(link, PCP_ATTR.NONE, value);
}

/** What is known of an exchange while it runs. */
interface SaslNotes {
  offered: readonly string[];
  mechanism: string | undefined;
}

async function authenticate(
  link: Link,
  wish: SaslWish | undefined,
  limit: number,
  notes: SaslNotes,
): Promise<void> {
  const list = utf8Text(await awaitSasl(link, limit)).replaceAll("\0", " ");
  notes.offered = list.split(" ").filter((name) => name !== "");
  const mechanism = chooseMechanism(notes.offered, wish?.method);
  notes.mechanism = mechanism;
  const exchange = startSasl(mechanism, { user: wish?.user, password: wish?.password });
  const name = utf8(`${mechanism}\0`);
  const first = exchange.initial ?? new Uint8Array(0);
  const message = new Uint8Array(name.length + first.length);
  message.set(name);
  message.set(first, name.length);
  postSasl(link, message);
  while (!exchange.finished) {
    const challenge = await awaitSasl(link, limit);
    postSasl(link, await exchange.answer(challenge));
  }
}

/** What a session is set up with. */
export interface HandshakeOptions {
  readonly target: Target;
  readonly wishes: Wishes;
  readonly tls: TlsSettings;
  /** Process id for CREDS. */
  readonly pid: number;
  /** Milliseconds for each message; 0: no limit. */
  readonly limit: number;
  readonly watch?: Watch | undefined;
}

/** What came of it. */
export interface Session {
  /** FEATURE bits of the challenge. */
  readonly features: number;
  readonly agreement: Agreement;
}

/** TLS on the socket, after pmcd's word for it if that was agreed on. */
async function secureLink(
  link: Link,
  { target, limit, watch }: HandshakeOptions,
  settings: ConnectionOptions,
  acknowledged: boolean,
): Promise<void> {
  let seen: TlsFacts = tlsFacts(undefined, settings.servername);
  await step(
    watch,
    async () => {
      if (acknowledged) await awaitAck(link, limit);
      if (watch === undefined) return link.startTls(settings, limit);
      return link.startTls(settings, limit, (socket) => {
        seen = tlsFacts(socket, serverName(target));
      });
    },
    () => seen,
  );
}

/**
 * Sets up a session over a fresh link and opens it for requests. Throws PcpError as spec pdu.md 8.1
 * to 8.5 has it; the link is then of no more use.
 */
export async function shakeHands(link: Link, options: HandshakeOptions): Promise<Session> {
  const { target, wishes, limit, watch } = options;
  const { features } = await step(
    watch,
    () => awaitChallenge(link, limit),
    (challenge) => ({
      kind: "challenge",
      version: challenge?.version ?? 0,
      licensed: challenge?.licensed ?? 0,
      features: challenge?.features ?? 0,
    }),
  );
  const asked = {
    ...wishes,
    sasl: wishes.sasl !== undefined,
    container: wishes.container !== undefined,
  };
  const agreement = await step(
    watch,
    async () => {
      const agreed = checkFeatures(features, asked, placeOf(target));
      const word = { type: CREDS_VERSION_WORD, version: PDU_VERSION, flags: agreed.flags };
      const secure = agreed.tls ? await tlsOptions(options.tls, target) : undefined;
      link.post(encodePdu({ kind: "creds", from: options.pid, credentials: [word] }));
      return { ...agreed, secure };
    },
    (agreed) => ({ kind: "creds", flags: agreed?.flags ?? 0 }),
  );
  if (agreement.secure !== undefined)
    await secureLink(link, options, agreement.secure, agreement.acknowledged);
  if (agreement.sasl) {
    const notes: SaslNotes = { offered: [], mechanism: undefined };
    await step(
      watch,
      () => authenticate(link, wishes.sasl, limit, notes),
      () => ({ kind: "sasl", ...notes, user: wishes.sasl?.user }),
    );
  }
  if (agreement.container) {
    const value = wishes.container ?? "";
    await step(
      watch,
      async () => postAttribute(link, PCP_ATTR.CONTAINER, utf8(value)),
      () => ({ kind: "attribute", name: "container", value }),
    );
  }
  link.open();
  return { features, agreement };
}
