// What we use of the `ini` package, which ships no types of its own.
declare module "ini" {
  /** Sections and options; see config.ts for the form of text that it is given. */
  export function parse(text: string): Record<string, unknown>;
}
