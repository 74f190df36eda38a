// How this program is started as the process around a compiled agent, and what that says first: data for
// both sides. Refuses texts that are no such specification.
import { PcpError, PM_ERR } from "../base/mod.ts";

/** Which compiled agent is to be loaded. */
export interface DsoSpec {
  /** The file. */
  readonly path: string;
  /** What the table calls it; some messages do. */
  readonly name: string;
  /** The init routine. */
  readonly init: string;
  readonly domain: number;
  /** The program's name in the agent's own messages. */
  readonly program: string;
}

/** What a host is started with. */
export interface HostSpec extends DsoSpec {
  /** Whether descriptor 3 is there for the report. */
  readonly reports: boolean;
}

/** What a host says of its agent, before anything else: one line of JSON. */
export type DsoReport =
  | {
      readonly ok: true;
      /** Of the agent's interface: 2 to 7. */
      readonly version: number;
    }
  | { readonly ok: false; readonly message: string };

/** The descriptor that a host says it on. */
export const REPORT_FD = 3;

/** The specification that a host was started with. Throws PcpError PM_ERR_ARG. */
export function specOf(text: string): HostSpec {
  const found: unknown = JSON.parse(text);
  const fields = Object.entries(Object(found) as object);
  const get = (name: string): unknown => fields.find(([key]) => key === name)?.[1];
  const word = (name: string): string => {
    const value = get(name);
    if (typeof value !== "string") throw new PcpError(PM_ERR.ARG, `agent without ${name}: ${text}`);
    return value;
  };
  const domain = get("domain");
  if (typeof domain !== "number") throw new PcpError(PM_ERR.ARG, `agent without domain: ${text}`);
  const [path = "", name = "", init = "", program = ""] = ["path", "name", "init", "program"].map(
    word,
  );
  return {
    path,
    name,
    init,
    program,
    domain,
    reports: get("reports") === true,
  };
}

/** The argument with which a program that calls `runDsoHost` with it is the process around an agent. */
export const hostArgument = (spec: HostSpec): string => JSON.stringify(spec);
