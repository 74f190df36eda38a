// `make bench`: the compiled pcpbox beside the real pmproxy, the same load on both in turn, so that
// what the machine is doing meanwhile meets both, also for the REST API (rest.ts: "REST, …"); then
// archives beside the C library (archive.ts) and extraction beside the real pmlogextract (extract.ts).
// Prints a line per figure with the ratio; asserts nothing. The load and the stand-in pmcd are C
// (load.c), because what measures must not be the limit.
//
// Time series (series.ts, discover.ts) beside pmproxy, pmseries and one Redis come then, and last archives that
// loggers push beside pmproxy 7 (push.ts), which is not needed for the rest.
//
//   bun tests/bench/run.ts [--rounds N] [--seconds S] [--only TEXT] [--json FILE] [--size MB]

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { havePeers } from "../helpers/peers.ts";
import { must, privateFolder, startDaemon, type Daemon } from "../helpers/process.ts";
import { benchAgents } from "./agents.ts";
import { archiveLine, benchArchives } from "./archive.ts";
import { benchDiscover } from "./discover.ts";
import { benchExtract, extractHead, extractLine } from "./extract.ts";
import { benchPush } from "./push.ts";
import { benchRest, type RestRow } from "./rest.ts";
import { benchSeries } from "./series.ts";

const { values: args } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    json: { type: "string" },
    // Of archives that nobody has seen: of these only as much as there is disk for.
    size: { type: "string", default: "1000" },
  },
});
const rounds = Number(args.rounds);
const seconds = args.seconds;

const root = join(import.meta.dir, "../..");
const cache = join(root, ".cache");
const load = join(cache, "load");
const REAL = "/usr/lib/pcp/bin/pmproxy";
const CONFIG = `[pmproxy]
pcp.enabled = true
http.enabled = true
redis.enabled = false
secure.enabled = false
[redis]
enabled = false
[discover]
enabled = false
[pmseries]
enabled = false
[pmsearch]
enabled = false
`;

/** One of the two programs under load, with a stand-in pmcd of its own. */
interface Subject {
  readonly name: string;
  /** The program and what makes it a proxy in the foreground. */
  readonly argv: readonly string[];
}
const SUBJECTS: readonly Subject[] = [
  { name: "pcpbox", argv: [join(root, "dist/pcpbox"), "proxy"] },
  { name: "pmproxy", argv: [REAL] },
];

/** Options that both understand: foreground, no advertisement, everything below `folder`. */
const options = (port: number, folder: string): readonly string[] =>
  `-f -A -l ${folder}/log -c ${folder}/conf -s ${folder}/socket -i 127.0.0.1 -p ${port}`.split(" ");

interface Running {
  readonly subject: string;
  readonly port: number;
  readonly pmcdPort: number;
  readonly proxy: Daemon;
  stop(): Promise<void>;
}

/** A fresh proxy and stand-in: the real one keeps every upstream connection, and they add up. */
async function start(subject: Subject): Promise<Running> {
  const folder = privateFolder("bench");
  writeFileSync(join(folder, "conf"), CONFIG);
  const port = await freePort();
  const pmcdPort = await freePort();
  const standIn = startDaemon([load, "serve", String(pmcdPort)], join(folder, "pmcd.log"));
  const proxy = startDaemon([...subject.argv, ...options(port, folder)], join(folder, "proxy.out"));
  const up = (at: number) => waitUntil(() => isListening({ host: "127.0.0.1", port: at }));
  if (!(await up(pmcdPort)) || !(await up(port))) throw new Error(`${subject.name} did not start`);
  return {
    subject: subject.name,
    port,
    pmcdPort,
    proxy,
    async stop() {
      await proxy.stop();
      await standIn.stop();
    },
  };
}

type Figures = Readonly<Record<string, number>>;

const figures = async (argv: readonly string[]): Promise<Figures> =>
  JSON.parse(await must([load, ...argv], { timeoutMs: 60_000 })) as Figures;

/** Memory of a process in bytes: `VmRSS` with the mapped pages of its executable, `RssAnon` without. */
async function memory(pid: number, which: "VmRSS" | "RssAnon"): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(new RegExp(`${which}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024;
}

/** What one figure is: a run that gives numbers, and which of them matter. */
interface Case {
  readonly name: string;
  readonly run: (subject: Running) => Promise<Figures>;
  /** Run once before it counts: a daemon is measured as it runs, not as it starts. */
  readonly warm: boolean;
  /** Figures of the run that are reported: higher or lower is better. */
  readonly report: readonly { key: string; better: "higher" | "lower"; unit: string }[];
}

const RATE = { key: "rate", better: "higher", unit: "/s" } as const;
const P50 = { key: "p50_us", better: "lower", unit: "us" } as const;
const P99 = { key: "p99_us", better: "lower", unit: "us" } as const;

const CASES: readonly Case[] = [
  ...[1, 16, 64, 256].flatMap((clients) =>
    [1, 100, 1000].map((metrics) => ({
      name: `fetch, ${clients} clients, ${metrics} metrics`,
      warm: true,
      run: ({ port, pmcdPort }: Running) =>
        figures(["rt", `${port}`, `${pmcdPort}`, `${clients}`, `${metrics}`, seconds]),
      report: [RATE, P50, P99],
    })),
  ),
  {
    name: "bulk, 4 clients, 1 MB answers",
    warm: true,
    run: ({ port, pmcdPort }) =>
      figures(["bulk", `${port}`, `${pmcdPort}`, "4", "1048576", seconds]),
    report: [{ key: "mb_s", better: "higher", unit: "MB/s" }, P99],
  },
  {
    name: "connections, 16 at a time",
    warm: true,
    run: ({ port, pmcdPort }) => figures(["connect", `${port}`, `${pmcdPort}`, "16", seconds]),
    report: [RATE],
  },
  ...[1, 16, 64].map((clients) => ({
    name: `HTTP, ${clients} clients, cheap reply`,
    warm: true,
    run: async (running: Running) => {
      const path = running.subject === "pmproxy" ? "/series/ping" : "/-/healthy";
      return figures(["http", `${running.port}`, path, `${clients}`, seconds]);
    },
    report: [RATE, P50, P99],
  })),
  {
    name: "memory",
    warm: false,
    run: async ({ port, pmcdPort, proxy }) => {
      const idle = await memory(proxy.pid, "VmRSS");
      const anonymous = await memory(proxy.pid, "RssAnon");
      const held = Bun.spawn([load, "hold", `${port}`, `${pmcdPort}`, "1000"], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      });
      const reader = held.stdout.getReader();
      await reader.read();
      await Bun.sleep(500);
      const full = await memory(proxy.pid, "VmRSS");
      held.kill();
      await held.exited;
      return {
        idle_mb: idle / 1e6,
        idle_anonymous_mb: anonymous / 1e6,
        per_connection_kb: (full - idle) / 1000 / 1000,
      };
    },
    report: [
      { key: "idle_mb", better: "lower", unit: "MB" },
      { key: "idle_anonymous_mb", better: "lower", unit: "MB" },
      { key: "per_connection_kb", better: "lower", unit: "KB" },
    ],
  },
];

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? high) + high) / 2;
};

const shown = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1);

const figureLine = (row: RestRow): string =>
  `${row.case.padEnd(34)} ${row.key.padEnd(18)} ${shown(row.pcpbox).padStart(10)} ` +
  `${shown(row.pmproxy).padStart(10)} ${row.unit.padEnd(5)} ${row.ratio.toFixed(2).padStart(6)}`;

async function main(): Promise<void> {
  mkdirSync(cache, { recursive: true });
  await must(["cc", "-O2", "-o", load, join(import.meta.dir, "load.c")]);
  if (!(await Bun.file(REAL).exists()))
    throw new Error(`${REAL} is not installed: nothing to compare with`);
  const rows: object[] = [];
  console.log(
    `${rounds} rounds of ${seconds} s each, alternating; medians; ratio > 1: pcpbox is better`,
  );
  for (const each of CASES.filter(({ name }) => name.includes(args.only))) {
    const samples = new Map<string, Figures[]>(SUBJECTS.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      // Who goes first changes, so that neither always meets what the other left behind.
      for (const subject of round % 2 === 0 ? SUBJECTS : SUBJECTS.toReversed()) {
        const running = await start(subject);
        try {
          if (each.warm) await each.run(running);
          samples.get(subject.name)?.push(await each.run(running));
        } finally {
          await running.stop();
        }
      }
    }
    for (const { key, better, unit } of each.report) {
      const of = (name: string) => median((samples.get(name) ?? []).map((one) => one[key] ?? 0));
      const [ours, real] = [of("pcpbox"), of("pmproxy")];
      const ratio = better === "higher" ? ours / real : real / ours;
      const row = { case: each.name, key, unit, pcpbox: ours, pmproxy: real, ratio };
      rows.push(row);
      console.log(figureLine(row));
    }
  }
  await benchRest({
    rounds: Math.min(rounds, 3),
    seconds: Number(seconds),
    only: args.only,
    load,
    subjects: SUBJECTS,
    config: CONFIG,
    show: (row) => {
      rows.push(row);
      console.log(figureLine(row));
    },
  });
  if ("agents".includes(args.only)) {
    console.log("\nagents: pcpbox beside pmcd with PCP's agent linux");
    await benchAgents({
      rounds: Math.min(rounds, 3),
      seconds: Number(seconds),
      load,
      pcpbox: join(root, "dist/pcpbox"),
      show: ({ pmcd, ...row }) => {
        rows.push({ ...row, pmcd });
        console.log(figureLine({ ...row, pmproxy: pmcd }));
      },
    });
  }
  if ("archives".includes(args.only)) {
    console.log("\narchives: pcpbox beside libpcp");
    await benchArchives({
      rounds: Math.min(rounds, 3),
      seconds: Math.min(Number(seconds), 0.3),
      only: "",
      show: (row) => {
        rows.push(row);
        console.log(archiveLine(row));
      },
    });
  }
  if ("extract".includes(args.only)) {
    console.log(`\nextract: pcpbox beside pmlogextract\n${extractHead}`);
    await benchExtract({
      rounds: Math.min(rounds, 3),
      only: "",
      program: join(root, "dist/pcpbox"),
      show: (row) => {
        rows.push(row);
        console.log(extractLine(row));
      },
    });
  }
  if ("series".includes(args.only)) {
    console.log("\nseries: pcpbox beside pmseries and pmproxy with one Redis");
    await benchSeries({
      rounds: Math.min(rounds, 3),
      seconds: Number(seconds),
      size: Number(args.size),
      load,
      program: join(root, "dist/pcpbox"),
      show: (row) => {
        rows.push(row);
        console.log(figureLine(row));
      },
      tell: (line) => console.log(line),
    });
    await benchDiscover({
      rounds: Math.min(rounds, 3),
      program: join(root, "dist/pcpbox"),
      show: (row) => {
        rows.push(row);
        console.log(figureLine(row));
      },
    });
  }
  if ("push".includes(args.only)) {
    console.log("\npush: pcpbox beside pmproxy 7, both taking what its loggers push");
    if (!havePeers("pcp7")) console.log("no PCP 7: left out");
    else
      await benchPush({
        rounds,
        program: join(root, "dist/pcpbox"),
        show: (row) => {
          rows.push(row);
          console.log(figureLine(row));
        },
      });
  }
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(rows, null, 2)}\n`);
}

await main();
