// The REST API on live contexts: which requests there are, what they need, the context that each one
// wants, and the one reply that each one gets (spec webapi.md 1 to 4). Refuses what lacks parameters
// with pmproxy's page, everything else with a JSON message. Never answers twice.
import { asPcpError } from "../base/mod.ts";
import type { Call, Handler } from "./call.ts";
import {
  type ContextPool,
  type ContextRequest,
  type Credentials,
  createContextPool,
  DEFAULT_CONTEXT_LIMITS,
  type ContextLimits,
} from "./contexts.ts";
import { globalDerived } from "../context/mod.ts";
import type { DerivedSet } from "../derived/mod.ts";
import type { ConnectOptions, Environment } from "../pdu/mod.ts";
import { faultOf, faultReply, jsonReply, WebFault } from "./fault.ts";
import { fetchValues } from "./fetch.ts";
import { changeProfile, tellInstances } from "./instances.ts";
import { tellChildren, tellContext, tellMetrics } from "./metric.ts";
import { OPENMETRICS_TYPE, tellOpenMetrics, tellValues } from "./metrics.ts";
import { tellTelemetry, wantsJson } from "./opentelemetry.ts";
import { type Parameters, parseParameters } from "./parameters.ts";
import {
  type Answer,
  errorPage,
  optionsReply,
  type WebApi,
  type WebBody,
  type WebReply,
  type WebRequest,
} from "./route.ts";
import { deriveMetric, storeValue } from "./store.ts";

/** What createWebApi takes; all may be left out. */
export interface WebApiOptions {
  /** The environment for connections to pmcd; the process's by default. */
  readonly env?: Environment;
  /** Takes warnings, a sentence each. */
  readonly warn?: (text: string) => void;
  readonly limits?: Partial<ContextLimits>;
  /** More about connections to pmcd. */
  readonly host?: ConnectOptions;
  /** Global derived metrics; without them those of PCP's files are read at the first use. */
  readonly derived?: DerivedSet;
  /** Whether a descriptor is left for one more connection to a pmcd. */
  readonly hasRoom?: () => boolean;
}

/** A request of the API. */
interface Endpoint {
  readonly name: string;
  readonly handler: Handler;
  /** Content-Type of its replies, for HEAD. */
  readonly type: string;
  readonly methods: readonly string[];
  /** Whether what it needs is there; `isPost`: a body counts. */
  readonly isWhole?: (parameters: Parameters, isPost: boolean) => boolean;
  /** It changes its context: that is not to be shared. */
  readonly isChange?: boolean;
}

const JSON_TYPE = "application/json";
const READ = ["GET", "HEAD", "TRACE", "OPTIONS"];
const READ_AND_POST = ["GET", "HEAD", "POST", "TRACE", "OPTIONS"];

/** Names of paths without /pmapi; the format of /metrics is chosen by the Accept header. */
const METRICS: Endpoint = {
  name: "metrics",
  handler: (call) =>
    !call.compat && wantsJson(call.accept) ? tellTelemetry(call) : tellValues(call),
  type: "text/plain",
  methods: READ,
};
const FORMATS: readonly Endpoint[] = [
  METRICS,
  {
    name: "openmetrics",
    handler: tellOpenMetrics,
    type: OPENMETRICS_TYPE,
    methods: READ,
  },
  { name: "opentelemetry", handler: tellTelemetry, type: JSON_TYPE, methods: READ },
];

const plain = (name: string, handler: Handler): Endpoint => ({
  name,
  handler,
  type: JSON_TYPE,
  methods: READ,
});

const hasAny =
  (...names: readonly string[]) =>
  (parameters: Parameters): boolean =>
    names.some((name) => parameters.has(name));

/** In the order in which names are compared, as prefixes (spec webapi.md 1). */
const ENDPOINTS: readonly Endpoint[] = [
  plain("context", tellContext),
  { ...plain("profile", changeProfile), isWhole: hasAny("expr"), isChange: true },
  METRICS,
  plain("metric", tellMetrics),
  {
    ...plain("derive", deriveMetric),
    methods: READ_AND_POST,
    isWhole: (parameters, isPost) => isPost || hasAny("expr", "name")(parameters),
    isChange: true,
  },
  { ...plain("fetch", fetchValues), isWhole: hasAny("names", "name", "pmids", "pmid") },
  { ...plain("indom", tellInstances), isWhole: hasAny("indom", "name") },
  {
    ...plain("store", storeValue),
    methods: READ_AND_POST,
    isWhole: (parameters, isPost) =>
      hasAny("name", "pmid")(parameters) && (isPost || parameters.has("value")),
  },
  plain("children", tellChildren),
];

/** What a path asks for. */
interface Target {
  readonly endpoint: Endpoint;
  /** The context in the path. */
  readonly id: string | undefined;
  readonly compat: boolean;
}

const PMAPI = /^\/pmapi\/(?:(\d+)\/)?(_?)([a-z].*)$/s;

function targetOf(path: string): Target | undefined {
  const format = FORMATS.find(({ name }) => path.startsWith(name, 1));
  if (format !== undefined) return { endpoint: format, id: undefined, compat: false };
  const found = PMAPI.exec(path);
  if (found === null) return undefined;
  const [, id, underscore, rest = ""] = found;
  const endpoint = ENDPOINTS.find(({ name }) => rest.startsWith(name));
  return endpoint === undefined ? undefined : { endpoint, id, compat: underscore === "_" };
}

/** The pair of an Authorization header; "bad" for one that is malformed (spec webapi.md 2.9). */
function credentialsOf(header: string | undefined): Credentials | "bad" | undefined {
  const encoded = /^Basic +(.*)$/is.exec(header ?? "")?.[1]?.trim();
  if (encoded === undefined) return undefined;
  if (encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return "bad";
  const text = Buffer.from(encoded, "base64").toString();
  const colon = text.indexOf(":");
  if (colon < 0) return "bad";
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

const DEFAULT_TIMEOUT_SECONDS = 5;
const NUMBER = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Milliseconds of `polltimeout`; without an end, and below 0, the longest that there is. */
function timeoutOf(parameters: Parameters, longest: number): number {
  const text = parameters.get("polltimeout");
  if (text === undefined) return DEFAULT_TIMEOUT_SECONDS * 1000;
  if (text !== "" && !NUMBER.test(text))
    throw new WebFault(400, "invalid timeout requested in polltime");
  const milliseconds = 1000 * Number(text);
  return milliseconds < 0 ? longest : Math.min(milliseconds, longest);
}

/** The context as replies tell it: only what is a number (spec webapi.md 3.4, 21). */
const toldId = (text: string | undefined): string =>
  text !== undefined && /^-?(?:0|[1-9]\d*)$/.test(text) ? text : "";

async function* nothing(): AsyncGenerator<Uint8Array> {
  // HEAD: whoever sends the reply leaves the body alone.
}

/** What is answered without a context; undefined: one is needed. */
function early(
  request: WebRequest,
  { endpoint }: Target,
  parameters: Parameters | undefined,
): WebReply<WebBody> | undefined {
  const { method } = request;
  if (credentialsOf(request.header("authorization")) === "bad")
    return jsonReply(401, '{"message":"(none)","success":false}');
  if (parameters === undefined) return errorPage(400, "no handler for URL");
  if (endpoint.isWhole?.(parameters, method === "POST") === false)
    return errorPage(400, "failed to process URL", "webapi servlet");
  if (method === "OPTIONS") return optionsReply(request, endpoint.methods);
  if (method === "TRACE") return { status: 200, type: "", body: "", bare: true };
  if (method === "HEAD") return { status: 200, type: endpoint.type, body: nothing() };
  return undefined;
}

/** Does what a request asks for, on its context. Rejects for faults of this program only. */
async function perform(
  pool: ContextPool,
  request: WebRequest,
  target: Target,
  parameters: Parameters,
  longest: number,
): Promise<WebReply<WebBody>> {
  const { endpoint, compat } = target;
  const id = parameters.get("context") ?? target.id;
  const isContext = endpoint.name === "context";
  let told = isContext ? "" : toldId(id);
  try {
    const credentials = credentialsOf(request.header("authorization"));
    const wanted: ContextRequest = {
      id,
      hostspec: parameters.get("hostspec") ?? parameters.get("hostname") ?? "localhost",
      timeoutMs: timeoutOf(parameters, longest),
      credentials: credentials === "bad" ? undefined : credentials,
      isOwn: isContext || endpoint.isChange === true,
    };
    return await pool.use(wanted, (context) => {
      if (!isContext) told = String(context.id);
      if (endpoint.isChange === true) pool.own(context);
      const call: Call = {
        ...context,
        parameters,
        compat,
        body: request.method === "POST" ? (request.body ?? new Uint8Array(0)) : undefined,
        accept: request.header("accept"),
      };
      return endpoint.handler(call);
    });
  } catch (error) {
    if (error instanceof WebFault) return faultReply(error, told);
    const pcp = asPcpError(error);
    if (pcp === error) return faultReply(faultOf(pcp), told);
    throw error;
  }
}

/** The REST API of one server (spec webapi.md 1). */
export function createWebApi(options: WebApiOptions = {}): WebApi {
  const env = options.env ?? process.env;
  const warn = options.warn ?? (() => undefined);
  const limits = { ...DEFAULT_CONTEXT_LIMITS, ...options.limits };
  let derived = options.derived;
  const pool = createContextPool({
    env,
    warn,
    limits,
    derived: () => (derived ??= globalDerived(warn, env)),
    host: options.host ?? {},
    hasRoom: options.hasRoom ?? (() => true),
  });
  return {
    answer(request): Answer | undefined {
      const target = targetOf(request.path);
      if (target === undefined) return undefined;
      const parameters = parseParameters(request.query);
      const reply = early(request, target, parameters);
      if (reply !== undefined) return reply;
      return perform(pool, request, target, parameters ?? new Map(), limits.pollTimeoutMs);
    },
    status: () => ({ contexts: pool.open, limit: limits.contexts }),
    close: () => pool.close(),
  };
}
