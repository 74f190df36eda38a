// The REST API on live contexts: which requests there are, what they need, the context that each one
// wants, and the one reply that each one gets (spec webapi.md 1 to 4). Refuses what lacks parameters
// with pmproxy's page, everything else with a JSON message. Never answers twice.
import { asPcpError } from "../base/mod.ts";
import { type Context, globalDerived } from "../context/mod.ts";
import type { Call, Handler, Memo } from "./call.ts";
import {
  type ContextPool,
  type ContextRequest,
  createContextPool,
  DEFAULT_CONTEXT_LIMITS,
  type ContextLimits,
  type WebContext,
} from "./contexts.ts";
import { credentialsOf } from "./credentials.ts";
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
  nothing,
  optionsReply,
  traceReply,
  type WebApi,
  type WebBody,
  type WebReply,
  type WebRequest,
} from "./route.ts";
import type { Credentials } from "./sources.ts";
import { deriveMetric, storeValue } from "./store.ts";

/** What createWebApi takes; all may be left out. */
export interface WebApiOptions {
  /** The environment for connections to pmcd; the process's by default. */
  readonly env?: Environment;
  /** Takes warnings, a sentence each. */
  readonly warn?: (text: string) => void;
  /** Bounds, or what tells the present ones. */
  readonly limits?: Partial<ContextLimits> | (() => Partial<ContextLimits>);
  /** More about connections to pmcd. */
  readonly host?: ConnectOptions;
  /** Global derived metrics; without them those of PCP's files are read at the first use. */
  readonly derived?: DerivedSet;
  /** Whether a descriptor is left for one more connection to a pmcd. */
  readonly hasRoom?: () => boolean;
  /**
   * Opens what serves requests for `localhost` while no pmcd answers there: a local context, or the
   * built-in collector's. Each call gives another context, which is closed when nobody uses it. Without
   * it such requests are refused with the error of connecting.
   */
  readonly fallback?: () => Promise<Context>;
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
  /** What it does with its context. */
  readonly use: ContextRequest["use"];
  /** Whether the Accept header chooses its format. */
  readonly hasFormats?: boolean;
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
  use: "shared",
  hasFormats: true,
};
const FORMATS: readonly Endpoint[] = [
  METRICS,
  {
    name: "openmetrics",
    handler: tellOpenMetrics,
    type: OPENMETRICS_TYPE,
    methods: READ,
    use: "shared",
  },
  { name: "opentelemetry", handler: tellTelemetry, type: JSON_TYPE, methods: READ, use: "shared" },
];

const plain = (name: string, handler: Handler): Endpoint => ({
  name,
  handler,
  type: JSON_TYPE,
  methods: READ,
  use: "shared",
});

const hasAny =
  (...names: readonly string[]) =>
  (parameters: Parameters): boolean =>
    names.some((name) => parameters.has(name));

/** In the order in which names are compared, as prefixes (spec webapi.md 1). */
const ENDPOINTS: readonly Endpoint[] = [
  { ...plain("context", tellContext), use: "fresh" },
  { ...plain("profile", changeProfile), isWhole: hasAny("expr"), use: "changed" },
  METRICS,
  plain("metric", tellMetrics),
  {
    ...plain("derive", deriveMetric),
    methods: READ_AND_POST,
    isWhole: (parameters, isPost) => isPost || hasAny("expr", "name")(parameters),
    use: "changed",
  },
  { ...plain("fetch", fetchValues), isWhole: hasAny("names", "name", "pmids", "pmid") },
  { ...plain("indom", tellInstances), isWhole: hasAny("indom", "name") },
  {
    ...plain("store", storeValue),
    methods: READ_AND_POST,
    isWhole: (parameters, isPost) =>
      hasAny("name", "pmid")(parameters) && (isPost || parameters.has("value")),
    // Agents may keep what a client stores for that client alone.
    use: "stored",
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

const NUMBER = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Milliseconds of `polltimeout`; without an end, and below 0, the longest that there is. */
function timeoutOf(parameters: Parameters, limits: ContextLimits): number {
  const text = parameters.get("polltimeout");
  if (text === undefined) return limits.timeoutMs;
  const longest = limits.pollTimeoutMs;
  if (text !== "" && !NUMBER.test(text))
    throw new WebFault(400, "invalid timeout requested in polltime");
  const milliseconds = 1000 * Number(text);
  return milliseconds < 0 ? longest : Math.min(milliseconds, longest);
}

/** The context as replies tell it: only what is a number (spec webapi.md 3.4, 21). */
const toldId = (text: string | undefined): string =>
  text !== undefined && /^-?(?:0|[1-9]\d*)$/.test(text) ? text : "";

/** What the text of a request says. */
interface Asked {
  readonly target: Target;
  readonly parameters: Parameters;
  /** Its parameters cannot be read. */
  readonly isBad: boolean;
  readonly memo: Memo;
}

/** What is answered without a context; undefined: one is needed. */
function early(request: WebRequest, { target, parameters, isBad }: Asked): Early | undefined {
  const { method } = request;
  const { endpoint } = target;
  if (isBad) return errorPage(400, "no handler for URL");
  if (endpoint.isWhole?.(parameters, method === "POST") === false)
    return errorPage(400, "failed to process URL", "webapi servlet");
  if (method === "OPTIONS") return optionsReply(request, endpoint.methods);
  if (method === "TRACE") return traceReply(request);
  if (method === "HEAD") return { status: 200, type: endpoint.type, body: nothing() };
  return undefined;
}

type Early = WebReply<WebBody>;

/** The replies to requests on contexts of one pool. */
function performer(pool: ContextPool, limits: () => ContextLimits) {
  const refuse = (error: unknown, told: string): WebReply => {
    if (error instanceof WebFault) return faultReply(error, told);
    const pcp = asPcpError(error);
    if (pcp === error) return faultReply(faultOf(pcp), told);
    throw error;
  };

  /** Answers on a context that has been entered, and leaves it. */
  const serve = (context: WebContext, request: WebRequest, asked: Asked, told: string): Answer => {
    const { endpoint, compat } = asked.target;
    const call: Call = {
      id: context.id,
      context: context.context,
      metadata: context.metadata,
      joints: context.joints,
      parameters: asked.parameters,
      compat,
      body: request.method === "POST" ? (request.body ?? new Uint8Array(0)) : undefined,
      accept: endpoint.hasFormats === true ? request.header("accept") : undefined,
      memo: asked.memo,
      batchSize: limits().batchSize,
      gone: request.gone,
    };
    let reply;
    try {
      reply = endpoint.handler(call);
    } catch (error) {
      pool.leave(context);
      return refuse(error, told);
    }
    if (!(reply instanceof Promise)) {
      pool.leave(context);
      return reply;
    }
    return reply.then(
      (ready) => {
        pool.leave(context);
        return ready;
      },
      (error: unknown) => {
        pool.leave(context);
        return refuse(error, told);
      },
    );
  };

  return (request: WebRequest, asked: Asked, credentials: Credentials | undefined): Answer => {
    const { parameters, target } = asked;
    const { endpoint } = target;
    const id = parameters.get("context") ?? target.id;
    const isContext = endpoint.name === "context";
    const toldBefore = isContext ? "" : toldId(id);
    try {
      const entered = pool.enter({
        id,
        hostspec: parameters.get("hostspec") ?? parameters.get("hostname") ?? "localhost",
        timeoutMs: timeoutOf(parameters, limits()),
        credentials,
        use: endpoint.use,
      });
      const begin = (context: WebContext): Answer =>
        serve(context, request, asked, isContext ? "" : String(context.id));
      if (!(entered instanceof Promise)) return begin(entered);
      return entered.then(begin, (error: unknown) => refuse(error, toldBefore));
    } catch (error) {
      return refuse(error, toldBefore);
    }
  };
}

/** Requests whose text was looked at already; then all are forgotten. */
const ASKED_MAX = 512;
/** Longer texts are looked at each time. */
const ASKED_TEXT = 4096;

/** The REST API of one server (spec webapi.md 1). */
export function createWebApi(options: WebApiOptions = {}): WebApi {
  const env = options.env ?? process.env;
  const warn = options.warn ?? (() => undefined);
  const given = options.limits;
  let last: Partial<ContextLimits> | undefined;
  let merged = DEFAULT_CONTEXT_LIMITS;
  const limits = (): ContextLimits => {
    const now = typeof given === "function" ? given() : given;
    if (now !== last) merged = { ...DEFAULT_CONTEXT_LIMITS, ...now };
    last = now;
    return merged;
  };
  let derived = options.derived;
  const pool = createContextPool({
    env,
    warn,
    limits,
    derived: () => (derived ??= globalDerived(warn, env)),
    host: options.host ?? {},
    hasRoom: options.hasRoom ?? (() => true),
    ...(options.fallback === undefined ? {} : { fallback: options.fallback }),
  });
  const perform = performer(pool, limits);
  const known = new Map<string, Asked>();

  /** What a request asks for; undefined: its path is none of ours. */
  const look = ({ path, query }: WebRequest): Asked | undefined => {
    const target = targetOf(path);
    if (target === undefined) return undefined;
    const parameters = parseParameters(query);
    return {
      target,
      parameters: parameters ?? new Map(),
      isBad: parameters === undefined,
      memo: {},
    };
  };
  const askedOf = (request: WebRequest): Asked | undefined => {
    const { target: text } = request;
    if (text === undefined || text.length > ASKED_TEXT) return look(request);
    const before = known.get(text);
    if (before !== undefined) return before;
    const asked = look(request);
    if (asked === undefined) return undefined;
    if (known.size >= ASKED_MAX) known.clear();
    known.set(text, asked);
    return asked;
  };

  return {
    answer(request): Answer | undefined {
      const asked = askedOf(request);
      if (asked === undefined) return undefined;
      const header = request.header("authorization");
      const credentials = header === undefined ? undefined : credentialsOf(header);
      if (credentials === "bad") return jsonReply(401, '{"message":"(none)","success":false}');
      return early(request, asked) ?? perform(request, asked, credentials);
    },
    status: () => ({
      contexts: pool.contexts,
      limit: limits().contexts,
      connections: pool.connections,
      localhost: pool.local,
    }),
    close: () => pool.close(),
  };
}
