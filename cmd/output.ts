// Text to the terminal, a file or a pipe, written before the call returns: the process may end right
// after it, however slow the reader. Bun's process.stdout is not used because opening it takes 10 ms
// and what is in it at the exit can be lost. A reader that goes away is not an error; output that
// fails for another reason makes the exit status 1.

import { fstatSync, writeSync } from "node:fs";

const STDOUT = 1;
const STDERR = 2;
/** Milliseconds between attempts on a full pipe that somebody made non-blocking. */
const RETRY_MS = 2;

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** What became of a text. */
type Written = "written" | "reader gone" | "failed";

/** Writes all of the text, unless the reader is gone or it cannot be written. */
function writeTo(fd: number, text: string): Written {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") return "reader gone";
      if (code !== "EAGAIN") return "failed";
      Atomics.wait(sleeper, 0, 0, RETRY_MS);
    }
  }
  return "written";
}

/** Results, to standard output; false when nobody will read any more, so that there may be an end. */
export function say(text: string): boolean {
  const written = writeTo(STDOUT, text);
  if (written === "failed") {
    complain("pcpbox: cannot write to standard output\n");
    process.exitCode = 1;
  }
  return written === "written";
}

/** Mistakes and usage, to standard error; there is nowhere left to tell when that fails. */
export function complain(text: string): void {
  if (writeTo(STDERR, text) === "failed") process.exitCode = 1;
}

/** Colour belongs on a terminal only, and nowhere when NO_COLOR is set (no-color.org). */
export const wantsColour = (
  isTerminal: boolean,
  env: Readonly<Record<string, string | undefined>>,
): boolean => isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";

/** How pages are rendered for standard output: its width and colours, or plain in 80 columns. */
export function outputStyle(noColour: boolean): {
  readonly width: number;
  readonly colour: boolean;
} {
  // Only a device can be a terminal; node:tty and process.stdout are loaded for nothing else.
  if (
    !fstatSync(STDOUT).isCharacterDevice() ||
    !process.getBuiltinModule("node:tty").isatty(STDOUT)
  ) {
    return { width: 80, colour: false };
  }
  return {
    width: process.stdout.columns || 80,
    colour: !noColour && wantsColour(true, process.env),
  };
}
