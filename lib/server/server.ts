// What the parts of a running server share: its settings, numbers, clock and the sets of what is
// open. Data only; whoever opens something adds it here and takes it out again.

import type { Duplex } from "node:stream";
import type { SecureContext } from "node:tls";
import type { Log } from "../base/mod.ts";
import type { Counters } from "./counters.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Pump } from "./pump.ts";
import type { ProxySettings } from "./settings.ts";
import type { Complaints } from "./complaints.ts";
import type { NativeWire, OnFault, StreamWire, Wire } from "./wire.ts";

/** The last server that a client asked for and did not get. */
export interface ConnectFailure {
  readonly target: string;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Certificates and rules, ready for connections. */
export interface TlsContext {
  readonly secure: SecureContext;
  readonly verifyClients: boolean;
  /** For the log: which library, and what was set. */
  readonly notes: readonly string[];
}

/** Stops the bytes of a connection, and lets them go on. */
export type Hold = (isHeld: boolean) => void;

/** What the HTTP side of a server does. */
export interface HttpService {
  /** Serves HTTP on a wire, whose first bytes are `first`. */
  serve(wire: NativeWire | StreamWire, first: Uint8Array): void;
  /**
   * Serves HTTP on a stream with all that HTTP has; `certified`: the client has shown a good
   * certificate; `hold` acts on what comes in.
   */
  adopt(stream: Duplex, certified: boolean, hold: Hold): void;
  /** Closes connections without a request under way; the others close after their reply. */
  drain(): void;
  readonly idle: boolean;
}

/** A relayed session, as whoever stops the server sees it. */
export interface RelaySession {
  /** The relay thread has it, and retires it by itself when it drains. */
  readonly away: boolean;
  /** A request or a reply may be under way. Asked again, it says so once for each piece of news. */
  isBusy(): boolean;
  /** Closes after what is kept for either side has gone out. */
  retire(): void;
  /** Closes now. */
  close(): void;
}

export interface Server {
  /** Replaced as a whole by a reload. */
  settings: ProxySettings;
  readonly log: Log;
  /** For lines that a client can cause at will: so many in a while, then their number. */
  readonly complaints: Complaints;
  readonly counters: Counters;
  readonly deadlines: Deadlines;
  /** Accepted connections that are open, one each, whatever is inside. */
  readonly clients: Set<Wire>;
  readonly relays: Set<RelaySession>;
  readonly tls: TlsContext | undefined;
  readonly http: HttpService;
  readonly pump: Pump;
  lastConnectFailure: ConnectFailure | undefined;
  draining: boolean;
  /** Clients whose server is being connected. */
  connecting: number;
  /** Whether `wanted` more descriptors can be opened and the process still has its reserve. */
  hasDescriptors(wanted: number): boolean;
  /** Counts and logs what our own code threw; the connection that it failed on is closed. */
  readonly onFault: OnFault;
  /** An accepted connection has closed. */
  gone(wire: Wire): void;
}
