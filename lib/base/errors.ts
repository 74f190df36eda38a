// Errors as data: the PM_ERR codes with PCP's names and texts (spec pdu.md 14), negated errno and
// SASL codes among them, and the one error class of the program. Every number has a text.
import { ERRNO } from "./errno.ts";

/** PM_ERR numbers by PCP's names without the PM_ERR_ prefix. */
export const PM_ERR = {
  GENERIC: -12345,
  PMNS: -12346,
  NOPMNS: -12347,
  DUPPMNS: -12348,
  TEXT: -12349,
  APPVERSION: -12350,
  VALUE: -12351,
  TIMEOUT: -12353,
  NODATA: -12354,
  RESET: -12355,
  NAME: -12357,
  PMID: -12358,
  INDOM: -12359,
  INST: -12360,
  UNIT: -12361,
  CONV: -12362,
  TRUNC: -12363,
  SIGN: -12364,
  PROFILE: -12365,
  IPC: -12366,
  EOF: -12368,
  NOTHOST: -12369,
  EOL: -12370,
  MODE: -12371,
  LABEL: -12372,
  LOGREC: -12373,
  NOTARCHIVE: -12374,
  LOGFILE: -12375,
  NOCONTEXT: -12376,
  PROFILESPEC: -12377,
  PMID_LOG: -12378,
  INDOM_LOG: -12379,
  INST_LOG: -12380,
  NOPROFILE: -12381,
  NOAGENT: -12386,
  PERMISSION: -12387,
  CONNLIMIT: -12388,
  AGAIN: -12389,
  ISCONN: -12390,
  NOTCONN: -12391,
  NEEDPORT: -12392,
  NONLEAF: -12394,
  TYPE: -12397,
  THREAD: -12398,
  NOCONTAINER: -12399,
  BADSTORE: -12400,
  LOGOVERLAP: -12401,
  LOGHOST: -12402,
  LOGCHANGETYPE: -12404,
  LOGCHANGESEM: -12405,
  LOGCHANGEINDOM: -12406,
  LOGCHANGEUNITS: -12407,
  NEEDCLIENTCERT: -12408,
  BADDERIVE: -12409,
  NOLABELS: -12410,
  PMDAFENCED: -12411,
  RECTYPE: -12412,
  FEATURE: -12413,
  TLS: -12414,
  ARG: -12415,
  BOTCH: -12442,
  TOOSMALL: -12443,
  TOOBIG: -12444,
  FAULT: -12445,
  PMDAREADY: -13393,
  PMDANOTREADY: -13394,
  NYI: -21344,
} as const;

const TEXTS: ReadonlyMap<number, string> = new Map([
  [PM_ERR.GENERIC, "Generic error, already reported above"],
  [PM_ERR.PMNS, "Problems parsing PMNS definitions"],
  [PM_ERR.NOPMNS, "PMNS not accessible"],
  [PM_ERR.DUPPMNS, "Attempt to reload the PMNS"],
  [PM_ERR.TEXT, "One-line or help text is not available"],
  [PM_ERR.APPVERSION, "Metric not supported by this version of monitored application"],
  [PM_ERR.VALUE, "Missing metric value(s)"],
  [PM_ERR.TIMEOUT, "Timeout waiting for a response from PMCD"],
  [PM_ERR.NODATA, "Empty archive file"],
  [PM_ERR.RESET, "PMCD reset or configuration change"],
  [PM_ERR.NAME, "Unknown metric name"],
  [PM_ERR.PMID, "Unknown or illegal metric identifier"],
  [PM_ERR.INDOM, "Unknown or illegal instance domain identifier"],
  [PM_ERR.INST, "Unknown or illegal instance identifier"],
  [PM_ERR.UNIT, "Illegal pmUnits specification"],
  [PM_ERR.CONV, "Impossible value or scale conversion"],
  [PM_ERR.TRUNC, "Truncation in value conversion"],
  [PM_ERR.SIGN, "Negative value in conversion to unsigned"],
  [PM_ERR.PROFILE, "Explicit instance identifier(s) required"],
  [PM_ERR.IPC, "IPC protocol failure"],
  [PM_ERR.EOF, "IPC channel closed"],
  [PM_ERR.NOTHOST, "Operation requires context with host source of metrics"],
  [PM_ERR.EOL, "End of PCP archive"],
  [PM_ERR.MODE, "Illegal mode specification"],
  [PM_ERR.LABEL, "Illegal label record at start of a PCP archive file"],
  [PM_ERR.LOGREC, "Corrupted record in a PCP archive"],
  [PM_ERR.NOTARCHIVE, "Operation requires context with archive source of metrics"],
  [PM_ERR.LOGFILE, "Missing PCP archive file"],
  [PM_ERR.NOCONTEXT, "Attempt to use an illegal context"],
  [PM_ERR.PROFILESPEC, "NULL pmInDom with non-NULL instlist"],
  [PM_ERR.PMID_LOG, "Metric not defined in the PCP archive"],
  [PM_ERR.INDOM_LOG, "Instance domain identifier not defined in the PCP archive"],
  [PM_ERR.INST_LOG, "Instance identifier not defined in the PCP archive"],
  [PM_ERR.NOPROFILE, "Missing profile - protocol botch"],
  [PM_ERR.NOAGENT, "No PMCD agent for domain of request"],
  [PM_ERR.PERMISSION, "No permission to perform requested operation"],
  [PM_ERR.CONNLIMIT, "PMCD connection limit for this host exceeded"],
  [PM_ERR.AGAIN, "Try again. Information not currently available"],
  [PM_ERR.ISCONN, "Already Connected"],
  [PM_ERR.NOTCONN, "Not Connected"],
  [PM_ERR.NEEDPORT, "A non-null port name is required"],
  [PM_ERR.NONLEAF, "Metric name is not a leaf in PMNS"],
  [PM_ERR.TYPE, "Unknown or illegal metric type"],
  [PM_ERR.THREAD, "Operation not supported for multi-threaded applications"],
  [PM_ERR.NOCONTAINER, "Container not found"],
  [PM_ERR.BADSTORE, "Bad input to pmstore"],
  [PM_ERR.LOGOVERLAP, "Archives overlap in time"],
  [PM_ERR.LOGHOST, "Archives differ by host"],
  [PM_ERR.LOGCHANGETYPE, "The type of a metric has changed in an archive"],
  [PM_ERR.LOGCHANGESEM, "The semantics of a metric has changed in an archive"],
  [PM_ERR.LOGCHANGEINDOM, "The instance domain of a metric has changed in an archive"],
  [PM_ERR.LOGCHANGEUNITS, "The units of a metric have changed in an archive"],
  [PM_ERR.NEEDCLIENTCERT, "PMCD requires a client certificate"],
  [PM_ERR.BADDERIVE, "Derived metric definition failed"],
  [PM_ERR.NOLABELS, "No support for metric label metadata"],
  [PM_ERR.PMDAFENCED, "PMDA is currently fenced and unable to respond to requests"],
  [PM_ERR.RECTYPE, "Incorrect record type in an archive"],
  [PM_ERR.FEATURE, "Archive feature not supported"],
  [PM_ERR.TLS, "TLS protocol failure"],
  [PM_ERR.ARG, "Bad value for function argument"],
  [PM_ERR.BOTCH, "Internal inconsistency detected or assertion failed"],
  [PM_ERR.TOOSMALL, "Insufficient elements in list"],
  [PM_ERR.TOOBIG, "Result size exceeded"],
  [PM_ERR.FAULT, "QA fault injected"],
  [PM_ERR.PMDAREADY, "PMDA is now responsive to requests"],
  [PM_ERR.PMDANOTREADY, "PMDA is not yet ready to respond to requests"],
  [PM_ERR.NYI, "Functionality not yet implemented"],
]);

// Codes whose text in 6.0.3 has the word "log" after "archive".
const ARCHIVE_LOG: ReadonlySet<number> = new Set([
  PM_ERR.NODATA,
  PM_ERR.EOL,
  PM_ERR.LABEL,
  PM_ERR.LOGREC,
  PM_ERR.LOGFILE,
  PM_ERR.PMID_LOG,
  PM_ERR.INDOM_LOG,
  PM_ERR.INST_LOG,
]);

// A SASL result of -N is the code NYI - N; texts of Cyrus SASL by N.
const SASL_TEXTS: ReadonlyMap<number, string> = new Map([
  [1, "generic failure"],
  [2, "no memory available"],
  [3, "overflowed buffer"],
  [4, "no mechanism available"],
  [5, "bad protocol / cancel"],
  [6, "can't request information until later in exchange"],
  [7, "invalid parameter supplied"],
  [8, "transient failure (e.g., weak key)"],
  [9, "integrity check failed"],
  [10, "server failed mutual authentication step"],
  [11, "mechanism doesn't support requested feature"],
  [12, "SASL library is not initialized"],
  [13, "authentication failure"],
  [14, "authorization failure"],
  [15, "mechanism too weak for this user"],
  [16, "encryption needed to use mechanism"],
  [17, "One time use of a plaintext password will enable requested mechanism for user"],
  [18, "passphrase expired, has to be reset"],
  [19, "account disabled"],
  [20, "user not found"],
  [21, "passphrase locked"],
  [22, "requested change was not needed"],
  [23, "version mismatch with plug-in"],
  [24, "remote authentication server unavailable"],
  [26, "user exists, but no verifier for user"],
  [27, "passphrase is too weak for security policy"],
  [28, "user supplied passwords are not permitted"],
  [29, "sasl_setpass needs old password in order to perform password change"],
  [30, "sasl_setpass can't store a property because of a constraint violation"],
  [32, "channel binding failure"],
  [100, "error when parsing configuration file"],
]);
const LAST_SASL_CODE = -22344;

const ERRNO_TEXTS: ReadonlyMap<number, string> = new Map(
  ERRNO.map(([number, , text]) => [-number, text]),
);
const ERRNO_CODES: ReadonlyMap<string, number> = new Map([
  ...ERRNO.map(([number, name]): [string, number] => [name, -number]),
  ["EWOULDBLOCK", -11],
  ["ENOTSUP", -95],
]);
const SYMBOLS: ReadonlyMap<number, string> = new Map([
  ...ERRNO.map(([number, name]): [number, string] => [-number, name]),
  ...Object.entries(PM_ERR).map(([name, code]): [number, string] => [code, `PM_ERR_${name}`]),
]);

/** A PM_ERR code (≤ -12345) or a negated errno. */
export type PmErrCode = number;

/** An operation that failed with a PCP code; `message` is a sentence for people. */
export class PcpError extends Error {
  constructor(
    readonly code: PmErrCode,
    message: string = pmErrStr(code),
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "PcpError";
  }
}

/**
 * PCP's text for a code, as pmErrStr(3) of PCP 7.2; `release` 6 gives that of 6.0.3. A negated
 * errno has the text of Linux on every system.
 */
export function pmErrStr(code: PmErrCode, release: 6 | 7 = 7): string {
  if (code === 0) return "No error";
  const none = `No such PMAPI error code (${code})`;
  if (code > 0) return none;
  if (code > PM_ERR.GENERIC) return ERRNO_TEXTS.get(code) ?? `Unknown error ${-code}`;
  if (code < PM_ERR.NYI) {
    const number = PM_ERR.NYI - code;
    return code < LAST_SASL_CODE
      ? `Unknown secure sockets error ${code} (${-number})`
      : `Authentication - ${SASL_TEXTS.get(number) ?? "undefined error!"}`;
  }
  const text = TEXTS.get(code);
  if (text === undefined) return none;
  if (release === 7) return text;
  if (code === PM_ERR.ARG) return none;
  return ARCHIVE_LOG.has(code) ? text.replace("archive", "archive log") : text;
}

/** The symbol of a code, `PM_ERR_IPC` or `ENOENT`; undefined for a code without one. */
export const pmErrSymbol = (code: PmErrCode): string | undefined => SYMBOLS.get(code);

/**
 * The code of a symbol: `PM_ERR_IPC` and `ENOENT` (as in the `code` of a system error) give their
 * negative numbers; undefined for other texts.
 */
export function pmErrCode(symbol: string): PmErrCode | undefined {
  if (!symbol.startsWith("PM_ERR_")) return ERRNO_CODES.get(symbol);
  const name = symbol.slice("PM_ERR_".length);
  return Object.hasOwn(PM_ERR, name) ? PM_ERR[name as keyof typeof PM_ERR] : undefined;
}

/**
 * Anything thrown as a PcpError: itself, a system error by its errno name with its own message,
 * else PM_ERR_GENERIC. The original is the `cause`.
 */
export function asPcpError(thrown: unknown): PcpError {
  if (thrown instanceof PcpError) return thrown;
  const symbol = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
  const code = typeof symbol === "string" ? pmErrCode(symbol) : undefined;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PcpError(code ?? PM_ERR.GENERIC, message, { cause: thrown });
}
