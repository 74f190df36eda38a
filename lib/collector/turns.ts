// One call at a time for an agent that several clients ask: calls wait for their turn, and begin at
// once when nothing else is being answered. Refuses nothing.
import type { Agent, AgentNames, Awaitable } from "../pmda/mod.ts";

/** Whether something is to be waited for. */
export const isPromise = <T>(value: Awaitable<T>): value is Promise<T> => value instanceof Promise;

/** Goes on with a value, at once when it is there. */
export const whenThere = <T, R>(
  value: Awaitable<T>,
  use: (value: T) => Awaitable<R>,
): Awaitable<R> => (isPromise(value) ? value.then(use) : use(value));

/** As `whenThere`, and with what was thrown or rejected. */
export function settle<T, R>(
  work: () => Awaitable<T>,
  use: (value: T) => R,
  failed: (error: unknown) => R,
): Awaitable<R> {
  let value: Awaitable<T>;
  try {
    value = work();
  } catch (error) {
    return failed(error);
  }
  return isPromise(value) ? value.then(use, failed) : use(value);
}

type InTurn = <T>(work: () => Awaitable<T>) => Awaitable<T>;

/** Does each work when those before it have ended. */
export function createTurns(): InTurn {
  let last: Promise<unknown> | undefined;
  return <T>(work: () => Awaitable<T>): Awaitable<T> => {
    const value = last === undefined ? work() : last.then(work);
    if (!isPromise(value)) return value;
    const ended = (): void => {
      if (last === settled) last = undefined;
    };
    const settled: Promise<void> = value.then(ended, ended);
    last = settled;
    return value;
  };
}

/** The names of an agent, in turn with its other calls. */
const namesInTurn = (names: AgentNames, run: InTurn): AgentNames => ({
  lookup: (name, by) => run(() => names.lookup(name, by)),
  namesOf: (pmid, by) => run(() => names.namesOf(pmid, by)),
  children: (name, by) => run(() => names.children(name, by)),
  traverse: (name, by) => run(() => names.traverse(name, by)),
});

/** An agent that may be called by several at the same time. */
export function oneAtATime(agent: Agent): Agent {
  const run = createTurns();
  const { attribute, contextClosed } = agent;
  let named: AgentNames | undefined;
  let inTurn: AgentNames | undefined;
  return {
    name: agent.name,
    domain: agent.domain,
    get features() {
      return agent.features;
    },
    fetch: (pmids, by, out) => run(() => agent.fetch(pmids, by, out)),
    desc: (pmid, by) => run(() => agent.desc(pmid, by)),
    instances: (indom, by) => run(() => agent.instances(indom, by)),
    instanceName: (indom, id, by) => run(() => agent.instanceName(indom, id, by)),
    instanceId: (indom, name, by) => run(() => agent.instanceId(indom, name, by)),
    text: (subject, ident, level, by) => run(() => agent.text(subject, ident, level, by)),
    labels: (level, ident, by) => run(() => agent.labels(level, ident, by)),
    store: (result, by) => run(() => agent.store(result, by)),
    get names() {
      // An agent that is started again may have got names, or lost them.
      if (agent.names !== named) {
        named = agent.names;
        inTurn = named === undefined ? undefined : namesInTurn(named, run);
      }
      return inTurn;
    },
    ...(attribute === undefined
      ? {}
      : {
          attribute: (context: number, key: number, value: string) =>
            run(() => attribute.call(agent, context, key, value)),
        }),
    ...(contextClosed === undefined
      ? {}
      : { contextClosed: (context: number) => contextClosed.call(agent, context) }),
    close: () => agent.close?.(),
    ...(agent.ended === undefined ? {} : { ended: agent.ended }),
  };
}
