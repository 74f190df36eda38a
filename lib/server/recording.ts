// The recorder as part of the proxy: this machine's own metrics, by its pmcd or by what stands in for one, into
// archives of the state directory, where no logger of PCP records them. Refuses nothing: where there is
// no place for archives there is no recorder, and the log says so.

import { hostname } from "node:os";
import { join } from "node:path";
import { type Log, PM_ERR, PcpError } from "../base/mod.ts";
import { type Context, newContext } from "../context/mod.ts";
import { loggerAround, type Recorder, startRecorder } from "../record/mod.ts";
import type { ProxySettings } from "./settings.ts";
import { usableDirectory } from "./state-directory.ts";

/** What recording needs of the proxy around it. */
export interface RecordingParts {
  readonly log: Log;
  /** Stands in for the pmcd of this machine while none answers. */
  readonly fallback?: () => Promise<Context>;
}

/** Where the recorder's archives are; undefined when it is off or has no place. */
export function recordDirectory({ record, paths }: ProxySettings, log: Log): string | undefined {
  if (!record.enabled) return undefined;
  if (record.path !== undefined && record.path !== "") return record.path;
  const state = usableDirectory(paths.stateDirectories);
  if (state === undefined) log.warning("nothing is recorded: there is no place for it");
  return state === undefined ? undefined : join(state, "archives", hostname());
}

/** A context over this machine. */
async function thisMachine({ fallback, log }: RecordingParts): Promise<Context> {
  try {
    return await newContext({ type: "host", host: "local:" }, { derived: "none" });
  } catch (error) {
    if (fallback === undefined || !(error instanceof PcpError)) throw error;
    if (error.code === PM_ERR.PERMISSION) throw error;
    log.debug(`recorder: no pmcd: ${error.message}`);
    return fallback();
  }
}

/** Records into `directory` until it is closed; `onArchive` hears of each archive that can be read. */
export function openRecorder(
  directory: string,
  { record, paths }: ProxySettings,
  parts: RecordingParts,
  onArchive: (base: string) => void,
): Recorder {
  const { intervalSeconds, keepDays, keepBytes, compress, metrics } = record;
  const { tmpDirectory, archiveDirectory } = paths;
  return startRecorder({
    directory,
    open: () => thisMachine(parts),
    log: parts.log,
    intervalSeconds,
    keepDays,
    keepBytes,
    compress,
    metrics,
    standBy: () => loggerAround({ tmpDirectory, archiveDirectory, host: hostname() }),
    onArchive,
  });
}
