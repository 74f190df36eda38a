// Client side of the SASL mechanisms that pmcd speaks with (spec pdu.md 8.5): SCRAM (RFC 5802, 7677),
// CRAM-MD5 (RFC 2195), PLAIN (RFC 4616) and LOGIN, as exchanges of byte strings that know nothing of
// sockets. Refuses what a server must not do: a nonce that is not ours, too many iterations, a wrong
// signature. GSSAPI and DIGEST-MD5 are not spoken.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { PcpError, PM_ERR, pmErrStr, utf8, utf8Text } from "../base/mod.ts";

/** Codes of the SASL library; PCP's code is PM_ERR_NYI - n (spec pdu.md 8.5). */
const NO_MECHANISM = 4;
const BAD_PROTOCOL = 5;
const BAD_PARAMETER = 7;
const BAD_SERVER = 10;
const BAD_AUTHENTICATION = 13;

/** Upper bound on PBKDF2 rounds that a server can make this side compute. */
const MAX_SCRAM_ITERATIONS = 1_000_000;
/** Bytes of randomness in a SCRAM nonce. */
const NONCE_BYTES = 24;

const saslError = (saslCode: number, detail: string): PcpError => {
  const code = PM_ERR.NYI - saslCode;
  return new PcpError(code, `${pmErrStr(code)} (${detail})`);
};

/** Who wants in. The name to act as is the user's own, as PCP's clients send it. */
export interface SaslCredentials {
  readonly user: string;
  readonly password: string;
}

/** One mechanism at work. */
export interface SaslExchange {
  readonly mechanism: string;
  /** Sent along with the mechanism's name; undefined when the server speaks first. */
  readonly initial: Uint8Array | undefined;
  /** True when the client has no further message to wait for. */
  readonly finished: boolean;
  /** Response to a challenge; an empty one still has to be sent. Throws PcpError -21344 - n. */
  answer(challenge: Uint8Array): Promise<Uint8Array>;
}

type Start = (credentials: SaslCredentials, nonce: string) => SaslExchange;

const EMPTY = new Uint8Array(0);

/** An exchange without an initial response that answers with these functions, one after the other. */
function scripted(
  mechanism: string,
  initial: Uint8Array | undefined,
  steps: readonly ((challenge: Uint8Array) => Uint8Array | Promise<Uint8Array>)[],
): SaslExchange {
  let next = 0;
  return {
    mechanism,
    initial,
    get finished() {
      return next >= steps.length;
    },
    async answer(challenge) {
      const step = steps[next];
      if (step === undefined) throw saslError(BAD_PROTOCOL, `${mechanism}: one message too many`);
      const response = await step(challenge);
      next += 1;
      return response;
    },
  };
}

const plain: Start = ({ user, password }) =>
  scripted("PLAIN", utf8(`${user}\0${user}\0${password}`), []);

const login: Start = ({ user, password }) =>
  scripted("LOGIN", undefined, [() => utf8(user), () => utf8(password)]);

const cramMd5: Start = ({ user, password }) =>
  scripted("CRAM-MD5", undefined, [
    (challenge) =>
      utf8(`${user} ${createHmac("md5", utf8(password)).update(challenge).digest("hex")}`),
  ]);

/** `=` and `,` cannot stand in a SCRAM name (RFC 5802, saslname). */
const scramName = (name: string): string => name.replaceAll("=", "=3D").replaceAll(",", "=2C");

/** The attributes of a SCRAM message: one letter, `=`, value; comma-separated. */
function scramAttributes(message: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of message.split(",")) {
    if (part[1] === "=") found.set(part[0] ?? "", part.slice(2));
  }
  return found;
}

function saltedPassword(
  password: string,
  salt: Uint8Array,
  iterations: number,
  length: number,
  digest: string,
): Promise<Uint8Array> {
  // Cyrus SASL hashes the password as stored, without preparation of the characters; so does this.
  return new Promise((resolve, reject) => {
    pbkdf2(utf8(password), salt, iterations, length, digest, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}

const scram =
  (mechanism: string, digest: string, length: number): Start =>
  ({ user, password }, nonce) => {
    const name = scramName(user);
    const header = `n,a=${name},`;
    const clientFirst = `n=${name},r=${nonce}`;
    let serverSignature: Uint8Array = EMPTY;

    const hmac = (key: Uint8Array, text: Uint8Array | string): Uint8Array =>
      createHmac(digest, key).update(text).digest();

    const proof = async (challenge: Uint8Array): Promise<Uint8Array> => {
      const serverFirst = utf8Text(challenge);
      const attributes = scramAttributes(serverFirst);
      const wholeNonce = attributes.get("r") ?? "";
      const salt = Buffer.from(attributes.get("s") ?? "", "base64");
      const rounds = attributes.get("i") ?? "";
      const iterations = /^\d{1,9}$/.test(rounds) ? Number(rounds) : 0;
      if (attributes.has("m")) throw saslError(BAD_PROTOCOL, `${mechanism}: unknown extension`);
      if (!wholeNonce.startsWith(nonce) || wholeNonce.length === nonce.length)
        throw saslError(BAD_PROTOCOL, `${mechanism}: the server's nonce does not extend ours`);
      if (salt.length === 0) throw saslError(BAD_PROTOCOL, `${mechanism}: no salt`);
      if (iterations < 1 || iterations > MAX_SCRAM_ITERATIONS)
        throw saslError(
          BAD_PROTOCOL,
          `${mechanism}: iteration count ${rounds}, allowed 1 to ${MAX_SCRAM_ITERATIONS}`,
        );
      const salted = await saltedPassword(password, salt, iterations, length, digest);
      const clientKey = hmac(salted, "Client Key");
      const storedKey = createHash(digest).update(clientKey).digest();
      const withoutProof = `c=${Buffer.from(header).toString("base64")},r=${wholeNonce}`;
      const message = `${clientFirst},${serverFirst},${withoutProof}`;
      serverSignature = hmac(hmac(salted, "Server Key"), message);
      const signature = hmac(storedKey, message);
      const mixed = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
      return utf8(`${withoutProof},p=${Buffer.from(mixed).toString("base64")}`);
    };

    const verify = (challenge: Uint8Array): Uint8Array => {
      const attributes = scramAttributes(utf8Text(challenge));
      const failure = attributes.get("e");
      if (failure !== undefined) throw saslError(BAD_AUTHENTICATION, `${mechanism}: ${failure}`);
      const given = Buffer.from(attributes.get("v") ?? "", "base64");
      if (given.length !== serverSignature.length || !timingSafeEqual(given, serverSignature))
        throw saslError(BAD_SERVER, `${mechanism}: the server's signature is wrong`);
      return EMPTY;
    };

    return scripted(mechanism, utf8(header + clientFirst), [proof, verify]);
  };

/** What this side speaks, strongest first. */
const MECHANISMS: ReadonlyMap<string, Start> = new Map([
  ["SCRAM-SHA-512", scram("SCRAM-SHA-512", "sha512", 64)],
  ["SCRAM-SHA-256", scram("SCRAM-SHA-256", "sha256", 32)],
  ["SCRAM-SHA-1", scram("SCRAM-SHA-1", "sha1", 20)],
  ["CRAM-MD5", cramMd5],
  ["PLAIN", plain],
  ["LOGIN", login],
]);

/** Names of the mechanisms spoken here, strongest first. */
export const SASL_MECHANISMS: readonly string[] = [...MECHANISMS.keys()];

/**
 * The mechanism to use: `wanted` (any case) when given, else the strongest of the server's list.
 * Throws PcpError -21348 (no mechanism available) when there is none in common.
 */
export function chooseMechanism(offered: readonly string[], wanted?: string): string {
  const list = new Set(offered.map((name) => name.toUpperCase()));
  const candidates = wanted === undefined ? SASL_MECHANISMS : [wanted.toUpperCase()];
  const chosen = candidates.find((name) => MECHANISMS.has(name) && list.has(name));
  if (chosen !== undefined) return chosen;
  throw saslError(
    NO_MECHANISM,
    `wanted ${wanted ?? SASL_MECHANISMS.join(" ")}, offered ${offered.join(" ") || "none"}`,
  );
}

/** What is known of a user, as it stands in a host specification. */
export interface PartialCredentials {
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/**
 * Begins an exchange. Nobody is asked on a terminal: a user name or password that is missing is
 * PcpError -21351 (invalid parameter supplied), as with PCP's clients without a terminal.
 * `nonce` is for tests.
 */
export function startSasl(
  mechanism: string,
  { user, password }: PartialCredentials,
  nonce: string = randomBytes(NONCE_BYTES).toString("base64"),
): SaslExchange {
  const start = MECHANISMS.get(mechanism);
  if (start === undefined) throw saslError(NO_MECHANISM, mechanism);
  if (user === undefined || password === undefined)
    throw saslError(BAD_PARAMETER, `${mechanism} needs a user name and a password`);
  if (user.includes("\0") || password.includes("\0"))
    throw saslError(BAD_PARAMETER, "a user name or password contains a NUL");
  return start({ user, password }, nonce);
}
