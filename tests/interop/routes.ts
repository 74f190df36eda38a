// The ways from a client program through the proxy under test to a private pmcd, and the servers they need.
// A route answers with the host specification (and variables) a client is given; the direct way to the same
// pmcd is what its output is compared with.
import { clientEnvironment, startPmcd } from "../helpers/pcp.ts";
import type { PcpTree, Pmcd, Proxy } from "../helpers/pcp.ts";
import type { Peer } from "../helpers/peers.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import { startRelay } from "../helpers/relay.ts";
import type { Relay } from "../helpers/relay.ts";
import { tlsFiles } from "../helpers/tls.ts";

/** A tree's pmcds, the proxy under test, and relays for what PCP's clients cannot name themselves. */
export interface Bench {
  /** Whose clients are run. */
  readonly tree: PcpTree;
  readonly plain: Pmcd;
  /** A pmcd that has certificates and whose clients verify them. */
  readonly secure: Pmcd;
  readonly proxy: Proxy;
  /** TCP to the proxy's unix socket. */
  readonly unixRelay: Relay;
  /** TCP to TLS on the proxy's TCP port. */
  readonly tlsRelay: Relay;
  /** Variables of every client: places of its own, the authority of `secure`. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Starts everything the routes need for clients of `tree` and pmcds of `servers`. */
export async function startBench(tree: PcpTree, servers: PcpTree = tree): Promise<Bench> {
  const tls = await tlsFiles();
  const [plain, secure, proxy] = await Promise.all([
    startPmcd(servers),
    startPmcd(servers, { tls }),
    startProxyUnderTest({ tls }),
  ]);
  const [unixRelay, tlsRelay] = await Promise.all([
    startRelay({ path: proxy.socket }),
    startRelay({ host: "127.0.0.1", port: proxy.port, tls }),
  ]);
  const stop = async () => {
    await Promise.all([unixRelay.stop(), tlsRelay.stop()]);
    await Promise.all([plain.stop(), secure.stop(), proxy.stop()]);
  };
  const env = clientEnvironment(tree, tls);
  return { tree, plain, secure, proxy, unixRelay, tlsRelay, env, stop };
}

/** What a client is given to reach a pmcd. */
export interface Way {
  /** Whose client is given it. */
  readonly tree: PcpTree;
  readonly spec: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A named way through the proxy. */
export interface Route {
  readonly name: string;
  readonly peers: readonly Peer[];
  readonly through: (bench: Bench) => Way;
  readonly direct: (bench: Bench) => Way;
}

function way({ tree, env }: Bench, spec: string, more: Record<string, string> = {}): Way {
  return { tree, spec, env: { ...env, ...more } };
}

const plainDirect = (bench: Bench): Way => way(bench, `127.0.0.1:${bench.plain.port}`);
const secureDirect = (bench: Bench): Way => way(bench, `pcps://localhost:${bench.secure.port}`);

/** Every route. */
export const routes: readonly Route[] = [
  {
    name: "host@proxy",
    peers: [],
    through: (b) => way(b, `127.0.0.1:${b.plain.port}@127.0.0.1:${b.proxy.port}`),
    direct: plainDirect,
  },
  {
    name: "PMPROXY_HOST",
    peers: [],
    through: (b) =>
      way(b, `127.0.0.1:${b.plain.port}`, {
        PMPROXY_HOST: "127.0.0.1",
        PMPROXY_PORT: String(b.proxy.port),
      }),
    direct: plainDirect,
  },
  {
    name: "host names",
    peers: [],
    through: (b) => way(b, `localhost:${b.plain.port}@localhost:${b.proxy.port}`),
    direct: plainDirect,
  },
  {
    name: "IPv6",
    peers: ["ipv6"],
    through: (b) => way(b, `[::1]:${b.plain.port}@[::1]:${b.proxy.port}`),
    direct: plainDirect,
  },
  {
    name: "unix socket of the proxy",
    peers: [],
    through: (b) => way(b, `127.0.0.1:${b.plain.port}@127.0.0.1:${b.unixRelay.port}`),
    direct: plainDirect,
  },
  {
    name: "TLS to the proxy",
    peers: [],
    through: (b) => way(b, `127.0.0.1:${b.plain.port}@127.0.0.1:${b.tlsRelay.port}`),
    direct: plainDirect,
  },
  {
    name: "TLS to pmcd",
    peers: [],
    through: (b) => way(b, `pcps://localhost:${b.secure.port}@127.0.0.1:${b.proxy.port}`),
    direct: secureDirect,
  },
  {
    name: "TLS to pmcd, PMPROXY_HOST",
    peers: [],
    through: (b) =>
      way(b, `pcps://localhost:${b.secure.port}`, {
        PMPROXY_HOST: "localhost",
        PMPROXY_PORT: String(b.proxy.port),
      }),
    direct: secureDirect,
  },
  {
    name: "TLS to pmcd inside TLS to the proxy",
    peers: [],
    through: (b) => way(b, `pcps://localhost:${b.secure.port}@127.0.0.1:${b.tlsRelay.port}`),
    direct: secureDirect,
  },
];
