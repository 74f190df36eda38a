// A server of pushed archives in a process of its own, for tests that kill it: DIRECTORY PORTFILE.
import { writeFileSync } from "node:fs";
import { createPush } from "../../lib/push/mod.ts";
import { servePush } from "./pushing.ts";

const [directory = "", portFile = ""] = process.argv.slice(2);
const push = createPush({
  directory,
  settings: () => ({ freeBytes: 0, syncMs: -1 }),
  log: { write: () => undefined },
});
writeFileSync(portFile, String(servePush(push).port));
