// Whether a file that grows is still the one whose beginning was read: the same inode, and the same bytes at
// its start and before the place up to which it was read. Refuses nothing: a file that cannot be read is
// not the same.
import { fstatSync, openSync, closeSync, readSync } from "node:fs";

/** Bytes that are compared at the start of a file, and before the place. */
const HEAD_BYTES = 256;
const TAIL_BYTES = 4096;

/** A file as far as it was read. */
export interface Prefix {
  readonly path: string;
  /** Offset up to which it was read; undefined: all, and nothing may be added. */
  readonly to: number | undefined;
  readonly inode: number;
  readonly print: string;
}

/** What tells the file of a path from others; undefined for none, and for one that is shorter. */
function printOf(
  path: string,
  until: number | undefined,
): Pick<Prefix, "inode" | "print"> | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
  try {
    const { ino, dev, size } = fstatSync(descriptor);
    const to = until ?? size;
    if (size < to) return undefined;
    const from = Math.max(0, to - TAIL_BYTES);
    const bytes = Buffer.alloc(HEAD_BYTES + TAIL_BYTES);
    const head = readSync(descriptor, bytes, 0, Math.min(HEAD_BYTES, to), 0);
    const tail = readSync(descriptor, bytes, head, to - from, from);
    const hash = Bun.hash(bytes.subarray(0, head + tail));
    return { inode: ino, print: `${dev} ${ino} ${to} ${hash}` };
  } finally {
    closeSync(descriptor);
  }
}

/** A file up to a place, or the whole file; undefined when it is not that long. */
export function prefixOf(path: string, to?: number): Prefix | undefined {
  const found = printOf(path, to);
  return found && { path, to, ...found };
}

/** Whether the file of that path still begins so. */
export const isStill = ({ path, to, print }: Prefix): boolean => printOf(path, to)?.print === print;
