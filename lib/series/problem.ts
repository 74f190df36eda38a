// What goes wrong with a question about series: PCP's message and how grave it is (spec series.md 11.3).
import { PcpError } from "../base/mod.ts";
import { QueryError } from "./parse.ts";

/** How PCP's programs mark a message. */
export type ProblemLevel = "error" | "bad request" | "bad response" | "corrupt";

const EINVAL = -22;

/** A question that cannot be answered; the message is that of PCP's programs. */
export class SeriesProblem extends PcpError {
  constructor(
    message: string,
    readonly level: ProblemLevel = "error",
  ) {
    super(EINVAL, message);
  }
}

/** A problem or a mistake in a query as a problem; undefined for any other error. */
export function problemOf(error: unknown): SeriesProblem | undefined {
  if (error instanceof SeriesProblem) return error;
  return error instanceof QueryError ? new SeriesProblem(error.message) : undefined;
}
