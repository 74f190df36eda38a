// PCP 6 as the distribution installs it (programs in PATH and /usr/lib/pcp/bin): the tree for pcp.ts,
// and starters of its private pmcd, pmproxy and Redis. A first pmcd is shared by all test files of a run.
import { startKeyServer, startPmcd, startRealPmproxy } from "./pcp.ts";
import type { KeyServer, PcpTree, Pmcd, PmcdOptions, PmproxyOptions, Proxy } from "./pcp.ts";

/** The installed PCP 6. */
export const pcp6: PcpTree = {
  name: "pcp6",
  root: "",
  command: (argv) => [...argv],
  keyServer: "redis-server",
  python: "/usr/bin/python3",
};

let shared: Promise<Pmcd> | undefined;

/**
 * A pmcd with the sample agent that all test files of one run share: start it, use it, do not stop it
 * and do not store into metrics that others read. It ends with the test process.
 */
export function sharedPmcd6(): Promise<Pmcd> {
  shared ??= startPmcd(pcp6);
  return shared;
}

/** A pmcd of its own. */
export const startPmcd6 = (options: PmcdOptions = {}): Promise<Pmcd> => startPmcd(pcp6, options);

/** The real pmproxy 6. */
export const startPmproxy6 = (options: PmproxyOptions = {}): Promise<Proxy> =>
  startRealPmproxy(pcp6, options);

/** A Redis of its own. */
export const startRedis = (port?: number): Promise<KeyServer> => startKeyServer(pcp6, port);
