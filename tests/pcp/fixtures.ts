// Golden rows recorded from the real libpcp by tests/fixtures/pcp/record.py.
import { readFileSync } from "node:fs";

/** Rows of one recording; `release` 6 is PCP 6.0.3, kept only where it differs from 7.2. */
export const rows = <Row>(name: string, release: 6 | 7 = 7): Row[] =>
  JSON.parse(
    readFileSync(new URL(`../fixtures/pcp/${name}-${release}.json`, import.meta.url), "utf8"),
  ) as Row[];

/** What a call threw, or its answer. */
export function outcome<Value>(call: () => Value): Value | { code: number; message: string } {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    return { code: Number(error.code), message: error.message };
  }
}

/** Numbers as Python's repr writes them. */
export function fromRepr(text: string): number {
  if (text.includes("inf")) return text.startsWith("-") ? -Infinity : Infinity;
  return text === "nan" ? Number.NaN : Number(text);
}
