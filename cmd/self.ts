// How this program is started again: the same executable, or Bun with the same sources.

/** Where the sources of a compiled executable stand. */
const COMPILED = /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/;

/** The main file, when the program runs from its sources. */
export const sourceScript = (): string | undefined =>
  COMPILED.test(Bun.main) ? undefined : Bun.main;

/** First argument of the process around a compiled agent; the next one is its specification. */
export const DSO_HOST = "--pcpbox-dso-host";

/** The command that becomes the process around a compiled agent when it gets a specification. */
export const hostCommand = (): string[] => [
  process.execPath,
  ...[sourceScript() ?? []].flat(),
  DSO_HOST,
];
