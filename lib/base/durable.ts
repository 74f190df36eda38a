// What writing files that must survive takes beyond node:fs: all of a buffer however many bytes the
// system takes at a time, names that are durable, the room that is left. Refuses nothing of its own;
// the system's errors go through.
import { constants } from "node:fs";
import { chmod, type FileHandle, mkdir, open, rename, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { asPcpError } from "./errors.ts";

const ENOENT = -2;

/** Writes all of `bytes` at a position of a file. */
export async function writeWhole(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const left = bytes.length - done;
    const { bytesWritten } = await file.write(bytes, done, left, position + done);
    done += bytesWritten;
  }
}

/** Opens a file or directory for reading and makes it durable; of a directory, the names in it. */
export async function syncPath(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Makes a directory, and those above it, where they are missing, durably; `mode` is that of the last one,
 * whatever the mask of the process says.
 */
export async function makeDirectory(directory: string, mode: number): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode });
  if (first === undefined) return;
  await chmod(directory, mode);
  for (let path = directory; ; path = dirname(path)) {
    await syncPath(dirname(path));
    if (path === first || path === dirname(path)) return;
  }
}

/** Replaces a file with a text, durably: whatever happens, the old or the new one is there. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, "w", 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncPath(dirname(path));
}

/** Bytes that this process may still write below a directory, or the one above that it will be made in. */
export async function roomBelow(directory: string): Promise<number> {
  for (let path = directory; ; path = dirname(path)) {
    try {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    } catch (error) {
      if (asPcpError(error).code !== ENOENT || dirname(path) === path) throw error;
    }
  }
}
