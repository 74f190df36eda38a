// What the parts of a running server share: its settings, numbers, clock and the sets of what is
// open. Data only; whoever opens something adds it here and takes it out again.

import type { Log } from "../base/mod.ts";
import type { Counters } from "./counters.ts";
import type { Deadlines } from "./deadlines.ts";
import type { RelayPair } from "./relay.ts";
import type { ProxySettings } from "./settings.ts";
import type { TlsContext } from "./tls.ts";
import type { HttpService } from "./http.ts";
import type { Wire } from "./wire.ts";

/** The last server that a client asked for and did not get. */
export interface ConnectFailure {
  readonly target: string;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface Server {
  /** Replaced as a whole by a reload. */
  settings: ProxySettings;
  readonly log: Log;
  readonly counters: Counters;
  readonly deadlines: Deadlines;
  /** Accepted connections that are open, one each, whatever is inside. */
  readonly clients: Set<Wire>;
  readonly relays: Set<RelayPair>;
  readonly tls: TlsContext | undefined;
  readonly http: HttpService;
  lastConnectFailure: ConnectFailure | undefined;
  draining: boolean;
  /** An accepted connection has closed. */
  gone(wire: Wire): void;
}
