// A program for tests that runs one built-in agent, or faulty, under pmcd:
// `NAME TRANSPORT [WHERE] [-- ARGS]`, with TRANSPORT pipe, inet, ipv6 or unix; `pipe notready` begins
// unready for a while. Its log goes to stderr. Refuses other arguments with status 2.
import { fdSink } from "../../lib/base/mod.ts";
import {
  builtinAgent,
  createAgentLog,
  openAgent,
  serveAgent,
  type Transport,
} from "../../lib/pmda/mod.ts";
import { faulty, FAULTY_DOMAIN } from "./agent-faulty.ts";

function transportOf(kind: string | undefined, where: string): Transport | undefined {
  if (kind === "pipe") return { kind };
  if (kind === "unix") return { kind, path: where };
  return kind === "inet" || kind === "ipv6" ? { kind, port: Number(where) } : undefined;
}

const words = process.argv.slice(2);
const split = words.indexOf("--");
const [name = "", kind, where = ""] = split < 0 ? words : words.slice(0, split);
const found =
  name === "faulty"
    ? { domain: FAULTY_DOMAIN, load: async () => faulty, limit: { timeLimit: 300 } }
    : builtinAgent(name);
const transport = transportOf(kind, where);
if (found === undefined || transport === undefined) process.exit(2);

const log = createAgentLog(fdSink(2), { program: `pmda${name}`, debug: false });
const agent = await openAgent(await found.load(), {
  domain: found.domain,
  args: split < 0 ? [] : words.slice(split + 1),
  env: process.env,
  log: log.write,
  ...("limit" in found ? found.limit : {}),
});
const onListening = (): void => log.write("Info", "listening");
const notready = kind === "pipe" && where === "notready";
if (notready) {
  agent.setReady(false);
  setTimeout(() => agent.setReady(true), 500);
}
await serveAgent(agent, { transport, log: log.write, onListening, notready });
await agent.close?.();
log.close();
process.exit(0);
