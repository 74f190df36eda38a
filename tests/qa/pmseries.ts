// pmseries over our library and a key server, for PCP's tests of it (spec series.md 11). Usage, versions, traces
// and options that do not go together are left to the real program.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { localZone, newZone } from "../../lib/pcp/mod.ts";
import { keyStore, loadArchive, useKeyServer } from "../../lib/keyserver/mod.ts";
import { loadExpression, parseLoad, problemOf, problemText } from "../../lib/series/mod.ts";
import { runPmseries } from "../series/pmseries.ts";

const LONG: Readonly<Record<string, string>> = {
  config: "c",
  host: "h",
  port: "p",
  load: "L",
  query: "q",
  values: "v",
  window: "w",
  fast: "F",
  all: "a",
  desc: "d",
  instances: "i",
  labels: "l",
  metrics: "m",
  names: "n",
  fullindom: "I",
  fullpmid: "M",
  series: "s",
  sources: "S",
  glob: "g",
  times: "t",
  timezone: "Z",
};

/** Options in their short form; undefined for what is not ours. */
function shortened(args: readonly string[]): string[] | undefined {
  const short: string[] = [];
  for (const word of args) {
    const [, name = "", , value] = /^--([a-z]+)(=(.*))?$/s.exec(word) ?? [];
    if (!word.startsWith("--")) short.push(word);
    else if (LONG[name] === undefined) return undefined;
    else short.push(`-${LONG[name]}`, ...(value === undefined ? [] : [value]));
  }
  return short;
}

const SERVERS = /^\s*servers\s*=\s*(\S.*)$/m;
const EXCLUDED = /^\s*exclude\.metrics\s*=\s*(\S.*)$/m;
/** As installed, where no other file is named. */
const CONFIGURATION = "/etc/pcp/pmseries/pmseries.conf";

/** Options about the key server, taken out; and the others. */
function placed(args: readonly string[]) {
  let host = "localhost";
  let port = "6379";
  let file = existsSync(CONFIGURATION) ? CONFIGURATION : undefined;
  const rest: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const [, letter, attached = ""] = /^-([chp])(.*)$/s.exec(args[at] ?? "") ?? [];
    if (letter === undefined) {
      rest.push(args[at] ?? "");
      continue;
    }
    const value = attached === "" ? (args[++at] ?? "") : attached;
    if (letter === "h") host = value;
    else if (letter === "p") port = value;
    else file = value;
  }
  const isGiven = host !== "localhost" || port !== "6379";
  const text = file === undefined ? "" : readFileSync(file, "utf8");
  const listOf = (pattern: RegExp): readonly string[] | undefined =>
    pattern.exec(text)?.[1]?.split(",");
  const servers = (isGiven ? undefined : listOf(SERVERS)) ?? [`${host}:${port}`];
  return { servers, excluded: listOf(EXCLUDED) ?? [], rest };
}

const now = () => {
  const ms = Date.now();
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 };
};

/** Runs one command line; `real` does what is not ours. Gives the exit status. */
export async function pmseries(args: readonly string[], real: () => number): Promise<number> {
  const short = shortened(args);
  const letters = (short ?? []).flatMap((word) => /^-([a-zA-Z]+)/.exec(word)?.[1] ?? []).join("");
  const isMixed = /[Lq]/.test(letters) && /[adilmnSsvIMw]/.test(letters.replace(/[LqFtZ]/g, ""));
  if (short === undefined || isMixed || /[DV?]/.test(short.join("").replace(/[^-]\S*/g, "")))
    return real();
  const { servers, excluded, rest } = placed(short);
  // Loading writes for text search, where the key server has it
  const server = useKeyServer({ servers, pauses: [100], wantSearch: letters.includes("L") });
  const wait = AbortSignal.timeout(5000);
  try {
    await server.ready(wait);
    if (letters.includes("L")) {
      const isZone = (at: number): boolean => rest[at] === "-Z" || rest[at - 1] === "-Z";
      const words = rest.filter((word, at) => !/^-[LF]+$/.test(word) && !isZone(at)).join(" ");
      const zone = localZone(process.env);
      // A base name is no file.
      const isBase = ["", ".xz", ".gz", ".bz2"].some((end) => existsSync(`${words}.meta${end}`));
      const expression = loadExpression(isBase ? resolve(words) : words);
      const request = parseLoad(expression, { now: now(), zone });
      const { records, context } = await loadArchive(server, request, {
        now: now(),
        metadataOnly: letters.includes("F"),
        excludeMetrics: excluded,
      });
      process.stdout.write(
        `pmseries: [Info] processed ${records} archive records from ${context}\n`,
      );
      return 0;
    }
    const zone =
      process.env["TZ"] === undefined ? localZone(process.env) : newZone(process.env["TZ"]);
    const outcome = await runPmseries(keyStore(server), rest, now(), zone);
    if (outcome === undefined) return real();
    process.stdout.write(outcome.stdout);
    process.stderr.write(outcome.stderr);
    return outcome.exit;
  } catch (error) {
    if (wait.aborted) return real();
    const problem = problemOf(error);
    if (problem === undefined) throw error;
    process.stderr.write(problemText(problem));
    return 1;
  } finally {
    await server.close();
  }
}
