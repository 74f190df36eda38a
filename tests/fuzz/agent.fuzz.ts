// Fuzzes both ends between pmcd and agents with recorded PDUs, most of them changed.
// The promise of the dispatcher: whatever comes, it answers nothing or one PDU that can be read, of
// the type that the request wants or an error below 0, and goes on as before. The promise of a link:
// whatever an agent answers, each call gives what its type says or fails with a PcpError, and a result
// has one set for each metric.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PcpError, viewOf } from "../../lib/base/mod.ts";
import {
  asInstance,
  indomBuild,
  PM_LABEL,
  pmidBuild,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile, decodePdu, encodeFetch, type PduKind } from "../../lib/pdu/mod.ts";
import {
  type Agent,
  type Caller,
  createAgentLink,
  createDispatcher,
  makeAgent,
} from "../../lib/pmda/mod.ts";
import { hex, unhex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const folder = join(import.meta.dir, "../fixtures/pmda");
const lines = readdirSync(folder)
  .filter((name) => /-(dbpmda|pmcd)\.txt$/.test(name))
  .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n"))
  .map((line) => line.split(/\s+/));
const REQUESTS = lines.filter(([side]) => side === ">").map(([, , bytes = ""]) => unhex(bytes));
const ANSWERS = lines
  .filter(([side, type]) => side === "<" && type !== "CREDS")
  .map(([, , bytes = ""]) => unhex(bytes));

const domain = 253;
const number = pmidBuild(domain, 0, 0);
const colour = pmidBuild(domain, 0, 1);
const by: Caller = { context: 1, profile: createProfile() };

/** An agent with the identifiers of simple, so that recorded requests find something. */
const newAgent = () =>
  makeAgent(
    {
      name: "fuzzed",
      metrics: [
        { cluster: 0, item: 0, type: 1, sem: 3, fetch: () => 1, store: () => undefined },
        { cluster: 0, item: 1, type: 6, sem: 3, indom: 0, fetch: (id) => `${id}` },
      ],
      indoms: [
        {
          serial: 0,
          instances: [0, 1, 2].map((id) => ({ id, name: `n${id}` })),
          instanceLabels: (id) => ({ id }),
        },
      ],
      names: {
        lookup: () => number,
        namesOf: () => ["simple.numfetch"],
        children: () => ({ names: ["a"], statuses: [1] }),
        traverse: (name) => [name],
      },
    },
    { domain },
  );

/** A recorded PDU, or a changed one; most of those with a length that is right. */
function input(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const recorded = random.pick(corpus);
  if (random.below(6) === 0) return recorded;
  const changed = mutate(recorded, random, corpus);
  if (changed.length >= 12 && random.below(4) > 0) {
    viewOf(changed).setInt32(0, changed.length);
    if (random.below(2) === 0) changed.set(recorded.subarray(4, 8), 4);
  }
  return changed;
}

/** What each request is answered with, apart from errors. */
const ANSWER_KINDS: Readonly<Record<number, PduKind>> = {
  0x7001: "error",
  0x7003: "result",
  0x7004: "desc",
  0x7006: "instance",
  0x7008: "text",
  0x700d: "pmns-names",
  0x700e: "pmns-ids",
  0x700f: "pmns-names",
  0x7010: "pmns-names",
  0x7012: "label",
};

function checkAnswer(request: Uint8Array, answer: Uint8Array | undefined): void {
  const type = request.length < 8 ? 0 : viewOf(request).getInt32(4);
  const kind = ANSWER_KINDS[type];
  if (answer === undefined) {
    if (kind !== undefined) throw new Error("no answer");
    return;
  }
  const pdu = decodePdu(answer);
  if (pdu.kind === kind) return;
  if (pdu.kind !== "error" || pdu.code >= 0 || kind === undefined)
    throw new Error(`${pdu.kind} in answer to type ${type.toString(16)}`);
}

/** Fuzzes createDispatcher. */
export const fuzzDispatch: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  const dispatcher = createDispatcher(newAgent());
  const fetch = encodeFetch(0, 0, [number], false);
  const expected = hex((await dispatcher.answer(fetch)) ?? new Uint8Array());
  for (let iteration = 0; iteration < iterations; iteration++) {
    const request = input(random, REQUESTS);
    try {
      checkAnswer(request, await dispatcher.answer(request.slice()));
      const again = hex((await dispatcher.answer(fetch)) ?? new Uint8Array());
      if (again !== expected) throw new Error(`a fetch after it gives ${again}`);
    } catch (cause) {
      const reason = String(cause);
      throw new FuzzFinding("dispatch", seed, iteration, hex(request), reason, { cause });
    }
  }
};

/** Fetches and checks that each metric has its set. */
async function fetchBoth(agent: Agent): Promise<void> {
  const out = new ResultWriter();
  await agent.fetch([number, colour], by, out);
  const sets = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, out.count, 0).sets();
  for (const pmid of [number, colour])
    if (!sets.next() || sets.pmid !== pmid) throw new Error(`no set for ${pmid}`);
  if (sets.next()) throw new Error("a set too many");
}

const indom = indomBuild(domain, 0);
const CALLS: readonly ((agent: Agent) => unknown)[] = [
  fetchBoth,
  (agent) => agent.desc(number, by),
  (agent) => agent.instances(indom, by),
  (agent) => agent.instanceName(indom, asInstance(1), by),
  (agent) => agent.instanceId(indom, "red", by),
  (agent) => agent.text("metric", number, "help", by),
  (agent) => agent.labels(PM_LABEL.INSTANCES, indom, by),
  (agent) => agent.names?.lookup("simple.numfetch", by),
  (agent) => agent.names?.namesOf(number, by),
  (agent) => agent.names?.children("simple", by),
  (agent) => agent.names?.traverse("simple", by),
];

const CREDS = unhex("000000140000700c00000001" + "00000001" + "01020000");

/** Fuzzes createAgentLink. */
export const fuzzLink: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const stream = Buffer.concat(
      Array.from({ length: 1 + random.below(3) }, () => input(random, ANSWERS)),
    );
    const greeting = random.below(20) === 0 ? mutate(CREDS, random, ANSWERS) : CREDS;
    const cut = 1 + random.below(64);
    const link = createAgentLink({
      name: "fuzzed",
      domain,
      transport: { write: () => undefined, close: () => undefined },
    });
    try {
      link.receive(greeting.slice());
      if (greeting !== CREDS) link.closed();
      const agent = await link.opened;
      const answered = Promise.resolve(random.pick(CALLS)(agent));
      link.receive(new Uint8Array(stream.subarray(0, cut)));
      link.receive(new Uint8Array(stream.subarray(cut)));
      link.closed();
      await answered;
    } catch (cause) {
      if (cause instanceof PcpError) continue;
      throw new FuzzFinding("link", seed, iteration, hex(stream), String(cause), { cause });
    }
  }
};
