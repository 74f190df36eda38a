// Goal: requests with all sorts of parameters, drawn by a seed, get from us what the real pmproxy answers
// beside us on the same pmcd, but for the differences of docs/differences.md.
import { afterAll, beforeAll, expect } from "bun:test";
import fc from "fast-check";
import { createWebApi, type WebApi } from "../../lib/web/mod.ts";
import type { Pmcd, Proxy } from "../helpers/pcp.ts";
import { startPmcd6, startPmproxy6 } from "../helpers/pcp6.ts";
import { describePeer, havePeers, testWith } from "../helpers/peers.ts";
import { fits, plainBody } from "./compare.ts";
import { ask } from "./replay.ts";

let pmcd: Pmcd;
let real: Proxy;
let api: WebApi;
beforeAll(async () => {
  if (!havePeers("pcp6")) return;
  pmcd = await startPmcd6();
  real = await startPmproxy6();
  api = createWebApi({ env: { PCP_DERIVED_CONFIG: "" } });
}, 300_000);
afterAll(async () => {
  await api?.close();
  await real?.stop();
  await pmcd?.stop();
});

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function theirs(target: string): Promise<Reply> {
  const reply = await fetch(`http://127.0.0.1:${real.port}${target}`, { keepalive: false });
  const type = reply.headers.get("content-type") ?? "";
  return { status: reply.status, type, body: await reply.text() };
}

async function ours(target: string): Promise<Reply> {
  const reply = await ask(api, target);
  return reply ?? { status: 400, type: "text/html", body: "no handler for URL" };
}

/** What may differ in the same reply: times, the context, and the release in pages. */
const masked = (body: string): string =>
  body
    .replace(/"context":\d+/g, '"context":0')
    .replace(/"timestamp":(?:[\d.]+|\{[^}]*\})/, '"timestamp":0')
    .replace(/pmproxy\/[\d.]+/, "pmproxy")
    // The first bit of a PMID is none of its number; PCP 6 marks a context's own derived metrics with it.
    .replace(/"pmid":(\d+)/g, (_, pmid) => `"pmid":${Number(pmid) % 2 ** 31}`);

const NAMES = [
  "sample.long.one",
  "sample.bin",
  "sample.float.ten",
  "sample.double.bin",
  "sample.string.hullo",
  "sample.aggregate.hullo",
  "sample.longlong.million",
  "sample.ulonglong.ten",
  "sample.event.records",
  "sample.dupnames.two.float.ten",
  "sample.secret.bar",
  "sample.long",
  "my.a",
  "my.b",
  "no.such",
  "sample.",
];
/** With operands that there are: PCP 7 tells of others at once, 6 when the metric is asked for. */
const EXPRESSIONS = [
  "sample.long.one + 1",
  "sample.long.one*sample.long.ten - 3",
  "sample.long.million / sample.long.ten",
  "sum(sample.bin)",
  "count(sample.colour)",
  "sample.bin + sample.long.one",
  "sample.double.bin_ctr > 0 ? sample.long.one : sample.long.ten",
  "sample.long.one +",
  "(sample.long.one",
  "sample.long.one sample.long.ten",
  "%",
  "",
];
const PMIDS = [
  "29.0.10",
  "121634826",
  "0x740000a",
  "29.0.6",
  "29.0.9999",
  "29.1.1",
  "x",
  "400.0.1",
];
const INDOMS = ["29.1", "29.2", "121634817", "0x7400001", "29.77", "400.1", "x", "29", ""];
const INAMES = [
  "red",
  "blue",
  "bin-100",
  "bin-9*",
  "*",
  "b?n-[12]00",
  "nosuch",
  "^r",
  "e$",
  "n-.00",
];
const INSTANCES = ["0", "2", "100", "300", "-1", "x", "77"];

const listOf = (items: readonly string[], most = 3) =>
  fc
    .uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: most })
    .map((list) => list.join(","));
const pair = (name: string, value: fc.Arbitrary<string>) =>
  value.map((text) => `${name}=${encodeURIComponent(text)}`);
const oneOf = (...items: readonly fc.Arbitrary<string>[]) => fc.oneof(...items);
const some = (...items: readonly fc.Arbitrary<string>[]) =>
  fc
    .tuple(...items.map((item) => fc.option(item, { nil: "" })))
    .map((parts) => parts.filter((part) => part !== ""));

const names = listOf(NAMES);
/** With unknown ones the status there depends on how long the reply has become. */
const known = listOf(NAMES.filter((name) => !/no|\.$/.test(name)));
const domain = oneOf(
  pair("indom", fc.constantFrom(...INDOMS)),
  pair("name", fc.constantFrom(...NAMES)),
);
const instances = some(
  pair("iname", listOf(INAMES, 2)),
  pair("instance", listOf(INSTANCES)),
  pair("match", fc.constantFrom("exact", "glob", "regex", "x")),
);
const client = some(pair("client", fc.constantFrom("a", 'q"b\\', "1 2", "")));

const REQUESTS: readonly fc.Arbitrary<readonly [string, readonly string[]]>[] = [
  fc.tuple(
    fc.constantFrom("fetch", "_fetch"),
    fc.oneof(
      some(pair("names", names), pair("name", names)),
      some(pair("pmids", listOf(PMIDS)), pair("pmid", listOf(PMIDS))),
    ),
  ),
  fc.tuple(
    fc.constantFrom("metric", "_metric"),
    some(oneOf(pair("names", names), pair("prefix", names)), pair("name", names)).map((list) =>
      list.length === 0 ? ["names=sample.long"] : list,
    ),
  ),
  fc.tuple(
    fc.constantFrom("indom", "_indom"),
    fc.tuple(domain, instances).map(([first, rest]) => [first, ...rest]),
  ),
  fc.tuple(
    fc.constant("profile"),
    fc
      .tuple(pair("expr", fc.constantFrom("add", "x")), domain, instances)
      .map(([expr, first, rest]) => [expr, first, ...rest]),
  ),
  fc.tuple(
    fc.constantFrom("children", "_children"),
    some(
      pair("prefix", fc.constantFrom(...NAMES)),
      pair("name", fc.constantFrom("sample.colour", ...NAMES)),
    ),
  ),
  fc.tuple(
    fc.constantFrom("metrics", "_metrics"),
    fc
      .tuple(oneOf(pair("names", known), pair("target", known)), client)
      .map(([first, rest]) => [first, "times=no", ...rest]),
  ),
  // No number out of range: the real one then finds the next ones to be so, too.
  fc.tuple(
    fc.constant("store"),
    fc
      .tuple(
        pair("name", fc.constantFrom("sample.long.write_me", "sample.double.write_me", "no.such")),
        pair(
          "value",
          fc.constantFrom("13", "0x10", "-1", "12x", "", " 7", "1e30", "0x1p3", "0x1.8", "-.5e1"),
        ),
      )
      .map((list) => [...list]),
  ),
  fc.tuple(
    fc.constantFrom("derive", "_derive"),
    some(
      pair("name", fc.constantFrom("my.a", "my.b", "1bad", "")),
      pair("expr", fc.constantFrom(...EXPRESSIONS)),
    ),
  ),
  fc.tuple(fc.constantFrom("nosuch", "12x/fetch", "", "fetch/", "contexts"), client),
];

/** One metric under two names, or in two forms: next to each other they are no JSON there. */
const SAME = [
  /float\.ten.*float\.ten/,
  /(?:29\.0\.10|121634826|0x740000a)\b.*(?:29\.0\.10|121634826|0x740000a)\b/,
];

/** Whether the real one survives a request, and answers it with what can be read. */
const isTold = (request: string): boolean =>
  !SAME.some((pattern) => pattern.test(request)) &&
  // An expression that begins with a repetition ends it.
  !(/match=regex/.test(request) && /iname=[^&]*(?:%2A|\*|%3F|\?)/.test(request));

describePeer("pcp6", "beside the real pmproxy", () => {
  testWith("pcp6", "requests get the same answers", async () => {
    const hostspec = `hostspec=localhost:${pmcd.port}&polltimeout=600`;
    const idOf = ({ body }: Reply): string => /"context":(\d+)/.exec(body)?.[1] ?? "";
    const their = idOf(await theirs(`/pmapi/context?${hostspec}`));
    const our = idOf(await ours(`/pmapi/context?${hostspec}`));
    // The labels of agents come by chance there: now they are known.
    await theirs(`/pmapi/${their}/metric?prefix=sample`);
    const property = fc.asyncProperty(
      fc.oneof(...REQUESTS),
      client,
      async ([name, parameters], more) => {
        const query = [...parameters, ...more].join("&");
        fc.pre(isTold(query));
        const rest = `${name}${query === "" ? "" : `?${query}`}`;
        const want = await theirs(`/pmapi/${their}/${rest}`);
        const got = await ours(`/pmapi/${our}/${rest}`);
        expect([rest, got.status, got.type]).toEqual([rest, want.status, want.type]);
        const wanted = masked(want.body);
        if (wanted === masked(got.body) || got.type === "text/html") return;
        const isIndom = /indom/.test(name);
        const plain = plainBody(masked(got.body), got.type, isIndom);
        if (!fits(plainBody(wanted, want.type, isIndom), plain))
          expect([rest, masked(got.body)]).toEqual([rest, wanted]);
      },
    );
    await fc.assert(property, { seed: Number(process.env["WEB_SEED"] ?? 2026), numRuns: 300 });
  });
});
