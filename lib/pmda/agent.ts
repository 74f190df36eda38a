// makeAgent: what an author wrote (define.ts) as an Agent that can be asked (spec pmda.md 7). Calls
// answer at once where the author's callbacks do. Refuses tables that contradict themselves. A
// callback that throws, does not end in time, or answers nonsense fails its request or its value,
// with a line in the log, never the agent.
import type { Instances } from "../archive/mod.ts";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import {
  type Indom,
  type InstanceId,
  type Pmid,
  pmIDStr,
  type ResultView,
  type ResultWriter,
} from "../pcp/mod.ts";
import { STATE_CHANGE, type TextSubject } from "../pdu/mod.ts";
import { fetchInto } from "./agent-fetch.ts";
import { labelsAt } from "./agent-labels.ts";
import { storeAll } from "./agent-store.ts";
import type {
  AgentDefinition,
  AgentFactory,
  AgentSetting,
  AgentTables,
  MetricRow,
} from "./define.ts";
import { createGate, type Gate } from "./gate.ts";
import { createTimeLimit, DEFAULT_TIME_LIMIT, isPromise } from "./limit.ts";
import {
  type IndomEntry,
  buildTables,
  instanceName,
  instanceNumber,
  instancesOf,
  type Tables,
} from "./tables.ts";
import type { Agent, AgentNames, Awaitable, Caller } from "./types.ts";

/** Help texts to be looked up. */
export interface HelpTexts {
  /** The text, which may be empty; undefined where there is none. */
  text(subject: TextSubject, ident: number, level: "oneline" | "help"): string | undefined;
}

/** Whether an agent can be unready, which only those of this process can tell. */
export const canBeUnready = (agent: Agent): agent is RunningAgent => "onReady" in agent;

/** What an agent runs with. */
export interface AgentOptions {
  /** The domain that it runs under. */
  readonly domain: number;
  /** Words after the options of its command line. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly log?: AgentSetting["log"];
  /** Logs also the codes that are no faults. */
  readonly debug?: boolean;
  /** Milliseconds for the callbacks of one request; 0: no limit. DEFAULT_TIME_LIMIT when left out. */
  readonly timeLimit?: number;
  /** Texts from files, which come before those of the tables. */
  readonly help?: HelpTexts;
  /** Ends the process that the agent has for itself; called after the answer under way. */
  readonly end?: () => void;
}

/** An agent that runs in this process. */
export interface RunningAgent extends Agent {
  /** Interface version, 2 to 7. */
  readonly version: number;
  readonly definition: AgentDefinition;
  /** Every name of the tables with its metric, in their order. */
  readonly leaves: readonly { readonly name: string; readonly pmid: Pmid }[];
  /** Full names of dynamic subtrees. */
  readonly dynamicRoots: readonly string[];
  /** New tables from the next request on; throws as makeAgent and changes nothing then. */
  redefine(tables: AgentTables): void;
  /** The next fetch says that these have changed. */
  changed(what: "labels" | "names"): void;
  readonly ready: boolean;
  /** While not ready, every call fails with PM_ERR_AGAIN; pmcd hears PM_ERR_PMDANOTREADY. */
  setReady(ready: boolean): void;
  /** Calls back whenever it is set, until what it returns is called. */
  onReady(listener: (ready: boolean) => void): () => void;
}

const CHANGES = { labels: STATE_CHANGE.LABEL_CHANGE, names: STATE_CHANGE.NAMES_CHANGE } as const;

/** Versions that bring names of the agent's own, attributes, and labels with change flags. */
const SINCE = { names: 4, attributes: 6, labels: 7 } as const;

const ignore = (): void => undefined;

/** Every name of the tables. */
const leavesOf = ({ metrics }: Tables): RunningAgent["leaves"] =>
  metrics.flatMap(({ row: { name = [] }, desc: { pmid } }) =>
    (typeof name === "string" ? [name] : name).map((each) => ({ name: each, pmid })),
  );

/** State that calls share. */
interface State {
  tables: Tables;
  leaves: RunningAgent["leaves"];
  ready: boolean;
  /** STATE_CHANGE bits that no fetch has told yet. */
  changes: number;
  /** A sampling that was given up and has not ended. */
  sampling: boolean;
}

const checkReady = (state: State): void => {
  if (!state.ready) throw new PcpError(PM_ERR.AGAIN, "the agent is not ready");
};

/** The call `fetch` of an agent. */
function fetchCall(
  definition: AgentDefinition,
  state: State,
  gate: Gate,
  options: Required<Pick<AgentOptions, "log" | "debug" | "timeLimit">>,
) {
  const { log, debug, timeLimit } = options;
  const versioned = (definition.version ?? SINCE.labels) >= SINCE.labels;

  const wanted = (pmids: readonly Pmid[]): MetricRow[] => {
    const rows: MetricRow[] = [];
    for (const pmid of pmids) {
      const entry = state.tables.metric(pmid);
      if (entry !== undefined) rows.push(entry.row);
    }
    return rows;
  };

  /** The samples, then the values. */
  const sampled = async (sampling: Promise<void>, job: Parameters<typeof fetchInto>[0]) => {
    state.sampling = true;
    const ended = (): void => {
      state.sampling = false;
    };
    sampling.then(ended, ended);
    await job.limit.wait(sampling);
    await fetchInto(job, state.tables);
  };

  const work = (pmids: readonly Pmid[], by: Caller, out: ResultWriter): Awaitable<void> => {
    const limit = createTimeLimit(timeLimit);
    const job = { pmids, by, out, limit, request: limit, log, debug };
    let later: Awaitable<void>;
    if (definition.refresh === undefined) later = fetchInto(job, state.tables);
    else {
      if (state.sampling)
        throw new PcpError(PM_ERR.AGAIN, "an earlier refresh callback has not ended yet");
      const sampling = definition.refresh(wanted(pmids), by);
      later = isPromise(sampling)
        ? sampled(sampling as Promise<void>, job)
        : fetchInto(job, state.tables);
    }
    if (later instanceof Promise) return later.finally(limit.stop);
    return undefined;
  };

  return (pmids: readonly Pmid[], by: Caller, out: ResultWriter): Awaitable<void> => {
    checkReady(state);
    // Each part of a fetch is limited by itself; a limit around all of it would leave a callback
    // that goes on writing into a result which has been given away.
    const later =
      !gate.hasHooks && definition.refresh === undefined
        ? work(pmids, by, out)
        : gate.run("refresh callback", by, () => work(pmids, by, out), 0);
    if (!versioned || state.changes === 0) return later;
    // Told with values only: a fetch that fails has no place for them.
    const tell = (): void => {
      out.changes |= state.changes;
      state.changes = 0;
    };
    if (isPromise(later)) return (later as Promise<void>).then(tell);
    tell();
  };
}

/** Calls about instances. */
function instanceCalls(definition: AgentDefinition, state: State, gate: Gate) {
  /** Brings the domain up to date and then looks. */
  const look = <T>(
    indom: Indom,
    by: Caller,
    work: (entry: IndomEntry, request: object) => Awaitable<T>,
  ): Awaitable<T> => {
    checkReady(state);
    return gate.run("instances", by, () => {
      const entry = state.tables.indom(indom);
      if (entry === undefined) throw new PcpError(PM_ERR.INDOM);
      const request = {};
      const fresh = definition.refreshInstances?.(entry.row.serial, by);
      return isPromise(fresh)
        ? (fresh as Promise<void>).then(() => work(entry, request))
        : work(entry, request);
    });
  };
  return {
    instances: (indom: Indom, by: Caller): Awaitable<Instances> => look(indom, by, instancesOf),
    instanceName: (indom: Indom, instance: InstanceId, by: Caller) =>
      look(indom, by, (entry, request) => instanceName(entry, instance, request)),
    instanceId: (indom: Indom, name: string, by: Caller) =>
      look(indom, by, (entry, request) => instanceNumber(entry, name, request)),
  };
}

/** Throws for what a callback has answered in place of `what`: types say little about authors. */
function checkAnswer(fits: boolean, what: string): void {
  if (!fits) throw new PcpError(PM_ERR.GENERIC, `the callback answered no ${what}`);
}

const isTexts = (list: unknown): boolean =>
  Array.isArray(list) && list.every((each) => typeof each === "string");

/** The agent's own names behind the gate. */
function nameCalls(names: AgentNames, state: State, gate: Gate): AgentNames {
  /** One call, and whether its answer is one. */
  const run = <T>(
    by: Caller,
    what: string,
    work: () => Awaitable<T>,
    fits: (answer: T) => boolean,
  ): Awaitable<T> => {
    checkReady(state);
    const checked = (answer: T): T => {
      checkAnswer(fits(answer), what);
      return answer;
    };
    return gate.run("names callback", by, () => {
      const answer = work();
      return isPromise(answer) ? (answer as Promise<T>).then(checked) : checked(answer);
    });
  };
  return {
    lookup: (name, by) => run(by, "metric", () => names.lookup(name, by), Number.isInteger),
    namesOf: (pmid, by) => run(by, "list of names", () => names.namesOf(pmid, by), isTexts),
    children: (name, by) =>
      run(
        by,
        "list of names with statuses",
        () => names.children(name, by),
        (found) =>
          isTexts(found?.names) &&
          Array.isArray(found.statuses) &&
          found.statuses.length === found.names.length,
      ),
    traverse: (name, by) => run(by, "list of names", () => names.traverse(name, by), isTexts),
  };
}

/** The call `text` of an agent: files, then tables, then the callback. */
function textCall(
  definition: AgentDefinition,
  state: State,
  gate: Gate,
  help: HelpTexts | undefined,
): Agent["text"] {
  const found = (text: string | undefined): string => {
    if (text === undefined) throw new PcpError(PM_ERR.TEXT);
    checkAnswer(typeof text === "string", "text");
    return text;
  };
  return (subject, ident, level, by) => {
    checkReady(state);
    return gate.run("text callback", by, () => {
      const row =
        subject === "metric"
          ? state.tables.metric(ident as Pmid)?.row
          : state.tables.indom(ident as Indom)?.row;
      const text = help?.text(subject, ident, level) ?? row?.[level];
      if (text !== undefined) return text;
      const own = definition.text?.(subject, ident, level, by);
      return isPromise(own)
        ? (own as Promise<string | undefined>).then(found)
        : found(own as string);
    });
  };
}

/**
 * The agent of a definition. Throws PcpError PM_ERR_GENERIC with pmdaInit's sentence for tables that
 * contradict themselves, PM_ERR_PMID and PM_ERR_INDOM for numbers out of range.
 */
export function makeAgent(definition: AgentDefinition, options: AgentOptions): RunningAgent {
  const { log = ignore, env = {}, debug = false, timeLimit = DEFAULT_TIME_LIMIT } = options;
  // Any number may be given with -d; identifiers have nine bits for it.
  const domain = options.domain & 0x1ff;
  const version = definition.version ?? SINCE.labels;
  const { features = 0 } = definition;
  const tables = buildTables(definition, definition, domain);
  const state: State = {
    tables,
    leaves: leavesOf(tables),
    ready: true,
    changes: 0,
    sampling: false,
  };
  const gate = createGate(definition, log, timeLimit);
  const listeners = new Set<(ready: boolean) => void>();
  const names =
    version >= SINCE.names && definition.names !== undefined
      ? nameCalls(definition.names, state, gate)
      : undefined;
  return {
    name: definition.name,
    domain,
    features,
    version,
    definition,
    get leaves() {
      return state.leaves;
    },
    dynamicRoots: definition.dynamicRoots ?? [],
    ...(names === undefined ? {} : { names }),
    fetch: fetchCall(definition, state, gate, { log, debug, timeLimit }),
    desc(pmid, by) {
      checkReady(state);
      return gate.run("desc", by, () => {
        const entry = state.tables.metric(pmid);
        const refused = entry?.row.refused?.() ?? 0;
        if (refused < 0) throw new PcpError(refused);
        if (entry !== undefined) return entry.desc;
        log("Error", `pmdaDesc: Requested metric ${pmIDStr(pmid)} is not defined`);
        throw new PcpError(PM_ERR.PMID);
      });
    },
    ...instanceCalls(definition, state, gate),
    text: textCall(definition, state, gate, options.help),
    labels(level, ident, by) {
      checkReady(state);
      if (version < SINCE.labels) return [];
      return gate.run("label callback", by, () =>
        labelsAt({ definition, tables: state.tables, env, log }, level, ident, by),
      );
    },
    store(result: ResultView, by) {
      checkReady(state);
      return gate.run("store callback", by, () => storeAll(definition, state.tables, result, by));
    },
    attribute(context, key, value) {
      if (version < SINCE.attributes || definition.attribute === undefined) return undefined;
      return gate.run("attribute callback", undefined, () =>
        definition.attribute?.(context, key, value),
      );
    },
    contextClosed(context) {
      try {
        definition.contextClosed?.(context);
      } catch (cause) {
        log(
          "Error",
          `pmda${definition.name}: end of context callback: ${asPcpError(cause).message}`,
        );
      }
    },
    close: () => definition.close?.(),
    redefine(next) {
      state.tables = buildTables(definition, next, domain);
      state.leaves = leavesOf(state.tables);
    },
    changed(what) {
      state.changes |= CHANGES[what];
    },
    get ready() {
      return state.ready;
    },
    setReady(ready) {
      state.ready = ready;
      for (const listener of listeners) listener(ready);
    },
    onReady(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/**
 * Calls a factory and makes its agent. What the factory says through its setting before it has
 * returned counts too. Throws as makeAgent, and what the factory throws.
 */
export async function openAgent(
  factory: AgentFactory,
  options: AgentOptions,
): Promise<RunningAgent> {
  const early: ((to: RunningAgent) => void)[] = [];
  let tell = (what: (to: RunningAgent) => void): void => void early.push(what);
  const { end } = options;
  const definition = await factory({
    domain: options.domain & 0x1ff,
    args: options.args ?? [],
    env: options.env ?? {},
    log: options.log ?? ignore,
    changed: (what) => tell((to) => to.changed(what)),
    ready: (ready) => tell((to) => to.setReady(ready)),
    redefine: (tables) => tell((to) => to.redefine(tables)),
    ...(end !== undefined && { end: () => void setTimeout(end, 0) }),
  });
  const agent = makeAgent(definition, options);
  tell = (what) => what(agent);
  for (const what of early) what(agent);
  return agent;
}
