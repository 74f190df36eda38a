// The agents of pmcd out of its own metrics pmcd.agent.* (spec pmda.md 5): what each is, and what it
// is up to. Pure; words that pmcd does not send are told apart from those that say "fine".
import type { AgentReport, AgentState } from "./report.ts";

/** Bits 7..0 of pmcd.agent.status. */
const NOT_READY = 1;
const EXITED = 2;
const NOT_STARTED = 4;
const DROPPED = 8;

const KINDS = ["dso", "socket", "pipe"] as const;

/** What the metrics say of one agent; undefined where pmcd does not tell. */
export interface AgentWords {
  readonly domain: number;
  readonly name: string;
  readonly type: number | undefined;
  readonly status: number | undefined;
  readonly fenced: number | undefined;
  readonly metrics: number;
}

function stateOf(status: number | undefined, fenced: number | undefined): AgentState {
  if (status === undefined) return "unknown";
  const reason = status & 0xff;
  if ((reason & EXITED) !== 0) return "exited";
  if ((reason & NOT_STARTED) !== 0) return "not started";
  if ((reason & DROPPED) !== 0) return "dropped";
  if ((reason & NOT_READY) !== 0) return "not ready";
  if (fenced !== undefined && fenced !== 0) return "fenced";
  return status === 0 ? "ok" : "exited";
}

/** One agent; `exit` and `signal` are there for one that ended. */
export function agentReport(words: AgentWords): AgentReport {
  const { domain, name, type, status, fenced, metrics } = words;
  const ended = status !== undefined && status !== 0 && status !== NOT_READY;
  const signal = ended ? (status >>> 16) & 0xff : 0;
  const exit = ended ? (status >>> 8) & 0xff : 0;
  return {
    domain,
    name,
    kind: type === undefined ? null : (KINDS[type >>> 1] ?? null),
    state: stateOf(status, fenced),
    exit: ended && signal === 0 ? exit : null,
    signal: signal === 0 ? null : signal,
    reason: null,
    metrics,
  };
}

const MEANING: Readonly<Record<Exclude<AgentState, "ok">, string>> = {
  "not ready": "is starting and does not answer yet",
  exited: "has ended by itself",
  "not started": "could not be started",
  dropped: "was dropped by pmcd: it broke the protocol or took too long",
  fenced: "is fenced off from fetches",
  unknown: "has an unknown state",
};

/** A sentence about an agent that is not as it should be; undefined for one that is. */
export function agentComplaint(agent: AgentReport): string | undefined {
  const { name, state, exit, signal, reason } = agent;
  if (state === "ok") return undefined;
  if (reason !== null) return `agent ${name} ${MEANING[state]}: ${reason}`;
  const end =
    signal !== null ? ` (signal ${signal})` : exit !== null && exit > 0 ? ` (status ${exit})` : "";
  return `agent ${name} ${MEANING[state]}${end}`;
}
