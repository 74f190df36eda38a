// Goal: for the same inputs and options the engine makes the same bytes in every file as the real program,
// says the same and ends with the same status: over all recorded archives in both versions, damaged
// ones among them, and over seeded random merges, volumes, windows and selections.
import { expect, test } from "bun:test";
import { cpSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Selection } from "../../lib/extract/mod.ts";
import { describePeer } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { type Case, differences, randomFrom, randomOptions } from "./beside-real.ts";

const originals = join(import.meta.dir, "../fixtures/archives");
const folder = privateFolder("extract-differential");

/** Archives of a folder of the fixtures, plain ones only: the real root has no decompressors. */
const archivesIn = (kind: string): string[] =>
  readdirSync(join(originals, kind))
    .filter((name) => name.endsWith(".meta"))
    .map((name) => `${kind}/${name.slice(0, -".meta".length)}`)
    .sort();

/** Damage whose report in PCP 7.2 is known to be another one, and times that it cannot compare. */
const LEFT_OUT: ReadonlySet<string> = new Set(["gen/y2200-v3"]);
const GOOD = ["rec", "gen", "set"].flatMap(archivesIn).filter((name) => !LEFT_OUT.has(name));

/** Inputs of one host, so that they can be merged. */
const RELATED = GOOD.filter((name) => /^(rec\/v[23]-(types|dyn|mv|mark|labels))$/.test(name));
const METRICS = [
  "sample",
  "pmcd",
  "sample.bin",
  "sample.long",
  "sample.dupnames",
  "sample.seconds",
];

function randomCases(): Case[] {
  const random = randomFrom(20_231_114);
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const cases: Case[] = [];
  for (let i = 0; i < 40; i++) {
    const { argv, options } = randomOptions(random);
    const inputs = Array.from({ length: 2 + random(3) }, () => pick(RELATED));
    cases.push({ argv, inputs, options });
  }
  for (let i = 0; i < 30; i++) {
    const { argv, options } = randomOptions(random);
    const start = `+${random(6)}`;
    const finish = pick([`-${random(4)}`, `+${random(9)}sec`]);
    const inputs = [pick(GOOD)];
    const daily = random(3) === 0;
    const words = [...argv, "-S", start, "-T", finish, ...(daily ? ["-w"] : [])];
    cases.push({ argv: words, inputs, options: { ...options, start, finish, daily } });
  }
  for (let i = 0; i < 30; i++) {
    const { argv, options } = randomOptions(random);
    const names = Array.from({ length: 1 + random(3) }, () => pick(METRICS));
    const file = `conf${i}`;
    writeFileSync(join(folder, file), `${names.join("\n")}\n`);
    // The C program acts on a name when it has seen the next one, or the end after the last line.
    const requests = names.map((name, at) => ({ name, line: at + 2 }));
    const selection: Selection = { file, requests };
    cases.push({
      argv: [...argv, "-c", file],
      inputs: [pick(RELATED)],
      options: { ...options, selection },
    });
  }
  return cases;
}

const CASES: readonly Case[] = [
  ...GOOD.map((input) => ({ argv: [], inputs: [input], options: {} })),
  ...GOOD.map((input) => ({
    argv: ["-V", "3"],
    inputs: [input],
    options: { version: 3 } as const,
  })),
  ...archivesIn("bad").map((input) => ({ argv: [], inputs: [input], options: {} })),
  ...randomCases(),
];

describePeer(["pcp7", "root"], "the same as pmlogextract 7.2", () => {
  test("bytes, words and status", async () => {
    for (const kind of ["rec", "gen", "set", "bad"]) {
      cpSync(join(originals, kind), join(folder, kind), { recursive: true });
    }
    const { different, compared } = await differences(folder, CASES);
    expect(compared).toBeGreaterThan(CASES.length / 2);
    expect(different).toEqual([]);
  }, 300_000);
});
