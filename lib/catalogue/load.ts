// A load into a catalogue (spec series.md 4): one archive, or those of a directory, are put into it; nothing
// of them is copied. It takes as long as their metadata are large, without giving way. Refused, by PCP's
// messages: what is no archive, a directory with one that cannot be read.
import { statSync } from "node:fs";
import { compileGlob, PcpError, pmErrStr } from "../base/mod.ts";
import { contextName, type LoadReport, SeriesProblem } from "../series/mod.ts";
import type { Catalogue } from "./catalogue.ts";
import { rescan, takeArchive } from "./follow.ts";

/** Directories below one that is to be loaded. */
const MOST_FOLDERS = 10_000;

/** What is put into a catalogue. */
export interface CatalogueLoad {
  /** An archive, or a directory. */
  readonly path: string;
  /** Patterns of names of metrics that are not catalogued. */
  readonly excludeMetrics: readonly string[];
}

/** Puts it in; `signal` ends it after the archive that is being read. Throws SeriesProblem. */
export async function loadCatalogue(
  catalogue: Catalogue,
  { path, excludeMetrics }: CatalogueLoad,
  signal?: AbortSignal,
): Promise<LoadReport> {
  const patterns = excludeMetrics.map((pattern) => compileGlob(pattern.trim()));
  const excluded = (name: string): boolean => patterns.some((fits) => fits(name));
  const report = { records: 0, values: 0, whole: true };
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
      return { context: takeArchive(catalogue, path, { excluded }), ...report };
    const { problems } = await rescan(catalogue, [contextName(path)], {
      excluded,
      mostFolders: MOST_FOLDERS,
      ...(signal === undefined ? {} : { signal }),
    });
    const [first] = problems;
    if (first !== undefined)
      throw new SeriesProblem(`cannot open archive "${first.path}": ${first.problem}`);
    return { context: contextName(path), ...report };
  } catch (error) {
    if (!(error instanceof PcpError) || error instanceof SeriesProblem) throw error;
    throw new SeriesProblem(`cannot open archive "${path}": ${pmErrStr(error.code)}`);
  }
}
