// Goal: whatever a pmcd does - refuse, stay silent, greet in its own way, stall, die, dribble, talk
// nonsense - a client sees the same bytes and the same end through the proxy as without it, in short
// sessions and in long ones (spec pdu.md 12.3, 12.4).
import { afterAll, describe, expect, test } from "bun:test";
import { PM_ERR } from "../../lib/base/mod.ts";
import { asPmid } from "../../lib/pcp/mod.ts";
import { encodePdu, FROM_ANON } from "../../lib/pdu/mod.ts";
import { type Fault, startFakePmcd } from "../helpers/fakepmcd.ts";
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

/** Sends requests one by one, each after the last one's answer, or after a while without one. */
async function talk(client: RawClient, head: number): Promise<{ text: string; closed: boolean }> {
  const quiet = async (from: number): Promise<void> => {
    for (let i = 0; i < 60 && client.length() === from && !client.closed(); i++) await Bun.sleep(5);
    let length = -1;
    while (length !== client.length()) {
      length = client.length();
      await Bun.sleep(10);
    }
  };
  await quiet(head);
  client.socket.write(CREDS);
  for (let i = 0; i < REQUESTS && !client.closed(); i++) {
    const before = client.length();
    client.socket.write(REQUEST);
    await quiet(before);
    if (client.length() === before) break;
  }
  return { text: client.text().slice(head), closed: client.closed() };
}

describe("a pmcd that", () => {
  for (const [name, fault] of faults) {
    test.concurrent(name, async () => {
      const pmcd = await startFakePmcd({ behaviour: fault === undefined ? {} : { fault } });
      const { port } = await serverWith();
      const through = await rawClient(port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
      await through.got(WELCOME.length);
      const [direct, relayed] = await Promise.all([
        talk(await rawClient(pmcd.port), 0),
        talk(through, WELCOME.length),
      ]);
      expect(relayed).toEqual(direct);
      await pmcd.stop();
    });
  }
});
