// sample: what it knows of its clients: PDUs received and sent, in all and for each client (spec
// pmda.md 18.4). A profile is counted when it is first seen with a request.
import { PM_ERR } from "../../../base/mod.ts";
import type { InstanceId } from "../../../pcp/mod.ts";
import type { InstanceProfile } from "../../../pdu/mod.ts";
import type { FetchValue } from "../../define.ts";
import type { Caller } from "../../types.ts";
import type { Part } from "./behaviour.ts";

interface Client {
  received: number;
  sent: number;
}

/** The counters and what moves them. */
export interface Contexts extends Part {
  /** A request that is going to be answered. */
  count(by: Caller): void;
  closed(context: number): void;
}

/** No clients yet. */
export function contexts(): Contexts {
  const clients = new Map<number, Client>();
  const gone = { received: 0, sent: 0 };
  let highest = -1;
  let started = 0;
  let ended = 0;
  let lastProfile: InstanceProfile | undefined;
  const all = (what: "received" | "sent"): number => {
    let sum = gone[what];
    for (const client of clients.values()) sum += client[what];
    return sum | 0;
  };
  const clear = (what: "received" | "sent"): void => {
    gone[what] = 0;
    for (const client of clients.values()) client[what] = 0;
  };
  const of =
    (value: (client: Client) => number) =>
    (_: InstanceId, by: Caller): FetchValue => {
      const client = clients.get(by.context);
      return client === undefined ? { error: PM_ERR.NOCONTEXT } : value(client);
    };
  return {
    behaviours: {
      40: {
        fetch: () => all("received") + all("sent"),
        store: () => {
          clear("received");
          clear("sent");
        },
      },
      41: { fetch: () => all("received") >>> 0, store: () => clear("received") },
      42: { fetch: () => all("sent") >>> 0, store: () => clear("sent") },
      43: { fetch: of(({ received, sent }) => received + sent) },
      44: { fetch: of(({ received }) => received) },
      45: { fetch: of(({ sent }) => sent) },
      122: { fetch: () => highest + 1 },
      123: { fetch: () => clients.size },
      124: { fetch: () => started },
      125: { fetch: () => ended },
    },
    count({ context, profile }) {
      let client = clients.get(context);
      if (client === undefined) {
        client = { received: 0, sent: 0 };
        clients.set(context, client);
        highest = Math.max(highest, context);
        started += 1;
      }
      if (lastProfile !== undefined && lastProfile !== profile) client.received += 1;
      lastProfile = profile;
      client.received += 1;
      client.sent += 1;
    },
    closed(context) {
      const client = clients.get(context);
      if (client === undefined) return;
      clients.delete(context);
      gone.received += client.received;
      gone.sent += client.sent;
      ended += 1;
    },
  };
}
