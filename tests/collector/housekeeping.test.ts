// Goal: a collector collects garbage after a hundred requests, once for them, not without requests,
// and not any more when it has been stopped.
import { expect, test } from "bun:test";
import { createClientTable } from "../../lib/collector/clients.ts";
import { keepMemorySmall } from "../../lib/collector/housekeeping.ts";
import { waitUntil } from "../helpers/ports.ts";

test("garbage is collected once for every hundred requests or more", async () => {
  const clients = createClientTable();
  let collected = 0;
  let looks = 0;
  const stop = keepMemorySmall(clients, { every: 1, collect: () => void (collected += 1) });
  const timer = setInterval(() => void (looks += 1), 1);
  const someLooks = () => waitUntil(() => looks > 10);
  clients.pduIn[3] = 99;
  await someLooks();
  expect(collected).toBe(0);
  clients.pduIn[12] = 1;
  await waitUntil(() => collected > 0);
  looks = 0;
  await someLooks();
  expect(collected).toBe(1);
  stop();
  clients.pduIn[3] = 1000;
  looks = 0;
  await someLooks();
  expect(collected).toBe(1);
  clearInterval(timer);
});
