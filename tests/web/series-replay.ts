// Recorded REST requests about series, played to an API of ours, and what is compared without its order:
// that of a key server's hashes and sets.
import { expect } from "bun:test";
import type { WebApi } from "../../lib/web/mod.ts";
import { ask } from "./replay.ts";

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** A recorded request. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly compare: string;
  readonly result?: Reply;
  readonly "7.2.1"?: Reply;
}

/** Whether two answers are the same up to their order, which is that of a hash. */
export const sameInAnyOrder = (one: string, other: string): boolean =>
  [...one].toSorted().join("") === [...other].toSorted().join("");

/** Plays requests in their order; `path` makes that of the recording into that of today. Gives how many. */
export async function replayRequests(
  api: WebApi,
  all: readonly RecordedRequest[],
  toOurs: (text: string) => string = (text) => text,
  toTheirs: (text: string) => string = (text) => text,
): Promise<number> {
  for (const { method, path, body, compare, result, "7.2.1": current } of all) {
    const wanted = result ?? current;
    if (wanted === undefined) throw new Error(`${path}: nothing recorded`);
    const got = await ask(api, toOurs(path), {
      method,
      ...(body === undefined ? {} : { body: toOurs(body) }),
    });
    const place = (text: unknown): unknown => ({ path, text });
    if (got === undefined) {
      expect(place([wanted.status, wanted.type])).toEqual(place([400, "text/html"]));
      continue;
    }
    const text = toTheirs(got.body);
    expect(place([got.status, got.type])).toEqual(place([wanted.status, wanted.type]));
    const isFree = compare !== "json" || path.startsWith("/series/labels");
    if (!isFree || !sameInAnyOrder(text, wanted.body))
      expect(place(text)).toEqual(place(wanted.body));
  }
  return all.length;
}
