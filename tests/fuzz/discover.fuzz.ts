// Fuzzes archives that are fed as bytes: changed metadata and data, cut anywhere. The promise: each piece is
// taken or refused with a PcpError; what goes to the key server are commands over keys of the schema.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeLabel, labelBytes } from "../../lib/archive/mod.ts";
import { PcpError } from "../../lib/base/mod.ts";
import { keyFeed } from "../../lib/discover/mod.ts";
import type { KeyCommand, KeyServer } from "../../lib/keyserver/mod.ts";
import { pipeOver } from "../keyserver/stand-in-pipe.ts";
import { FuzzFinding, type Fuzzer, mutate, type Random, seeded } from "./random.ts";

/** One input takes milliseconds at most. */
const TIME_LIMIT_MS = 2000;
/** An archive has as many records and counts as so many inputs. */
const RECORDS = 100;
const FOLDER = join(import.meta.dir, "../fixtures/archives/rec");
const INPUTS = ["v2-dyn", "v3-dyn-721", "v3-types", "v3-labels-721"].map((name) => {
  const meta = new Uint8Array(readFileSync(join(FOLDER, `${name}.meta`)));
  const data = new Uint8Array(readFileSync(join(FOLDER, `${name}.0`)));
  const label = decodeLabel(data, 0);
  const first = labelBytes(label.version);
  return { label, meta: meta.subarray(first), data: data.subarray(first) };
});
const ALL = INPUTS.flatMap(({ meta, data }) => [meta, data]);

/** A server that takes all, and looks at what it gets. */
function lookingServer(): KeyServer {
  const run = (commands: readonly KeyCommand[]) => {
    for (const [name, key] of commands)
      if (name !== "INFO" && (typeof name !== "string" || !String(key).startsWith("pcp:")))
        throw new Error(`command ${String(name)} ${String(key)}`);
    return Promise.resolve(commands.map(() => 1));
  };
  return {
    state: { kind: "up", cluster: false, version: 7 },
    schema: 2,
    generation: 1,
    stamp: undefined,
    hasSearch: true,
    shares: () => Promise.resolve([]),
    ready: () => Promise.resolve(),
    run,
    pipe: pipeOver(run),
    close: () => Promise.resolve(),
  };
}

function* pieces(random: Random, bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length;) {
    const to = random.below(3) === 0 ? bytes.length : from + 1 + random.below(bytes.length);
    yield bytes.subarray(from, to);
    from = to;
  }
}

/** Whether a piece was taken. */
async function taken(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof PcpError) return false;
    throw error;
  }
}

async function feed(random: Random): Promise<void> {
  const { label, meta, data } = random.pick(INPUTS);
  const changedMeta = random.below(3) === 0 ? meta : mutate(meta, random, ALL);
  const changedData = random.below(2) === 0 ? data : mutate(data, random, ALL);
  const before = performance.now();
  const options = { excludeMetrics: ["sample.s*"], excludeIndoms: ["29.2"] };
  const stream = keyFeed(lookingServer(), options).open({ name: "host/fuzz", label });
  let good = true;
  for (const piece of pieces(random, changedMeta)) good = good && (await taken(stream.meta(piece)));
  for (const piece of pieces(random, changedData)) good = good && (await taken(stream.data(piece)));
  await stream.close();
  const took = performance.now() - before;
  if (took > TIME_LIMIT_MS) throw new Error(`it took ${Math.round(took)} ms`);
}

/** See the head of the file. */
export const fuzzFeed: Fuzzer = async (seed, iterations) => {
  const random = seeded(seed);
  for (let iteration = 0; iteration < iterations; iteration += RECORDS)
    try {
      await feed(random);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new FuzzFinding("feed", seed, iteration, "see the seed", reason, { cause: error });
    }
};
