// What the parts of the page share: the state that the address holds, the open hosts, the chosen metric.
// Parts change it through here and are told; none of them knows another.
import type { Fetched } from "./types.ts";
import { type PageState, readRoute, writeRoute } from "./route.ts";
import { createSource, type Source } from "./source.ts";

/** A part of the page; all of it may be left out. */
export interface Part {
  /** The state is another one. */
  update?(state: PageState): void;
  /** A host's state or context is another one. */
  changed?(source: Source): void;
  /** Values have come for a host, or (undefined) did not. */
  fetched?(source: Source, fetched: Fetched | undefined): void;
  /** A metric or a branch of the names was chosen: its name, and whether it is to be found in the tree. */
  chosen?(name: string, reveal: boolean): void;
  /** Colours are others. */
  repaint?(): void;
}

export interface App {
  readonly state: PageState;
  /** The charts stand still. */
  isPaused: boolean;
  add(part: Part): void;
  /** Makes another state of the one that is, and writes it into the address. */
  change(next: (state: PageState) => PageState): void;
  /** The source of an open host. */
  source(host: string): Source;
  choose(name: string, reveal?: boolean): void;
  repaint(): void;
  /** Tells something to people, for a while and aloud for screen readers. */
  say(text: string): void;
}

/** `say` shows a text to people for a while. */
export function createApp(say: (text: string) => void): App {
  const parts: Part[] = [];
  const sources = new Map<string, Source>();
  let state = readRoute(location.hash);

  const events = {
    changed: (source: Source): void => parts.forEach((part) => part.changed?.(source)),
    fetched: (source: Source, fetched: Fetched | undefined): void =>
      parts.forEach((part) => part.fetched?.(source, fetched)),
  };
  const sourceOf = (host: string): Source => {
    const known = sources.get(host);
    if (known !== undefined) return known;
    const made = createSource(host, events);
    sources.set(host, made);
    return made;
  };
  const apply = (): void => {
    for (const [host, source] of sources) {
      if (state.hosts.includes(host)) continue;
      source.close();
      sources.delete(host);
    }
    for (const host of state.hosts) {
      const source = sourceOf(host);
      source.every(state.every);
      source.watch(state.charts.filter((chart) => chart.host === host).map(({ metric }) => metric));
    }
    parts.forEach((part) => part.update?.(state));
  };
  addEventListener("hashchange", () => {
    if (location.hash === writeRoute(state)) return;
    state = readRoute(location.hash);
    apply();
  });

  let isStarted = false;
  queueMicrotask(() => {
    isStarted = true;
    apply();
  });
  return {
    get state() {
      return state;
    },
    isPaused: false,
    add: (part) => void parts.push(part),
    change(next) {
      const before = state;
      state = next(state);
      if (state === before) return;
      const hash = writeRoute(state);
      // Views are places to go back to; charts are not.
      if (before.view === state.view) history.replaceState(null, "", hash);
      else history.pushState(null, "", hash);
      if (isStarted) apply();
    },
    source: sourceOf,
    choose: (name, reveal = false) => parts.forEach((part) => part.chosen?.(name, reveal)),
    repaint: () => parts.forEach((part) => part.repaint?.()),
    say,
  };
}
