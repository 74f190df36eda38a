// The table of every `[section] option` (spec proxy.md 7.2; [limits] is ours). One table for reading, for
// --check, for the documentation and for telling what a reload changed. What a row is stands in
// settings-row.ts, the rows about time series in settings-series.ts.

import { count, rowMaker, type Setting, time, TIME_LIMIT } from "./settings-row.ts";
import { SERIES_SETTINGS } from "./settings-series.ts";

const pmproxy = rowMaker("pmproxy");
const http = rowMaker("http");
const pmwebapi = rowMaker("pmwebapi");
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

  ...SERIES_SETTINGS,

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
  limits(
    "series.requests",
    "number",
    "16",
    "live",
    "pcpbox",
    "questions about series that are worked on at a time",
    count(1, 100_000, (s) => s.series.limits.requests),
  ),
  limits(
    "series.waiting",
    "number",
    "1024",
    "live",
    "pcpbox",
    "such questions that may wait; more are answered 503",
    count(1, 1_000_000, (s) => s.series.limits.waiting),
  ),
  limits(
    "series.streams",
    "number",
    "256",
    "live",
    "pcpbox",
    "long answers about series under way; others wait",
    count(1, 100_000, (s) => s.series.limits.streams),
  ),
  limits(
    "series.memory",
    "number",
    `${96 << 20}`,
    "live",
    "pcpbox",
    "bytes that values of functions may take, of all questions together",
    count(1 << 20, Number.MAX_SAFE_INTEGER, (s) => s.series.limits.memory),
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
