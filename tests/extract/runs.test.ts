// Goal: records that are taken together come out as when each is taken alone, in copies, conversions, selections
// and merges with several kinds of records, whose instances change now and then; volumes of version 2 end
// before their limit; the index has the entries that it has to have, also for times of 0;
// an end of the window before 1970 is none.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { extract, type ExtractJob } from "../../lib/extract/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { at, desc, indom, makeArchive, type Recipe, type Values } from "./archive-maker.ts";

const folder = privateFolder("extract-runs");
let made = 0;

/** Runs a job; the bytes of every file of the output by their endings. */
async function run(inputs: readonly string[], options: Partial<ExtractJob>) {
  const output = join(folder, `out${made++}`);
  const { status } = await extract(
    { env: { TZ: "UTC" }, pid: 1, ...options, inputs, output },
    { say: () => {} },
  );
  expect(status).toBe(0);
  const name = `${basename(output)}.`;
  const files = readdirSync(dirname(output)).filter((each) => each.startsWith(name));
  return new Map(
    files.toSorted().map((each) => [each.slice(name.length), readFileSync(join(folder, each))]),
  );
}

/** So many records of three kinds, a tenth of a second apart. */
function archive(version: 2 | 3, seconds: number, count: number): string {
  const base = join(folder, `in${made++}`);
  const values = (k: number, long: boolean): Values =>
    Array.from({ length: 20 + (k % 500 === 7 ? 1 : 0) }, (_, i) => {
      const inst = k % 700 < 350 ? i : i + 1;
      return [inst, long ? BigInt(k * i) : k * i];
    });
  const results: Recipe["results"] = Array.from({ length: count }, (_, k) => ({
    time: at(seconds + k / 10),
    sets:
      k % 40 === 9
        ? [["100.0.3", [[-1, k]]]]
        : [
            ["100.0.1", values(k, false)],
            ["100.0.2", values(k, true)],
            ["100.0.3", k % 90 === 0 ? -12345 : [[-1, k]]],
            ["100.0.4", [[-1, BigInt(k)]]],
          ],
  }));
  const names = Array.from({ length: 22 }, (_, i) => [i, `instance${i}`] as const);
  makeArchive(base, {
    version,
    metadata: [
      desc("t.many", "100.0.1", 1),
      desc("t.long", "100.0.2", 1, true),
      desc("t.one", "100.0.3"),
      desc("t.two", "100.0.4", undefined, true),
      indom(seconds, 1, names),
    ],
    results,
  });
  return base;
}

const old = archive(2, 0, 1500);
const young = archive(3, 30, 1500);
const selection = {
  file: "conf",
  requests: [
    { name: "t.long", line: 1 },
    { name: "t.many", line: 2, instances: [3, 17, 1] },
    { name: "t.one", line: 3 },
  ],
};
/** A number of records that is never reached: each record is then taken alone. */
const ALONE = { samples: 1_000_000_000 };

const CASES: readonly [name: string, inputs: readonly string[], options: Partial<ExtractJob>][] = [
  ["copy, version 2", [old], {}],
  ["copy, version 3", [young], {}],
  ["conversion", [old], { version: 3 }],
  ["selection", [young], { selection }],
  ["selection and conversion", [old], { selection, version: 3 }],
  ["merge of both versions", [old, young], { selection }],
  ["window", [old], { start: "@ 22:14:00", finish: "@ 22:15:01", selection }],
  ["volumes", [old], { selection, volume: { kind: "bytes", limit: 50_000 } }],
];
for (const [name, inputs, options] of CASES) {
  test(`records together and alone: ${name}`, async () => {
    expect(await run(inputs, options)).toEqual(await run(inputs, { ...options, ...ALONE }));
  });
}

test("volumes of version 2 end before their largest size, like those of a limit", async () => {
  for (const more of [{}, ALONE]) {
    const files = await run([old], { largestVolume: 60_000, ...more });
    const volumes = [...files].filter(([ending]) => /^\d+$/.test(ending));
    expect(volumes.length).toBeGreaterThan(3);
    for (const [, bytes] of volumes) expect(bytes.length).toBeLessThanOrEqual(60_000);
    expect(files).toEqual(await run([old], { volume: { kind: "bytes", limit: 60_000 } }));
  }
  const free = await run([young], { largestVolume: 60_000 });
  expect([...free.keys()]).toEqual(["0", "index", "meta"]);
});

test("a time of 0 has an index entry at the end alone", async () => {
  const base = join(folder, "zero");
  const zero = { sec: 0, nsec: 0 };
  makeArchive(base, {
    metadata: [desc("t.one", "100.0.3")],
    start: zero,
    results: [zero, at(1)].map((time) => ({ time, sets: [["100.0.3", [[-1, 1]]]] })),
  });
  const first = await run([base], { samples: 1 });
  const meta = first.get("meta")?.length;
  const index = first.get("index")?.subarray(132) ?? Buffer.alloc(0);
  const words = Array.from({ length: index.length >> 2 }, (_, i) => index.readInt32BE(4 * i));
  expect(words).toEqual([0, 0, 0, meta ?? 0, 132]);
});

test("an end before 1970 is none", async () => {
  const base = join(folder, "early");
  makeArchive(base, {
    metadata: [desc("t.one", "100.0.3")],
    start: { sec: 0, nsec: 0 },
    results: [0, 1, 17].map((sec) => ({
      time: { sec, nsec: 5 },
      sets: [["100.0.3", [[-1, sec]]]],
    })),
  });
  expect(await run([base], { finish: "-1m" })).toEqual(await run([base], {}));
});
