// The command line of extract as a job for the engine. Reads the configuration file; one that cannot be
// opened is refused here with the C program's sentence, one that cannot be read once the inputs are open.

import { closeSync, openSync, readFileSync } from "node:fs";

import { asPcpError, pmErrStr } from "../lib/base/mod.ts";
import { isGiven, lastGiven, valuesGiven } from "../lib/cli/mod.ts";
import {
  type ExtractJob,
  selectionOf,
  type Selection,
  type ZoneChoice,
} from "../lib/extract/mod.ts";
import type { ExtractOptions } from "./options/extract.ts";
import type { CommandLine } from "./verb.ts";

/** The selection of a file. `picture`: mistakes are shown with place and mark. */
function readSelection(file: string, picture: boolean): Selection {
  const fail = (text: string, status: 1 | 2): Selection => ({
    file,
    requests: [],
    failure: { text, status },
  });
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const reason = pmErrStr(asPcpError(error).code);
    return fail(`pmlogextract: Cannot open config file "${file}": ${reason}\n`, 1);
  }
  try {
    return selectionOf(file, readFileSync(descriptor), picture);
  } catch (error) {
    // The C program does not say which file, nor why.
    const reason = pmErrStr(asPcpError(error).code);
    return fail(`input in flex scanner failed\n${picture ? `${file}: ${reason}\n` : ""}`, 2);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The job of a command line without mistakes. `people` look at the messages: they are told of all
 * conflicts at once and see where a mistake in the configuration is.
 */
export function jobOf(
  { options, operands }: CommandLine<ExtractOptions>,
  people: boolean,
): ExtractJob {
  const given = (key: Parameters<typeof isGiven<(typeof options)[number]>>[1]): boolean =>
    isGiven(options, key);
  const config = lastGiven(options, "config")?.value;
  const timezone = lastGiven(options, "timezone")?.value;
  const start = lastGiven(options, "start")?.value;
  const finish = lastGiven(options, "finish")?.value;
  const zone: ZoneChoice =
    timezone !== undefined
      ? { kind: "named", name: timezone }
      : { kind: given("hostzone") ? "host" : "local" };
  return {
    inputs: operands.slice(0, -1),
    output: operands.at(-1) ?? "",
    selection: config === undefined ? undefined : readSelection(config, people),
    start,
    finish,
    zone,
    samples: lastGiven(options, "samples")?.value,
    volume: lastGiven(options, "volume")?.value,
    version: lastGiven(options, "outputVersion")?.value,
    alwaysMark: given("mark"),
    // Without both ends the verb has warned that it is ignored.
    daily: given("daily") && start !== undefined && finish !== undefined,
    skipConflicts: given("skipConflicts"),
    firstConflictOnly: !people,
    desperate: given("desperate"),
    firstTimezone: given("first"),
    explainVolumes: valuesGiven(options, "debug").some(
      (names) => names.includes("appl5") || names.includes("all"),
    ),
    dryRun: given("dryRun"),
    compress: lastGiven(options, "compress")?.value,
    jobs: lastGiven(options, "jobs")?.value,
  };
}
