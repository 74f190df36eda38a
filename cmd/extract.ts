// `pcpbox extract`, alias pmlogextract: turns the command line into a job, runs it, and prints what it
// says as the C program does. A summary, a report of a dry run and a progress line are ours. Mistakes on
// the command line are refused before; what is wrong with archives, the engine says.

import type { ExtractJob, ExtractSummary, Stream } from "../lib/extract/mod.ts";
import { isGiven } from "../lib/cli/mod.ts";
import { jobOf } from "./extract-job.ts";
import { watchProgress } from "./extract-progress.ts";
import { type ExtractOptions, extractVerb } from "./options/extract.ts";
import { notice } from "./notice.ts";
import { complain, say } from "./output.ts";
import { isTerminal } from "./terminal.ts";
import { command, type CommandLine } from "./verb.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Where the texts of a run go. As in the C program, standard output that is no terminal comes after
 * everything on standard error; with `json` it has the summary alone.
 */
function speech(json: boolean, beforeText: () => void) {
  const held: string[] = [];
  const direct = isTerminal("stdout");
  return {
    say(text: string, stream: Stream): void {
      beforeText();
      if (stream === "notice") notice(text);
      else if (stream === "stderr" || json) complain(text);
      else if (direct) say(text);
      else held.push(text);
    },
    flush: (): void => {
      if (held.length > 0) say(held.join(""));
    },
  };
}

/** Runs a job; on a signal it is given up, and the signal then ends the process as it would have. */
async function runJob(job: ExtractJob, json: boolean, progress: boolean): Promise<ExtractSummary> {
  const { extract } = await import("../lib/extract/mod.ts");
  const line = watchProgress(progress);
  const { say: tell, flush } = speech(json, line.clear);
  let caught: (typeof SIGNALS)[number] | undefined;
  const catchers = SIGNALS.map((name) => [name, () => void (caught ??= name)] as const);
  for (const [name, catcher] of catchers) process.on(name, catcher);
  try {
    return await extract(job, {
      say: tell,
      progress: line.show,
      cancelled: () => caught !== undefined,
    });
  } finally {
    line.clear();
    flush();
    for (const [name, catcher] of catchers) process.off(name, catcher);
    if (caught !== undefined) process.kill(process.pid, caught);
  }
}

async function work(line: CommandLine<ExtractOptions>): Promise<number> {
  const { options, invocation } = line;
  const json = isGiven(options, "json");
  // Scripts that call pmlogextract get its messages and nothing else; people see more.
  const people = invocation.program !== extractVerb.program || isTerminal("stderr");
  const job = jobOf(line, people);
  const summary = await runJob(job, json, !isGiven(options, "noProgress"));
  if (json || job.dryRun === true) {
    const { reportText, summaryJson } = await import("./extract-report.ts");
    if (json) say(summaryJson(summary, job));
    else if (summary.status === 0) say(reportText(summary, job));
  }
  return summary.status;
}

export default command(extractVerb, work);
