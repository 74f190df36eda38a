// Recorded requests with the replies of the real pmproxy 6.0.3 (tests/fixtures/webapi), played to an API
// of ours: the tokens of requests filled in, those of replies taken for any number.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { WebApi, WebBody, WebReply } from "../../lib/web/mod.ts";

/** A recorded case; see the README beside the recordings. */
export interface Case {
  readonly id: string;
  readonly request?: {
    readonly method: string;
    readonly target: string;
    readonly headers: readonly (readonly [string, string])[];
    readonly body?: string;
  };
  readonly pause_before?: number;
  readonly saves?: string;
  readonly server_crashed?: boolean;
  readonly responses: readonly {
    readonly status: number;
    readonly headers: readonly (readonly [string, string])[];
    readonly body: string;
  }[];
}

/** The cases of a file, in their order. */
export function readCases(name: string): readonly Case[] {
  const path = join(import.meta.dir, "../fixtures/webapi", `${name}.jsonl`);
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line): Case => JSON.parse(line));
}

/** A reply with its whole body. */
export interface Got {
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function bodyText(body: WebBody): Promise<string> {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Asks the API; `target` with its query. */
export async function ask(
  api: WebApi,
  target: string,
  more: {
    readonly method?: string;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<Got | undefined> {
  const cut = target.indexOf("?");
  const reply: WebReply<WebBody> | undefined = await api.answer({
    method: more.method ?? "GET",
    path: decodeURIComponent(cut < 0 ? target : target.slice(0, cut)),
    ...(cut < 0 ? {} : { query: target.slice(cut + 1) }),
    ...(more.body === undefined ? {} : { body: Buffer.from(more.body) }),
    header: (name) => more.headers?.[name],
  });
  if (reply === undefined) return undefined;
  const { status, type, headers = {} } = reply;
  return { status, type, headers, body: await bodyText(reply.body) };
}

/** Values of tokens in requests. */
export type Tokens = Map<string, string>;

const fill = (text: string, tokens: Tokens): string =>
  text.replace(/\{\{(\w+)\}\}/g, (all, name: string) => tokens.get(name) ?? all);

/** Plays one case; undefined: the path is none of the API's. */
export async function play(api: WebApi, one: Case, tokens: Tokens): Promise<Got | undefined> {
  const { request } = one;
  if (request === undefined) throw new Error(`${one.id}: no request`);
  const headers: Record<string, string> = {};
  for (const [name, value] of request.headers) headers[name.toLowerCase()] = value;
  const got = await ask(api, fill(request.target, tokens), {
    method: request.method,
    headers,
    ...(request.body === undefined ? {} : { body: fill(request.body, tokens) }),
  });
  const id = /"context":(\d+)/.exec(got?.body ?? "")?.[1];
  if (one.saves !== undefined && id !== undefined) tokens.set(one.saves, id);
  return got;
}

/** The pattern that a recorded body stands for. */
export function patternOf(body: string, tokens: Tokens): RegExp {
  const escaped = fill(body, tokens).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  return new RegExp(
    `^${escaped.replace(/\\\{\\\{\w+\\\}\\\}/g, "-?\\d+(?:\\.\\d+)?(?:e[+-]\\d+)?")}$`,
    "s",
  );
}

/** The type that a recorded reply has. */
export const typeOf = (headers: readonly (readonly [string, string])[]): string =>
  headers.find(([name]) => name === "Content-Type")?.[1] ?? "";
