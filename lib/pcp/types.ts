// Metric types, semantics, value formats and descriptors, with the words that PCP's programs print
// for them (spec pdu.md 5.4, 5.5, 6.3). Unknown numbers are kept and printed, never refused.
import type { Indom, Pmid } from "./ids.ts";
import { PM_ID_NULL, PM_INDOM_NULL, pmInDomStr } from "./ids.ts";
import { pmUnitsStr } from "./units.ts";

/** Type numbers by PCP's names without the PM_TYPE_ prefix. */
export const PM_TYPE = {
  NOSUPPORT: -1,
  I32: 0,
  U32: 1,
  I64: 2,
  U64: 3,
  FLOAT: 4,
  DOUBLE: 5,
  STRING: 6,
  AGGREGATE: 7,
  AGGREGATE_STATIC: 8,
  EVENT: 9,
  HIGHRES_EVENT: 10,
  UNKNOWN: 255,
} as const;
/** A type number; peers may send numbers that PM_TYPE lacks. */
export type PmType = number;

/** Semantics numbers by PCP's names without the PM_SEM_ prefix. */
export const PM_SEM = { COUNTER: 1, INSTANT: 3, DISCRETE: 4 } as const;
/** A semantics number; peers may send numbers that PM_SEM lacks. */
export type PmSem = number;

/** How the 32-bit word of a value is meant (spec pdu.md 4.1). */
export const PM_VAL = { INSITU: 0, DPTR: 1, SPTR: 2 } as const;

/** Metric descriptor; `units` is the whole 32-bit word of spec pdu.md 5.6, low byte kept. */
export interface Desc {
  readonly pmid: Pmid;
  readonly type: PmType;
  readonly indom: Indom;
  readonly sem: PmSem;
  readonly units: number;
}

/** Stands for a metric without a descriptor in a list of them. */
export const NO_DESC: Desc = {
  pmid: PM_ID_NULL,
  type: PM_TYPE.NOSUPPORT,
  indom: PM_INDOM_NULL,
  sem: PM_SEM.DISCRETE,
  units: 0,
};

const TYPE_NAMES = [
  "32",
  "U32",
  "64",
  "U64",
  "FLOAT",
  "DOUBLE",
  "STRING",
  "AGGREGATE",
  "AGGREGATE_STATIC",
  "EVENT",
  "HIGHRES_EVENT",
] as const;

const TYPE_WORDS = [
  "32-bit int",
  "32-bit unsigned int",
  "64-bit int",
  "64-bit unsigned int",
  "float",
  "double",
  "string",
  "aggregate",
  "static aggregate",
  "event record array",
  "highres event record array",
] as const;

/** `U32`, `STRING`, …; `???` for a number without a name. */
export function pmTypeStr(type: PmType): string {
  if (type === PM_TYPE.NOSUPPORT) return "NO_SUPPORT";
  if (type === PM_TYPE.UNKNOWN) return "UNKNOWN";
  return TYPE_NAMES[type] ?? "???";
}

/** The number of a name that pmTypeStr prints, undefined for other texts. */
export function pmTypeParse(name: string): PmType | undefined {
  if (name === "NO_SUPPORT" || name === "NOSUPPORT") return PM_TYPE.NOSUPPORT;
  if (name === "UNKNOWN") return PM_TYPE.UNKNOWN;
  const type = (TYPE_NAMES as readonly string[]).indexOf(name);
  return type < 0 ? undefined : type;
}

/** `counter`, `instant`, `discrete`; `???` for a number without a name. */
export function pmSemStr(sem: PmSem): string {
  if (sem === PM_SEM.COUNTER) return "counter";
  if (sem === PM_SEM.INSTANT) return "instant";
  if (sem === PM_SEM.DISCRETE) return "discrete";
  return "???";
}

/** The number of a name that pmSemStr prints, undefined for other texts. */
export function pmSemParse(name: string): PmSem | undefined {
  if (name === "counter") return PM_SEM.COUNTER;
  if (name === "instant") return PM_SEM.INSTANT;
  if (name === "discrete") return PM_SEM.DISCRETE;
  return undefined;
}

/** The words of a descriptor print: `32-bit int`, `Not Supported`, `??? (N)`. */
export function pmTypeWords(type: PmType): string {
  if (type === PM_TYPE.NOSUPPORT) return "Not Supported";
  return TYPE_WORDS[type] ?? `??? (${type})`;
}

/** The value format that an encoder uses for a type (spec pdu.md 4.1). */
export function pmValfmt(type: PmType): number {
  if (type === PM_TYPE.I32 || type === PM_TYPE.U32) return PM_VAL.INSITU;
  return type >= PM_TYPE.AGGREGATE_STATIC && type <= PM_TYPE.HIGHRES_EVENT
    ? PM_VAL.SPTR
    : PM_VAL.DPTR;
}

/** The two lines of pmPrintDesc, each ended by a newline (spec pdu.md 6.3). */
export function pmDescStr(desc: Desc): string {
  if (desc.type === PM_TYPE.NOSUPPORT) return "    Data Type: Not Supported\n";
  const sem = pmSemStr(desc.sem);
  return (
    `    Data Type: ${pmTypeWords(desc.type)}` +
    `  InDom: ${pmInDomStr(desc.indom)} 0x${desc.indom.toString(16)}\n` +
    `    Semantics: ${sem === "???" ? `??? (${desc.sem})` : sem}` +
    `  Units: ${pmUnitsStr(desc.units) || "none"}\n`
  );
}
