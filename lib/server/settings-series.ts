// The options about time series: key server, discovery, search, series, pushed archives, the recorder
// (spec series.md 1.1, proxy.md 7.2; what PCP does not have is marked pcpbox). Rows only.

import { automatic, count, rowMaker, type Setting, TIME_LIMIT } from "./settings-row.ts";

const DAY_SECONDS = 86_400;

const keys = rowMaker("keys");
const redis = rowMaker("redis");
const discover = rowMaker("discover");
const pmsearch = rowMaker("pmsearch");
const pmseries = rowMaker("pmseries");
const pmlogger = rowMaker("pmlogger");
const record = rowMaker("record");

/** Options about time series, in the order of the sample file. */
export const SERIES_SETTINGS: readonly Setting[] = [
  keys("enabled", "switch", "true", "restart", "7.2.1", "connect to a key server at all", {
    read: (s) => s.keyServer.enabled,
  }),
  keys("servers", "servers", "localhost:6379", "restart", "7.2.1", "host:port of key servers", {
    read: (s) => s.keyServer.servers,
  }),
  keys("username", "text", "", "restart", "7.2.1", "user name for the key server", {
    read: (s) => s.keyServer.username,
  }),
  keys("password", "text", "", "restart", "7.2.1", "password for the key server", {
    secret: true,
    read: (s) => s.keyServer.password,
  }),
  keys("tls.enabled", "switch", "false", "restart", "pcpbox", "speak TLS with key servers", {
    read: (s) => s.keyServer.tls.enabled,
  }),
  keys("tls.ca", "text", "", "restart", "pcpbox", "authorities of their certificates, PEM file", {
    read: (s) => s.keyServer.tls.ca,
  }),
  keys("tls.cert", "text", "", "restart", "pcpbox", "certificate to show them, PEM file", {
    read: (s) => s.keyServer.tls.certificate,
  }),
  keys("tls.key", "text", "", "restart", "pcpbox", "private key of it, PEM file", {
    read: (s) => s.keyServer.tls.key,
  }),
  keys(
    "tls.verify",
    "switch",
    "true",
    "restart",
    "pcpbox",
    "refuse certificates nobody vouches for",
    {
      read: (s) => s.keyServer.tls.verify,
    },
  ),

  redis("enabled", "switch", "true", "restart", "6.0.3", "older name of [keys] enabled"),
  redis("servers", "servers", "localhost:6379", "restart", "6.0.3", "older name of [keys] servers"),
  redis("username", "text", "", "restart", "6.0.3", "older name of [keys] username"),
  redis("password", "text", "", "restart", "6.0.3", "older name of [keys] password", {
    secret: true,
  }),

  discover(
    "enabled",
    "choice",
    "auto",
    "restart",
    "6.0.3",
    "follow archives as they grow; auto: unless a key server is used",
    automatic((s) => s.discover.enabled),
  ),
  discover(
    "path",
    "text",
    "",
    "restart",
    "6.0.3",
    "directory to follow, PCP_ARCHIVE_DIR if unset",
    {
      read: (s) => s.discover.path,
    },
  ),
  discover("exclude.metrics", "list", "", "restart", "6.0.3", "metric name globs not to load", {
    read: (s) => s.discover.excludeMetrics,
  }),
  discover("exclude.indoms", "list", "", "restart", "6.0.3", "instance domains not to load", {
    read: (s) => s.discover.excludeIndoms,
  }),
  discover(
    "catchup",
    "number",
    "0",
    "restart",
    "pcpbox",
    "seconds back from which a key server gets older values, 0: new ones only",
    count(0, TIME_LIMIT, (s) => s.discover.catchUpSeconds),
  ),
  discover(
    "polling",
    "switch",
    "false",
    "restart",
    "pcpbox",
    "look at files now and then instead",
    {
      read: (s) => s.discover.polling,
    },
  ),
  discover(
    "poll.interval",
    "number",
    "10",
    "restart",
    "pcpbox",
    "seconds between such looks",
    count(1, DAY_SECONDS, (s) => s.discover.pollSeconds),
  ),

  pmsearch(
    "enabled",
    "choice",
    "auto",
    "restart",
    "6.0.3",
    "text search and its index; auto: unless a key server is used",
    automatic((s) => s.search.enabled),
  ),
  pmsearch(
    "result.count",
    "number",
    "10",
    "live",
    "6.0.3",
    "results on one page",
    count(1, 1_000_000, (s) => s.search.resultCount),
  ),
  pmsearch("count", "number", "10", "live", "never", "older name of result.count", {
    minimum: 1,
    maximum: 1_000_000,
  }),

  pmseries("enabled", "switch", "true", "restart", "6.0.3", "time series requests and loading", {
    read: (s) => s.series.enabled,
  }),
  pmseries(
    "store",
    "choice",
    "auto",
    "restart",
    "pcpbox",
    "where series are: keys (key server), embedded (archives), or auto",
    { choices: ["auto", "keys", "embedded"], read: (s) => s.series.store },
  ),
  pmseries(
    "catalogue",
    "text",
    "",
    "restart",
    "pcpbox",
    "file of the embedded store, :memory: for none",
    { read: (s) => s.series.catalogue ?? "" },
  ),
  pmseries(
    "cursor.count",
    "number",
    "256",
    "live",
    "6.0.3",
    "names asked for in one SCAN",
    count(1, 1_000_000, (s) => s.series.cursorCount),
  ),
  pmseries(
    "stream.expire",
    "number",
    `${DAY_SECONDS}`,
    "live",
    "6.0.3",
    "seconds that a series without new values is kept",
    count(1, TIME_LIMIT, (s) => s.series.streamExpireSeconds),
  ),
  pmseries(
    "stream.maxlen",
    "number",
    "8640",
    "live",
    "6.0.3",
    "values kept of one series",
    count(1, TIME_LIMIT, (s) => s.series.streamMaxLength),
  ),
  pmseries(
    "servers",
    "servers",
    "localhost:6379",
    "restart",
    "6.0.3",
    "oldest name of [keys] servers",
  ),
  pmseries("auth.username", "text", "", "restart", "6.0.3", "oldest name of [keys] username"),
  pmseries("auth.password", "text", "", "restart", "6.0.3", "oldest name of [keys] password", {
    secret: true,
  }),

  pmlogger("enabled", "switch", "true", "live", "7.2.1", "take archives that loggers push", {
    read: (s) => s.logger.enabled,
  }),
  pmlogger(
    "authenticate",
    "switch",
    "false",
    "live",
    "7.2.1",
    "pushing wants a name and password that pmcd takes",
    { read: (s) => s.logger.authenticate },
  ),
  pmlogger("auth_host", "text", "localhost", "live", "7.2.2", "pmcd that is asked about them", {
    read: (s) => s.logger.authHost,
  }),
  pmlogger("cached", "switch", "false", "restart", "7.2.1", "pushed archives make no files", {
    read: (s) => s.logger.cached,
  }),
  pmlogger(
    "work",
    "number",
    "2000",
    "live",
    "7.2.1",
    "ms between looks for pushed archives that nobody writes",
    count(1, TIME_LIMIT, (s) => s.logger.workMs),
  ),
  pmlogger(
    "timeout",
    "number",
    "600000",
    "live",
    "never",
    "ms that a pushed archive may be silent",
    count(1, TIME_LIMIT, (s) => s.logger.timeoutMs),
  ),
  pmlogger(
    "sync",
    "number",
    "1000",
    "live",
    "pcpbox",
    "ms until pushed data are safe from a power cut; 0: before the reply, -1: never",
    count(-1, 3_600_000, (s) => s.logger.syncMs),
  ),
  pmlogger(
    "archives",
    "number",
    "4096",
    "live",
    "pcpbox",
    "archives that are being pushed at a time",
    count(1, 1_000_000, (s) => s.logger.archives),
  ),
  pmlogger(
    "free.bytes",
    "number",
    `${64 << 20}`,
    "live",
    "pcpbox",
    "room on the disk that pushed archives leave",
    count(0, Number.MAX_SAFE_INTEGER, (s) => s.logger.freeBytes),
  ),
  pmlogger(
    "keep.days",
    "number",
    "0",
    "live",
    "pcpbox",
    "days that pushed archives are kept after their last write, 0: for ever",
    count(0, 36_500, (s) => s.logger.keepDays),
  ),
  pmlogger(
    "keep.bytes",
    "number",
    "0",
    "live",
    "pcpbox",
    "bytes of all pushed archives, the oldest go first; 0: no bound",
    count(0, Number.MAX_SAFE_INTEGER, (s) => s.logger.keepBytes),
  ),

  record(
    "enabled",
    "switch",
    "true",
    "restart",
    "pcpbox",
    "record this machine where no logger does",
    {
      read: (s) => s.record.enabled,
    },
  ),
  record("path", "text", "", "restart", "pcpbox", "directory of the recorded archives", {
    read: (s) => s.record.path,
  }),
  record(
    "interval",
    "number",
    "10",
    "restart",
    "pcpbox",
    "seconds between two records",
    count(1, DAY_SECONDS, (s) => s.record.intervalSeconds),
  ),
  record(
    "keep.days",
    "number",
    "14",
    "restart",
    "pcpbox",
    "days that recorded archives are kept",
    count(1, 36_500, (s) => s.record.keepDays),
  ),
  record(
    "keep.bytes",
    "number",
    `${1 << 30}`,
    "restart",
    "pcpbox",
    "bytes of all recorded archives; the oldest go first",
    count(1 << 20, Number.MAX_SAFE_INTEGER, (s) => s.record.keepBytes),
  ),
  record("compress", "switch", "false", "restart", "pcpbox", "compress finished volumes", {
    read: (s) => s.record.compress,
  }),
  record(
    "metrics",
    "list",
    "",
    "restart",
    "pcpbox",
    "metrics or branches, none: a list of its own",
    {
      read: (s) => s.record.metrics,
    },
  ),
];
