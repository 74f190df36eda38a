// server: sockets, protocols, relays; one proxy.
import type { StartProxy } from "./types.ts";

// With all that a proxy is made of, which who only reads settings does not need.
export const startProxy: StartProxy = async (...of) =>
  (await import("./proxy.ts")).startProxy(...of);
export * from "./series-settings.ts";
export * from "./settings.ts";
export * from "./settings-row.ts";
export * from "./settings-table.ts";
export * from "./settings-tls.ts";
export * from "./settings-values.ts";
export type { PortRow, Proxy, ProxyParts, ProxyStatus, StartProxy } from "./types.ts";
