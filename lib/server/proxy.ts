// The proxy as a whole: opens what the settings name, hands connections to their protocols, tells
// about itself, stops in order. Knows nothing of arguments, files or signals: its starter does.

import { hostname } from "node:os";
import { type Log, openFileLimit } from "../base/mod.ts";
import { createPage } from "../page/mod.ts";
import { createWebApi, type ServerView, type WebApi } from "../web/mod.ts";
import { accept } from "./accept.ts";
import { createComplaints } from "./complaints.ts";
import { type Counters, countersText, createCounters } from "./counters.ts";
import { createDeadlines } from "./deadlines.ts";
import { createHttpService } from "./http.ts";
import { openListeners } from "./listen.ts";
import { DIAL_DESCRIPTORS } from "./relay.ts";
import { createPump } from "./pump.ts";
import type { RelaySession, Server } from "./server.ts";
import { DEFAULT_SETTINGS, type ProxySettings } from "./settings.ts";
import { createTimeSeries } from "./timeseries.ts";
import { loadTls } from "./tls.ts";
import type { Proxy, ProxyStatus, StartProxy } from "./types.ts";

/** How often a stopping server looks whether its sessions have become quiet. */
const DRAIN_LOOK_MS = 50;
/** Descriptors for everything that is not a connection: log, listeners, libraries, look-ups. */
const DESCRIPTORS_RESERVED = 64;

/**
 * Descriptors that connections and their upstream sides may take together. Bun turns in circles
 * while an accept fails for want of them, so it must never come to that. No bound on a system that
 * cannot be asked.
 */
function descriptorBudget(log: Log): number {
  try {
    const soft = Number(openFileLimit().soft);
    return soft - Math.min(DESCRIPTORS_RESERVED, Math.floor(soft / 2));
  } catch (error) {
    log.debug(`limit of open files unknown: ${error instanceof Error ? error.message : error}`);
    return Infinity;
  }
}

/** The settings with no more connections than there are descriptors: a relayed one takes two. */
function withLimit(settings: ProxySettings, budget: number, log: Log): ProxySettings {
  const { connections } = settings.limits;
  const possible = Math.max(1, Math.floor(budget / 2));
  if (possible >= connections) return settings;
  // Worth a warning only to somebody who has asked for a number.
  const asked = connections !== DEFAULT_SETTINGS.limits.connections;
  log.write(
    asked ? "warning" : "debug",
    `limits.connections = ${connections} lowered to ${possible}: only so many files may be open`,
  );
  return { ...settings, limits: { ...settings.limits, connections: possible } };
}

/** The requests of `api`, and beside them those about time series and the one for the page. */
function together(api: WebApi, series: WebApi): WebApi {
  const page = createPage();
  return {
    ...api,
    answer: (request) => api.answer(request) ?? series.answer(request) ?? page.answer(request),
  };
}

export const startProxy: StartProxy = async (settings, log, parts = {}) => {
  const started = Date.now();
  const counters = createCounters();
  const complaints = createComplaints(log);
  const onFault = (error: unknown): void => {
    counters.faults += 1;
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    complaints.error(`internal error, connection closed: ${reason}`);
  };
  const deadlines = createDeadlines(onFault);
  const budget = descriptorBudget(log);
  // Before time series begin their work, which asks for the settings of a server.
  const tls = settings.tls === undefined ? undefined : loadTls(settings.tls);
  const series = createTimeSeries(settings, {
    settings: () => server.settings,
    log,
    hasRoom: () => server.hasDescriptors(1),
    ...(parts.fallback === undefined ? {} : { fallback: parts.fallback }),
  });
  const api = together(
    parts.api ??
      createWebApi({
        warn: (text) => complaints.warning(text),
        limits: () => server.settings.webapi,
        hasRoom: () => server.hasDescriptors(1),
        ...(parts.fallback === undefined ? {} : { fallback: parts.fallback }),
      }),
    series.api,
  );

  /** The pump counts its bytes itself. */
  const currentCounters = (): Counters => ({
    ...counters,
    bytesToServers: counters.bytesToServers + server.pump.bytesToServers,
    bytesToClients: counters.bytesToClients + server.pump.bytesToClients,
  });

  const status = (): ProxyStatus => ({
    name: "pmproxy",
    pid: process.pid,
    uptimeSeconds: Math.floor((Date.now() - started) / 1000),
    ready: !server.draining,
    ports: listeners.ports,
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
      inThread: server.pump.sessions,
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
    web: api.status(),
    ...series.api.status(),
    counters: currentCounters(),
    memory: { residentBytes: process.memoryUsage.rss() },
  });
  const view: ServerView = {
    ready: () => !server.draining,
    status,
    metrics: () => countersText(currentCounters()),
  };

  const server: Server = {
    settings: withLimit(settings, budget, log),
    log,
    complaints,
    onFault,
    counters,
    deadlines,
    clients: new Set(),
    relays: new Set(),
    tls,
    http: createHttpService(() => server, view, settings.limits.headerBytes, api),
    pump: createPump(log, settings.limits.connectionBuffer),
    lastConnectFailure: undefined,
    draining: false,
    connecting: 0,
    hasDescriptors(wanted) {
      const { active, relays, clusterLinks, dials } = counters;
      const contexts = Number(api.status()["connections"] ?? 0);
      const links = relays + clusterLinks + DIAL_DESCRIPTORS * dials;
      return active + links + contexts + wanted <= budget;
    },
    gone(wire) {
      if (!server.clients.delete(wire)) return;
      counters.active -= 1;
      // PCP's own tests count these lines with `-Dcontext`.
      log.debug("client connection closed");
    },
  };
  const listeners = await openListeners(settings.listen, log, {
    accept: (wire) => accept(server, wire),
    onFault,
  }).catch(async (error: unknown) => {
    await Promise.all([api.close(), series.api.close()]);
    throw error;
  });
  for (const note of server.tls?.notes ?? []) log.info(note);

  let advertisement: Promise<{ stop(): Promise<void> } | undefined> | undefined;
  if (settings.advertise && listeners.ports.length > 0) {
    advertisement = import("../advertise/mod.ts").then(
      ({ advertise }) => advertise({ ports: listeners.ports, hostname: hostname(), log }),
      (error: unknown) => {
        log.warning(`not advertised: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      },
    );
  }

  const withdraw = async (): Promise<void> => {
    const running = advertisement;
    advertisement = undefined;
    await (await running)?.stop();
  };

  let closed: Promise<void> | undefined;
  const proxy: Proxy = {
    rows: listeners.rows,
    begin: () => series.begin(),
    reload(next) {
      server.settings = withLimit(next, budget, log);
      series.reload();
    },
    status,
    async drain(ms) {
      server.draining = true;
      listeners.stop();
      const withdrawn = withdraw();
      const end = deadlines.now() + ms;
      const quiet = new Set<RelaySession>();
      server.pump.drain();
      for (;;) {
        // A session ends when it was found quiet twice.
        for (const pair of server.relays) {
          if (pair.away) continue;
          if (pair.isBusy()) quiet.delete(pair);
          else if (quiet.has(pair)) pair.retire();
          else quiet.add(pair);
        }
        server.http.drain();
        const open = server.relays.size > 0 || server.connecting > 0 || !server.http.idle;
        if (!open || closed !== undefined || deadlines.now() >= end) break;
        await Bun.sleep(Math.min(DRAIN_LOOK_MS, ms));
      }
      await Promise.race([withdrawn, Bun.sleep(Math.max(0, end - deadlines.now()))]);
      await proxy.close();
    },
    close() {
      if (closed === undefined) {
        closed = Promise.all([api.close(), series.api.close()]).then(() => undefined, onFault);
      }
      server.draining = true;
      listeners.stop();
      void withdraw();
      server.pump.stop();
      for (const wire of server.clients) wire.destroy();
      for (const pair of server.relays) if (!pair.away) pair.close();
      deadlines.stop();
      return closed;
    },
  };
  return proxy;
};
