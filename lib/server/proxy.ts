// The proxy as a whole: opens what the settings name, hands connections to their protocols, tells
// about itself, stops in order. Knows nothing of arguments, files or signals: its starter does.

import { hostname } from "node:os";
import { type Log, openFileLimit } from "../base/mod.ts";
import type { ServerView } from "../web/mod.ts";
import { accept } from "./accept.ts";
import { countersText, createCounters } from "./counters.ts";
import { createDeadlines } from "./deadlines.ts";
import { createHttpService } from "./http.ts";
import { openListeners } from "./listen.ts";
import type { Server } from "./server.ts";
import type { ProxySettings } from "./settings.ts";
import { loadTls } from "./tls.ts";
import type { Proxy, ProxyStatus, StartProxy } from "./types.ts";

/** How often a stopping server looks whether its sessions have become quiet. */
const DRAIN_LOOK_MS = 50;
/** Descriptors for everything that is not a connection: log, listeners, libraries. */
const DESCRIPTORS_RESERVED = 64;

/**
 * Connections that the process has descriptors for: a relayed one takes two. Never more than the
 * setting; a system that cannot be asked is taken at the setting's word.
 */
function connectionLimit(settings: ProxySettings, log: Log): number {
  const wanted = settings.limits.connections;
  try {
    const { soft } = openFileLimit();
    const possible = Math.floor((Number(soft) - DESCRIPTORS_RESERVED) / 2);
    if (possible >= wanted) return wanted;
    log.warning(
      `limits.connections = ${wanted} lowered to ${possible}: only ${soft} open files allowed`,
    );
    return Math.max(1, possible);
  } catch (error) {
    log.debug(`limit of open files unknown: ${error instanceof Error ? error.message : error}`);
    return wanted;
  }
}

const withLimit = (settings: ProxySettings, log: Log): ProxySettings => ({
  ...settings,
  limits: { ...settings.limits, connections: connectionLimit(settings, log) },
});

export const startProxy: StartProxy = async (settings, log) => {
  const started = Date.now();
  const counters = createCounters();
  const deadlines = createDeadlines();

  const status = (): ProxyStatus => ({
    name: "pmproxy",
    pid: process.pid,
    uptimeSeconds: Math.floor((Date.now() - started) / 1000),
    ready: !server.draining,
    listeners: listeners.rows.map(({ ok, port, family, address }) => ({
      ok,
      ...(port === undefined ? {} : { port }),
      family,
      address,
    })),
    connections: { open: counters.active, limit: server.settings.limits.connections },
    pcp: {
      enabled: server.settings.pcp.enabled,
      sessions: counters.relays,
      ...(server.lastConnectFailure === undefined
        ? {}
        : {
            lastFailure: {
              ...server.lastConnectFailure,
              at: new Date(server.lastConnectFailure.at).toISOString(),
            },
          }),
    },
    http: { enabled: server.settings.http.enabled },
    resp: {
      enabled: server.settings.resp.enabled,
      server: server.settings.keyServer.servers.map(({ host, port }) => `${host}:${port}`)[0] ?? "",
    },
    tls: { enabled: server.tls !== undefined },
    counters,
    memory: { residentBytes: process.memoryUsage.rss() },
  });
  const view: ServerView = {
    ready: () => !server.draining,
    status,
    metrics: () => countersText(counters),
  };

  const server: Server = {
    settings: withLimit(settings, log),
    log,
    counters,
    deadlines,
    clients: new Set(),
    relays: new Set(),
    tls: settings.tls === undefined ? undefined : loadTls(settings.tls),
    http: createHttpService(() => server, view),
    lastConnectFailure: undefined,
    draining: false,
    gone(wire) {
      if (server.clients.delete(wire)) counters.active -= 1;
    },
  };
  const listeners = await openListeners(settings.listen, log, (wire) => accept(server, wire));
  for (const note of server.tls?.notes ?? []) log.info(note);

  let advertisement: Promise<{ stop(): Promise<void> }> | undefined;
  if (settings.advertise && listeners.ports.length > 0) {
    advertisement = import("./advertise.ts").then(({ advertise }) =>
      advertise({ ports: listeners.ports, hostname: hostname(), log }),
    );
  }

  const withdraw = async (): Promise<void> => {
    const running = advertisement;
    advertisement = undefined;
    await (await running)?.stop();
  };

  const proxy: Proxy = {
    rows: listeners.rows,
    reload(next) {
      server.settings = withLimit(next, log);
    },
    status,
    async drain(ms) {
      server.draining = true;
      listeners.stop();
      await withdraw();
      const end = deadlines.now() + ms;
      const wireIsQuiet = new Set<object>();
      server.http.drain();
      for (;;) {
        // A session is quiet when nothing has been asked since the last look but one.
        for (const pair of server.relays) {
          if (pair.asked) wireIsQuiet.delete(pair);
          else if (wireIsQuiet.has(pair)) pair.close();
          else wireIsQuiet.add(pair);
        }
        server.http.drain();
        if ((server.relays.size === 0 && server.http.idle) || deadlines.now() >= end) break;
        await Bun.sleep(DRAIN_LOOK_MS);
      }
      proxy.close();
    },
    close() {
      server.draining = true;
      listeners.stop();
      void withdraw();
      for (const wire of server.clients) wire.destroy();
      for (const pair of server.relays) pair.close();
      deadlines.stop();
    },
  };
  return proxy;
};
