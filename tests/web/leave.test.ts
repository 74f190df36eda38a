// Goal: work for which nobody waits any more stops: a scrape whose client has gone asks pmcd for nothing
// further, unless somebody else waits for the same; and a great many requests for contexts that there are
// not leave nothing behind.
import { afterEach, expect, test } from "bun:test";
import type { Pdu } from "../../lib/pdu/mod.ts";
import { createWebApi, type WebReply } from "../../lib/web/mod.ts";
import { type FakePmcd, startFakePmcd } from "../helpers/fakepmcd.ts";
import { memoryGrowth } from "../helpers/memory.ts";
import { waitUntil } from "../helpers/ports.ts";
import { type RawClient, rawClient, serverWith, stopAll } from "../server/support.ts";

const ended: (() => Promise<void>)[] = [];
afterEach(async () => {
  await stopAll();
  for (const end of ended.splice(0)) await end();
});

/** Metrics of one fetch, and fetches for all metrics. */
const BATCH = 2;
const BATCHES = 200;

interface Setup {
  readonly port: number;
  readonly pmcd: FakePmcd;
  /** Called at the first fetch, once. */
  atFetch: () => void;
}

async function setUp(): Promise<Setup> {
  const setup = { atFetch: (): void => undefined };
  const answer = (request: Pdu): undefined => {
    if (request.kind !== "highres-fetch" || request.pmids.length < BATCH) return;
    const { atFetch } = setup;
    setup.atFetch = () => undefined;
    atFetch();
  };
  const pmcd = await startFakePmcd({ behaviour: { metrics: BATCH * BATCHES, answer } });
  ended.push(() => pmcd.stop());
  const env = { PMCD_PORT: String(pmcd.port), PCP_DERIVED_CONFIG: "" };
  const api = createWebApi({ env, limits: { batchSize: BATCH } });
  const { port } = await serverWith({}, [], { api });
  return Object.assign(setup, { port, pmcd });
}

const fetches = (pmcd: FakePmcd): number =>
  pmcd.connections
    .flatMap(({ received }) => received)
    .filter((pdu) => "kind" in pdu && pdu.kind === "highres-fetch" && pdu.pmids.length === BATCH)
    .length;

const SCRAPE = "GET /openmetrics?names=fake&filter=none HTTP/1.1\r\nHost: x\r\n\r\n";
/** The same by node:http. */
const ODD = SCRAPE.replace("Host: x", "Host: x\r\nContent-Length: 0");

for (const [way, request] of [
  ["on the wire", SCRAPE],
  ["by node:http", ODD],
] as const) {
  test(`a scrape whose client leaves ends, ${way}`, async () => {
    const setup = await setUp();
    const client = await rawClient(setup.port, request);
    // Not just an end: whoever has sent its last request may still read.
    setup.atFetch = () => client.socket.resetAndDestroy();
    expect(await waitUntil(() => fetches(setup.pmcd) > 0)).toBe(true);
    let last = 0;
    while (fetches(setup.pmcd) > last) {
      last = fetches(setup.pmcd);
      await Bun.sleep(200);
    }
    expect(last).toBeLessThan(BATCHES / 2);
  }, 300_000);
}

test("one of several clients may leave", async () => {
  const setup = await setUp();
  const first = await rawClient(setup.port, SCRAPE);
  const others = new Promise<readonly RawClient[]>((resolve) => {
    // These wait for the next one together.
    setup.atFetch = () =>
      resolve(
        Promise.all([
          rawClient(setup.port, SCRAPE),
          rawClient(setup.port, SCRAPE.replace("Host", "Connection: close\r\nHost")),
        ]),
      );
  });
  const [second, third] = await others;
  first.socket.resetAndDestroy();
  second?.socket.resetAndDestroy();
  expect(await third?.end()).toEndWith("# EOF\n");
}, 300_000);

test("tens of thousands of numbers of contexts that there are not", async () => {
  const api = createWebApi({ env: { PCP_DERIVED_CONFIG: "" } });
  const ask = (id: number): WebReply | undefined => {
    const target = `/pmapi/fetch?context=${id}&names=x`;
    const query = `context=${id}&names=x`;
    const reply = api.answer({ method: "GET", path: "/pmapi/fetch", query, target, header });
    return reply instanceof Promise ? undefined : (reply as WebReply);
  };
  const header = (): undefined => undefined;
  for (let id = 1; id < 20_000; id++) ask(id);
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  for (let id = 1; id <= 30_000; id++) {
    const reply = ask(id);
    if (reply?.status !== 400) throw new Error(`context ${id}: ${reply?.status}`);
  }
  expect(await memoryGrowth(before, 100 << 20)).toBeLessThan(100 << 20);
  expect(api.status()).toMatchObject({ contexts: 0, connections: 0 });
}, 300_000);
