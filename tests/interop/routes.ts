// The ways from a client program through the proxy under test to a private pmcd, and the servers they need.
// A route answers with the host specification (and variables) a client is given; the direct way to the same
// pmcd is what its output is compared with.
import { startPmcd } from "../helpers/pcp.ts";
import type { PcpTree, Pmcd, PmcdOptions, Proxy } from "../helpers/pcp.ts";
import type { Peer } from "../helpers/peers.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import { startRelay } from "../helpers/relay.ts";
import type { Relay } from "../helpers/relay.ts";
import { tlsFiles } from "../helpers/tls.ts";

/** A tree's pmcds, the proxy under test, and relays for what PCP's clients cannot name themselves. */
export interface Bench {
  readonly tree: PcpTree;
  readonly plain: Pmcd;
  /** A pmcd that has certificates and whose clients verify them. */
  readonly secure: Pmcd;
  readonly proxy: Proxy;
  /** TCP to the proxy's unix socket. */
  readonly unixRelay: Relay;
  /** TCP to TLS on the proxy's TCP port. */
  readonly tlsRelay: Relay;
  stop(): Promise<void>;
}

/** Starts everything the routes of a tree need. */
export async function startBench(tree: PcpTree, options: PmcdOptions = {}): Promise<Bench> {
  const tls = await tlsFiles();
  const [plain, secure, proxy] = await Promise.all([
    startPmcd(tree, options),
    startPmcd(tree, { ...options, tls }),
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
  return { tree, plain, secure, proxy, unixRelay, tlsRelay, stop };
}

/** What a client is given to reach a pmcd. */
export interface Way {
  readonly pmcd: Pmcd;
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

function way(pmcd: Pmcd, spec: string, env: Record<string, string> = {}): Way {
  return { pmcd, spec, env: { ...pmcd.clientEnv, ...env } };
}

const plainDirect = ({ plain }: Bench): Way => way(plain, `127.0.0.1:${plain.port}`);
const secureDirect = ({ secure }: Bench): Way => way(secure, `pcps://localhost:${secure.port}`);

/** Every route. */
export const routes: readonly Route[] = [
  {
    name: "host@proxy",
    peers: [],
    through: ({ plain, proxy }) => way(plain, `127.0.0.1:${plain.port}@127.0.0.1:${proxy.port}`),
    direct: plainDirect,
  },
  {
    name: "PMPROXY_HOST",
    peers: [],
    through: ({ plain, proxy }) =>
      way(plain, `127.0.0.1:${plain.port}`, {
        PMPROXY_HOST: "127.0.0.1",
        PMPROXY_PORT: String(proxy.port),
      }),
    direct: plainDirect,
  },
  {
    name: "host names",
    peers: [],
    through: ({ plain, proxy }) => way(plain, `localhost:${plain.port}@localhost:${proxy.port}`),
    direct: plainDirect,
  },
  {
    name: "IPv6",
    peers: ["ipv6"],
    through: ({ plain, proxy }) => way(plain, `[::1]:${plain.port}@[::1]:${proxy.port}`),
    direct: plainDirect,
  },
  {
    name: "unix socket of the proxy",
    peers: [],
    through: ({ plain, unixRelay }) =>
      way(plain, `127.0.0.1:${plain.port}@127.0.0.1:${unixRelay.port}`),
    direct: plainDirect,
  },
  {
    name: "TLS to the proxy",
    peers: ["openssl"],
    through: ({ plain, tlsRelay }) =>
      way(plain, `127.0.0.1:${plain.port}@127.0.0.1:${tlsRelay.port}`),
    direct: plainDirect,
  },
  {
    name: "TLS to pmcd",
    peers: ["openssl"],
    through: ({ secure, proxy }) =>
      way(secure, `pcps://localhost:${secure.port}@127.0.0.1:${proxy.port}`),
    direct: secureDirect,
  },
  {
    name: "TLS to pmcd, PMPROXY_HOST",
    peers: ["openssl"],
    through: ({ secure, proxy }) =>
      way(secure, `pcps://localhost:${secure.port}`, {
        PMPROXY_HOST: "localhost",
        PMPROXY_PORT: String(proxy.port),
      }),
    direct: secureDirect,
  },
  {
    name: "TLS to pmcd inside TLS to the proxy",
    peers: ["openssl"],
    through: ({ secure, tlsRelay }) =>
      way(secure, `pcps://localhost:${secure.port}@127.0.0.1:${tlsRelay.port}`),
    direct: secureDirect,
  },
];
