// Errors as what an operator can act on: code, symbol, PCP's text, and one hint out of a table by
// kind of source, step and code. Pure; a code without a row has no hint.
import { PcpError, PM_ERR, pmErrCode, pmErrStr, pmErrSymbol } from "../base/mod.ts";
import { plainLines } from "./plain.ts";
import type { Failure } from "./report.ts";

/** What a failure is about: a connection (and its step), an archive, local agents, a metric. */
export type FailurePlace =
  | { readonly about: "host"; readonly step?: string }
  | { readonly about: "archive" }
  | { readonly about: "local" }
  | { readonly about: "metric"; readonly name?: string };

/** A row: which failures it is for, and the sentence. Without steps it is for all of them. */
interface Row {
  readonly about: FailurePlace["about"];
  readonly codes: readonly string[];
  readonly steps?: readonly string[];
  readonly hint: string;
}

// The first row that fits counts, so rows with steps stand before those without.
const ROWS: readonly Row[] = [
  {
    about: "host",
    codes: ["EHOSTUNREACH"],
    steps: ["resolve"],
    hint: "the name does not resolve: check its spelling and the name service, or give an address",
  },
  {
    about: "host",
    codes: ["PM_ERR_AGAIN"],
    steps: ["resolve"],
    hint: "the name service does not answer at the moment: try again, or give an address",
  },
  {
    about: "host",
    codes: ["ECONNREFUSED"],
    steps: ["proxy"],
    hint: "no proxy listens there: is pmproxy running (systemctl status pmproxy), is its port right (44322)?",
  },
  {
    about: "host",
    codes: ["ETIMEDOUT"],
    steps: ["proxy"],
    hint: "the proxy does not answer within PMCD_CONNECT_TIMEOUT: a firewall that drops, a wrong address, or a host that is down",
  },
  {
    about: "host",
    codes: ["ECONNREFUSED"],
    hint: "nothing listens there: is pmcd running (systemctl status pmcd), is the port right (44321), does it listen on this address (PMCD_LOCAL, -i)?",
  },
  {
    about: "host",
    codes: ["EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "EADDRNOTAVAIL"],
    hint: "there is no way to that address from here: check the address, routes and firewalls",
  },
  {
    about: "host",
    codes: ["ETIMEDOUT"],
    hint: "no answer within PMCD_CONNECT_TIMEOUT: a firewall that drops, a wrong address, or a host that is down",
  },
  {
    about: "host",
    codes: ["PM_ERR_TIMEOUT"],
    steps: ["challenge"],
    hint: "something accepted the connection and said nothing: is that the port of pmcd? A busy or stopped pmcd does the same; PMCD_REQUEST_TIMEOUT sets the limit",
  },
  {
    about: "host",
    codes: ["PM_ERR_TIMEOUT"],
    steps: ["proxy"],
    hint: "the proxy did not answer: is that the port of pmproxy (44322)?",
  },
  {
    about: "host",
    codes: ["PM_ERR_TIMEOUT"],
    hint: "pmcd stopped answering: is it busy or stopped, or an agent of it slow? PMCD_REQUEST_TIMEOUT sets the limit",
  },
  {
    about: "host",
    codes: ["PM_ERR_IPC", "PM_ERR_EOF", "ECONNRESET", "EPIPE"],
    steps: ["challenge"],
    hint: "what listens there does not speak as pmcd: is it the port of another program, or of pmproxy (then write HOST@PROXY)?",
  },
  {
    about: "host",
    codes: ["PM_ERR_IPC", "PM_ERR_EOF", "ECONNRESET", "EPIPE"],
    steps: ["proxy"],
    hint: "the proxy closed the connection: is it pmproxy, and can it reach a pmcd on that host and port?",
  },
  {
    about: "host",
    codes: ["PM_ERR_IPC", "PM_ERR_EOF", "ECONNRESET", "EPIPE"],
    hint: "the connection broke: did pmcd end or restart? Its log (/var/log/pcp/pmcd/pmcd.log) tells why",
  },
  {
    about: "host",
    codes: ["PM_ERR_PERMISSION"],
    hint: "pmcd refuses this host or user: see [access] in /etc/pcp/pmcd/pmcd.conf of that host; with pmcd -S give ?user=NAME&pass=WORD",
  },
  {
    about: "host",
    codes: ["PM_ERR_CONNLIMIT"],
    hint: "too many connections from this host: [access] in pmcd.conf sets maximum connections",
  },
  {
    about: "host",
    codes: ["PM_ERR_NEEDCLIENTCERT"],
    hint: "pmcd wants a client certificate: write pcps://HOST and name certificate and key in /etc/pcp/tls.conf",
  },
  {
    about: "host",
    codes: ["EOPNOTSUPP"],
    hint: "pmcd does not offer what was asked for (TLS, authentication or containers): leave it out, or set it up at pmcd",
  },
  {
    about: "host",
    codes: ["PM_ERR_TLS"],
    hint: "TLS failed: do both sides trust the same authority (tls-ca-cert-file in /etc/pcp/tls.conf), is the certificate still valid?",
  },
  {
    about: "host",
    codes: ["ENOENT"],
    hint: "no pmcd behind that socket: is pmcd running, is the path right (pmcd.socket in PCP_RUN_DIR)?",
  },
  {
    about: "host",
    codes: ["EACCES"],
    hint: "this user may not use that socket: check its owner and mode and those of its directory",
  },
  {
    about: "host",
    codes: ["EPERM"],
    hint: "a unix socket cannot be reached through a proxy: unset PMPROXY_HOST",
  },
  {
    about: "host",
    codes: ["PM_ERR_NOTHOST"],
    hint: "name a host, as in -h db1 or -h db1:44321",
  },
  {
    about: "host",
    codes: ["PM_ERR_GENERIC"],
    hint: "see PCPIntro(1) for host specifications: db1, db1:44321, [::1], pcps://db1, db1@proxy, unix:, local:",
  },
  {
    about: "host",
    codes: ["EINVAL"],
    hint: "names of containers have letters, digits and . - _ only",
  },
  {
    about: "host",
    codes: ["PM_ERR_NOCONTAINER"],
    hint: "that host knows no container of this name: see containers.name there",
  },
  {
    about: "archive",
    codes: ["ENOENT"],
    hint: "no archive of that name: give its base name, without .meta, .index or .0",
  },
  {
    about: "archive",
    codes: ["EACCES", "PM_ERR_PERMISSION", "EPERM"],
    hint: "this user may not read it: archives of pmlogger belong to user and group pcp",
  },
  {
    about: "archive",
    codes: ["EISDIR", "ENOTDIR"],
    hint: "give the base name of an archive, or a directory that holds archives",
  },
  {
    about: "archive",
    codes: ["PM_ERR_LOGFILE"],
    hint: "a part is missing: an archive is a .meta file and at least one data volume (.0)",
  },
  {
    about: "archive",
    codes: ["PM_ERR_LABEL"],
    hint: "the label of a file is damaged, or belongs to another archive or to no archive at all",
  },
  {
    about: "archive",
    codes: ["PM_ERR_NODATA"],
    hint: "nothing has been recorded yet, or pmlogger could not write: see pmlogger.log beside it",
  },
  {
    about: "archive",
    codes: ["PM_ERR_LOGREC", "PM_ERR_RECTYPE"],
    hint: "the archive is damaged there: is there a copy? Of a damaged data volume, what stands before can be read, and saved with extract",
  },
  {
    about: "archive",
    codes: ["PM_ERR_LOGOVERLAP"],
    hint: "two members of the set cover the same time: leave one out, or merge them with pmlogextract",
  },
  {
    about: "archive",
    codes: ["PM_ERR_LOGHOST"],
    hint: "the members of a set must be of one host: name archives of one host only",
  },
  {
    about: "archive",
    codes: [
      "PM_ERR_LOGCHANGETYPE",
      "PM_ERR_LOGCHANGESEM",
      "PM_ERR_LOGCHANGEINDOM",
      "PM_ERR_LOGCHANGEUNITS",
    ],
    hint: "a metric is described differently in two members: open them one by one, or make them alike with pmlogrewrite",
  },
  {
    about: "archive",
    codes: ["PM_ERR_FEATURE"],
    hint: "a newer PCP wrote it, with features that are not known here",
  },
  {
    about: "archive",
    codes: ["PM_ERR_NOCONTEXT"],
    hint: "name an archive, as in -a /var/log/pcp/pmlogger/db1/20260101",
  },
  {
    about: "local",
    codes: ["PM_ERR_THREAD"],
    hint: "local contexts are for one thread",
  },
  {
    about: "local",
    codes: ["ENOENT"],
    hint: "the file that names the agents is missing: PCP_PMCDCONF_PATH, /etc/pcp/pmcd/pmcd.conf",
  },
  {
    about: "metric",
    codes: ["PM_ERR_NAME"],
    hint: "no metric of that name there: name what is above it, to see what there is",
  },
  {
    about: "metric",
    codes: ["PM_ERR_NONLEAF"],
    hint: "there are only metrics below that name, none of it",
  },
  {
    about: "metric",
    codes: ["PM_ERR_NOAGENT"],
    hint: "the agent of this metric is not running: look at the agents, without metrics",
  },
  {
    about: "metric",
    codes: ["PM_ERR_AGAIN", "PM_ERR_PMDANOTREADY"],
    hint: "the agent is not ready yet, or has nothing to tell at the moment: try again",
  },
  {
    about: "metric",
    codes: ["PM_ERR_APPVERSION"],
    hint: "the agent knows the metric, but this system does not have it",
  },
  {
    about: "metric",
    codes: ["PM_ERR_PMID"],
    hint: "the name is known, but its agent does not know the metric: is the name space older than the agent?",
  },
  {
    about: "metric",
    codes: ["PM_ERR_INST", "PM_ERR_INST_LOG"],
    hint: "no instance of that name: leave the brackets out to see all of them",
  },
  {
    about: "metric",
    codes: ["PM_ERR_INDOM"],
    hint: "a metric without instances takes no brackets",
  },
  {
    about: "metric",
    codes: ["PM_ERR_PERMISSION"],
    hint: "the agent gives this to privileged users only: authenticate, or use unix: as that user",
  },
  {
    about: "metric",
    codes: ["PM_ERR_PMDAFENCED"],
    hint: "fetches of this agent are fenced off: pmcd.agent.fenced, pmstore(1)",
  },
  {
    about: "metric",
    codes: ["PM_ERR_TIMEOUT"],
    hint: "the agent took too long, pmcd has dropped it: look at the agents, without metrics",
  },
];

/** The codes that hints speak of, by name. */
export const HINT_CODES: readonly string[] = ROWS.flatMap((row) => row.codes);

/** Codes of SASL lie below that of NYI. */
const isSasl = (code: number): boolean => code < PM_ERR.NYI;

/** The one line for a failure; null when there is nothing to advise. */
export function hintOf(code: number, place: FailurePlace): string | null {
  if (place.about === "host" && isSasl(code)) {
    return "authentication failed: check ?method=, user= and pass= of the specification, and SASL at pmcd";
  }
  const step = place.about === "host" ? place.step : undefined;
  const row = ROWS.find(
    (each) =>
      each.about === place.about &&
      each.codes.some((name) => pmErrCode(name) === code) &&
      (each.steps === undefined || (step !== undefined && each.steps.includes(step))),
  );
  return row?.hint ?? null;
}

/** Why a context has no connection, where an error of its calls hides that. */
function reasonOf(error: PcpError): PcpError {
  const { cause, code } = error;
  return code === PM_ERR.IPC && cause instanceof PcpError && cause.code !== code ? cause : error;
}

/** A failure in full. The detail is what the error says beyond the text of its code. */
export function failureOf(thrown: PcpError, place: FailurePlace): Failure {
  const error = place.about === "host" ? reasonOf(thrown) : thrown;
  const message = pmErrStr(error.code);
  const whole = plainLines(error.message).trimEnd();
  const said = whole.startsWith(`${message}: `) ? whole.slice(message.length + 2) : whole;
  const step = place.about === "host" ? place.step : undefined;
  const name = place.about === "metric" ? place.name : undefined;
  return {
    code: error.code,
    symbol: pmErrSymbol(error.code) ?? null,
    message,
    detail: said === message || said === "" ? null : said,
    where: step ?? name ?? null,
    hint: hintOf(error.code, place),
  };
}
