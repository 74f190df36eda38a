// Notices changes of directories: the system tells of them (inotify), or they are looked at now and then
// where it does not: no watches left, file systems of a network, no such service. All of them are looked
// at once in a long while in case that something was not told. Nothing is refused: a directory that
// cannot be watched is polled, with one sentence for all of them.
import { type FSWatcher, watch } from "node:fs";
import { asPcpError, PcpError } from "../base/mod.ts";
import { identityOf, isRemote, stateOf, turn } from "./folders.ts";
import { type DiscoveryLog, POLL_SECONDS, type WatchFolder } from "./types.ts";

/** Rounds of polling between two looks at directories whose changes the system tells of. */
const ROUNDS_FOR_WATCHED = 30;

/** How directories are watched. */
export interface WatchOptions {
  readonly changed: (folder: string) => void;
  readonly log: DiscoveryLog;
  readonly polling: boolean;
  readonly pollSeconds?: number;
  readonly watchFolder?: WatchFolder;
}

/** Directories that are watched. */
export interface FolderWatch {
  /** Watches a directory; one that was replaced by another of its name is watched anew. */
  add(folder: string): void;
  remove(folder: string): void;
  /** undefined for one that is not watched. */
  modeOf(folder: string): "inotify" | "polling" | undefined;
  readonly folders: number;
  readonly polled: number;
  close(): void;
}

interface Folder {
  readonly identity: string;
  watcher: { close(): void } | undefined;
  /** As of the last look; see stateOf. */
  state: number | undefined;
}

/** By the system. */
export const watchBySystem: WatchFolder = (folder, changed, failed) => {
  const watcher: FSWatcher = watch(folder, { persistent: false }, changed);
  watcher.on("error", failed);
  return watcher;
};

/** Watches directories as they are added. */
export function watchFolders(options: WatchOptions): FolderWatch {
  const { changed, log, watchFolder = watchBySystem } = options;
  const folders = new Map<string, Folder>();
  let told = options.polling;
  let closed = false;
  let round = 0;

  /** Once for all: the reason is that of the machine. */
  const poll = (folder: string, reason: string): void => {
    if (told || closed) return;
    told = true;
    log("warning", `discovery: ${folder} is polled for changes: ${reason}`);
  };
  const start = (folder: string): { close(): void } | undefined => {
    if (options.polling) return undefined;
    try {
      if (isRemote(folder)) {
        poll(folder, "other machines may write to its file system");
        return undefined;
      }
      return watchFolder(
        folder,
        () => changed(folder),
        (error) => {
          const state = folders.get(folder);
          state?.watcher?.close();
          if (state !== undefined) state.watcher = undefined;
          poll(folder, asPcpError(error).message);
          changed(folder);
        },
      );
    } catch (error) {
      poll(folder, asPcpError(error).message);
      return undefined;
    }
  };
  const remove = (folder: string): void => {
    folders.get(folder)?.watcher?.close();
    folders.delete(folder);
  };

  const look = async (folder: string, state: Folder): Promise<void> => {
    let now: number;
    try {
      now = await stateOf(folder);
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      // Gone or unreadable: who looks at it finds out.
      now = -1;
    }
    const before = state.state;
    state.state = now;
    if (before !== undefined && before !== now && !closed) changed(folder);
  };
  let looking = false;
  const timer = setInterval(
    () => {
      if (looking) return;
      looking = true;
      const all = round++ % ROUNDS_FOR_WATCHED === 0;
      void lookAround(all).finally(() => (looking = false));
    },
    (options.pollSeconds ?? POLL_SECONDS) * 1000,
  );
  timer.unref();
  const lookAround = async (all: boolean): Promise<void> => {
    for (const [folder, state] of folders) {
      if (closed) return;
      if (!all && state.watcher !== undefined) continue;
      await look(folder, state);
      await turn();
    }
  };

  return {
    add(folder) {
      const identity = identityOf(folder);
      if (identity === undefined) return remove(folder);
      if (folders.get(folder)?.identity === identity) return;
      remove(folder);
      const state: Folder = { identity, watcher: undefined, state: undefined };
      folders.set(folder, state);
      state.watcher = start(folder);
      // What it is compared with is as it is now.
      if (state.watcher === undefined) void look(folder, state);
    },
    remove,
    modeOf(folder) {
      const state = folders.get(folder);
      if (state === undefined) return undefined;
      return state.watcher === undefined ? "polling" : "inotify";
    },
    get folders() {
      return folders.size;
    },
    get polled() {
      return [...folders.values()].filter(({ watcher }) => watcher === undefined).length;
    },
    close() {
      closed = true;
      clearInterval(timer);
      for (const folder of folders.keys()) remove(folder);
    },
  };
}
