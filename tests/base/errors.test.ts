// Goal: every error code has the text of the real library, in both releases, and codes, symbols and
// system errors lead to each other.
import { describe, expect, test } from "bun:test";
import {
  asPcpError,
  PM_ERR,
  PcpError,
  pmErrCode,
  pmErrStr,
  pmErrSymbol,
} from "../../lib/base/mod.ts";
import { rows } from "../pcp/fixtures.ts";

describe("pmErrStr", () => {
  for (const release of [6, 7] as const) {
    test(`gives the texts of libpcp ${release}`, () => {
      for (const [code, text] of rows<[number, string]>("errors", release)) {
        // This number has a text in the newest C library only; Linux does not use it.
        if (code === -134) continue;
        expect([code, pmErrStr(code, release)]).toEqual([code, text]);
      }
    });
  }
});

describe("symbols", () => {
  test("lead to codes and back", () => {
    for (const [name, code] of Object.entries(PM_ERR)) {
      expect(pmErrSymbol(code)).toBe(`PM_ERR_${name}`);
      expect(pmErrCode(`PM_ERR_${name}`)).toBe(code);
    }
    expect([pmErrSymbol(-2), pmErrCode("ENOENT")]).toEqual(["ENOENT", -2]);
    expect([pmErrSymbol(-11), pmErrCode("EWOULDBLOCK")]).toEqual(["EAGAIN", -11]);
    expect([pmErrSymbol(-12352), pmErrCode("PM_ERR_NONE"), pmErrCode("PM_ERR_toString")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("asPcpError", () => {
  test("keeps PCP's errors and gives others a code", () => {
    const own = new PcpError(PM_ERR.IPC);
    expect(own.message).toBe("IPC protocol failure");
    expect(asPcpError(own)).toBe(own);
    const system = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), {
      code: "ECONNREFUSED",
    });
    expect(asPcpError(system)).toMatchObject({
      code: -111,
      message: system.message,
      cause: system,
    });
    expect(asPcpError("odd")).toMatchObject({ code: PM_ERR.GENERIC, message: "odd" });
  });
});
