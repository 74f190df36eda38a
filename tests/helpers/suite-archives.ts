// The archives that PCP's own test suite installs, for tests over all of them.
import { Glob } from "bun";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { havePeers, skipAloud, testWith } from "./peers.ts";

const FOLDER = "/var/lib/pcp/testsuite/archives";

/** Calls `body` with the base and the name of each; without any it registers a counted skip. */
export function forEachSuiteArchive(body: (base: string, name: string) => void): void {
  const found = existsSync(FOLDER) ? [...new Glob("**/*.meta*").scanSync(FOLDER)] : [];
  const names = found.map((path) => path.replace(/\.meta.*$/, "")).sort();
  for (const name of names) body(join(FOLDER, name), name);
  if (names.length > 0) return;
  if (havePeers("pcp6")) skipAloud("archives of PCP's test suite", `nothing in ${FOLDER}`);
  else testWith("pcp6", "archives of PCP's test suite", () => undefined);
}
