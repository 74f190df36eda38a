// Goal: requests over an open session send what spec pdu.md 9 says, take nothing for a reply that is
// none, and every silence, lie and death of the peer is an error that leaves nothing out of step.
import { afterEach, describe, expect, test } from "bun:test";
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import {
  asIndom,
  asInstance,
  asPmid,
  PM_ID_NULL,
  PM_INDOM_NULL,
  PM_LABEL,
  PM_TYPE,
  type Pmid,
  type ResultInit,
} from "../../lib/pcp/mod.ts";
import { decodePdu } from "../../lib/pdu/codec.ts";
import { encodeResult } from "../../lib/pdu/codec-result.ts";
import type { ConnectOptions } from "../../lib/pdu/connection.ts";
import type { PmcdConnection } from "../../lib/pdu/requests.ts";
import { FEATURE, type Pdu, PDU_TYPE } from "../../lib/pdu/types.ts";
import {
  bytesOf,
  challenge,
  codeOf,
  connectTo,
  errorPdu,
  namesPdu,
  type Peer,
  PLAIN_FEATURES,
  startPmcdPeer,
  type Talk,
} from "./connection-peer.ts";

const running: Peer[] = [];
const open: PmcdConnection[] = [];

afterEach(async () => {
  for (const pmcd of open.splice(0)) await pmcd.close();
  for (const peer of running.splice(0)) await peer.stop();
});

interface SessionOptions extends ConnectOptions {
  readonly features?: number;
  readonly limit?: string;
}

/** A session with a stand-in that follows `script` after CREDS. */
async function session(
  script: (talk: Talk) => void | Promise<void>,
  options: SessionOptions = {},
): Promise<PmcdConnection> {
  const { features, limit, ...rest } = options;
  const peer = await startPmcdPeer(script, features);
  running.push(peer);
  const env = limit === undefined ? {} : { PMCD_REQUEST_TIMEOUT: limit };
  const pmcd = await connectTo(peer.spec, env, rest);
  open.push(pmcd);
  return pmcd;
}

/** Answers requests with these, one each; an array is several PDUs for one request. */
const answering =
  (...answers: readonly (Pdu | Uint8Array | readonly (Pdu | Uint8Array)[])[]) =>
  async (talk: Talk): Promise<void> => {
    for (const answer of answers) {
      await talk.read();
      if (Array.isArray(answer)) talk.send(...(answer as readonly (Pdu | Uint8Array)[]));
      else talk.send(answer as Pdu | Uint8Array);
    }
    await talk.read();
  };

const metric = asPmid(0x07400006);
const noSets: ResultInit = { timestamp: { sec: 1, nsec: 0 }, sets: [] };
const emptyResult = (highres: boolean): Uint8Array => encodeResult(0, noSets, highres);

describe("what comes in place of a reply", () => {
  test("silence: PM_ERR_TIMEOUT for the request, PM_ERR_IPC for all that follow", async () => {
    const pmcd = await session(() => undefined, { limit: "1" });
    const codes = await Promise.all([codeOf(pmcd.traverse("a")), codeOf(pmcd.traverse("b"))]);
    expect(codes).toEqual([PM_ERR.TIMEOUT, PM_ERR.IPC]);
    expect(await codeOf(pmcd.traverse("c"))).toBe(PM_ERR.IPC);
    expect((await pmcd.ended).kind).toBe("time-out");
    expect(pmcd.status).toBe("ended");
  });

  test("a late reply reaches nobody", async () => {
    const late = Promise.withResolvers<void>();
    const pmcd = await session(
      async (talk) => {
        await talk.read();
        await late.promise;
        talk.send(namesPdu("late"));
      },
      { limit: "1" },
    );
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.TIMEOUT);
    late.resolve();
    expect(await codeOf(pmcd.traverse("b"))).toBe(PM_ERR.IPC);
  });

  test("header and body have the limit each; a body that stops half way has not", async () => {
    const reply = bytesOf(namesPdu("sample.bin"));
    const pmcd = await session(
      async (talk) => {
        await talk.read();
        await Bun.sleep(1200);
        talk.send(reply.subarray(0, 14));
        await Bun.sleep(1200);
        talk.send(reply.subarray(14));
        await talk.read();
        talk.send(reply.subarray(0, 14));
      },
      { limit: "2" },
    );
    expect(await pmcd.traverse("a")).toEqual(["sample.bin"]);
    expect(await codeOf(pmcd.traverse("b"))).toBe(PM_ERR.TIMEOUT);
  });

  test("no limit at all", async () => {
    const pmcd = await session(answering(namesPdu("a")), { limit: "0" });
    expect(await pmcd.traverse("a")).toEqual(["a"]);
  });

  test.each<[string, (talk: Talk) => void, string, RegExp]>([
    ["a hang-up", (talk) => talk.socket.end(), "hang-up", /pmcd closed the connection/],
    ["a reset", (talk) => talk.reset(), "hang-up", /pmcd closed the connection/],
    [
      "death inside a PDU",
      (talk) => talk.socket.end(bytesOf(namesPdu("sample.bin")).subarray(0, 30)),
      "truncated",
      /after 30 bytes of a PDU/,
    ],
    [
      "death inside a header",
      (talk) => talk.socket.end(new Uint8Array([0, 0, 0])),
      "truncated",
      /after 3 bytes/,
    ],
    ["a PDU of another type", (talk) => talk.send(emptyResult(true)), "protocol", /0x7015/],
    ["an ERROR with code 0", (talk) => talk.send(errorPdu(0)), "protocol", /0x7000/],
    ["state bits", (talk) => talk.send(errorPdu(7)), "protocol", /0x7000/],
    ["a second challenge", (talk) => talk.send(challenge()), "protocol", /0x7000/],
    ["a header too short", (talk) => talk.send(new Uint8Array(12)), "protocol", /length 0/],
  ])("%s is PM_ERR_IPC and the end", async (_name, script, kind, text) => {
    const pmcd = await session(async (talk) => {
      await talk.read();
      script(talk);
    });
    const failure = pmcd.traverse("a").catch((error: unknown) => error);
    expect(await failure).toBeInstanceOf(PcpError);
    expect(await failure).toMatchObject({ code: PM_ERR.IPC, message: expect.stringMatching(text) });
    expect((await pmcd.ended).kind as string).toBe(kind);
    expect(await codeOf(pmcd.traverse("b"))).toBe(PM_ERR.IPC);
  });

  test("a malformed body fails the request and nothing else", async () => {
    const broken = bytesOf(namesPdu("sample.bin"));
    broken[23] = 9;
    const pmcd = await session(answering(broken, namesPdu("a")));
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.IPC);
    expect(await pmcd.traverse("a")).toEqual(["a"]);
  });

  test("a reply above the ceiling", async () => {
    const pmcd = await session(answering(namesPdu("x".repeat(2000))), { replyCeiling: 1024 });
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.TOOBIG);
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.IPC);
  });

  test("a PDU that nobody asked for ends an idle connection", async () => {
    const pmcd = await session(async (talk) => {
      await talk.read();
      talk.send(namesPdu("a"), namesPdu("b"));
    });
    expect(await pmcd.traverse("a")).toEqual(["a"]);
    expect((await pmcd.ended).kind).toBe("protocol");
  });

  test("a hang-up of an idle connection is noticed", async () => {
    const pmcd = await session((talk) => void talk.socket.end());
    expect((await pmcd.ended).kind).toBe("hang-up");
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.IPC);
  });
});

describe("refusals after CREDS", () => {
  test("before the first request: every request fails with pmcd's code", async () => {
    const pmcd = await session((talk) => talk.send(errorPdu(PM_ERR.PERMISSION)));
    const end = await pmcd.ended;
    expect(end).toMatchObject({ kind: "refused", error: { code: PM_ERR.PERMISSION } });
    for (const name of ["a", "b"])
      expect(await codeOf(pmcd.traverse(name))).toBe(PM_ERR.PERMISSION);
  });

  test.each([PM_ERR.PERMISSION, PM_ERR.NEEDCLIENTCERT, -22, -3, -21357, PM_ERR.IPC])(
    "%d as the first reply: the reply that follows is not taken for another's",
    async (code) => {
      const pmcd = await session(
        answering([errorPdu(code), namesPdu("first")], namesPdu("second")),
      );
      const codes = await Promise.all([codeOf(pmcd.traverse("a")), codeOf(pmcd.traverse("b"))]);
      expect(codes).toEqual([code, code]);
      expect((await pmcd.ended).kind).toBe("refused");
    },
  );

  test("an ordinary error as the first reply ends nothing, nor does a refusal later", async () => {
    const pmcd = await session(
      answering(errorPdu(PM_ERR.NAME), errorPdu(PM_ERR.PERMISSION), namesPdu("a")),
    );
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.NAME);
    expect(await codeOf(pmcd.traverse("a"))).toBe(PM_ERR.PERMISSION);
    expect(await pmcd.traverse("a")).toEqual(["a"]);
  });
});

describe("the queue", () => {
  test("what waits is sent ahead, as far as it may, and answered in order", async () => {
    let heard = 0;
    const before: number[] = [];
    const pmcd = await session(async (talk) => {
      await talk.read();
      talk.send(namesPdu("first"));
      for (let i = 0; i < 100; i++) {
        await talk.read();
        heard += 1;
        // Nothing is said until 33 have come: one that is being answered, and 32 behind it.
        if (heard === 33) for (let k = 0; k < 33; k++) talk.send(namesPdu(`n${k}`));
        if (heard > 33) talk.send(namesPdu(`n${i}`));
      }
    });
    // Until pmcd has answered once it may still refuse.
    expect(await pmcd.traverse("x")).toEqual(["first"]);
    const calls = Array.from({ length: 100 }, (_, i) => pmcd.traverse(`${i}`));
    const names = await Promise.all(
      calls.map(async (call, i) => {
        const found = await call;
        before.push(i);
        return found;
      }),
    );
    expect(names.flat()).toEqual(Array.from({ length: 100 }, (_, i) => `n${i}`));
    expect(before).toEqual(before.toSorted((a, b) => a - b));
  });

  test("long requests are not sent ahead beyond what a socket holds", async () => {
    const waiting: number[] = [];
    let read = 0;
    const pmcd = await session(async (talk) => {
      await talk.read();
      talk.send(namesPdu("first"));
      const start = talk.socket.bytesRead;
      for (let i = 0; i < 8; i++) {
        read += (await talk.read()).length;
        await Bun.sleep(2);
        waiting.push(talk.socket.bytesRead - start - read);
        talk.send(namesPdu(`n${i}`));
      }
    });
    await pmcd.traverse("x");
    const long = "x".repeat(15_000);
    const names = await Promise.all(Array.from({ length: 8 }, () => pmcd.traverse(long)));
    expect(names.flat()).toEqual(Array.from({ length: 8 }, (_, i) => `n${i}`));
    expect(Math.max(...waiting)).toBeLessThan(16 * 1024);
  });

  test("an end fails what was sent ahead as well as what was not", async () => {
    const pmcd = await session(async (talk) => {
      for (let i = 0; i < 3; i++) {
        await talk.read();
        talk.send(namesPdu("a"));
      }
      talk.reset();
    });
    await pmcd.traverse("x");
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf(pmcd.traverse("y"))));
    expect(codes.slice(0, 2)).toEqual(["none", "none"]);
    expect(new Set(codes.slice(2))).toEqual(new Set([PM_ERR.IPC]));
  });

  test("one answer at a time, in order", async () => {
    const arrivals: number[] = [];
    const pmcd = await session(async (talk) => {
      for (let i = 0; i < 20; i++) {
        await talk.read();
        await Bun.sleep(1);
        arrivals.push(i);
        talk.send(namesPdu(`n${i}`));
      }
    });
    const names = await Promise.all(Array.from({ length: 20 }, (_, i) => pmcd.traverse(`${i}`)));
    expect(names.flat()).toEqual(Array.from({ length: 20 }, (_, i) => `n${i}`));
    expect(arrivals.length).toBe(20);
  });

  test("its length is bounded", async () => {
    const pmcd = await session(answering(namesPdu("a"), namesPdu("b"), namesPdu("c")), {
      queueLimit: 1,
    });
    const codes = await Promise.all(["a", "b", "c"].map((name) => codeOf(pmcd.traverse(name))));
    expect(codes).toEqual(["none", "none", PM_ERR.TOOBIG]);
    expect(await pmcd.traverse("c")).toEqual(["c"]);
  });

  test("a request above pmcd's ceiling is not sent", async () => {
    const pmcd = await session(answering(namesPdu("a")), { requestCeiling: 100 });
    expect(await codeOf(pmcd.traverse("x".repeat(100)))).toBe(PM_ERR.TOOBIG);
    expect(await pmcd.traverse("a")).toEqual(["a"]);
  });

  test("closing fails what is outstanding", async () => {
    const pmcd = await session(() => undefined);
    const codes = ["a", "b"].map((name) => codeOf(pmcd.traverse(name)));
    expect(pmcd.status).toBe("busy");
    await pmcd.close();
    await pmcd.close();
    expect(await Promise.all(codes)).toEqual([PM_ERR.IPC, PM_ERR.IPC]);
    expect(await codeOf(pmcd.traverse("c"))).toBe(PM_ERR.IPC);
    expect((await pmcd.ended).kind).toBe("closed");
  });

  test("any request, any reply", async () => {
    const pmcd = await session(answering(errorPdu(0), errorPdu(-1), namesPdu("a")));
    const bytes = bytesOf({ kind: "control-req", from: 0 });
    expect(await pmcd.request(bytes, [PDU_TYPE.ERROR])).toMatchObject({ kind: "error", code: 0 });
    expect(await codeOf(pmcd.request(bytes, [PDU_TYPE.ERROR]))).toBe(-1);
    expect((await pmcd.request(bytes, [PDU_TYPE.PMNS_NAMES])).kind).toBe("pmns-names");
  });
});

describe("fetch", () => {
  /** Answers fetches with results and notes the kinds of the requests. */
  async function fetching(
    features: number,
    reply: (talk: Talk) => void,
    use: (pmcd: PmcdConnection) => Promise<void>,
  ): Promise<string[]> {
    const kinds: string[] = [];
    const pmcd = await session(
      async (talk) => {
        for (;;) {
          const pdu = decodePdu(await talk.read());
          kinds.push(pdu.kind);
          if (pdu.kind === "profile") expect(pdu.context).toBe(0);
          else reply(talk);
        }
      },
      { features },
    );
    await use(pmcd);
    return kinds;
  }

  test("the profile goes out once, and again when it was replaced", async () => {
    const kinds = await fetching(
      PLAIN_FEATURES,
      (talk) => talk.send(emptyResult(true)),
      async (pmcd) => {
        await pmcd.fetch([metric]);
        expect((await pmcd.fetch([metric])).changes).toBe(0);
        pmcd.setProfile({ state: 1, rules: [] });
        await pmcd.fetch([metric]);
      },
    );
    const { length } = kinds;
    expect(length).toBe(5);
    expect(kinds).toEqual([
      "profile",
      "highres-fetch",
      "highres-fetch",
      "profile",
      "highres-fetch",
    ]);
  });

  test("profile and fetch are measured one by one", async () => {
    const many = (count: number): Pmid[] => Array.from({ length: count }, () => metric);
    const rule = (count: number) => ({
      indom: asIndom(1),
      state: 1,
      instances: new Int32Array(count),
    });
    const kinds = await fetching(
      PLAIN_FEATURES,
      (talk) => talk.send(emptyResult(true)),
      async (pmcd) => {
        pmcd.setProfile({ state: 0, rules: [rule(10_000)] });
        expect(await codeOf(pmcd.fetch(many(16_378)))).toBe(PM_ERR.TOOBIG);
        expect(await codeOf(pmcd.fetch(many(16_377)))).toBe("none");
        pmcd.setProfile({ state: 0, rules: [rule(20_000)] });
        expect(await codeOf(pmcd.fetch([metric]))).toBe(PM_ERR.TOOBIG);
      },
    );
    expect(kinds).toEqual(["profile", "highres-fetch"]);
  });

  test("state changes without end are no reply", async () => {
    await fetching(
      PLAIN_FEATURES,
      (talk) => talk.send(...Array.from({ length: 20 }, () => errorPdu(8))),
      async (pmcd) => {
        expect(await codeOf(pmcd.fetch([metric]))).toBe(PM_ERR.IPC);
      },
    );
  });

  test("FETCH and RESULT without HIGHRES", async () => {
    const kinds = await fetching(
      PLAIN_FEATURES & ~FEATURE.HIGHRES,
      (talk) => talk.send(emptyResult(false)),
      async (pmcd) => {
        expect((await pmcd.fetch([metric])).result.numpmid).toBe(0);
      },
    );
    expect(kinds).toEqual(["profile", "fetch"]);
  });

  test("state bits before the result are collected", async () => {
    await fetching(
      PLAIN_FEATURES,
      (talk) => talk.send(errorPdu(3), errorPdu(8), emptyResult(true)),
      async (pmcd) => {
        expect((await pmcd.fetch([metric])).changes).toBe(11);
      },
    );
  });

  test("an error, and then the next fetch", async () => {
    const replies = [errorPdu(PM_ERR.NOPROFILE), emptyResult(true)];
    const next = (): Pdu | Uint8Array => replies.shift() ?? errorPdu(0);
    const kinds = await fetching(
      PLAIN_FEATURES,
      (talk) => talk.send(next()),
      async (pmcd) => {
        expect(await codeOf(pmcd.fetch([metric]))).toBe(PM_ERR.NOPROFILE);
        await pmcd.fetch([metric]);
      },
    );
    expect(kinds.slice(0, 2)).toEqual(["profile", "highres-fetch"]);
  });

  test("RESULT for HIGHRES_FETCH is PM_ERR_IPC", async () => {
    await fetching(
      PLAIN_FEATURES,
      (talk) => talk.send(emptyResult(false)),
      async (pmcd) => {
        expect(await codeOf(pmcd.fetch([metric]))).toBe(PM_ERR.IPC);
      },
    );
  });

  test("of nothing, and of more than pmcd takes", async () => {
    const pmcd = await session(() => undefined);
    expect(await codeOf(pmcd.fetch([]))).toBe(PM_ERR.TOOSMALL);
    expect(await codeOf(pmcd.fetch(Array.from({ length: 20_000 }, () => metric)))).toBe(
      PM_ERR.TOOBIG,
    );
  });
});

describe("metadata", () => {
  const desc = (word: number) => ({
    kind: "desc" as const,
    from: 0,
    desc: {
      pmid: asPmid(word),
      type: PM_TYPE.U32,
      indom: PM_INDOM_NULL,
      sem: 1,
      units: 0,
    } as const,
  });
  const ids = (status: number, ...words: number[]): Pdu => ({
    kind: "pmns-ids",
    from: 0,
    status,
    pmids: words.map(asPmid),
  });

  test("long look-ups are cut, summed up, and a lost last name is only missing", async () => {
    const count = 4000;
    const names = Array.from({ length: count }, (_, i) => `some.longer.metric.name.${i}`);
    const asked: number[] = [];
    const pmcd = await session(async (talk) => {
      for (;;) {
        const pdu = decodePdu(await talk.read());
        if (pdu.kind !== "pmns-names") throw new Error(pdu.kind);
        asked.push(pdu.names.length);
        talk.send(ids(pdu.names.length, ...pdu.names.map((_, i) => i + 1)));
      }
    });
    const { pmids, resolved } = await pmcd.lookupNames(names);
    expect(asked.length).toBeGreaterThan(1);
    expect(asked.reduce((sum, part) => sum + part)).toBe(count);
    expect([pmids.length, resolved]).toEqual([count, count]);
    expect(await codeOf(pmcd.lookupNames([]))).toBe(PM_ERR.TOOSMALL);
  });

  test("one name alone has its error; in the last of several requests it is missing", async () => {
    const giant = "x".repeat(60_000);
    const pmcd = await session(
      answering(ids(0, 0xffffffff), errorPdu(PM_ERR.NAME), errorPdu(PM_ERR.NAME), ids(1, 5, 6)),
    );
    expect(await pmcd.lookupNames([giant])).toEqual({ pmids: [PM_ID_NULL], resolved: 0 });
    expect(await codeOf(pmcd.lookupNames(["a"]))).toBe(PM_ERR.NAME);
    expect(await codeOf(pmcd.lookupNames([giant, giant]))).toBe(PM_ERR.IPC);
  });

  test("a name among several requests that is not found", async () => {
    const giant = "x".repeat(60_000);
    const pmcd = await session(answering(errorPdu(PM_ERR.NAME), ids(1, 5)));
    expect(await pmcd.lookupNames([giant, giant])).toEqual({
      pmids: [PM_ID_NULL, asPmid(5)],
      resolved: 1,
    });
  });

  test("descriptors one by one where DESCS is not offered", async () => {
    const features = PLAIN_FEATURES & ~FEATURE.DESCS;
    const script = answering(desc(1), errorPdu(PM_ERR.PMID), desc(3), errorPdu(PM_ERR.PMID));
    const pmcd = await session(script, { features });
    const found = await pmcd.descs([1, 2, 3].map(asPmid));
    expect(found.map(({ pmid }) => pmid)).toEqual([asPmid(1), PM_ID_NULL, asPmid(3)]);
    expect(await codeOf(pmcd.descs([asPmid(2)]))).toBe(PM_ERR.PMID);
  });

  test("a wrong number of descriptors or of identifiers", async () => {
    const pmcd = await session(
      answering({ kind: "descs", from: 0, descs: [desc(1).desc] }, ids(1, 1)),
    );
    expect(await codeOf(pmcd.descs([1, 2].map(asPmid)))).toBe(PM_ERR.IPC);
    expect(await codeOf(pmcd.lookupNames(["a", "b"]))).toBe(PM_ERR.IPC);
  });

  test("what needs no request", async () => {
    const pmcd = await session(() => undefined, { features: PLAIN_FEATURES & ~FEATURE.LABELS });
    expect(await codeOf(pmcd.labels(PM_LABEL.CONTEXT, 0xffffffff))).toBe(PM_ERR.NOLABELS);
    expect(await codeOf(pmcd.instances(PM_INDOM_NULL))).toBe(PM_ERR.INDOM);
    expect(await codeOf(pmcd.instanceName(PM_INDOM_NULL, asInstance(1)))).toBe(PM_ERR.INDOM);
    expect(await codeOf(pmcd.instanceName(asIndom(1), asInstance(-1)))).toBe(PM_ERR.INST);
    expect(await codeOf(pmcd.instanceId(asIndom(1), ""))).toBe(PM_ERR.INST);
    expect(await codeOf(pmcd.text("instance domain", PM_INDOM_NULL, "help"))).toBe(PM_ERR.PMID);
    expect(await codeOf(pmcd.descs([]))).toBe(PM_ERR.TOOSMALL);
  });

  test("long text falls back to the one-line text, unless the caller forbids it", async () => {
    const text = (words: string): Pdu => ({ kind: "text", from: 0, ident: 0, text: words });
    const pmcd = await session(
      answering(
        errorPdu(PM_ERR.TEXT),
        text("one"),
        text(""),
        text("two"),
        errorPdu(PM_ERR.TEXT),
        text(""),
      ),
    );
    expect(await pmcd.text("metric", metric, "help")).toBe("one");
    expect(await pmcd.text("metric", metric, "help")).toBe("two");
    expect(await codeOf(pmcd.text("metric", metric, "help", true))).toBe(PM_ERR.TEXT);
    expect(await pmcd.text("metric", metric, "oneline")).toBe("");
  });

  test("labels of something else are PM_ERR_IPC; those of instances need the profile", async () => {
    const label = (type: number, ident: number): Pdu => ({
      kind: "label",
      from: 0,
      ident,
      type,
      sets: [],
    });
    const kinds: string[] = [];
    const pmcd = await session(async (talk) => {
      for (;;) {
        const pdu = decodePdu(await talk.read());
        kinds.push(pdu.kind);
        if (pdu.kind === "label-req") talk.send(label(pdu.type, 29));
      }
    });
    expect(await pmcd.labels(PM_LABEL.DOMAIN, 29)).toEqual([]);
    expect(await codeOf(pmcd.labels(PM_LABEL.DOMAIN, 30))).toBe(PM_ERR.IPC);
    await pmcd.labels(PM_LABEL.INSTANCES, 29);
    await pmcd.labels(PM_LABEL.INSTANCES, 29);
    expect(kinds.slice(2)).toEqual(["profile", "label-req", "label-req"]);
  });

  test("store: 0 is done, below 0 the error, anything else no reply", async () => {
    const pmcd = await session(answering(errorPdu(0), errorPdu(PM_ERR.BADSTORE), errorPdu(1)));
    await pmcd.store(noSets);
    expect(await codeOf(pmcd.store(noSets))).toBe(PM_ERR.BADSTORE);
    expect(await codeOf(pmcd.store(noSets))).toBe(PM_ERR.IPC);
  });
});
