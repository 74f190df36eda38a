// Directories of archives as they are on the disk: what is in one, which are below, what tells a changed
// one from another. Names that begin with a dot and links to directories do not count (spec series.md
// 5.1). Long directories are looked at in slices. Refuses what the system refuses.
import { type Dirent, readdirSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError, turn } from "../base/mod.ts";

/** Files between two turns of others. */
const FILES_AT_ONCE = 256;
const ENOENT = -2;
const ENOTDIR = -20;

/** Whether an error says that there is no such file or directory. */
export const isGone = (error: unknown): boolean =>
  error instanceof PcpError && (error.code === ENOENT || error.code === ENOTDIR);

/** What is in a directory. Throws PcpError. */
export function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith("."));
  } catch (error) {
    throw asPcpError(error);
  }
}

/** Paths of the directories in a directory. */
export const foldersIn = (folder: string, entries: readonly Dirent[]): readonly string[] =>
  entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));

/** File systems whose changes may be made on another machine (statfs(2)). */
const NETWORK: ReadonlySet<number> = new Set([
  0x6969, // nfs
  0x517b, // smb
  0xff534d42, // cifs
  0xfe534d42, // smb2
  0x01021997, // 9p
  0x65735546, // fuse
  0x00c36400, // ceph
  0x5346414f, // afs
  0x6b414653, // kafs
  0x0bd00bd0, // lustre
  0x47504653, // gpfs
  0x01161970, // gfs2
  0x7461636f, // ocfs2
]);

/** Whether other machines may change a directory without the system telling of it. */
export function isRemote(folder: string): boolean {
  try {
    return NETWORK.has(statfsSync(folder).type);
  } catch (error) {
    if (isGone(asPcpError(error))) return false;
    throw asPcpError(error);
  }
}

/** What tells a directory from another of the same name; undefined when it is not there. */
export function identityOf(folder: string): string | undefined {
  try {
    const { dev, ino, isDirectory } = statOf(folder);
    return isDirectory ? `${dev} ${ino}` : undefined;
  } catch (error) {
    if (error instanceof PcpError) return undefined;
    throw error;
  }
}

function statOf(path: string) {
  try {
    const found = statSync(path);
    const { dev, ino, size, mtimeMs } = found;
    return { dev, ino, size, mtimeMs, isDirectory: found.isDirectory() };
  } catch (error) {
    throw asPcpError(error);
  }
}

/** A number that changes when something in a directory does. Throws PcpError. */
export async function stateOf(folder: string): Promise<number> {
  let state = 0;
  let files = 0;
  for (const entry of entriesOf(folder)) {
    if (++files % FILES_AT_ONCE === 0) await turn();
    let text = entry.name;
    if (entry.isFile())
      try {
        const { ino, size, mtimeMs } = statOf(join(folder, entry.name));
        text = `${text} ${ino} ${size} ${mtimeMs}`;
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
      }
    // The order of entries does not count.
    state = (state + Number(Bun.hash.xxHash32(text))) % 0x1_0000_0000_0000;
  }
  return state;
}
