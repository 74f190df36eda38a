// Queues of events that clients read at their own pace (pmdaEventQueue, spec pmda.md 9): bounded in
// bytes, old events go first, and each client learns how many it has missed. Nothing is kept while
// nobody listens; nobody sees events before access or a filter was given to it.
import { PcpError } from "../base/mod.ts";
import type { Instant } from "../pcp/mod.ts";
import { createEventArray, type EventArray } from "./event-array.ts";

const EINVAL = -22;
const EEXIST = -17;

/** What statistics metrics of a queue show. */
export interface EventCounts {
  /** Events ever, and their bytes. */
  readonly events: number;
  readonly bytes: bigint;
  /** Bytes that are kept now. */
  readonly memory: number;
  /** Clients that have read from the queue and not ended. */
  readonly clients: number;
}

/** Puts one event into an array: a record of its own with parameters. */
export type EventDecoder<T> = (event: T, time: Instant, array: EventArray) => void;

/** One queue. */
export interface EventQueue<T> {
  readonly name: string;
  readonly counts: EventCounts;
  /** An event of `size` bytes; one above the limit of the queue is counted and dropped. */
  append(event: T, size: number, time: Instant): void;
  /** Lets a client see all events, or none again. */
  setAccess(context: number, allowed: boolean): void;
  /** Lets a client see the events that `wants` is true for. */
  setFilter(context: number, wants: (event: T, time: Instant) => boolean): void;
  /**
   * What came since the client's last call, as the payload of an event value; undefined for nothing.
   * The first call makes it a client that events are kept for.
   */
  records(context: number, decode: EventDecoder<T>): Uint8Array | undefined;
  /** The client has ended. */
  contextClosed(context: number): void;
}

/** How a queue is made. */
export interface EventQueueOptions {
  readonly name: string;
  /** Most bytes of events. */
  readonly maxBytes: number;
  readonly highres?: boolean;
  readonly log?: (level: "Warning", text: string) => void;
}

interface Kept<T> {
  readonly event: T;
  readonly size: number;
  readonly time: Instant;
}

interface Client<T> {
  /** Number of the next event that it has not read; undefined before its first read. */
  next: number | undefined;
  missed: number;
  wants: ((event: T, time: Instant) => boolean) | undefined;
}

/** An empty queue. Throws PcpError EINVAL without a name or a size. */
export function createEventQueue<T>(options: EventQueueOptions): EventQueue<T> {
  const { name, maxBytes, highres = false, log = () => undefined } = options;
  if (name === "" || !Number.isInteger(maxBytes) || maxBytes <= 0)
    throw new PcpError(
      EINVAL,
      `an event queue needs a name and a size, not "${name}", ${maxBytes}`,
    );
  const clients = new Map<number, Client<T>>();
  const kept: Kept<T>[] = [];
  /** Number of the first kept event: events are numbered from 0. */
  let first = 0;
  let events = 0;
  let bytes = 0n;
  let memory = 0;

  const clientOf = (context: number): Client<T> => {
    const client = clients.get(context) ?? { next: undefined, missed: 0, wants: undefined };
    clients.set(context, client);
    return client;
  };
  const active = (): Client<T>[] => [...clients.values()].filter(({ next }) => next !== undefined);

  const dropFirst = (): void => {
    memory -= kept.shift()?.size ?? 0;
    first += 1;
    for (const client of clients.values()) {
      if (client.next === undefined || client.next >= first) continue;
      client.next = first;
      client.missed += 1;
    }
  };

  /** Lets go of what all have read. */
  const dropRead = (): void => {
    const wanted = active().map(({ next = 0 }) => next);
    const until = wanted.length === 0 ? first + kept.length : Math.min(...wanted);
    while (first < until && kept.length > 0) dropFirst();
  };

  return {
    name,
    get counts() {
      return { events, bytes, memory, clients: active().length };
    },
    append(event, size, time) {
      events = (events + 1) >>> 0;
      bytes = BigInt.asUintN(64, bytes + BigInt(size));
      if (size > maxBytes) {
        log("Warning", `Event too large for queue ${name} (${size} > ${maxBytes})`);
        return;
      }
      if (active().length === 0) return;
      while (memory + size > maxBytes) dropFirst();
      kept.push({ event, size, time });
      memory += size;
    },
    setAccess(context, allowed) {
      clientOf(context).wants = allowed ? () => true : undefined;
    },
    setFilter(context, wants) {
      clientOf(context).wants = wants;
    },
    records(context, decode) {
      const client = clientOf(context);
      const end = first + kept.length;
      if (client.next === undefined) client.next = end;
      const array = createEventArray(highres);
      let time: Instant = { sec: 0, nsec: 0 };
      for (const { event, time: at } of kept.slice(client.next - first)) {
        time = at;
        if (client.wants?.(event, at) === true) decode(event, at, array);
      }
      if (client.missed > 0) array.addMissed(time, client.missed);
      client.next = end;
      client.missed = 0;
      dropRead();
      return array.nrecords === 0 ? undefined : array.payload();
    },
    contextClosed(context) {
      clients.delete(context);
      dropRead();
    },
  };
}

/** The queues of an agent by their names. */
export interface EventQueues {
  /** EEXIST for a name that is used. */
  create<T>(options: EventQueueOptions): EventQueue<T>;
  /** The client has ended, in all queues. */
  contextClosed(context: number): void;
}

/** No queues yet. */
export function createEventQueues(): EventQueues {
  const queues = new Map<string, { contextClosed(context: number): void }>();
  return {
    create<T>(options: EventQueueOptions): EventQueue<T> {
      if (queues.has(options.name))
        throw new PcpError(EEXIST, `there is an event queue "${options.name}" already`);
      const queue = createEventQueue<T>(options);
      queues.set(options.name, queue);
      return queue;
    },
    contextClosed(context) {
      for (const queue of queues.values()) queue.contextClosed(context);
    },
  };
}
