// What pmcd tells about itself, where we are the collector: the metrics of domain 2 that clients look
// at, with pmcd's identifiers. Values come from a table of facts that the collector keeps. Metrics
// about pmcd's own insides (its trace buffers and buffer pools) are not there.
import { readdirSync } from "node:fs";
import { arch, hostname } from "node:os";
import { ctime, asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import { type Atom, PM_SEM, PM_TYPE, unitsWord } from "../pcp/mod.ts";
import { PDU_TYPE } from "../pdu/mod.ts";
import type { AgentDefinition, InstanceRow, MetricRow } from "../pmda/mod.ts";
import type { ClientFact, ClientTable, PduCounts } from "./clients.ts";

/** Domain of pmcd's own metrics. */
export const PMCD_DOMAIN = 2;

/** One agent of the collector. */
export interface AgentFact {
  readonly domain: number;
  readonly name: string;
  /** How it is reached. */
  readonly kind: "inside" | "socket" | "pipe";
  /** As pmcd.agent.status has it (spec pmda.md 5): 0 while all is well. */
  readonly status: number;
}

/** What the collector knows about itself. */
export interface CollectorFacts {
  readonly version: string;
  readonly build: string;
  readonly agents: () => readonly AgentFact[];
  readonly clients: ClientTable;
  readonly features: {
    readonly secure: boolean;
    readonly ipv6: boolean;
    readonly accounts: boolean;
    readonly unix: boolean;
    readonly local: boolean;
    readonly certificate: boolean;
  };
  /** Context labels as JSON. */
  readonly labels: () => string;
  readonly zone: () => { readonly timezone: string; readonly zoneinfo: string | undefined };
  /** Seconds that agents have for an answer; 0: no limit. */
  readonly timeout: number;
  /** Times that the table was read again. */
  readonly reloads: () => number;
  /** Reads the table again. */
  readonly reload: () => void;
  /** Counts up with each change of the table. */
  readonly configuration: () => number;
}

const INDOM = { REGISTER: 2, AGENT: 3, CLIENT: 6, PMLOGGER: 1, PMIE: 4 } as const;
const REGISTERS = 16;
const KBYTE = unitsWord({ dimSpace: 1, scaleSpace: 1 });
const COUNT = unitsWord({ dimCount: 1 });
const MSEC = unitsWord({ dimTime: 1, scaleTime: 2 });

const AGENT_TYPE = { inside: 0, socket: 2, pipe: 4 } as const;

/** Names of PDU types in metric names, less those that pmcd does not count. */
const PDU_NAMES: readonly (readonly [keyof typeof PDU_TYPE, string])[] = [
  ["ERROR", "error"],
  ["RESULT", "result"],
  ["PROFILE", "profile"],
  ["FETCH", "fetch"],
  ["DESC_REQ", "desc_req"],
  ["DESC", "desc"],
  ["INSTANCE_REQ", "instance_req"],
  ["INSTANCE", "instance"],
  ["TEXT_REQ", "text_req"],
  ["TEXT", "text"],
  ["CONTROL_REQ", "control_req"],
  ["CREDS", "creds"],
  ["PMNS_IDS", "pmns_ids"],
  ["PMNS_NAMES", "pmns_names"],
  ["PMNS_CHILD", "pmns_child"],
  ["PMNS_TRAVERSE", "pmns_traverse"],
  ["ATTR", "auth"],
  ["LABEL_REQ", "label_req"],
  ["LABEL", "label"],
  ["HIGHRES_FETCH", "highres_fetch"],
  ["HIGHRES_RESULT", "highres_result"],
  ["DESC_IDS", "desc_ids"],
  ["DESCS", "descs"],
];

/** Items of the counters, which have a total in the middle of them. */
const TOTAL_ITEM = 16;
const pduItem = (type: number): number => {
  const at = type - PDU_TYPE.ERROR;
  return at < TOTAL_ITEM ? at : at + 1;
};

const sum = (counts: PduCounts): number => counts.reduce((all, each) => all + each, 0);

function pduRows(prefix: string, cluster: number, counts: PduCounts, verb: string): MetricRow[] {
  const row = (name: string, item: number, fetch: () => number): MetricRow => ({
    name: `pmcd.${prefix}.${name}`,
    cluster,
    item,
    type: PM_TYPE.U32,
    sem: PM_SEM.COUNTER,
    units: COUNT,
    oneline: `${name === "total" ? "all" : name.toUpperCase()} PDUs ${verb}`,
    fetch: () => fetch() >>> 0,
  });
  return [
    ...PDU_NAMES.map(([key, name]) => {
      const at = PDU_TYPE[key] - PDU_TYPE.ERROR;
      return row(name, pduItem(PDU_TYPE[key]), () => counts[at] ?? 0);
    }),
    row("total", TOTAL_ITEM, () => sum(counts)),
  ];
}

type Shape = Pick<MetricRow, "type" | "sem"> & Partial<MetricRow>;
const TEXT: Shape = { type: PM_TYPE.STRING, sem: PM_SEM.DISCRETE };
const NUMBER: Shape = { type: PM_TYPE.U32, sem: PM_SEM.INSTANT };
const SIGNED: Shape = { type: PM_TYPE.I32, sem: PM_SEM.DISCRETE };

const row = (
  name: string,
  [cluster, item]: readonly [number, number],
  shape: Shape,
  oneline: string,
  fetch: MetricRow["fetch"],
): MetricRow => ({
  name: `pmcd.${name}`,
  cluster,
  item,
  ...shape,
  oneline,
  ...(fetch === undefined ? {} : { fetch }),
});

/** How many descriptors are open, less the one that counts them. */
function openDescriptors(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length - 1;
  } catch (error) {
    // Systems without /proc have no such number.
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return undefined;
  }
}

/** Rows of one value about the collector as a whole. */
function ownRows(facts: CollectorFacts): MetricRow[] {
  return [
    row("numagents", [0, 2], NUMBER, "agents that are there", () => facts.agents().length),
    row("numclients", [0, 3], NUMBER, "clients that are there", () => facts.clients.clients.size),
    row("datasize", [0, 1], { ...NUMBER, units: KBYTE }, "memory of the collector", () =>
      Math.floor(process.memoryUsage.rss() / 1024),
    ),
    row("timezone", [0, 5], TEXT, "time zone of this machine, as TZ", () => facts.zone().timezone),
    row(
      "zoneinfo",
      [0, 26],
      TEXT,
      "time zone of this machine, by name",
      () => facts.zone().zoneinfo,
    ),
    row("simabi", [0, 6], TEXT, "processor that the collector runs on", () =>
      arch() === "x64" ? "x86_64" : arch() === "arm64" ? "aarch64" : arch(),
    ),
    row("version", [0, 7], TEXT, "release of PCP that the collector speaks", () => facts.version),
    row(
      "services",
      [0, 16],
      { ...TEXT, sem: PM_SEM.INSTANT },
      "services of PCP here",
      () => "pmcd",
    ),
    row("openfds", [0, 17], NUMBER, "open descriptors of the collector", openDescriptors),
    row("build", [0, 20], TEXT, "build of the collector", () => facts.build),
    row("hostname", [0, 21], TEXT, "name of this machine", () => hostname()),
    row(
      "sighups",
      [0, 22],
      { ...NUMBER, sem: PM_SEM.COUNTER, units: COUNT },
      "times reloaded",
      () => facts.reloads(),
    ),
    row(
      "pid",
      [0, 23],
      { type: PM_TYPE.U64, sem: PM_SEM.DISCRETE },
      "process of the collector",
      () => process.pid,
    ),
    row("seqnum", [0, 24], { ...NUMBER, sem: PM_SEM.DISCRETE }, "changes of the table", () =>
      facts.configuration(),
    ),
    row("labels", [0, 25], { ...TEXT, sem: PM_SEM.INSTANT }, "context labels of this machine", () =>
      facts.labels(),
    ),
    row(
      "cputime.total",
      [7, 0],
      { type: PM_TYPE.U64, sem: PM_SEM.COUNTER, units: MSEC },
      "processor time of the collector",
      () => {
        const { user, system } = process.cpuUsage();
        return Math.floor((user + system) / 1000);
      },
    ),
  ];
}

function featureRows({ features }: CollectorFacts): MetricRow[] {
  const flags: readonly (readonly [string, boolean])[] = [
    ["secure", features.secure],
    ["compress", false],
    ["ipv6", features.ipv6],
    ["authentication", false],
    ["creds_required", features.accounts],
    ["unix_domain_sockets", features.unix],
    ["service_discovery", false],
    ["containers", true],
    ["local", features.local],
    ["client_cert_required", features.certificate],
  ];
  return flags.map(([name, on], item) =>
    row(`feature.${name}`, [8, item], NUMBER, `whether ${name} is in use`, () => Number(on)),
  );
}

function agentRows(facts: CollectorFacts): MetricRow[] {
  const of = (domain: number): AgentFact | undefined =>
    facts.agents().find((agent) => agent.domain === domain);
  const shape: Shape = { type: PM_TYPE.U32, sem: PM_SEM.DISCRETE, indom: INDOM.AGENT };
  return [
    row("agent.type", [4, 0], shape, "how an agent is reached", (domain) => {
      const agent = of(domain);
      return agent === undefined ? undefined : AGENT_TYPE[agent.kind];
    }),
    row(
      "agent.status",
      [4, 1],
      { ...SIGNED, indom: INDOM.AGENT },
      "state of an agent",
      (domain) => of(domain)?.status,
    ),
    row(
      "agent.fenced",
      [4, 2],
      { ...NUMBER, indom: INDOM.AGENT },
      "whether an agent is fenced",
      () => 0,
    ),
    row(
      "agent.name",
      [4, 3],
      { ...TEXT, indom: INDOM.AGENT },
      "name of an agent",
      (domain) => of(domain)?.name,
    ),
  ];
}

function clientRows(facts: CollectorFacts): MetricRow[] {
  const of = (sequence: number): ClientFact | undefined =>
    [...facts.clients.clients].find((client) => client.sequence === sequence);
  const shape: Shape = { ...TEXT, indom: INDOM.CLIENT };
  return [
    {
      ...row(
        "client.whoami",
        [6, 0],
        shape,
        "what a client says about itself",
        (sequence) => of(sequence)?.whoami,
      ),
      store(value, _instance, by) {
        const own = [...facts.clients.clients].find((client) => client.number === by.context);
        if (own === undefined) throw new PcpError(PM_ERR.PERMISSION);
        own.whoami = String(value);
      },
    },
    row("client.start_date", [6, 1], shape, "when a client came", (sequence) => {
      const client = of(sequence);
      return client === undefined ? undefined : ctime(new Date(client.since));
    }),
    row(
      "client.container",
      [6, 2],
      { ...shape, sem: PM_SEM.INSTANT },
      "container that a client asks about",
      (sequence) => of(sequence)?.container,
    ),
  ];
}

const whole = (value: Atom): number => {
  const number = Number(value);
  if (!Number.isInteger(number)) throw new PcpError(PM_ERR.BADSTORE);
  return number;
};

function controlRows(facts: CollectorFacts): MetricRow[] {
  const registers = new Int32Array(REGISTERS);
  return [
    row(
      "control.timeout",
      [0, 4],
      { ...NUMBER, sem: PM_SEM.DISCRETE },
      "seconds that agents have for an answer",
      () => facts.timeout,
    ),
    {
      ...row(
        "control.register",
        [0, 8],
        { ...SIGNED, indom: INDOM.REGISTER },
        "numbers for whoever wants to leave some",
        (at) => registers[at],
      ),
      store(value, at) {
        if (at < 0 || at >= REGISTERS) throw new PcpError(PM_ERR.INST);
        registers[at] = whole(value);
      },
    },
    {
      ...row("control.sighup", [0, 15], SIGNED, "store: the table is read again", () => 0),
      store: () => facts.reload(),
    },
  ];
}

/** Metrics about loggers and inference engines of this machine, of which a collector alone has none. */
function absentRows(): MetricRow[] {
  const logger: Shape = { ...TEXT, indom: INDOM.PMLOGGER };
  const engine: Shape = { ...TEXT, indom: INDOM.PMIE };
  const count: Shape = { type: PM_TYPE.U32, sem: PM_SEM.COUNTER, indom: INDOM.PMIE, units: COUNT };
  const perSecond = unitsWord({ dimCount: 1, dimTime: -1, scaleTime: 3 });
  const none = (): undefined => undefined;
  return [
    row("pmlogger.port", [3, 0], { ...logger, type: PM_TYPE.U32 }, "port of a logger", none),
    row("pmlogger.pmcd_host", [3, 1], logger, "host that a logger asks", none),
    row("pmlogger.archive", [3, 2], logger, "archive of a logger", none),
    row("pmlogger.host", [3, 3], logger, "host of a logger", none),
    row("pmie.configfile", [5, 0], engine, "rules of an inference engine", none),
    row("pmie.logfile", [5, 1], engine, "log of an inference engine", none),
    row("pmie.pmcd_host", [5, 2], engine, "host that an inference engine asks", none),
    row("pmie.numrules", [5, 3], { ...engine, type: PM_TYPE.U32 }, "number of rules", none),
    row("pmie.actions", [5, 4], count, "rules that came true", none),
    row("pmie.eval.true", [5, 5], count, "evaluations that were true", none),
    row("pmie.eval.false", [5, 6], count, "evaluations that were false", none),
    row("pmie.eval.unknown", [5, 7], count, "evaluations without a result", none),
    row(
      "pmie.eval.expected",
      [5, 8],
      { ...engine, type: PM_TYPE.FLOAT, units: perSecond },
      "evaluations a second as wanted",
      none,
    ),
    row("pmie.eval.actual", [5, 9], count, "evaluations", none),
  ];
}

/** The agent of domain 2. */
export function pmcdAgent(facts: CollectorFacts): AgentDefinition {
  const registers = Array.from({ length: REGISTERS }, (_, id) => ({ id, name: String(id) }));
  const agents = (): InstanceRow[] =>
    facts.agents().map(({ domain, name }) => ({ id: domain, name }));
  const clients = (): InstanceRow[] =>
    [...facts.clients.clients].map(({ sequence }) => ({ id: sequence, name: String(sequence) }));
  return {
    name: "pmcd",
    metrics: [
      ...controlRows(facts),
      ...ownRows(facts),
      ...pduRows("pdu_in", 1, facts.clients.pduIn, "received"),
      ...pduRows("pdu_out", 2, facts.clients.pduOut, "sent"),
      ...absentRows(),
      ...agentRows(facts),
      ...clientRows(facts),
      ...featureRows(facts),
    ],
    indoms: [
      { serial: INDOM.PMLOGGER, instances: [], oneline: "loggers of this machine" },
      { serial: INDOM.REGISTER, instances: registers, oneline: "the registers" },
      { serial: INDOM.AGENT, instances: agents, oneline: "the agents, by domain" },
      { serial: INDOM.PMIE, instances: [], oneline: "inference engines of this machine" },
      { serial: INDOM.CLIENT, instances: clients, oneline: "the clients, in order of arrival" },
    ],
  };
}
