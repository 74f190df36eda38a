// What a command line of `pcpbox newcontext-probe` and the environment ask for, as one value. The
// environment counts as options before those of the command line (spec archive.md 14.6). Mistakes
// come back as PCP's sentences, all of them; nothing is opened here.

import { type Given, isGiven, lastGiven, type Parsed, valuesGiven } from "../lib/cli/mod.ts";
import {
  type DumpPart,
  type ProbeOptions,
  samples,
  samplingInterval,
} from "./options/newcontext-probe.ts";

/** Name of this verb in messages. */
export const PROGRAM = "newcontext-probe";

/** Where metrics come from. */
export type ProbeSource =
  | { readonly type: "host"; readonly name: string }
  | { readonly type: "archive"; readonly name: string }
  | { readonly type: "local" };

/** The reporting zone: that of the source, a named one, or that of this process. */
export type ProbeZone =
  | { readonly kind: "source" }
  | { readonly kind: "named"; readonly name: string }
  | { readonly kind: "own" };

/** What is to be shown. */
export type ProbeTask = "look" | "metrics" | "dump" | "check";

/** A command line without mistakes. */
export interface ProbeRequest {
  readonly source: ProbeSource;
  /** Operations on the table of local agents, in order. */
  readonly localAgents: readonly string[];
  readonly derived: readonly string[];
  readonly container: string | undefined;
  readonly task: ProbeTask;
  readonly metrics: readonly string[];
  readonly window: {
    readonly start: string | undefined;
    readonly finish: string | undefined;
    readonly align: string | undefined;
    readonly origin: string | undefined;
  };
  /** Infinity without a limit; undefined when nothing was said. */
  readonly samples: number | undefined;
  /** Seconds. */
  readonly interval: number | undefined;
  readonly zone: ProbeZone;
  readonly raw: boolean;
  /** How often -x was given. */
  readonly fullTimes: number;
  readonly parts: readonly DumpPart[];
  readonly reverse: boolean;
  readonly json: boolean;
  /** Seconds. */
  readonly watch: number | undefined;
  readonly noColor: boolean;
  readonly debug: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;
type ProbeGiven = readonly Given<ProbeOptions>[];

/** The last of an option; without it the variable's value, read the same way. */
function orVariable<T>(
  given: T | undefined,
  text: string | undefined,
  parse: (text: string) => Parsed<T>,
  errors: string[],
): T | undefined {
  if (given !== undefined || text === undefined) return given;
  const parsed = parse(text);
  if (parsed.ok) return parsed.value;
  errors.push(parsed.error);
  return undefined;
}

/** Archive names joined as PCP's tools join them: exact duplicates once. */
function archiveList(options: ProbeGiven, env: Environment): string | undefined {
  const names = [
    ...(env["PCP_ARCHIVE"] === undefined ? [] : [env["PCP_ARCHIVE"]]),
    ...valuesGiven(options, "archive"),
  ];
  return names.length === 0 ? undefined : [...new Set(names)].join(",");
}

function sourceOf(
  options: ProbeGiven,
  env: Environment,
  errors: string[],
): ProbeSource | undefined {
  const hosts = [
    ...(env["PCP_HOST"] === undefined ? [] : [env["PCP_HOST"]]),
    ...valuesGiven(options, "host"),
  ];
  const archive = archiveList(options, env);
  const local = isGiven(options, "localPmda") || env["PCP_LOCALMODE"] !== undefined;
  const [host, second] = hosts;
  if (second !== undefined) errors.push(`too many hosts requested: ${second}`);
  if (host !== undefined && archive !== undefined) {
    errors.push("only one host or archive allowed");
  } else if (local && (host !== undefined || archive !== undefined)) {
    errors.push("at most one of -a, -h and -L allowed");
  }
  if (errors.length > 0) return undefined;
  if (local) return { type: "local" };
  if (archive !== undefined) return { type: "archive", name: archive };
  return { type: "host", name: host ?? "local:" };
}

function zoneOf(options: ProbeGiven, env: Environment, errors: string[]): ProbeZone {
  const name = lastGiven(options, "timezone")?.value ?? env["PCP_TIMEZONE"];
  const ofSource = isGiven(options, "hostzone") || env["PCP_HOSTZONE"] !== undefined;
  if (name !== undefined && ofSource) errors.push("at most one of -Z and -z allowed");
  if (ofSource) return { kind: "source" };
  return name === undefined ? { kind: "own" } : { kind: "named", name };
}

/** Mistakes in what belongs together. */
function misfits(request: ProbeRequest): readonly string[] {
  const { source, window, task } = request;
  const errors: string[] = [];
  const windowed =
    window.start !== undefined || window.align !== undefined || window.origin !== undefined;
  if (source.type !== "archive" && windowed) {
    errors.push("time window options are supported for archives only");
  }
  if (task === "dump" && source.type !== "archive") errors.push("--dump needs an archive (-a)");
  if (request.watch !== undefined && (task === "dump" || task === "check")) {
    errors.push(`--watch and --${task} exclude each other`);
  }
  if (request.watch !== undefined && source.type === "archive" && request.interval !== undefined) {
    errors.push("--watch follows the records of an archive, without -t");
  }
  if (task === "check" && request.metrics.length > 0) errors.push("--check takes no metrics");
  return errors;
}

/** The request, or PCP's sentences for all mistakes. */
export function requestOf(
  options: ProbeGiven,
  metrics: readonly string[],
  env: Environment,
):
  | { readonly ok: true; readonly request: ProbeRequest }
  | { readonly ok: false; readonly errors: readonly string[] } {
  const errors: string[] = [];
  const source = sourceOf(options, env, errors);
  const zone = zoneOf(options, env, errors);
  const or = (given: string | undefined, ...variables: readonly string[]): string | undefined =>
    given ?? variables.map((name) => env[name]).find((value) => value !== undefined);
  const limit = orVariable(
    lastGiven(options, "samples")?.value,
    env["PCP_SAMPLES"],
    samples,
    errors,
  );
  const interval = orVariable(
    lastGiven(options, "interval")?.value,
    env["PCP_INTERVAL"],
    samplingInterval,
    errors,
  );
  const parts = valuesGiven(options, "part").flat();
  const dump = isGiven(options, "dump") || parts.length > 0 || isGiven(options, "reverse");
  const check = isGiven(options, "check");
  if (dump && check) errors.push("at most one of --dump and --check allowed");
  if (source === undefined || errors.length > 0) return { ok: false, errors };
  const agents = env["PCP_SPECLOCAL"];
  const request: ProbeRequest = {
    source,
    localAgents: [...(agents === undefined ? [] : [agents]), ...valuesGiven(options, "specLocal")],
    derived: valuesGiven(options, "derived"),
    container: lastGiven(options, "container")?.value,
    task: dump ? "dump" : check ? "check" : metrics.length > 0 ? "metrics" : "look",
    metrics,
    window: {
      start: or(lastGiven(options, "start")?.value, "PCP_START_TIME"),
      finish: or(lastGiven(options, "finish")?.value, "PCP_FINISH_TIME"),
      align: or(lastGiven(options, "align")?.value, "PCP_ALIGN_TIME"),
      origin: or(lastGiven(options, "origin")?.value, "PCP_ORIGIN_TIME", "PCP_ORIGIN"),
    },
    samples: limit === 0 ? Infinity : limit,
    interval,
    zone,
    raw: isGiven(options, "raw"),
    fullTimes: valuesGiven(options, "timestamp").length,
    parts,
    reverse: isGiven(options, "reverse"),
    json: isGiven(options, "json"),
    watch: lastGiven(options, "watch")?.value,
    noColor: isGiven(options, "noColor"),
    debug: valuesGiven(options, "debug").flat(),
  };
  const wrong = misfits(request);
  return wrong.length > 0 ? { ok: false, errors: wrong } : { ok: true, request };
}
