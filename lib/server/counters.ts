// The server's own numbers: plain fields that hot paths increment, and their text form for
// /-/metrics (OpenMetrics). Counters only grow; `active` fields are levels.

import { PROTOCOLS, type Protocol } from "./sniff.ts";

export interface Counters {
  /** Connections accepted, by what they turned out to be. */
  readonly connections: Record<Protocol, number>;
  /** Connections open now, relayed upstream sides not counted. */
  active: number;
  accepted: number;
  /** Turned away: over the limit, or the server is stopping. */
  refused: number;
  /** Closed because no protocol begins with their first byte, or that protocol is switched off. */
  unknown: number;
  /** Closed because they did not say what they want in time. */
  tooSlow: number;
  tlsFailures: number;
  /** PCP and RESP sessions relayed now. */
  relays: number;
  relaysOpened: number;
  /** Connections of RESP clients to nodes of a cluster, open now. */
  clusterLinks: number;
  greetingFailures: number;
  /** The pmcd asked for was refused, unreachable, unknown or too slow. */
  connectFailures: number;
  /** Connections to servers under way, those included whose client has gone. */
  dials: number;
  /** Closed because a PDU's header was bad or over the ceiling. */
  badPdus: number;
  bytesToServers: number;
  bytesToClients: number;
  httpRequests: number;
  httpErrors: number;
  /** Connections closed because our own code failed on them. */
  faults: number;
}

export const createCounters = (): Counters => ({
  connections: { pcp: 0, http: 0, resp: 0, tls: 0 },
  active: 0,
  accepted: 0,
  refused: 0,
  unknown: 0,
  tooSlow: 0,
  tlsFailures: 0,
  relays: 0,
  relaysOpened: 0,
  clusterLinks: 0,
  greetingFailures: 0,
  connectFailures: 0,
  dials: 0,
  badPdus: 0,
  bytesToServers: 0,
  bytesToClients: 0,
  httpRequests: 0,
  httpErrors: 0,
  faults: 0,
});

type Scalar = Exclude<keyof Counters, "connections">;

const FAMILIES: readonly (readonly [Scalar, "counter" | "gauge", string, string])[] = [
  ["active", "gauge", "connections_active", "Connections open now"],
  ["accepted", "counter", "connections_accepted", "Connections accepted"],
  ["refused", "counter", "connections_refused", "Connections turned away at a limit"],
  ["unknown", "counter", "connections_unknown_protocol", "Connections closed at their first byte"],
  ["tooSlow", "counter", "connections_too_slow", "Connections closed at a handshake deadline"],
  ["tlsFailures", "counter", "tls_handshake_failures", "TLS handshakes that failed"],
  ["relays", "gauge", "relays_active", "PCP and RESP sessions relayed now"],
  ["relaysOpened", "counter", "relays_opened", "PCP and RESP sessions relayed"],
  ["clusterLinks", "gauge", "cluster_links_active", "Connections to nodes of a cluster now"],
  ["dials", "gauge", "relay_connects_active", "Connections to servers under way"],
  ["greetingFailures", "counter", "relay_greeting_failures", "Bad PCP greetings or host lines"],
  ["connectFailures", "counter", "relay_connect_failures", "Servers that could not be reached"],
  ["badPdus", "counter", "relay_bad_pdus", "PCP sessions closed for a bad PDU header"],
  ["bytesToServers", "counter", "relay_bytes_to_servers", "Bytes relayed from clients"],
  ["bytesToClients", "counter", "relay_bytes_to_clients", "Bytes relayed to clients"],
  ["httpRequests", "counter", "http_requests", "HTTP requests"],
  ["httpErrors", "counter", "http_errors", "HTTP replies with status 400 and above"],
  ["faults", "counter", "internal_errors", "Connections closed by a fault of the server"],
];

/** All counters as OpenMetrics text, names beginning with `pmproxy_`. */
export function countersText(counters: Counters): string {
  const lines: string[] = [];
  for (const [field, kind, name, help] of FAMILIES) {
    const total = kind === "counter" ? "_total" : "";
    lines.push(`# HELP pmproxy_${name} ${help}`, `# TYPE pmproxy_${name} ${kind}`);
    lines.push(`pmproxy_${name}${total} ${counters[field]}`);
  }
  lines.push("# HELP pmproxy_protocol_connections Connections by protocol");
  lines.push("# TYPE pmproxy_protocol_connections counter");
  for (const protocol of PROTOCOLS) {
    const count = counters.connections[protocol];
    lines.push(`pmproxy_protocol_connections_total{protocol="${protocol}"} ${count}`);
  }
  return `${lines.join("\n")}\n# EOF\n`;
}
