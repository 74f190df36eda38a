// Goal: the page is one document that needs nothing else and may do nothing else. The program serves
// what the sources give, compressed where the browser takes that, told apart by its hash, under a policy
// that lets only its own script run; the notices of what is in it are in it.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { bundlePage } from "../../lib/page/bundle.ts";
import { createPage } from "../../lib/page/mod.ts";
import type { Proxy } from "../helpers/pcp.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";

let proxy: Proxy;
const html = bundlePage();

beforeAll(async () => {
  // The executable, where it is newer than the sources; else run from source.
  proxy = await startProxyUnderTest();
}, 300_000);
afterAll(() => proxy?.stop());

const get = (headers: Record<string, string> = {}, method = "GET", path = "/") =>
  fetch(`http://127.0.0.1:${proxy.port}${path}`, { method, headers, decompress: false });

test("the sources give the same bytes each time, and the program serves them", async () => {
  expect(bundlePage()).toBe(html);
  const reply = await get({ "Accept-Encoding": "identity" });
  expect(reply.status).toBe(200);
  expect(reply.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(reply.headers.get("content-encoding")).toBeNull();
  expect(await reply.text()).toBe(html);
});

test("compressed it is small", async () => {
  const reply = await get({ "Accept-Encoding": "br, gzip;q=0.8" });
  expect(reply.headers.get("content-encoding")).toBe("gzip");
  expect(reply.headers.get("vary")).toBe("Accept-Encoding");
  const body = Buffer.from(await reply.arrayBuffer());
  expect(gunzipSync(body).toString()).toBe(html);
  expect(body.length).toBeLessThan(60_000);
});

test("who has it already is told so", async () => {
  const tag = (await get()).headers.get("etag") ?? "";
  expect(tag).toMatch(/^W\/"[\w-]{20,}"$/);
  for (const known of [tag, `"other", ${tag}`, tag.slice(2), "*"]) {
    const reply = await get({ "If-None-Match": known });
    expect([reply.status, await reply.text()]).toEqual([304, ""]);
    expect(reply.headers.get("etag")).toBe(tag);
  }
  expect((await get({ "If-None-Match": '"other"' })).status).toBe(200);
  expect((await get()).headers.get("cache-control")).toBe("no-cache");
});

test("HEAD is the head; other methods and paths are no page", async () => {
  const head = await get({ "Accept-Encoding": "identity" }, "HEAD");
  expect([head.status, await head.text()]).toEqual([200, ""]);
  expect(head.headers.get("content-length")).toBe(String(Buffer.byteLength(html)));
  for (const method of ["POST", "PUT", "DELETE"]) {
    expect((await get({}, method)).status).toBe(400);
  }
  for (const path of ["/index.html", "/ui/main.ts", "/favicon.ico"]) {
    expect((await get({}, "GET", path)).status).toBe(400);
  }
});

test("its policy allows its own script and style and its own server, nothing else", async () => {
  const { headers } = await get();
  const policy = headers.get("content-security-policy") ?? "";
  const rules = new Map(
    policy.split("; ").map((rule) => {
      const [name = "", ...sources] = rule.split(" ");
      return [name, sources.join(" ")];
    }),
  );
  const hashOf = (tag: string): string => {
    const found = [...html.matchAll(new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, "g"))];
    expect(found.length).toBe(1);
    const text = found[0]?.[1] ?? "";
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  };
  expect(Object.fromEntries(rules)).toEqual({
    "default-src": "'none'",
    "script-src": hashOf("script"),
    "style-src": hashOf("style"),
    "connect-src": "'self'",
    "img-src": "data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
  });
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("access-control-allow-origin")).toBeNull();
});

test("it names no other place, and carries the notice of what is in it", () => {
  const places = html.match(/\b(?:https?:)?\/\/[\w-]+\.[\w./-]+/g) ?? [];
  // A name space is no place that is asked.
  expect(places.filter((place) => !place.includes("www.w3.org/"))).toEqual([]);
  expect(html).not.toMatch(/<(?:script|img|iframe)[^>]* src=|<link[^>]* href="(?!data:)/);
  expect(html).not.toMatch(/\beval\(|new Function\(|\.innerHTML\b/);
  expect(html).toContain("Copyright (c) 2022 Leon Sorokin");
  expect(html).toContain("Permission is hereby granted");
});

test("an encoding that is forbidden is not used", async () => {
  const page = createPage();
  const ask = async (accepted: string | undefined) => {
    const header = (name: string) => (name === "accept-encoding" ? accepted : undefined);
    const reply = await page.answer({ method: "GET", path: "/", header });
    return reply?.headers["Content-Encoding"];
  };
  for (const accepted of ["gzip", "deflate, gzip", "*", "GZIP;q=0.5"]) {
    expect([accepted, await ask(accepted)]).toEqual([accepted, "gzip"]);
  }
  for (const accepted of [undefined, "", "gzip;q=0", "br", "gzip; q=0.0", "xgzip"]) {
    expect([accepted, await ask(accepted)]).toEqual([accepted, undefined]);
  }
});
