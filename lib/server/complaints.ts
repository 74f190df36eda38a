// Log lines that a client can cause as often as it likes: a bad request, a bad PDU. So many in a
// while are logged, the rest are counted and told once, or a hostile client would fill the disk.

import type { Log } from "../base/mod.ts";

/** Lines in one window; then silence until it is over. */
const LINES = 20;
const WINDOW_MS = 10_000;

export interface Complaints {
  info(text: string): void;
  warning(text: string): void;
  error(text: string): void;
}

/** Complaints to `log`; `now` in milliseconds. */
export function createComplaints(
  log: Pick<Log, "info" | "write">,
  now: () => number = () => performance.now(),
): Complaints {
  let began = -WINDOW_MS;
  let lines = 0;
  let left = 0;
  const put = (level: "info" | "warning" | "error", text: string): void => {
    const at = now();
    if (at - began >= WINDOW_MS) {
      if (left > 0) log.info(`${left} more lines about clients were left out`);
      began = at;
      lines = 0;
      left = 0;
    }
    if (lines < LINES) {
      lines += 1;
      log.write(level, text);
    } else left += 1;
  };
  return {
    info: (text) => put("info", text),
    warning: (text) => put("warning", text),
    error: (text) => put("error", text),
  };
}
