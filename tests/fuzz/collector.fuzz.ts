// Fuzzes what strangers send to a collector, and the tables that it reads. The promises: a session
// answers with whole PDUs or drops the client, and never throws; access rules and agents.toml are read
// or refused with one PcpError.
import { PcpError } from "../../lib/base/mod.ts";
import { createAccessControl, parseAccess } from "../../lib/collector/access.ts";
import { parseAgentsToml } from "../../lib/collector/agents-toml.ts";
import { createClientTable } from "../../lib/collector/clients.ts";
import { contextLabels } from "../../lib/collector/context-labels.ts";
import { createRouter } from "../../lib/collector/router.ts";
import { createSession } from "../../lib/collector/session.ts";
import { type Names, namesFrom, type Pmid, pmidBuild } from "../../lib/pcp/mod.ts";
import { createFramer, decodePdu, encodePdu, encodeProfile } from "../../lib/pdu/mod.ts";
import { makeAgent } from "../../lib/pmda/mod.ts";
import { trivial } from "../../lib/pmda/agents/trivial.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

const PMID: Pmid = pmidBuild(250, 0, 0);
const from = 0;
/** A well-behaved client. */
const REQUESTS: readonly Uint8Array[] = [
  encodeProfile(0, 0, 0, []),
  encodePdu({ kind: "highres-fetch", from, context: 0, pmids: [PMID] }),
  encodePdu({ kind: "fetch", from, context: 0, pmids: [PMID, PMID] }),
  encodePdu({ kind: "desc-req", from, pmid: PMID }),
  encodePdu({ kind: "desc-ids", from, pmids: [PMID] }),
  encodePdu({ kind: "text-req", from, ident: PMID, type: 5 }),
  encodePdu({ kind: "label-req", from, ident: PMID, type: 16 }),
  encodePdu({ kind: "pmns-names", from, names: ["trivial.time", "no.such"] }),
  encodePdu({ kind: "pmns-ids", from, status: 0, pmids: [PMID] }),
  encodePdu({ kind: "pmns-child", from, subtype: 1, name: "trivial" }),
  encodePdu({ kind: "pmns-traverse", from, subtype: 0, name: "" }),
];
/** Pieces that are put in. */
const SPARE: readonly Uint8Array[] = [Buffer.from("\0\0\0\x10"), Buffer.from('",;[]*:')];
const creds = (flags: number): Uint8Array =>
  encodePdu({ kind: "creds", from, credentials: [{ type: 1, version: 2, flags }] });

function routerOfTrivial() {
  const agent = makeAgent(trivial(), { domain: 250 });
  const names: Names = namesFrom([{ name: "trivial.time", pmid: PMID }]);
  return createRouter({
    knows: (domain) => domain === 250,
    find: () => agent,
    agents: [agent],
    names: () => names,
    raise() {},
    changesSince: (seen) => ({ bits: 0, seen }),
  });
}

async function converse(random: Random, sent: Uint8Array[]): Promise<void> {
  const framer = createFramer();
  let closed = false;
  const session = createSession(
    {
      host: { kind: "unix" },
      send(bytes) {
        framer.feed(bytes);
        return true;
      },
      hold() {},
      close() {
        closed = true;
      },
    },
    {
      router: routerOfTrivial(),
      clients: createClientTable(),
      access: createAccessControl([], {
        addresses: () => [],
        uid: () => undefined,
        gid: () => undefined,
      }),
      contextLabels: () => contextLabels({ env: {} }),
    },
  );
  const opening = creds(random.below(4) === 0 ? random.below(65536) : 0);
  sent.push(random.below(8) === 0 ? mutate(opening, random, SPARE) : opening);
  for (let at = random.below(6); at >= 0; at--) {
    const request = random.pick(REQUESTS);
    sent.push(random.below(2) === 0 ? request : mutate(request, random, SPARE));
  }
  const stream = Buffer.concat(sent);
  for (let at = 0; at < stream.length && !closed;) {
    const size = 1 + random.below(64);
    session.receive(new Uint8Array(stream.subarray(at, at + size)));
    at += size;
  }
  await Promise.resolve();
  session.end();
  for (const reply of framer) decodePdu(reply);
  framer.end();
}

/** Fuzzes sessions of clients. */
export const fuzzSessions: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const sent: Uint8Array[] = [];
    try {
      await converse(random, sent);
    } catch (error) {
      const input = sent.map((pdu) => Buffer.from(pdu).toString("hex")).join(" ");
      throw new FuzzFinding("collector", seed, iteration, input, String(error), { cause: error });
    }
  }
};

const ACCESS = 'allow hosts "local:*", 10.* : all except store, maximum 3 connections;\n';
const TOML = '[[agent]]\nname = "x"\ndso = "/x.so"\ninit = "x"\ndomain = 3\nargs = ["a"]\n';
const TABLES: readonly (readonly [string, (text: string) => unknown])[] = [
  [ACCESS, (text) => parseAccess(text, "f")],
  [TOML, (text) => parseAgentsToml(text, "f")],
];

/** Fuzzes the tables of a collector. */
export const fuzzTables: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const [base, read] = random.pick(TABLES);
    const text = Buffer.from(mutate(Buffer.from(base), random, SPARE)).toString("latin1");
    try {
      read(text);
    } catch (error) {
      if (error instanceof PcpError) continue;
      throw new FuzzFinding("tables", seed, iteration, text, String(error), { cause: error });
    }
  }
  return Promise.resolve();
};
