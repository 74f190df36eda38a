// How a run ends early: the messages were said, what is left is the exit status and whether the output
// that was begun is given up with "not created" (spec extract.md 2, ABANDON). Also the texts of errors.
import { asPcpError, pmErrStr } from "../base/mod.ts";

/** The name in front of messages (spec extract.md, Terms). */
export const PROGRAM = "pmlogextract";

/** Thrown after its reason was said. */
export class ExtractStop extends Error {
  constructor(
    readonly status: 1 | 2,
    /** Whether the phases after the creation of the output had begun. */
    readonly abandon: boolean,
  ) {
    super("extraction ended");
    this.name = "ExtractStop";
  }
}

/** PCP's text of whatever was thrown; that of the system for an error of it. */
export const errorText = (thrown: unknown): string => pmErrStr(asPcpError(thrown).code);

/** The lines about damage in a file (spec extract.md 14.2), each with its newline. */
export const damageText = (
  what: string,
  thrown: unknown,
  offset: number,
  fileBytes: number,
): string =>
  `${PROGRAM}: Error: ${what}: ${errorText(thrown)}\n` +
  `${PROGRAM}: Error occurred at byte offset ${offset} into a file of ${fileBytes} bytes.\n` +
  "The last record, and the remainder of this file will not be extracted.\n";
