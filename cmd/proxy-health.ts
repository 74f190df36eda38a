// `pcpbox proxy --health`: asks the proxy that runs with this configuration for /-/healthy, for health
// checks of containers without another client. Exit status 0 when it answers 200, else 1.

import { isGiven } from "../lib/cli/mod.ts";
import { complain, say } from "./output.ts";
import { loadProxy, type ProxySources } from "./proxy-settings.ts";

/** How long the proxy may take to answer. */
const ANSWER_MS = 5_000;

const LOOPBACK = "127.0.0.1";

/** Where to ask: the socket of -s, else the first port on the first address. */
export function healthTarget(sources: ProxySources): { url: string; unix: string | undefined } {
  const { listen } = loadProxy(sources).settings;
  const unix = isGiven(sources.options, "socket") ? listen.socketPath : undefined;
  const named = listen.interfaces.find((name) => !name.startsWith("INADDR_"));
  const host = unix === undefined ? (named ?? LOOPBACK) : "localhost";
  const port = listen.ports[0] ?? 0;
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/-/healthy`, unix };
}

/** Asks once. */
export async function askHealth(sources: ProxySources): Promise<number> {
  const { url, unix } = healthTarget(sources);
  try {
    const answer = await fetch(url, {
      signal: AbortSignal.timeout(ANSWER_MS),
      ...(unix === undefined ? {} : { unix }),
    });
    await answer.arrayBuffer();
    if (answer.status === 200) {
      say("pmproxy: healthy\n");
      return 0;
    }
    complain(`pmproxy: not healthy: ${unix ?? url} answers ${answer.status}\n`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    complain(`pmproxy: not healthy: ${unix ?? url}: ${reason}\n`);
  }
  return 1;
}
