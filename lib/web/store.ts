// /pmapi/store and /pmapi/derive: what changes an agent or a context (spec webapi.md 11, 12).
import { asPcpError, PcpError, PM_ERR, utf8, utf8Text } from "../base/mod.ts";
import {
  type Atom,
  type InstanceId,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_TYPE,
  type PmType,
} from "../pcp/mod.ts";
import { type Call, type Handler } from "./call.ts";
import { faultOf, successReply, WebFault } from "./fault.ts";
import { pmidOf } from "./fetch.ts";
import type { Metric } from "./metadata.ts";
import { metricOf } from "./metric.ts";
import { listOf, unsignedOf } from "./parameters.ts";

const ERANGE = -34;
const badText = (): PcpError => new PcpError(PM_ERR.TYPE);
const outOfRange = (): PcpError => new PcpError(ERANGE);

/** Smallest and largest number of a type, as strtol(3) and its family take them. */
const RANGES: Readonly<Record<number, readonly [bigint, bigint]>> = {
  [PM_TYPE.I32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [PM_TYPE.U32]: [0n, 2n ** 32n - 1n],
  [PM_TYPE.I64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [PM_TYPE.U64]: [-(2n ** 64n) + 1n, 2n ** 64n - 1n],
};

const FLOAT =
  /^[ \t\n\v\f\r]*([+-]?)(?:((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|0x((?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+))(?:p([+-]?\d+))?|(inf(?:inity)?)|(nan))$/i;

/** Smallest numbers that are held in full, as those above the largest they are out of range. */
const SMALLEST = { float: 2 ** -126, double: 2 ** -1022 };

/** The value of hexadecimal digits, with a point perhaps. */
function hexOf(digits: string): number {
  const [whole = "", fraction = ""] = digits.split(".");
  return Number.parseInt(`0${whole}${fraction}`, 16) / 16 ** fraction.length;
}

/** What strtod(3) makes of a text; empty is 0. Throws PM_ERR_TYPE, -ERANGE. */
function floatOf(text: string, type: PmType): number {
  if (text === "") return 0;
  const found = FLOAT.exec(text);
  if (found === null) throw badText();
  const [, sign = "", decimal, hex, power, infinity, nan] = found;
  if (nan !== undefined) return Number.NaN;
  // Hexadecimal digits alone are a whole number: PCP takes them for those types only.
  if (hex !== undefined && power === undefined && !hex.includes(".")) throw badText();
  let size = infinity === undefined ? Number(decimal) : Number.POSITIVE_INFINITY;
  if (hex !== undefined) size = hexOf(hex) * 2 ** Number(power ?? 0);
  const isFloat = type === PM_TYPE.FLOAT;
  const digits = decimal?.replace(/e.*/i, "") ?? hex ?? "1";
  const isZero = !/[1-9a-f]/i.test(digits);
  if (!isZero && size < (isFloat ? SMALLEST.float : SMALLEST.double)) throw outOfRange();
  const held = isFloat ? Math.fround(size) : size;
  if (!Number.isFinite(held) && (isFloat || infinity === undefined)) throw outOfRange();
  return sign === "-" ? -size : size;
}

/** A text as a value of a type, as __pmStringValue does it. Throws PM_ERR_TYPE, -ERANGE. */
export function atomOf(bytes: Uint8Array, type: PmType): Atom {
  if (type === PM_TYPE.STRING) {
    const end = bytes.indexOf(0);
    const text = end < 0 ? bytes : bytes.subarray(0, end);
    const payload = new Uint8Array(text.length + 1);
    payload.set(text);
    return payload;
  }
  const text = utf8Text(bytes);
  if (type === PM_TYPE.FLOAT || type === PM_TYPE.DOUBLE) return floatOf(text, type);
  const range = RANGES[type];
  if (range === undefined) throw badText();
  const { value, whole } = unsignedOf(text, true);
  if (!whole) throw badText();
  if (value < range[0] || value > range[1]) throw outOfRange();
  if (type === PM_TYPE.I64) return value;
  return type === PM_TYPE.U64 ? BigInt.asUintN(64, value) : Number(value);
}

/** The instances to store into; throws PM_ERR_INST for one that there is not, and for none. */
async function targetsOf(call: Call, { desc }: Metric): Promise<readonly InstanceId[]> {
  if (desc.indom === PM_INDOM_NULL) return [PM_IN_NULL];
  const { ids, names } = await call.context.instances(desc.indom);
  const inames = call.parameters.get("iname");
  const chosen =
    inames === undefined
      ? listOf(call.parameters.get("instance") ?? "").map((text) =>
          ids.indexOf(Number(BigInt.asIntN(32, unsignedOf(text).value)) as InstanceId),
        )
      : listOf(inames).map((name) => names.indexOf(name));
  const found = chosen.map((index) => ids[index]).filter((id) => id !== undefined);
  if (found.length === 0 || found.length < chosen.length) throw new PcpError(PM_ERR.INST);
  return found;
}

/** The metric to store into, and what it is called in messages. */
async function storedMetric(call: Call): Promise<{ metric: Metric; title: string }> {
  const name = call.parameters.get("name");
  if (name !== undefined) return { metric: await metricOf(call, name), title: name };
  const title = call.parameters.get("pmid") ?? "";
  const [metric] = await call.metadata.metrics([pmidOf(title)]);
  if (metric === undefined) throw new WebFault(400, `${title} - failed to lookup PMID`);
  return { metric, title };
}

/** /pmapi/store. */
export const storeValue: Handler = async (call) => {
  const { metric, title } = await storedMetric(call);
  const { pmid, desc } = metric;
  const given = call.parameters.get("value");
  const bytes = given === undefined ? (call.body ?? new Uint8Array(0)) : utf8(given);
  try {
    const value = atomOf(bytes, desc.type);
    const instances = await targetsOf(call, metric);
    const values = instances.map(() => value);
    const set = { pmid, type: desc.type, instances, values };
    await call.context.store({ timestamp: { sec: 0, nsec: 0 }, sets: [set] });
  } catch (error) {
    throw faultOf(asPcpError(error), `failed to store value to metric ${title}: `);
  }
  return successReply(call.id);
};

/** The message of libpcp for a derived metric that it refuses. */
const refusalOf = (error: unknown): WebFault => {
  const pcp = asPcpError(error);
  return pcp.code === PM_ERR.BADDERIVE ? new WebFault(400, pcp.message) : faultOf(pcp);
};

const DEFINITION = /^[ \t]*([^ \t=]*)[ \t]*=?[ \t]*(.*)$/s;

/** Lines `name = expression`, each with an end; those before a bad one stay (spec webapi.md 12). */
async function deriveAll({ context }: Call, text: string): Promise<void> {
  const lines = text.split(/[\n\r&;]/);
  for (const [line, content] of lines.entries()) {
    if (/^[ \t]*(?:#|$)/.test(content)) continue;
    // What follows the name need not be "=", it is an expression all the same.
    const [, name = "", expression = ""] = DEFINITION.exec(content) ?? [];
    if (expression === "" || line === lines.length - 1) {
      const failed = `failed to parse derived metric "${name}" on line ${line}`;
      throw new WebFault(400, `${failed} - incomplete expression\n`);
    }
    try {
      await context.addDerived(name, expression);
    } catch (error) {
      const failed = `failed to create derived metric "${name}" on line ${line} from: ${expression}`;
      const { status, message } = refusalOf(error);
      throw new WebFault(status, `${failed}\n${message}`);
    }
  }
}

/** /pmapi/derive. */
export const deriveMetric: Handler = async (call) => {
  const { parameters, context, metadata } = call;
  const name = parameters.get("name");
  const body = call.body === undefined ? "" : utf8Text(call.body);
  const text = parameters.get("expr") ?? body;
  // A configuration without a line is no fault.
  if (text === "" && !parameters.has("expr")) throw new WebFault(400, "invalid derive parameters");
  try {
    if (name === undefined) await deriveAll(call, text);
    else await context.addDerived(name, text);
  } catch (error) {
    throw error instanceof WebFault ? error : refusalOf(error);
  } finally {
    // Names that were nobody's may be metrics now.
    metadata.forget();
  }
  return successReply(call.id);
};
