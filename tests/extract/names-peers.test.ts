// Goal: an archive in which a name is both a metric and a branch is taken as PCP takes it: the name is a
// branch; extraction keeps both metrics, and a configuration finds the one below alone.
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { openArchive } from "../../lib/archive/mod.ts";
import { extract, type ExtractJob, selectionOf } from "../../lib/extract/mod.ts";
import { asPmid } from "../../lib/pcp/mod.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { describePeer } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { at, desc, makeArchive } from "./archive-maker.ts";

const folder = privateFolder("extract-names");
const METRIC = (100 << 22) | 1;
const BELOW = (100 << 22) | 2;
/** Archives by which of the two descriptors comes first. */
const ORDERS = { "metric-first": false, "branch-first": true } as const;

function archive(name: keyof typeof ORDERS): string {
  const base = join(folder, name);
  const metadata = [desc("t.a", "100.0.1"), desc("t.a.b", "100.0.2")];
  makeArchive(base, {
    metadata: ORDERS[name] ? metadata.toReversed() : metadata,
    results: [0, 1, 2].map((k) => ({
      time: at(k),
      sets: [
        ["100.0.1", [[-1, k]]],
        ["100.0.2", [[-1, k + 10]]],
      ],
    })),
  });
  return base;
}

async function run(input: string, output: string, config?: string): Promise<void> {
  const selection = config === undefined ? undefined : selectionOf("c", Buffer.from(config), false);
  const job: ExtractJob = { inputs: [input], output, selection, pid: 1 };
  let said = "";
  const { status } = await extract(job, { say: (text) => (said += text) });
  expect([status, said]).toEqual([0, ""]);
}

test.each(["metric-first", "branch-first"] as const)("the names of %s", (name) => {
  const { catalog } = openArchive(archive(name));
  const { names } = catalog;
  expect([...names.traverse()].map((each) => each.name)).toEqual(["t.a.b"]);
  expect(names.children("t")).toEqual([{ name: "a", leaf: false }]);
  expect(names.size).toBe(1);
  expect(() => names.lookup("t.a")).toThrow("not a leaf");
  expect(names.namesOf(asPmid(METRIC))).toEqual(ORDERS[name] ? [] : ["t.a"]);
  expect(names.namesOf(asPmid(BELOW))).toEqual(["t.a.b"]);
  expect([...catalog.descs.keys()].toSorted()).toEqual([asPmid(METRIC), asPmid(BELOW)]);
});

describePeer(["pcp7"], "beside the real program", () => {
  test.each(["metric-first", "branch-first"] as const)("%s", async (name) => {
    const input = archive(name);
    for (const config of [undefined, "t.a\n", "t.a.b\n", "t\n"]) {
      const [ours, real] = [join(folder, `ours-${name}`), join(folder, `real-${name}`)];
      await run(input, ours, config);
      const file = join(folder, "config");
      writeFileSync(file, config ?? "");
      const options = config === undefined ? [] : ["-c", file];
      await must(pcp7.command(["pmlogextract", ...options, input, real]));
      for (const ending of ["0", "meta", "index"]) {
        const [made, expected] = [ours, real].map((base) => readFileSync(`${base}.${ending}`));
        // The process ids of the labels differ.
        made?.copy(expected as Buffer, 8, 8, 12);
        expect(made).toEqual(expected);
      }
      await must([
        "rm",
        ...[ours, real].flatMap((base) => [`${base}.0`, `${base}.meta`, `${base}.index`]),
      ]);
    }
  });
});
