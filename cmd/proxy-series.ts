// `pcpbox proxy --load` and `--query`: what pmseries does, over the store that the configuration means, a
// key server or the archives themselves (spec series.md 4, 11). Prints what pmseries prints, as it comes;
// mistakes are one message and exit status 1. Starts no service.

import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { COMPRESSED_SUFFIXES } from "../lib/archive/mod.ts";
import { PcpError, pmErrStr } from "../lib/base/mod.ts";
import { isGiven, lastGiven } from "../lib/cli/mod.ts";
import { asOwnerOf, lookUpUser, makeStateDirectory } from "../lib/daemon/mod.ts";
import { localZone, newZone, now, type Zone } from "../lib/pcp/mod.ts";
import { openEmbeddedSeries, rescan } from "../lib/catalogue/mod.ts";
import {
  evaluateQuery,
  linesText,
  loadExpression,
  parseQuery,
  problemOf,
  problemText,
  SeriesProblem,
  type SeriesService,
  valuesText,
} from "../lib/series/mod.ts";
import {
  catalogueFile,
  keyServerOptions,
  type ProxySettings,
  seriesUse,
  storeOf,
} from "../lib/server/mod.ts";
import { complain, say } from "./output.ts";
import { loadProxy, type ProxySources } from "./proxy-settings.ts";

/** How the messages begin: scripts look for pmseries' own. */
const PROGRAM = "pmseries";

/** What follows the base name of an archive in the name of its metadata. */
const METADATA = [".meta", ...COMPRESSED_SUFFIXES.map((suffix) => `.meta${suffix}`)];

/** What is asked. */
interface Question {
  readonly zone: Zone;
  readonly fast: boolean;
  readonly numeric: boolean;
}

const warned = (text: string): void => complain(`${PROGRAM}: [Warning] ${text}\n`);

/** Opens the service of a key server that answers. Throws SeriesProblem when none does. */
async function keyService(
  settings: ProxySettings,
  zone: Zone,
  fast: boolean,
): Promise<SeriesService> {
  // Not for those who ask archives: it takes as long to load as all the rest.
  const { openKeySeries } = await import("../lib/keyserver/mod.ts");
  const failed = Promise.withResolvers<never>();
  const service = openKeySeries({
    server: keyServerOptions(settings.keyServer),
    search: settings.search.enabled === true,
    metadataOnly: fast,
    use: () => seriesUse(settings),
    zone,
    log(level, text) {
      if (level === "warning") warned(text);
      else if (text.startsWith("Cannot connect")) failed.reject(new SeriesProblem(text));
    },
  });
  try {
    await Promise.race([service.server.ready(), failed.promise]);
    return service;
  } catch (error) {
    await service.close();
    throw error;
  }
}

/** The place of the catalogue, made for the service where root asks before it ever ran. */
function placeOfCatalogue(settings: ProxySettings, uid: number): string {
  const [place] = settings.paths.stateDirectories;
  const user = uid === 0 ? lookUpUser(settings.user) : undefined;
  if (settings.series.catalogue === undefined && place !== undefined && user !== undefined) {
    const problem = makeStateDirectory(place, user);
    if (problem !== undefined) warned(problem);
  }
  return catalogueFile(settings) ?? ":memory:";
}

function embeddedService(settings: ProxySettings, zone: Zone, uid: number) {
  const file = placeOfCatalogue(settings, uid);
  const options = { search: false, use: () => seriesUse(settings), zone };
  try {
    const open = () => openEmbeddedSeries({ ...options, catalogue: file });
    // Also root's is the service's to write.
    return file === ":memory:" ? open() : asOwnerOf(dirname(file), open);
  } catch (error) {
    if (!(error instanceof PcpError) || file === ":memory:") throw error;
    warned(`${error.message}; a catalogue in memory is used`);
    return openEmbeddedSeries({ ...options, catalogue: ":memory:" });
  }
}

/** Directories that the proxy follows, as far as they are there. */
function followed({ discover, paths, record }: ProxySettings): string[] {
  if (discover.enabled === false) return [];
  const directories = [
    discover.path ?? paths.archiveDirectory,
    paths.remoteArchiveDirectory,
    ...(record.path === undefined ? [] : [record.path]),
    ...paths.stateDirectories.map((state) => join(state, "archives", hostname())),
  ];
  return [...new Set(directories)].filter((each) => existsSync(each));
}

/** Opens the store, the embedded one in step with its archives. */
async function openStore(
  settings: ProxySettings,
  { zone, fast }: Question,
  uid: number,
  isQuery: boolean,
): Promise<SeriesService> {
  const { series } = settings;
  // Whether the service answers requests does not matter here.
  const asked = { ...settings, deprecated: false, series: { ...series, enabled: true } };
  if (storeOf(asked) === "keys") return keyService(settings, zone, fast);
  const service = embeddedService(settings, zone, uid);
  if (isQuery)
    for (const directory of followed(settings)) await rescan(service.catalogue, [directory]);
  return service;
}

/** An expression for what may also be a path, here also a relative one of an archive's base name. */
function expressionOf(text: string): string {
  const isBase = METADATA.some((suffix) => existsSync(text + suffix));
  return isBase ? loadExpression(resolve(text)) : loadExpression(text);
}

async function load(service: SeriesService, text: string): Promise<void> {
  const { context, records, whole } = await service.load(expressionOf(text));
  if (service.kind === "embedded") say(`${PROGRAM}: [Info] catalogued ${context}\n`);
  else if (whole) say(`${PROGRAM}: [Info] processed ${records} archive records from ${context}\n`);
}

async function query(service: SeriesService, text: string, question: Question): Promise<void> {
  const { zone, fast, numeric } = question;
  const options = { now: now(), zone, fast };
  const answer = await evaluateQuery(service.store, parseQuery(text, options), options);
  if (answer.values === undefined) say(linesText(answer.ids));
  else
    for await (const piece of valuesText(answer.values, { zone, numeric })) if (!say(piece)) return;
  if (answer.problem !== undefined) throw answer.problem;
  if (answer.unkept !== undefined) warned(`expression not kept: ${answer.unkept.message}`);
}

/** The message for what went wrong; other faults than those of questions and stores are not ours to tell. */
function messageOf(error: unknown): string {
  const problem = problemOf(error);
  if (problem !== undefined) return problemText(problem);
  if (!(error instanceof PcpError)) throw error;
  return problemText(new SeriesProblem(error.message || pmErrStr(error.code)));
}

/** Answers the command line; resolves to the exit status. */
export async function askSeries(sources: ProxySources): Promise<number> {
  const { options, environment, uid } = sources;
  let service: SeriesService | undefined;
  let status = 0;
  try {
    const named = lastGiven(options, "timezone")?.value;
    const question = {
      zone: named === undefined ? localZone(environment) : newZone(named),
      fast: isGiven(options, "fast"),
      numeric: isGiven(options, "times"),
    };
    const archive = lastGiven(options, "load")?.value;
    const { settings } = loadProxy(sources);
    service = await openStore(settings, question, uid, archive === undefined);
    if (archive !== undefined) await load(service, archive);
    else await query(service, lastGiven(options, "query")?.value ?? "", question);
  } catch (error) {
    complain(messageOf(error));
    status = 1;
  }
  await service?.close();
  return status;
}
