// discover: follows directories of archives, and fills a catalogue or a key server from them.
export * from "./types.ts";
export { startDiscovery } from "./discovery.ts";
