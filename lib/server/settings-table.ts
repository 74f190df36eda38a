// The table of every `[section] option`: name, type, default, whether a reload takes it over, help
// and since when (spec proxy.md 7.2; [limits] is ours). One table for reading, for --check, for the
// documentation and for telling what a reload changed. Text is turned into values in settings-values.ts.

import type { HostPort, ProxySettings } from "./settings.ts";

/** What an option's text must be. */
export type SettingKind =
  /** Exactly `true` or `false`. */
  | "switch"
  /** `true`, `false` or any prefix of these, also the empty text (only secure.enabled). */
  | "prefix-switch"
  | "number"
  | "text"
  | "list"
  /** `host:port`, comma-separated. */
  | "servers";

/** A parsed option. */
export type SettingValue = boolean | number | string | readonly string[] | readonly HostPort[];

/** One row of the table. */
export interface Setting {
  readonly section: string;
  readonly key: string;
  readonly kind: SettingKind;
  /** The default as the text that would give it; "" also where there is none. */
  readonly fallback: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Taken over by a reload; otherwise the process must be restarted. */
  readonly live: boolean;
  /** One line for people. */
  readonly help: string;
  /** The release of PCP that first read it; "never" is in PCP's file but not read by PCP. */
  readonly since: "6.0.3" | "7.2.1" | "never" | "pcpbox";
  readonly secret?: true;
  /** The same fact in settings; undefined for another name of an option that is read first. */
  readonly read?: (settings: ProxySettings) => unknown;
}

type Extra = Pick<Setting, "minimum" | "maximum" | "secret" | "read">;

const rowMaker =
  (section: string) =>
  (
    key: string,
    kind: SettingKind,
    fallback: string,
    reload: "live" | "restart",
    since: Setting["since"],
    help: string,
    extra: Extra = {},
  ): Setting => ({
    section,
    key,
    kind,
    fallback,
    live: reload === "live",
    since,
    help,
    ...extra,
  });

const DAY_SECONDS = 86_400;
/** Longest time-out: what a timer of 31 bits of milliseconds can hold. */
const TIME_LIMIT = 2 ** 31 - 1;
const count = (minimum: number, maximum: number, read: (settings: ProxySettings) => unknown) => ({
  minimum,
  maximum,
  read,
});
const time = (read: (settings: ProxySettings) => unknown) => count(0, TIME_LIMIT, read);

const pmproxy = rowMaker("pmproxy");
const http = rowMaker("http");
const keys = rowMaker("keys");
const redis = rowMaker("redis");
const discover = rowMaker("discover");
const pmsearch = rowMaker("pmsearch");
const pmseries = rowMaker("pmseries");
const pmwebapi = rowMaker("pmwebapi");
const pmlogger = rowMaker("pmlogger");
const limits = rowMaker("limits");

/** Every option, in the order of the sample file. */
export const SETTINGS: readonly Setting[] = [
  pmproxy("certificates", "text", "", "restart", "6.0.3", "server certificate chain, PEM file", {
    read: (s) => s.secure.certificates,
  }),
  pmproxy("private_key", "text", "", "restart", "6.0.3", "private key of it, PEM file", {
    read: (s) => s.secure.privateKey,
  }),
  pmproxy("authority", "text", "", "restart", "6.0.3", "CA certificates for clients, PEM file", {
    read: (s) => s.secure.authority,
  }),
  pmproxy("cipher_list", "text", "", "restart", "6.0.3", "ciphers of TLS 1.2, OpenSSL's form", {
    read: (s) => s.secure.cipherList,
  }),
  pmproxy("cipher_suites", "text", "", "restart", "6.0.3", "cipher suites of TLS 1.3", {
    read: (s) => s.secure.cipherSuites,
  }),
  pmproxy(
    "maxpending",
    "number",
    "128",
    "restart",
    "6.0.3",
    "backlog of listening sockets; wins over PMPROXY_MAXPENDING",
    count(1, 65_535, (s) => s.listen.maxPending),
  ),
  pmproxy(
    "keepalive",
    "number",
    "45",
    "restart",
    "6.0.3",
    "TCP keep-alive delay in seconds, 0: off",
    count(0, 32_767, (s) => s.listen.keepaliveSeconds),
  ),
  pmproxy("chunksize", "number", "4096", "live", "6.0.3", "older name of [http] chunksize", {
    minimum: 128,
    maximum: 1 << 24,
  }),
  pmproxy("pcp.enabled", "switch", "true", "live", "never", "relay PCP clients to pmcd", {
    read: (s) => s.pcp.enabled,
  }),
  pmproxy("http.enabled", "switch", "true", "live", "never", "answer HTTP", {
    read: (s) => s.http.enabled,
  }),
  pmproxy("resp.enabled", "switch", "false", "live", "7.2.1", "relay clients of the key server", {
    read: (s) => s.resp.enabled,
  }),
  pmproxy("redis.enabled", "switch", "false", "live", "6.0.3", "older name of resp.enabled"),
  pmproxy(
    "secure.enabled",
    "prefix-switch",
    "",
    "restart",
    "6.0.3",
    "TLS where certificates are configured; false: never",
    { read: (s) => s.secure.enabled },
  ),

  http(
    "chunksize",
    "number",
    "4096",
    "live",
    "7.2.1",
    "bytes of one chunk of a reply",
    count(128, 1 << 24, (s) => s.http.chunkBytes),
  ),
  http(
    "Access-Control-Allow-Headers",
    "text",
    "X-Grafana-Device-ID",
    "live",
    "7.2.1",
    "added to the header of that name",
    { read: (s) => s.http.allowHeaders },
  ),
  http(
    "Access-Control-Max-Age",
    "number",
    "86400",
    "live",
    "7.2.1",
    "value of that header, seconds",
    count(0, TIME_LIMIT, (s) => s.http.maxAgeSeconds),
  ),

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
  redis("enabled", "switch", "true", "restart", "6.0.3", "older name of [keys] enabled"),
  redis("servers", "servers", "localhost:6379", "restart", "6.0.3", "older name of [keys] servers"),
  redis("username", "text", "", "restart", "6.0.3", "older name of [keys] username"),
  redis("password", "text", "", "restart", "6.0.3", "older name of [keys] password", {
    secret: true,
  }),

  discover("enabled", "switch", "false", "restart", "6.0.3", "follow archives as they grow", {
    read: (s) => s.discover.enabled,
  }),
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

  pmsearch("enabled", "switch", "false", "restart", "6.0.3", "text search and its index", {
    read: (s) => s.search.enabled,
  }),
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

  pmseries("enabled", "switch", "false", "restart", "6.0.3", "time series requests and loading", {
    read: (s) => s.series.enabled,
  }),
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

  pmwebapi(
    "work",
    "number",
    "2000",
    "live",
    "6.0.3",
    "ms between looks for contexts that nobody uses",
    count(1, TIME_LIMIT, (s) => s.webapi.workMs),
  ),
  pmwebapi(
    "timeout",
    "number",
    "5000",
    "live",
    "never",
    "ms that a context without a polltimeout of its own is kept",
    count(1, TIME_LIMIT, (s) => s.webapi.timeoutMs),
  ),
  pmwebapi(
    "batchsize",
    "number",
    "256",
    "live",
    "never",
    "metrics of one request to pmcd",
    count(1, 65_536, (s) => s.webapi.batchSize),
  ),

  pmlogger("enabled", "switch", "true", "live", "7.2.1", "take archives that loggers push", {
    read: (s) => s.logger.enabled,
  }),
  pmlogger("authenticate", "switch", "false", "live", "7.2.1", "pushing wants Basic credentials", {
    read: (s) => s.logger.authenticate,
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

  limits(
    "connections.max",
    "number",
    "10000",
    "live",
    "pcpbox",
    "connections at a time; more are closed at once",
    count(1, 1_000_000, (s) => s.limits.connections),
  ),
  limits(
    "connection.buffer",
    "number",
    "131072",
    "restart",
    "pcpbox",
    "bytes kept for a side of a relayed session that does not take them",
    count(4096, 1 << 20, (s) => s.limits.connectionBuffer),
  ),
  limits(
    "first.byte.timeout",
    "number",
    "30000",
    "live",
    "pcpbox",
    "ms from accept to the first byte, 0: none",
    time((s) => s.limits.firstByteTimeoutMs),
  ),
  limits(
    "handshake.timeout",
    "number",
    "10000",
    "live",
    "pcpbox",
    "ms for the PCP greeting or the TLS handshake, 0: none",
    time((s) => s.limits.handshakeTimeoutMs),
  ),
  limits(
    "connect.timeout",
    "number",
    "5000",
    "live",
    "pcpbox",
    "ms for connecting to pmcd, 0: none; wins over PMCD_CONNECT_TIMEOUT",
    time((s) => s.pcp.connectTimeoutMs),
  ),
  limits(
    "drain.timeout",
    "number",
    "5000",
    "live",
    "pcpbox",
    "ms that a stop waits for replies under way",
    time((s) => s.limits.drainTimeoutMs),
  ),
  limits(
    "http.header.bytes",
    "number",
    "81920",
    "live",
    "pcpbox",
    "request line and headers together",
    count(1024, 1 << 24, (s) => s.limits.headerBytes),
  ),
  limits(
    "http.header.count",
    "number",
    "128",
    "live",
    "pcpbox",
    "headers of one request",
    count(8, 10_000, (s) => s.limits.headerCount),
  ),
  limits(
    "http.body.bytes",
    "number",
    "67108864",
    "live",
    "pcpbox",
    "body of one request",
    count(1024, 2 ** 31 - 1, (s) => s.limits.bodyBytes),
  ),
  limits(
    "http.idle.timeout",
    "number",
    "300000",
    "live",
    "pcpbox",
    "ms between two requests of a connection, 0: none",
    time((s) => s.limits.httpIdleTimeoutMs),
  ),
  limits(
    "http.request.timeout",
    "number",
    "60000",
    "live",
    "pcpbox",
    "ms for a request to come, for its reply, and for each piece of that, 0: none",
    time((s) => s.limits.httpRequestTimeoutMs),
  ),
  limits(
    "contexts.max",
    "number",
    "4096",
    "live",
    "pcpbox",
    "contexts of the REST API at a time",
    count(1, 1_000_000, (s) => s.webapi.contexts),
  ),
  limits(
    "contexts.connections",
    "number",
    "512",
    "live",
    "pcpbox",
    "connections of the REST API to one pmcd",
    count(1, 100_000, (s) => s.webapi.connectionsPerHost),
  ),
  limits(
    "contexts.requests",
    "number",
    "128",
    "live",
    "pcpbox",
    "requests at a time on one context",
    count(1, 100_000, (s) => s.webapi.requestsPerContext),
  ),
];

/** `section.key`, the name that PCP uses inside and that messages show. */
export const settingName = (setting: Pick<Setting, "section" | "key">): string =>
  `${setting.section}.${setting.key}`;

const BY_NAME: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.map((setting) => [settingName(setting), setting]),
);

/** The row of an option; names are case-sensitive, as in PCP. */
export const findSetting = (section: string, key: string): Setting | undefined =>
  BY_NAME.get(`${section}.${key}`);

/** Sections of the table, in its order. */
export const SECTIONS: readonly string[] = [...new Set(SETTINGS.map(({ section }) => section))];
