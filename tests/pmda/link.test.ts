// Goal: an agent behind a byte stream answers as it does without one, and whatever a lying, silent,
// stopped or dying agent does costs the request and its link, never whoever asks.
import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  asInstance,
  type Indom,
  indomBuild,
  PM_LABEL,
  PM_SEM,
  PM_TYPE,
  type Pmid,
  pmidBuild,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile, decodePdu, encodePdu, encodeResult, PDU_TYPE } from "../../lib/pdu/mod.ts";
import {
  type Agent,
  type AgentDefinition,
  type AgentLink,
  agentOverLink,
  type Caller,
  createAgentLink,
  createSession,
  type LinkOptions,
  makeAgent,
  type PipedProcess,
  type RunningAgent,
} from "../../lib/pmda/mod.ts";
import { baseEnvironment } from "../helpers/process.ts";
import { hex, unhex } from "../helpers/vector.ts";

const domain = 77;
const one = pmidBuild(domain, 0, 0);
const two = pmidBuild(domain, 0, 1);
const caller = (context = 3): Caller => ({ context, profile: createProfile() });

/** The code that a call fails with; 0 when it does not. */
async function codeOf(work: () => unknown): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    expect(error).toBeInstanceOf(PcpError);
    return error instanceof PcpError ? error.code : 0;
  }
}

/** A fetch as text: numval or value of each metric. */
async function fetched(agent: Agent, pmids: readonly Pmid[], by = caller()): Promise<string> {
  const out = new ResultWriter();
  await agent.fetch(pmids, by, out);
  const bytes = out.finish(0);
  const sets = new ResultView(bytes, { sec: 0, nsec: 0 }, out.count, 0).sets();
  const words: string[] = [`changes ${out.changes}`];
  while (sets.next())
    words.push(`${sets.pmid}: ${sets.numval}${sets.numval > 0 ? ` ${sets.word(0)}` : ""}`);
  return words.join(", ");
}

let stored = 5;
const definition: AgentDefinition = {
  name: "linked",
  features: 0x44,
  metrics: [
    {
      name: "linked.one",
      cluster: 0,
      item: 0,
      type: PM_TYPE.I32,
      sem: PM_SEM.INSTANT,
      oneline: "one",
      fetch: () => stored,
      store(value) {
        if (Number(value) < 0) throw new PcpError(PM_ERR.BADSTORE);
        stored = Number(value);
      },
    },
    {
      name: "linked.two",
      cluster: 0,
      item: 1,
      type: PM_TYPE.I32,
      sem: PM_SEM.INSTANT,
      indom: 1,
      fetch: (instance) => instance * 10,
    },
  ],
  indoms: [
    {
      serial: 1,
      instances: [
        { id: 4, name: "four" },
        { id: 7, name: "seven of nine" },
      ],
      labels: { colour: "red" },
      instanceLabels: (instance) => ({ number: instance }),
    },
  ],
  names: {
    lookup: (name) => {
      if (name === "linked.dyn.a") return two;
      throw new PcpError(PM_ERR.NAME);
    },
    namesOf: () => ["linked.dyn.a"],
    children: () => ({ names: ["a", "b"], statuses: [0, 1] }),
    traverse: () => ["linked.dyn.a", "linked.dyn.b.c"],
  },
};

/** The bytes that went either way. */
interface Wires {
  readonly toAgent: Uint8Array[];
}

/** A link to an agent of ours in this process, each PDU in a turn of its own. */
async function linked(agent: RunningAgent, options: Partial<LinkOptions> = {}) {
  const wires: Wires = { toAgent: [] };
  const link: AgentLink = createAgentLink({
    name: agent.name,
    domain: agent.domain,
    ...options,
    transport: {
      write(bytes) {
        wires.toAgent.push(bytes);
        const copy = bytes.slice();
        queueMicrotask(() => session.receive(copy));
      },
      close: () => session.closed(),
    },
  });
  const session = createSession(agent, {
    notready: options.notready === true,
    send: (bytes) => queueMicrotask(() => link.receive(bytes)),
    end: () => undefined,
  });
  return { agent: await link.opened, wires };
}

test("every call gives through a link what it gives without", async () => {
  const attributes: string[] = [];
  const own = makeAgent(
    {
      ...definition,
      attribute: (context, key, value) => void attributes.push(`${context} ${key} ${value}`),
      contextClosed: (context) => void attributes.push(`${context} closed`),
    },
    { domain },
  );
  const { agent } = await linked(own);
  expect(agent.features).toBe(0x44);
  const indom = indomBuild(domain, 1);
  const calls: ((of: Agent) => unknown)[] = [
    (of) => fetched(of, [one, two, pmidBuild(domain, 9, 9)]),
    (of) => of.desc(two, caller()),
    (of) => of.instances(indom, caller()),
    (of) => of.instanceName(indom, asInstance(7), caller()),
    (of) => of.instanceId(indom, "seven", caller()),
    (of) => of.text("metric", one, "oneline", caller()),
    (of) => of.labels(PM_LABEL.INDOM, indom, caller()),
    (of) => of.labels(PM_LABEL.INSTANCES, indom, caller()),
    (of) => of.labels(PM_LABEL.DOMAIN, domain, caller()),
    (of) => of.names?.lookup("linked.dyn.a", caller()),
    (of) => of.names?.namesOf(two, caller()),
    (of) => of.names?.children("linked.dyn", caller()),
    (of) => of.names?.traverse("linked.dyn", caller()),
  ];
  for (const call of calls) expect(await call(agent)).toEqual(await call(own));
  const faults: ((of: Agent) => unknown)[] = [
    (of) => of.desc(pmidBuild(domain, 1, 1), caller()),
    (of) => of.instances(indomBuild(domain, 2), caller()),
    (of) => of.instanceName(indom, asInstance(5), caller()),
    (of) => of.instanceId(indom, "none", caller()),
    (of) => of.text("metric", one, "help", caller()),
    (of) => of.names?.lookup("linked.dyn.z", caller()),
  ];
  for (const call of faults) {
    const code = await codeOf(() => call(agent));
    expect(code).toBeLessThan(0);
    expect(code).toBe(await codeOf(() => call(own)));
  }
  agent.attribute?.(9, 11, "0");
  agent.contextClosed?.(9);
  await agent.desc(one, caller());
  expect(attributes).toEqual(["9 11 0", "9 closed"]);
});

const storing = (value: number): ResultView => {
  const set = { pmid: one, type: PM_TYPE.I32, instances: [-1], values: [value] };
  const pdu = decodePdu(encodeResult(0, { timestamp: { sec: 0, nsec: 0 }, sets: [set] }, false));
  if (pdu.kind !== "result") throw new Error(pdu.kind);
  return pdu.result;
};

test("stores reach the agent, with their codes", async () => {
  const { agent } = await linked(makeAgent(definition, { domain }));
  await agent.store(storing(41), caller());
  expect(await fetched(agent, [one])).toBe(`changes 0, ${one}: 1 41`);
  expect(await codeOf(() => agent.store(storing(-1), caller()))).toBe(PM_ERR.BADSTORE);
});

test("a profile is sent when context or profile have changed, and only then", async () => {
  const { agent, wires } = await linked(makeAgent(definition, { domain }));
  const types = (): string => {
    const list = wires.toAgent.map((bytes) => decodePdu(bytes).kind).join(" ");
    wires.toAgent.length = 0;
    return list;
  };
  types();
  const by = caller(1);
  await fetched(agent, [two], by);
  expect(types()).toBe("profile fetch");
  await fetched(agent, [two], by);
  expect(types()).toBe("fetch");
  await agent.labels(PM_LABEL.INSTANCES, indomBuild(domain, 1), by);
  expect(types()).toBe("label-req");
  by.profile.add(indomBuild(domain, 1) as Indom, [asInstance(7)]);
  expect(await fetched(agent, [two], by)).toBe(`changes 0, ${two}: 1 70`);
  expect(types()).toBe("profile fetch");
  await fetched(agent, [two], caller(2));
  expect(types()).toBe("profile fetch");
});

test("an agent that is not ready costs nothing but PM_ERR_AGAIN, until it says that it is", async () => {
  const own = makeAgent(definition, { domain });
  const { agent, wires } = await linked(own);
  own.setReady(false);
  expect(await codeOf(() => fetched(agent, [one]))).toBe(PM_ERR.AGAIN);
  const sent = wires.toAgent.length;
  expect(await codeOf(() => fetched(agent, [one]))).toBe(PM_ERR.AGAIN);
  expect(await codeOf(() => agent.desc(one, caller()))).toBe(PM_ERR.AGAIN);
  expect(wires.toAgent.length).toBe(sent);
  own.setReady(true);
  await Bun.sleep(0);
  expect(await fetched(agent, [one])).toContain(`${one}: 1`);
  // Ready again without having been asked meanwhile: pmcd must not hear of it.
  own.setReady(false);
  own.setReady(true);
  expect(await fetched(agent, [one])).toContain(`${one}: 1`);
});

test("notready in pmcd.conf: the agent is waited for", async () => {
  const own = makeAgent(definition, { domain });
  own.setReady(false);
  const { agent } = await linked(own, { notready: true });
  expect(await codeOf(() => fetched(agent, [one]))).toBe(PM_ERR.AGAIN);
  own.setReady(true);
  await Bun.sleep(0);
  expect(await fetched(agent, [one])).toContain(`${one}: 1`);
});

test("changes of labels and names come with the next values, once", async () => {
  const own = makeAgent(definition, { domain });
  const { agent } = await linked(own);
  own.changed("labels");
  own.changed("names");
  expect(await fetched(agent, [two])).toStartWith("changes 24, ");
  expect(await fetched(agent, [two])).toStartWith("changes 0, ");
});

const CREDS = "000000140000700c0000483200000001" + "01020000";

/** A link to an agent that answers every request with these bytes; undefined: it hangs up. */
async function lying(answers: readonly (string | undefined)[], options: Partial<LinkOptions> = {}) {
  const left = [...answers];
  let closed = 0;
  const link: AgentLink = createAgentLink({
    name: "liar",
    domain,
    requestTimeLimit: 40,
    credsTimeLimit: 40,
    ...options,
    transport: {
      write(bytes) {
        const { kind } = decodePdu(bytes);
        if (["creds", "profile", "attr", "error"].includes(kind) || left.length === 0) return;
        const answer = left.shift();
        queueMicrotask(() => {
          if (answer === undefined) link.closed();
          else link.receive(unhex(answer));
        });
      },
      close: () => void (closed += 1),
    },
  });
  link.receive(unhex(CREDS));
  return { link, agent: await link.opened, closings: () => closed };
}

const good = hex(
  encodeResult(
    0,
    {
      timestamp: { sec: 0, nsec: 0 },
      sets: [{ pmid: one, type: PM_TYPE.I32, instances: [-1], values: [1] }],
    },
    false,
  ),
);
const errorPdu = (code: number): string => hex(encodePdu({ kind: "error", from: 0, code }));

/** What an agent answers to a fetch, the code of that, and whether the link outlives it. */
const LIES: readonly (readonly [string, string | undefined, number, boolean])[] = [
  ["an error", errorPdu(PM_ERR.AGAIN), PM_ERR.AGAIN, true],
  ["an error above 0", errorPdu(5), PM_ERR.GENERIC, true],
  ["PM_ERR_IPC", errorPdu(PM_ERR.IPC), PM_ERR.IPC, false],
  ["READY unasked", errorPdu(PM_ERR.PMDAREADY), PM_ERR.IPC, false],
  ["another type", hex(encodePdu({ kind: "pmns-names", from: 0, names: [] })), PM_ERR.IPC, false],
  ["an unknown type", "0000000c0000709900000000", PM_ERR.IPC, false],
  ["a length of -1", "ffffffff0000700100000000", PM_ERR.IPC, false],
  ["a length of 4", "000000040000700100000000", PM_ERR.IPC, false],
  ["a length of 2 GB", "7fffffff0000700100000000", PM_ERR.IPC, false],
  ["text", Buffer.from("hello, this is no PDU at all").toString("hex"), PM_ERR.IPC, false],
  ["no metric", "00000018000070010000000000000000000000000000" + "0000", PM_ERR.IPC, false],
  [
    "two metrics",
    good.replace("0000000000000001" + "1340", "00000000000000021340"),
    PM_ERR.IPC,
    false,
  ],
  ["a cut PDU and the end", undefined, PM_ERR.IPC, false],
  ["nothing", "", PM_ERR.TIMEOUT, false],
  ["half a header", "0000", PM_ERR.TIMEOUT, false],
];

for (const [what, answer, code, lives] of LIES) {
  test(`an agent that answers ${what}`, async () => {
    const { agent, closings, link } = await lying([answer, good]);
    expect(await codeOf(() => fetched(agent, [one]))).toBe(code);
    expect(await codeOf(() => fetched(agent, [one]))).toBe(lives ? 0 : PM_ERR.NOAGENT);
    expect(closings()).toBe(lives ? 0 : 1);
    if (!lives) expect((await agent.ended)?.code).toBe(PM_ERR.NOAGENT);
    link.closed();
    link.receive(unhex(good));
    expect(closings()).toBe(1);
  });
}

test("silence costs other requests PM_ERR_IPC", async () => {
  const { agent } = await lying([""]);
  expect(await codeOf(() => agent.desc(one, caller()))).toBe(PM_ERR.IPC);
});

test("another metric than the one asked for fails alone", async () => {
  const { agent } = await lying([good.replace("13400000", "13400009"), good]);
  expect(await fetched(agent, [one])).toBe(`changes 0, ${one}: ${PM_ERR.IPC}`);
  expect(await fetched(agent, [one])).toBe(`changes 0, ${one}: 1 1`);
});

test("a PDU too many ends the link, whether somebody waits or not", async () => {
  const first = await lying([errorPdu(0) + good]);
  expect(await codeOf(() => fetched(first.agent, [one]))).toBe(PM_ERR.GENERIC);
  expect(await codeOf(() => fetched(first.agent, [one]))).toBe(PM_ERR.NOAGENT);
  const second = await lying([good]);
  second.link.receive(unhex(good));
  expect(await codeOf(() => fetched(second.agent, [one]))).toBe(PM_ERR.NOAGENT);
});

test("two requests at a time are refused, not mixed up", async () => {
  const { agent } = await lying([good, good]);
  const both = [codeOf(() => fetched(agent, [one])), codeOf(() => agent.desc(one, caller()))];
  expect(await Promise.all(both)).toEqual([0, PM_ERR.BOTCH]);
});

test("notices to an agent that never reacts come to an end", async () => {
  const { agent, closings } = await lying([]);
  for (let i = 0; i < 65_536; i++) agent.contextClosed?.(i);
  expect(closings()).toBe(1);
});

test("an agent that does not greet as agents do", async () => {
  const opened = async (first: (link: AgentLink) => void): Promise<string> => {
    const link = createAgentLink({
      name: "foo",
      domain,
      credsTimeLimit: 20,
      transport: { write: () => undefined, close: () => undefined },
    });
    first(link);
    return link.opened.then(
      () => "opened",
      (error: PcpError) => `${error.code} ${error.message}`,
    );
  };
  expect(await opened((link) => link.receive(unhex(errorPdu(0))))).toContain(
    "unexpected PDU type (0x7000) at initial exchange with foo PMDA",
  );
  expect(await opened((link) => link.closed())).toContain(
    "unexpected end-of-file at initial exchange with foo PMDA",
  );
  expect(await opened((link) => link.receive(unhex("000000100000700c0000000000000000")))).toContain(
    "error at initial PDU exchange with foo PMDA",
  );
  expect(await opened(() => undefined)).toStartWith(String(PM_ERR.TIMEOUT));
});

const children: PipedProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function spawn(argv: readonly string[]): PipedProcess {
  const child = Bun.spawn([...argv], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    env: baseEnvironment(),
  });
  children.push(child);
  return child;
}

const main = join(import.meta.dir, "../helpers/agent-main.ts");
const time = pmidBuild(250, 0, 0);

test("a child process: it answers, is killed, and that is told", async () => {
  const child = spawn([process.execPath, main, "trivial", "pipe"]);
  const agent = await agentOverLink(child, { name: "trivial", domain: 250 });
  expect(await fetched(agent, [time])).toContain(`${time}: 1`);
  child.kill("SIGKILL");
  expect((await agent.ended)?.message).toBe('agent "trivial" is gone: killed by SIGKILL');
  expect(await codeOf(() => fetched(agent, [time]))).toBe(PM_ERR.NOAGENT);
});

test("a stopped process costs one request its time, and ends when it finds its pipes closed", async () => {
  const child = spawn([process.execPath, main, "trivial", "pipe"]);
  const options = { name: "trivial", domain: 250, requestTimeLimit: 100 };
  const agent = await agentOverLink(child, options);
  child.kill("SIGSTOP");
  expect(await codeOf(() => fetched(agent, [time]))).toBe(PM_ERR.TIMEOUT);
  expect(await codeOf(() => fetched(agent, [time]))).toBe(PM_ERR.NOAGENT);
  child.kill("SIGCONT");
  await child.exited;
});

test("a program that writes without end, one that ends, one that is none", async () => {
  const options = { name: "foo", domain, credsTimeLimit: 60_000 };
  expect(await codeOf(() => agentOverLink(spawn(["yes"]), options))).toBe(PM_ERR.IPC);
  expect(await codeOf(() => agentOverLink(spawn(["sh", "-c", "exit 3"]), options))).toBe(
    PM_ERR.IPC,
  );
  const flood = spawn([
    "sh",
    "-c",
    `printf '\\0\\0\\0\\24\\0\\0\\160\\14\\0\\0\\0\\1\\0\\0\\0\\1\\1\\2\\0\\0'; yes`,
  ]);
  const agent = await agentOverLink(flood, options);
  expect((await agent.ended)?.code).toBe(PM_ERR.NOAGENT);
});

test("nobody listens at an address", async () => {
  const address = { kind: "unix", path: "/nowhere/agent.socket" } as const;
  expect(await codeOf(() => agentOverLink(address, { name: "foo", domain }))).toBe(-2);
});

test("the numbers of the protocol that this file writes by hand", () => {
  expect(PDU_TYPE.CREDS).toBe(0x700c);
  expect(hex(encodePdu({ kind: "desc-req", from: 0, pmid: one })).slice(24)).toBe("13400000");
});
