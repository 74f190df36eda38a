// The labels that belong to a client's context and not to an agent (spec pdu.md 9.5, local.md 6): who
// this machine is, who the client is, and what the label files of the machine say. Files that cannot
// be read or parsed are reported and left out.
import { readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { asPcpError, PM_ERR } from "../base/mod.ts";
import {
  type Label,
  labelsOf,
  labelsText,
  mergeLabels,
  parseLabels,
  PM_LABEL,
} from "../pcp/mod.ts";
import type { AgentLabelSet } from "../pmda/mod.ts";

/** What context labels are made of. */
export interface ContextLabelOptions {
  /** PCP_SYSCONF_DIR is looked at for the label files; none are read without it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The account of the client, where it is known. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
  readonly warn?: (text: string) => void;
}

/** First line of a small file of the system; undefined when there is none. */
function firstLine(path: string): string | undefined {
  try {
    const [line = ""] = readFileSync(path, "utf8").split("\n");
    return line === "" || line === "(none)" ? undefined : line;
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
    return undefined;
  }
}

/** The labels of every file of a directory, in order of their names. */
function fileLabels(folder: string, flags: number, warn: (text: string) => void): Label[] {
  let names: string[];
  try {
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if (asPcpError(error).code !== -2) warn(`labels of ${folder}: ${asPcpError(error).message}`);
    return [];
  }
  return names.flatMap((name) => {
    const path = join(folder, name);
    try {
      return labelsOf(parseLabels(readFileSync(path), flags));
    } catch (error) {
      warn(`labels of ${path}: ${asPcpError(error).message}`);
      return [];
    }
  });
}

const text = (name: string, value: string | number | undefined, flags = 0): Label[] =>
  value === undefined
    ? []
    : [{ name, value: JSON.stringify(value), flags: PM_LABEL.CONTEXT | flags }];

/** The one set of context labels. Whose process it is does not belong to a metric's identity. */
export function contextLabels(options: ContextLabelOptions): AgentLabelSet {
  const { env, account, warn = () => undefined } = options;
  const folder = env["PCP_SYSCONF_DIR"];
  const own = [
    ...text("domainname", firstLine("/proc/sys/kernel/domainname") ?? "localdomain"),
    ...text("hostname", hostname()),
    ...text("machineid", firstLine("/etc/machine-id")),
    ...text("groupid", account?.gid, PM_LABEL.OPTIONAL),
    ...text("userid", account?.uid, PM_LABEL.OPTIONAL),
  ];
  const files =
    folder === undefined
      ? []
      : [
          ...fileLabels(join(folder, "labels"), PM_LABEL.CONTEXT, warn),
          ...fileLabels(
            join(folder, "labels", "optional"),
            PM_LABEL.CONTEXT | PM_LABEL.OPTIONAL,
            warn,
          ),
        ];
  const merged = mergeLabels([own, files]);
  const set = parseLabels(labelsText(merged), PM_LABEL.CONTEXT);
  const optional = new Set(
    merged.filter(({ flags }) => (flags & PM_LABEL.OPTIONAL) !== 0).map(({ name }) => name),
  );
  const records = set.records.map((record) => {
    const { nameOffset, nameLength, flags } = record;
    const name = Buffer.from(set.json).toString("latin1", nameOffset, nameOffset + nameLength);
    return optional.has(name) ? { ...record, flags: flags | PM_LABEL.OPTIONAL } : record;
  });
  return { ...set, records, error: 0 };
}
