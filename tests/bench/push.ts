// Archives that loggers push, beside the real pmproxy 7: the same archive by the real pmlogpush, which waits
// for each reply before it sends more, into both in turn; ours also with its catalogue of archives, which
// has to follow what grows. Then one pmlogger that records every second, for as long. Counts seconds and
// processor time of the proxies. Asserts nothing but that the files are as long as those that were sent.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Proxy, runIn, startProxyProgram } from "../helpers/pcp.ts";
import { pcp7, startPmcd7, startPmproxy7 } from "../helpers/pcp7.ts";
import { privateFolder } from "../helpers/process.ts";
import { makeSeconds } from "./archive-make.ts";
import type { RestRow } from "./rest.ts";

export interface PushBench {
  readonly rounds: number;
  /** Our program. */
  readonly program: string;
  readonly show: (row: RestRow) => void;
}

/** Records of the archive that is pushed, 8.6 KB each; pmlogpush cuts them into bodies of 8 KiB. */
const RECORDS = 12_000;
/** Seconds for which pmlogger records, and from which on that counts: it begins with all metadata. */
const LOGGED = 30;
const SETTLED = 12;
const PMLOGGER = "/usr/lib/pcp/bin/pmlogger";
/** What a host is usually asked for, some 1000 values with processes left out. */
const LOGGED_METRICS =
  "log mandatory on 1 sec { kernel\nmem\ndisk\nnetwork\nvfs\nswap\nfilesys\n}\n";

const PLAIN = `[pmproxy]
pcp.enabled = true
http.enabled = true
resp.enabled = false
[discover]
enabled = false
[pmsearch]
enabled = false
[pmseries]
enabled = false
`;
const catalogued = (folder: string): string => `[pmproxy]
pcp.enabled = true
http.enabled = true
[pmseries]
store = embedded
catalogue = ${join(folder, "catalogue.sqlite")}
[discover]
path = ${join(folder, "none")}
[record]
enabled = false
`;

const median = (numbers: readonly number[]): number => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
};

/** Where a proxy keeps what is pushed. */
const placeOf = ({ logFile }: Proxy): string => join(dirname(logFile), "pmproxy");

/** Processor time of a process so far, seconds. */
function cpuOf({ daemon }: Proxy): number {
  const stat = readFileSync(`/proc/${daemon.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Bytes of all data volumes below a directory. */
function volumeBytes(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" }))
    if (/\.\d+$/.test(name)) bytes += statSync(join(directory, name)).size;
  return bytes;
}

interface Figures {
  readonly seconds: number;
  readonly cpu: number;
}

/** Runs a program, and measures from so many seconds on. */
async function measured(proxy: Proxy, argv: readonly string[], from = 0): Promise<Figures> {
  const running = runIn(pcp7, argv, { timeoutMs: 300_000 });
  if (from > 0) await Bun.sleep(from * 1000);
  const before = cpuOf(proxy);
  const start = performance.now();
  const { status, stderr } = await running;
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${argv[0]}: ${status} ${stderr}`);
  return { seconds, cpu: cpuOf(proxy) - before };
}

/** Sends the archive once and forgets it; the time of a program in a root of its own is in it. */
async function pushed(proxy: Proxy, base: string): Promise<Figures> {
  const port = String(proxy.port);
  const figures = await measured(proxy, ["pmlogpush", "-h", "127.0.0.1", "-p", port, base]);
  const [there, sent] = [volumeBytes(placeOf(proxy)), statSync(`${base}.0`).size];
  if (there !== sent) throw new Error(`${there} bytes of ${sent}`);
  for (const name of readdirSync(placeOf(proxy))) rmSync(join(placeOf(proxy), name), FOREVER);
  return figures;
}
const FOREVER = { recursive: true, force: true } as const;

type Which = "plain" | "catalogued" | "real";
const WHICH: readonly Which[] = ["plain", "catalogued", "real"];
/** A daemon is measured as it runs, not as it starts. */
const WARM = 2;

/** Runs everything; see the head of this file. */
export async function benchPush({ rounds, program, show }: PushBench): Promise<void> {
  const folder = privateFolder("bench-push");
  const base = join(folder, "archive");
  makeSeconds(base, RECORDS);
  mkdirSync(join(folder, "none"));
  const ours = (conf: string): Promise<Proxy> =>
    startProxyProgram(pcp7, (argv) => [program, "proxy", ...argv], { conf });
  const proxies: Record<Which, Proxy> = {
    plain: await ours(PLAIN),
    catalogued: await ours(catalogued(folder)),
    real: await startPmproxy7({ conf: PLAIN }),
  };
  const found: Record<Which, Figures[]> = { plain: [], catalogued: [], real: [] };
  const run = async (body: (proxy: Proxy) => Promise<Figures>, times: number): Promise<void> => {
    for (let round = 0; round < times; round++)
      for (let turn = 0; turn < WHICH.length; turn++) {
        // Each follows another one every time: what one leaves to be written is in the way of the next.
        const which = WHICH[(round + turn * (round % 2 === 0 ? 1 : 2)) % WHICH.length] ?? "plain";
        found[which].push(await body(proxies[which]));
      }
  };
  const report = (name: string, key: string, unit: string, of: (each: Figures) => number): void => {
    const pmproxy = median(found.real.map(of));
    for (const which of ["plain", "catalogued"] as const) {
      const pcpbox = median(found[which].map(of));
      const ratio = pmproxy / pcpbox;
      show({ case: `${name}, ${which}`, key, unit, pcpbox, pmproxy, ratio });
    }
  };
  const forget = (): void => WHICH.forEach((which) => (found[which].length = 0));

  await run((proxy) => pushed(proxy, base), WARM);
  forget();
  await run((proxy) => pushed(proxy, base), rounds);
  const size = Math.round(statSync(`${base}.0`).size / 1e6);
  report(`push, ${size} MB`, "time", "s", ({ seconds }) => seconds);
  report(`push, ${size} MB`, "cpu", "ms", ({ cpu }) => cpu * 1000);

  forget();
  const pmcd = await startPmcd7({ agents: ["linux"] });
  const config = join(folder, "config");
  writeFileSync(config, LOGGED_METRICS);
  const argv = [PMLOGGER, "-h", `localhost:${pmcd.port}`, "-c", config, "-T", `${LOGGED}sec`];
  await run(
    (proxy) => measured(proxy, [...argv, "-l", join(folder, "log"), urlOf(proxy)], SETTLED),
    1,
  );
  report("push, a pmlogger at 1 s", "cpu", "ms/s", ({ cpu, seconds }) => (cpu * 1000) / seconds);
  await pmcd.stop();
  for (const which of WHICH) await proxies[which].stop();
}

const urlOf = ({ port }: Proxy): string => `http://127.0.0.1:${port}`;
