// What tests of pushed archives share: an HTTP server around the requests of loggers, a client that
// pushes an archive as loggers do, and the records of archive files.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Push } from "../../lib/push/mod.ts";
import { createLoggerApi, errorPage } from "../../lib/web/mod.ts";
import type { WebBody, WebReply } from "../../lib/web/mod.ts";

/** A recorded archive, its path without suffix. */
export const recorded = (name: string): string =>
  join(import.meta.dir, "../fixtures/archives", name);

/** The records of an archive file after its label; index entries as they are. */
export function recordsOf(path: string): Uint8Array[] {
  const bytes = readFileSync(path);
  const label = bytes.readUInt32BE(0);
  const found: Uint8Array[] = [];
  const isIndex = path.endsWith(".index");
  for (let at = label; at < bytes.length;) {
    const length = isIndex ? (label === 132 ? 20 : 32) : bytes.readUInt32BE(at);
    found.push(bytes.subarray(at, at + length));
    at += length;
  }
  return found;
}

/** The label that begins a file. */
export function labelOf(path: string): Uint8Array {
  const bytes = readFileSync(path);
  return bytes.subarray(0, bytes.readUInt32BE(0));
}

/** A label with another host name. */
export function withHost(label: Uint8Array, host: string): Uint8Array {
  const bytes = Uint8Array.from(label);
  const at = bytes.length === 132 ? 24 : 36;
  bytes.fill(0, at, at + 64);
  bytes.set(Buffer.from(host), at);
  return bytes;
}

/** Serves the requests of loggers on a free port of the loopback address. */
export function servePush(push: Push): { readonly port: number; stop(): Promise<void> } {
  const api = createLoggerApi(push);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const url = new URL(request.url);
      const reply: WebReply<WebBody> = await (api.answer({
        method: request.method,
        path: url.pathname,
        query: url.search.slice(1),
        body: await request.bytes(),
        header: (name) => request.headers.get(name) ?? undefined,
      }) ?? errorPage(400, "no handler for URL"));
      const { status, type, body } = reply;
      return new Response(body as string, { status, headers: { "Content-Type": type } });
    },
  });
  return { port: server.port ?? 0, stop: () => server.stop(true) };
}

/** Sends a request of a logger; the status and the JSON of the reply. */
export async function send(port: number, path: string, body?: Uint8Array) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: body === undefined ? "GET" : "POST",
    ...(body === undefined ? {} : { body }),
  });
  const reply = (await response.json()) as { archive?: number; success: boolean };
  return { status: response.status, ...reply };
}
