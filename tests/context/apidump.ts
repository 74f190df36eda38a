// What a C client printed of archives through the real library (apidump of the recorded
// expectations), made through an archive context: label, end, names, instances, every record in both
// directions, and fetches in all modes.
import { openArchiveContext } from "../../lib/context/archive.ts";
import { type ArchiveContext, PM_MODE } from "../../lib/context/mod.ts";
import {
  type Desc,
  type Indom,
  PM_ID_NULL,
  PM_INDOM_NULL,
  pmIDStr,
  pmInDomStr,
  pmUnitsStr,
} from "../../lib/pcp/mod.ts";
import { codeOf, placeRun, RUNS, setText, timeText } from "./archive-client.ts";

const ARCHIVE_RUNS = [
  ["forward", PM_MODE.FORW],
  ["backward", PM_MODE.BACK],
] as const;

async function codeOrLines(
  title: string,
  body: () => Promise<readonly string[]>,
): Promise<string[]> {
  try {
    const lines = await body();
    return [`${title} ${lines.length}`, ...lines];
  } catch (error) {
    return [`${title} ${codeOf(error)}`];
  }
}

async function metadataText(context: ArchiveContext): Promise<string[]> {
  const names = await context.traverse("");
  const lines = [`pmns ${names.length}`];
  const indoms = new Set<Indom>();
  const { pmids } = await context.lookupNames([...names, ""]);
  const descs = await context.descs(pmids);
  names.forEach((name, i) => {
    const { pmid, type, sem, indom, units } = descs[i] as Desc;
    const text = `type=${type} sem=${sem} indom=${pmInDomStr(indom)} units=${pmUnitsStr(units)}`;
    lines.push(` ${name} ${pmIDStr(pmid)} ${text}`);
    if (indom !== PM_INDOM_NULL) indoms.add(indom);
  });
  for (const indom of indoms) {
    for (const [title, found] of [
      ["indom-archive", () => context.archiveInstances(indom)],
      ["indom-at-start", () => context.instances(indom)],
    ] as const) {
      const list = async (): Promise<string[]> => {
        const { ids, names: texts } = await found();
        return ids.map((id, i) => `  ${id} ${texts[i]}`);
      };
      lines.push(...(await codeOrLines(`${title} ${pmInDomStr(indom)}`, list)));
    }
  }
  return lines;
}

async function recordsText(context: ArchiveContext): Promise<string[]> {
  const lines: string[] = [];
  for (const [way, mode] of ARCHIVE_RUNS) {
    lines.push(`fetch-archive ${way}`);
    context.setMode(mode, way === "forward" ? context.label().start : context.end());
    try {
      for (;;) {
        const { timestamp, numpmid } = await context.fetchArchive();
        lines.push(`  ${timeText(timestamp)} ${numpmid}${numpmid === 0 ? " <mark>" : ""}`);
      }
    } catch (error) {
      lines.push(`  err ${codeOf(error)}`);
    }
  }
  return lines;
}

/** Fetches of several metrics together, of which some may not exist. */
async function runsText(
  context: ArchiveContext,
  step: number,
  max: number,
  metrics: readonly string[],
): Promise<string[]> {
  const lines: string[] = [];
  const { pmids } = await context.lookupNames([...metrics, ""]);
  const wanted = pmids.slice(0, -1);
  const descs = await context.descs(pmids);
  const names: string[] = [];
  for (const [i, pmid] of wanted.entries()) {
    // The client asks for the name again, which gives another one when a metric has several.
    const all = pmid === PM_ID_NULL ? [] : await context.namesOf(pmid);
    names.push(all[0] ?? metrics[i] ?? "");
  }
  for (const [run, mode] of RUNS) {
    const title = run.replace("+", "-forward").replace(/-$/, "-backward");
    placeRun(context, run, mode, step);
    lines.push(`${title}: setmode 0`);
    for (let i = 0; i < max; i++) {
      try {
        const { result } = await context.fetch(wanted);
        lines.push(`  @${timeText(result.timestamp)}`);
        const set = result.sets();
        for (let k = 0; set.next(); k++) {
          lines.push(`    ${names[k]}:${setText(set, descs[k] as Desc)}`);
        }
      } catch (error) {
        lines.push(`  fetch err ${codeOf(error)}`);
        break;
      }
    }
  }
  return lines;
}

/** apidump ARCHIVE [STEP MAX METRIC...]. Warnings go to `warn`. */
export async function apidump(
  names: string,
  warn: (message: string) => void,
  step = 0,
  max = 0,
  metrics: readonly string[] = [],
): Promise<string> {
  let context: ArchiveContext;
  try {
    context = await openArchiveContext(names, { env: {}, warn });
  } catch (error) {
    return `pmNewContext err ${codeOf(error)}`;
  }
  try {
    const { version, pid, start, host, timezone, zoneinfo } = context.label();
    const magic = (0x50052600 + version).toString(16);
    return [
      "pmNewContext ok",
      `label magic=${magic} pid=${pid} start=${timeText(start)} host=${host} timezone=${timezone} zoneinfo=${zoneinfo}`,
      `end ${timeText(context.end())}`,
      `hostname ${await context.hostName()}`,
      `contextzone ok ${(await context.zone()).name}`,
      ...(await metadataText(context)),
      ...(await recordsText(context)),
      ...(metrics.length === 0 ? [] : await runsText(context, step, max, metrics)),
    ].join("\n");
  } finally {
    await context.close();
  }
}

/** Only the fetches of apidump. The client has met the damage in members of a set before them. */
export async function runsDump(
  names: string,
  step: number,
  max: number,
  metrics: readonly string[],
): Promise<string> {
  const context = await openArchiveContext(names, { env: {} });
  try {
    await recordsText(context);
    return (await runsText(context, step, max, metrics)).join("\n");
  } finally {
    await context.close();
  }
}
