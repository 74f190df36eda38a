// What is said of a value set whose metric no input describes (spec extract.md 8.2): PCP 7.2 warns, prints
// what was in the set and takes it out of the record. Refuses nothing.
import {
  blockType,
  clockText,
  PM_IN_NULL,
  PM_TYPE,
  PM_VAL,
  pmIDStr,
  pmPrintValue,
  type ResultView,
  type Zone,
} from "../pcp/mod.ts";
import { PROGRAM } from "./failure.ts";
import type { SetPlan } from "./shapes.ts";

/**
 * The warnings about a record, each with the values of its set. `offset` is where the record stands in
 * its volume, in the place of the address in memory that the C program prints.
 */
export function culledText(
  name: string,
  result: ResultView,
  plan: readonly SetPlan[],
  offset: number,
  zone: Zone,
): string {
  const { timestamp, numpmid } = result;
  const clock = `${timestamp.sec}.${String(timestamp.nsec).padStart(9, "0")}`;
  const head =
    `__pmResult dump from 0x${offset.toString(16)} timestamp: ${clock} ` +
    `${clockText(timestamp, zone, 9)} numpmid: ${numpmid}\n`;
  const sets = result.sets();
  let text = "";
  for (let at = 0; sets.next(); at++) {
    if (plan[at]?.kind !== "cull") continue;
    const { pmid, numval, valfmt } = sets;
    text +=
      `${PROGRAM}: Warning: [log ${name}] metadata for PMID ${pmIDStr(pmid)} has not been found, ` +
      `culling this metric ...\n${head}[${at}]   ${pmIDStr(pmid)} (<noname>): numval: ${numval}`;
    text += numval > 0 ? ` valfmt: ${valfmt} vlist[]:\n` : "\n";
    for (let i = 0; i < numval; i++) {
      const type = valfmt === PM_VAL.INSITU ? PM_TYPE.U32 : blockType(sets.bytes, sets.block(i));
      const inst = sets.instance(i);
      const which = inst === PM_IN_NULL ? "" : ` inst [${inst} or ???]`;
      text += `  ${which} value ${pmPrintValue(sets, i, type)}\n`;
    }
  }
  return text;
}
