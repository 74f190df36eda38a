// Goal: requests of loggers are answered byte for byte as pmproxy 7.2 does, where that does not crash
// (spec webapi.md 18): pmlogger compares these bytes.
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createPush, type PushSettings } from "../../lib/push/mod.ts";
import {
  type Authority,
  createLoggerApi,
  errorPage,
  type WebBody,
  type WebReply,
} from "../../lib/web/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { labelOf, recorded, recordsOf, withHost } from "../push/pushing.ts";

const V3 = recorded("rec/v3-mv");
const LABEL = labelOf(`${V3}.meta`);
const [RECORD = LABEL] = recordsOf(`${V3}.meta`);
let settings: Partial<PushSettings> = {};
const push = createPush({
  directory: join(privateFolder("logger"), "pushed"),
  settings: () => ({ freeBytes: 0, ...settings }),
  log: { write: () => undefined },
});
afterAll(() => push.close());
const authority: Authority = {
  check: (request) => {
    const header = request.header("authorization");
    if (header === "Basic dTp") return 401;
    return Promise.resolve(header === "Basic dTpx" ? 200 : 403);
  },
  close: () => undefined,
};
const api = createLoggerApi(push, authority);

/** Asks as a client would; `undefined`: no path of loggers. */
async function ask(
  method: string,
  target: string,
  body?: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<WebReply<WebBody> | undefined> {
  const [path = "", query] = target.split("?");
  return api.answer({
    method,
    path,
    ...(query === undefined ? {} : { query }),
    ...(body === undefined ? {} : { body }),
    header: (name) => headers[name],
  });
}

const json = (status: number, body: string) => ({
  status,
  type: "application/json",
  body: `${body}\r\n`,
});
const no = (status: number) => json(status, '{"success":false}');
const PAGE = errorPage(400, "failed to process URL", "logger servlet");

test.each([
  ["GET", "/logger/ping", json(200, '{"success":true}')],
  ["GET", "/logger/pingx", json(200, '{"success":true}')],
  ["GET", '/logger/ping?client=a"b\\', json(200, '{"client":"a\\"b\\\\","success":true}')],
  ["POST", "/logger/ping", PAGE],
  ["HEAD", "/logger/ping", PAGE],
  ["OPTIONS", "/logger/ping", PAGE],
  ["TRACE", "/logger/label", PAGE],
  ["GET", "/logger/label", PAGE],
  ["GET", "/logger/meta/1", PAGE],
  ["POST", "/logger/meta", PAGE],
  ["POST", "/logger/meta/0", PAGE],
  ["POST", "/logger/meta/x", PAGE],
  ["POST", "/logger/indexx/x", PAGE],
  ["POST", "/logger/volume/0", PAGE],
  ["POST", "/logger/volume/x/5", PAGE],
  ["POST", "/logger/volume/-1/5", PAGE],
  ["POST", "/logger/meta/1", no(410)],
  ["POST", "/logger/volume/0/5x", no(410)],
  ["POST", "/logger/volume/5000/5", no(500)],
  ["POST", "/logger/label?client=q", json(400, '{"client":"q","success":false}')],
  ["GET", "/logger", undefined],
  ["GET", "/logger/", undefined],
  ["GET", "/logger/foo", undefined],
  ["GET", "/loggers/ping", undefined],
] as const)("%s %s", async (method, target, reply) => {
  const body = method === "POST" ? Buffer.from("abc") : undefined;
  expect(await ask(method, target, body)).toEqual(reply);
});

test("a label begins an archive, whose parts are taken", async () => {
  const reply = await ask("POST", "/logger/label?client=c", LABEL);
  const body = String(reply?.body);
  expect(body).toMatch(/^\{"archive":[1-9]\d*,"client":"c","success":true\}\r\n$/);
  const archive = /\d+/.exec(body)?.[0] ?? "";
  const plain = String((await ask("POST", "/logger/label", LABEL))?.body);
  expect(plain).toMatch(/^\{"archive":[1-9]\d*,"success":true\}\r\n$/);
  const yes = json(200, '{"success":true}');
  expect(await ask("POST", `/logger/meta/${archive}`, RECORD)).toEqual(yes);
  expect(await ask("POST", `/logger/volume/0/${archive}`, RECORD)).toEqual(yes);
  expect(await ask("POST", `/logger/index/${archive}/`, RECORD)).toEqual(yes);
  expect(await ask("POST", `/logger/meta/${archive}?client=u`, RECORD)).toEqual(
    json(200, '{"client":"u","success":true}'),
  );
  // pmproxy crashes here.
  expect(await ask("POST", `/logger/meta/${archive}`)).toEqual(no(400));
  expect(await ask("POST", "/logger/label")).toEqual(no(400));
  const large = new Uint8Array(10 * 1024 * 1024);
  expect(await ask("POST", `/logger/index/${archive}`, large)).toEqual(no(500));
  expect(await ask("POST", `/logger/index/${archive}`, large.subarray(1))).toEqual(yes);
});

test("labels that are refused", async () => {
  const bad = Uint8Array.from(LABEL);
  bad[6] = 0;
  expect(await ask("POST", "/logger/label", bad)).toEqual(no(422));
  expect(await ask("POST", "/logger/label", withHost(LABEL, "../x"))).toEqual(no(400));
  expect(await ask("POST", "/logger/label?polltimeout=abc", LABEL)).toEqual(no(400));
  const fraction = await ask("POST", "/logger/label?polltimeout=2.5", LABEL);
  expect(fraction?.status).toBe(200);
});

test("switched off, and for those only whose credentials are good", async () => {
  settings = { enabled: false };
  expect(await ask("GET", "/logger/ping")).toEqual(no(500));
  settings = { authenticate: true };
  const label = async (pair: string) => {
    const reply = await ask("POST", "/logger/label", LABEL, { authorization: `Basic ${pair}` });
    return reply?.status;
  };
  expect(await ask("POST", "/logger/label", LABEL)).toEqual(no(403));
  expect(await ask("GET", "/logger/label")).toEqual(PAGE);
  expect(await label("dTpw")).toBe(403);
  expect(await label("dTpx")).toBe(200);
  expect(await label("dTp")).toBe(401);
  // Who is not let in learns nothing else.
  settings = { authenticate: true, enabled: false };
  expect(await label("dTpw")).toBe(403);
  expect(await label("dTpx")).toBe(500);
  settings = {};
  expect(await label("dTp")).toBe(401);
  expect(api.status()).toMatchObject({ archives: 4, cached: false });
});
