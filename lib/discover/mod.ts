// discover: follows directories of archives, and fills a catalogue or a key server from them.
export * from "./types.ts";
export { startDiscovery } from "./discovery.ts";
export { type ExclusionOptions } from "./exclusions.ts";
export { type KeyArchiveOptions } from "./key-archive.ts";
export { keySink, type KeySinkOptions } from "./key-sink.ts";
export * from "./feed.ts";
export { loadInThread } from "./load-thread.ts";
export { catalogueSink, type CatalogueSinkOptions } from "./catalogue-sink.ts";
