// What the probe finds out, as data: what can be put into JSON is plain, and null stands for what is
// not known. Times are {sec, nsec} since 1970 UTC, durations are milliseconds in names that say so.
// Types alone.
import type { Atom, Desc, InstanceId, Timestamp } from "../pcp/mod.ts";

/** Something that did not work. */
export interface Failure {
  /** PM_ERR code or negated errno. */
  readonly code: number;
  /** `PM_ERR_IPC`, `ECONNREFUSED`; null for a code without a name. */
  readonly symbol: string | null;
  /** PCP's text of the code. */
  readonly message: string;
  /** What it was about, when there is more to say than the text of the code; else null. */
  readonly detail: string | null;
  /** Step of a connection, or metric; null when it is the source as a whole. */
  readonly where: string | null;
  /** What can be done about it; null when nothing is known. */
  readonly hint: string | null;
}

/** What a certificate says. */
export interface CertificateReport {
  readonly subject: string;
  readonly issuer: string;
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly validFrom: string;
  readonly validTo: string;
  /** Whole days until it ends; below 0 when it has ended. */
  readonly daysLeft: number;
  readonly fingerprint: string;
}

/** One step on the way to pmcd. */
export interface StepReport {
  readonly step: string;
  /** The place that was being tried: `db1 port 44321`, a socket's path. */
  readonly target: string;
  /** The place is reached through a proxy. */
  readonly proxied: boolean;
  /** What came of it, in words. */
  readonly detail: string;
  /** Milliseconds since the first step began, and that it took. */
  readonly startMs: number;
  readonly durationMs: number;
  /** False also for an address that was given up because another was faster. */
  readonly ok: boolean;
  readonly lost: boolean;
  readonly error: Failure | null;
  /** Of the step tls. */
  readonly tls: TlsReport | null;
}

/** What TLS agreed on. */
export interface TlsReport {
  readonly protocol: string | null;
  readonly cipher: string | null;
  readonly serverName: string | null;
  readonly trusted: boolean;
  /** Why not. */
  readonly distrust: string | null;
  readonly certificate: CertificateReport | null;
}

/** What an agent is up to, in one word. */
export type AgentState =
  "ok" | "not ready" | "exited" | "not started" | "dropped" | "fenced" | "unknown";

/** One agent of pmcd, or of a local context. */
export interface AgentReport {
  readonly domain: number;
  readonly name: string;
  /** `dso`, `socket`, `pipe`, of a local context also `own`; null when pmcd does not tell. */
  readonly kind: string | null;
  readonly state: AgentState;
  /** Exit status and signal of an agent that ended; null otherwise. */
  readonly exit: number | null;
  readonly signal: number | null;
  /** Why a local agent is not there; null otherwise. */
  readonly reason: string | null;
  /** Names of metrics that it serves. */
  readonly metrics: number;
}

/** A label of the source; `value` is JSON. */
export interface LabelReport {
  readonly name: string;
  readonly value: unknown;
}

/** A name and a value of pmcd's own metrics. */
export interface PmcdReport {
  readonly version: string | null;
  readonly build: string | null;
  readonly pid: number | null;
  readonly clients: number | null;
  readonly services: readonly string[];
  /** What it offers, by name; empty when nobody watched the connection. */
  readonly features: readonly string[];
}

/** What there is to say of a host or of local agents. */
export interface LiveReport {
  /** Milliseconds for the connection, and for the first fetch; null for local contexts. */
  readonly connectMs: number | null;
  readonly fetchMs: number | null;
  /** Milliseconds that the clock of the source is ahead of ours, as far as the fetch tells. */
  readonly clockMs: number | null;
  readonly steps: readonly StepReport[];
  /** null for local contexts. */
  readonly pmcd: PmcdReport | null;
  readonly hostName: string | null;
  /** As -z would use it. */
  readonly zone: string | null;
  readonly labels: readonly LabelReport[];
  /** Names in the name space. */
  readonly metrics: number;
  readonly agents: readonly AgentReport[];
  /** Sentences: what is not as it should be. */
  readonly unhealthy: readonly string[];
  /** Parts that could not be asked for. */
  readonly errors: readonly Failure[];
}

/** A parameter of an event record. */
export interface EventParameter {
  readonly metric: string;
  readonly pmid: string;
  readonly value: Atom | null;
  /** As PCP's tools print it. */
  readonly text: string;
}

/** An event record, unpacked. */
export interface EventRecord {
  readonly time: Timestamp;
  readonly flags: number;
  /** Lost records that this one stands for; 0 for an ordinary one. */
  readonly missed: number;
  readonly parameters: readonly EventParameter[];
}

/** Why a counter has no rate. */
export type NoRate = "first" | "back";

/** One value of a metric at one time. */
export interface ValueReport {
  /** PM_IN_NULL for a metric without instances. */
  readonly instance: InstanceId;
  /** null for a metric without instances, and for an instance whose name nobody knows. */
  readonly name: string | null;
  readonly value: Atom | null;
  /** As PCP's tools print it. */
  readonly text: string;
  readonly events: readonly EventRecord[] | null;
  /** Of a counter that is shown as a rate, else null. */
  readonly rate: number | NoRate | null;
}

/** All values of a metric at one time. */
export interface MetricValues {
  readonly failure: Failure | null;
  readonly values: readonly ValueReport[];
}

/** A metric that was asked for. */
export interface MetricReport {
  readonly name: string;
  readonly pmid: string;
  /** null when there is none, `failure` then tells why. */
  readonly desc: Desc | null;
  readonly help: string | null;
  /** Units of its values, and of its rates when it is shown as one. */
  readonly units: string;
  readonly rateUnits: string | null;
  readonly failure: Failure | null;
}

/** The values of all metrics at one time; a mark has none. */
export interface Sample {
  readonly time: Timestamp;
  readonly mark: boolean;
  /** In the order of the metrics. */
  readonly metrics: readonly MetricValues[];
}
