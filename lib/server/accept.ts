// The one way in: a new connection, whatever socket it came from, waits for its first bytes under a
// deadline, and these say who serves it. Inside TLS the same question is asked once more, and not a
// third time.

import type { Timed } from "./deadlines.ts";
import { GreetingSink } from "./relay.ts";
import { connectResp } from "./resp.ts";
import type { Server } from "./server.ts";
import { type Protocol, protocolOf } from "./sniff.ts";
import { acceptTls } from "./tls.ts";
import { type NativeWire, StreamWire, type WireSink } from "./wire.ts";

/** Takes a new connection of a listening socket. */
export function accept(server: Server, wire: NativeWire): void {
  const { counters, settings } = server;
  const full = counters.active >= settings.limits.connections || !server.hasDescriptors(1);
  if (server.draining || full) {
    counters.refused += 1;
    wire.destroy();
    return;
  }
  counters.accepted += 1;
  counters.active += 1;
  server.clients.add(wire);
  if (server.log.enabled("debug")) server.log.debug(`accept new client ${wire.peer || "unix:"}`);
  wire.sink = new FirstByteSink(server, wire);
}

/** A connection that has said nothing yet. */
class FirstByteSink implements WireSink, Timed {
  deadline = 0;

  constructor(
    private readonly server: Server,
    private readonly wire: NativeWire | StreamWire,
  ) {
    server.deadlines.set(this, server.settings.limits.firstByteTimeoutMs);
  }

  data(first: Uint8Array): void {
    const { server, wire } = this;
    server.deadlines.clear(this);
    const protocol = protocolOf(first[0] ?? 0);
    if (protocol !== undefined && SERVE[protocol](server, wire, first)) {
      server.counters.connections[protocol] += 1;
      return;
    }
    server.counters.unknown += 1;
    wire.destroy();
  }
  drain(): void {}
  end(): void {
    this.wire.destroy();
  }
  close(): void {
    this.server.deadlines.clear(this);
    this.server.gone(this.wire);
  }
  expired(): void {
    this.server.counters.tooSlow += 1;
    this.wire.destroy();
  }
}

type Serve = (server: Server, wire: NativeWire | StreamWire, first: Uint8Array) => boolean;

/** Who serves a protocol; false: it is switched off, and the connection is closed. */
const SERVE: Readonly<Record<Protocol, Serve>> = {
  pcp(server, wire, first) {
    if (!server.settings.pcp.enabled) return false;
    const sink = new GreetingSink(server, wire);
    wire.sink = sink;
    sink.data(first);
    return true;
  },
  http(server, wire, first) {
    if (!server.settings.http.enabled || server.settings.deprecated) return false;
    server.http.serve(wire, first);
    return true;
  },
  resp(server, wire, first) {
    const { resp, keyServer, deprecated } = server.settings;
    // A request is an array; anything else is not a client of a key server.
    const request = first[0] === 0x2a && (first.length === 1 || isDigit(first[1] ?? 0));
    if (!resp.enabled || !keyServer.enabled || deprecated || keyServer.servers.length === 0)
      return false;
    if (!request) {
      server.complaints.warning("failed to parse RESP protocol request");
      return false;
    }
    connectResp(server, wire, first);
    return true;
  },
  tls(server, wire, first) {
    const { tls, settings } = server;
    if (tls === undefined || settings.deprecated || wire instanceof StreamWire) return false;
    acceptTls(server, tls, wire, first, (within) => {
      within.sink = new FirstByteSink(server, within);
    });
    return true;
  },
};

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
