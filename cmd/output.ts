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

/** Writes all of the text, unless the reader is gone; false when it could not be written. */
function writeTo(fd: number, text: string): boolean {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") return true;
      if (code !== "EAGAIN") return false;
      Atomics.wait(sleeper, 0, 0, RETRY_MS);
    }
  }
  return true;
}

/** Results, to standard output. */
export function say(text: string): void {
  if (writeTo(STDOUT, text)) return;
  complain("pcpbox: cannot write to standard output\n");
  process.exitCode = 1;
}

/** Mistakes and usage, to standard error; there is nowhere left to tell when that fails. */
export function complain(text: string): void {
  if (!writeTo(STDERR, text)) process.exitCode = 1;
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
  return { width: process.stdout.columns, colour: !noColour && wantsColour(true, process.env) };
}
