// The texts that the C clients of the recorded expectations print (fetchdump, the fetch part of
// apidump), made through an archive context of this program.
import { PcpError } from "../../lib/base/mod.ts";
import { openArchiveContext } from "../../lib/context/archive.ts";
import { type ArchiveContext, type Mode, PM_MODE } from "../../lib/context/mod.ts";
import {
  type Desc,
  formatG,
  MAX_VLEN,
  PM_INDOM_NULL,
  PM_TYPE,
  type Pmid,
  pmExtractValue,
  type Timestamp,
  type ValueSet,
} from "../../lib/pcp/mod.ts";

/** `SECONDS.NANOSECONDS`; nanoseconds may have ten digits. */
export const timeText = ({ sec, nsec }: Timestamp): string =>
  `${sec}.${String(nsec).padStart(9, "0")}`;

/** The code of a PcpError, other errors are passed on. */
export function codeOf(error: unknown): number {
  if (error instanceof PcpError) return error.code;
  throw error;
}

function valueText(set: ValueSet, i: number, type: number): string {
  if (type === PM_TYPE.STRING) return `"${String(pmExtractValue(set, i, type))}"`;
  if (type <= PM_TYPE.DOUBLE) {
    const value = pmExtractValue(set, i, type);
    if (type === PM_TYPE.FLOAT) return formatG(Number(value), 9);
    return type === PM_TYPE.DOUBLE ? formatG(Number(value), 17) : String(value);
  }
  const at = set.block(i);
  const size = (set.view.getUint32(at) & MAX_VLEN) - 4;
  const head = Buffer.from(set.bytes.subarray(at + 4, at + 4 + Math.min(size, 8)));
  return `<${size}:${head.toString("hex")}>`;
}

/** The values of one metric: ` V`, ` [inst]V`, ` none` or ` err N`. */
export function setText(set: ValueSet, desc: Desc): string {
  if (set.numval < 0) return ` err ${set.numval}`;
  if (set.numval === 0) return " none";
  let text = "";
  for (let i = 0; i < set.numval; i++) {
    const instance = desc.indom === PM_INDOM_NULL ? "" : `[${set.instance(i)}]`;
    text += ` ${instance}${valueText(set, i, desc.type)}`;
  }
  return text;
}

/** A time and a number of seconds after it, as C makes one of a real number. */
export function stepOf(seconds: number): Timestamp {
  const sec = Math.trunc(seconds);
  return { sec, nsec: Math.trunc(Number(((seconds - sec) * 1e9).toFixed(3))) };
}

/** The four runs of the clients, with their modes. */
export const RUNS = [
  ["forw", PM_MODE.FORW],
  ["back", PM_MODE.BACK],
  ["interp+", PM_MODE.INTERP],
  ["interp-", PM_MODE.INTERP],
] as const;

/** Puts a context where a run begins. */
export function placeRun(context: ArchiveContext, run: string, mode: Mode, step: number): void {
  const forward = run === "forw" || run === "interp+";
  const when = forward ? context.label().start : context.end();
  context.setMode(mode, when, stepOf(run === "interp-" ? -step : step));
}

/** fetchdump ARCHIVE STEP MAX METRIC. */
export async function fetchdump(
  names: string,
  step: number,
  max: number,
  metric: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const context = await openArchiveContext(names, { env });
  const { pmids } = await context.lookupNames([metric]);
  const desc = await context.desc(pmids[0] as Pmid);
  const lines: string[] = [];
  for (const [run, mode] of RUNS) {
    placeRun(context, run, mode, step);
    for (let i = 0; i < max; i++) {
      try {
        const { result } = await context.fetch(pmids);
        const set = result.sets();
        set.next();
        lines.push(`${run} ${timeText(result.timestamp)}${setText(set, desc)}`);
      } catch (error) {
        lines.push(`${run} err ${codeOf(error)}`);
        break;
      }
    }
  }
  await context.close();
  return `${lines.join("\n")}\n`;
}
