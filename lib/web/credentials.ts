// Name and password of HTTP's Basic authentication (spec webapi.md 2.9). Refuses nothing but what cannot
// be read.
import type { Credentials } from "./sources.ts";

/** The pair of an Authorization header; "bad" for one that is malformed. */
export function credentialsOf(header: string): Credentials | "bad" | undefined {
  const encoded = /^Basic +(.*)$/is.exec(header)?.[1]?.trim();
  if (encoded === undefined) return undefined;
  if (encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return "bad";
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 0) return "bad";
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
