// Clients of the key server (spec proxy.md 12): who serves them. What the key server is, one server or a
// cluster, is asked once and kept; with one server a client has a connection of its own and its bytes pass,
// with a cluster resp-cluster.ts finds the node of each request. Refused: several servers that are no
// cluster, and clients while no key server answers.

import { asPcpError } from "../base/mod.ts";
import { connectRelay } from "./relay.ts";
import { askKeyServer, authentication, type Finding } from "./resp-ask.ts";
import { startClusterSession } from "./resp-cluster.ts";
import { type ClusterMap, createClusterMap } from "./resp-map.ts";
import type { Server } from "./server.ts";
import type { HostPort, KeyServerSettings } from "./settings.ts";
import { keyServerOptions } from "./series-settings.ts";
import type { DialTls, Wire, WireSink } from "./wire.ts";

/** How long a single server is believed to be one. */
const SINGLE_MS = 10_000;
/** Shortest time between two questions about a cluster that has lost a node. */
const RENEWAL_MS = 1000;
/** Pieces of a client's bytes, and bytes, that wait for the answer. */
const PENDING_CHUNKS = 64;
const PENDING_BYTES = 1 << 20;

type Known =
  | { readonly kind: "single"; readonly until: number; readonly target: HostPort }
  | { readonly kind: "cluster"; readonly map: ClusterMap };

/** What is known of the key server of some settings. */
interface Backend {
  readonly settings: KeyServerSettings;
  readonly tls: DialTls | undefined;
  known: Known | undefined;
  /** Clients that wait for it to become known; undefined: nobody asks just now. */
  waiting: Set<WaitingClient> | undefined;
  renewed: number;
}

/** What each running server knows. */
const backends = new WeakMap<Server, Backend>();

/** As long as the settings are the same, so is what is known. */
function backendOf(server: Server): Backend {
  const { keyServer } = server.settings;
  const old = backends.get(server);
  if (old !== undefined && JSON.stringify(old.settings) === JSON.stringify(keyServer)) return old;
  const made: Backend = {
    settings: keyServer,
    tls: keyServerOptions(keyServer).tls,
    known: undefined,
    waiting: undefined,
    renewed: -RENEWAL_MS,
  };
  backends.set(server, made);
  return made;
}

/** Serves a client of the key server, whose bytes begin with `first`. */
export function connectResp(server: Server, client: Wire, first: Uint8Array): void {
  let backend: Backend;
  try {
    backend = backendOf(server);
  } catch (error) {
    // Files that TLS needs.
    server.complaints.error(asPcpError(error).message);
    client.destroy();
    return;
  }
  const { known } = backend;
  if (known?.kind === "cluster") return serveCluster(server, backend, known.map, client, [first]);
  if (known !== undefined && known.until > server.deadlines.now())
    return serveSingle(server, backend, known.target, client, [first], false);
  const waiting = new WaitingClient(server, client, backend);
  client.sink = waiting;
  waiting.data(first);
  if (backend.waiting !== undefined) {
    backend.waiting.add(waiting);
    return;
  }
  backend.waiting = new Set([waiting]);
  askFrom(server, backend, 0);
}

/** Asks the servers one after the other until one answers. */
function askFrom(server: Server, backend: Backend, index: number): void {
  const target = backend.settings.servers[index];
  if (target === undefined) return;
  askKeyServer(server, target, backend.tls, (finding) => {
    if (finding.kind !== "failed") return found(server, backend, target, finding);
    const { reason } = finding;
    server.log.debug(`key server ${target.host}:${target.port}: ${reason}`);
    server.lastConnectFailure = { target: `${target.host}:${target.port}`, reason, at: Date.now() };
    if (index + 1 < backend.settings.servers.length) return askFrom(server, backend, index + 1);
    for (const client of release(backend)) client.failed(reason);
  });
}

/** Those who have waited; from here on somebody else may ask. */
function release(backend: Backend): Iterable<WaitingClient> {
  const waiting = backend.waiting ?? [];
  backend.waiting = undefined;
  return waiting;
}

function found(server: Server, backend: Backend, target: HostPort, finding: Finding): void {
  if (finding.kind === "cluster") {
    const map = createClusterMap(finding.slots, finding.commands, target);
    if (map !== undefined) {
      backend.known = { kind: "cluster", map };
      server.log.debug(`key server: cluster of ${map.nodes().length} nodes`);
      for (const client of release(backend))
        client.over((first, isEnded) => {
          serveCluster(server, backend, map, client.client, first, isEnded);
        });
      return;
    }
  }
  if (backend.settings.servers.length > 1) {
    const text = "more than one node is configured, but cluster mode is disabled";
    server.complaints.error(text);
    for (const client of release(backend)) client.failed(text);
    return;
  }
  if (finding.kind === "single" && finding.certain)
    backend.known = { kind: "single", until: server.deadlines.now() + SINGLE_MS, target };
  for (const client of release(backend))
    client.over((first, isEnded) => {
      serveSingle(server, backend, target, client.client, first, isEnded);
    });
}

function serveSingle(
  server: Server,
  { settings, tls }: Backend,
  target: HostPort,
  client: Wire,
  first: readonly Uint8Array[],
  isEnded: boolean,
): void {
  connectRelay(server, client, target, {
    gate: undefined,
    pending: first.length === 1 ? first[0] : new Uint8Array(Buffer.concat(first)),
    prelude: authentication(settings.username, settings.password),
    tls,
  });
  if (isEnded) client.sink.end();
}

function serveCluster(
  server: Server,
  backend: Backend,
  map: ClusterMap,
  client: Wire,
  first: readonly Uint8Array[],
  isEnded = false,
): void {
  const access = {
    map,
    auth: authentication(backend.settings.username, backend.settings.password),
    tls: backend.tls,
    lost: () => renew(server, backend, map),
  };
  startClusterSession(server, client, access, first, isEnded);
}

/** Asks the nodes of a cluster anew which of them has what. */
function renew(server: Server, backend: Backend, map: ClusterMap): void {
  const now = server.deadlines.now();
  if (now - backend.renewed < RENEWAL_MS) return;
  backend.renewed = now;
  const targets = [...map.nodes(), ...backend.settings.servers];
  const ask = (index: number): void => {
    const target = targets[index];
    if (target === undefined) return;
    askKeyServer(server, target, backend.tls, (finding) => {
      if (finding.kind === "cluster" && map.update(finding.slots, target)) return;
      ask(index + 1);
    });
  };
  ask(0);
}

/** A client that waits until it is known what the key server is. */
class WaitingClient implements WireSink {
  private readonly pending: Uint8Array[] = [];
  private size = 0;
  private isEnded = false;
  private isOver = false;

  constructor(
    private readonly server: Server,
    readonly client: Wire,
    private readonly backend: Backend,
  ) {
    server.connecting += 1;
  }

  data(bytes: Uint8Array): void {
    this.pending.push(bytes);
    this.size += bytes.length;
    if (this.size >= PENDING_BYTES || this.pending.length >= PENDING_CHUNKS) this.client.pause();
  }
  drain(): void {}
  end(): void {
    this.isEnded = true;
  }
  close(): void {
    this.backend.waiting?.delete(this);
    this.done();
    this.server.gone(this.client);
  }
  private done(): void {
    if (!this.isOver) this.server.connecting -= 1;
    this.isOver = true;
  }

  /** Somebody else takes the client over. */
  over(serve: (first: readonly Uint8Array[], isEnded: boolean) => void): void {
    if (this.isOver) return;
    this.done();
    this.client.resume();
    serve(this.pending, this.isEnded);
  }

  /** No key server answers. */
  failed(reason: string): void {
    if (this.isOver) return;
    this.done();
    const { counters, complaints } = this.server;
    counters.connectFailures += 1;
    if (reason.startsWith("AUTH: "))
      complaints.info(`client ${this.client.peer}: ${reason}, connection closed`);
    this.client.finish();
  }
}
