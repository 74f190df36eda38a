// What the checking tool prints of an agent's answers, in the forms of PCP's own (spec pmda.md 17):
// results, instances, labels. Text only; nothing is asked here.
import { pmErrStr, utf8Text } from "../base/mod.ts";
import {
  type InstanceId,
  type LabelSet,
  PM_IN_NULL,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmIDStr,
  pmInDomStr,
  pmPrintValue,
  type PmType,
  type ResultView,
  type ValueSet,
} from "../pcp/mod.ts";
import type { InstanceProfile, LabelSetEntry } from "../pdu/mod.ts";

/** What is known about the metrics of a result. */
export interface ResultNames {
  /** Descriptors were asked for: PCP's tool prints such results itself, the others its library. */
  readonly described: boolean;
  namesOf(pmid: Pmid): readonly string[];
  /** The type when descriptors were asked for. */
  typeOf(pmid: Pmid): PmType | undefined;
  /** The quoted name of an instance, or undefined for `???`. */
  instanceName(pmid: Pmid, instance: InstanceId): string | undefined;
}

/** The type that a value prints by: that of its descriptor, else what its block says. */
export const printedType = (set: ValueSet, i: number, described: PmType | undefined): PmType =>
  described ?? (set.valfmt === PM_VAL.INSITU ? PM_TYPE.UNKNOWN : (set.bytes[set.block(i)] ?? 0));

function setText(set: ValueSet, names: ResultNames): string {
  const all = names.namesOf(set.pmid).toReversed();
  let text = `  ${pmIDStr(set.pmid)} (${all.length === 0 ? "<noname>" : all.join(names.described ? " or " : ", ")}):`;
  if (set.numval === 0) return `${text} No values returned!\n`;
  if (set.numval < 0) return `${text} ${pmErrStr(set.numval)}\n`;
  text += ` numval: ${set.numval} valfmt: ${set.valfmt} vlist[]:\n`;
  const described = names.typeOf(set.pmid);
  for (let i = 0; i < set.numval; i++) {
    const instance = set.instance(i);
    if (set.numval > 1 || instance !== PM_IN_NULL) {
      const name = names.instanceName(set.pmid, instance);
      text += `    inst [${instance} or ${name ?? "???"}]`;
    } else text += "  ";
    text += ` value ${pmPrintValue(set, i, printedType(set, i, described), 1)}\n`;
  }
  return text;
}

/**
 * A whole result. `address` stands where PCP's tool prints the address of its structure, which is
 * another one for shared objects.
 */
export function resultText(
  result: ResultView,
  names: ResultNames,
  address: number,
  dso: boolean,
): string {
  const digits = dso ? 6 : 9;
  const zeros = "0".repeat(digits);
  const clock = `00:00:00.${dso ? "000" : zeros}`;
  const where = `0x${address.toString(16)}`;
  let text = `${dso ? "pmResult" : "__pmResult"} dump from ${where} timestamp: 0.${zeros} ${clock} numpmid: ${result.numpmid}\n`;
  for (const set = result.sets(); set.next();) text += setText(set, names);
  return text;
}

/** A reply about instances; names or numbers are missing where the question had them. */
export function instancesText(
  instances: readonly { readonly instance: number; readonly name: string }[],
): string {
  if (instances.length === 0) return "Instance domain is empty\n";
  return instances
    .map(({ instance, name }, index) => {
      const number = instance === PM_IN_NULL ? "" : ` inst: ${instance}`;
      return `[${String(index).padStart(3)}]${number}${name === "" ? "" : ` name: "${name}"`}\n`;
    })
    .join("");
}

const labelLines = ({ json, records }: LabelSet): string =>
  records
    .map(({ nameOffset, nameLength, valueOffset, valueLength }) => {
      const name = utf8Text(json.subarray(nameOffset, nameOffset + nameLength));
      const value = utf8Text(json.subarray(valueOffset, valueOffset + valueLength));
      return `    ${name}=${value}\n`;
    })
    .join("");

/** A reply about labels; those of instances say whose they are. */
export function labelsText(sets: readonly LabelSetEntry[], ofInstances: boolean): string {
  return sets
    .map((set, index) => {
      const head = ofInstances
        ? `[${String(index).padStart(3)}] Labels inst: ${set.instance}\n`
        : "Labels:\n";
      return head + (set.error < 0 ? `    ${pmErrStr(set.error)}\n` : labelLines(set));
    })
    .join("");
}

/** The instance profile, as `status` shows it. */
export function profileText(profile: InstanceProfile): string {
  const { state, rules } = profile.asRequest();
  const stateName = (value: number): string => (value === 0 ? "INCLUDE" : "EXCLUDE");
  let text = `Dump Instance Profile state=${stateName(state)}, ${rules.length} profiles\n`;
  for (const [index, rule] of rules.entries()) {
    const instances = Array.from(rule.instances);
    text += `\tProfile [${index}] indom=${rule.indom} [${pmInDomStr(rule.indom)}]`;
    text += ` state=${stateName(rule.state)} ${instances.length} instances\n`;
    if (instances.length > 0) {
      text += `\t\tInstances: ${instances.map((each) => `[${each}]`).join(" ")}\n`;
    }
  }
  return text;
}
