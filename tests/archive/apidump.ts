// The text that a PMAPI client would print of an archive or a set: label, end, names, instances, and
// every record forwards and backwards. The recorded texts of tests/fixtures/archives/apidump.txt are
// those of such a client in C over the real library.
import {
  type ArchiveSet,
  openArchives,
  SetCursor,
  setEnd,
  type Instances,
} from "../../lib/archive/mod.ts";
import { PM_ERR, PcpError } from "../../lib/base/mod.ts";
import {
  type Indom,
  PM_INDOM_NULL,
  pmIDStr,
  pmInDomStr,
  pmUnitsStr,
  type Timestamp,
} from "../../lib/pcp/mod.ts";

/** `SECONDS.NANOSECONDS` with nine digits. */
export const timeText = ({ sec, nsec }: Timestamp): string =>
  `${sec}.${String(nsec).padStart(9, "0")}`;

/** The code of the PcpError that `body` throws; other errors are passed on. */
export function codeOf(body: () => unknown): number {
  try {
    body();
  } catch (error) {
    if (error instanceof PcpError) return error.code;
    throw error;
  }
  return 0;
}

function instancesText(title: string, indom: Indom, found: Instances | undefined): string[] {
  if (found === undefined) return [`${title} ${pmInDomStr(indom)} ${PM_ERR.INDOM_LOG}`];
  return [
    `${title} ${pmInDomStr(indom)} ${found.ids.length}`,
    ...found.ids.map((id, i) => `  ${id} ${found.names[i]}`),
  ];
}

function metadataText({ catalog, label }: ArchiveSet): string[] {
  const lines = ["pmns"];
  const indoms = new Set<Indom>();
  for (const { name, pmid } of catalog.names.traverse()) {
    const desc = catalog.descs.get(pmid);
    if (desc === undefined) throw new Error(`no descriptor of ${name}`);
    const { type, sem, indom, units } = desc;
    lines.push(
      ` ${name} ${pmIDStr(pmid)} type=${type} sem=${sem} indom=${pmInDomStr(indom)} units=${pmUnitsStr(units)}`,
    );
    if (indom !== PM_INDOM_NULL) indoms.add(indom);
  }
  for (const indom of indoms) {
    const history = catalog.indoms.get(indom);
    lines.push(...instancesText("indom-archive", indom, history?.union()));
    lines.push(...instancesText("indom-at-start", indom, history?.at(label.start)));
  }
  return lines;
}

/** One line per record of a walk, and the code that ended it. */
function walkText(step: () => boolean, cursor: SetCursor): string[] {
  const lines: string[] = [];
  const end = codeOf(() => {
    while (step()) {
      const { record } = cursor;
      record.result();
      lines.push(`  ${timeText(record)} ${record.numpmid}${record.numpmid === 0 ? " <mark>" : ""}`);
    }
  });
  return [...lines, `  err ${end === 0 ? PM_ERR.EOL : end}`];
}

/** What `names` holds, as the client prints it. Warnings go to `warn`. */
export function apidump(names: string, warn: (message: string) => void): string {
  let set: ArchiveSet | undefined;
  const code = codeOf(() => (set = openArchives(names, { warn })));
  if (set === undefined) return `pmNewContext err ${code}`;
  const { version, pid, start, host, timezone, zoneinfo } = set.label;
  const magic = (0x50052600 + version).toString(16);
  const end = setEnd(set);
  const cursor = new SetCursor(set);
  try {
    cursor.seek(start, "forward");
    const forward = walkText(() => cursor.next(), cursor);
    cursor.seek(end, "backward");
    return [
      "pmNewContext ok",
      `label magic=${magic} pid=${pid} start=${timeText(start)} host=${host} timezone=${timezone} zoneinfo=${zoneinfo}`,
      `end ${timeText(end)}`,
      `hostname ${host}`,
      ...metadataText(set),
      "fetch-archive forward",
      ...forward,
      "fetch-archive backward",
      ...walkText(() => cursor.previous(), cursor),
    ].join("\n");
  } finally {
    cursor.close();
  }
}
