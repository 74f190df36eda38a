// The phases of a run of pmlogextract in its order (spec extract.md 2): open the inputs, look the selection
// up, create the output, check the inputs against one another, work out the window, unite the metadata,
// merge the data. Refused: what the C program refuses, with its messages and status; after a failure
// nothing of the output stays, unless the run is desperate.
import { PcpError, turn } from "../base/mod.ts";
import { compareTimes as compare } from "../archive/mod.ts";
import {
  type Instant,
  localZone,
  newZone,
  now as present,
  type Timestamp,
  timeWindow,
  type Zone,
} from "../pcp/mod.ts";
import { DescriptionWriter } from "./descriptions.ts";
import { errorText, ExtractStop, PROGRAM } from "./failure.ts";
import { type Input, type Inputs, openInputs } from "./inputs.ts";
import { type Metadata, uniteMetadata } from "./metadata.ts";
import { Output, type OutputLabel, type Packing } from "./output.ts";
import { DataPass } from "./pass.ts";
import { type SelectedMetrics, Selector } from "./selection.ts";
import { Shapes } from "./shapes.ts";
import type { ExtractHooks, ExtractJob, ExtractSummary } from "./types.ts";

const DAY = 86_400;
/** Milliseconds between two looks at progress and cancellation. */
const PAUSE = 200;

interface Window {
  readonly start?: Instant | undefined;
  readonly finish?: Instant | undefined;
  readonly daily: boolean;
}

/** What a run has come to, for the summary. */
interface Run {
  readonly job: ExtractJob;
  readonly hooks: ExtractHooks;
  readonly began: number;
  inputs: Inputs;
  output?: Output;
  window: Window;
  version: 2 | 3;
  metadata?: Metadata;
  pass?: DataPass;
}

/** Says why a run ends and makes the error that ends it. */
function stop({ hooks }: Run, text: string, abandon: boolean): ExtractStop {
  hooks.say(`${PROGRAM}: ${text}\n`, "stderr");
  return new ExtractStop(1, abandon);
}

/** A zone that is worked out when it is first asked for: the tables of zones take a while to load. */
function lazy(make: () => Zone): () => Zone {
  let zone: Zone | undefined;
  return () => (zone ??= make());
}

/** The zone of -S, -T and messages; tells which one it is where it is not the local one. */
function reportingZone(run: Run): () => Zone {
  const { job, hooks, inputs } = run;
  const choice = job.zone ?? { kind: "local" };
  if (choice.kind === "local") return lazy(() => localZone(job.env ?? process.env));
  const [first] = inputs.list as readonly [Input];
  const name = choice.kind === "named" ? choice.name : first.label.timezone;
  let zone: Zone;
  try {
    zone = newZone(name);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const text = `Cannot set timezone to "${name}": ${errorText(error)}`;
    // The C program has no output yet and speaks of it all the same.
    const end = job.desperate === true ? "" : `\nArchive "${job.output}" not created.`;
    throw stop(run, text + end, false);
  }
  const note =
    choice.kind === "named"
      ? `"TZ=${name}"`
      : `local timezone of host "${first.label.host}" from archive`;
  hooks.say(`Note: timezone set to ${note}\n\n`, "stdout");
  return () => zone;
}

/** Checks the inputs against one another and says what the labels of the output are. */
function chooseLabel(run: Run): OutputLabel {
  const { job, hooks } = run;
  const { list } = run.inputs;
  const wanted = job.version;
  for (const { name, label } of list) {
    if (wanted === undefined || label.version <= wanted) continue;
    const text = `Error: input archive version must be no more than ${wanted}`;
    throw stop(run, `${text}\narchive: ${name} version: ${label.version}`, true);
  }
  const greatest = list.some(({ label }) => label.version === 3) ? 3 : 2;
  run.version = wanted ?? greatest;
  const [first] = list as readonly [Input];
  const used = job.firstTimezone === true ? first : (list.at(-1) ?? first);
  for (const { name, label } of list) {
    if (label.host !== first.label.host) {
      const hosts = `archive: ${first.name} host: ${first.label.host}\narchive: ${name} host: ${label.host}`;
      throw stop(run, `Error: host name mismatch for input archives\n${hosts}`, true);
    }
    if (label.timezone !== used.label.timezone) {
      hooks.say(
        `${PROGRAM}: Warning: timezone mismatch for input archives\n` +
          `archive: ${used.name} timezone: ${used.label.timezone} [will be used]\n` +
          `archive: ${name} timezone: ${label.timezone} [will be ignored]\n`,
        "stderr",
      );
    }
  }
  const { timezone, zoneinfo } = used.label;
  const pid = job.pid ?? process.pid;
  return { version: run.version, pid, host: first.label.host, timezone, zoneinfo };
}

const least = (times: readonly Timestamp[]): Timestamp =>
  times.reduce((a, b) => (compare(b, a) < 0 ? b : a));

/** Latest end of all inputs; undefined when that of one is not known. */
function latestEnd(list: readonly Input[]): Timestamp | undefined {
  let latest: Timestamp | undefined;
  for (const { end } of list) {
    if (end === undefined) return undefined;
    if (latest === undefined || compare(end, latest) > 0) latest = end;
  }
  return latest;
}

/** The window of -S, -T and -w over all inputs. */
function chooseWindow(run: Run, zone: () => Zone): Window {
  const { job, hooks, inputs } = run;
  if (job.start === undefined && job.finish === undefined) return { daily: false };
  const bounds = {
    start: least(inputs.list.map(({ label }) => label.start)),
    finish: latestEnd(inputs.list),
  };
  let window: { readonly start: Instant; readonly finish?: Instant | undefined };
  try {
    const { start, finish } = job;
    window = timeWindow({ start, finish }, bounds, { zone: zone(), now: job.now ?? present() });
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw stop(run, `Invalid time window specified: ${error.message}`, true);
  }
  const start = job.start === undefined ? undefined : window.start;
  // An end before 1970 counts as none, as in the C program.
  const isSet = job.finish !== undefined && (window.finish?.sec ?? 0) >= 0;
  const finish = isSet ? window.finish : undefined;
  let daily = job.daily === true && start !== undefined && finish !== undefined;
  if (daily && start !== undefined && finish !== undefined && start.sec + DAY < finish.sec) {
    hooks.say(
      `${PROGRAM}: Warning: -S and -T must specify a time window within\n` +
        "the same day, for -w to be used.  Ignoring -w flag.\n",
      "stderr",
    );
    daily = false;
  }
  return { start, finish, daily };
}

async function mergeData(run: Run, pass: DataPass): Promise<void> {
  const { hooks, inputs, output, began } = run;
  const bytesTotal = inputs.list.reduce((sum, { bytes }) => sum + bytes, 0);
  pass.begin();
  for (let looked = performance.now(); pass.step();) {
    const time = performance.now();
    if (time - looked < PAUSE) {
      if (output?.full === true) await output.relief();
      continue;
    }
    looked = time;
    const seconds = (time - began) / 1000;
    const records = output?.counts.records ?? 0;
    hooks.progress?.({ bytesRead: pass.bytesRead, bytesTotal, records, seconds });
    await turn();
    if (hooks.cancelled?.() === true) throw new ExtractStop(1, true);
  }
}

/** What follows the creation of the output; ExtractStop from here on is to give it up. */
async function fillOutput(
  run: Run,
  output: Output,
  zone: () => Zone,
  selected: SelectedMetrics | undefined,
): Promise<void> {
  const { job, hooks } = run;
  const { list } = run.inputs;
  const label = chooseLabel(run);
  output.begin(label, least(list.map((input) => input.label.start)));
  run.window = chooseWindow(run, zone);
  const metadata = uniteMetadata(job, hooks, list, selected);
  run.metadata = metadata;
  const descriptions = new DescriptionWriter(run.version, metadata, (bytes) =>
    output.putMeta(bytes),
  );
  const pass = new DataPass({
    inputs: list,
    version: run.version,
    output,
    shapes: new Shapes(selected, metadata.dropped, descriptions),
    descriptions,
    hooks,
    zone,
    logEnd: latestEnd(list),
    start: run.window.start,
    finish: run.window.finish,
    daily: run.window.daily,
    alwaysMark: job.alwaysMark === true,
    samples: job.samples,
  });
  run.pass = pass;
  try {
    await mergeData(run, pass);
    if (!pass.began) throw stop(run, "Warning: no qualifying records found.", true);
    await output.complete();
    if (job.compress !== undefined) {
      // Compressing the rest took a while.
      await turn();
      if (hooks.cancelled?.() === true) throw new ExtractStop(1, true);
    }
    output.finish(pass.current);
    output.publish();
  } finally {
    pass.close();
  }
}

/** How the files are compressed while they are written; its libraries take a while to load. */
async function choosePacking(run: Run): Promise<Packing | undefined> {
  const { compress: format, jobs = 1, env, compressBlock: block } = run.job;
  if (format === undefined) return undefined;
  const { PackedFile, packProgram, SUFFIXES } = await import("./compress.ts");
  const programs = (env ?? process.env)["PATH"] ?? "";
  let program: string | undefined;
  try {
    program = packProgram(format, programs);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw stop(run, `Error: compression: ${error.message}`, false);
  }
  return {
    suffix: SUFFIXES[format],
    pack: (file) => new PackedFile(file, { format, jobs, program, block }),
  };
}

async function runPhases(run: Run): Promise<void> {
  const { job, hooks } = run;
  const selector = job.selection === undefined ? undefined : new Selector(job.selection);
  run.inputs = openInputs(
    job,
    hooks,
    selector === undefined ? undefined : (catalog) => selector.look(catalog),
  );
  if (run.inputs.list.length === 0) {
    throw stop(run, "Warning: all input archive(s) are empty, no output archive created", false);
  }
  const selected = selector?.finish(hooks);
  const zone = reportingZone(run);
  const { output: name, volume: volumeRule, largestVolume, dryRun = false } = job;
  const explainVolumes = job.explainVolumes === true;
  const packing = dryRun ? undefined : await choosePacking(run);
  const output = new Output(
    { name, volumeRule, largestVolume, dryRun, explainVolumes, zone, packing },
    hooks,
  );
  run.output = output;
  try {
    await fillOutput(run, output, zone, selected);
  } catch (error) {
    const keep = job.desperate === true && error instanceof ExtractStop;
    await output.abandon(keep);
    if (!keep && error instanceof ExtractStop) {
      hooks.say(`Archive "${name}" not created.\n`, "stderr");
    }
    throw error;
  }
}

function summaryOf(run: Run, status: 0 | 1 | 2): ExtractSummary {
  const { job, inputs, output, metadata, pass, window } = run;
  const counts = output?.counts;
  const bytes = { data: counts?.data ?? 0, meta: counts?.meta ?? 0, index: counts?.index ?? 0 };
  return {
    status,
    output: job.output,
    version: run.version,
    inputs: inputs.list.map(({ name, label, end, bytes: size }, i) => ({
      name,
      version: label.version,
      host: label.host,
      start: label.start,
      end,
      records: pass?.sources[i]?.reader.records ?? 0,
      bytes: size,
      damaged: pass?.sources[i]?.damaged ?? false,
    })),
    empty: inputs.empty,
    window: { start: window.start, finish: window.finish },
    metrics: [...(metadata?.metrics ?? [])]
      .filter(([, metric]) => metric.written)
      .map(([pmid, { names }]) => ({ pmid, names })),
    dropped: [...(metadata?.dropped ?? [])],
    records: counts?.records ?? 0,
    marks: counts?.marks ?? 0,
    volumes: counts?.volumes ?? 0,
    start: output?.start,
    end: pass?.began === true ? pass.current : undefined,
    bytes,
    seconds: (performance.now() - run.began) / 1000,
  };
}

/**
 * Does what pmlogextract does. What goes wrong is said through `hooks` and told by the status; errors
 * are thrown only for faults of this program.
 */
export async function extract(job: ExtractJob, hooks: ExtractHooks): Promise<ExtractSummary> {
  const run: Run = {
    job,
    hooks,
    began: performance.now(),
    inputs: { list: [], empty: [] },
    window: { daily: false },
    version: job.version ?? 3,
  };
  try {
    await runPhases(run);
    return summaryOf(run, 0);
  } catch (error) {
    if (error instanceof ExtractStop) return summaryOf(run, error.status);
    throw error;
  }
}
