// Compresses the volumes of an archive that was ended, into .gz: programs of PCP 6 do not read .zst. The
// plain file goes when the compressed one is durable under its name; until then both may be there.
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { syncPath } from "../base/mod.ts";

/** Compresses all volumes of the archive with this path without suffix. */
export async function compressArchive(base: string): Promise<void> {
  const folder = dirname(base);
  const start = `${basename(base)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start) || !/^\d+$/.test(name.slice(start.length))) continue;
    const path = join(folder, name);
    const temporary = join(folder, `.${name}.gz.tmp`);
    try {
      const output = createWriteStream(temporary, { flags: "w", mode: 0o644 });
      await pipeline(createReadStream(path), createGzip(), output);
      await syncPath(temporary);
      await rename(temporary, `${path}.gz`);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncPath(folder);
    await rm(path, { force: true });
    // Removed meanwhile, because it was too old: then this is no part of an archive.
    if (!existsSync(`${base}.meta`)) await rm(`${path}.gz`, { force: true });
  }
}
