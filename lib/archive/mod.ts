// archive: PCP archives of versions 2 and 3, record by record, file by file and as sets.
export * from "./archive.ts";
export { Catalog } from "./catalog.ts";
export { ArchiveCursor, type CursorPlace, type Direction } from "./cursor.ts";
export * from "./data.ts";
export { isBrokenCompression } from "./decompress.ts";
export * from "./desc.ts";
export * from "./fault.ts";
export { compressionOf, MAX_CACHE_BYTES, openArchiveFile } from "./file.ts";
export { MAX_RECORD_BYTES, META_TYPE } from "./frame.ts";
export * from "./helptext.ts";
export * from "./indom.ts";
export { InstanceHistory, type Instances } from "./instances.ts";
export * from "./label.ts";
export * from "./labelset.ts";
export { loadMeta, type LookAtMeta } from "./loader.ts";
export { mendArchive, type Mended, type MendTrust } from "./mend.ts";
export * from "./meta.ts";
export { archiveName, freeArchive } from "./naming.ts";
export * from "./places.ts";
export { type ArchiveFile, readToEnd } from "./plain-file.ts";
export * from "./set.ts";
export { SetCursor } from "./setcursor.ts";
export * from "./temporal.ts";
export * from "./timestamp.ts";
export { type DataRecord, Volume } from "./volume.ts";
export {
  type ArchiveOutput,
  type ArchiveOutputs,
  ArchiveWriter,
  type WritableResult,
  type WriterLabel,
  type WriterOptions,
  type WrittenArchive,
} from "./writer.ts";
export { OutputFile, OutputFiles } from "./writer-files.ts";
export { type LiveFiles, openLiveFiles } from "./writer-live.ts";
export { type LoggerState, loggerMetrics, loggerResult } from "./writer-logger.ts";
