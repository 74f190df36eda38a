// Recordings of pmcd and dbpmda talking to real agents (tests/fixtures/pmda), and their replay: what
// was sent to the agent goes to one of ours, and what ours answers must be the same bytes but for
// what depends on the moment.
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createDispatcher, type RunningAgent } from "../../lib/pmda/mod.ts";
import { hex, unhex } from "../helpers/vector.ts";

const folder = join(import.meta.dir, "../fixtures/pmda");

/** One PDU: `<` from the agent, `>` to it. */
export interface RecordedPdu {
  readonly direction: string;
  readonly type: string;
  readonly hex: string;
}

/** The PDUs of a recording, in order. */
export const recording = (name: string): RecordedPdu[] =>
  readFileSync(join(folder, `${name}.txt`), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [direction = "", type = "", bytes = ""] = line.split(/\s+/);
      return { direction, type, hex: bytes };
    });

/**
 * Replays a recording but for its CREDS. `mask` makes equal what may differ in an answer, given the
 * request. Errors name the number of the PDU in the recording.
 */
export async function replay(
  agent: RunningAgent,
  pdus: readonly RecordedPdu[],
  mask: (answer: string, request: string) => string,
): Promise<void> {
  const dispatcher = createDispatcher(agent);
  let answer: string | undefined;
  let request = "";
  for (const [index, pdu] of pdus.entries()) {
    if (pdu.type === "CREDS") continue;
    const place = `PDU ${index + 1} ${pdu.type}, after ${request}: `;
    if (pdu.direction === ">") {
      expect(`${place}${answer ?? ""}`).toBe(place);
      request = pdu.hex;
      const bytes = await dispatcher.answer(unhex(pdu.hex));
      answer = bytes === undefined ? undefined : hex(bytes);
    } else {
      expect(place + mask(answer ?? "", request)).toBe(place + mask(pdu.hex, request));
      answer = undefined;
    }
  }
  expect(answer).toBeUndefined();
}
