// Goal: where a real pmcd or PMDA called a PDU malformed because of its form, decoding says PM_ERR_IPC
// (or the framer does, for headers); where either release took it, decoding takes it.
import { describe, expect, test } from "bun:test";
import { PDU_CEILING, PM_ERR, PcpError } from "../../lib/base/mod.ts";
import { createFramer } from "../../lib/pdu/mod.ts";
import { decodeOutcome, decodeWhole, encodeAgain, REACTIONS, unhex } from "../helpers/vector.ts";

const IPC_REPLY = "000000100000700000000000ffffcfb2";

/** Refused by the peer for what they ask, not for their form: the server's business, not ours. */
const WELL_FORMED = new Set([
  "pmns_ids two ids",
  "control request",
  "unknown PDU type 0x7050",
  "unsolicited attr",
  "error PDU from client",
  "dynamic name lookup, two names",
]);

/** Malformed, but a PMDA says nothing at all to a malformed PROFILE. */
const IGNORED_IN_SILENCE = "profile malformed";

/** Taken by 6.0.3 or 7.2.1 as something else than a PDU of its type. */
const ERROR_IN_COUNT = "names: negative count";

const list = (reply: string | readonly string[]): readonly string[] =>
  typeof reply === "string" ? [reply] : reply;

describe("requests that real programs were sent", () => {
  test("there are 90 of them", () => {
    expect(REACTIONS.length).toBe(90);
  });

  for (const [number, reaction] of REACTIONS.entries()) {
    const request = unhex(reaction.send.at(-1) ?? "");
    const replies = [reaction["reply_6.0.3"], reaction["reply_7.2.1"]].map(
      (reply) => list(reply).at(-1) ?? "",
    );
    test(`${number} ${reaction.case}`, () => {
      if (reaction.case.startsWith("header length") || reaction.case.startsWith("type with")) {
        const framer = createFramer(PDU_CEILING);
        framer.feed(request);
        expect(() => framer.next()).toThrow(PcpError);
        return;
      }
      const outcome = decodeOutcome(request);
      if (reaction.case === ERROR_IN_COUNT) {
        expect(outcome).toBeInstanceOf(PcpError);
        expect((outcome as PcpError).code).toBe(PM_ERR.NAME);
      } else if (
        reaction.case === IGNORED_IN_SILENCE ||
        (!WELL_FORMED.has(reaction.case) &&
          replies.every((reply) => reply === IPC_REPLY) &&
          list(reaction["reply_7.2.1"]).length === 1)
      ) {
        expect(outcome).toBeInstanceOf(PcpError);
        expect((outcome as PcpError).code).toBe(PM_ERR.IPC);
      } else {
        expect(outcome).not.toBeInstanceOf(PcpError);
      }
      for (const reply of [reaction["reply_6.0.3"], reaction["reply_7.2.1"]].flatMap(list)) {
        if (!/^[0-9a-f]+$/.test(reply)) continue;
        const bytes = unhex(reply);
        encodeAgain(decodeWhole(bytes), bytes);
      }
    });
  }
});

const words = (...values: readonly number[]): string =>
  values.map((value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
const body = (type: number, text: string): Uint8Array =>
  unhex(words(12 + text.length / 2, type, 0) + text);

// Asked of pmcd 6.0.3 and 7.2, and for replies of pminfo: both called the first list PM_ERR_IPC, and
// at least one of them took what is in the second.
const REFUSED: readonly (readonly [string, number, string])[] = [
  ["DESC_IDS of nothing", 0x7016, words(-1, 0)],
  ["DESC_IDS with too few ids", 0x7016, words(-1, 2, 1)],
  ["PMNS_IDS of nothing", 0x700d, words(0, 0)],
  ["LABEL_REQ too short", 0x7012, words(-1)],
  ["TEXT_REQ too short", 0x7008, words(1)],
  ["PMNS_CHILD with a name that is cut", 0x700f, words(0, 400, 0x706d6364)],
  ["PMNS_CHILD with a negative name length", 0x700f, words(0, -1)],
  ["PMNS_NAMES with a total above the PDU's length", 0x700e, words(1000, 0, 1, 4, 0x706d6364)],
  ["PMNS_NAMES with a total that is too small", 0x700e, words(4, 0, 1, 4, 0x706d6364)],
  ["PMNS_NAMES with a negative total", 0x700e, words(-1, 0, 1, 4, 0x706d6364)],
  ["PMNS_NAMES with too many status words", 0x700e, words(5, 3, 1, 0, 4, 0x706d6364)],
  ["PMNS_NAMES with too few names", 0x700e, words(5, 0, 2, 4, 0x706d6364)],
  ["PMNS_NAMES of 2147483647 names", 0x700e, words(5, 0, 0x7fffffff, 4, 0x706d6364)],
  ["INSTANCE_REQ with a negative name length", 0x7006, words(1, 0, 0, -1, -4)],
  ["INSTANCE_REQ with a name that is cut", 0x7006, words(1, 0, 0, -1, 40, 0)],
  ["PROFILE with a negative count", 0x7002, words(0, 0, -1, 0)],
  ["PROFILE with too few rules", 0x7002, words(0, 0, 2, 0, 1, 1, 0, 0)],
  ["PROFILE with too few instances", 0x7002, words(0, 0, 1, 0, 1, 1, 5, 0, 1)],
  ["PROFILE with a negative number of instances", 0x7002, words(0, 0, 1, 0, 1, 1, -5, 0, 1)],
  ["RESULT with a negative count", 0x7001, words(0, 0, -1)],
  ["RESULT with a word too much", 0x7001, words(0, 0, 1, 1, 1, 0, -1, 5, 0)],
  ["RESULT with format 7", 0x7001, words(0, 0, 1, 1, 1, 7, -1, 11, 0x0500000c, 0, 0)],
  ["RESULT with a block out of place", 0x7001, words(0, 0, 1, 1, 1, 1, -1, 12, 0x0500000c, 0, 0)],
  [
    "RESULT with a shared block",
    0x7001,
    words(0, 0, 2, 1, 1, 1, -1, 16, 1, 1, 1, -1, 16, 0x0500000c, 0, 0),
  ],
  ["RESULT with a gap", 0x7001, words(0, 0, 1, 1, 1, 1, -1, 12, 0, 0x0500000c, 0, 0)],
  ["DESC with a word too much", 0x7005, words(1, 1, 1, 1, 0, 0)],
  ["ERROR of 24 bytes", 0x7000, words(-12357, 0, 0)],
  // 7.2 alone: 6.0.3 does not survive this one.
  ["RESULT with a bad event array", 0x7001, words(0, 0, 1, 1, 1, 2, -1, 11, 0x0900000c, 7, 0)],
];

const TAKEN: readonly (readonly [string, number, string])[] = [
  ["DESC_IDS with a word too much", 0x7016, words(-1, 1, 1, 0)],
  ["PMNS_IDS with a word too much", 0x700d, words(0, 1, 1, 0)],
  ["PMNS_IDS with a status", 0x700d, words(5, 1, 1)],
  ["FETCH of a negative context", 0x7003, words(-1, 0, 0, 1, 1)],
  ["LABEL_REQ with a word too much", 0x7012, words(-1, 1, 0)],
  ["PMNS_CHILD with a word too much", 0x700f, words(0, 4, 0x706d6364, 0)],
  ["PMNS_CHILD with a name that is not padded", 0x700f, `${words(0, 5)}706d63642e`],
  ["PMNS_CHILD of an unknown subtype", 0x700f, words(7, 4, 0x706d6364)],
  ["PMNS_TRAVERSE of an unknown subtype", 0x7010, words(7, 4, 0x706d6364)],
  ["PMNS_NAMES with a total that is too large", 0x700e, words(14, 0, 1, 4, 0x706d6364)],
  ["PMNS_NAMES with a word too much", 0x700e, words(5, 0, 1, 4, 0x706d6364, 0)],
  ["PMNS_NAMES request with status words", 0x700e, words(5, 1, 1, 0, 4, 0x706d6364)],
  ["INSTANCE_REQ with a word too much", 0x7006, words(1, 0, 0, -1, 0, 0)],
  ["INSTANCE with a word too much", 0x7007, words(1, 1, 0, 1, 0x787e7e7e, 0)],
  ["TEXT with a word too much", 0x7009, words(1, 1, 0x787e7e7e, 0)],
  ["TEXT that is not padded", 0x7009, `${words(1, 5)}68656c6c6f`],
  ["LABEL with padding after its text", 0x7013, words(1, 2, 0, 1, -1, 0, 44, 2, 0x7b7d7e7e)],
  ["PROFILE with unknown states", 0x7002, words(0, 7, 1, 0, 1, 7, 0, 0)],
  ["RESULT of nothing", 0x7001, words(0, 0, 0)],
  ["CONTROL_REQ with a body", 0x700a, words(1)],
];

describe("odd forms asked of real pmcds", () => {
  for (const [name, type, text] of REFUSED) {
    test(`${name} is PM_ERR_IPC`, () => {
      const outcome = decodeOutcome(body(type, text));
      expect(outcome).toBeInstanceOf(PcpError);
      expect((outcome as PcpError).code).toBe(PM_ERR.IPC);
    });
  }
  for (const [name, type, text] of TAKEN) {
    test(`${name} is taken`, () => {
      expect(decodeOutcome(body(type, text))).not.toBeInstanceOf(PcpError);
    });
  }
});
