// Notices changes of directories: the system tells of them (inotify), or they are looked at now and then
// where it does not: no watches left, file systems of a network, no such service. The system is asked to
// tell once, and again when the directory is looked at: a file that grows many times a second would wake
// this process as often. All of them are looked at once in a long while in case that something was not
// told. Nothing is refused: a directory that cannot be watched is polled, with one sentence for all.
import { type FSWatcher, watch } from "node:fs";
import { asPcpError, PcpError, turn } from "../base/mod.ts";
import { identityOf, isRemote, stateOf } from "./folders.ts";
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
  /**
   * Watches a directory until it changes; call it again before each look at it. One that was replaced
   * by another of its name is watched anew.
   */
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
  /** None: it is polled, or has changed and nobody has looked at it since. */
  watcher: { close(): void } | undefined;
  isPolled: boolean;
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

  /** Said once for all: the reason is that of the machine. */
  const poll = (folder: string, state: Folder, reason: string): void => {
    state.isPolled = true;
    if (told || closed) return;
    told = true;
    log("warning", `discovery: ${folder} is polled for changes: ${reason}`);
  };
  const start = (folder: string, state: Folder): void => {
    try {
      if (isRemote(folder))
        return poll(folder, state, "other machines may write to its file system");
      const watcher = watchFolder(
        folder,
        () => {
          if (state.watcher === watcher) once(folder, state);
        },
        (error) => {
          if (state.watcher !== watcher) return;
          poll(folder, state, asPcpError(error).message);
          once(folder, state);
        },
      );
      state.watcher = watcher;
    } catch (error) {
      poll(folder, state, asPcpError(error).message);
    }
  };
  /** It is known to have changed: until somebody looks at it there is no more to be told. */
  const once = (folder: string, state: Folder): void => {
    state.watcher?.close();
    state.watcher = undefined;
    changed(folder);
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
      if (!all && !state.isPolled) continue;
      await look(folder, state);
      await turn();
    }
  };

  return {
    add(folder) {
      const identity = identityOf(folder);
      if (identity === undefined || closed) return remove(folder);
      const before = folders.get(folder);
      if (before?.identity === identity) {
        if (before.watcher === undefined && !before.isPolled) start(folder, before);
        return;
      }
      remove(folder);
      const isPolled = options.polling;
      const state: Folder = { identity, watcher: undefined, isPolled, state: undefined };
      folders.set(folder, state);
      if (!isPolled) start(folder, state);
      // What it is compared with is as it is now.
      if (state.isPolled) void look(folder, state);
    },
    remove,
    modeOf(folder) {
      const state = folders.get(folder);
      if (state === undefined) return undefined;
      return state.isPolled ? "polling" : "inotify";
    },
    get folders() {
      return folders.size;
    },
    get polled() {
      return [...folders.values()].filter(({ isPolled }) => isPolled).length;
    },
    close() {
      closed = true;
      clearInterval(timer);
      for (const folder of folders.keys()) remove(folder);
    },
  };
}
