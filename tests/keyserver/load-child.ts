// Loads an archive into a key server in a process of its own, which tests kill: `load-child.ts PORT ARCHIVE`.
// Says when it is ready, waits for a line, and says when it is over.
import { loadArchive, useKeyServer } from "../../lib/keyserver/mod.ts";

const [port = "", path = ""] = process.argv.slice(2);
const server = useKeyServer({ servers: [`127.0.0.1:${port}`] });
await server.ready();
console.log("ready");
for await (const line of console) if (line === "go") break;
const now = { sec: 1_900_000_000, nsec: 0 };
const { values } = await loadArchive(server, { path, metrics: [] }, { now });
console.log(`loaded ${values}`);
process.exit(0);
