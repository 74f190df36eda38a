// What libpcp of PCP 7.2 said about derived metrics (tests/fixtures/derived, made by record.py there).
import { join } from "node:path";

/** Folder of the recordings; the archive in it is `derived`. */
export const FOLDER = join(import.meta.dir, "../fixtures/derived");

/** Expression, its tree as text, or the message of pmRegisterDerivedMetric. */
export type SyntaxRow = readonly [string, string | null, string | null];

/** Expression, mode, then descriptor and values, or the code of the descriptor and the message. */
export type ValuesRow =
  | readonly [
      string,
      "forw" | "back" | "interp",
      readonly [number, string, number, string],
      readonly (number | readonly [string, number, ...string[]])[],
    ]
  | readonly [string, "forw" | "back" | "interp", number, string];

/** One configuration file and what became of it. */
export interface ConfigurationRow {
  readonly text: string;
  readonly count: number;
  readonly complaints: string;
  /** One-line and full help text of the metrics "a" and "b" that are there. */
  readonly names: Readonly<Record<string, readonly (string | null)[]>>;
}

const read = async <T>(name: string): Promise<readonly T[]> =>
  (await Bun.file(join(FOLDER, name)).json()) as readonly T[];

/** All rows of syntax.json. */
export const syntaxRows = await read<SyntaxRow>("syntax.json");
/** All rows of values.json. */
export const valuesRows = await read<ValuesRow>("values.json");
/** All rows of configurations.out.json. */
export const configurationRows = await read<ConfigurationRow>("configurations.out.json");
