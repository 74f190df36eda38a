// A compiled agent (DSO) as an Agent: found, loaded, initialised and called as libpcp does it for a
// local context (spec local.md 5 and 6), with its rules of who owns which memory. What goes wrong while
// loading has PCP's words. A fault inside the agent ends the process: this is for the child alone that
// host.ts starts.
import { PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  type Desc,
  type InstanceId,
  LABEL_RECORD_BYTES,
  type LabelRecord,
  parseLabels,
  PM_LABEL,
  type Pmid,
} from "../pcp/mod.ts";
import { type Profile, TEXT_TYPE } from "../pdu/mod.ts";
import type { Agent, AgentLabelSet, AgentNames, Caller } from "../pmda/mod.ts";
import {
  type Address,
  addressOf,
  allocate,
  bytesAt,
  callAt,
  type CCall,
  cText,
  DESC,
  EXT,
  i32At,
  IN_RESULT,
  INTERFACE,
  LABEL,
  LABEL_SET,
  loadShared,
  pointerAt,
  PROFILE,
  release,
  RULE,
  textAt,
  u16At,
  u32At,
  u8At,
  viewAt,
} from "./dso-abi.ts";
import type { DsoSpec } from "./dso-spec.ts";
import { takeResult, withResult } from "./dso-values.ts";

/** What init sees where the version of the interface belongs, and what PMAPI it is told of. */
const VERSION_ASKED = 0xff;
const API_ASKED = 2;
const MIN_VERSION = 2;
const MAX_VERSION = 7;
/** Versions of the PMAPI that agents of the releases in use were built for. */
const APIS: readonly number[] = [2, 3, 4];
/** More would be no domain but a wrong pointer. */
const MAX_INSTANCES = 0x4000000;

/** A loaded agent: its interface in C memory. */
interface Loaded {
  readonly at: Address;
  readonly ext: Address;
  readonly version: number;
  readonly flags: number;
}

const warning = (text: string): PcpError =>
  new PcpError(PM_ERR.NOAGENT, `__pmConnectLocal: Warning: ${text}`);

/** Steps 2 to 6 of connecting. Throws PcpError PM_ERR_NOAGENT with PCP's sentence. */
function load({ path, name, init, domain, program }: DsoSpec): Loaded {
  let shared;
  try {
    shared = loadShared(path);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw warning(`error attaching DSO "${path}"\n${error.message}\n`);
  }
  const routine = shared.symbol(init);
  if (routine === 0) throw warning(`couldn't find init function "${init}" in DSO "${path}"`);
  const setProgname = shared.symbol("pmSetProgname");
  // The library keeps the address.
  if (setProgname !== 0) {
    const text = cText(program);
    const kept = allocate(text.length);
    new Uint8Array(viewAt(kept, text.length).buffer).set(text);
    callAt(setProgname, "setProgname")(kept);
  }
  const at = allocate(INTERFACE.BYTES);
  const view = viewAt(at, INTERFACE.BYTES);
  view.setInt32(INTERFACE.DOMAIN, domain, true);
  view.setUint8(INTERFACE.VERSION, VERSION_ASKED);
  view.setUint8(INTERFACE.API, API_ASKED);
  callAt(routine, "init")(at);
  const status = view.getInt32(INTERFACE.STATUS, true);
  if (status !== 0)
    throw warning(`initialization routine "${init}" failed in DSO "${path}": ${pmErrStr(status)}`);
  const version = view.getUint8(INTERFACE.VERSION);
  const api = view.getUint8(INTERFACE.API);
  const unknown = (what: string, number: number): PcpError =>
    new PcpError(
      PM_ERR.NOAGENT,
      `__pmConnectLocal: Error: Unknown ${what} version ${number} in "${name}" DSO`,
    );
  if (version < MIN_VERSION || version > MAX_VERSION) throw unknown("PMDA interface", version);
  if (!APIS.includes(api)) throw unknown("PMAPI", api);
  const flags = version < 6 ? 0 : view.getUint16(INTERFACE.FLAGS, true);
  return { at, ext: pointerAt(at, INTERFACE.EXT), version, flags };
}

/** Throws for a code below 0. */
function checked(code: number): number {
  if (code < 0) throw new PcpError(code);
  return code;
}

/** One pointer that an agent fills in. */
const pointerCell = (): { readonly bytes: Uint8Array; readonly value: () => Address } => {
  const bytes = new Uint8Array(8);
  return { bytes, value: () => pointerAt(addressOf(bytes), 0) };
};

/** Instance profiles in C memory: an agent keeps the address until it is given the next one. */
function profiles(send: (at: Address) => void) {
  let owned: Address[] = [];
  let sent: { readonly context: number; readonly text: string } | undefined;

  const lay = ({ state, rules }: Profile): Address => {
    const fresh: Address[] = [];
    const take = (bytes: number): Address => {
      const at = allocate(bytes);
      fresh.push(at);
      return at;
    };
    const at = take(PROFILE.BYTES);
    const head = viewAt(at, PROFILE.BYTES);
    head.setInt32(PROFILE.STATE, state, true);
    head.setInt32(PROFILE.LENGTH, rules.length, true);
    if (rules.length > 0) {
      const list = take(RULE.BYTES * rules.length);
      const view = viewAt(list, RULE.BYTES * rules.length);
      head.setBigUint64(PROFILE.RULES, BigInt(list), true);
      rules.forEach((rule, index) => {
        const place = RULE.BYTES * index;
        view.setUint32(place + RULE.INDOM, rule.indom, true);
        view.setInt32(place + RULE.STATE, rule.state, true);
        view.setInt32(place + RULE.LENGTH, rule.instances.length, true);
        if (rule.instances.length === 0) return;
        const ids = take(4 * rule.instances.length);
        new Int32Array(viewAt(ids, 4 * rule.instances.length).buffer).set(rule.instances);
        view.setBigUint64(place + RULE.INSTANCES, BigInt(ids), true);
      });
    }
    owned.push(...fresh);
    return at;
  };

  /** Sends the caller's profile if the agent has another one. */
  return ({ context, profile }: Caller): void => {
    const request = profile.asRequest();
    const text = profile.wantsEverything
      ? ""
      : JSON.stringify([
          request.state,
          request.rules.map(({ indom, state, instances }) => [indom, state, Array.from(instances)]),
        ]);
    if (sent?.context === context && sent.text === text) return;
    const old = owned;
    owned = [];
    send(lay(request));
    sent = { context, text };
    old.forEach(release);
  };
}

/** The name of an agent as the domain label has it that libpcp makes for it. */
const labelName = (name: string): string => name.replace(/^pmda/, "").replace(/ DSO$/, "");

/** Reads one pmLabelSet and frees what belongs to it. */
function takeLabelSet(at: Address): AgentLabelSet {
  const instance = asInstance(u32At(at, LABEL_SET.INSTANCE));
  const nlabels = i32At(at, LABEL_SET.NLABELS);
  const json = pointerAt(at, LABEL_SET.JSON);
  const length = u32At(at, LABEL_SET.JSON_LENGTH) & 0x7fffffff;
  const labels = pointerAt(at, LABEL_SET.LABELS);
  const records: LabelRecord[] = [];
  for (let i = 0; i < nlabels; i++) {
    const place = labels + i * LABEL_RECORD_BYTES;
    records.push({
      nameOffset: u16At(place, LABEL.NAME),
      nameLength: u8At(place, LABEL.NAME_LENGTH),
      flags: u8At(place, LABEL.FLAGS),
      valueOffset: u16At(place, LABEL.VALUE),
      valueLength: u16At(place, LABEL.VALUE_LENGTH),
    });
  }
  const text = json === 0 || nlabels <= 0 ? new Uint8Array(0) : bytesAt(json, length);
  if (nlabels > 0) release(labels);
  release(json);
  return { instance, json: text, records, error: Math.min(nlabels, 0) };
}

/** Takes a list of strings that is one block with them. */
function takeStrings(list: Address, count: number): string[] {
  const found: string[] = [];
  for (let i = 0; i < count; i++) found.push(textAt(pointerAt(list, 8 * i)));
  release(list);
  return found;
}

/** The functions of an interface; those above its version are no functions. */
function functionsOf({ at, version }: Loaded) {
  const call = (
    offset: number,
    kind: Parameters<typeof callAt>[1],
    from = 2,
  ): CCall | undefined => {
    const address = version < from ? 0 : pointerAt(at, offset);
    return address === 0 ? undefined : callAt(address, kind);
  };
  /** A call that an agent may leave out answers with a code. */
  const must = (found: CCall | undefined, code: number): CCall => found ?? (() => code);
  return {
    profile: must(call(INTERFACE.PROFILE, "profile"), 0),
    fetch: must(call(INTERFACE.FETCH, "fetch"), PM_ERR.NYI),
    desc: must(call(INTERFACE.DESC, "desc"), PM_ERR.PMID),
    instance: must(call(INTERFACE.INSTANCE, "instance"), PM_ERR.INDOM),
    text: must(call(INTERFACE.TEXT, "text"), PM_ERR.TEXT),
    store: must(call(INTERFACE.STORE, "store"), PM_ERR.PERMISSION),
    pmid: call(INTERFACE.PMID, "pmid", 4),
    name: call(INTERFACE.NAME, "name", 4),
    children: call(INTERFACE.CHILDREN, "children", 4),
    attribute: call(INTERFACE.ATTRIBUTE, "attribute", 6),
    label: call(INTERFACE.LABEL, "label", 7),
  };
}
type Functions = ReturnType<typeof functionsOf>;

/** The names of an agent that makes some itself. */
function namesOver(
  { pmid, name, children }: Functions,
  ext: Address,
  enter: (by: Caller) => void,
): AgentNames | undefined {
  if (pmid === undefined || name === undefined || children === undefined) return undefined;
  const below = (above: string, traverse: number, by: Caller) => {
    enter(by);
    const [list, statuses] = [pointerCell(), pointerCell()];
    const count = checked(children(cText(above), traverse, list.bytes, statuses.bytes, ext));
    if (count === 0) return { names: [], statuses: [] };
    const at = statuses.value();
    const found: number[] = [];
    for (let i = 0; at !== 0 && i < count; i++) found.push(i32At(at, 4 * i));
    release(at);
    return { names: takeStrings(list.value(), count), statuses: found };
  };
  return {
    lookup(wanted, by) {
      enter(by);
      const cell = new Uint32Array(1);
      checked(pmid(cText(wanted), new Uint8Array(cell.buffer), ext));
      return asPmid(cell[0] ?? 0);
    },
    namesOf(wanted, by) {
      enter(by);
      const cell = pointerCell();
      const count = checked(name(wanted, cell.bytes, ext));
      return count === 0 ? [] : takeStrings(cell.value(), count);
    },
    children: (above, by) => below(above, 0, by),
    traverse: (above, by) => below(above, 1, by).names,
  };
}

/** Calls about one instance, or all, of a domain. */
function instancesOver({ instance }: Functions, ext: Address, enter: (by: Caller) => void) {
  const ask = (indom: number, id: number, name: string | null, by: Caller) => {
    enter(by);
    const cell = pointerCell();
    checked(instance(indom, id, name === null ? null : cText(name), cell.bytes, ext));
    const at = cell.value();
    const count = i32At(at, IN_RESULT.NUMINST);
    if (count < 0 || count > MAX_INSTANCES) throw new PcpError(PM_ERR.IPC, `${count} instances`);
    const [ids, names] = [pointerAt(at, IN_RESULT.IDS), pointerAt(at, IN_RESULT.NAMES)];
    const found = { ids: [] as InstanceId[], names: [] as string[] };
    for (let i = 0; i < count; i++) {
      if (ids !== 0) found.ids.push(asInstance(i32At(ids, 4 * i)));
      if (names === 0) continue;
      const text = pointerAt(names, 8 * i);
      found.names.push(textAt(text));
      release(text);
    }
    [names, ids, at].forEach(release);
    return found;
  };
  return {
    instances: (indom, by) => ask(indom, -1, null, by),
    instanceName(indom, id, by) {
      const [found] = ask(indom, id, null, by).names;
      if (found === undefined) throw new PcpError(PM_ERR.INST);
      return found;
    },
    instanceId(indom, name, by) {
      const [found] = ask(indom, -1, name, by).ids;
      if (found === undefined) throw new PcpError(PM_ERR.INST);
      return found;
    },
  } satisfies Partial<Agent>;
}

/** Labels; for a version without them only that of the domain, which libpcp makes. */
function labelsOver(
  { label }: Functions,
  ext: Address,
  prepare: (level: number, by: Caller) => void,
  name: string,
): Agent["labels"] {
  if (label === undefined) {
    const text = JSON.stringify({ agent: labelName(name) });
    return (level) =>
      level === PM_LABEL.DOMAIN ? [{ ...parseLabels(text, level), error: 0 }] : [];
  }
  return (level, ident, by) => {
    prepare(level, by);
    const cell = pointerCell();
    const count = checked(label(ident | 0, level, cell.bytes, ext));
    const list = cell.value();
    const found: AgentLabelSet[] = [];
    for (let i = 0; list !== 0 && i < count; i++)
      found.push(takeLabelSet(list + i * LABEL_SET.BYTES));
    release(list);
    return found;
  };
}

/** A compiled agent in this process. */
export interface LoadedDso extends Agent {
  /** Of its interface: 2 to 7. */
  readonly version: number;
}

/**
 * Loads a compiled agent. All its calls answer at once. Throws PcpError PM_ERR_NOAGENT, the message
 * that libpcp prints.
 */
export function loadDso(spec: DsoSpec): LoadedDso {
  const loaded = load(spec);
  const { ext, version, flags } = loaded;
  const functions = functionsOf(loaded);
  const extension = ext === 0 ? undefined : viewAt(ext, EXT.BYTES);
  const enter = ({ context }: Caller): void => {
    if (version >= 5) extension?.setInt32(EXT.CONTEXT, context, true);
  };
  const sendProfile = profiles((at) => void checked(functions.profile(at, ext)));
  const names = namesOver(functions, ext, enter);
  const { attribute } = functions;
  /** Grows with the longest request. */
  let wanted = new Uint32Array(16);
  const description = new Uint8Array(DESC.BYTES);

  return {
    name: labelName(spec.name),
    domain: spec.domain,
    version,
    features: flags,
    fetch(pmids: readonly Pmid[], by, out) {
      enter(by);
      sendProfile(by);
      if (wanted.length < pmids.length) wanted = new Uint32Array(pmids.length * 2);
      wanted.set(pmids);
      const cell = pointerCell();
      const list = new Uint8Array(wanted.buffer);
      checked(functions.fetch(pmids.length, list, cell.bytes, ext));
      takeResult(cell.value(), pmids, out);
    },
    desc(pmid, by): Desc {
      enter(by);
      checked(functions.desc(pmid, description, ext));
      const at = addressOf(description);
      return {
        pmid: asPmid(u32At(at, DESC.PMID)),
        type: i32At(at, DESC.TYPE),
        indom: asIndom(u32At(at, DESC.INDOM)),
        sem: i32At(at, DESC.SEM),
        units: u32At(at, DESC.UNITS),
      };
    },
    ...instancesOver(functions, ext, enter),
    text(subject, ident, level, by) {
      enter(by);
      const what = subject === "metric" ? TEXT_TYPE.PMID : TEXT_TYPE.INDOM;
      const how = level === "help" ? TEXT_TYPE.HELP : TEXT_TYPE.ONELINE;
      const cell = pointerCell();
      checked(functions.text(ident | 0, what | how, cell.bytes, ext));
      return textAt(cell.value());
    },
    labels: labelsOver(
      functions,
      ext,
      (level, by) => {
        enter(by);
        if (level === PM_LABEL.INSTANCES) sendProfile(by);
      },
      spec.name,
    ),
    store(result, by) {
      enter(by);
      withResult(result, (at) => checked(functions.store(at, ext)));
    },
    ...(names === undefined ? {} : { names }),
    ...(attribute === undefined
      ? {}
      : {
          attribute(context: number, key: number, value: string) {
            const text = cText(value);
            checked(attribute(context, key, text, text.length, ext));
          },
        }),
    contextClosed(context) {
      const at = version < 5 || ext === 0 ? 0 : pointerAt(ext, EXT.END_CALLBACK);
      if (at !== 0) callAt(at, "endOfContext")(context);
    },
  };
}
