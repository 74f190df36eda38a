// The client programs whose output through the proxy must equal that of a direct run, as one table.
// Metrics are those of the sample agent that never vary; what does vary (times, process ids, the host
// specification in messages) is replaced by a word before the comparison.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runIn } from "../helpers/pcp.ts";
import type { Peer } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import type { Way } from "./routes.ts";

/** What is compared. */
export interface Observation {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

/** One program with its arguments. */
export interface ClientCase {
  readonly name: string;
  /** Peers that are needed when it is run in PCP 6. */
  readonly peers6: readonly Peer[];
  /** Its exit status in a direct run, so that a case that fails everywhere is no success. */
  readonly status: number;
  /** A text its output must have, for the same reason. */
  readonly says: string;
  readonly observe: (way: Way) => Promise<Observation>;
}

/** Branches of the sample agent with all types, instances, errors per metric, and constant values. */
const constant = [
  ["sample.long.one", "sample.long.million", "sample.long.bin", "sample.ulong.count"],
  ["sample.longlong.million", "sample.ulonglong.million", "sample.float.bin", "sample.double.bin"],
  ["sample.string.hullo", "sample.string.null", "sample.string.bin", "sample.aggregate.hullo"],
  ["sample.hordes", "sample.bin", "sample.part_bin", "sample.bogus_bin", "sample.noinst"],
  ["sample.bad.nosupport", "sample.bad.novalues", "sample.error_code", "sample.secret"],
  ["sample.needprofile", "sample.bigid", "sample.ghosts", "sample.dupnames.three.bin"],
].flat();

/** Replaces the host specification, times of day, dates, process ids, and the list of running loggers (InDom 2.1). */
export function settle(text: string, spec: string): string {
  return text
    .replaceAll(spec, "HOST")
    .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?/g, "WHEN")
    .replace(/\b\d\d:\d\d:\d\d(\.\d+)?/g, "WHEN")
    .replace(/\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d WHEN( \d{4})?/g, "WHEN")
    .replace(/^InDom: 2\.1\n[^]*?(?=^InDom:|\n\n|(?![^]))/gm, "")
    .replace(/\((\d+)\) (Info|Error|Warning|Alert):/g, "(PID) $2:");
}

interface ProgramOptions {
  readonly says?: string;
  readonly status?: number;
  readonly peers6?: readonly Peer[];
  readonly stdin?: string;
  readonly settle?: (text: string) => string;
}

/** A case that runs one program; `HOST` among the arguments stands for the host specification. */
function program(name: string, argv: readonly string[], options: ProgramOptions = {}): ClientCase {
  return {
    name,
    peers6: options.peers6 ?? [],
    status: options.status ?? 0,
    says: options.says ?? "sample.",
    observe: async ({ tree, spec, env }) => {
      const words = argv.map((word) => (word === "HOST" ? spec : word));
      const run = { env, ...(options.stdin === undefined ? {} : { stdin: options.stdin }) };
      const result = await runIn(tree, words, run);
      const clean = (text: string) => (options.settle ?? ((same) => same))(settle(text, spec));
      return { ...result, stdout: clean(result.stdout), stderr: clean(result.stderr) };
    },
  };
}

const pmrep = ["/usr/bin/python3", "/usr/bin/pmrep", "-h", "HOST", "-s", "2", "-t", "0.1"];
const pmval = ["pmval", "-h", "HOST", "-s", "2", "-t", "0.1"];
const needsPython = { peers6: ["pcp6-python"] } as const;

/** A Python program that calls most of PMAPI; handed over as text because a root may not see this folder. */
const pmapiProgram = readFileSync(join(import.meta.dir, "pmapi-client.py"), "utf8");

const loggerConfiguration = `log mandatory on 100 msec {
  sample.long.one
  sample.bin
  sample.string.hullo
  sample.double.bin
  sample.hordes.one
}
`;

/** A recording of three samples, checked and printed. Its label and the pmcd metrics of its first record vary. */
const pmlogger: ClientCase = {
  name: "pmlogger, then pmlogcheck and pmdumplog",
  peers6: [],
  status: 0,
  says: "sample.string.hullo",
  observe: async ({ tree, spec, env }) => {
    const folder = privateFolder("archive");
    const archive = join(folder, "recording");
    await Bun.write(join(folder, "config"), loggerConfiguration);
    const log = join(folder, "pmlogger.log");
    const run = (argv: readonly string[]) => runIn(tree, argv, { env });
    const logger = ["pmlogger", "-h", spec, "-c", join(folder, "config"), "-s", "3", "-y"];
    const results = [
      await run([...logger, "-l", log, archive]),
      await run(["pmlogcheck", archive]),
      await run(["pmdumplog", "-d", "-i", archive]),
      await run(["pmdumplog", archive, "sample"]),
    ];
    const clean = (text: string) => settle(text.replaceAll(folder, "FOLDER"), spec);
    const texts = results.map(({ stdout }) => clean(stdout));
    const lines = clean(readFileSync(log, "utf8")).split("\n");
    const told = lines.filter((line) => !line.startsWith("preprocessor cmd"));
    return {
      stdout: [...texts, ...told].join("\n"),
      stderr: results.map(({ stderr }) => clean(stderr)).join(""),
      status: results.find(({ status }) => status !== 0)?.status ?? 0,
    };
  },
};

/** Every case. */
export const clients: readonly ClientCase[] = [
  program("pminfo -f", ["pminfo", "-h", "HOST", "-f", ...constant], { says: "value 1000000" }),
  program("pminfo -t", ["pminfo", "-h", "HOST", "-t", "sample", "pmcd"], { says: "[" }),
  program("pminfo -T", ["pminfo", "-h", "HOST", "-T", "sample.long", "sample.bin"], {
    says: "Help:",
  }),
  program("pminfo -l", ["pminfo", "-h", "HOST", "-l", ...constant], { says: "labels {" }),
  program("pminfo -m", ["pminfo", "-h", "HOST", "-m"], { says: "PMID: 29.0.10" }),
  program("pminfo -d", ["pminfo", "-h", "HOST", "-d"], { says: "Semantics" }),
  program("pminfo -I", ["pminfo", "-h", "HOST", "-I", ...constant], { says: "InDom: " }),
  program("pminfo -s", ["pminfo", "-h", "HOST", "-s", ...constant], { says: "Series: " }),
  program("pminfo -f, one metric a request", [
    "pminfo",
    "-h",
    "HOST",
    "-f",
    "-b",
    "1",
    "sample.long",
    "sample.hordes",
  ]),
  program("pminfo of an unknown metric", ["pminfo", "-h", "HOST", "-f", "no.such"], {
    status: 1,
    says: "Unknown metric name",
  }),
  program(
    "pminfo -f of varying metrics, digits hidden",
    ["pminfo", "-h", "HOST", "-f", "sample.colour", "sample.milliseconds", "pmcd.pid"],
    { settle: (text) => text.replace(/-?\d+(\.\d+)?(e[+-]\d+)?/g, "N") },
  ),
  program("pmprobe -v", ["pmprobe", "-h", "HOST", "-v", ...constant]),
  program("pmprobe -I", ["pmprobe", "-h", "HOST", "-I", ...constant], { says: "bin-900" }),
  program("pmprobe -i", ["pmprobe", "-h", "HOST", "-i", ...constant]),
  program("pmval of one value", [...pmval, "sample.long.ten"], { says: "10" }),
  program("pmval of instances", [...pmval, "sample.bin"], { says: "bin-900" }),
  program("pmval -i", [...pmval, "-i", "bin-100,bin-300", "sample.bin"], { says: "bin-300" }),
  program("pmrep", [...pmrep, "sample.long.ten", "sample.bin", "sample.string.hullo"], {
    ...needsPython,
    says: "s.l.ten",
  }),
  program("pmrep -o csv", [...pmrep, "-o", "csv", "sample.long.ten", "sample.double.bin"], {
    ...needsPython,
    says: "bin-900",
  }),
  program("pmie", ["pmie", "-h", "HOST", "-t", "0.1", "-T", "0.25", "-v"], {
    stdin: "total = sample.long.one + sample.long.ten;\nbins = count_inst sample.bin > 300;\n",
    says: "total: 11",
  }),
  program("python pmapi", ["/usr/bin/python3", "-c", pmapiProgram, "HOST"], {
    ...needsPython,
    says: "sample.string.hullo",
  }),
  pmlogger,
];
