// What has changed between two looks at a source, a line for each thing: for output that goes on
// without being drawn again. Pure. Times that each look takes are no change.
import type { ArchiveReport } from "./archive-types.ts";
import { plainText } from "./plain.ts";
import type { LiveReport } from "./report.ts";
import { archiveComplaints, bytesText } from "./text-archive.ts";
import { countText } from "./style.ts";

/** Things by name, each with its present state in words. */
export type Facts = ReadonlyMap<string, string>;

const number = (value: number | null): string => (value === null ? "not told" : String(value));

/** The facts of a live source. The number of pmcd's clients is left out: it never rests. */
export function liveFacts(report: LiveReport): Facts {
  const facts = new Map<string, string>();
  const { pmcd } = report;
  if (pmcd !== null) {
    facts.set("pmcd", pmcd.version ?? "not told");
    facts.set("process of pmcd", number(pmcd.pid));
    facts.set("features", pmcd.features.join(", "));
    facts.set("services", pmcd.services.join(", "));
  }
  facts.set("host name", report.hostName ?? "not told");
  facts.set("time zone", report.zone ?? "not told");
  facts.set("metrics", countText(report.metrics, "name"));
  for (const { name, value } of report.labels) facts.set(`label ${name}`, JSON.stringify(value));
  for (const agent of report.agents) {
    const end =
      agent.signal !== null
        ? ` (signal ${agent.signal})`
        : agent.exit !== null && agent.exit > 0
          ? ` (status ${agent.exit})`
          : "";
    facts.set(`agent ${agent.name}`, `${agent.state}${end}`);
    facts.set(`names of agent ${agent.name}`, String(agent.metrics));
  }
  for (const each of report.unhealthy) facts.set(each, "is so");
  return facts;
}

/** The facts of an archive. */
export function archiveFacts(report: ArchiveReport, end: string): Facts {
  const facts = new Map<string, string>();
  const { counts } = report;
  facts.set("state", report.error === null ? "opens" : report.error.text);
  facts.set("end", end);
  facts.set("archives", String(report.members.length));
  facts.set("files", String(report.members.reduce((sum, member) => sum + member.files.length, 0)));
  facts.set("samples", String(counts.dataRecords));
  facts.set("marks", String(counts.markRecords));
  facts.set("metrics", String(counts.metrics));
  facts.set("instances", String(counts.instances));
  facts.set("size", bytesText(counts.bytes));
  for (const each of archiveComplaints(report)) facts.set(plainText(each), "is so");
  return facts;
}

/** `agent sample: ok -> exited (status 3)`; things that came and went say so. */
export function changedFacts(before: Facts, after: Facts): readonly string[] {
  const lines: string[] = [];
  for (const [name, state] of after) {
    const old = before.get(name);
    if (old === state) continue;
    if (old === undefined) lines.push(state === "is so" ? name : `${name}: ${state}, new`);
    else lines.push(`${name}: ${old} -> ${state}`);
  }
  for (const [name, state] of before) {
    if (!after.has(name)) lines.push(state === "is so" ? `no more: ${name}` : `${name}: gone`);
  }
  return lines;
}
