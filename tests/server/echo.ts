// A stand-in for the REST API: its replies show what the server understood, and have every form that
// a reply can have.
import type { Answer, WebApi, WebBody, WebReply, WebRequest } from "../../lib/web/mod.ts";

const json = (value: unknown): WebReply => ({
  status: 200,
  type: "application/json",
  body: `${JSON.stringify(value)}\r\n`,
});

/** Pieces of a stream; `ended` hears of its end, whoever brought it about. */
async function* pieces(count: number, size: number, ended: () => void) {
  try {
    for (let piece = 0; piece < count; piece++) {
      await Bun.sleep(0);
      yield new Uint8Array(size).fill(0x61 + (piece % 26));
    }
  } finally {
    ended();
  }
}

async function* drops(count: number, ms: number) {
  for (let drop = 0; drop < count; drop++) {
    await Bun.sleep(ms);
    yield Buffer.from("drop");
    yield new Uint8Array(0);
  }
}

/** What it has seen. */
export interface EchoApi extends WebApi {
  readonly seen: {
    started: number;
    now: number;
    most: number;
    streamsEnded: number;
    /** Answers that were not wanted any more when they were there. */
    unwanted: number;
  };
}

export function echoApi(): EchoApi {
  const seen = { started: 0, now: 0, most: 0, streamsEnded: 0, unwanted: 0 };
  const echo = (request: WebRequest): WebReply =>
    json({
      method: request.method,
      path: request.path,
      query: request.query,
      headers: ["host", "x-a", "accept", "connection"].map((name) => request.header(name)),
      body: request.body && Buffer.from(request.body).toString("latin1").slice(0, 100),
      size: request.body?.length,
    });
  const later = async (ms: number, reply: () => WebReply): Promise<WebReply> => {
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    await Bun.sleep(ms);
    seen.now -= 1;
    return reply();
  };
  /** An answer that comes when nobody wants it any more. */
  const never = async (request: WebRequest): Promise<WebReply<WebBody>> => {
    while (request.gone?.() !== true) await Bun.sleep(5);
    seen.unwanted += 1;
    return { ...echo(request), body: pieces(3, 1000, () => (seen.streamsEnded += 1)) };
  };
  const routes: Readonly<Record<string, (request: WebRequest) => Answer>> = {
    "/echo": echo,
    "/pmapi/echo": echo,
    "/logger/echo": echo,
    "/logger/late": (request) => later(1, () => echo(request)),
    "/never": never,
    "/series/never": never,
    "/search/never": never,
    "/late": (request) => later(1, () => echo(request)),
    "/slow": (request) => later(200, () => echo(request)),
    "/long": (request) => {
      request.takesLong?.();
      return later(2500, () => echo(request));
    },
    "/bytes": () => ({ ...json(0), body: Uint8Array.of(0, 1, 128, 255) }),
    "/stream": ({ query = "" }) => {
      const [count = 3, size = 2000] = query.split(",").filter(Boolean).map(Number);
      return { ...json(0), body: pieces(count, size, () => (seen.streamsEnded += 1)) };
    },
    "/drops": ({ query = "" }) => {
      const [count = 0, ms = 0] = query.split(",").map(Number);
      return { ...json(0), body: drops(count, ms) };
    },
    "/bare": () => ({ ...json(0), type: "", body: "", bare: true, headers: { "X-B": "1" } }),
    "/own": () => ({ ...json(0), headers: { "access-control-allow-origin": "me", "X-B": "2" } }),
    "/empty": () => ({ status: 204, type: "", body: "" }),
    "/text": ({ query = "" }) => ({
      ...json(0),
      body: Array.from({ length: Number(query) }, (_, at) => at % 97).join(" "),
    }),
    "/throw": () => {
      throw new Error("thrown");
    },
    "/reject": async () => {
      await Bun.sleep(1);
      throw new Error("rejected");
    },
    "/bad-header": () => ({ ...json(0), headers: { "X-B": "a\r\nb" } }),
    "/bad-stream": () => ({
      ...json(0),
      body: (async function* () {
        yield new Uint8Array(3);
        throw new Error("broken");
      })(),
    }),
  };
  return {
    seen,
    answer(request) {
      const route = routes[request.path];
      if (route !== undefined) seen.started += 1;
      return route?.(request);
    },
    status: () => ({}),
    close: async () => {},
  };
}
