// What can be watched while a connection to pmcd is made: each step as data, with its start, its
// duration and its error (spec pdu.md 8.1 to 8.5, 8.8, 12.2). Types, and the one function that times
// a step. Nobody watching costs nothing. Refuses nothing; passwords are never part of a step.
import type { TLSSocket } from "node:tls";
import { asPcpError, type PcpError } from "../base/mod.ts";
import type { Target } from "./target.ts";

/** What a certificate says about itself. */
export interface CertificateFacts {
  /** Distinguished names in one line, `CN=app1, O=Example`. */
  readonly subject: string;
  readonly issuer: string;
  /** Alternative names: `DNS:localhost`, `IP Address:127.0.0.1`. */
  readonly names: readonly string[];
  readonly validFrom: Date;
  readonly validTo: Date;
  /** SHA-256 of the certificate: bytes in hexadecimal with colons. */
  readonly fingerprint: string;
}

/** The name of a host became addresses; `addresses` is empty when it failed. */
export interface ResolveFacts {
  readonly kind: "resolve";
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * One attempt to connect a socket. All addresses of a name are tried at once: `lost` is one that was
 * given up because another was faster (its error is not set) or the time was over.
 */
export interface ConnectFacts {
  readonly kind: "connect";
  /** An address, or the path of a unix socket. */
  readonly address: string;
  /** Undefined for a unix socket. */
  readonly port: number | undefined;
  readonly outcome: "connected" | "failed" | "lost";
}

/** A pmproxy was asked for a connection to pmcd. */
export interface GreetingFacts {
  readonly kind: "greeting";
  /** What it was asked for. */
  readonly host: string;
  readonly port: number;
}

/** pmcd's challenge; zeros when none came. */
export interface ChallengeFacts {
  readonly kind: "challenge";
  /** Version of the PDUs. */
  readonly version: number;
  readonly licensed: number;
  /** FEATURE bits that pmcd offers. */
  readonly features: number;
}

/** What was agreed on: the feature check, and CREDS. */
export interface CredsFacts {
  readonly kind: "creds";
  /** FEATURE bits that were sent; 0 when the check failed. */
  readonly flags: number;
}

/** TLS on the socket of the session. */
export interface TlsFacts {
  readonly kind: "tls";
  /** The name shown to the server, undefined for none. */
  readonly serverName: string | undefined;
  /** `TLSv1.3`; undefined when TLS did not come about. */
  readonly protocol: string | undefined;
  readonly cipher: string | undefined;
  /** That of the server. */
  readonly certificate: CertificateFacts | undefined;
  /** True when its chain ends at a known authority. */
  readonly trusted: boolean;
  /** Why it is not trusted, in the words of the TLS library. */
  readonly distrust: string | undefined;
}

/** The exchange of SASL. */
export interface SaslFacts {
  readonly kind: "sasl";
  /** Mechanisms that pmcd offers. */
  readonly offered: readonly string[];
  /** The one that was used. */
  readonly mechanism: string | undefined;
  readonly user: string | undefined;
}

/** An attribute that was sent; nothing is answered to it. */
export interface AttributeFacts {
  readonly kind: "attribute";
  readonly name: "container";
  readonly value: string;
}

/** What a step was about. */
export type StepFacts =
  | ResolveFacts
  | ConnectFacts
  | GreetingFacts
  | ChallengeFacts
  | CredsFacts
  | TlsFacts
  | SaslFacts
  | AttributeFacts;

/** A step of connectPmcd that is over, well or not. */
export type ConnectStep = StepFacts & {
  /** The place that the step belongs to; several are tried one after the other. */
  readonly target: Target;
  /** Milliseconds between the call of connectPmcd and the start of the step. */
  readonly start: number;
  /** Milliseconds. */
  readonly duration: number;
  readonly error: PcpError | undefined;
};

/** Takes each step when it is over, in the order in which they end. Must not throw. */
export type ConnectObserver = (step: ConnectStep) => void;

/** The steps of one place; `started` is when connectPmcd was called, as performance.now() has it. */
export interface Watch {
  readonly observe: ConnectObserver;
  readonly target: Target;
  readonly started: number;
}

/** Reports a step that began at `start` (performance.now()) and is over now. */
export function report(watch: Watch, start: number, facts: StepFacts, error?: PcpError): void {
  watch.observe({
    ...facts,
    target: watch.target,
    start: start - watch.started,
    duration: performance.now() - start,
    error,
  });
}

/** Does `work` as a step whose facts follow from its result, undefined when it failed. */
export async function step<T>(
  watch: Watch | undefined,
  work: () => Promise<T>,
  facts: (result: T | undefined) => StepFacts,
): Promise<T> {
  if (watch === undefined) return work();
  const start = performance.now();
  try {
    const result = await work();
    report(watch, start, facts(result));
    return result;
  } catch (error) {
    report(watch, start, facts(undefined), asPcpError(error));
    throw error;
  }
}

/** What a TLS socket is; certificate and trust are known as soon as the server has shown them. */
export function tlsFacts(socket: TLSSocket | undefined, serverName: string | undefined): TlsFacts {
  const facts: TlsFacts = {
    kind: "tls",
    serverName,
    protocol: undefined,
    cipher: undefined,
    certificate: undefined,
    trusted: false,
    distrust: undefined,
  };
  const shown = socket?.getPeerX509Certificate();
  if (socket === undefined || shown === undefined) return facts;
  const oneLine = (name: string): string => name.trim().replaceAll("\n", ", ");
  return {
    ...facts,
    protocol: socket.getProtocol() ?? undefined,
    cipher: socket.getCipher().name,
    certificate: {
      subject: oneLine(shown.subject),
      issuer: oneLine(shown.issuer),
      names: shown.subjectAltName?.split(", ") ?? [],
      validFrom: new Date(shown.validFrom),
      validTo: new Date(shown.validTo),
      fingerprint: shown.fingerprint256,
    },
    trusted: socket.authorized,
    distrust: socket.authorized ? undefined : String(socket.authorizationError),
  };
}
