// Archives that come as bytes and are kept nowhere (spec series.md 5.4): what a logger pushes goes to the
// key server record by record. Bytes may end within a record; the rest of it waits. Refused: damaged
// records, records that are too long, more metadata and rests of all archives together than HELD_BYTES,
// anything while the key server is away.
import {
  type ArchiveLabel,
  Catalog,
  decodeData,
  META_TYPE,
  metaType,
  type RecordPlace,
} from "../archive/mod.ts";
import { asPcpError, bufferOf, PM_ERR, PcpError } from "../base/mod.ts";
import type { KeyServer } from "../keyserver/mod.ts";
import { type ExclusionOptions, exclusions } from "./exclusions.ts";
import { type Followed, followArchive, type WriteOptions } from "./followed.ts";
import { hostLabels, readMetadata } from "./known.ts";
import type { DiscoveryLog } from "./types.ts";
import { writerPool } from "./writers.ts";

/** How what is fed is written. */
export interface FeedOptions extends ExclusionOptions, WriteOptions {
  readonly log?: DiscoveryLog;
  /** HELD_BYTES by default. */
  readonly heldBytes?: number;
}

/** An archive that is fed. Calls are made one after the other. */
export interface FeedStream {
  /** The next bytes of the metadata file, its label left out. Resolves when they are written. */
  meta(bytes: Uint8Array): Promise<void>;
  /** The next bytes of the volumes, their labels left out. Resolves when they are written. */
  data(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Where archives are fed to. */
export interface ArchiveFeed {
  /** A new archive; `name` becomes its context name. */
  open(archive: { readonly name: string; readonly label: ArchiveLabel }): FeedStream;
}

/** Longest record that is waited for. */
const MAX_FEED_RECORD = 16 * 1024 * 1024;
/** Bytes of metadata, and of records whose end is missing, that are kept of all archives together. */
const HELD_BYTES = 256 * 1024 * 1024;
const LENGTH = 4;
const TYPES: ReadonlySet<number> = new Set(Object.values(META_TYPE));

/** Cuts bytes into whole records. Throws PcpError for lengths that no record has. */
function recordCutter(file: string, hold: (bytes: number) => void) {
  let rest: Buffer = Buffer.alloc(0);
  let offset = 0;
  return function* (bytes: Uint8Array): Generator<{ record: Buffer; place: RecordPlace }> {
    let all: Buffer = rest.length === 0 ? bufferOf(bytes) : Buffer.concat([rest, bytes]);
    while (all.length >= LENGTH) {
      const length = all.readInt32BE(0);
      if (length < 3 * LENGTH || length > MAX_FEED_RECORD)
        throw new PcpError(PM_ERR.LOGREC, `${file}, offset ${offset}: length ${length}`);
      if (all.length < length) break;
      const record = all.subarray(0, length);
      all = all.subarray(length);
      const place = { file, offset };
      offset += length;
      yield { record, place };
    }
    hold(all.length - rest.length);
    // In memory of its own: the rest of a body is no longer than a record.
    rest = Buffer.from(all);
  };
}

/** Feeds archives to a key server. Throws PcpError for wrong exclusions. */
export function keyFeed(server: KeyServer, options: FeedOptions = {}): ArchiveFeed {
  const { log, heldBytes = HELD_BYTES } = options;
  const left = exclusions(options);
  let held = 0;
  const writers = writerPool(server);
  const warn = (text: string): void => log?.("warning", `discovery: ${text}`);

  return {
    open({ name, label }) {
      const catalog = new Catalog();
      const metadata = readMetadata(hostLabels(label.host), left);
      let own = 0;
      const hold = (bytes: number): void => {
        own += bytes;
        held += bytes;
        if (held > heldBytes)
          throw new PcpError(
            PM_ERR.TOOBIG,
            `${name}: more than ${heldBytes} bytes of archives that are pushed are to be kept`,
          );
      };
      const cutMeta = recordCutter(`${name}.meta`, hold);
      const cutData = recordCutter(name, hold);
      let followed: Followed | undefined;
      let generation = -1;
      let damage: unknown;

      /** The archive on the connection as it is now; metadata are written again on a new one. */
      const connected = async (): Promise<Followed> => {
        if (damage !== undefined) throw damage;
        if (server.state.kind === "down")
          throw new PcpError(
            PM_ERR.NOTCONN,
            `no connection to the key server: ${server.state.reason}`,
          );
        await server.ready();
        if (followed !== undefined && generation === server.generation) return followed;
        generation = server.generation;
        const { host, start } = label;
        const source = { catalog, context: name, host, start, metadata };
        followed = followArchive(server, writers, source, options, warn);
        return followed;
      };
      /** After damage nothing that follows has a meaning. */
      const guarded = async (body: (to: Followed) => Promise<void>): Promise<void> => {
        const to = await connected();
        try {
          await body(to);
        } catch (error) {
          const { code } = asPcpError(error);
          if (code === PM_ERR.LOGREC || code === PM_ERR.TOOBIG) damage = error;
          else followed = undefined;
          throw error;
        }
        await settled(to);
      };
      const settled = async (to: Followed): Promise<void> => {
        try {
          await to.settle();
        } catch (error) {
          followed = undefined;
          throw error;
        }
      };
      return {
        meta: (bytes) =>
          guarded(async (to) => {
            for (const { record, place } of cutMeta(bytes)) {
              const type = metaType(record, place);
              if (!TYPES.has(type))
                throw new PcpError(PM_ERR.LOGREC, `${place.file}: record type ${type}`);
              if (type === META_TYPE.TEXT && !server.hasSearch) continue;
              // Kept beyond the body that it came in.
              hold(record.length);
              const kept = Buffer.from(record);
              to.meta(type, kept, place);
              catalog.add(type, kept, place);
            }
            await Promise.resolve();
          }),
        data: (bytes) =>
          guarded(async (to) => {
            for (const { record, place } of cutData(bytes)) {
              const result = decodeData(record, label.version, place);
              if (result.numpmid > 0) await to.data(result);
            }
          }),
        close: () => {
          followed = undefined;
          held -= own;
          own = 0;
          return Promise.resolve();
        },
      };
    },
  };
}
