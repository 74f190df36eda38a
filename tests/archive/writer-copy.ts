// Copies an archive record by record through the writer, as extraction tools do: metadata in their order
// and before the data that need them. Run as a program (`writer-copy.ts FROM TO [times]`) it repeats the
// data with later times, so that tests can stop it in the middle or let its disk fill.
import { basename } from "node:path";
import { openArchiveFile } from "../../lib/archive/file.ts";
import {
  ArchiveCursor,
  type ArchiveVersion,
  compareTimes,
  decodeMeta,
  encodeData,
  labelBytes,
  type MetaRecord,
  openArchive,
} from "../../lib/archive/mod.ts";
import { readToEnd } from "../../lib/archive/plain-file.ts";
import {
  ArchiveWriter,
  type WriterOptions,
  type WrittenArchive,
} from "../../lib/archive/writer.ts";
import { PM_ERR, PcpError, viewOf } from "../../lib/base/mod.ts";
import type { Timestamp } from "../../lib/pcp/mod.ts";

interface Meta {
  readonly bytes: Uint8Array;
  readonly record: MetaRecord;
}

/** All metadata records of an archive in their order. */
function* metadataOf(path: string, version: ArchiveVersion): Generator<Meta> {
  const file = openArchiveFile(path);
  const all = readToEnd(file, labelBytes(version));
  file.close();
  const view = viewOf(all);
  for (let at = 0; at + 8 <= all.length;) {
    const length = view.getInt32(at);
    const bytes = all.subarray(at, at + length);
    yield { bytes, record: decodeMeta(bytes) };
    at += length;
  }
}

/** What may be changed while copying. */
export interface CopyOptions {
  readonly version?: ArchiveVersion;
  readonly maxVolumeBytes?: number;
  /** The data are written so often, each time 1,000,000 seconds later. */
  readonly times?: number;
}

/** Copies the archive `from` to the base `to`. */
export function copyArchive(from: string, to: string, options: CopyOptions = {}): WrittenArchive {
  const source = openArchive(from);
  const version = options.version ?? source.label.version;
  const writerOptions: WriterOptions = {
    base: to,
    label: { ...source.label, version },
    ...(options.maxVolumeBytes === undefined ? {} : { maxVolumeBytes: options.maxVolumeBytes }),
  };
  const writer = new ArchiveWriter(writerOptions);
  const metadata = [...metadataOf(source.files.meta, source.label.version)];
  let next = 0;
  const copyOne = (): void => {
    const each = metadata[next++];
    if (each === undefined) return;
    writer.copyMeta(each.bytes);
  };
  /** Copies up to the last record that has this time or an earlier one. */
  const copyUntil = (time: Timestamp): void => {
    let end = next;
    for (let i = next; i < metadata.length; i++) {
      const { record } = metadata[i] as Meta;
      if (!("timestamp" in record)) continue;
      if (compareTimes(record.timestamp, time) > 0) break;
      end = i + 1;
    }
    while (next < end) copyOne();
  };
  for (let round = 0; round < (options.times ?? 1); round++) {
    const cursor = new ArchiveCursor(source);
    let volume = 0;
    while (cursor.next()) {
      const result = cursor.record.result();
      if (cursor.volume !== volume && options.maxVolumeBytes === undefined) writer.switchVolume();
      volume = cursor.volume;
      copyUntil(result.timestamp);
      const { sec, nsec } = result.timestamp;
      const record = encodeData(version, result, { sec: sec + round * 1_000_000, nsec });
      for (;;) {
        try {
          writer.append(record);
          break;
        } catch (error) {
          if (!(error instanceof PcpError) || error.code !== PM_ERR.PMID_LOG) throw error;
          if (next >= metadata.length) throw error;
          copyOne();
        }
      }
    }
    cursor.close();
  }
  while (next < metadata.length) copyOne();
  return writer.finish();
}

if (import.meta.main) {
  const [from = "", to = "", times = "1"] = process.argv.slice(2);
  console.log(`copying to ${basename(to)}`);
  try {
    console.log(JSON.stringify(copyArchive(from, to, { times: Number(times) })));
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    console.log(`${error.code} ${error.message}`);
    process.exitCode = 1;
  }
}
