// One change of the table of agents as text, the argument of -K (spec local.md 4). Refuses what
// pmSpecLocalPMDA(3) refuses, with its words.
import { PcpError, PM_ERR } from "../base/mod.ts";

/** One operation on the table. */
export type LocalOperation =
  | { readonly op: "clear" }
  | { readonly op: "add"; readonly domain: number; readonly name: string; readonly init: string }
  | { readonly op: "del"; readonly domain: number | undefined; readonly name: string | undefined };

/** Highest domain of an agent; 511 is for names alone. */
export const MAX_DOMAIN = 510;

/** What a refused specification, or operation, says. */
export const specError = (reason: string, cause?: unknown): PcpError =>
  new PcpError(PM_ERR.GENERIC, `pmSpecLocalPMDA failed: ${reason}`, { cause });

const refuse = (reason: string): never => {
  throw specError(reason);
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
    const [name, init] = cut(more ?? "");
    if (name === "") return refuse("missing dso-path in spec");
    return init === undefined || init === ""
      ? refuse("missing init-routine in spec")
      : { op: "add", domain, name, init };
  }
  const name = more === undefined ? undefined : cut(more)[0] || undefined;
  if (number === "" && more === undefined) return refuse("missing domain in spec");
  if (number === "" && name === undefined) return refuse("missing domain and dso-path in spec");
  return { op: "del", domain: number === "" ? undefined : domainOf(number), name };
}
