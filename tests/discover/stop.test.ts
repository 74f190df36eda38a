// Goal: the program that is told to end while it catalogues, by discovery or by a load, ends at once and leaves
// nothing half written: what it had put in is there, and the next one goes on with the rest.
import { expect, test } from "bun:test";
import { copyFileSync, linkSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { rescan } from "../../lib/catalogue/follow.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";
import { makeStage, program, type Stage } from "../proxy-command/stage.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives/rec");
const NAMES = ["v2-dyn", "v3-dyn", "v3-dyn-721", "v3-types", "v3-labels-721"];
const HOSTS = 10;
const EACH = 40;
const ALL = HOSTS * EACH;
const LIMIT = 300_000;
const ROUNDS = 2;

/** A directory with all of them. */
function filled(): string {
  const folder = privateFolder("stop");
  const directory = join(folder, "archives");
  for (const name of NAMES)
    for (const part of ["0", "index", "meta"])
      copyFileSync(join(ARCHIVES, `${name}.${part}`), join(folder, `${name}.${part}`));
  for (let host = 0; host < HOSTS; host++) {
    const place = join(directory, `host${host}`);
    mkdirSync(place, { recursive: true });
    for (let each = 0; each < EACH; each++)
      for (const part of ["0", "index", "meta"]) {
        const name = NAMES[each % NAMES.length] ?? "";
        linkSync(join(folder, `${name}.${part}`), join(place, `a${each}.${part}`));
      }
  }
  return directory;
}

/** What a catalogue has of each archive. */
function contentOf({ database }: Catalogue): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>();
  const rows = database
    .query<{ path: string; what: string }, []>(
      `SELECT path, stamp || host || begin || complete || coalesce(problem, '') AS what FROM archive
       UNION ALL SELECT archive.path, series.hash || series.name FROM holds
       JOIN series ON series.id = holds.series JOIN archive ON archive.id = holds.archive
       UNION ALL SELECT archive.path, series.hash || instance.hash FROM holds
       JOIN series ON series.id = holds.series JOIN archive ON archive.id = holds.archive
       JOIN slot ON slot.slots = holds.slots JOIN instance ON instance.id = slot.instance
       ORDER BY 1, 2`,
    )
    .all();
  for (const { path, what } of rows) found.set(path, [...(found.get(path) ?? []), what]);
  return found;
}

const directory = filled();
const calm = openCatalogue(":memory:");
let whole: Map<string, unknown[]> | undefined;

/** Checks that each archive that a file has is whole, and says how many it has. */
async function checked(file: string): Promise<number> {
  if (whole === undefined) {
    await rescan(calm, [directory]);
    whole = contentOf(calm);
    expect(whole.size).toBe(ALL);
  }
  const catalogue = openCatalogue(file);
  expect(catalogue.database.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
  const content = contentOf(catalogue);
  catalogue.close();
  for (const [path, what] of content) expect(what).toEqual(whole.get(path) ?? []);
  return content.size;
}

interface Discovered {
  readonly discovery?: {
    readonly complete: boolean;
    readonly archives: Record<"found" | "read" | "waiting", number>;
  };
}

async function statusOf({ port }: Stage): Promise<Discovered["discovery"]> {
  const answer = await fetch(`http://127.0.0.1:${port}/-/status`);
  return ((await answer.json()) as Discovered).discovery;
}

const serve = (stage: Stage, log: string) =>
  stage.serve(
    ["-f", "-A", "-p", String(stage.port), "-l", stage.path(log)],
    { PCP_PMSERIES_CATALOGUE: stage.path("series.sqlite"), PCP_DISCOVER_PATH: directory },
    log,
  );

test(
  "while it discovers",
  async () => {
    const stage = await makeStage();
    const file = stage.path("series.sqlite");
    let before = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const daemon = await serve(stage, `work/log${round}`);
      // What was there before is not read again.
      const some = async (): Promise<boolean> => {
        const { complete = false, archives } = (await statusOf(stage)) ?? {};
        return complete || (archives?.waiting ?? 0) > 0;
      };
      expect(await waitUntil(some, daemon.alive)).toBe(true);
      daemon.signal("SIGTERM");
      expect(await daemon.ended).toBe(0);
      const now = await checked(file);
      expect(now).toBeGreaterThanOrEqual(before);
      before = now;
    }
    const daemon = await serve(stage, "work/log");
    const done = async (): Promise<boolean> => (await statusOf(stage))?.complete === true;
    expect(await waitUntil(done, daemon.alive)).toBe(true);
    expect((await statusOf(stage))?.archives).toMatchObject({ found: ALL, read: ALL - before });
    daemon.signal("SIGTERM");
    expect(await daemon.ended).toBe(0);
    expect(await checked(file)).toBe(ALL);
  },
  LIMIT,
);

test(
  "while it loads",
  async () => {
    const stage = await makeStage();
    const file = stage.path("series.sqlite");
    const env = { ...stage.env, PCP_PMSERIES_CATALOGUE: file };
    const load = startDaemon([...program, "--load", directory], stage.path("console"), {
      cwd: stage.path("work"),
      env,
    });
    const some = (): boolean => {
      const catalogue = openCatalogue(file, { check: false });
      const { length } = catalogue.archives();
      catalogue.close();
      return length > 0;
    };
    expect(await waitUntil(some, load.alive)).toBe(true);
    load.signal("SIGTERM");
    await load.ended;
    expect(await checked(file)).toBeGreaterThan(0);
    const { status, stderr } = await stage.proxy(["--load", directory], env);
    expect([status, stderr]).toEqual([0, ""]);
    expect(await checked(file)).toBe(ALL);
  },
  LIMIT,
);
