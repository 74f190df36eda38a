// Goal: the SASL mechanisms give the bytes of the recorded exchanges and of the RFCs' examples,
// refuse what a server must not do, and choose as spec pdu.md 8.5 says.
import { describe, expect, test } from "bun:test";
import { utf8, utf8Text } from "../../lib/base/mod.ts";
import { chooseMechanism, SASL_MECHANISMS, startSasl } from "../../lib/pdu/sasl.ts";
import { rejected, thrown } from "../helpers/rejected.ts";

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : utf8Text(bytes);

const nobody = { user: "nobody", password: "qapass" };

describe("mechanisms", () => {
  test("PLAIN is one message, as recorded", () => {
    const exchange = startSasl("PLAIN", nobody);
    expect(text(exchange.initial)).toBe("nobody\0nobody\0qapass");
    expect(exchange.finished).toBe(true);
  });

  test("LOGIN answers two prompts and then has nothing to wait for", async () => {
    const exchange = startSasl("LOGIN", nobody);
    expect(exchange.initial).toBeUndefined();
    expect(text(await exchange.answer(utf8("Username:")))).toBe("nobody");
    expect(exchange.finished).toBe(false);
    expect(text(await exchange.answer(utf8("Password:")))).toBe("qapass");
    expect(exchange.finished).toBe(true);
    expect(await thrown(exchange.answer(utf8("?")))).toThrow("one message too many");
  });

  test("CRAM-MD5 gives the digest of RFC 2195", async () => {
    const exchange = startSasl("CRAM-MD5", { user: "tim", password: "tanstaaftanstaaf" });
    const challenge = utf8("<1896.697170952@postoffice.reston.mci.net>");
    expect(text(await exchange.answer(challenge))).toBe("tim b913a602c7eda7a495b4e6e7334d3890");
  });

  test("SCRAM-SHA-256 gives the recorded exchange with pmcd", async () => {
    const exchange = startSasl("SCRAM-SHA-256", nobody, "ZCdAL7KUrgRjb74hIyWfWbrDU5AqyfaE");
    expect(text(exchange.initial)).toBe("n,a=nobody,n=nobody,r=ZCdAL7KUrgRjb74hIyWfWbrDU5AqyfaE");
    const final = await exchange.answer(
      utf8(
        "r=ZCdAL7KUrgRjb74hIyWfWbrDU5AqyfaE4dZC4QNKMSpTbyNztfMecs1E5pof302L," +
          "s=FDjlKT0kAIZYbtbJyILiBrbyzuj5g+YLY+cwZK5ib+U=,i=4096",
      ),
    );
    expect(text(final)).toBe(
      "c=bixhPW5vYm9keSw=,r=ZCdAL7KUrgRjb74hIyWfWbrDU5AqyfaE4dZC4QNKMSpTbyNztfMecs1E5pof302L," +
        "p=8WvouSQCJ0Q/wDlywuy9XiI3ZLevXmGmDy6QiJK7fxM=",
    );
    expect(exchange.finished).toBe(false);
    const last = await exchange.answer(utf8("v=eqH4GXMcMVshphiD+TPqpofQu+WAJHqiCvMUtpAOvPs="));
    expect(last.length).toBe(0);
    expect(exchange.finished).toBe(true);
  });

  test("SCRAM names are escaped", () => {
    const exchange = startSasl("SCRAM-SHA-1", { user: "a=b,c", password: "x" }, "N");
    expect(text(exchange.initial)).toBe("n,a=a=3Db=2Cc,n=a=3Db=2Cc,r=N");
  });

  const scramFaults: [name: string, message: string, complaint: string][] = [
    ["a nonce that is not ours", "r=other,s=AAAA,i=4096", "nonce"],
    ["our nonce and nothing added", "r=mine,s=AAAA,i=4096", "nonce"],
    ["no salt", "r=mine1,i=4096", "no salt"],
    ["no iterations", "r=mine1,s=AAAA", "iteration count"],
    ["too many iterations", "r=mine1,s=AAAA,i=999999999", "iteration count"],
    ["zero iterations", "r=mine1,s=AAAA,i=0", "iteration count"],
    ["an extension", "m=x,r=mine1,s=AAAA,i=4096", "extension"],
  ];
  test.each(scramFaults)("SCRAM refuses %s", async (_name, message, complaint) => {
    const exchange = startSasl("SCRAM-SHA-256", nobody, "mine");
    expect(await thrown(exchange.answer(utf8(message)))).toThrow(complaint);
  });

  test("SCRAM refuses a server that does not know the password", async () => {
    const exchange = startSasl("SCRAM-SHA-256", nobody, "mine");
    await exchange.answer(utf8("r=mine1,s=AAAA,i=1"));
    expect(await rejected(exchange.answer(utf8("v=AAAA")))).toMatchObject({ code: -21354 });
    expect(await rejected(exchange.answer(utf8("e=invalid-proof")))).toMatchObject({
      code: -21357,
    });
  });
});

describe("choice", () => {
  test("the strongest of the list, unless a method is wanted", () => {
    expect(chooseMechanism(["PLAIN", "SCRAM-SHA-256", "LOGIN"])).toBe("SCRAM-SHA-256");
    expect(chooseMechanism(["LOGIN", "PLAIN"])).toBe("PLAIN");
    expect(chooseMechanism(["PLAIN", "LOGIN"], "login")).toBe("LOGIN");
    expect(chooseMechanism([...SASL_MECHANISMS])).toBe("SCRAM-SHA-512");
  });

  test("nothing in common is the SASL code for it", () => {
    for (const call of [
      () => chooseMechanism(["GSSAPI"]),
      () => chooseMechanism([]),
      () => chooseMechanism(["PLAIN"], "gssapi"),
      () => chooseMechanism(["PLAIN"], "login"),
    ])
      expect(call).toThrow(expect.objectContaining({ code: -21348 }));
  });

  test("a missing user name or password is invalid parameter supplied", () => {
    for (const given of [
      { user: undefined, password: "x" },
      { user: "x", password: undefined },
      { user: "a\0b", password: "x" },
    ])
      expect(() => startSasl("PLAIN", given)).toThrow(
        expect.objectContaining({
          code: -21351,
          message: expect.stringContaining("Authentication - invalid parameter supplied"),
        }),
      );
  });
});
