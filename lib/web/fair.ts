// Places for work, of which there are so many, shared fairly: one client gets half of them at most, those
// who wait are let in client by client in turn, and one client takes half of the waiting room at most.
// Refused: who finds the waiting room full. Who a client is, the caller says.

/** There is no place, and no room to wait for one. */
export class BusyError extends Error {
  constructor() {
    super("too many requests");
    this.name = "BusyError";
  }
}

interface Waiting {
  readonly wanted: () => boolean;
  go(entered: boolean): void;
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
   * not `wanted` any more. Throws BusyError; `again`, for who had one before, waits however many do.
   */
  enter(client: string, wanted: () => boolean, again?: boolean): Promise<boolean> | undefined;
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
    enter(name, wanted, again = false) {
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
      waiting += 1;
      if (client.waiting.length === 0) order.push(name);
      return new Promise<boolean>((go) => {
        client.waiting.push({ wanted, go });
      });
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
