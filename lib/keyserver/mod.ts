// keyserver: time series on a Redis or Valkey server, alone or as a cluster: the connection, PCP's schema,
// loading, and the store and the index that answer from it.
export type { KeyCommand } from "./resp.ts";
export { COMMAND_TIMEOUT } from "./connection.ts";
export { type KeyServer, type KeyServerOptions, useKeyServer } from "./keys.ts";
export type { KnownInstance, KnownMetadata } from "./load-metadata.ts";
export { canLoadAgain, type LoadWriter, loadWriter } from "./load-writer.ts";
export { loadArchive, recordWriter } from "./load.ts";
export * from "./open.ts";
export { entryOfTime } from "./schema.ts";
export { keySearch } from "./search.ts";
export { KeySlot, SLOTS } from "./slot.ts";
export { keyStore } from "./store.ts";
