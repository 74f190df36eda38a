// server: sockets, protocols, relays; one proxy.
export { startProxy } from "./proxy.ts";
export * from "./series-settings.ts";
export * from "./settings.ts";
export * from "./settings-row.ts";
export * from "./settings-table.ts";
export * from "./settings-tls.ts";
export * from "./settings-values.ts";
export type { PortRow, Proxy, ProxyParts, ProxyStatus, StartProxy } from "./types.ts";
