// An agent in a process of its own, through its ends and new beginnings: started when it is first
// wanted, and again when a request comes after it has gone, at growing intervals. A request that it was
// answering fails with the code of the connection; those that come before its next start is due fail
// with PM_ERR_NOAGENT. Each end is reported, once.
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import { STATE_CHANGE } from "../pdu/mod.ts";
import { type Agent, AGENT_FEATURE, type AgentNames, type Awaitable } from "../pmda/mod.ts";
import { isPromise } from "./turns.ts";

/** An agent that has been started. */
export interface StartedAgent {
  readonly agent: Agent;
  readonly pid?: number | undefined;
  /** Settles when it is gone, with how: "killed by SIGSEGV". Never rejects. */
  readonly gone: Promise<AgentEnd>;
  /** Ends it, and settles when it is gone. */
  stop(): Promise<void>;
}

/** How an agent ended. */
export interface AgentEnd {
  /** As a clause. */
  readonly reason: string;
  /** As pmcd.agent.status has it (spec pmda.md 5). */
  readonly status: number;
}

/** Bits 7 to 0 of pmcd.agent.status. */
export const AGENT_STATUS = { NOT_READY: 1, EXITED: 2, NOT_STARTED: 4, DROPPED: 8 } as const;

/** What is to be kept running. */
export interface Supervision {
  readonly name: string;
  readonly domain: number;
  /** It has been started already. */
  readonly first?: StartedAgent;
  /** Starts it; rejects with PcpError, the reason as a sentence. */
  start(): Promise<StartedAgent>;
  /** Takes reports of ends and starts, a sentence each. */
  readonly report: (level: "Info" | "Warning" | "Error", text: string) => void;
  /** STATE_CHANGE bits that clients are to hear of. */
  readonly changed: (bits: number) => void;
  /** Milliseconds on a clock that does not jump. */
  readonly now?: () => number;
}

/** A supervised agent: an Agent that outlives its processes. */
export interface SupervisedAgent extends Agent {
  /** Starts it if it is not running and its start is due. Rejects with PcpError. */
  ready(): Promise<void>;
  readonly running: boolean;
  readonly pid: number | undefined;
  /** As pmcd.agent.status has it; 0 while it runs. */
  readonly status: number;
  /** Starts after the first one. */
  readonly restarts: number;
}

/** Milliseconds before the next start: the first is at once, as pmcd has it. */
const FIRST_DELAY = 1000;
const LONGEST_DELAY = 60_000;

/** How long until an agent that keeps ending may be started once more. */
function createBackOff(now: () => number) {
  let failures = 0;
  let due = 0;
  let startedAt = 0;
  return {
    get wait(): number {
      return Math.max(0, due - now());
    },
    started(): void {
      startedAt = now();
    },
    ended(): void {
      if (now() - startedAt > LONGEST_DELAY) failures = 0;
      due = failures === 0 ? 0 : now() + Math.min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY);
      failures += 1;
    },
  };
}

const seconds = (milliseconds: number): string => `${Math.ceil(milliseconds / 100) / 10} s`;

/** Keeps an agent running. */
export function supervise({
  name,
  domain,
  first,
  start,
  report,
  changed,
  now = () => performance.now(),
}: Supervision): SupervisedAgent {
  const backOff = createBackOff(now);
  /** What clients have told of themselves, for the next process. */
  const attributes = new Map<number, Map<number, string>>();
  let current: StartedAgent | undefined;
  let starting: Promise<Agent> | undefined;
  /** Its connection is over, and how it ended is not known yet. */
  let ending: Promise<void> | undefined;
  let last: Agent | undefined;
  let status: number = AGENT_STATUS.NOT_STARTED;
  let starts = 0;
  let closed = false;

  const title = `agent "${name}" (domain ${domain})`;
  const next = (): string =>
    backOff.wait === 0 ? "the next request starts it" : `no start for ${seconds(backOff.wait)}`;

  const ended = (end: AgentEnd): void => {
    current = undefined;
    ending = undefined;
    status = end.status;
    backOff.ended();
    if (closed) return;
    report("Warning", `${title}: ${end.reason}; ${next()}`);
    changed(STATE_CHANGE.DROP_AGENT);
  };

  const runs = (started: StartedAgent): void => {
    current = started;
    last = started.agent;
    status = 0;
    const end = started.gone.then(ended);
    void started.agent.ended?.then(() => {
      if (current === started) ending = end;
      current = undefined;
    });
    if (starts > 0) {
      report("Info", `${title}: started again`);
      changed(STATE_CHANGE.RESTART_AGENT);
    }
    starts += 1;
  };
  if (first !== undefined) {
    backOff.started();
    runs(first);
  }

  const begin = async (): Promise<Agent> => {
    backOff.started();
    let started: StartedAgent;
    try {
      started = await start();
    } catch (error) {
      const { message } = asPcpError(error);
      status = AGENT_STATUS.NOT_STARTED;
      backOff.ended();
      if (!closed) report("Error", `${title}: cannot be started: ${message}; ${next()}`);
      throw new PcpError(PM_ERR.NOAGENT, message, { cause: error });
    }
    if (closed) {
      await started.stop();
      throw new PcpError(PM_ERR.NOAGENT, `${title}: ended`);
    }
    const { agent } = started;
    for (const [context, pairs] of attributes)
      for (const [key, value] of pairs) await agent.attribute?.(context, key, value);
    runs(started);
    return agent;
  };

  const present = (): Awaitable<Agent> => {
    if (current !== undefined) return current.agent;
    if (starting !== undefined) return starting;
    if (ending !== undefined) return ending.then(present);
    if (closed || backOff.wait > 0) throw new PcpError(PM_ERR.NOAGENT, `${title}: ${next()}`);
    const begun = begin().finally(() => {
      starting = undefined;
    });
    starting = begun;
    return begun;
  };
  const ask = <T>(work: (agent: Agent) => Awaitable<T>): Awaitable<T> => {
    const agent = present();
    return isPromise(agent) ? agent.then(work) : work(agent);
  };
  const named = <T>(code: number, work: (names: AgentNames) => Awaitable<T>): Awaitable<T> =>
    ask(({ names }) => {
      if (names === undefined) throw new PcpError(code);
      return work(names);
    });

  return {
    name,
    domain,
    get features() {
      // What a process that has not been started wants to know it is told when it is there.
      return last?.features ?? AGENT_FEATURE.AUTH | AGENT_FEATURE.CONTAINER;
    },
    get running() {
      return current !== undefined;
    },
    get pid() {
      return current?.pid;
    },
    get status() {
      return status;
    },
    get restarts() {
      return Math.max(starts - 1, 0);
    },
    async ready() {
      await present();
    },
    fetch: (pmids, by, out) => ask((agent) => agent.fetch(pmids, by, out)),
    desc: (pmid, by) => ask((agent) => agent.desc(pmid, by)),
    instances: (indom, by) => ask((agent) => agent.instances(indom, by)),
    instanceName: (indom, id, by) => ask((agent) => agent.instanceName(indom, id, by)),
    instanceId: (indom, wanted, by) => ask((agent) => agent.instanceId(indom, wanted, by)),
    text: (subject, ident, level, by) => ask((agent) => agent.text(subject, ident, level, by)),
    labels: (level, ident, by) => ask((agent) => agent.labels(level, ident, by)),
    store: (result, by) => ask((agent) => agent.store(result, by)),
    names: {
      lookup: (wanted, by) => named(PM_ERR.NAME, (names) => names.lookup(wanted, by)),
      namesOf: (pmid, by) => named(PM_ERR.PMID, (names) => names.namesOf(pmid, by)),
      children: (above, by) => named(PM_ERR.NAME, (names) => names.children(above, by)),
      traverse: (above, by) => named(PM_ERR.NAME, (names) => names.traverse(above, by)),
    },
    attribute(context, key, value) {
      const known = attributes.get(context) ?? new Map<number, string>();
      attributes.set(context, known.set(key, value));
      return current?.agent.attribute?.(context, key, value);
    },
    contextClosed(context) {
      attributes.delete(context);
      current?.agent.contextClosed?.(context);
    },
    async close() {
      closed = true;
      // One that is being started ends as soon as it is there.
      await Promise.allSettled([current?.stop(), ending, starting]);
    },
  };
}
