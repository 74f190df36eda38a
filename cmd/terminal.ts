// Whether somebody looks at an output: a terminal gets progress and pictures, a file or a pipe does not.

import { fstatSync } from "node:fs";

const DESCRIPTORS = { stdout: 1, stderr: 2 } as const;

/** Whether a stream is a terminal; a closed one is none. */
export function isTerminal(stream: keyof typeof DESCRIPTORS): boolean {
  const fd = DESCRIPTORS[stream];
  try {
    // Only a device can be a terminal; node:tty is loaded for nothing else.
    return fstatSync(fd).isCharacterDevice() && process.getBuiltinModule("node:tty").isatty(fd);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EBADF") return false;
    throw error;
  }
}
