// Goal: what is recorded of the HTTP layer of the real pmproxy 6.0.3, byte by byte: heads with the order of
// their lines, URLs at their limits, methods, versions, preflights (spec webapi.md 2), answered alike by
// our server; and what killed the real one, or was answered twice, is answered once on a connection that
// goes on.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createWebApi, type WebApi } from "../../lib/web/mod.ts";
import { dumpStore } from "../series/dump-store.ts";
import { waitUntil } from "../helpers/ports.ts";
import { rawClient, serverWith, settingsWith, stopAll } from "../server/support.ts";
import type { TestServer } from "../server/support.ts";
import { type Case, readCases } from "./replay.ts";
import { apiOver, refusingLoad, serviceOf } from "./series-support.ts";

let server: TestServer;
const api = createWebApi({ env: { PMCD_PORT: "1", PCP_DERIVED_CONFIG: "" } });

/** Time series with nothing in them. */
const series = apiOver(serviceOf(dumpStore([]), { load: refusingLoad }), { quoting: "pcp" });

const both: WebApi = { ...api, answer: (request) => api.answer(request) ?? series.answer(request) };

beforeAll(async () => {
  const http = { ...settingsWith().http, allowHeaders: "" };
  server = await serverWith({ http }, [], { api: both });
});
afterAll(stopAll);

interface Sent extends Case {
  readonly raw_request?: readonly string[];
  readonly closed_by_server?: boolean;
}

/** The bytes of a case, in the pieces in which they were sent. */
function piecesOf({ request, raw_request: raw }: Sent): readonly string[] {
  if (request === undefined) return raw ?? [];
  const { method, target, headers, body } = request;
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const length = body === undefined ? "" : `Content-Length: ${body.length}\r\n`;
  const version = "version" in request ? String(request.version) : "HTTP/1.1";
  return [`${method} ${target} ${version}\r\n${lines}${length}\r\n${body ?? ""}`];
}

/** How long nothing comes when nothing more will, milliseconds. */
const QUIET_MS = 300;

/** So many replies, and whether the connection is closed then. */
interface Wanted {
  readonly replies: number;
  readonly closed: boolean;
}

interface Played {
  readonly text: string;
  readonly closed: boolean;
}

/** Sends a case's bytes, then `more`; all that comes back until it is what is wanted, and quiet then. */
async function play(one: Sent, wanted: Wanted, more = ""): Promise<Played> {
  const client = await rawClient(server.port);
  for (const [index, piece] of [...piecesOf(one), more].entries()) {
    if (index > 0) await Bun.sleep(50);
    if (piece !== "" && !client.closed()) client.socket.write(Buffer.from(piece, "latin1"));
  }
  await waitUntil(
    () =>
      client.closed() ||
      (statuses(client.text()).length >= wanted.replies && wanted.closed !== true),
  );
  let length = -1;
  while (!client.closed() && length !== client.length()) {
    length = client.length();
    await Bun.sleep(QUIET_MS);
  }
  const closed = client.closed();
  client.socket.destroy();
  return { text: client.text(), closed };
}

/** A recorded reply as it stands on the wire. */
function wireText(reply: Sent["responses"][number]): string {
  const reason = "reason" in reply ? String(reply.reason) : "";
  const lines = reply.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${reply.status} ${reason}\r\n${lines}\r\n${reply.body}`;
}
const masked = (text: string): string =>
  text.replaceAll("pmproxy/7.2.1", "pmproxy/6.0.3").replace(/^Date: .*\r$/gm, "Date: {{DATE}}\r");
const statuses = (text: string): readonly number[] =>
  [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));

/** Requests to the page. */
const ELSEWHERE = new Set(["get-root"]);

/** What we answer otherwise: once, on a connection that goes on, and with what the protocol says. */
const MEANT: Readonly<Record<string, readonly number[]>> = {
  "bad-parameters-double-reply": [400],
  "head-bad-parameters": [400],
  // Closed after its reply, as whoever sends no version expects.
  "ping-http09": [200],
  // A tunnel is nobody's business here.
  "ping-connect": [400],
  "request-after-no-handler": [400, 200],
  "request-after-bad-parameters": [400, 200],
  "split-url": [200],
  "mixed-case-method": [400],
  "headers-129": [431],
  "options-post-endpoint": [400],
  "options-root": [400],
  // Names of headers have no case.
  "preflight-lower-case-header": [405],
  // Headers come back in the order in which they were sent, not in that of a hash table.
  "trace-endpoint": [200],
};

test("recorded requests get the recorded bytes", async () => {
  const cases = readCases("transport") as readonly Sent[];
  const played = await Promise.all(
    cases.map((one) => {
      const meant = ELSEWHERE.has(one.id) ? [200] : MEANT[one.id];
      const replies = meant?.length ?? one.responses.length;
      return play(one, { replies, closed: meant === undefined && one.closed_by_server === true });
    }),
  );
  for (const [index, one] of cases.entries()) {
    const { text = "", closed } = played[index] ?? {};
    if (ELSEWHERE.has(one.id)) continue;
    const meant = MEANT[one.id];
    if (meant !== undefined) {
      expect([one.id, statuses(text)]).toEqual([one.id, meant]);
      continue;
    }
    const wanted = one.responses.map(wireText).join("");
    expect([one.id, masked(text)]).toEqual([one.id, wanted]);
    expect([one.id, closed]).toEqual([one.id, one.closed_by_server === true]);
  }
}, 300_000);

/** Questions of those below that have an answer where there are no series. */
const ANSWERED = new Set([
  "query-rate-not-counter",
  "query-different-indoms",
  "metrics",
  "labels",
  "sources",
  "instances",
]);

test("what kills the real server, or is answered twice there, is answered once", async () => {
  const odd = readCases("odd") as readonly Sent[];
  expect(odd.filter((one) => one.server_crashed === true)).toHaveLength(14);
  const after = "GET /-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n";
  const played = await Promise.all(
    odd.map((one) => play(one, { replies: 0, closed: true }, after)),
  );
  for (const [index, { id, request }] of odd.entries()) {
    const { text = "", closed } = played[index] ?? {};
    // A RESP client is closed: nobody relays for it.
    const wanted = request === undefined ? [] : [ANSWERED.has(id) ? 200 : 400, 200];
    expect([id, statuses(text), closed]).toEqual([id, wanted, true]);
  }
}, 300_000);
