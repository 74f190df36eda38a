// Local agents: the operations of -K on their table (spec local.md 4), and the table as a report.
// Refuses what pmSpecLocalPMDA(3) refuses, with its words. Shared objects are not loaded here: an
// agent that is added this way is in the table with the reason why it does not answer.
import { PcpError, PM_ERR } from "../base/mod.ts";
import type { LocalAgents } from "../context/mod.ts";
import { plainText } from "./plain.ts";
import type { AgentReport } from "./report.ts";

/** One operation on the table. */
export type LocalOperation =
  | { readonly op: "clear" }
  | { readonly op: "add"; readonly domain: number; readonly path: string; readonly init: string }
  | { readonly op: "del"; readonly domain: number | undefined; readonly path: string | undefined };

const MAX_DOMAIN = 510;

const refuse = (reason: string): never => {
  throw new PcpError(PM_ERR.GENERIC, `pmSpecLocalPMDA failed: ${reason}`);
};

function domainOf(text: string): number {
  if (!/^\s*[+-]?\d+$/.test(text)) return refuse("bad domain in spec");
  const domain = Number(text);
  return domain >= 0 && domain <= MAX_DOMAIN ? domain : refuse("bad domain in spec");
}

/** Cuts at the first comma; the second part is undefined without one. */
function cut(text: string): readonly [string, string | undefined] {
  const comma = text.indexOf(",");
  return comma < 0 ? [text, undefined] : [text.slice(0, comma), text.slice(comma + 1)];
}

/** Reads one -K; PM_ERR_GENERIC with PCP's sentence. */
export function parseLocalSpec(spec: string): LocalOperation {
  const op = /^(?:clear|add|del)/.exec(spec)?.[0];
  if (op === undefined) return refuse("bad op in spec");
  const rest = spec.slice(op.length);
  if (op === "clear") {
    return rest === "" ? { op } : refuse("unexpected text after clear op in spec");
  }
  if (!rest.startsWith(",")) return refuse("expected , after op in spec");
  const [number, more] = cut(rest.slice(1));
  if (op === "add") {
    if (number === "") return refuse("missing domain in spec");
    const domain = domainOf(number);
    const [path, init] = cut(more ?? "");
    if (path === "") return refuse("missing dso-path in spec");
    return init === undefined || init === ""
      ? refuse("missing init-routine in spec")
      : { op: "add", domain, path, init };
  }
  const path = more === undefined ? undefined : cut(more)[0] || undefined;
  if (number === "" && more === undefined) return refuse("missing domain in spec");
  if (number === "" && path === undefined) return refuse("missing domain and dso-path in spec");
  return { op: "del", domain: number === "" ? undefined : domainOf(number), path };
}

/** Does the operations in order; PM_ERR_GENERIC with PCP's sentence for one that finds nothing. */
export function applyLocalSpecs(agents: LocalAgents, specs: readonly string[]): void {
  for (const operation of specs.map(parseLocalSpec)) {
    if (operation.op === "clear") agents.clear();
    else if (operation.op === "add") {
      const { domain, path, init } = operation;
      const agent = new PcpError(PM_ERR.NOAGENT, "shared objects cannot be loaded by this program");
      agents.add({ domain, name: path, init, agent });
    } else {
      const { domain, path } = operation;
      const match = {
        ...(domain === undefined ? {} : { domain }),
        ...(path === undefined ? {} : { name: path }),
      };
      try {
        agents.delete(match);
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        refuse("__pmLocalPMDA: Unknown or illegal instance domain identifier");
      }
    }
  }
}

/** The table as a report; `metrics` are the names that each domain serves. */
export function localAgentReports(
  agents: LocalAgents,
  metrics: ReadonlyMap<number, number>,
): readonly AgentReport[] {
  return agents.entries.map(({ domain, name, agent }) => ({
    domain,
    name: plainText(name),
    kind: agent instanceof PcpError ? "dso" : "own",
    state: agent instanceof PcpError ? "not started" : "ok",
    exit: null,
    signal: null,
    reason: agent instanceof PcpError ? plainText(agent.message) : null,
    metrics: metrics.get(domain) ?? 0,
  }));
}
