// What the settings mean for time series: which store, how its key server is reached, where its catalogue
// is. Refuses TLS files that cannot be read.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError } from "../base/mod.ts";
import type { OpenKeySeriesOptions } from "../keyserver/mod.ts";
import type { SeriesUse } from "../series/mod.ts";
import type { HostPort, KeyServerSettings, ProxySettings } from "./settings.ts";
import { usableDirectory } from "./state-directory.ts";

/** Name of the catalogue in the state directory. */
const CATALOGUE = "series.sqlite";

/** Where series are, by the settings: on a key server, in archives, or nowhere. */
export function storeOf(settings: ProxySettings): "keys" | "embedded" | undefined {
  const { series, keyServer, deprecated } = settings;
  if (deprecated || !series.enabled) return undefined;
  if (series.store === "embedded") return "embedded";
  if (series.store === "keys") return keyServer.enabled ? "keys" : undefined;
  return keyServer.named && keyServer.enabled ? "keys" : "embedded";
}

const serverText = ({ host, port }: HostPort): string => {
  if (host.startsWith("/")) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
};

function pemOf(option: string, path: string | undefined): string | undefined {
  if (path === undefined || path === "") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = asPcpError(error);
    throw new PcpError(code, `[keys] ${option}: ${path}: ${message}`);
  }
}

/** How the key server of some settings is reached. Throws PcpError for TLS files that cannot be read. */
export function keyServerOptions(settings: KeyServerSettings): OpenKeySeriesOptions["server"] {
  const { servers, username, password, tls } = settings;
  const ca = pemOf("tls.ca", tls.ca);
  const cert = pemOf("tls.cert", tls.certificate);
  const key = pemOf("tls.key", tls.key);
  return {
    servers: servers.map(serverText),
    ...(username === "" ? {} : { user: username }),
    ...(password === "" ? {} : { password }),
    ...(tls.enabled
      ? {
          tls: {
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key }),
            rejectUnauthorized: tls.verify,
          },
        }
      : {}),
  };
}

/** What of the settings a service asks for at each use. */
export const seriesUse = ({ series, discover }: ProxySettings): SeriesUse => ({
  cursorCount: series.cursorCount,
  streamLength: series.streamMaxLength,
  streamSeconds: series.streamExpireSeconds,
  excludeMetrics: discover.excludeMetrics,
});

/** The file of the catalogue: as configured, else in the state directory; undefined without one. */
export function catalogueFile({ series, paths }: ProxySettings): string | undefined {
  if (series.catalogue !== undefined && series.catalogue !== "") return series.catalogue;
  const directory = usableDirectory(paths.stateDirectories);
  return directory === undefined ? undefined : join(directory, CATALOGUE);
}
