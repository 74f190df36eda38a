// Goal: each of the 256 first bytes means what spec proxy.md 9 says.
import { expect, test } from "bun:test";
import { protocolOf } from "../../lib/server/sniff.ts";

test("every first byte", () => {
  const found: Record<string, string> = {};
  for (let byte = 0; byte < 256; byte++) {
    const protocol = protocolOf(byte);
    if (protocol !== undefined)
      found[protocol] = `${found[protocol] ?? ""}${String.fromCharCode(byte)}`;
  }
  expect(found).toEqual({
    pcp: "p",
    http: "CDGHOPT",
    resp: "#$%*+,-:~",
    tls: "\x14\x15\x16\x17\x18",
  });
});
