// The daemon's log: PCP's line form `[Www Mmm dd hh:mm:ss] pmproxy(PID) Info: TEXT` (spec proxy.md 5)
// or one JSON object a line. Refuses to let a message forge lines (control characters are escaped)
// or grow without bound. A line that the sink cannot take is counted, never thrown.

import { closeSync, openSync, writeSync } from "node:fs";
import { utf8 } from "./bytes.ts";
import { ctimeShort } from "./time.ts";

/** Levels from quiet to loud; a log shows its own level and everything louder. */
export const LOG_LEVELS = ["debug", "info", "warning", "error", "critical"] as const;
/** One of LOG_LEVELS. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `pcp`: the line form that scripts match on. `json`: one object a line. */
export type LogFormat = "pcp" | "json";

/** Longest message in UTF-16 units; the rest is cut and marked with "...". */
export const LOG_TEXT_LIMIT = 8192;

const LEVEL_NAMES: Readonly<Record<LogLevel, string>> = {
  debug: "Debug",
  info: "Info",
  warning: "Warning",
  error: "Error",
  critical: "Critical",
};

/** Where lines go. `write` gets whole lines with their newline and says whether they were taken. */
export interface LogSink {
  write(line: string): boolean;
  /** Closes and opens the target again, after a rotation. Throws when the target cannot be opened. */
  reopen?(): void;
  close?(): void;
}

/** What the program logs with. Nothing here throws, except `reopen`. */
export interface Log {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Lines that the sink refused since the last one it took. */
  readonly lost: number;
  enabled(level: LogLevel): boolean;
  write(level: LogLevel, text: string): void;
  debug(text: string): void;
  info(text: string): void;
  warning(text: string): void;
  error(text: string): void;
  critical(text: string): void;
  /** Text of our own without a prefix (header, port table); may hold several lines. */
  plain(text: string): void;
  reopen(): void;
  close(): void;
}

/** How a log is made; `program` is the name in the lines, `pid` the number beside it. */
export interface LogOptions {
  readonly program: string;
  readonly sink: LogSink;
  readonly pid?: number;
  readonly format?: LogFormat;
  readonly level?: LogLevel;
  readonly now?: () => Date;
}

// oxlint-disable-next-line no-control-regex -- the control characters are the point
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/g;

/** A message on one line of bounded length: control characters become `\xNN` or `\uNNNN`. */
export function oneLine(text: string): string {
  const cut = text.length > LOG_TEXT_LIMIT ? `${text.slice(0, LOG_TEXT_LIMIT)}...` : text;
  return cut.replace(CONTROL, (character) => {
    const code = character.charCodeAt(0);
    return code < 256
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

function jsonLine(
  at: Date,
  level: LogLevel,
  program: string,
  pid: number,
  message: string,
): string {
  const time = Number.isNaN(at.getTime()) ? null : at.toISOString();
  return `${JSON.stringify({ time, level, program, pid, message })}\n`;
}

/** A log over one sink. */
export function createLog(options: LogOptions): Log {
  const { program, sink } = options;
  const pid = options.pid ?? process.pid;
  const format = options.format ?? "pcp";
  const level = options.level ?? "info";
  const threshold = LOG_LEVELS.indexOf(level);
  const now = options.now ?? (() => new Date());
  let lost = 0;

  const lineOf = (which: LogLevel, text: string): string => {
    const at = now();
    if (format === "json") return jsonLine(at, which, program, pid, oneLine(text));
    return `[${ctimeShort(at)}] ${program}(${pid}) ${LEVEL_NAMES[which]}: ${oneLine(text)}\n`;
  };
  const put = (line: string): void => {
    if (lost > 0 && sink.write(lineOf("warning", `${lost} log lines lost`))) lost = 0;
    if (!sink.write(line)) lost += 1;
  };
  const enabled = (which: LogLevel): boolean => LOG_LEVELS.indexOf(which) >= threshold;
  const write = (which: LogLevel, text: string): void => {
    if (enabled(which)) put(lineOf(which, text));
  };
  return {
    level,
    format,
    get lost() {
      return lost;
    },
    enabled,
    write,
    debug: (text) => write("debug", text),
    info: (text) => write("info", text),
    warning: (text) => write("warning", text),
    error: (text) => write("error", text),
    critical: (text) => write("critical", text),
    plain: (text) => {
      if (format === "pcp") put(text.endsWith("\n") ? text : `${text}\n`);
      else {
        const at = now();
        for (const part of text.split("\n")) {
          if (part.trim() !== "") put(jsonLine(at, "info", program, pid, oneLine(part)));
        }
      }
    },
    reopen: () => sink.reopen?.(),
    close: () => sink.close?.(),
  };
}

/** Writes all of `line` to a descriptor; false when it would block, is full or is gone. */
function writeAll(fd: number, line: string): boolean {
  const bytes = utf8(line);
  let at = 0;
  try {
    while (at < bytes.length) at += writeSync(fd, bytes, at);
  } catch {
    // A log that cannot be written must not end the service; the caller counts the line.
    return false;
  }
  return true;
}

/** Lines to an open descriptor, which stays the caller's. */
export const fdSink = (fd: number): LogSink => ({ write: (line) => writeAll(fd, line) });

/**
 * Lines to a file, appended; `reopen` opens the path again (and creates it after a rotation).
 * `fd` is a descriptor of that file which is already open; without it the file is opened here.
 * `onOpen` hears of every descriptor opened later, e.g. to make it the process's stderr too.
 * Throws the system's error when the file cannot be opened; a failed reopen keeps the old one.
 */
export function fileSink(path: string, fd?: number, onOpen?: (fd: number) => void): LogSink {
  let current = fd ?? openSync(path, "a", 0o644);
  return {
    write: (line) => writeAll(current, line),
    reopen: () => {
      const next = openSync(path, "a", 0o644);
      onOpen?.(next);
      if (current > 2) closeSync(current);
      current = next;
    },
    close: () => {
      if (current > 2) closeSync(current);
    },
  };
}
