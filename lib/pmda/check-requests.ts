// The requests of the checking tool (spec pmda.md 4, 17): each sends raw PDUs to the agent and prints
// what comes back. Ends with Given when what went wrong is printed, with Unknown where a word of the
// line names nothing.
import { PcpError, PM_ERR, pmErrStr, utf8 } from "../base/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  type Desc,
  type Indom,
  isDynamicRoot,
  type Names,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  pmDescStr,
  pmIDStr,
  pmInDomStr,
  type ResultView,
} from "../pcp/mod.ts";
import {
  decodePdu,
  encodePdu,
  type InstanceProfile,
  type Pdu,
  type PduKind,
  TEXT_TYPE,
} from "../pdu/mod.ts";
import type { CheckCommand, MetricWord } from "./check-grammar.ts";
import type { CheckLink, LinkSetting } from "./check-link.ts";
import { instancesText, labelsText, resultText } from "./check-print.ts";
import { storeRequest, storeText } from "./check-store.ts";
import type { CheckMistake } from "./check-words.ts";

/** What a session is given. */
export interface CheckSetting extends LinkSetting {
  /** The names to begin with, and the path that `status` shows; undefined for the default ones. */
  readonly names: () => Names;
  readonly namesPath: string | undefined;
  /** Reads names from a file; throws PcpError with PCP's sentences. */
  readonly readNames: (path: string) => Names;
  readonly debugNames: readonly string[];
  readonly program: string;
  /** Opens a window that follows a file. */
  readonly watch: (path: string) => void;
}

/** Ends a command whose message is printed. */
export class Given extends Error {}

/** A mistake that shows when words are looked up. */
export class Unknown extends Error {
  constructor(readonly mistake: CheckMistake) {
    super(mistake.reason);
  }
}

/** What a session knows. */
export interface State {
  readonly setting: CheckSetting;
  names: Names | undefined;
  namesPath: string | undefined;
  link: CheckLink | undefined;
  profile: InstanceProfile;
  /** The agent has not seen the profile as it is. */
  profileChanged: boolean;
  debug: Set<string>;
  readonly on: Record<"timer" | "getdesc" | "getiname", boolean>;
  /** Results so far. */
  results: number;
}

const namesOf = (state: State): Names => (state.names ??= state.setting.names());

/** The connection; without one, the warning. */
export function linkOf({ link, setting }: State): CheckLink {
  if (link !== undefined) return link;
  setting.err("Warning: No PMDA currently opened\n");
  throw new Given();
}

/** Says that a request failed, as it is said of daemons and of shared objects. */
function failed(state: State, link: CheckLink, what: string, code: number): never {
  const { err } = state.setting;
  err(
    link.dso
      ? `Error: DSO ${what}() failed: ${pmErrStr(code)}\n`
      : `Error PDU: ${pmErrStr(code)}\n`,
  );
  throw new Given();
}

/** The next PDU, decoded. */
async function receive(state: State, link: CheckLink): Promise<Pdu> {
  const { err } = state.setting;
  try {
    const bytes = await link.receive();
    if (bytes !== undefined) return decodePdu(bytes);
    err("Error: __pmGetPDU() failed: PDU empty, PMDA may have died\n");
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    err(`Error: __pmGetPDU() failed: ${error.message}\n`);
  }
  throw new Given();
}

/** Says that a reply is of a kind that answers nothing. */
function wrongPdu({ setting }: State, { kind }: Pdu): never {
  setting.err(`Error: __pmGetPDU() failed: wrong PDU (${kind})\n`);
  throw new Given();
}

/** Sends a request and waits for its answer, which must be of one kind. */
async function ask<K extends PduKind>(
  state: State,
  request: Pdu,
  kind: K,
  what: string,
): Promise<Extract<Pdu, { readonly kind: K }>> {
  const link = linkOf(state);
  link.send(encodePdu(request));
  const reply = await receive(state, link);
  if (reply.kind === "error") return failed(state, link, what, reply.code);
  if (reply.kind === kind) return reply as Extract<Pdu, { readonly kind: K }>;
  return wrongPdu(state, reply);
}

/** A name below a dynamic root is for the agent to say. */
async function askedPmid(state: State, name: string): Promise<Pmid | undefined> {
  const names = namesOf(state);
  const dynamic = name.split(".").some((_, at, parts) => {
    const pmid = names.find(parts.slice(0, at + 1).join("."))?.pmid;
    return pmid !== undefined && isDynamicRoot(pmid);
  });
  if (!dynamic) return undefined;
  const link = linkOf(state);
  link.send(encodePdu({ kind: "pmns-names", from: 0, names: [name] }));
  const reply = await receive(state, link);
  return reply.kind === "pmns-ids" ? reply.pmids[0] : undefined;
}

/** The PMID of a word; throws Unknown. */
export async function metricOf(state: State, word: MetricWord): Promise<Pmid> {
  const names = namesOf(state);
  if (word.pmid !== undefined) {
    if (names.namesOf(word.pmid).length === 0)
      state.setting.err(`Warning: PMID (${pmIDStr(word.pmid)}) is not defined in the PMNS\n`);
    return word.pmid;
  }
  const node = names.find(word.text);
  if (node?.pmid !== undefined && !isDynamicRoot(node.pmid)) return node.pmid;
  const pmid = await askedPmid(state, word.text);
  if (pmid !== undefined) return pmid;
  const code = node === undefined || node.pmid !== undefined ? PM_ERR.NAME : PM_ERR.NONLEAF;
  throw new Unknown({ read: word.read, reason: pmErrStr(code) });
}

const describe = async (state: State, pmid: Pmid): Promise<Desc> =>
  (await ask(state, { kind: "desc-req", from: 0, pmid }, "desc", "desc")).desc;

/** Sends the profile when the agent does not know it; says so in a store. */
function sendProfile(state: State, link: CheckLink, aloud: boolean): void {
  if (!state.profileChanged) return;
  if (aloud) state.setting.out("Sending Profile...\n");
  link.send(encodePdu({ kind: "profile", from: 0, context: 0, ...state.profile.asRequest() }));
  state.profileChanged = false;
}

async function fetchResult(state: State, pmids: readonly Pmid[]): Promise<ResultView> {
  const request = { kind: "fetch", from: 0, context: 0, pmids } as const;
  return (await ask(state, request, "result", "fetch")).result;
}

/** Names of the instances in a result, asked one by one. */
async function instanceNames(
  state: State,
  result: ResultView,
  descs: ReadonlyMap<Pmid, Desc>,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const set = result.sets(); set.next();) {
    const indom = descs.get(set.pmid)?.indom ?? PM_INDOM_NULL;
    if (indom === PM_INDOM_NULL) continue;
    for (let i = 0; i < set.numval; i++) {
      const instance = set.instance(i);
      const link = linkOf(state);
      link.send(encodePdu({ kind: "instance-req", from: 0, indom, instance, name: "" }));
      const reply = await receive(state, link);
      const name = reply.kind === "instance" ? reply.instances[0]?.name : undefined;
      if (name !== undefined) found.set(`${set.pmid} ${set.instance(i)}`, `"${name}"`);
    }
  }
  return found;
}

async function fetchCommand(state: State, pmids: readonly Pmid[]): Promise<void> {
  const { out } = state.setting;
  const link = linkOf(state);
  out(`PMID(s): ${pmids.map(pmIDStr).join(" ")}\n`);
  const descs = new Map<Pmid, Desc>();
  const described = state.on.getdesc || state.on.getiname;
  if (described) for (const pmid of pmids) descs.set(pmid, await describe(state, pmid));
  sendProfile(state, link, false);
  const result = await fetchResult(state, pmids);
  const instances = state.on.getiname
    ? await instanceNames(state, result, descs)
    : new Map<string, string>();
  state.results += 1;
  out(
    resultText(
      result,
      {
        described,
        namesOf: (pmid) => namesOf(state).namesOf(pmid),
        typeOf: (pmid) => descs.get(pmid)?.type,
        instanceName: (pmid, instance) => instances.get(`${pmid} ${instance}`),
      },
      state.results,
      link.dso,
    ),
  );
}

async function storeCommand(state: State, pmid: Pmid, text: string): Promise<void> {
  const { out, err } = state.setting;
  const link = linkOf(state);
  out(`PMID: ${pmIDStr(pmid)}\nGetting description...\n`);
  const { type } = await describe(state, pmid);
  sendProfile(state, link, true);
  out("Getting Result Structure...\n");
  const result = await fetchResult(state, [pmid]);
  const old = result.sets();
  if (!old.next() || old.numval <= 0) {
    err(`Error: ${pmIDStr(pmid)} not available!\n`);
    return;
  }
  const request = storeRequest(old, type, text);
  if (typeof request === "string") {
    err(`${request}\n`);
    return;
  }
  out(storeText(old, type, request));
  if (!link.dso) out("Sending Result...\n");
  link.send(request);
  const reply = await receive(state, link);
  if (reply.kind !== "error") wrongPdu(state, reply);
  else if (reply.code < 0) failed(state, link, "store", reply.code);
}

async function instanceCommand(
  state: State,
  indom: Indom,
  wanted: number | string | undefined,
): Promise<void> {
  linkOf(state);
  state.setting.out(`pmInDom: ${pmInDomStr(indom)}\n`);
  const request: Pdu = {
    kind: "instance-req",
    from: 0,
    indom,
    instance: typeof wanted === "number" ? asInstance(wanted) : PM_IN_NULL,
    name: typeof wanted === "string" ? wanted : "",
  };
  const { instances } = await ask(state, request, "instance", "instance");
  state.setting.out(instancesText(instances));
}

/** Both texts of a metric or a domain, each with an error of its own. */
async function textCommand(state: State, ident: number, of: number): Promise<void> {
  const { out } = state.setting;
  linkOf(state);
  let missing: Given | undefined;
  for (const level of [TEXT_TYPE.ONELINE, TEXT_TYPE.HELP]) {
    try {
      const request: Pdu = { kind: "text-req", from: 0, ident, type: level | of };
      const { text } = await ask(state, request, "text", "text");
      if (level === TEXT_TYPE.ONELINE) out(`[${text || "<no one line help text specified>"}]\n`);
      else out(`${text || "<no help text specified>"}\n`);
    } catch (error) {
      if (!(error instanceof Given)) throw error;
      missing = error;
    }
  }
  if (missing !== undefined) throw missing;
}

async function labelCommand(state: State, level: number, ident: number): Promise<void> {
  const { out } = state.setting;
  const link = linkOf(state);
  if (level === PM_LABEL.INDOM) out(`pmInDom: ${pmInDomStr(asIndom(ident))}\n`);
  if (level === PM_LABEL.INSTANCES) out(`Instances of pmInDom: ${pmInDomStr(asIndom(ident))}\n`);
  if (level === PM_LABEL.CLUSTER) out(`Cluster: ${pmIDStr(asPmid(ident)).replace(/\.\d+$/, "")}\n`);
  if (level === PM_LABEL.ITEM) out(`PMID: ${pmIDStr(asPmid(ident))}\n`);
  if (level === PM_LABEL.INSTANCES) sendProfile(state, link, false);
  const request: Pdu = { kind: "label-req", from: 0, ident, type: level };
  const { sets } = await ask(state, request, "label", "label");
  if (sets.length > 0) out(labelsText(sets, level === PM_LABEL.INSTANCES));
  else {
    out(
      link.dso ? "Info: DSO label() returns 0\n" : "Info: __pmDecodeLabel() returns 0 label sets\n",
    );
  }
}

async function nameCommand(
  state: State,
  command: Extract<CheckCommand, { kind: "pmid" | "children" | "traverse" | "name" }>,
): Promise<void> {
  const { out, err } = state.setting;
  const { dso } = linkOf(state);
  const warnOfNone = (what: string, names: readonly string[]): void => {
    if (dso && names.length === 0) err(`Warning: DSO ${what}() returns 0\n`);
  };
  if (command.kind === "name") {
    out(`PMID: ${pmIDStr(command.pmid)}\n`);
    const request: Pdu = { kind: "pmns-ids", from: 0, status: 0, pmids: [command.pmid] };
    const { names } = await ask(state, request, "pmns-names", "name");
    for (const name of names) out(`   ${name}\n`);
    warnOfNone("name", names);
    return;
  }
  const { name } = command;
  out(`Metric: ${name}\n`);
  if (command.kind === "pmid") {
    const request: Pdu = { kind: "pmns-names", from: 0, names: [name] };
    const { pmids } = await ask(state, request, "pmns-ids", "pmid");
    for (const pmid of pmids) out(`   ${pmIDStr(pmid)}\n`);
  } else if (command.kind === "children") {
    const request: Pdu = { kind: "pmns-child", from: 0, subtype: 1, name };
    const { names, statuses } = await ask(state, request, "pmns-names", "children");
    warnOfNone("children", names);
    for (const [at, child] of names.entries())
      out(`   ${(statuses?.[at] === 0 ? "leaf" : "non-leaf").padStart(8)} ${child}\n`);
  } else {
    const request: Pdu = { kind: "pmns-traverse", from: 0, subtype: 0, name };
    const { names } = await ask(state, request, "pmns-names", "children");
    warnOfNone("children", names);
    // Shared objects give a status with each name here.
    for (const leaf of names) out(`   ${dso ? "    leaf " : ""}${leaf}\n`);
  }
}

function attrCommand(state: State, key: number, name: string, value: string): void {
  const { out } = state.setting;
  const link = linkOf(state);
  out(`Attribute: ${name}=${value === "" ? "''" : value}\n`);
  const bytes = utf8(`${value}\0`);
  link.send(encodePdu({ kind: "attr", from: 0, attribute: key, value: bytes }));
  out("Success\n");
}

/** Requests whose time `timer` shows. */
export const TIMED: readonly CheckCommand["kind"][] = [
  "attr",
  "children",
  "desc",
  "fetch",
  "instance",
  "label",
  "label-item",
  "name",
  "pmid",
  "store",
  "text-indom",
  "text-metric",
  "traverse",
];

/** Commands that ask the agent; others do nothing here. Throws Given and Unknown. */
export async function request(state: State, command: CheckCommand): Promise<void> {
  switch (command.kind) {
    case "desc": {
      const pmid = await metricOf(state, command.metric);
      linkOf(state);
      state.setting.out(`PMID: ${pmIDStr(pmid)}\n`);
      state.setting.out(pmDescStr(await describe(state, pmid)));
      return;
    }
    case "fetch": {
      const pmids: Pmid[] = [];
      for (const metric of command.metrics) pmids.push(await metricOf(state, metric));
      return fetchCommand(state, pmids);
    }
    case "store":
      return storeCommand(state, await metricOf(state, command.metric), command.value);
    case "instance":
      return instanceCommand(state, command.indom, command.instance);
    case "text-metric": {
      const pmid = await metricOf(state, command.metric);
      linkOf(state);
      state.setting.out(`PMID: ${pmIDStr(pmid)}\n`);
      return textCommand(state, pmid, TEXT_TYPE.PMID);
    }
    case "text-indom":
      linkOf(state);
      state.setting.out(`pmInDom: ${pmInDomStr(command.indom)}\n`);
      return textCommand(state, command.indom, TEXT_TYPE.INDOM);
    case "label":
      return labelCommand(state, command.level, command.ident);
    case "label-item":
      return labelCommand(state, PM_LABEL.ITEM, await metricOf(state, command.metric));
    case "pmid":
    case "children":
    case "traverse":
    case "name":
      return nameCommand(state, command);
    case "attr":
      return attrCommand(state, command.key, command.name, command.value);
    default:
      return undefined;
  }
}
