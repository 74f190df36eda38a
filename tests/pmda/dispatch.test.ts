// Goal: every request of chapter 4 of spec pmda.md has its answer, or its error, byte by byte, and
// none that has no answer gets one; sessions greet, wait, and end as chapters 3 and 6 say. Requests
// that recordings hold are in replay.test.ts.
import { expect, test } from "bun:test";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { PM_SEM, PM_TYPE, type Pmid, pmidBuild } from "../../lib/pcp/mod.ts";
import {
  decodePdu,
  encodeFetch,
  encodeNamesRequest,
  encodePdu,
  type Pdu,
} from "../../lib/pdu/mod.ts";
import {
  type Agent,
  type AgentDefinition,
  createDispatcher,
  createSession,
  makeAgent,
  type RunningAgent,
} from "../../lib/pmda/mod.ts";
import { waitUntil } from "../helpers/ports.ts";
import { hex, unhex } from "../helpers/vector.ts";

const domain = 29;
const one = pmidBuild(domain, 0, 1000);
const two = pmidBuild(domain, 0, 1001);

const definition: AgentDefinition = {
  name: "d",
  metrics: [
    {
      cluster: 0,
      item: 1000,
      type: PM_TYPE.I32,
      sem: PM_SEM.INSTANT,
      oneline: "",
      fetch: () => 7,
      store: () => undefined,
    },
  ],
  names: {
    lookup(name) {
      if (name === "sample.secret.bar") return one;
      throw new PcpError(name === "sample.secret.foo" ? PM_ERR.NONLEAF : PM_ERR.NAME);
    },
    namesOf(pmid) {
      if (pmid === two) return ["sample.secret.foo.one"];
      throw new PcpError(PM_ERR.PMID);
    },
    children(name) {
      if (name === "sample.secret") return { names: ["foo", "bar"], statuses: [1, 0] };
      if (name === "sample.secret.bar") return { names: [], statuses: [] };
      throw new PcpError(PM_ERR.NAME);
    },
    traverse: () => ["sample.secret.foo.one", "sample.secret.bar"],
  },
};

/** A dispatcher with what was logged. */
function dispatcherOf(agent: Agent) {
  const logged: string[] = [];
  const dispatcher = createDispatcher(agent, {
    log: (level, text) => void logged.push(`${level} ${text}`),
  });
  const ask = async (pdu: Uint8Array | string): Promise<string> => {
    const bytes = await dispatcher.answer(typeof pdu === "string" ? unhex(pdu) : pdu);
    return bytes === undefined ? "" : hex(bytes);
  };
  return { ask, logged };
}

const errorPdu = (code: number): string => hex(encodePdu({ kind: "error", from: 0, code }));
const pdu = (of: Pdu): Uint8Array => encodePdu(of);

test("names, as the real sample agent answers for them", async () => {
  const { ask } = dispatcherOf(makeAgent(definition, { domain }));
  expect(await ask(encodeNamesRequest(0, ["sample.secret.bar"]))).toBe(
    "000000180000700d000000000000000000000001074003e8",
  );
  expect(await ask(encodeNamesRequest(0, ["sample.secret.foo"]))).toBe(errorPdu(PM_ERR.NONLEAF));
  expect(await ask("000000180000700d000000000000000000000001074003e9")).toBe(
    "000000340000700e00000000000000160000000000000001" +
      "0000001573616d706c652e7365637265742e666f6f2e6f6e657e7e7e",
  );
  expect(await ask("000000180000700d000000000000000000000001074003ff")).toBe(errorPdu(PM_ERR.PMID));
  expect(
    await ask("000000240000700f00000000000000010000000d73616d706c652e7365637265747e7e7e"),
  ).toBe(
    "000000300000700e00000000000000080000000200000002" +
      "0000000100000003666f6f7e00000000000000036261727e",
  );
  const child = (name: string): Uint8Array =>
    pdu({ kind: "pmns-child", from: 0, subtype: 1, name });
  expect(await ask(child("sample.secret.bar"))).toBe(
    "000000180000700e00000000000000000000000000000000",
  );
  expect(await ask(child("sample.none"))).toBe(errorPdu(PM_ERR.NAME));
  expect(await ask(pdu({ kind: "pmns-child", from: 0, subtype: 0, name: "sample.secret" }))).toBe(
    "000000280000700e00000000000000080000000000000002" + "00000003666f6f7e000000036261727e",
  );
});

test("more or less than one name or metric identifier is refused", async () => {
  const { ask, logged } = dispatcherOf(makeAgent(definition, { domain }));
  const refused = errorPdu(PM_ERR.IPC);
  expect(await ask(encodeNamesRequest(0, ["a", "b"]))).toBe(refused);
  expect(await ask(encodeNamesRequest(0, []))).toBe(refused);
  expect(await ask(pdu({ kind: "pmns-ids", from: 0, status: 0, pmids: [one, two] }))).toBe(refused);
  expect(logged.length).toBe(3);
});

test("requests that cannot be read are refused; what has no answer stays without", async () => {
  const { ask, logged } = dispatcherOf(makeAgent(definition, { domain }));
  const cut = (type: string): string => `0000000e${type}000000000000`;
  for (const type of ["03", "04", "06", "08", "0d", "0e", "0f", "10", "12", "01"])
    expect(await ask(cut(`000070${type}`))).toBe(errorPdu(PM_ERR.IPC));
  const before = logged.length;
  for (const type of ["02", "11", "0c", "00"]) expect(await ask(cut(`000070${type}`))).toBe("");
  expect(logged.length).toBe(before + 4);
  // Fetches of nothing, and of more than there is.
  expect(await ask("0000001c0000700300000000000000000000000000000000" + "00000000")).toBe(
    errorPdu(PM_ERR.IPC),
  );
  expect(await ask("0000001c0000700300000000000000000000000000000000" + "7fffffff")).toBe(
    errorPdu(PM_ERR.IPC),
  );
  expect(await ask("0000")).toBe("");
});

test("types that agents do not know, and those that they ignore", async () => {
  const { ask, logged } = dispatcherOf(makeAgent(definition, { domain }));
  expect(await ask("0000000c0000700a00000000")).toBe("");
  expect(logged).toEqual([]);
  for (const type of ["7014", "7016", "7099", "7005", "7013"])
    expect(await ask(encodeOf(type))).toBe("");
  expect(logged.length).toBe(5);
  expect(logged[2]).toBe("Error pmdad: Unrecognised pdu type: 0x7099?");
  expect(await ask(pdu({ kind: "error", from: 4, code: PM_ERR.GENERIC }))).toBe("");
  expect(logged[5]).toBe(
    "Error pmdad: unexpected error pdu from pmcd: Generic error, already reported above?",
  );
});

/** A whole PDU of a type, with a body that its decoder takes. */
function encodeOf(type: string): Uint8Array {
  if (type === "7014") return encodeFetch(0, 0, [one], true);
  if (type === "7016") return pdu({ kind: "desc-ids", from: 0, pmids: [one] });
  if (type === "7005")
    return pdu({
      kind: "desc",
      from: 0,
      desc: { pmid: one, type: 0, indom: two as unknown as never, sem: 1, units: 0 },
    });
  if (type === "7013") return pdu({ kind: "label", from: 0, ident: 0, type: 2, sets: [] });
  return unhex(`0000000c0000${type}00000000`);
}

test("texts: either level, whatever else the type says", async () => {
  const { ask } = dispatcherOf(makeAgent(definition, { domain }));
  const text = (type: number, ident: number = one): Promise<string> =>
    ask(pdu({ kind: "text-req", from: 0, ident, type }));
  expect(await text(5)).toBe("000000140000700900000000e8034007" + "00000000");
  expect(await text(21)).toBe("000000140000700900000000e8034007" + "00000000");
  expect(await text(6)).toBe(errorPdu(PM_ERR.TEXT));
  expect(await text(9)).toBe(errorPdu(PM_ERR.TEXT));
  expect(await text(1)).toBe(errorPdu(PM_ERR.IPC));
});

test("codes that would harm the agent are told as PM_ERR_GENERIC", async () => {
  for (const code of [0, 5, PM_ERR.IPC, PM_ERR.PMDAREADY]) {
    const agent = makeAgent(
      {
        ...definition,
        check() {
          throw new PcpError(code);
        },
      },
      { domain },
    );
    const { ask } = dispatcherOf(agent);
    expect(await ask(encodeFetch(0, 0, [one], false))).toBe(errorPdu(PM_ERR.GENERIC));
  }
  const short: Agent = { ...makeAgent(definition, { domain }), fetch: () => undefined };
  const { ask, logged } = dispatcherOf(short);
  expect(await ask(encodeFetch(0, 0, [one, two], false))).toBe(errorPdu(PM_ERR.GENERIC));
  expect(logged).toEqual(["Error pmdad: the agent answered 0 metrics of 2"]);
});

test("attributes, ends of clients, and who asks", async () => {
  const seen: string[] = [];
  const agent = makeAgent(
    {
      ...definition,
      attribute: (context, key, value) => void seen.push(`${context} ${key} ${value}`),
      contextClosed: (context) => void seen.push(`${context} closed`),
      refresh: (_, by) => void seen.push(`fetch by ${by.context}`),
    },
    { domain },
  );
  const { ask } = dispatcherOf(agent);
  expect(await ask("000000140000701100000004" + "0000000f" + "61626300")).toBe("");
  await ask(encodeFetch(4, 0, [one], false));
  await ask(encodeFetch(5, 0, [one], false));
  expect(await ask("000000100000700000000004ffffcf99")).toBe("");
  expect(seen).toEqual(["4 15 abc", "fetch by 4", "fetch by 5", "4 closed"]);
});

test("the profile is the one that came last, whoever asks", async () => {
  const wanted: boolean[] = [];
  const agent = makeAgent(
    { ...definition, refresh: (_, { profile }) => void wanted.push(profile.wantsEverything) },
    { domain },
  );
  const { ask } = dispatcherOf(agent);
  await ask(encodeFetch(1, 0, [one], false));
  await ask(pdu({ kind: "profile", from: 2, context: 2, state: 1, rules: [] }));
  await ask(encodeFetch(1, 0, [one], false));
  expect(wanted).toEqual([true, false]);
});

test("changes stand where the time would be", async () => {
  const agent = makeAgent(definition, { domain });
  const { ask } = dispatcherOf(agent);
  agent.changed("labels");
  agent.changed("names");
  const value = "00000001" + "074003e8" + "0000000100000000ffffffff00000007";
  expect(await ask(encodeFetch(0, 0, [one], false))).toBe(
    `0000002c0000700100000000${"00000018"}00000000${value}`,
  );
  expect(await ask(encodeFetch(0, 0, [one], false))).toBe(
    `0000002c0000700100000000${"00000000"}00000000${value}`,
  );
});

/** A session with everything that it sent, in words. */
function sessionOf(agent: RunningAgent, notready = false) {
  const sent: string[] = [];
  const logged: string[] = [];
  let end: string | undefined;
  const session = createSession(agent, {
    notready,
    log: (level, text) => void logged.push(`${level} ${text}`),
    send(bytes) {
      const of = decodePdu(bytes);
      sent.push(of.kind === "error" ? `error ${of.code}` : of.kind);
    },
    end: (reason) => void (end = reason === undefined ? "well" : reason.message),
  });
  const take = (): string => sent.splice(0).join();
  return { session, take, logged, ended: () => end };
}

/** What is sent until it is so many PDUs. */
async function all(take: () => string, count: number): Promise<string> {
  const sent: string[] = [];
  await waitUntil(async () => {
    sent.push(
      ...take()
        .split(",")
        .filter((word) => word !== ""),
    );
    return sent.length >= count;
  });
  return sent.join();
}

const creds = "000000140000700c00004832" + "00000001" + "01020000";
const fetchOne = encodeFetch(0, 0, [one], false);

test("a session: CREDS first, answers in order, the end", async () => {
  const { session, take, ended, logged } = sessionOf(makeAgent(definition, { domain }));
  expect(take()).toBe("creds");
  session.receive(unhex(creds));
  session.receive(Buffer.concat([fetchOne, pdu({ kind: "desc-req", from: 0, pmid: one })]));
  expect(take()).toBe("result,desc");
  for (const byte of fetchOne) session.receive(new Uint8Array([byte]));
  expect(take()).toBe("result");
  session.closed();
  expect(ended()).toBe("well");
  session.receive(fetchOne);
  expect(take()).toBe("");
  expect(logged).toEqual([]);
});

test("what comes while an answer is made waits for its turn", async () => {
  const { session, take } = sessionOf(
    makeAgent({ ...definition, refresh: () => Bun.sleep(5) }, { domain }),
  );
  session.receive(unhex(creds));
  const desc = pdu({ kind: "desc-req", from: 0, pmid: one });
  session.receive(Buffer.concat([fetchOne, desc, fetchOne]));
  expect(take()).toBe("creds");
  expect(await all(take, 3)).toBe("result,desc,result");
});

test("a first PDU other than CREDS, and a connection that ends before it", () => {
  const wrong = sessionOf(makeAgent(definition, { domain }));
  wrong.session.receive(fetchOne);
  expect(wrong.logged[0]).toStartWith("Critical __pmdaSetupPDU: PMDA pmdad: version exchange");
  expect(wrong.ended()).toContain("got PDU type FETCH expecting PDU_CREDS");
  const early = sessionOf(makeAgent(definition, { domain }));
  early.session.closed();
  expect(early.logged).toEqual([
    "Critical __pmdaSetupPDU: PMDA pmdad: version exchange failure, got PDU type TYPE-0? expecting PDU_CREDS)",
  ]);
});

test("bytes that are no PDUs end the session", () => {
  const { session, ended, logged } = sessionOf(makeAgent(definition, { domain }));
  session.receive(unhex(creds));
  session.receive(unhex("ffffffff0000700300000000"));
  expect(logged[0]).toStartWith("Error IPC Error: ");
  expect(ended()).toContain("length -1");
});

test("not ready at run time, and ready again", () => {
  const agent = makeAgent(definition, { domain });
  const { session, take } = sessionOf(agent);
  session.receive(unhex(creds));
  take();
  // Nobody has asked: pmcd does not know, and must not be told.
  agent.setReady(false);
  agent.setReady(true);
  expect(take()).toBe("");
  agent.setReady(false);
  session.receive(fetchOne);
  expect(take()).toBe(`error ${PM_ERR.PMDANOTREADY}`);
  agent.setReady(true);
  agent.setReady(true);
  expect(take()).toBe(`error ${PM_ERR.PMDAREADY}`);
  session.receive(fetchOne);
  expect(take()).toBe("result");
});

test("notready in pmcd.conf: READY as soon as the agent is, after the handshake", () => {
  const late = makeAgent(definition, { domain });
  late.setReady(false);
  const first = sessionOf(late, true);
  first.session.receive(unhex(creds));
  expect(first.take()).toBe("creds");
  late.setReady(true);
  expect(first.take()).toBe(`error ${PM_ERR.PMDAREADY}`);
  const second = sessionOf(makeAgent(definition, { domain }), true);
  second.session.receive(unhex(creds));
  expect(second.take()).toBe(`creds,error ${PM_ERR.PMDAREADY}`);
});

test("unready and ready again while a request is answered", async () => {
  let unready = true;
  const agent = makeAgent(
    {
      ...definition,
      async check() {
        await Bun.sleep(1);
        if (unready) agent.setReady(false);
        throw new PcpError(PM_ERR.PMDANOTREADY);
      },
    },
    { domain },
  );
  const { session, take } = sessionOf(agent);
  session.receive(unhex(creds));
  take();
  session.receive(fetchOne);
  expect(await all(take, 1)).toBe(`error ${PM_ERR.PMDANOTREADY}`);
  agent.setReady(true);
  expect(take()).toBe(`error ${PM_ERR.PMDAREADY}`);
  // Who only says so, and is ready all the same, is to be asked again.
  unready = false;
  session.receive(fetchOne);
  expect(await all(take, 1)).toBe(`error ${PM_ERR.AGAIN}`);
  agent.setReady(true);
  expect(take()).toBe("");
});

test("the pmids of a request are an agent's to read until it has answered", async () => {
  const seen: Pmid[][] = [];
  const agent: Agent = {
    ...makeAgent(definition, { domain }),
    async fetch(pmids, _, out) {
      await Bun.sleep(1);
      seen.push([...pmids]);
      for (const pmid of pmids) out.fail(pmid, PM_ERR.VALUE);
    },
  };
  const { ask } = dispatcherOf(agent);
  await ask(encodeFetch(0, 0, [one, two], false));
  await ask(encodeFetch(0, 0, [two], false));
  expect(seen).toEqual([[one, two], [two]]);
});
