// The progress line of a long run on a terminal: records, speed, time left. Written over itself and
// cleared before anything else is printed; nothing where standard error is no terminal.

import type { ExtractProgress } from "../lib/extract/mod.ts";
import { complain } from "./output.ts";
import { isTerminal } from "./terminal.ts";

/** Runs that end before this many seconds show nothing. */
const PATIENCE = 1;
/** A remaining time is told after this part of the input. */
const ENOUGH = 0.01;
const CLEAR = "\r\u001b[K";

/** 1234567 as 1,234,567. */
const grouped = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Seconds as 0:07, 12:30, 1:02:03. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const tail = two(whole % 60);
  return minutes < 60
    ? `${minutes}:${tail}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${tail}`;
}

/** One line about how far a run has come, e.g. `1,200 records, 35.1 MB/s, 40 %, 0:12 left`. */
export function progressText(progress: ExtractProgress): string {
  const { bytesRead, bytesTotal, records, seconds } = progress;
  const parts = [`${grouped(records)} records`];
  if (seconds > 0) parts.push(`${(bytesRead / seconds / 1e6).toFixed(1)} MB/s`);
  const part = bytesTotal > 0 ? Math.min(1, bytesRead / bytesTotal) : 1;
  parts.push(`${Math.floor(part * 100)} %`);
  if (part >= ENOUGH) parts.push(`${clock(seconds / part - seconds)} left`);
  return parts.join(", ");
}

/** A progress line: `show` writes it, `clear` takes it away. */
export interface ProgressLine {
  readonly show: ((progress: ExtractProgress) => void) | undefined;
  readonly clear: () => void;
}

/** A progress line on standard error if that is a terminal and it is `wanted`. */
export function watchProgress(wanted: boolean): ProgressLine {
  if (!wanted || !isTerminal("stderr")) return { show: undefined, clear: () => undefined };
  let shown = false;
  return {
    show(progress) {
      if (progress.seconds < PATIENCE) return;
      complain(`${CLEAR}pmlogextract: ${progressText(progress)}`);
      shown = true;
    },
    clear() {
      if (shown) complain(CLEAR);
      shown = false;
    },
  };
}
