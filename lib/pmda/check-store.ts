// The checking tool's `store`: a text to a value of a metric's type, as strtol(3) and its kin read
// it, and the store request made of a fetched result with that value in every place. Refuses texts
// that are no value of the type, and types that PCP's tool does not store into.
import { PcpError } from "../base/mod.ts";
import {
  type Atom,
  PM_TYPE,
  pmIDStr,
  pmPrintValue,
  type PmType,
  pmTypeStr,
  type ResultView,
  type ValueSet,
} from "../pcp/mod.ts";
import { decodePdu, encodeResult } from "../pdu/mod.ts";

const RANGE = "Error: Decoding value: Numerical result out of range";
const WHOLE = /^[ \t\n\v\f\r]*([+-]?)(\d+)$/;
const REAL = /^[ \t\n\v\f\r]*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan))$/i;

/** A refusal as text, or the value. */
type Read = { readonly refusal: string } | { readonly value: Atom };

const incompatible = (text: string, type: PmType): Read => ({
  refusal: `Error: Value "${text}" is incompatible with metric type (PM_TYPE_${pmTypeStr(type)})`,
});

/** A whole number of 64 bits; an unsigned one may have a sign, as strtoul(3) has it. */
function wholeValue(text: string, type: PmType): Read {
  const match = WHOLE.exec(text);
  if (match === null) return incompatible(text, type);
  const magnitude = BigInt(match[2] ?? "0");
  const value = match[1] === "-" ? -magnitude : magnitude;
  const unsigned = type === PM_TYPE.U32 || type === PM_TYPE.U64;
  const most = unsigned ? 2n ** 64n - 1n : 2n ** 63n - 1n;
  const least = unsigned ? -most : -(2n ** 63n);
  if (value > most || value < least) return { refusal: RANGE };
  switch (type) {
    case PM_TYPE.I32:
      return { value: Number(BigInt.asIntN(32, value)) };
    case PM_TYPE.U32:
      return { value: Number(BigInt.asUintN(32, value)) };
    case PM_TYPE.U64:
      return { value: BigInt.asUintN(64, value) };
    default:
      return { value };
  }
}

function realValue(text: string, type: PmType): Read {
  const match = REAL.exec(text);
  if (match === null) return incompatible(text, type);
  const word = (match[1] ?? "").toLowerCase();
  if (word.endsWith("nan")) return { value: Number.NaN };
  const infinite = word.includes("inf");
  const value = infinite ? (word.startsWith("-") ? -Infinity : Infinity) : Number(word);
  const fits = Number.isFinite(type === PM_TYPE.FLOAT ? Math.fround(value) : value);
  return fits || infinite ? { value } : { refusal: RANGE };
}

function valueOf(text: string, type: PmType): Read {
  switch (type) {
    case PM_TYPE.I32:
    case PM_TYPE.U32:
    case PM_TYPE.I64:
    case PM_TYPE.U64:
      return wholeValue(text, type);
    case PM_TYPE.FLOAT:
    case PM_TYPE.DOUBLE:
      return realValue(text, type);
    case PM_TYPE.STRING:
      return { value: text };
    default:
      return {
        refusal: `Error: dbpmda does not support storing into ${pmTypeStr(type)} metrics`,
      };
  }
}

/** The RESULT that stores `text` into every value of a fetched set, or a sentence of refusal. */
export function storeRequest(old: ValueSet, type: PmType, text: string): Uint8Array | string {
  const read = valueOf(text, type);
  if ("refusal" in read) return read.refusal;
  const instances = Array.from({ length: old.numval }, (_, i) => old.instance(i));
  const values = instances.map(() => read.value);
  const sets = [{ pmid: old.pmid, type, valfmt: old.valfmt, instances, values }];
  try {
    return encodeResult(0, { timestamp: { sec: 0, nsec: 0 }, sets }, false);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return `Error: ${error.message}`;
  }
}

const viewIn = (request: Uint8Array): ResultView | undefined => {
  const pdu = decodePdu(request);
  return pdu.kind === "result" ? pdu.result : undefined;
};

/** What a store changes, a line a value: `253.0.1 [0]: 2 -> 77`. */
export function storeText(old: ValueSet, type: PmType, request: Uint8Array): string {
  const stored = viewIn(request)?.sets();
  if (stored === undefined || !stored.next()) return "";
  const name = pmIDStr(old.pmid);
  let text = "";
  for (let i = 0; i < old.numval; i++) {
    const place = old.numval > 1 ? `${name} [${i}]` : name;
    text += `${place}: ${pmPrintValue(old, i, type, 1)} -> ${pmPrintValue(stored, i, type, 1)}\n`;
  }
  return text;
}
