// Places for work, of which there are so many, shared fairly: one client gets half of them at most, those
// who wait are let in client by client in turn, and one client takes half of the waiting room at most.
// Refused: who finds the waiting room full, and who has waited as long as it may. Who a client is, the
// caller says.

/** There is no place: nor room to wait for one, or nobody left one in time. */
export class BusyError extends Error {
  constructor(reason = "too many requests") {
    super(reason);
    this.name = "BusyError";
  }
}

/** What is told to those who waited in vain. */
export const WAITED_IN_VAIN = "too many requests: no answer could be begun in time";

interface Waiting {
  readonly wanted: () => boolean;
  go(entered: boolean): void;
}

/** How somebody waits. */
export interface Patience {
  /** Who had a place before waits however many do. */
  readonly again?: boolean;
  /** Milliseconds that a place is waited for; for ever if undefined. */
  readonly ms?: number;
}

interface Client {
  active: number;
  readonly waiting: Waiting[];
}

/** How many may work and wait. */
export interface Places {
  readonly active: number;
  readonly waiting: number;
}

/** Places that are taken and given back. */
export interface FairTurns {
  readonly active: number;
  readonly waiting: number;
  /**
   * Takes a place for a client: undefined at once, else a promise of whether it was let in; false: it was
   * not `wanted` any more. Throws BusyError; the promise rejects with it after the time of `patience`.
   */
  enter(client: string, wanted: () => boolean, patience?: Patience): Promise<boolean> | undefined;
  /** Gives a place back; once for each that was taken. */
  leave(client: string): void;
}

const half = (count: number): number => Math.max(1, Math.ceil(count / 2));

/** Turns within `places`, which may change. */
export function createFairTurns(places: () => Places): FairTurns {
  const clients = new Map<string, Client>();
  /** Clients somebody waits for, the next one first. */
  const order: string[] = [];
  let active = 0;
  let waiting = 0;

  const clientOf = (name: string): Client => {
    let client = clients.get(name);
    if (client === undefined) {
      client = { active: 0, waiting: [] };
      clients.set(name, client);
    }
    return client;
  };
  const take = (client: Client): void => {
    active += 1;
    client.active += 1;
  };

  /** Waits for a place; nobody works meanwhile on whom this is about. */
  const wait = (
    name: string,
    client: Client,
    wanted: () => boolean,
    ms: number | undefined,
  ): Promise<boolean> => {
    waiting += 1;
    if (client.waiting.length === 0) order.push(name);
    return new Promise<boolean>((go, fail) => {
      const late = (): void => {
        client.waiting.splice(client.waiting.indexOf(entry), 1);
        waiting -= 1;
        if (client.waiting.length === 0) {
          order.splice(order.indexOf(name), 1);
          if (client.active === 0) clients.delete(name);
        }
        fail(new BusyError(WAITED_IN_VAIN));
      };
      const timer = ms === undefined ? undefined : setTimeout(late, ms);
      // Nobody who stops waits for it.
      timer?.unref();
      const entry: Waiting = {
        wanted,
        go(entered) {
          clearTimeout(timer);
          go(entered);
        },
      };
      client.waiting.push(entry);
    });
  };

  /** Lets in who may come. */
  const advance = (): void => {
    const most = places().active;
    let left = order.length;
    while (active < most && left-- > 0) {
      const name = order.shift();
      const client = name === undefined ? undefined : clients.get(name);
      if (name === undefined || client === undefined) continue;
      let entered = false;
      while (!entered && client.active < half(most)) {
        const next = client.waiting.shift();
        if (next === undefined) break;
        waiting -= 1;
        entered = next.wanted();
        if (entered) take(client);
        next.go(entered);
      }
      if (client.waiting.length > 0) order.push(name);
      else if (client.active === 0) clients.delete(name);
      if (entered) left = order.length;
    }
  };

  return {
    get active() {
      return active;
    },
    get waiting() {
      return waiting;
    },
    enter(name, wanted, { again = false, ms } = {}) {
      const most = places();
      const client = clientOf(name);
      const mayEnter = active < most.active && client.active < half(most.active);
      if (mayEnter && client.waiting.length === 0) {
        take(client);
        return undefined;
      }
      if (!again && (waiting >= most.waiting || client.waiting.length >= half(most.waiting))) {
        if (client.active === 0 && client.waiting.length === 0) clients.delete(name);
        throw new BusyError();
      }
      return wait(name, client, wanted, ms);
    },
    leave(name) {
      const client = clients.get(name);
      if (client === undefined) return;
      active -= 1;
      client.active -= 1;
      if (client.active === 0 && client.waiting.length === 0) clients.delete(name);
      advance();
    },
  };
}
