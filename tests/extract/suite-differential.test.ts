// Goal: over the archives that PCP's own test suite installs the engine makes the same bytes in every file
// as the real program, and so the same for pmdumplog and pmlogcheck, says the same and ends with the same
// status: copies, and drawn from a seed conversions, windows, selections, volumes, marks and merges.
// Left out: what docs/extract.md lists as another behaviour, and large archives.
import { Glob } from "bun";
import { expect } from "bun:test";
import { cpSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openArchive } from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { selectionOf } from "../../lib/extract/mod.ts";
import { pcp7Root } from "../helpers/pcp7.ts";
import { havePeers, skipAloud, testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { type Case, differences, randomFrom, randomOptions } from "./beside-real.ts";

const SUITE = join(pcp7Root, "var/lib/pcp/testsuite/archives");
const SEED = 20_240_601;
/** Bytes of data from which on an archive is left out, for the sake of time. */
const LARGE = 200_000;
/** Merges that are drawn. */
const MERGES = 40;

const folder = privateFolder("extract-suite");

/** What is drawn from: the plain archives of the suite, copied, with what they have. */
interface Found {
  readonly name: string;
  readonly host: string;
  readonly metrics: readonly string[];
  /** By the metric's name. */
  readonly instances: ReadonlyMap<string, readonly string[]>;
}

/** An archive, or undefined where it cannot be opened: then only the copy is compared. */
function lookAt(name: string): Found {
  const instances = new Map<string, readonly string[]>();
  try {
    const { label, catalog } = openArchive(join(folder, name));
    const metrics: string[] = [];
    for (const { name: metric, pmid } of catalog.names.traverse()) {
      metrics.push(metric);
      const desc = catalog.descs.get(pmid);
      const history = desc === undefined ? undefined : catalog.indoms.get(desc.indom);
      if (history !== undefined) instances.set(metric, history.union().names);
    }
    return { name, host: label.host, metrics, instances };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    return { name, host: "", metrics: [], instances };
  }
}

/** Copies the archives, whose files are reached under one name by both programs. */
function copyArchives(): Found[] {
  const bases = [...new Glob("**/*.meta").scanSync(SUITE)].sort().map((path) => path.slice(0, -5));
  const found: Found[] = [];
  for (const base of bases) {
    const parts = [...new Glob(`${base}.{meta,index,[0-9]*}`).scanSync(SUITE)];
    // The root of PCP 7 has no program for them.
    if (parts.some((part) => /\.(?:bz2|xz|gz)$/.test(part))) continue;
    const bytes = parts.reduce((sum, part) => sum + statSync(join(SUITE, part)).size, 0);
    if (bytes > LARGE) continue;
    mkdirSync(join(folder, dirname(base)), { recursive: true });
    for (const part of parts) cpSync(join(SUITE, part), join(folder, part), { dereference: true });
    found.push(lookAt(base));
  }
  return found;
}

type Random = (below: number) => number;
const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)] as T;

/** A configuration of metrics, branches and instances of an archive. */
function randomConfig(random: Random, { metrics, instances }: Found): string {
  const lines = Array.from({ length: 1 + random(4) }, () => {
    const metric = pick(random, metrics);
    const names = (instances.get(metric) ?? []).filter((name) => !/["\n]/.test(name));
    if (names.length > 0 && random(2) === 0) {
      const wanted = Array.from({ length: 1 + random(3) }, () => pick(random, names));
      return `${metric} [${[...new Set(wanted)].map((name) => `"${name}"`).join(", ")}]`;
    }
    const parts = metric.split(".");
    return parts.slice(0, 1 + random(parts.length)).join(".");
  });
  return lines.filter((line) => /^[A-Za-z][\w.]*( \[|$)/.test(line)).join("\n");
}

/** A run over one archive with drawn options, a window or a selection among them at times. */
function randomRun(random: Random, found: Found, number: number): Case {
  const { argv, options } = randomOptions(random);
  const inputs = [found.name];
  const kind = random(3);
  if (kind === 0) {
    const start = `+${random(40)}`;
    const finish = pick(random, [`-${random(20)}`, `+${random(90)}sec`, `+${random(5)}min`]);
    const daily = random(4) === 0;
    const words = [...argv, "-S", start, "-T", finish, ...(daily ? ["-w"] : [])];
    return { argv: words, inputs, options: { ...options, start, finish, daily } };
  }
  const text = kind === 1 && found.metrics.length > 0 ? randomConfig(random, found) : "";
  if (text === "") return { argv, inputs, options };
  const file = `conf${number}`;
  const bytes = Buffer.from(`${text}\n`);
  writeFileSync(join(folder, file), bytes);
  const selection = selectionOf(file, bytes, false);
  return { argv: [...argv, "-c", file], inputs, options: { ...options, selection } };
}

/** Merges of archives of one host; without -x the first conflict ends both. */
function randomMerges(random: Random, all: readonly Found[]): Case[] {
  const byHost = Map.groupBy(all, ({ host }) => host);
  byHost.delete("");
  const hosts = [...byHost.values()].filter((list) => list.length > 1);
  return Array.from({ length: MERGES }, () => {
    const { argv, options } = randomOptions(random);
    const list = pick(random, hosts);
    const inputs = Array.from({ length: 2 + random(2) }, () => pick(random, list).name);
    return { argv, inputs, options: { ...options, firstConflictOnly: true } };
  });
}

function makeCases(): Case[] {
  const random = randomFrom(SEED);
  const all = copyArchives();
  const copies = all.map(({ name }) => ({ argv: [], inputs: [name], options: {} }));
  const runs = all.map((found, number) => randomRun(random, found, number));
  return [...copies, ...runs, ...randomMerges(random, all)];
}

const GOAL = "PCP's archives, as pmlogextract 7.2 extracts them";

if (havePeers("pcp7") && !existsSync(SUITE)) skipAloud(GOAL, `nothing in ${SUITE}`);
else {
  testWith(
    ["pcp7", "root"],
    GOAL,
    async () => {
      const cases = makeCases();
      const { different, compared } = await differences(folder, cases);
      expect(compared).toBeGreaterThan(cases.length / 2);
      expect(different).toEqual([]);
    },
    300_000,
  );
}
