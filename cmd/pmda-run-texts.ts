// Documents that the program carries in it: read while it is bundled (a macro), never when it runs.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The text of a file of the repository. */
export const documentText = (path: string): string =>
  readFileSync(join(import.meta.dir, "..", path), "utf8");
