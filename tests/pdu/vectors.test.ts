// Goal: every recorded PDU of real programs is decoded to the fields that were recorded with it,
// whole, byte by byte and cut anywhere, and is encoded again to the same bytes.
import { describe, expect, test } from "bun:test";
import { viewOf } from "../../lib/base/mod.ts";
import type { ResultInit, ResultView, ValueSetInit } from "../../lib/pcp/mod.ts";
import { encodeFetch, encodeNamesRequest, encodeProfile, encodeResult } from "../../lib/pdu/mod.ts";
import {
  CONVERSATIONS,
  cutEverywhere,
  decodeByteByByte,
  decodeWhole,
  encodeAgain,
  hex,
  unhex,
  VECTORS,
} from "../helpers/vector.ts";
import { describePdu, plain } from "./describe.ts";

describe("every recorded PDU", () => {
  test("there are 139 of them", () => {
    expect(VECTORS.length).toBe(139);
  });

  for (const vector of VECTORS) {
    test(vector.file, () => {
      const expected = plain(vector.decoded);
      const pdu = decodeWhole(vector.bytes);
      expect(plain(describePdu(pdu, vector.bytes))).toEqual(expected);
      expect(plain(describePdu(decodeByteByByte(vector.bytes), vector.bytes))).toEqual(expected);
      cutEverywhere(vector.bytes);
      encodeAgain(pdu, vector.bytes);
    });
  }
});

/** A result as a program would build it: every block by its payload, sets without their bytes. */
function initOf(result: ResultView): ResultInit {
  const view = viewOf(result.bytes);
  const list: ValueSetInit[] = [];
  for (const sets = result.sets(); sets.next();) {
    const { pmid, numval, valfmt } = sets;
    if (numval <= 0) {
      list.push({ pmid, error: numval });
      continue;
    }
    const instances = Array.from({ length: numval }, (_, i) => sets.instance(i));
    if (valfmt === 0) {
      const values = instances.map((_, i) => sets.word(i));
      list.push({ pmid, type: 1, valfmt, instances, values });
      continue;
    }
    const blocks = instances.map((_, i) => sets.block(i));
    const values = blocks.map((at) =>
      result.bytes.subarray(at + 4, at + (view.getUint32(at) & 0xffffff)),
    );
    list.push({ pmid, type: view.getUint8(blocks[0] ?? 0), valfmt, instances, values });
  }
  return { timestamp: result.timestamp, sets: list };
}

describe("direct encoders give the recorded bytes", () => {
  for (const vector of VECTORS) {
    const pdu = decodeWhole(vector.bytes);
    const same = (bytes: Uint8Array): void => expect(hex(bytes)).toBe(hex(vector.bytes));
    if (pdu.kind === "result" || pdu.kind === "highres-result") {
      test(vector.file, () =>
        same(encodeResult(pdu.from, initOf(pdu.result), pdu.kind === "highres-result")),
      );
    } else if (pdu.kind === "fetch" || pdu.kind === "highres-fetch") {
      test(vector.file, () =>
        same(encodeFetch(pdu.from, pdu.context, pdu.pmids, pdu.kind === "highres-fetch")),
      );
    } else if (pdu.kind === "profile") {
      test(vector.file, () => same(encodeProfile(pdu.from, pdu.context, pdu.state, pdu.rules)));
    } else if (pdu.kind === "pmns-names" && pdu.statuses === undefined) {
      test(vector.file, () => same(encodeNamesRequest(pdu.from, pdu.names)));
    }
  }
});

describe("every recorded conversation", () => {
  for (const conversation of CONVERSATIONS) {
    test(conversation.name, () => {
      for (const { hex: text } of conversation.exchange) {
        const bytes = unhex(text);
        // The lines of a pmproxy greeting are text, not PDUs.
        if (bytes[bytes.length - 1] === 0x0a && bytes[0] !== 0) continue;
        const pdu = decodeWhole(bytes);
        expect(pdu.kind).not.toBe("unknown");
        encodeAgain(pdu, bytes);
        expect(hex(bytes)).toBe(text);
      }
    });
  }
});
