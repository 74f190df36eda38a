// Goal: every client program of PCP, in two releases, says through the proxy exactly what it says without it,
// over every way into the proxy: specification, variables, names, IPv6, unix socket, TLS outside and inside.
import { afterAll, describe, expect } from "bun:test";
import type { PcpTree } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { concurrentTestWith } from "../helpers/peers.ts";
import { turnstile } from "../helpers/process.ts";
import { clients } from "./clients.ts";
import type { ClientCase, Observation } from "./clients.ts";
import { routes, startBench } from "./routes.ts";
import type { Bench, Route, Way } from "./routes.ts";

/** Programs running at a time. */
const turn = turnstile(3);

/** All cases with clients of `tree` and pmcds of `servers`, over these routes. */
function matrixOf(tree: PcpTree, servers: PcpTree, ways: readonly Route[]): void {
  let started: Promise<Bench> | undefined;
  const bench = () => (started ??= startBench(tree, servers));
  afterAll(async () => (await started)?.stop());

  const expected = new Map<string, Promise<Observation>>();
  const directly = (client: ClientCase, way: Way): Promise<Observation> => {
    const key = `${way.spec} ${client.name}`;
    const known = expected.get(key) ?? turn(() => client.observe(way));
    expected.set(key, known);
    return known;
  };

  for (const route of ways) {
    describe(route.name, () => {
      for (const client of clients) {
        const own = tree === pcp6 ? client.peers6 : [];
        const body = async () => {
          const ready = await bench();
          const direct = await directly(client, route.direct(ready));
          expect(direct.stdout + direct.stderr).toContain(client.says);
          expect(direct.status).toBe(client.status);
          const through = await turn(() => client.observe(route.through(ready)));
          expect(through).toEqual(direct);
        };
        const peers = [tree.name, servers.name, "openssl", ...route.peers, ...own] as const;
        concurrentTestWith(peers, client.name, body, 300_000);
      }
    });
  }
}

/** What a client of one release says to a pmcd of the other does not depend on the way in. */
const few = routes.filter(({ name }) => ["host@proxy", "TLS to pmcd"].includes(name));

describe("PCP 6", () => matrixOf(pcp6, pcp6, routes));
describe("PCP 7", () => matrixOf(pcp7, pcp7, routes));
describe("clients of PCP 6, pmcd of PCP 7", () => matrixOf(pcp6, pcp7, few));
describe("clients of PCP 7, pmcd of PCP 6", () => matrixOf(pcp7, pcp6, few));
