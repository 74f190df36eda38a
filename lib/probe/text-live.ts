// The look at a live source as text: a verdict, then what was found, in the width of a terminal.
// Pure; all text of others was made harmless when the report was made, or is here.
import { plainText } from "./plain.ts";
import type { AgentReport, Failure, LabelReport, LiveReport, StepReport } from "./report.ts";
import {
  countText,
  durationText,
  fieldText,
  paint,
  type Style,
  tableText,
  wrapText,
} from "./style.ts";

const WORDS: Readonly<Record<string, string>> = {
  resolve: "resolve",
  connect: "connect",
  greeting: "proxy",
  challenge: "handshake",
  creds: "agreement",
  tls: "TLS",
  sasl: "SASL",
  attribute: "attribute",
};

/** Code, symbol and where of a failure, then its hint: the lines below its message. */
export function failureLines(style: Style, failure: Failure): readonly string[] {
  const { code, symbol, where, hint } = failure;
  const at = where === null ? "" : `, at ${WORDS[where] ?? where}`;
  const lines = [`  code: ${symbol === null ? code : `${symbol} (${code})`}${at}`];
  if (failure.detail !== null) {
    lines.push(
      ...failure.detail.split("\n").map((line, i) => `${i === 0 ? "  what: " : "        "}${line}`),
    );
  }
  if (hint !== null) {
    lines.push(`  hint: ${wrapText(hint, style.width, 8).slice(8)}`);
  }
  return lines;
}

function tlsLines(style: Style, step: StepReport): readonly string[] {
  const { tls } = step;
  if (tls === null) return [];
  const lines: string[] = [];
  const sub = (text: string): void => {
    lines.push(wrapText(text, style.width, 15));
  };
  const { certificate } = tls;
  if (certificate !== null) {
    sub(`certificate of ${certificate.subject}`);
    sub(`signed by ${certificate.issuer}`);
    if (certificate.names.length > 0) sub(`for ${certificate.names.join(", ")}`);
    const from = certificate.validFrom.slice(0, 10);
    const to = certificate.validTo.slice(0, 10);
    const left =
      certificate.daysLeft < 0
        ? paint(style, "bad", "has ended")
        : `${countText(certificate.daysLeft, "day")} left`;
    sub(`valid ${from} to ${to}, ${left}`);
    sub(`SHA-256 ${certificate.fingerprint.replaceAll(":", "").toLowerCase()}`);
  }
  const trust = tls.trusted
    ? paint(style, "good", "trusted")
    : paint(style, "warn", `not trusted${tls.distrust === null ? "" : `: ${tls.distrust}`}`);
  sub(trust);
  return lines;
}

/** One line a step, its time at the right; a failure's message below. */
export function stepLines(style: Style, steps: readonly StepReport[]): readonly string[] {
  const lines: string[] = [];
  let target = "";
  const places = new Set(steps.map((each) => each.target));
  for (const step of steps) {
    if (places.size > 1 && step.target !== target) {
      ({ target } = step);
      lines.push(`  ${paint(style, "dim", `trying ${target}`)}`);
    }
    const mark = step.lost ? "-" : step.ok ? "+" : "x";
    const colour = step.lost ? "dim" : step.ok ? "good" : "bad";
    const time = durationText(step.durationMs);
    const what = step.lost
      ? `${step.detail} (another was faster)`
      : step.error === null
        ? step.detail
        : `${step.detail === "" ? "" : `${step.detail}: `}${step.error.message}`;
    const room = style.width - time.length - 1;
    const body = wrapText(what, room, 15).split("\n");
    const first = `${body[0]?.slice(15) ?? ""}`;
    const head = `  ${paint(style, colour, mark)} ${(WORDS[step.step] ?? step.step).padEnd(10)} `;
    const used = 15 + Bun.stringWidth(first);
    lines.push(
      `${head}${first}${" ".repeat(Math.max(1, style.width - used - time.length))}${paint(style, "dim", time)}`,
    );
    lines.push(...body.slice(1), ...tlsLines(style, step));
  }
  return lines;
}

const STATE_COLOUR = {
  ok: "good",
  "not ready": "warn",
  fenced: "warn",
  unknown: "warn",
  exited: "bad",
  "not started": "bad",
  dropped: "bad",
} as const;

function endText({ exit, signal }: AgentReport): string {
  if (signal !== null) return `signal ${signal}`;
  return exit !== null && exit > 0 ? `status ${exit}` : "";
}

function agentLines(style: Style, agents: readonly AgentReport[]): readonly string[] {
  const head = ["domain", "agent", "kind", "names", "state"];
  const rows = agents.map((agent) => [
    String(agent.domain),
    agent.name,
    agent.kind ?? "?",
    String(agent.metrics),
    [paint(style, STATE_COLOUR[agent.state], agent.state), endText(agent)].join(" ").trimEnd(),
  ]);
  return tableText([head, ...rows], new Set([0, 3])).map((line, i) =>
    i === 0 ? `  ${paint(style, "dim", line)}` : `  ${line}`,
  );
}

/** `name "value"` of each label, in one paragraph of fields. */
export function labelLines(style: Style, labels: readonly LabelReport[]): readonly string[] {
  if (labels.length === 0) return [fieldText(style, "labels", "none")];
  const width = Math.max(...labels.map((each) => each.name.length));
  return labels.map(({ name, value }, i) =>
    fieldText(
      style,
      i === 0 ? "labels" : "",
      `${name.padEnd(width)}  ${plainText(typeof value === "string" ? value : JSON.stringify(value))}`,
    ),
  );
}

const section = (style: Style, title: string): readonly string[] => [
  "",
  paint(style, "strong", title),
];

/** The first line of a report: what was looked at, and whether it works. */
export function verdictLine(
  style: Style,
  what: string,
  verdict: string,
  good: "good" | "warn" | "bad",
): string {
  return `${paint(style, "strong", what)}: ${paint(style, good, verdict)}`;
}

/** Whether it is a local context without agents, which there is one thing to say about. */
const isEmpty = ({ pmcd, agents }: LiveReport): boolean => pmcd === null && agents.length === 0;

function verdictOf(report: LiveReport): readonly [string, "good" | "warn"] {
  const { unhealthy, errors } = report;
  if (isEmpty(report) && errors.length === 0) return [`opens, but ${unhealthy.join("; ")}`, "warn"];
  const wrong = unhealthy.length + errors.length;
  return wrong === 0 ? ["works", "good"] : [`works, with ${countText(wrong, "complaint")}`, "warn"];
}

function complaintLines(style: Style, report: LiveReport): readonly string[] {
  const told = isEmpty(report) && report.errors.length === 0 ? [] : report.unhealthy;
  const lines = told.map(
    (each) => `  ${paint(style, "bad", "!")} ${wrapText(each, style.width, 4).slice(4)}`,
  );
  for (const error of report.errors) {
    lines.push(
      `  ${paint(style, "bad", "!")} ${error.message}`,
      ...failureLines(style, error).map((l) => `  ${l}`),
    );
  }
  return lines;
}

function pmcdLines(style: Style, report: LiveReport): readonly string[] {
  const { pmcd } = report;
  if (pmcd === null) return [];
  const lines: string[] = [];
  const field = (name: string, text: string | null): void => {
    if (text !== null && text !== "") lines.push(fieldText(style, name, text));
  };
  const build = pmcd.build === null ? "" : ` (build ${pmcd.build})`;
  const pid = pmcd.pid === null ? "" : `, process ${pmcd.pid}`;
  field(
    "pmcd",
    pmcd.version === null ? "does not tell its version" : `${pmcd.version}${build}${pid}`,
  );
  field("offers", pmcd.features.join(", "));
  field("services", pmcd.services.join(", "));
  field("clients", pmcd.clients === null ? null : String(pmcd.clients));
  return lines;
}

/** The whole look; `what` names the source. */
export function liveText(style: Style, what: string, report: LiveReport): string {
  const [verdict, good] = verdictOf(report);
  const took = report.connectMs === null ? "" : ` (connected in ${durationText(report.connectMs)})`;
  const lines = [verdictLine(style, what, verdict, good) + took];
  lines.push(...complaintLines(style, report));
  if (report.steps.length > 0) {
    lines.push(...section(style, "Connection"), ...stepLines(style, report.steps));
    if (report.fetchMs !== null) {
      const time = durationText(report.fetchMs);
      const text = `  ${paint(style, "good", "+")} fetch      metrics of pmcd itself`;
      lines.push(
        `${text}${" ".repeat(Math.max(1, style.width - Bun.stringWidth(text) - time.length))}${paint(style, "dim", time)}`,
      );
    }
  }
  lines.push(...section(style, "Host"));
  lines.push(fieldText(style, "name", report.hostName ?? "not told"));
  lines.push(fieldText(style, "time zone", report.zone ?? "not told"));
  lines.push(...pmcdLines(style, report));
  lines.push(...labelLines(style, report.labels));
  lines.push(fieldText(style, "metrics", countText(report.metrics, "name")));
  if (report.agents.length > 0) {
    lines.push(...section(style, "Agents"), ...agentLines(style, report.agents));
  } else if (report.pmcd === null) {
    const why = "none: the table is empty";
    lines.push(...section(style, "Agents"), `  ${wrapText(why, style.width, 2).slice(2)}`);
  }
  return `${lines.join("\n")}\n`;
}
