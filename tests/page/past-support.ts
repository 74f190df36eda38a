// A server of the page over archives that the tests know: a day's part of two disks' worth of counters,
// with a gap, a reset, many instances, a string that changes; beside it awkward names. What it answers can
// be disturbed.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ArchiveWriter, PM_TEXT } from "../../lib/archive/mod.ts";
import { createPage } from "../../lib/page/mod.ts";
import {
  type Desc,
  indomBuild,
  pmidBuild,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  type ResultInit,
  unitsWord,
  UTC,
} from "../../lib/pcp/mod.ts";
import { openEmbeddedSeries } from "../../lib/catalogue/mod.ts";
import { createSeriesApi } from "../../lib/web/mod.ts";

/** Time of the first record, seconds: a midnight in UTC. */
export const START = 1_709_251_200;
export const HOURS = 6;
/** Seconds between two records. */
export const EVERY = 10;
/** No records from here, for half an hour; then all counters begin anew. */
export const GAP_AT = START + 2 * 3600;
export const GAP_END = GAP_AT + 1800;
export const DISKS = 12;

const CPU = indomBuild(60, 2);
const DEV = indomBuild(60, 1);
const POOL = indomBuild(61, 1);
const KBYTE = { dimSpace: 1, scaleSpace: 1 };
const desc = (item: number, type: number, sem: number, more: Partial<Desc> = {}): Desc => ({
  pmid: pmidBuild(60, 0, item),
  type: type as Desc["type"],
  indom: PM_INDOM_NULL,
  sem,
  units: 0,
  ...more,
});
const READ = desc(1, PM_TYPE.U64, PM_SEM.COUNTER, { indom: DEV, units: unitsWord(KBYTE) });
const LOAD = desc(2, PM_TYPE.FLOAT, PM_SEM.INSTANT, { indom: CPU });
const USED = desc(3, PM_TYPE.U64, PM_SEM.INSTANT, { units: unitsWord(KBYTE) });
const STATE = desc(4, PM_TYPE.STRING, PM_SEM.DISCRETE);

const SESSIONS = desc(5, PM_TYPE.U32, PM_SEM.INSTANT, { indom: POOL });
/** Instances of a metric with many, which is recorded each ten minutes. */
export const POOLS = 600;

/** Kbyte that disk number `disk` reads in a second. */
export const rateOfDisk = (disk: number): number => 100 * (disk + 1);

function record(time: number): ResultInit {
  const since = time < GAP_AT ? START : GAP_END;
  const disks = Array.from({ length: DISKS }, (_, disk) => disk);
  const hour = (time - START) / 3600;
  const pools = Array.from({ length: time % 600 === 0 ? POOLS : 0 }, (_, pool) => pool);
  const many = { pmid: SESSIONS.pmid, type: SESSIONS.type, instances: pools, values: pools };
  return {
    timestamp: { sec: time, nsec: 90_046_000 },
    sets: [
      ...(pools.length === 0 ? [] : [many]),
      {
        pmid: READ.pmid,
        type: READ.type,
        instances: disks,
        values: disks.map((disk) => BigInt(Math.round((time - since) * rateOfDisk(disk)))),
      },
      {
        pmid: LOAD.pmid,
        type: LOAD.type,
        instances: [1, 5, 15],
        values: [1, 5, 15].map((minutes) => 2 + Math.sin(hour * 4 - minutes / 10) + minutes / 30),
      },
      { pmid: USED.pmid, type: USED.type, instances: [-1], values: [BigInt(8e6 + time - START)] },
      {
        pmid: STATE.pmid,
        type: STATE.type,
        instances: [-1],
        values: [hour < 1 ? "starting" : hour < 5 ? 'ready, "warm"' : "<b>wörn</b>"],
      },
    ],
  };
}

/** Writes the archive of host db1. */
export function writePast(base: string): void {
  const label = { version: 3, pid: 1, host: "db1", timezone: "UTC", zoneinfo: "" } as const;
  const writer = new ArchiveWriter({ base, label });
  const metrics = [
    [READ, "disk.dev.read_bytes", "Kbytes read from each disk"],
    [LOAD, "kernel.all.load", "1, 5 and 15 minute load average"],
    [USED, "mem.util.used", "used memory"],
    [SESSIONS, "app.sessions", "sessions of each pool"],
    [STATE, "app.state", "what the application says of itself"],
  ] as const;
  for (const [each, name, text] of metrics) {
    writer.describe(each, [name]);
    const type = PM_TEXT.PMID | PM_TEXT.ONELINE;
    writer.setText({ kind: "text", type, ident: each.pmid, text });
  }
  const disks = Array.from(
    { length: DISKS },
    (_, disk) => [disk, `sd${"abcdefghijkl"[disk]}`] as const,
  );
  writer.setInstances(DEV, disks);
  writer.setInstances(
    POOL,
    Array.from({ length: POOLS }, (_, pool) => [pool, `pool ${pool}`] as const),
  );
  writer.setInstances(CPU, [
    [1, "1 minute"],
    [5, "5 minute"],
    [15, "15 minute"],
  ]);
  for (let time = START; time <= START + HOURS * 3600; time += EVERY) {
    if (time === GAP_AT) writer.mark({ sec: GAP_AT, nsec: 0 });
    if (time < GAP_AT || time >= GAP_END) writer.append(record(time));
  }
  writer.finish();
}

/** A server under test. */
export interface PastServer {
  readonly port: number;
  readonly folder: string;
  /** Answers instead; undefined: nothing is disturbed. */
  disturb: ((path: string) => Response | Promise<Response> | undefined) | undefined;
  stop(): Promise<void>;
}

/** What the live part of the page asks, in short: a host without metrics. */
function live(path: string): Response {
  if (path === "/pmapi/context") {
    return Response.json({ context: 1, source: "0", hostspec: "db1", labels: {} });
  }
  if (path === "/pmapi/fetch") return Response.json({ timestamp: Date.now() / 1000, values: [] });
  if (path === "/pmapi/children") return Response.json({ leaf: [], nonleaf: [] });
  return Response.json({ metrics: [] });
}

/** Starts a server over the archives, or over none; it writes texts as JSON has them, or as PCP does. */
export async function startPastServer(
  options: { readonly isEmpty?: boolean; readonly quoting?: "json" | "pcp" } = {},
): Promise<PastServer> {
  const { isEmpty = false, quoting = "json" } = options;
  const folder = mkdtempSync(join(tmpdir(), "past-"));
  const service = openEmbeddedSeries({ catalogue: ":memory:", search: true, zone: UTC });
  if (!isEmpty) {
    writePast(join(folder, "db1"));
    for (const suffix of ["0", "index", "meta"])
      cpSync(
        join(import.meta.dir, `../fixtures/series/archives/edge.${suffix}`),
        join(folder, `edge.${suffix}`),
      );
    await service.load(`{source.path=="${folder}"}`);
  }
  const api = createSeriesApi({ service: () => service, quoting });
  const page = createPage();
  const replied = async (request: Request, path: string, query: string): Promise<Response> => {
    const seen = {
      method: request.method,
      path,
      ...(query === "" ? {} : { query }),
      body: await request.bytes(),
      header: (name: string) => request.headers.get(name) ?? undefined,
    };
    const reply = await (page.answer(seen) ?? api.answer(seen));
    if (reply === undefined) return new Response("<b>Error</b>: no handler<p>", { status: 400 });
    const { status, type, headers = {} } = reply;
    const body = reply.body as string | Uint8Array<ArrayBuffer> | ReadableStream;
    return new Response(body, { status, headers: { "Content-Type": type, ...headers } });
  };
  const answer = async (request: Request): Promise<Response> => {
    const url = new URL(request.url);
    const { pathname: path } = url;
    if (path.startsWith("/pmapi/")) return live(path);
    if (path === "/-/status") return Response.json({ series: service.status(), record: {} });
    if (path === "/") return replied(request, path, "");
    const other = server.disturb?.(path + url.search);
    if (other !== undefined) return other;
    return replied(request, path, url.search.slice(1));
  };
  const http = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 60, fetch: answer });
  const server: PastServer = {
    port: http.port ?? 0,
    folder,
    disturb: undefined,
    async stop() {
      await http.stop(true);
      await api.close();
      await service.close();
      rmSync(folder, { recursive: true });
    },
  };
  return server;
}
