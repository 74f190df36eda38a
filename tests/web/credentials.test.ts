// Goal: a name and password that pmcd does not take make no context, since pmcd goes on as if there were none;
// those that it takes do, and nobody else gets at what is shown to them.
import { afterAll, expect } from "bun:test";
import { createWebApi } from "../../lib/web/mod.ts";
import { startPmcd } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { ask } from "./replay.ts";

const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

for (const tree of [pcp6, pcp7])
  testWith(
    [tree.name, `${tree.name}-sasl`],
    `accounts of pmcd, ${tree.name}`,
    async () => {
      const account = { user: "nobody", password: "open sesame" };
      const pmcd = await startPmcd(tree, { sasl: account });
      closers.push(() => pmcd.stop());
      const api = createWebApi({ env: { PCP_DERIVED_CONFIG: "" } });
      closers.push(() => api.close());
      const get = async (target: string, pair: string) => {
        const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
        const got = await ask(api, target, { headers: { authorization } });
        return `${got?.status} ${got?.body}`;
      };
      // With SCRAM connecting fails; after PLAIN the first request does.
      for (const [method, failure] of [
        ["", "cannot connect to PMCD"],
        ["?method=plain", "failed to get context labels"],
      ] as const) {
        const host = `hostspec=${encodeURIComponent(`localhost:${pmcd.port}${method}`)}`;
        const refused = (text: string): string =>
          `400 {"message":"${failure}: Authentication - ${text}","success":false}\r\n`;
        for (const target of [`/pmapi/context?${host}`, `/pmapi/fetch?${host}&names=sample.bin`]) {
          expect(await get(target, "nobody:wrong")).toBe(refused("authentication failure"));
          expect(await get(target, "nosuchone:x")).toBe(refused("user not found"));
          expect(await get(target, "nobody:open sesame")).toStartWith("200 ");
        }
      }
      expect(api.status()["connections"]).toBe(2);
    },
    300_000,
  );
