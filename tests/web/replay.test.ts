// Goal: what clients of pmproxy's REST API get is what the real one gave them when these requests were
// recorded (spec webapi.md 4 to 13), byte for byte but for times, numbers of contexts and the
// differences of docs/differences.md; what killed the real one is answered once, and the API lives.
import { afterAll, beforeAll, expect } from "bun:test";
import { createHash } from "node:crypto";
import { createWebApi, type WebApi } from "../../lib/web/mod.ts";
import type { Pmcd } from "../helpers/pcp.ts";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { describePeer, havePeers, testWith } from "../helpers/peers.ts";
import { fits, plainBody } from "./compare.ts";
import { ask, type Case, patternOf, play, readCases, type Tokens, typeOf } from "./replay.ts";

let pmcd: Pmcd;
let api: WebApi;
/** What the machine's own labels are, and what they are in the recordings. */
let own: readonly (readonly [string, string])[] = [];

const RECORDED: Readonly<Record<string, string>> = {
  domainname: "localdomain",
  hostname: "pcp-fixture",
  machineid: "0123456789abcdef0123456789abcdef",
};

beforeAll(async () => {
  if (!havePeers("pcp6", "root")) return;
  pmcd = await startPmcd6({ agents: ["sample", "simple"], args: ["-H", "pcp-fixture"] });
  api = createWebApi({ env: { PMCD_PORT: String(pmcd.port), PCP_DERIVED_CONFIG: "" } });
  const context = await ask(api, "/pmapi/context");
  const { labels } = JSON.parse(context?.body ?? "{}") as { labels: Record<string, string> };
  own = Object.entries(RECORDED).map(([name, recorded]) => [labels[name] ?? "", recorded]);
}, 300_000);
afterAll(async () => {
  await api?.close();
  await pmcd?.stop();
});

/** Identities hold the labels of the machine: they are checked by their rule (spec webapi.md 15). */
const SERIES = /"(series|source)":"[0-9a-f]{40}"/g;

/** All but the first four instances of sample.proc come and go by chance. */
const BY_CHANCE = [
  /,\{"instance":(?:[5-9]|\d\d+),"value":(?:"[^"]*"|\d+)\}/g,
  /^sample[_:]proc\S+\{.*instid="(?:[5-9]|\d\d+)".*\n/gm,
];

/** A body as it would be on the machine of the recordings. */
function recorded(body: string): string {
  let text = body.replace(SERIES, '"$1":"*"');
  if (/sample.proc/.test(text)) for (const part of BY_CHANCE) text = text.replace(part, "");
  for (const [from, to] of own) if (from !== "") text = text.replaceAll(`"${from}"`, `"${to}"`);
  return text;
}

/** Differences that are meant: where the real one writes no JSON, loses text or shows old values. */
const ANSWERS: Readonly<Record<string, string>> = {
  "context/context-client-quoting": '"client":"a\\u0022b\\u005Cc\\u000A\u00e9"',
  "context/context-invalid-fetch": '{"message":"invalid context identifier: abc"',
  "context/context-empty-param": '{"message":"unknown context identifier: 0"',
  "fetch/fetch-no-values": '"name":"sample.bad.novalues","instances":[]}]}',
  "fetch/fetch-unsupported": '"name":"sample.bad.nosupport","instances":[]}]}',
  "fetch/fetch-nan-inf":
    '"value":1e+30}]},{"pmid":"29.0.29","name":"sample.double.write_me","instances":[{"instance":null,"value":null}]}]}',
  "fetch/fetch-string-odd": '"value":"q\\u0022b\\u005Cn\\u000At\\u0009u\u00e9"',
  "fetch/fetch-same-twice":
    '"instances":[{"instance":null,"value":1}]},{"pmid":"29.0.10","name":"sample.long.one","instances":[{"instance":null,"value":1}]}]}',
  // As long as it is, also for HTTP/1.0.
  "fetch/fetch-http10-too-large": '{"instance":499,"value":499}]}]}',
  // A store leaves the profile as it was.
  "store/fetch-instance": '{"instance":100,"value":55},{"instance":300,"value":300}',
  "store/fetch-iname": '{"instance":300,"value":66},{"instance":500,"value":500}',
  // As PCP 7: an operand that is unknown is an error at once.
  "derive/derive-unknown-operand": "Semantic Error: pmAddDerivedMetric(",
  // As PCP 7: JSON for who accepts it.
  "metrics/openmetrics-accept-json": '"metrics":[{"name":"sample.long.one"',
};

/** Cases that say nothing here: other agents, agents without their texts, no proxy to go through, PCP 7 filters, no SASL. */
const ELSEWHERE = new Set([
  "children/children-root",
  "children/children-root-empty",
  "context/context-basic-auth",
  "context/context-expired-not-collected",
  "context/context-through-proxy",
  "indom/indom-auto-context",
  "indom/indom-dynamic",
  "metric/metric-subtree",
  "metrics/openmetrics-filter-ignored-6.0.3",
]);

async function check(file: string, one: Case, tokens: Tokens): Promise<void> {
  const key = `${file}/${one.id}`;
  const got = await play(api, one, tokens);
  const [want] = one.responses;
  if (ELSEWHERE.has(key)) return;
  if (got === undefined) throw new Error(`${key}: no answer`);
  if (want === undefined) {
    // It killed the real one.
    expect([key, got.status]).toEqual([key, 400]);
    return;
  }
  const answer = ANSWERS[key];
  if (answer !== undefined) {
    expect([key, got.body]).toEqual([key, expect.stringContaining(answer)]);
    return;
  }
  expect([key, got.status, got.type]).toEqual([key, want.status, typeOf(want.headers)]);
  const wanted = want.body.replace("pmproxy/6.0.3", "pmproxy/7.2.1").replace(SERIES, '"$1":"*"');
  if (patternOf(wanted, tokens).test(recorded(got.body))) return;
  const filled = wanted.replace(/\{\{(\w+)\}\}/g, (all, name: string) => tokens.get(name) ?? all);
  const isIndom = file === "indom";
  const plain = plainBody(recorded(got.body), got.type, isIndom);
  if (!fits(plainBody(filled, got.type, isIndom), plain))
    expect([key, recorded(got.body)]).toEqual([key, filled]);
}

const FILES = [
  "context",
  "metric",
  "fetch",
  "indom",
  "profile",
  "children",
  "store",
  "derive",
  "metrics",
] as const;

describePeer(["pcp6", "root"], "recorded requests", () => {
  for (const file of FILES) {
    testWith(["pcp6", "root"], file, async () => {
      const tokens: Tokens = new Map([["PMCD_PORT", String(pmcd.port)]]);
      for (const one of readCases(file)) {
        await Bun.sleep(1000 * (one.pause_before ?? 0));
        await check(file, one, tokens);
      }
    });
  }

  testWith(["pcp6", "root"], "identities follow their rule", async () => {
    const names = "sample.long.one,sample.colour,sample.ulong.count.base";
    const reply = await ask(api, `/pmapi/metric?names=${names}`);
    const { metrics } = JSON.parse(reply?.body ?? "{}") as {
      metrics: readonly Record<string, string>[];
    };
    expect(metrics).toHaveLength(3);
    for (const { name, series, type, sem, units, labels } of metrics) {
      const rest = `"semantics":"${sem}","type":"${type?.toUpperCase()}"`;
      const unit = units === "none" ? "" : units;
      const text = `{"series":"metric","name":"${name}","labels":${JSON.stringify(labels)},${rest},"units":"${unit}"}`;
      expect(series).toBe(createHash("sha1").update(text).digest("hex"));
    }
    const context = JSON.parse((await ask(api, "/pmapi/context"))?.body ?? "{}") as {
      source: string;
      labels: unknown;
    };
    const text = `{"series":"source","labels":${JSON.stringify(context.labels)}}`;
    expect(context.source).toBe(createHash("sha1").update(text).digest("hex"));
  });
});
