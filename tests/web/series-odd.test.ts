// Goal: requests about series that lack something, have it twice or say it oddly, by every method, drawn by a
// seed and sent as bytes, get from us what the real pmproxy of PCP 7 answers over the same key server: status,
// type, the lines about methods, and the body. Left out is what it dies of, and bodies that it sends to HEAD.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Random, seeded } from "../fuzz/random.ts";
import { describePeer, havePeers, testWith } from "../helpers/peers.ts";
import { type Reply, replies } from "../server/replies.ts";
import { rawClient } from "../server/support.ts";
import { dumpStore } from "../series/dump-store.ts";
import { ask } from "./replay.ts";
import { type Beside, BESIDE_PEERS, startBeside } from "./series-beside.ts";
import { sameInAnyOrder } from "./series-replay.ts";
import { apiOver, serviceOf } from "./series-support.ts";

const REQUESTS = 400;
const ID = "0150d20c878046502964a0fe409c30e4fd290563";

describe("without anybody beside us", () => {
  const api = apiOver(serviceOf(dumpStore([])));
  const said = async (target: string, method = "GET", body?: string) => {
    const reply = await ask(api, target, { method, ...(body === undefined ? {} : { body }) });
    return [reply?.status, reply?.body];
  };
  const object = [400, '{"client":"q","success":false}\r\n'];

  test("what POST lacks is told with an object, what others lack with a page", async () => {
    for (const target of ["query?expr=", "values?series=", "descs?series=", "metrics?series="]) {
      const [path = "", query = ""] = target.split("?");
      expect(await said(`/series/${path}`, "POST", `${query}&client=q`)).toEqual(object);
      const [status, page] = await said(`/series/${target}&client=q`);
      expect([status, page]).toEqual([400, expect.stringContaining("failed to process URL")]);
    }
    for (const lack of [
      "labels?names=",
      "labels?series=",
      "instances?series=",
      "sources?source=",
    ]) {
      const [path = "", query = ""] = lack.split("?");
      expect(await said(`/series/${path}`, "POST", `${query}&client=q`)).toEqual(object);
      // What a URL says is looked at before there is a body.
      expect((await said(`/series/${lack}&client=q`, "POST"))[1]).toContain(
        "failed to process URL",
      );
    }
    expect(await said("/series/descs?client=q", "POST")).toEqual(object);
    expect(await said("/series/sources", "POST", "")).toEqual([200, "[]\r\n"]);
    expect((await said("/series/sources"))[0]).toBe(400);
    // Nothing behind the mark is no query.
    expect(await said("/series/metrics?", "POST", "series=&client=q")).toEqual(object);
  });

  test("texts end at a NUL, names too", async () => {
    const found = '{"client":"a","success":true}\r\n';
    expect(await said("/series/ping?client=a%00b")).toEqual([200, found]);
    expect(await said("/series/ping?client%00x=a&client=b")).toEqual([200, found]);
    expect((await said("/series/descs?series=%00"))[1]).toContain("failed to process URL");
  });

  test("identifiers are looked at before times, credentials after what is lacking", async () => {
    const [, body] = await said("/series/values?series=zz&start=zz&count=x");
    expect(body).toContain("Invalid SID zz near offset 0");
    const headers = { authorization: "Basic !!" };
    expect((await ask(api, "/series/descs", { headers }))?.status).toBe(400);
    expect((await ask(api, `/series/descs?series=${ID}`, { headers }))?.status).toBe(401);
  });

  test("OPTIONS, TRACE and HEAD miss less; a ping has no form", async () => {
    for (const method of ["OPTIONS", "TRACE", "HEAD"])
      expect((await said("/series/values", method))[0]).toBe(200);
    expect((await said("/series/values?a=%4", "TRACE"))[0]).toBe(200);
    expect((await said("/series/values?a=%4", "OPTIONS"))[1]).toContain("no handler for OPTIONS");
    expect(await said("/series/ping", "POST", "client=q")).toEqual([200, '{"success":true}\r\n']);
  });
});

const VALUES = [
  ..."|a|%00|a%00b|%zz|%|%4|a%20b|a+b|a=b|=|<b>|0|1e9|0x10|*|disk.*".split("|"),
  ..."disk.all.read|disk.all.read[count:2]|disk.all.read[|hostname|hostname,groupid".split("|"),
  ID,
  ID.toUpperCase(),
  ID.slice(1),
  "f".repeat(40),
  "g".repeat(40),
  "x".repeat(300),
];
const NAMES = [
  ..."expr series client match name names source instance samples count interval".split(" "),
  ..."begin finish range align offset query limit x EXPR expr%00 s%65ries times".split(" "),
];
/** Requests, and what they take. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  query: ["expr"],
  values: ["series", "samples"],
  descs: ["series"],
  labels: ["series", "names", "match"],
  metrics: ["series", "match"],
  sources: ["source", "match"],
  instances: ["series", "match"],
  ping: ["client"],
};
const ODD_PATHS = [
  ..."/series /series/ /series/quer /series/queryx /series/query/ /series/query/a //series/query".split(
    " ",
  ),
  ..."/series//query /Series/query /series/%71uery /s%65ries/query /series/query%00 /searchx".split(
    " ",
  ),
  ..."/seriesx/query /series/pingx /series/labelsx /series/query%3fexpr=a".split(" "),
];
const METHODS = ["GET", "GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"];
const HEADERS: readonly (readonly [of: number, line: string])[] = [
  [4, "Accept: application/json"],
  [6, "Origin: http://x"],
  [6, "Access-Control-Request-Method: POST"],
  [8, "Access-Control-Request-Headers: X-A"],
  [20, "Authorization: Basic !!"],
  [20, "Authorization: Basic YTpi"],
];

interface Drawn {
  readonly method: string;
  readonly bytes: string;
}

function draw(random: Random): Drawn {
  const name = random.pick(Object.keys(OWN));
  const path = random.below(6) === 0 ? random.pick(ODD_PATHS) : `/series/${name}`;
  const pairs = Array.from({ length: random.below(4) }, () => {
    const key = random.pick(random.below(2) === 0 ? (OWN[name] ?? []) : NAMES);
    return random.pick([
      key,
      `${key}=`,
      ...Array.from({ length: 8 }, () => `${key}=${random.pick(VALUES)}`),
    ]);
  });
  const method = random.pick(METHODS);
  if (random.below(30) === 0 && method === "GET")
    pairs.push(`x=${"y".repeat(random.pick([7000, 8100]))}`);
  const text = pairs.join(random.below(15) === 0 ? ";" : "&");
  const lines = HEADERS.filter(([of]) => random.below(of) === 0).map(([, line]) => line);
  // With credentials it forgets forms.
  const isForm =
    method === "POST" && random.below(4) > 0 && !lines.some((line) => line.includes("Basic"));
  // It dies of POST that has no expression at all.
  const more = method === "POST" ? `expr=a&${text}` : text;
  // Of a form with a bad escape it takes what stands before it; we refuse that.
  const escaped = more.replaceAll(/%(?![\da-fA-F]{2})/g, "");
  const form = random.below(8) === 0 ? '{"expr":"a"}&expr=a' : escaped;
  if (method === "POST" || method === "PUT")
    lines.push(`Content-Length: ${isForm ? form.length : 0}`);
  const query = isForm ? random.pick(["", "", "", "?"]) : more === "" ? "" : `?${more}`;
  const head = [`${method} ${path}${query} HTTP/1.1`, "Host: x", "Connection: close", ...lines];
  return { method, bytes: `${head.join("\r\n")}\r\n\r\n${isForm ? form : ""}` };
}

describePeer(BESIDE_PEERS, "over one key server", () => {
  let beside: Beside;
  beforeAll(async () => {
    if (havePeers(...BESIDE_PEERS)) beside = await startBeside({ http: { allowHeaders: "" } });
  }, 300_000);
  afterAll(() => beside?.stop());

  const HEAD_NAMES = [
    "content-type",
    "access-control-allow-methods",
    "access-control-allow-origin",
  ];
  const toldOf = ({ status, headers, body }: Reply, method: string) => ({
    status,
    headers: HEAD_NAMES.map((name) => headers.get(name)),
    body: method === "HEAD" ? "" : body.replace(/pmproxy\/[\d.]+/, "pmproxy"),
  });
  const answer = async (port: number, { method, bytes }: Drawn) => {
    const text = await (await rawClient(port, bytes)).end();
    const end = text.indexOf("\r\n\r\n");
    // The real one may send a body to HEAD.
    const [reply] = replies(
      method === "HEAD" ? text.slice(0, end + 4) : text,
      method === "HEAD" ? [0] : [],
    );
    return reply === undefined ? undefined : toldOf(reply, method);
  };

  testWith(
    BESIDE_PEERS,
    "random odd requests",
    async () => {
      const random = seeded(Number(process.env["SERIES_SEED"] ?? 7));
      for (let at = 0; at < REQUESTS; at++) {
        const drawn = draw(random);
        const wanted = await answer(beside.real, drawn);
        const got = await answer(beside.ours, drawn);
        if (got !== undefined && wanted !== undefined && sameInAnyOrder(got.body, wanted.body))
          got.body = wanted.body;
        expect([at, drawn.bytes, got]).toEqual([at, drawn.bytes, wanted]);
      }
    },
    300_000,
  );
});
