// record: a machine's own metrics, recorded into archives where nothing else does it.
export { type AroundOptions, loggerAround } from "./around.ts";
export { startRecorder } from "./recorder.ts";
export * from "./types.ts";
