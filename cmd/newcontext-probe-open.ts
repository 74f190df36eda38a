// Opening what `pcpbox newcontext-probe` is to look at: the context with the steps it took, or the
// failure in full. The environment is handed on; nothing is printed but warnings and what -D asks for.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, type PcpError, PM_ERR } from "../lib/base/mod.ts";
import type { ConnectStep } from "../lib/pdu/mod.ts";
import { type Context, newContext } from "../lib/context/mod.ts";
import {
  type Failure,
  failureOf,
  featureNames,
  type Opening,
  plainLines,
  type StepReport,
  stepReport,
  withoutPassword,
} from "../lib/probe/mod.ts";
import { PROGRAM, type ProbeRequest } from "./newcontext-probe-request.ts";
import { complain } from "./output.ts";

/** A source that is open; its opening tells the latest connection. */
export interface OpenSource {
  readonly context: Context;
  readonly opening: Opening;
}

/** A source that is open, or why it is not. */
export type Opened =
  | ({ readonly ok: true } & OpenSource)
  | { readonly ok: false; readonly failure: Failure; readonly steps: readonly StepReport[] };

/** Warnings, to standard error. */
export const warn = (message: string): void =>
  complain(`${PROGRAM}: ${plainLines(message.trimEnd())}\n`);

/** A derived metric that cannot be made of this source: told to those who ask for it by its name. */
const SEMANTIC = /^Semantic error: derived metric ([\w.]+):/;

/** Where derived metrics are defined: the paths that are in force, then the files given. */
function derivedPaths(env: NodeJS.ProcessEnv, files: readonly string[]): string {
  const place = join(env["PCP_VAR_DIR"] ?? "/var/lib/pcp", "config/derived");
  // A machine without PCP has no such folder, which is not worth a warning.
  const paths = env["PCP_DERIVED_CONFIG"] ?? (existsSync(place) ? place : "");
  return [paths, ...files].filter((path) => path !== "").join(":");
}

/** The environment with what options say about connections; watching connects again soon. */
function environmentOf({ container, derived, watch }: ProbeRequest): NodeJS.ProcessEnv {
  const env = { ...process.env };
  if (container !== undefined) env["PCP_CONTAINER"] = container;
  if (watch !== undefined) env["PMCD_RECONNECT_TIMEOUT"] ??= "1";
  env["PCP_DERIVED_CONFIG"] = derivedPaths(env, derived);
  return env;
}

/** Hears warnings of a context. */
const warner =
  ({ debug, metrics }: ProbeRequest) =>
  (message: string): void => {
    const name = SEMANTIC.exec(message)?.[1];
    const wanted =
      name === undefined ||
      debug.includes("derive") ||
      debug.includes("all") ||
      metrics.some((each) => each === name || each.startsWith(`${name}[`));
    if (wanted) warn(message);
  };

/** Steps in which it is the proxy that answers, or does not. */
const OF_PROXY: readonly string[] = ["connect", "greeting", "challenge"];

/** The step that a failure of connecting belongs to: the last one that failed. */
function failedStep(steps: readonly StepReport[]): string | undefined {
  const found = steps.findLast((each) => each.error !== null);
  return found?.proxied === true && OF_PROXY.includes(found.step) ? "proxy" : found?.step;
}

/** Milliseconds by which the starts of one connection, told by its steps, may differ. */
const SAME_CONNECTION_MS = 100;

/** Collects the steps of the latest connection; an earlier one is forgotten when another begins. */
class Connecting implements Opening {
  readonly steps: StepReport[] = [];
  features: readonly string[] = [];
  private began = 0;

  constructor(private readonly debug: boolean) {}

  get connectMs(): number {
    return Math.max(0, ...this.steps.map((each) => each.startMs + each.durationMs));
  }

  observe(step: ConnectStep): void {
    const report = stepReport(step, Date.now());
    const began = performance.now() - step.duration - step.start;
    if (Math.abs(began - this.began) > SAME_CONNECTION_MS) {
      this.steps.length = 0;
      this.began = began;
    }
    this.steps.push(report);
    if (step.kind === "challenge" && step.error === undefined)
      this.features = featureNames(step.features);
    if (this.debug)
      complain(`${report.step}: ${report.detail} (${report.durationMs.toFixed(3)} ms)\n`);
  }
}

async function openHost(request: ProbeRequest, name: string): Promise<Opened> {
  const { debug } = request;
  const opening = new Connecting(debug.includes("context") || debug.includes("all"));
  const { steps } = opening;
  try {
    const host = { observe: (step: ConnectStep): void => opening.observe(step) };
    const options = { env: environmentOf(request), warn: warner(request), host };
    const context = await newContext({ type: "host", host: name }, options);
    return { ok: true, context, opening };
  } catch (error) {
    const step = failedStep(steps);
    const place = step === undefined ? {} : { step };
    return {
      ok: false,
      failure: failureOf(sourceError(error), { about: "host", ...place }),
      steps,
    };
  }
}

const NO_STEPS: Opening = { steps: [], connectMs: null, features: [] };

/** What was thrown as a PcpError; a fault of our own goes on as it is. */
function sourceError(error: unknown): PcpError {
  const found = asPcpError(error);
  if (found !== error && found.code === PM_ERR.GENERIC) throw error;
  return found;
}

/** Opens a context over the agents of this machine; they end with it. */
async function openLocal(
  { localAgents }: ProbeRequest,
  options: { readonly env: NodeJS.ProcessEnv; readonly warn: (message: string) => void },
): Promise<Opened> {
  const { tableOf } = await import("./local-agents.ts");
  const agents = tableOf(PROGRAM, localAgents, options.env);
  const context = await newContext(
    { type: "local" },
    { ...options, local: { agents, closeAgents: true } },
  );
  return { ok: true, context, opening: NO_STEPS };
}

/** Opens the source of a request. */
export async function openSource(request: ProbeRequest): Promise<Opened> {
  const { source, watch } = request;
  if (source.type === "host") return openHost(request, source.name);
  try {
    const options = { env: environmentOf(request), warn: warner(request) };
    if (source.type === "local") return await openLocal(request, options);
    const context = await newContext(
      { type: "archive", archive: source.name },
      { ...options, archive: { growing: watch !== undefined } },
    );
    return { ok: true, context, opening: NO_STEPS };
  } catch (error) {
    return { ok: false, failure: failureOf(sourceError(error), { about: source.type }), steps: [] };
  }
}

/** `Cannot open archive "X"`: what failed, without why. */
export function cannotOpen({ source }: ProbeRequest): string {
  if (source.type === "host")
    return `Cannot connect to PMCD on host "${withoutPassword(source.name)}"`;
  if (source.type === "archive") return `Cannot open archive "${source.name}"`;
  return "Cannot make standalone connection on localhost";
}
