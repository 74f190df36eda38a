// Goal: identifiers, types, semantics and descriptors have the fields and texts of the real library.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  asIndom,
  asInstance,
  asPmid,
  dynamicRootPmid,
  indomBuild,
  indomParse,
  indomParts,
  isDynamicRoot,
  PM_ID_NULL,
  PM_IN_NULL,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  pmDescStr,
  pmEventFlagsStr,
  pmIDStr,
  pmidBuild,
  pmidParse,
  pmidParts,
  pmInDomStr,
  pmSemParse,
  pmSemStr,
  pmTypeParse,
  pmTypeStr,
  pmTypeWords,
} from "../../lib/pcp/mod.ts";
import { rows } from "./fixtures.ts";

describe("identifiers", () => {
  test("texts are libpcp's", () => {
    for (const [word, pmid, indom] of rows<[number, string, string]>("identifiers")) {
      expect([word, pmIDStr(asPmid(word)), pmInDomStr(asIndom(word))]).toEqual([word, pmid, indom]);
    }
  });
  test("fields and texts read back", () => {
    const field = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
    fc.assert(
      fc.property(
        field(511),
        field(4095),
        field(1023),
        field(4194303),
        (domain, cluster, item, serial) => {
          const pmid = pmidBuild(domain, cluster, item);
          expect(pmidParts(pmid)).toEqual({ domain, cluster, item });
          expect(pmidParse(pmIDStr(pmid))).toBe(pmid);
          const indom = indomBuild(domain, serial);
          expect(indomParts(indom)).toEqual({ domain, serial });
          expect(indomParse(pmInDomStr(indom))).toBe(indom);
        },
      ),
      { seed: 7, numRuns: 300 },
    );
    expect(pmidBuild(29, 0, 6)).toBe(asPmid(0x07400006));
    expect(pmidParse("PM_ID_NULL")).toBe(PM_ID_NULL);
    expect(indomParse("PM_INDOM_NULL")).toBe(PM_INDOM_NULL);
  });
  test("dynamic roots", () => {
    expect(dynamicRootPmid(29)).toBe(asPmid(0x7fc07400));
    expect(pmidParse("29.*.*")).toBe(dynamicRootPmid(29));
    expect(isDynamicRoot(dynamicRootPmid(29))).toBe(true);
    expect([PM_ID_NULL, pmidBuild(511, 29, 1), pmidBuild(29, 0, 0)].some(isDynamicRoot)).toBe(
      false,
    );
  });
  test("out of range or of another form", () => {
    expect(() => pmidBuild(512, 0, 0)).toThrow("512.0.0 out of range");
    expect(() => indomBuild(0, 4194304)).toThrow("0.4194304 out of range");
    for (const text of ["", "1.2", "1.2.x", "1.2.3.4", "-1.2.3", "1.*.3", "600.1.1"]) {
      expect(() => pmidParse(text)).toThrow();
    }
    for (const text of ["", "1", "1.x", "1.2.3", "29.9999999"])
      expect(() => indomParse(text)).toThrow();
  });
  test("instances are signed", () => {
    expect(asInstance(0xffffffff)).toBe(PM_IN_NULL);
  });
});

describe("types and semantics", () => {
  test("names are libpcp's", () => {
    const name = { type: pmTypeStr, sem: pmSemStr, event: pmEventFlagsStr };
    for (const [kind, value, text] of rows<[keyof typeof name, number, string]>("names")) {
      expect([kind, value, name[kind](value)]).toEqual([kind, value, text]);
    }
  });
  test("names read back", () => {
    for (const type of Object.values(PM_TYPE)) expect(pmTypeParse(pmTypeStr(type))).toBe(type);
    for (const sem of Object.values(PM_SEM)) expect(pmSemParse(pmSemStr(sem))).toBe(sem);
    expect([pmTypeParse("???"), pmSemParse("")]).toEqual([undefined, undefined]);
  });
  test("a descriptor prints as pminfo prints it", () => {
    const desc = {
      pmid: pmidBuild(29, 0, 6),
      type: PM_TYPE.I32,
      indom: indomBuild(29, 2),
      sem: 3,
      units: 0,
    };
    expect(pmDescStr(desc)).toBe(
      "    Data Type: 32-bit int  InDom: 29.2 0x7400002\n    Semantics: instant  Units: none\n",
    );
    expect(pmDescStr({ ...desc, indom: PM_INDOM_NULL, sem: 2 })).toContain(
      "InDom: PM_INDOM_NULL 0xffffffff\n    Semantics: ??? (2)",
    );
    expect(pmDescStr({ ...desc, type: -1 })).toBe("    Data Type: Not Supported\n");
    expect(pmTypeWords(99)).toBe("??? (99)");
  });
});
