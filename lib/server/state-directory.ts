// Where the proxy keeps what is its own (the catalogue of archives, what it records): the first of several
// places that can be made and written. Refuses nothing; there may be none.

import { accessSync, constants, mkdirSync, statSync } from "node:fs";

/** Whether `path` is a directory that can be written, made if it was missing. */
function isUsable(path: string): boolean {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 });
    accessSync(path, constants.W_OK | constants.X_OK);
    return statSync(path).isDirectory();
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

/** The first directory that can be used, made if it was missing; undefined when none can. */
export const usableDirectory = (places: readonly string[]): string | undefined =>
  places.find(isUsable);
