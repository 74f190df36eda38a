// Fuzzes the reader of memory-mapped value files with good ones whose bytes are changed or cut. The
// promise: a file or one PcpError, and no value outside the bytes.
import { PcpError } from "../../lib/base/mod.ts";
import { PM_TYPE } from "../../lib/pcp/mod.ts";
import { MMV_VALUE_BYTES, parseMmv } from "../../lib/pmda/agents/mmv/file.ts";
import { mmvFile, type Written } from "../pmda/mmv-file.ts";
import { FuzzFinding, type Fuzzer, mutate, seeded } from "./random.ts";

const written = (version: 1 | 2 | 3): Written => ({
  version,
  metrics: [
    { name: "a", item: 1, type: PM_TYPE.U64, values: { [-1]: 1n }, help: "h" },
    { name: "b", item: 2, type: PM_TYPE.DOUBLE, indom: 4, values: { 1: 1, 2: 2 } },
  ],
  indoms: {
    4: {
      instances: [
        [1, "x"],
        [2, "y"],
      ],
    },
  },
  ...(version === 3 ? { labels: [{ flags: 8, identity: 1, json: '{"a":1}' }] } : {}),
});
const FILES = ([1, 2, 3] as const).map((version) => mmvFile(written(version)));
const SPARE = [new Uint8Array(8).fill(0xff), new Uint8Array(16)];

/** Fuzzes parseMmv. */
export const fuzzMmv: Fuzzer = (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const bytes = mutate(random.pick(FILES), random, SPARE);
    try {
      for (const { at } of parseMmv(bytes).values)
        if (at < 0 || at + MMV_VALUE_BYTES > bytes.length) throw new Error(`value at ${at}`);
    } catch (error) {
      if (error instanceof PcpError) continue;
      const input = Buffer.from(bytes).toString("hex");
      throw new FuzzFinding("mmv", seed, iteration, input, String(error), { cause: error });
    }
  }
  return Promise.resolve();
};
