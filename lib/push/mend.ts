// What is done with an archive that nobody pushes any more, because its server was killed or its logger
// went away in the middle of a record: it ends with whole records, or goes where there are none. Refuses
// nothing; the system's errors go through.
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { labelBytes, mendArchive, type MendTrust } from "../archive/mod.ts";
import { asPcpError, type Log, syncPath } from "../base/mod.ts";

/** Names in a directory; none where there is none that could be ours. Rejects with faults of this program. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    // Not there yet, not a directory, or not ours to read: then there is nothing of ours in it.
    if (asPcpError(error).code < -4096) throw error;
    return [];
  }
}

/**
 * Removes an archive without data, or without metadata: nothing opens it. pmlogger sends its first record
 * before the metadata of it. Resolves to whether it went.
 */
async function removeEmpty(base: string): Promise<boolean> {
  const start = `${basename(base)}.`;
  const endings = (await namesIn(dirname(base)))
    .filter((name) => name.startsWith(start))
    .map((name) => name.slice(start.length));
  const hasData = endings.some((ending) => ending !== "meta" && ending !== "index");
  const isPlain = endings.every((ending) => /^(meta|index|\d+)$/.test(ending));
  const metaBytes = endings.includes("meta") ? (await stat(`${base}.meta`)).size : 0;
  if (!isPlain || (hasData && metaBytes > labelBytes(3))) return false;
  for (const ending of endings) await rm(`${base}.${ending}`, { force: true });
  await syncPath(dirname(base));
  return endings.length > 0;
}

/** Makes the archive with this path without suffix whole; each file that was changed is told. */
export async function mendPushed(
  base: string,
  trust: MendTrust,
  log: Pick<Log, "write">,
): Promise<void> {
  for (const { file, cut } of mendArchive(base, trust))
    log.write("info", `${file}: ${cut} bytes cut off that were not pushed whole`);
  if (await removeEmpty(base)) log.write("info", `${base}: removed: no data, or no metadata`);
}
