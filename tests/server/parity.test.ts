// Goal: whatever a pmcd does - refuse, stay silent, greet in its own way, stall, die, dribble, talk
// nonsense - a client sees the same bytes and the same end through the proxy as without it, in short
// sessions and in long ones (spec pdu.md 12.3, 12.4).
import { afterAll, describe, expect, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
import { PM_ERR } from "../../lib/base/mod.ts";
import { asPmid } from "../../lib/pcp/mod.ts";
import { encodePdu, FROM_ANON } from "../../lib/pdu/mod.ts";
import { type Fault, startFakePmcd } from "../helpers/fakepmcd.ts";
import { waitUntil } from "../helpers/ports.ts";
import { GREETING, rawClient, serverWith, stopAll, WELCOME } from "./support.ts";
import type { RawClient } from "./support.ts";

afterAll(stopAll);

const faults: readonly (readonly [string, Fault | undefined])[] = [
  ["serves", undefined],
  ["refuses", { kind: "refuse", code: PM_ERR.PERMISSION }],
  ["is mute", { kind: "mute" }],
  ["greets with nonsense", { kind: "greet", bytes: new TextEncoder().encode("220 hello\r\n") }],
  ["hangs up", { kind: "hang-up" }],
  ["stalls at the third reply", { kind: "stall", after: 3 }],
  ["stalls at the 15th reply", { kind: "stall", after: 15 }],
  ["dies within the third reply", { kind: "die", after: 3, bytes: 7 }],
  ["dies within the 15th reply", { kind: "die", after: 15, bytes: 7 }],
  ["dribbles", { kind: "trickle", size: 3, pauseMs: 1 }],
  ["is slow", { kind: "delay", ms: 10 }],
  ["talks nonsense after 15 replies", { kind: "garble", after: 15, bytes: new Uint8Array(50) }],
];

const CREDS = Buffer.from("000000140000700c000000000000000101020000", "hex");
const REQUEST = encodePdu({ kind: "desc-req", from: FROM_ANON, pmid: asPmid(250 << 22) });
const REQUESTS = 20;

/** What a client sees. */
interface Seen {
  readonly text: string;
  readonly closed: boolean;
}

/** Whether a text ends within a PDU. Nonsense does not. */
function endsWithin(text: string): boolean {
  const bytes = Buffer.from(text, "latin1");
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readInt32BE(at);
    if (length < 12) return false;
    at += length;
  }
  return at !== bytes.length;
}

/**
 * Sends requests one by one, each after the last one's whole answer, until one is not answered for some
 * seconds, or until there is all that is `wanted`: what somebody else has seen.
 */
async function talk(client: RawClient, head: number, wanted?: Seen): Promise<Seen> {
  const seen = (): Seen => ({ text: client.text().slice(head), closed: client.closed() });
  const isAnswered = async (before: number): Promise<boolean> => {
    let looks = 0;
    await waitUntil(() => {
      const { text, closed } = seen();
      const isOver = wanted === undefined ? looks++ > 150 : isDeepStrictEqual(seen(), wanted);
      return isOver || closed || (text.length > before && !endsWithin(text));
    });
    return seen().text.length > before;
  };
  await isAnswered(0);
  client.socket.write(CREDS);
  for (let i = 0; i < REQUESTS && !client.closed(); i++) {
    const before = seen().text.length;
    client.socket.write(REQUEST);
    if (!(await isAnswered(before))) break;
  }
  if (wanted !== undefined) await waitUntil(() => isDeepStrictEqual(seen(), wanted));
  return seen();
}

describe("a pmcd that", () => {
  for (const [name, fault] of faults) {
    test.concurrent(name, async () => {
      const pmcd = await startFakePmcd({ behaviour: fault === undefined ? {} : { fault } });
      const { port } = await serverWith();
      const through = await rawClient(port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
      await through.got(WELCOME.length);
      const direct = await talk(await rawClient(pmcd.port), 0);
      expect(await talk(through, WELCOME.length, direct)).toEqual(direct);
      await pmcd.stop();
    });
  }
});
