// What the proxy is told to do: plain read-only data and its defaults, nothing else. Text becomes
// settings in settings-values.ts; the TLS decision is in settings-tls.ts. Nothing here reads files,
// the environment or arguments.

import { PDU_CEILING, PMPROXY_PORT } from "../base/mod.ts";

/** A host and a TCP port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A socket that was open before the process started; `name` is "unknown" when nobody named it. */
export interface InheritedSocket {
  readonly fd: number;
  readonly name: string;
}

/** Where connections come from (spec proxy.md 6). */
export interface ListenSettings {
  /** TCP ports, each once; 0 is a port that the system chooses, on loopback. */
  readonly ports: readonly number[];
  /** Ports came from `-p` or PMPROXY_PORT: one that cannot be opened ends the start-up. */
  readonly portsNamed: boolean;
  /** Addresses or names, INADDR_ANY and INADDR_LOOPBACK included; empty: all addresses. */
  readonly interfaces: readonly string[];
  /** Loopback addresses only, both families (PMPROXY_LOCAL). */
  readonly localOnly: boolean;
  /** Path of the unix socket; undefined: none. */
  readonly socketPath: string | undefined;
  /** Backlog of listen(2). */
  readonly maxPending: number;
  /** TCP keep-alive delay in seconds; 0: off. */
  readonly keepaliveSeconds: number;
  readonly inherited: readonly InheritedSocket[];
}

/** Upper bounds. Times in milliseconds (0 = no limit), sizes in bytes. Section [limits]. */
export interface LimitSettings {
  readonly connections: number;
  /** Bytes kept for a side of a relayed session that does not take them; the other side waits then. */
  readonly connectionBuffer: number;
  /** From accept to the first byte. */
  readonly firstByteTimeoutMs: number;
  /** From the first byte to the end of the PCP greeting, or of the TLS handshake. */
  readonly handshakeTimeoutMs: number;
  /** How long a stop waits for replies that are under way. */
  readonly drainTimeoutMs: number;
  /** Request line and headers together. */
  readonly headerBytes: number;
  readonly headerCount: number;
  readonly bodyBytes: number;
  /** Between two requests of one HTTP connection. */
  readonly httpIdleTimeoutMs: number;
  /** From the first byte of an HTTP request to its last. */
  readonly httpRequestTimeoutMs: number;
}

/** The PCP relay. `pduCeiling` is `-L` in bytes. */
export interface PcpSettings {
  readonly enabled: boolean;
  /** Connecting to a pmcd, in milliseconds; 0: as long as the system tries. */
  readonly connectTimeoutMs: number;
  readonly pduCeiling: number;
}

/** HTTP. */
export interface HttpSettings {
  readonly enabled: boolean;
  /** Bytes of one chunk of a reply. */
  readonly chunkBytes: number;
  /** Appended to Access-Control-Allow-Headers after ", "; empty: nothing. */
  readonly allowHeaders: string;
  /** Access-Control-Max-Age, seconds. */
  readonly maxAgeSeconds: number;
}

/** The RESP relay. */
export interface RespSettings {
  readonly enabled: boolean;
}

/** TLS with key servers; the texts are paths of PEM files. */
export interface KeyServerTlsSettings {
  readonly enabled: boolean;
  /** Authorities; undefined: the machine's. */
  readonly ca: string | undefined;
  /** What the servers are shown, if they want to know who asks. */
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** False takes any certificate. */
  readonly verify: boolean;
}

/** The key server (Redis, Valkey). Empty user name and password: no authentication. */
export interface KeyServerSettings {
  readonly enabled: boolean;
  /** Somebody said where it is: a file, an option or the environment. */
  readonly named: boolean;
  readonly servers: readonly HostPort[];
  readonly username: string;
  readonly password: string;
  readonly tls: KeyServerTlsSettings;
}

/** TLS as pmproxy.conf has it, before tls.conf is looked at; undefined: not set. */
export interface SecureSettings {
  /** The text of `secure.enabled`: any prefix of "false" is off, of "true" on (spec proxy.md 10.1). */
  readonly enabled: string | undefined;
  readonly certificates: string | undefined;
  readonly privateKey: string | undefined;
  /** File whose first line opens the private key (`-P`); not an option of the file. */
  readonly passphraseFile: string | undefined;
  readonly authority: string | undefined;
  readonly cipherList: string | undefined;
  readonly cipherSuites: string | undefined;
}

/** TLS to be set up; the texts are paths of PEM files unless said otherwise. */
export interface TlsSettings {
  readonly certificates: string;
  readonly privateKey: string;
  readonly passphraseFile: string | undefined;
  readonly authority: string | undefined;
  /** Directory of CA files. */
  readonly authorityDirectory: string | undefined;
  /** TLS 1.2 ciphers, OpenSSL's syntax. */
  readonly cipherList: string | undefined;
  /** TLS 1.3 suites. */
  readonly cipherSuites: string | undefined;
  /** A client without an acceptable certificate fails the handshake. */
  readonly verifyClients: boolean;
  /** A value came from pmproxy.conf: logged as in spec proxy.md 10.3. */
  readonly fromProxyConfig: boolean;
}

/** Following archives. */
export interface DiscoverSettings {
  /** undefined: with the embedded store only. */
  readonly enabled: boolean | undefined;
  /** Directory; undefined: PCP_ARCHIVE_DIR. */
  readonly path: string | undefined;
  readonly excludeMetrics: readonly string[];
  readonly excludeIndoms: readonly string[];
  /** How far back a key server gets values that are older than the start; 0: not at all. */
  readonly catchUpSeconds: number;
  /** Files are looked at now and then, nobody tells of changes. */
  readonly polling: boolean;
  readonly pollSeconds: number;
}

/** Text search. */
export interface SearchSettings {
  /** undefined: with the embedded store only. */
  readonly enabled: boolean | undefined;
  readonly resultCount: number;
}

/** Bounds of what is asked about series at the same time. */
export interface SeriesLimitSettings {
  /** Questions that are worked on. */
  readonly requests: number;
  /** Questions that wait. */
  readonly waiting: number;
  /** Answers under way in pieces. */
  readonly streams: number;
  /** Bytes of values held by functions, of all questions together. */
  readonly memory: number;
}

/** Time series. */
export interface SeriesSettings {
  readonly enabled: boolean;
  /** "auto": on the key server that is named, else embedded. */
  readonly store: "auto" | "keys" | "embedded";
  /** File of the embedded store's catalogue; undefined: in the state directory. */
  readonly catalogue: string | undefined;
  readonly cursorCount: number;
  readonly streamExpireSeconds: number;
  readonly streamMaxLength: number;
  readonly limits: SeriesLimitSettings;
}

/** Contexts of /pmapi. */
export interface WebApiSettings {
  readonly workMs: number;
  readonly timeoutMs: number;
  readonly batchSize: number;
  /** Contexts at the same time. */
  readonly contexts: number;
  /** Connections to the pmcd of one host specification. */
  readonly connectionsPerHost: number;
  /** Requests at the same time on one context. */
  readonly requestsPerContext: number;
}

/** Archives that loggers push (/logger). */
export interface LoggerSettings {
  readonly enabled: boolean;
  readonly authenticate: boolean;
  /** Host specification of the pmcd that is asked about credentials. */
  readonly authHost: string;
  readonly cached: boolean;
  readonly workMs: number;
  readonly timeoutMs: number;
  /** Until pushed data are safe from a power cut; 0: before the reply, -1: nobody sees to it. */
  readonly syncMs: number;
  /** Archives that are being pushed at a time. */
  readonly archives: number;
  /** Room on the disk that is left. */
  readonly freeBytes: number;
  /** Days and bytes of pushed archives that are kept; 0: all. */
  readonly keepDays: number;
  readonly keepBytes: number;
}

/** The recorder of this machine's metrics. */
export interface RecordSettings {
  readonly enabled: boolean;
  /** Directory; undefined: archives/HOST in the state directory. */
  readonly path: string | undefined;
  readonly intervalSeconds: number;
  readonly keepDays: number;
  readonly keepBytes: number;
  readonly compress: boolean;
  /** Names of metrics or branches; empty: the recorder's own list. */
  readonly metrics: readonly string[];
}

/** Directories from pcp.conf that the server writes to or reads. */
export interface PathSettings {
  readonly runDirectory: string;
  readonly logDirectory: string;
  readonly tmpDirectory: string;
  readonly archiveDirectory: string;
  /** Archives that loggers push. */
  readonly remoteArchiveDirectory: string;
  /** Where catalogue and recorded archives may be: the first that can be made and written. */
  readonly stateDirectories: readonly string[];
}

/** Everything the server is told. */
export interface ProxySettings {
  readonly listen: ListenSettings;
  readonly limits: LimitSettings;
  readonly pcp: PcpSettings;
  readonly http: HttpSettings;
  readonly resp: RespSettings;
  readonly keyServer: KeyServerSettings;
  readonly secure: SecureSettings;
  /** The decision taken on `secure` and tls.conf; undefined: plain connections only. */
  readonly tls: TlsSettings | undefined;
  readonly discover: DiscoverSettings;
  readonly search: SearchSettings;
  readonly series: SeriesSettings;
  readonly webapi: WebApiSettings;
  readonly logger: LoggerSettings;
  readonly record: RecordSettings;
  readonly paths: PathSettings;
  /** Service advertisement; false with `-A`. */
  readonly advertise: boolean;
  /** `-Q`: HTTP without a verified client certificate is answered 403. */
  readonly certificateRequired: boolean;
  /** `-S`: /pmapi wants HTTP Basic credentials. */
  readonly authRequired: boolean;
  /** `-d`: PCP relay only, spec proxy.md 15. */
  readonly deprecated: boolean;
  /** User that the process runs as, for messages; the switch itself happens before. */
  readonly user: string;
  /** `-T` in seconds; undefined: until told to stop. */
  readonly runForSeconds: number | undefined;
}

/** PCP's port for the REST API; it and PMPROXY_PORT take every protocol. */
export const WEB_PORT = 44323;
/** The key server when none is configured. */
export const KEY_SERVER: HostPort = { host: "localhost", port: 6379 };

/** Settings of a proxy that nobody configured. */
export const DEFAULT_SETTINGS: ProxySettings = {
  listen: {
    ports: [PMPROXY_PORT, WEB_PORT],
    portsNamed: false,
    interfaces: [],
    localOnly: false,
    socketPath: undefined,
    maxPending: 128,
    keepaliveSeconds: 45,
    inherited: [],
  },
  limits: {
    connections: 10_000,
    connectionBuffer: 1 << 17,
    firstByteTimeoutMs: 30_000,
    handshakeTimeoutMs: 10_000,
    drainTimeoutMs: 5_000,
    headerBytes: 81_920,
    headerCount: 128,
    bodyBytes: 64 << 20,
    httpIdleTimeoutMs: 300_000,
    httpRequestTimeoutMs: 60_000,
  },
  pcp: { enabled: true, connectTimeoutMs: 5_000, pduCeiling: PDU_CEILING },
  http: {
    enabled: true,
    chunkBytes: 4096,
    allowHeaders: "X-Grafana-Device-ID",
    maxAgeSeconds: 86_400,
  },
  resp: { enabled: false },
  keyServer: {
    enabled: true,
    named: false,
    servers: [KEY_SERVER],
    username: "",
    password: "",
    tls: { enabled: false, ca: undefined, certificate: undefined, key: undefined, verify: true },
  },
  secure: {
    enabled: undefined,
    certificates: undefined,
    privateKey: undefined,
    passphraseFile: undefined,
    authority: undefined,
    cipherList: undefined,
    cipherSuites: undefined,
  },
  tls: undefined,
  discover: {
    enabled: undefined,
    path: undefined,
    excludeMetrics: [],
    excludeIndoms: [],
    catchUpSeconds: 0,
    polling: false,
    pollSeconds: 10,
  },
  search: { enabled: undefined, resultCount: 10 },
  series: {
    enabled: true,
    store: "auto",
    catalogue: undefined,
    cursorCount: 256,
    streamExpireSeconds: 86_400,
    streamMaxLength: 8_640,
    limits: { requests: 16, waiting: 1024, streams: 256, memory: 96 << 20 },
  },
  webapi: {
    workMs: 2_000,
    timeoutMs: 5_000,
    batchSize: 256,
    contexts: 4096,
    connectionsPerHost: 512,
    requestsPerContext: 128,
  },
  logger: {
    enabled: true,
    authenticate: false,
    authHost: "localhost",
    cached: false,
    workMs: 2_000,
    timeoutMs: 600_000,
    syncMs: 1_000,
    archives: 4096,
    freeBytes: 64 << 20,
    keepDays: 0,
    keepBytes: 0,
  },
  record: {
    enabled: true,
    path: undefined,
    intervalSeconds: 10,
    keepDays: 14,
    keepBytes: 1 << 30,
    compress: false,
    metrics: [],
  },
  paths: {
    runDirectory: "/run/pcp",
    logDirectory: "/var/log/pcp",
    tmpDirectory: "/var/lib/pcp/tmp",
    archiveDirectory: "/var/log/pcp/pmlogger",
    remoteArchiveDirectory: "/var/log/pcp/pmproxy",
    stateDirectories: ["/var/lib/pcpbox"],
  },
  advertise: true,
  certificateRequired: false,
  authRequired: false,
  deprecated: false,
  user: "pcp",
  runForSeconds: undefined,
};
