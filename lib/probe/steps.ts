// The steps of a connection to pmcd as a report: what was tried, what came of it, how long it took.
// Pure. Passwords are no part of steps.
import { type CertificateFacts, type ConnectStep, describeTarget, FEATURE } from "../pdu/mod.ts";
import { failureOf } from "./hints.ts";
import { plainText } from "./plain.ts";
import type { CertificateReport, StepReport, TlsReport } from "./report.ts";

const DAY_MS = 86_400_000;

const FEATURE_NAMES: readonly (readonly [number, string])[] = [
  [FEATURE.SECURE, "tls"],
  [FEATURE.COMPRESS, "compression"],
  [FEATURE.AUTH, "authentication"],
  [FEATURE.CREDS_REQD, "credentials required"],
  [FEATURE.SECURE_ACK, "tls acknowledged"],
  [FEATURE.NO_NSS_INIT, "no NSS"],
  [FEATURE.CONTAINER, "containers"],
  [FEATURE.CERT_REQD, "client certificate required"],
  [FEATURE.BAD_LABEL, "old labels"],
  [FEATURE.LABELS, "labels"],
  [FEATURE.HIGHRES, "nanoseconds"],
  [FEATURE.DESCS, "descriptors in bulk"],
];

/** FEATURE bits in words; bits without a name as 0x…. */
export function featureNames(bits: number): readonly string[] {
  const names = FEATURE_NAMES.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name);
  const rest = FEATURE_NAMES.reduce((left, [bit]) => left & ~bit, bits);
  return rest === 0 ? names : [...names, `0x${(rest >>> 0).toString(16)}`];
}

function certificateReport(facts: CertificateFacts, now: number): CertificateReport {
  return {
    subject: plainText(facts.subject),
    issuer: plainText(facts.issuer),
    names: facts.names.map(plainText),
    validFrom: dateText(facts.validFrom),
    validTo: dateText(facts.validTo),
    daysLeft: Math.floor((facts.validTo.getTime() - now) / DAY_MS),
    fingerprint: facts.fingerprint,
  };
}

const dateText = (date: Date): string =>
  Number.isNaN(date.getTime()) ? "unknown" : date.toISOString();

function tlsReport(step: ConnectStep & { readonly kind: "tls" }, now: number): TlsReport {
  const { certificate } = step;
  return {
    protocol: step.protocol ?? null,
    cipher: step.cipher ?? null,
    serverName: step.serverName ?? null,
    trusted: step.trusted,
    distrust: step.distrust === undefined ? null : plainText(step.distrust),
    certificate: certificate === undefined ? null : certificateReport(certificate, now),
  };
}

const listText = (names: readonly string[]): string =>
  names.length === 0 ? "none" : names.map(plainText).join(", ");

/** What came of a step that went well. */
function detailOf(step: ConnectStep): string {
  switch (step.kind) {
    case "resolve":
      if (step.error !== undefined) return plainText(step.name);
      return step.addresses.length === 1 && step.addresses[0] === step.name
        ? `${plainText(step.name)} is an address`
        : `${plainText(step.name)} is ${listText(step.addresses)}`;
    case "connect":
      return step.port === undefined
        ? plainText(step.address)
        : `${plainText(step.address)} port ${step.port}`;
    case "greeting":
      return `proxy asked for ${plainText(step.host)} port ${step.port}`;
    case "challenge":
      if (step.error !== undefined) return "the first words of pmcd";
      return `PDU version ${step.version}; offers ${listText(featureNames(step.features))}`;
    case "creds":
      if (step.error !== undefined) return "what both can do";
      return step.flags === 0
        ? "nothing special agreed"
        : `agreed: ${listText(featureNames(step.flags))}`;
    case "tls":
      return step.protocol === undefined ? "" : `${step.protocol}, ${step.cipher ?? "no cipher"}`;
    case "sasl": {
      const user = step.user === undefined ? "" : ` as ${plainText(step.user)}`;
      return `${plainText(step.mechanism ?? "no mechanism")}${user}, of ${listText(step.offered)}`;
    }
    case "attribute":
      return `${step.name} ${plainText(step.value)}`;
    default:
      return step satisfies never;
  }
}

/** One step; `now` is milliseconds since 1970, for how long a certificate still lasts. */
export function stepReport(step: ConnectStep, now: number): StepReport {
  const lost = step.kind === "connect" && step.outcome === "lost";
  const failure =
    step.error === undefined ? null : failureOf(step.error, { about: "host", step: step.kind });
  const distrusted = step.kind === "tls" && !step.trusted && step.distrust !== undefined;
  return {
    step: step.kind,
    target: plainText(describeTarget(step.target)),
    proxied: step.target.kind === "proxy",
    detail: detailOf(step),
    startMs: step.start,
    durationMs: step.duration,
    ok: failure === null && !lost && !(distrusted && step.protocol === undefined),
    lost,
    error: failure,
    tls: step.kind === "tls" ? tlsReport(step, now) : null,
  };
}
