// One client's requests over many agents (spec pdu.md 10): each goes to the agent of its domain, a fetch
// to all that it is about at the same time, and their answers are put together in the order of the
// request, as bytes. Where one agent answers everything it writes into the result itself. Refuses
// answers with another number of metrics than was asked for.
import { asPcpError, PcpError, PM_ERR, viewOf } from "../base/mod.ts";
import {
  type Indom,
  indomDomain,
  PM_INDOM_NULL,
  PM_LABEL,
  type Pmid,
  pmidDomain,
  ResultView,
  ResultWriter,
  ValueSetCursor,
} from "../pcp/mod.ts";
import { createProfile, type InstanceProfile } from "../pdu/mod.ts";
import { type Agent, AGENT_FEATURE, type Awaitable, type Caller } from "../pmda/mod.ts";
import { routedNames } from "./router-names.ts";
import { isPromise, settle, whenThere } from "./turns.ts";
import type { AgentSource, Router, RouterClient } from "./types.ts";

/** Features of agents that want to know their clients. */
const CURIOUS = AGENT_FEATURE.AUTH | AGENT_FEATURE.CONTAINER;

/** The metrics of one agent in a request. */
interface Part {
  readonly domain: number;
  readonly pmids: readonly Pmid[];
}

/** The metrics of a request by domain, in their order. */
function partsOf(pmids: readonly Pmid[]): Part[] {
  const [first] = pmids;
  const domain = first === undefined ? 0 : pmidDomain(first);
  if (pmids.every((pmid) => pmidDomain(pmid) === domain)) return [{ domain, pmids }];
  const parts: { domain: number; pmids: Pmid[] }[] = [];
  const byDomain = new Map<number, (typeof parts)[number]>();
  let last: (typeof parts)[number] | undefined;
  for (const pmid of pmids) {
    const domain = pmidDomain(pmid);
    if (last?.domain !== domain) {
      last = byDomain.get(domain);
      if (last === undefined) {
        last = { domain, pmids: [] };
        byDomain.set(domain, last);
        parts.push(last);
      }
    }
    last.pmids.push(pmid);
  }
  return parts;
}

/** Puts the sets of several results into the order of the request. */
function merge(
  pmids: readonly Pmid[],
  parts: readonly Part[],
  results: readonly ResultWriter[],
  out: ResultWriter,
): void {
  const cursors = new Map<number, ValueSetCursor>();
  parts.forEach(({ domain, pmids: { length } }, index) => {
    const bytes = results[index]?.finish(0) ?? new Uint8Array(0);
    cursors.set(domain, new ValueSetCursor(bytes, viewOf(bytes), 0, length, 0));
  });
  for (const pmid of pmids) {
    const cursor = cursors.get(pmidDomain(pmid));
    if (cursor?.next() === true) out.copy(cursor);
  }
}

/** The value sets of one domain in a request to store. */
function storedIn(result: ResultView, domain: number): ResultView {
  const writer = new ResultWriter();
  for (const set = result.sets(); set.next();)
    if (pmidDomain(set.pmid) === domain) writer.copy(set);
  return new ResultView(writer.finish(0), result.timestamp, writer.count, 0);
}

/** Which domain answers for an identifier at a level of labels. */
function labelDomain(level: number, ident: number): number {
  if (level === PM_LABEL.DOMAIN) return ident;
  if (level === PM_LABEL.INDOM || level === PM_LABEL.INSTANCES) return indomDomain(ident as Indom);
  return pmidDomain(ident as Pmid);
}

/** What a client has told of itself, and which agents know it. */
function createAttributes(context: number) {
  const known = new Map<number, string>();
  const told = new WeakMap<Agent, Set<number>>();

  const tell = async (agent: Agent, keys: readonly number[]): Promise<void> => {
    for (const key of keys) {
      try {
        await agent.attribute?.(context, key, known.get(key) ?? "");
      } catch (error) {
        // As with pmcd nobody waits for an answer: what the agent makes of it shows in its values.
        if (!(error instanceof PcpError)) throw error;
      }
    }
  };

  return {
    /** Tells an agent what it does not know yet; undefined when there is nothing to wait for. */
    before(agent: Agent): Awaitable<void> {
      if (known.size === 0 || (agent.features & CURIOUS) === 0) return undefined;
      if (agent.attribute === undefined) return undefined;
      const heard = told.get(agent) ?? new Set<number>();
      told.set(agent, heard);
      const keys = [...known.keys()].filter((key) => !heard.has(key));
      if (keys.length === 0) return undefined;
      for (const key of keys) heard.add(key);
      return tell(agent, keys);
    },
    set(key: number, value: string): void {
      known.set(key, value);
    },
  };
}

/** Requests of one client. */
function createClient(
  source: AgentSource,
  names: AgentSource["names"],
  number: number,
  release: () => void,
): RouterClient {
  const everything = createProfile();
  const plain: Caller = { context: number, profile: everything };
  const attributes = createAttributes(number);
  /** Results of single agents, used again for the next request. */
  const writers: ResultWriter[] = [];
  let { seen } = source.changesSince(0);

  const ask = <T>(domain: number, work: (agent: Agent) => Awaitable<T>): Awaitable<T> => {
    const agent = source.find(domain);
    const told = attributes.before(agent);
    return isPromise(told) ? told.then(() => work(agent)) : work(agent);
  };
  const agentOf = <T>(indom: Indom, work: (agent: Agent) => Awaitable<T>): Awaitable<T> => {
    if (indom === PM_INDOM_NULL) throw new PcpError(PM_ERR.INDOM);
    return ask(indomDomain(indom), work);
  };

  /** The sets of one agent; its fault is that of each metric. */
  const fetchPart = ({ domain, pmids }: Part, by: Caller, out: ResultWriter): Awaitable<void> => {
    const mark = out.mark();
    const fail = (error: unknown): void => {
      out.rewind(mark);
      const { code } = asPcpError(error);
      for (const pmid of pmids) out.fail(pmid, code < 0 ? code : PM_ERR.GENERIC);
    };
    return settle(
      () => ask(domain, (agent) => agent.fetch(pmids, by, out)),
      () => {
        out.abandon();
        const count = out.count - mark.count;
        if (count !== pmids.length)
          fail(new PcpError(PM_ERR.IPC, `${count} answers for ${pmids.length} metrics`));
      },
      fail,
    );
  };

  /** Tells agents' changes to everybody, and to this client what it has not heard. */
  const noteChanges = (fromAgents: number, before: number, out: ResultWriter): void => {
    if (fromAgents !== 0) source.raise(fromAgents);
    const news = source.changesSince(seen);
    seen = news.seen;
    out.changes = before | news.bits;
  };

  return {
    number,
    fetch(pmids, profile: InstanceProfile, out) {
      const by: Caller = { context: number, profile };
      const parts = partsOf(pmids);
      const before = out.changes;
      out.changes = 0;
      const [only] = parts;
      if (parts.length === 1 && only !== undefined)
        return whenThere(fetchPart(only, by, out), () => noteChanges(out.changes, before, out));
      const later: Promise<void>[] = [];
      const results = parts.map((part, index) => {
        const writer = (writers[index] ??= new ResultWriter());
        writer.reset();
        const answer = fetchPart(part, by, writer);
        if (isPromise(answer)) later.push(answer);
        return writer;
      });
      const end = (): void => {
        merge(pmids, parts, results, out);
        const bits = results.reduce((all, { changes }) => all | changes, 0);
        noteChanges(bits, before, out);
      };
      return later.length === 0 ? end() : Promise.all(later).then(end);
    },
    desc: (pmid) => ask(pmidDomain(pmid), (agent) => agent.desc(pmid, plain)),
    instances: (indom) => agentOf(indom, (agent) => agent.instances(indom, plain)),
    instanceName: (indom, id) => agentOf(indom, (agent) => agent.instanceName(indom, id, plain)),
    instanceId: (indom, name) => agentOf(indom, (agent) => agent.instanceId(indom, name, plain)),
    text(subject, ident, level) {
      const domain = subject === "metric" ? pmidDomain(ident as Pmid) : indomDomain(ident as Indom);
      return ask(domain, (agent) => agent.text(subject, ident, level, plain));
    },
    labels: (level, ident, profile) =>
      ask(labelDomain(level, ident), (agent) =>
        agent.labels(level, ident, { context: number, profile }),
      ),
    async store(result) {
      const domains = new Set<number>();
      for (const set = result.sets(); set.next();) domains.add(pmidDomain(set.pmid));
      const [only] = domains;
      const by = plain;
      const part = (domain: number): ResultView =>
        domains.size === 1 && only === domain ? result : storedIn(result, domain);
      const answers = await Promise.allSettled(
        Array.from(domains, async (domain) =>
          ask(domain, (agent) => agent.store(part(domain), by)),
        ),
      );
      for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
    },
    ...routedNames(names, ask, plain),
    attribute(key, value) {
      attributes.set(key, value);
    },
    close() {
      for (const agent of source.agents) agent.contextClosed?.(number);
      release();
    },
  };
}

/** Clients over the agents of a source. Numbers of clients that have ended are used again. */
export function createRouter(source: AgentSource): Router {
  const taken: boolean[] = [];
  return {
    knows: (domain) => source.knows(domain),
    newClient(names = source.names) {
      const free = taken.indexOf(false);
      const number = free < 0 ? taken.length : free;
      taken[number] = true;
      return createClient(source, names, number, () => {
        taken[number] = false;
      });
    },
  };
}
