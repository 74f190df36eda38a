// Goal: beside the real pmproxy, both following the directory that a real pmlogger writes into: the same
// sources, series, instances and labels, and the same values for the time that both have seen.
import { expect } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDiscovery } from "../../lib/discover/discovery.ts";
import { keySink } from "../../lib/discover/key-sink.ts";
import { type KeyServer, useKeyServer } from "../../lib/keyserver/keys.ts";
import { pmproxyConf, runIn, startKeyServer, startPmcd, startRealPmproxy } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { dumpServer } from "../keyserver/key-dump.ts";

const PMLOGGER = "/usr/lib/pcp/bin/pmlogger";
const METRICS =
  "sample.bin sample.colour sample.longlong sample.string.hullo sample.double.million " +
  "sample.ulong.bin sample.mirage sample.part_bin sample.seconds proc.nprocs";
const STREAM = "pcp:values:series:";
const QUIET_MS = 4000;
const ID_DIGITS = 40;

type Keys = Awaited<ReturnType<typeof dumpServer>>;
type Entries = readonly (readonly [id: string, fields: unknown])[];

const msOf = (id: string): number => Number(id.split("-")[0]);
const entriesOf = (keys: Keys, key: string): Entries => (keys[key]?.value ?? []) as Entries;

const idsOf = (keys: Keys, prefix: string): Set<string> =>
  new Set(
    Object.keys(keys).flatMap((key) => (key.startsWith(prefix) ? [key.slice(-ID_DIGITS)] : [])),
  );

/** Series and instances that only one of two servers has: one of them was earlier, or later. */
function oddIds(a: Keys, b: Keys): Set<string> {
  const odd = ["pcp:desc:series:", "pcp:inst:series:"].map((prefix) =>
    idsOf(a, prefix).symmetricDifference(idsOf(b, prefix)),
  );
  return new Set(odd.flatMap((ids) => [...ids]));
}

/** All but values and names, and without some identifiers. */
function metadataOf(keys: Keys, odd: ReadonlySet<string>): Keys {
  const kept: [string, Keys[string]][] = [];
  for (const [key, entry] of Object.entries(keys)) {
    if (key.startsWith(STREAM) || key.startsWith("pcp:map:")) continue;
    if (odd.has(key.slice(-ID_DIGITS))) continue;
    const { value } = entry;
    if (!Array.isArray(value)) kept.push([key, entry]);
    else {
      const left = value.filter((each) => !odd.has(String(each).replace("hex:", "")));
      if (left.length > 0) kept.push([key, { ...entry, value: left }]);
    }
  }
  return Object.fromEntries(kept);
}

/** Names of series, by their identifiers. */
function namesOf(keys: Keys, ids: Iterable<string>): string[] {
  const names = (keys["pcp:map:metric.name"]?.value ?? {}) as Record<string, string>;
  return [...ids].flatMap((id) => {
    const named = (keys[`pcp:metric.name:series:${id}`]?.value ?? []) as readonly string[];
    return named.map((each) => names[each] ?? "");
  });
}

/** Names and values of labels: those that names are known of, and those that series and instances have. */
function labelsOf(keys: Keys): { named: string[]; used: string[] } {
  const named = Object.entries(keys).flatMap(([key, { value }]) => {
    const label = /^pcp:map:label\.(\w+)\.value$/.exec(key)?.[1];
    return label === undefined ? [] : Object.keys(value ?? {}).map((each) => `${label} ${each}`);
  });
  const used = Object.entries(keys).flatMap(([key, { value }]) =>
    key.startsWith("pcp:labelvalue:series:")
      ? Object.entries((value ?? {}) as Record<string, string>).map(
          ([label, each]) => `${label.replace("hex:", "")} ${each}`,
        )
      : [],
  );
  return { named: named.sort(), used: [...new Set(used)].sort() };
}

/** Waits until nothing has been written to a key server for a while: the real one says not when it is done. */
async function quiet(server: KeyServer): Promise<void> {
  const writes = async (): Promise<string> => {
    const [stats] = await server.run([["INFO", "commandstats"]]);
    return (String(stats).match(/^cmdstat_(?:xadd|hset|hmset|sadd):calls=\d+/gm) ?? []).join();
  };
  let before = await writes();
  let since = performance.now();
  const isQuiet = async (): Promise<boolean> => {
    const now = await writes();
    if (now !== before) since = performance.now();
    before = now;
    return performance.now() - since > QUIET_MS;
  };
  expect(await waitUntil(isQuiet)).toBe(true);
}

for (const tree of [pcp6, pcp7])
  testWith(
    tree === pcp6 ? ["pcp6", "redis"] : ["pcp7", "valkey"],
    `${tree.name}: the same keys while pmlogger writes`,
    async () => {
      const folder = privateFolder("discover-real");
      const archives = join(folder, "archives");
      mkdirSync(archives);
      chmodSync(archives, 0o777);
      const pmcd = await startPmcd(tree);
      const [theirs, ours] = await Promise.all([startKeyServer(tree), startKeyServer(tree)]);
      const conf = pmproxyConf(tree, { keyServerPort: theirs.port }).replace(
        "[discover]\nenabled = false",
        `[discover]\nenabled = true\npath = ${archives}\nexclude.metrics = proc.*`,
      );
      const proxy = await startRealPmproxy(tree, { conf });
      const server = useKeyServer({ servers: [`127.0.0.1:${ours.port}`] });
      const reader = useKeyServer({ servers: [`127.0.0.1:${theirs.port}`] });
      await Promise.all([server.ready(), reader.ready()]);
      const sink = keySink(server, { excludeMetrics: ["proc.*"] });
      const discovery = startDiscovery({ directories: [archives], sink });
      try {
        await waitUntil(() => discovery.status().complete);
        const config = join(folder, "config");
        writeFileSync(config, `log mandatory on 200 msec {\n${METRICS.replaceAll(" ", "\n")}\n}\n`);
        const argv = [PMLOGGER, "-h", `localhost:${pmcd.port}`, "-c", config, "-s", "25"];
        const log = ["-l", join(folder, "log"), join(archives, "a")];
        const done = await runIn(tree, [...argv, ...log]);
        expect(done.status).toBe(0);
        const last = async (): Promise<boolean> => {
          const { archives: counts, pending } = discovery.status();
          return counts.records > 0 && pending === 0;
        };
        expect(await waitUntil(last)).toBe(true);
        await Promise.all([quiet(reader), quiet(server)]);
        const [expected, found] = [await dumpServer(reader), await dumpServer(server)];
        const odd = oddIds(expected, found);
        const oddNames = [...namesOf(expected, odd), ...namesOf(found, odd)];
        // What pmlogger writes of itself, into its first and last records.
        expect(oddNames.filter((name) => !name.startsWith("pmcd."))).toEqual([]);
        expect(metadataOf(found, odd)).toEqual(metadataOf(expected, odd));
        // Of metrics that have no values yet no label is filed.
        for (const { named, used } of [labelsOf(expected), labelsOf(found)])
          expect(named).toEqual(used);
        let compared = 0;
        for (const key of Object.keys(expected).filter((each) => each.startsWith(STREAM))) {
          const [a, b] = [entriesOf(expected, key), entriesOf(found, key)];
          const from = Math.max(msOf(a[0]?.[0] ?? "0"), msOf(b[0]?.[0] ?? "0"));
          const to = Math.min(msOf(a.at(-1)?.[0] ?? "0"), msOf(b.at(-1)?.[0] ?? "0"));
          const common = (entries: Entries): Entries =>
            entries.filter(([id]) => msOf(id) >= from && msOf(id) <= to);
          expect(common(b)).toEqual(common(a));
          compared += common(a).length;
        }
        expect(compared).toBeGreaterThan(20);
      } finally {
        await discovery.close();
        await Promise.all([server.close(), reader.close(), proxy.stop(), pmcd.stop()]);
        await Promise.all([theirs.stop(), ours.stop()]);
      }
    },
    300_000,
  );
