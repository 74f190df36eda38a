// Text to settings: an option's text to its value, all entries of all files to one value each, these
// and the arguments to ProxySettings, and the difference of two of these for a reload. Bad text is a
// problem with its place and leaves the default in force (spec proxy.md 7.1, 7.2); nothing throws.

import { PMPROXY_PORT } from "../base/mod.ts";
import {
  DEFAULT_SETTINGS,
  type HostPort,
  type InheritedSocket,
  KEY_SERVER,
  type PathSettings,
  type ProxySettings,
  WEB_PORT,
} from "./settings.ts";
import { findSetting, SECTIONS, settingName, SETTINGS } from "./settings-table.ts";
import type { Setting, SettingValue } from "./settings-row.ts";

/** A parsed value, or why the text is none. */
export type ParsedSetting = { readonly value: SettingValue } | { readonly reason: string };

function parseNumber(setting: Setting, text: string): ParsedSetting {
  if (!/^-?\d{1,15}$/.test(text)) return { reason: `"${text}" is not a whole decimal number` };
  const value = Number(text);
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = setting;
  return value < minimum || value > maximum
    ? { reason: `${value} is not between ${minimum} and ${maximum}` }
    : { value };
}

/** `host:port[,host:port…]`; a host alone has port 6379, IPv6 addresses stand in brackets. */
export function parseServers(text: string): { value: HostPort[] } | { reason: string } {
  const value: HostPort[] = [];
  for (const part of text.split(",").map((server) => server.trim())) {
    const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(part);
    const port = Number(match?.[3] ?? KEY_SERVER.port);
    if (match === null || port < 1 || port > 65_535)
      return { reason: `"${part}" is not host:port` };
    value.push({ host: match[1] ?? match[2] ?? "", port });
  }
  return { value };
}

const parseList = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** Text of a configuration file to the value of an option, or the reason why it is none. */
export function parseSetting(setting: Setting, text: string): ParsedSetting {
  switch (setting.kind) {
    case "switch":
      if (text === "true") return { value: true };
      if (text === "false") return { value: false };
      return { reason: `"${text}" is neither true nor false` };
    case "prefix-switch":
      return "true".startsWith(text) || "false".startsWith(text)
        ? { value: text }
        : { reason: `"${text}" is neither true nor false` };
    case "number":
      return parseNumber(setting, text);
    case "servers":
      return parseServers(text);
    case "list":
      return { value: parseList(text) };
    case "choice": {
      const { choices = [] } = setting;
      if (choices.includes(text)) return { value: text };
      return { reason: `"${text}" is none of ${choices.join(", ")}` };
    }
    case "text":
      return { value: text };
  }
}

/** An option as a file or the environment gave it; places as in lib/cli. */
export interface PlacedText {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly valueColumn: number;
}

/** Something wrong with an option, at its place. */
export interface SettingProblem {
  readonly severity: "error";
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Values by `section.key`, for options that were given well. */
export type SettingValues = ReadonlyMap<string, SettingValue>;

/**
 * All entries, in the order of reading: the last one of an option wins. `nearest` finds the name
 * that was probably meant among known ones.
 */
export function readEntries(
  entries: readonly PlacedText[],
  nearest: (name: string, known: readonly string[]) => string | undefined,
): { readonly values: SettingValues; readonly problems: readonly SettingProblem[] } {
  const values = new Map<string, SettingValue>();
  const problems: SettingProblem[] = [];
  for (const entry of entries) {
    const { section, key, file, line } = entry;
    const fail = (column: number, message: string): void => {
      problems.push({ severity: "error", file, line, column, message });
    };
    const setting = findSetting(section, key);
    if (setting === undefined) {
      fail(entry.column, unknownText(section, key, nearest));
      continue;
    }
    const parsed = parseSetting(setting, entry.value);
    if ("value" in parsed) values.set(settingName(setting), parsed.value);
    else if (setting.secret === true) fail(entry.valueColumn, `${key}: not acceptable`);
    else {
      // As in PCP, text that is no value leaves the default in force, also over earlier files.
      values.delete(settingName(setting));
      if (setting.kind === "prefix-switch") values.set(settingName(setting), entry.value);
      fail(entry.valueColumn, `${key}: ${parsed.reason}`);
    }
  }
  return { values, problems };
}

function unknownText(
  section: string,
  key: string,
  nearest: (name: string, known: readonly string[]) => string | undefined,
): string {
  if (section === "") return `"${key}" is in no section`;
  if (!SECTIONS.includes(section)) {
    const meant = nearest(section, SECTIONS);
    return `unknown section [${section}]${meant === undefined ? "" : `, did you mean [${meant}]?`}`;
  }
  const known = SETTINGS.filter((setting) => setting.section === section).map(({ key: k }) => k);
  const meant = nearest(key, known);
  const elsewhere = SETTINGS.find((setting) => setting.key === key);
  if (meant !== undefined) return `unknown option "${key}", did you mean "${meant}"?`;
  return elsewhere === undefined
    ? `unknown option "${key}" in [${section}]`
    : `unknown option "${key}" in [${section}], it belongs to [${elsewhere.section}]`;
}

/** What the command line, the environment and pcp.conf add to the configuration. */
export interface ProxyArguments {
  /** Ports of PMPROXY_PORT and `-p`, each once; empty: the default ones. */
  readonly ports: readonly number[];
  readonly interfaces: readonly string[];
  readonly localOnly: boolean;
  readonly socketPath: string | undefined;
  /** PMPROXY_MAXPENDING. */
  readonly maxPending: number | undefined;
  readonly inherited: readonly InheritedSocket[];
  /** `-L` in bytes. */
  readonly pduCeiling: number | undefined;
  /** PMCD_CONNECT_TIMEOUT in milliseconds. */
  readonly connectTimeoutMs: number | undefined;
  /** `-h` and `-r`. */
  readonly keyHost: string | undefined;
  readonly keyPort: number | undefined;
  /** `-C`, `-M` and `-P`: paths of PEM files; they win over the configuration. */
  readonly certificates?: {
    readonly certificates: string;
    readonly privateKey: string;
    readonly passphraseFile: string | undefined;
  };
  readonly advertise: boolean;
  readonly certificateRequired: boolean;
  readonly authRequired: boolean;
  readonly deprecated: boolean;
  readonly user: string;
  readonly runForSeconds: number | undefined;
  readonly paths: PathSettings;
}

/** Typed look-ups: the first of several names that was given. */
function lookups(values: SettingValues) {
  const first = (names: readonly string[]): SettingValue | undefined => {
    for (const name of names) {
      const value = values.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  return {
    flag: (fallback: boolean, ...names: string[]): boolean => {
      const value = first(names);
      return typeof value === "boolean" ? value : fallback;
    },
    /** undefined for "auto". */
    automatic: (name: string): boolean | undefined => {
      const value = values.get(name);
      return value === "true" || value === "false" ? value === "true" : undefined;
    },
    number: (fallback: number, ...names: string[]): number => {
      const value = first(names);
      return typeof value === "number" ? value : fallback;
    },
    text: (...names: string[]): string | undefined => {
      const value = first(names);
      return typeof value === "string" ? value : undefined;
    },
    list: (name: string): readonly string[] => {
      const value = values.get(name);
      return Array.isArray(value) ? value.filter((part) => typeof part === "string") : [];
    },
    servers: (fallback: readonly HostPort[], ...names: string[]): readonly HostPort[] => {
      const value = first(names);
      return Array.isArray(value) ? value.filter((part) => typeof part === "object") : fallback;
    },
  };
}

function keyServers(given: ProxyArguments): readonly HostPort[] | undefined {
  const { keyHost, keyPort } = given;
  // The default port alone counts as not given (spec proxy.md 2.1).
  if (keyHost === undefined && (keyPort === undefined || keyPort === KEY_SERVER.port))
    return undefined;
  return [{ host: keyHost ?? KEY_SERVER.host, port: keyPort ?? KEY_SERVER.port }];
}

function listenSettings(given: ProxyArguments, maxPending: number, keepalive: number) {
  const fallback = given.deprecated ? [PMPROXY_PORT] : [PMPROXY_PORT, WEB_PORT];
  return {
    ports: given.ports.length > 0 ? given.ports : fallback,
    portsNamed: given.ports.length > 0,
    interfaces: given.interfaces,
    localOnly: given.localOnly,
    socketPath: given.deprecated ? undefined : given.socketPath,
    maxPending,
    keepaliveSeconds: keepalive,
    inherited: given.inherited,
  };
}

/** Names of the list of key servers, the one that is read first in front. */
const SERVER_NAMES = ["keys.servers", "redis.servers", "pmseries.servers"] as const;

function keyServerSettings(
  values: SettingValues,
  given: ProxyArguments,
): ProxySettings["keyServer"] {
  const { flag, text, servers } = lookups(values);
  const base = DEFAULT_SETTINGS.keyServer;
  const asked = keyServers(given);
  return {
    enabled: flag(base.enabled, "keys.enabled", "redis.enabled"),
    named: asked !== undefined || SERVER_NAMES.some((name) => values.has(name)),
    servers: asked ?? servers(base.servers, ...SERVER_NAMES),
    username: text("keys.username", "redis.username", "pmseries.auth.username") ?? "",
    password: text("keys.password", "redis.password", "pmseries.auth.password") ?? "",
    tls: {
      enabled: flag(base.tls.enabled, "keys.tls.enabled"),
      ca: text("keys.tls.ca"),
      certificate: text("keys.tls.cert"),
      key: text("keys.tls.key"),
      verify: flag(base.tls.verify, "keys.tls.verify"),
    },
  };
}

/** Time series and what they are made of. */
function seriesSettings(values: SettingValues) {
  const { flag, number, text, list, automatic } = lookups(values);
  const base = DEFAULT_SETTINGS;
  const store = text("pmseries.store");
  return {
    discover: {
      enabled: automatic("discover.enabled"),
      path: text("discover.path"),
      excludeMetrics: list("discover.exclude.metrics"),
      excludeIndoms: list("discover.exclude.indoms"),
      catchUpSeconds: number(base.discover.catchUpSeconds, "discover.catchup"),
      polling: flag(base.discover.polling, "discover.polling"),
      pollSeconds: number(base.discover.pollSeconds, "discover.poll.interval"),
    },
    search: {
      enabled: automatic("pmsearch.enabled"),
      resultCount: number(base.search.resultCount, "pmsearch.result.count", "pmsearch.count"),
    },
    series: {
      enabled: flag(base.series.enabled, "pmseries.enabled"),
      store: store === "keys" || store === "embedded" ? store : base.series.store,
      catalogue: text("pmseries.catalogue"),
      cursorCount: number(base.series.cursorCount, "pmseries.cursor.count"),
      streamExpireSeconds: number(base.series.streamExpireSeconds, "pmseries.stream.expire"),
      streamMaxLength: number(base.series.streamMaxLength, "pmseries.stream.maxlen"),
      limits: {
        requests: number(base.series.limits.requests, "limits.series.requests"),
        waiting: number(base.series.limits.waiting, "limits.series.waiting"),
        streams: number(base.series.limits.streams, "limits.series.streams"),
        memory: number(base.series.limits.memory, "limits.series.memory"),
      },
    },
    logger: {
      enabled: flag(base.logger.enabled, "pmlogger.enabled"),
      authenticate: flag(base.logger.authenticate, "pmlogger.authenticate"),
      authHost: text("pmlogger.auth_host") ?? base.logger.authHost,
      cached: flag(base.logger.cached, "pmlogger.cached"),
      workMs: number(base.logger.workMs, "pmlogger.work"),
      timeoutMs: number(base.logger.timeoutMs, "pmlogger.timeout"),
      syncMs: number(base.logger.syncMs, "pmlogger.sync"),
      archives: number(base.logger.archives, "pmlogger.archives"),
      freeBytes: number(base.logger.freeBytes, "pmlogger.free.bytes"),
      keepDays: number(base.logger.keepDays, "pmlogger.keep.days"),
      keepBytes: number(base.logger.keepBytes, "pmlogger.keep.bytes"),
    },
    record: {
      enabled: flag(base.record.enabled, "record.enabled"),
      path: text("record.path"),
      intervalSeconds: number(base.record.intervalSeconds, "record.interval"),
      keepDays: number(base.record.keepDays, "record.keep.days"),
      keepBytes: number(base.record.keepBytes, "record.keep.bytes"),
      compress: flag(base.record.compress, "record.compress"),
      metrics: list("record.metrics"),
    },
  };
}

/** Everything together; `tls` is left undefined, for resolveTls to decide. */
export function buildSettings(values: SettingValues, given: ProxyArguments): ProxySettings {
  const { flag, number, text } = lookups(values);
  const base = DEFAULT_SETTINGS;
  const pem = given.certificates;
  return {
    listen: listenSettings(
      given,
      number(given.maxPending ?? base.listen.maxPending, "pmproxy.maxpending"),
      number(base.listen.keepaliveSeconds, "pmproxy.keepalive"),
    ),
    limits: {
      connections: number(base.limits.connections, "limits.connections.max"),
      connectionBuffer: number(base.limits.connectionBuffer, "limits.connection.buffer"),
      firstByteTimeoutMs: number(base.limits.firstByteTimeoutMs, "limits.first.byte.timeout"),
      handshakeTimeoutMs: number(base.limits.handshakeTimeoutMs, "limits.handshake.timeout"),
      drainTimeoutMs: number(base.limits.drainTimeoutMs, "limits.drain.timeout"),
      headerBytes: number(base.limits.headerBytes, "limits.http.header.bytes"),
      headerCount: number(base.limits.headerCount, "limits.http.header.count"),
      bodyBytes: number(base.limits.bodyBytes, "limits.http.body.bytes"),
      httpIdleTimeoutMs: number(base.limits.httpIdleTimeoutMs, "limits.http.idle.timeout"),
      httpRequestTimeoutMs: number(base.limits.httpRequestTimeoutMs, "limits.http.request.timeout"),
    },
    pcp: {
      enabled: flag(base.pcp.enabled, "pmproxy.pcp.enabled"),
      connectTimeoutMs: number(
        given.connectTimeoutMs ?? base.pcp.connectTimeoutMs,
        "limits.connect.timeout",
      ),
      pduCeiling: given.pduCeiling ?? base.pcp.pduCeiling,
    },
    http: {
      enabled: flag(base.http.enabled, "pmproxy.http.enabled"),
      chunkBytes: number(base.http.chunkBytes, "http.chunksize", "pmproxy.chunksize"),
      allowHeaders: text("http.Access-Control-Allow-Headers") ?? base.http.allowHeaders,
      maxAgeSeconds: number(base.http.maxAgeSeconds, "http.Access-Control-Max-Age"),
    },
    resp: { enabled: flag(base.resp.enabled, "pmproxy.resp.enabled", "pmproxy.redis.enabled") },
    keyServer: keyServerSettings(values, given),
    secure: {
      enabled: text("pmproxy.secure.enabled"),
      certificates: pem?.certificates ?? text("pmproxy.certificates"),
      privateKey: pem?.privateKey ?? text("pmproxy.private_key"),
      passphraseFile: pem?.passphraseFile,
      authority: text("pmproxy.authority"),
      cipherList: text("pmproxy.cipher_list"),
      cipherSuites: text("pmproxy.cipher_suites"),
    },
    tls: undefined,
    ...seriesSettings(values),
    webapi: {
      workMs: number(base.webapi.workMs, "pmwebapi.work"),
      timeoutMs: number(base.webapi.timeoutMs, "pmwebapi.timeout"),
      batchSize: number(base.webapi.batchSize, "pmwebapi.batchsize"),
      contexts: number(base.webapi.contexts, "limits.contexts.max"),
      connectionsPerHost: number(base.webapi.connectionsPerHost, "limits.contexts.connections"),
      requestsPerContext: number(base.webapi.requestsPerContext, "limits.contexts.requests"),
    },
    paths: given.paths,
    advertise: given.advertise,
    certificateRequired: given.certificateRequired,
    authRequired: given.authRequired,
    deprecated: given.deprecated,
    user: given.user,
    runForSeconds: given.runForSeconds,
  };
}

/** What a reload puts in force: live options as `next` has them, the others as they are. */
export function reloadedValues(running: SettingValues, next: SettingValues): SettingValues {
  const merged = new Map<string, SettingValue>();
  for (const setting of SETTINGS) {
    const name = settingName(setting);
    const value = (setting.live ? next : running).get(name);
    if (value !== undefined) merged.set(name, value);
  }
  return merged;
}

/** One difference of two settings; `from` and `to` are texts as a file would have them. */
export interface SettingChange {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly live: boolean;
}

const isHostPort = (value: unknown): value is HostPort =>
  typeof value === "object" && value !== null && "host" in value && "port" in value;

function valueText(value: unknown): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.map(valueText).join(",");
  if (isHostPort(value)) {
    return value.host.includes(":")
      ? `[${value.host}]:${value.port}`
      : `${value.host}:${value.port}`;
  }
  return String(value);
}

/** What a reload finds changed, in the order of the table. Secrets are not shown. */
export function diffSettings(old: ProxySettings, next: ProxySettings): SettingChange[] {
  const changes: SettingChange[] = [];
  for (const setting of SETTINGS) {
    if (setting.read === undefined) continue;
    const from = valueText(setting.read(old));
    const to = valueText(setting.read(next));
    if (from === to) continue;
    const hidden = setting.secret === true;
    changes.push({
      name: settingName(setting),
      from: hidden ? "(not shown)" : from,
      to: hidden ? "(not shown)" : to,
      live: setting.live,
    });
  }
  const inFile = changes.some(({ name }) =>
    /^pmproxy\.(certificates|private_key|authority|ciph|sec)/.test(name),
  );
  if (!inFile && JSON.stringify(old.tls) !== JSON.stringify(next.tls)) {
    const state = (settings: ProxySettings): string => settings.tls?.certificates ?? "off";
    changes.push({ name: "tls.conf", from: state(old), to: state(next), live: false });
  }
  return changes;
}

/** The line that a reload logs for a change. */
export const changeText = (change: SettingChange): string =>
  change.live
    ? `Reloaded: ${change.name} = ${change.to}`
    : `Not reloadable, restart needed: ${change.name} = ${change.to}`;
