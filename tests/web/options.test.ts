// Goal: browsers and tools that ask what they may do get pmproxy's answers (spec webapi.md 2.8), without a
// context being made; so do requests that name no path of ours.
import { expect, test } from "bun:test";
import { answer, createWebApi, respond, type WebRequest } from "../../lib/web/mod.ts";
import { ask } from "./replay.ts";

const api = createWebApi({ env: { PCP_DERIVED_CONFIG: "" }, hasRoom: () => false });
const view = { ready: () => true, status: () => ({}), metrics: () => "" };
const READ = "GET, HEAD, TRACE, OPTIONS";
const POST = "GET, HEAD, POST, TRACE, OPTIONS";

test.each([
  ["/pmapi/context?hostspec=x", READ],
  ["/pmapi/12/_fetch?names=a", READ],
  ["/pmapi/store?name=a&value=1", POST],
  ["/pmapi/derive?expr=a", POST],
  ["/metrics", READ],
  ["/openmetrics", READ],
])("OPTIONS %s", async (target, methods) => {
  const got = await ask(api, target, { method: "OPTIONS" });
  expect(got).toMatchObject({ status: 200, type: "", body: "" });
  expect(got?.headers).toEqual({
    "Access-Control-Allow-Methods": methods,
    "Access-Control-Max-Age": "86400",
  });
});

test("a preflight", async () => {
  const headers = {
    origin: "http://example.com",
    "access-control-request-method": "GET",
    "access-control-request-headers": "X-Foo",
  };
  const good = await ask(api, "/pmapi/context", { method: "OPTIONS", headers });
  expect(Object.entries(good?.headers ?? {})).toEqual([
    ["Access-Control-Allow-Origin", "http://example.com"],
    ["Access-Control-Allow-Methods", READ],
    ["Access-Control-Max-Age", "86400"],
    ["Access-Control-Allow-Headers", "Accept, Accept-Language, Content-Language, Content-Type"],
  ]);
  const post = { ...headers, "access-control-request-method": "POST" };
  const refused = await ask(api, "/pmapi/context", { method: "OPTIONS", headers: post });
  expect(refused).toMatchObject({ status: 405, headers: {}, body: "" });
});

test("HEAD and TRACE make no context, errors are told in full", async () => {
  for (const target of ["/pmapi/context", "/metrics", "/pmapi/fetch?names=a"]) {
    const head = await ask(api, target, { method: "HEAD" });
    expect([head?.status, head?.body]).toEqual([200, ""]);
    expect((await ask(api, target, { method: "TRACE" }))?.status).toBe(200);
  }
  const missing = await ask(api, "/pmapi/fetch", { method: "HEAD" });
  expect(missing).toMatchObject({ status: 400, type: "text/html" });
  expect(missing?.body).toContain("<b>webapi servlet</b>: failed to process URL");
});

test("TRACE sends headers back that hold no credentials and say nothing of the reply", () => {
  const sentHeaders =
    "Host|h:1|X-A|1|Authorization|Basic x|Cookie|c|Proxy-Authorization|p|X-Api-Key|k"
      .concat(
        "|Content-Length|7|Connection|close|Transfer-Encoding|chunked|X-B|\x80|Date|now|bad(|x|Via|v",
      )
      .split("|");
  for (const path of ["/", "/nowhere", "/-/ready"]) {
    const request = { method: "TRACE", path, header: () => undefined, sentHeaders };
    const reply = answer(view, request);
    expect(reply).toMatchObject({ status: 200, type: "", body: "", bare: true });
    expect(reply.headers).toEqual({ Host: "h:1", "X-A": "1", Via: "v" });
  }
});

test("everything that is not ours goes to the table of the server", async () => {
  const request = (method: string, path: string): WebRequest => ({
    method,
    path,
    header: () => undefined,
  });
  for (const path of [
    "/",
    "/pmapi/",
    "/pmapi/nosuch",
    "/pmapi/12x/fetch",
    "/pmapi/-1/fetch",
    "/series/ping",
  ])
    expect(await respond(view, api, request("GET", path))).toMatchObject({
      status: 400,
      body: expect.stringContaining("<b>unknown servlet</b>: no handler for URL"),
    });
  expect(answer(view, request("OPTIONS", "/")).body).toContain("no handler for OPTIONS");
  expect(answer(view, request("OPTIONS", "*")).headers).toMatchObject({
    "Access-Control-Allow-Methods": "GET, PUT, HEAD, POST, TRACE, OPTIONS",
  });
});
