// Goal: the embedded store gives the answers that a key server gives into which the same archives were
// loaded: the recorded questions, over both, have the same answers.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { embeddedStore } from "../../lib/catalogue/store.ts";
import { surveyArchive } from "../../lib/catalogue/survey.ts";
import type { SeriesStore } from "../../lib/series/mod.ts";
import { skipAloud, testWith } from "../helpers/peers.ts";
import edgeDump from "../fixtures/series/edge.dump-7.2.1.json";
import tailDump from "../fixtures/series/omnibus_tail.dump-7.2.1.json";
import commandLines from "../fixtures/series/queries-cli.json";
import edgeLines from "../fixtures/series/queries-edge.json";
import zeroDump from "../fixtures/series/zero_disk_activity.dump-7.2.1.json";
import { type Dump, dumpStore } from "../series/dump-store.ts";
import { runPmseries } from "../series/pmseries.ts";

// A busy machine takes long.
setDefaultTimeout(300_000);

const FIXTURES = join(import.meta.dir, "../fixtures/series/archives");
const SUITE = "/var/lib/pcp/testsuite/archives";
const TAIL_FROM = "@2022-04-03 16:51:00";
const NOW = { sec: 1_800_000_000, nsec: 0 };

/** A store over archives. */
function storeOf(archives: readonly string[]): SeriesStore {
  const catalogue = openCatalogue(":memory:");
  for (const path of archives) catalogue.put(path, "as it is", surveyArchive(path));
  return embeddedStore(catalogue);
}

/** Lines in any order: the order of many answers is that of a hash. */
const unordered = (text: string): readonly string[] =>
  text
    .split("\n")
    .flatMap((line) => line.split(/, |: /))
    .map((each) => each.trim())
    .sort();

async function compare(
  ours: SeriesStore,
  theirs: SeriesStore,
  lines: readonly { readonly argv: readonly string[] }[],
  /** Where the archives are, which are in /srv/archives in the recordings. */
  folder: string,
): Promise<number> {
  let taken = 0;
  for (const { argv } of lines) {
    if (argv.includes("-L") || argv.includes("-V")) continue;
    const wanted = await runPmseries(theirs, argv, NOW);
    const own = argv.map((each) => each.replaceAll("/srv/archives", folder));
    const got = await runPmseries(ours, own, NOW);
    const line = argv.join(" ");
    const place = (outcome: typeof got) => ({
      line,
      exit: outcome?.exit,
      stderr: unordered(outcome?.stderr ?? ""),
      stdout: unordered((outcome?.stdout ?? "").replaceAll(folder, "/srv/archives")),
    });
    expect(place(got)).toEqual(place(wanted));
    taken++;
  }
  return taken;
}

describe("the same answers as a key server", () => {
  test("over awkward names, labels and values", async () => {
    const lines = edgeLines.queries;
    const theirs = dumpStore([edgeDump as unknown as Dump]);
    expect(await compare(storeOf([join(FIXTURES, "edge")]), theirs, lines, FIXTURES)).toBe(
      lines.length,
    );
  });

  const name = "over two archives of PCP's test suite";
  if (existsSync(`${SUITE}/zero_disk_activity.index`))
    testWith("pcp6", name, async () => {
      const folder = mkdtempSync(join(tmpdir(), "embedded-"));
      try {
        for (const file of readdirSync(SUITE))
          if (file.startsWith("zero_disk_activity."))
            copyFileSync(join(SUITE, file), join(folder, file));
        const tail = [join(SUITE, "omnibus_v3"), join(folder, "omnibus_tail")];
        const cut = Bun.spawnSync(["pmlogextract", "-z", "-S", TAIL_FROM, ...tail]);
        expect(cut.exitCode).toBe(0);
        const ours = storeOf([join(folder, "zero_disk_activity"), join(folder, "omnibus_tail")]);
        const theirs = dumpStore([zeroDump as unknown as Dump, tailDump as unknown as Dump]);
        expect(await compare(ours, theirs, commandLines.queries, folder)).toBeGreaterThan(340);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  else skipAloud(name, `nothing in ${SUITE}`);
});
