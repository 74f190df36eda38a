// HTTP replies as tests look at them: a Latin-1 text to status, headers, body.
import { expect } from "bun:test";

export interface Reply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Chunks of a chunked body, without the last, empty one. */
  readonly chunks: readonly string[];
}

/** Whole replies in a text; `heads`: the numbers of those that have no body, whatever they say. */
export function replies(text: string, heads: readonly number[] = []): readonly Reply[] {
  const found: Reply[] = [];
  let rest = text;
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n");
    expect(end).toBeGreaterThan(0);
    const [first = "", ...lines] = rest.slice(0, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) [A-Z]/.exec(first)?.[1]);
    const headers = new Map(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
      }),
    );
    rest = rest.slice(end + 4);
    const none = status === 100 || heads.includes(found.length);
    const chunks: string[] = [];
    if (!none && headers.get("transfer-encoding") === "chunked") {
      for (;;) {
        const size = /^([0-9A-Fa-f]+)\r\n/.exec(rest);
        if (size === null) throw new Error(`no chunk: ${rest.slice(0, 40)}`);
        const at = size[0].length;
        const length = Number.parseInt(size[1] ?? "", 16);
        expect(rest.slice(at + length, at + length + 2)).toBe("\r\n");
        if (length > 0) chunks.push(rest.slice(at, at + length));
        rest = rest.slice(at + length + 2);
        if (length === 0) break;
      }
      found.push({ status, headers, body: chunks.join(""), chunks });
      continue;
    }
    const length = none ? 0 : Number(headers.get("content-length"));
    found.push({ status, headers, body: rest.slice(0, length), chunks });
    rest = rest.slice(length);
  }
  return found;
}
