// Damage in archives as data for a report. Bounded: the first pieces are kept, all are counted.
import { faultOf } from "../archive/mod.ts";
import { type PcpError, pmErrStr } from "../base/mod.ts";
import type { Damage, ReportError } from "./archive-types.ts";

/** Pieces of damage of an archive that are kept. */
export const MAX_DAMAGE = 100;
/** Damage so far. */
export interface DamageList {
  readonly first: Damage[];
  count: number;
}

/** Notes an error about a file; the same one again is not counted. */
export function noteDamage(list: DamageList, error: PcpError, path: string): void {
  const fault = faultOf(error);
  const found: Damage = {
    file: fault?.file ?? path,
    offset: fault?.offset ?? null,
    kind: fault?.record ?? "file",
    reason: fault?.reason ?? error.message.replace(`${path}: `, ""),
    code: error.code,
    text: pmErrStr(error.code),
  };
  const same = ({ file, offset, reason }: Damage): boolean =>
    file === found.file && offset === found.offset && reason === found.reason;
  if (list.first.some(same)) return;
  list.count++;
  if (list.first.length < MAX_DAMAGE) list.first.push(found);
}

/** An error as a tool would print it. */
export const reportError = ({ code, message }: PcpError): ReportError => ({
  code,
  text: pmErrStr(code),
  message,
});
