// The requests about time series and for text search on one store (spec webapi.md 16, 17): which there are,
// what they need, who may ask how much at a time. Refuses what lacks parameters with pmproxy's page,
// everything else with a JSON message, of several only the first. Without a store there is no such path,
// but for ping.
import { utf8Text } from "../base/mod.ts";
import type { Instant, Zone } from "../pcp/mod.ts";
import { localZone, now as currentTime } from "../pcp/mod.ts";
import {
  type JsonForm,
  type LoadReport,
  problemJson,
  type Quoting,
  type SeriesService,
  successJson,
} from "../series/mod.ts";
import { credentialsOf } from "./credentials.ts";
import { wantsJson } from "./opentelemetry.ts";
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
import { SEARCH_REQUESTS, searchFailure, type SearchRequest } from "./search.ts";
import { type AnswerForm, answerOf, BARE_TYPE, failureOf, jsonAnswer } from "./series-answer.ts";
import { type Lack, SERIES_REQUESTS, type SeriesRequest, type Way } from "./series-requests.ts";
import {
  attended,
  createWorkplace,
  DEFAULT_SERIES_LIMITS,
  Larger,
  type SeriesLimits,
  type Work,
} from "./series-work.ts";

/** What createSeriesApi takes. */
export interface SeriesApiOptions {
  /** The store in use; undefined while there is none. */
  readonly service: () => SeriesService | undefined;
  /** Times of queries count from here; the system's clock by default. */
  readonly now?: () => Instant;
  /** Zone of times that name none; the process's by default. */
  readonly zone?: () => Zone;
  /** Takes warnings, a sentence each; the same one not more than once a minute. */
  readonly warn?: (text: string) => void;
  /** Bounds, or what tells the present ones. */
  readonly limits?: Partial<SeriesLimits> | (() => Partial<SeriesLimits>);
  /** "pcp": texts with `\xHH` as pmproxy writes them, which is no JSON; "json" by default. */
  readonly quoting?: Quoting;
}

/** A request, of either kind. */
type Target =
  | { readonly kind: "series"; readonly request: SeriesRequest }
  | { readonly kind: "search"; readonly request: SearchRequest };

/** What the text of a request says. */
interface Asked {
  readonly target: Target;
  readonly parameters: Parameters;
  /** Its parameters cannot be read. */
  readonly isBad: boolean;
}

const SERIES = "/series/";
const SEARCH = "/search/";

/** The request of a path: names are compared by their beginning (spec webapi.md 1). */
function targetOf(path: string): Target | undefined {
  if (path.startsWith(SERIES)) {
    const request = SERIES_REQUESTS.find(({ name }) => path.startsWith(name, SERIES.length));
    return request === undefined ? undefined : { kind: "series", request };
  }
  if (!path.startsWith(SEARCH)) return undefined;
  const request = SEARCH_REQUESTS.find(({ name }) => path.startsWith(name, SEARCH.length));
  return request === undefined ? undefined : { kind: "search", request };
}

const json = (status: number, body: string): WebReply => ({
  status,
  type: "application/json",
  body,
});

/** What is told of a request that lacks something. */
const lackReply = (lack: Lack, { kind, request }: Target, form: JsonForm): WebReply => {
  if (lack === "page") return errorPage(400, "failed to process URL", `${kind} servlet`);
  // The members are in this order only here.
  if (request.name === "load")
    return json(400, '{"success":false,"message":"no load expression"}\r\n');
  return json(400, successJson(false, form));
};

const isForm = ({ method, query }: WebRequest): boolean =>
  method === "POST" && (query === undefined || query === "");

const wayOf = (request: WebRequest): Way => {
  if (request.method !== "POST") return "read";
  return isForm(request) ? "form" : "posted";
};

/** What is answered without the store; undefined: it is asked. */
function early(
  request: WebRequest,
  { target, parameters, isBad }: Asked,
  form: AnswerForm,
): WebReply<WebBody> | undefined {
  const { method } = request;
  if (isBad && method === "TRACE") return traceReply(request);
  if (isBad) return errorPage(400, `no handler for ${method === "OPTIONS" ? "OPTIONS" : "URL"}`);
  const isAsked = method !== "OPTIONS" && method !== "TRACE";
  const lack = target.request.lacks(parameters, wayOf(request));
  if (lack === "page") return lackReply(lack, target, form);
  const header = request.header("authorization");
  if (header !== undefined && credentialsOf(header) === "bad")
    return isAsked
      ? json(401, successJson(false, form))
      : { status: 401, type: "", body: "", bare: true };
  if (method === "OPTIONS") return optionsReply(request, target.request.methods);
  if (method === "TRACE") return traceReply(request);
  if (method === "HEAD") return { status: 200, type: form.bare, body: nothing() };
  // What only the answer would miss is missed by those that get one.
  return lack === undefined ? undefined : lackReply(lack, target, form);
}

/** Requests whose text was looked at already; then all are forgotten. */
const ASKED_MAX = 512;
/** Longer texts are looked at each time. */
const ASKED_TEXT = 4096;

/** Text of a URL, which has a character a byte: what was sent without escapes is UTF-8 as well. */
const urlText = (text: string): string =>
  /[\u0080-\u00ff]/.test(text) ? utf8Text(Buffer.from(text, "latin1")) : text;

/** Names and values as C has them: what follows a NUL is none of them. Of several of a name the first counts. */
function withoutNul(parameters: Parameters): Parameters {
  const cut = (text: string): string => {
    const end = text.indexOf("\0");
    return end < 0 ? text : text.slice(0, end);
  };
  const found = new Map<string, string>();
  for (const [name, value] of parameters)
    if (!found.has(cut(name))) found.set(cut(name), cut(value));
  return found;
}

/** Finds out what requests ask for. */
function reader(): (request: WebRequest) => Asked | undefined {
  const known = new Map<string, Asked>();
  const look = (target: Target, text: string | undefined): Asked => {
    const parameters = parseParameters(text);
    const isPlain = parameters === undefined || text?.includes("%00") !== true;
    return {
      target,
      parameters: isPlain ? (parameters ?? new Map()) : withoutNul(parameters),
      isBad: parameters === undefined,
    };
  };
  return (request) => {
    const { target: text, query, path } = request;
    if (isForm(request)) {
      const target = targetOf(path);
      if (target === undefined) return undefined;
      // Text search and pings take parameters from the URL alone.
      const hasForm = target.kind === "series" && target.request.name !== "ping";
      const body = hasForm ? request.body : undefined;
      return look(target, body === undefined ? undefined : utf8Text(body));
    }
    const before = text === undefined ? undefined : known.get(text);
    if (before !== undefined) return before;
    const target = targetOf(path);
    if (target === undefined) return undefined;
    const asked = look(target, query === undefined ? undefined : urlText(query));
    if (text === undefined || text.length > ASKED_TEXT) return asked;
    if (known.size >= ASKED_MAX) known.clear();
    known.set(text, asked);
    return asked;
  };
}

const LOADING = '{"success":false,"message":"load in-progress"}\r\n';

/** One load at a time (spec series.md 4.5). It goes on when the client has gone. */
function loader(now: () => number) {
  const stop = new AbortController();
  let running = false;
  let last: Readonly<Record<string, unknown>> | undefined;
  const told = (report: LoadReport | { readonly problem: string }): void => {
    last = { ...report, at: new Date(now()).toISOString() };
  };
  return {
    status: () => ({ loading: running, ...(last === undefined ? {} : { lastLoad: last }) }),
    stop: () => stop.abort(new Error("the server stops")),
    async load(service: SeriesService, expression: string, form: AnswerForm): Promise<WebReply> {
      if (running) return json(409, LOADING);
      running = true;
      try {
        told(await service.load(expression, stop.signal));
        return jsonAnswer({ body: successJson(true, form), hasData: false }, form);
      } catch (error) {
        if (stop.signal.aborted) return json(503, problemJson("the server stops", form));
        told({ problem: error instanceof Error ? error.message : String(error) });
        const reply = failureOf(error, form, 400);
        return isInProgress(error) ? json(409, LOADING) : reply;
      } finally {
        running = false;
      }
    },
  };
}

/** Undefined when a question may be asked again, having the place that it lacked; else why it failed. */
async function placed(work: Work | undefined, error: unknown): Promise<unknown> {
  if (!(error instanceof Larger)) return error;
  try {
    await work?.again(error);
    return undefined;
  } catch (refusal) {
    return refusal;
  }
}

const isInProgress = (error: unknown): boolean =>
  error instanceof Error && error.message === "load in-progress";

/** A warning that is not told again for this long, ms. */
const WARNED_MS = 60_000;

/** Tells a warning that is repeated now and then. */
function sparing(warn: (text: string) => void): (text: string) => void {
  let last = "";
  let at = 0;
  return (text) => {
    const now = performance.now();
    if (text === last && now - at < WARNED_MS) return;
    last = text;
    at = now;
    warn(text);
  };
}

/**
 * The requests about series and for text search of one server. Its status: `requests` that have a place,
 * `waiting` for one, `streams` under way, bytes `held` by functions; `loading`; `lastLoad`, once there was one:
 * a LoadReport, or the `problem`, and `at` (RFC 3339). `close` ends a load; it does not close the service.
 */
export function createSeriesApi(options: SeriesApiOptions): WebApi {
  const now = options.now ?? currentTime;
  const usualZone = localZone(process.env);
  const zone = options.zone ?? ((): Zone => usualZone);
  const quoting = options.quoting ?? "json";
  const warn = sparing(options.warn ?? (() => undefined));
  const given = options.limits;
  let last: Partial<SeriesLimits> | undefined;
  let merged = DEFAULT_SERIES_LIMITS;
  const limits = (): SeriesLimits => {
    const present = typeof given === "function" ? given() : given;
    if (present !== last) merged = { ...DEFAULT_SERIES_LIMITS, ...present };
    last = present;
    return merged;
  };
  const workplace = createWorkplace(limits);
  const loads = loader(Date.now);
  const read = reader();
  let isClosed = false;

  const ask = async (
    service: SeriesService,
    { ask: perform }: Required<Pick<SeriesRequest, "ask">>,
    parameters: Parameters,
    form: AnswerForm,
    begun: Work | Promise<Work>,
  ): Promise<WebReply<WebBody>> => {
    let work: Work | undefined;
    let problem: unknown;
    const at = now();
    do {
      try {
        work ??= begun instanceof Promise ? await begun : begun;
        const store = attended(service.store, work);
        const told = perform({ store, parameters, form, work, warn, now: at, zone: zone() });
        const reply = answerOf(told instanceof Promise ? await told : told, form, work);
        // Each promise that is waited for costs a small answer a part of its time.
        return reply instanceof Promise ? await reply : reply;
      } catch (error) {
        problem = await placed(work, error);
      }
    } while (problem === undefined);
    work?.done();
    return failureOf(problem, form);
  };

  const search = async (
    service: SeriesService,
    request: SearchRequest,
    parameters: Parameters,
    form: AnswerForm,
    begun: Work | Promise<Work>,
  ): Promise<WebReply> => {
    let work: Work | undefined;
    try {
      work = begun instanceof Promise ? await begun : begun;
      const index = service.search;
      if (index === undefined) return json(400, successJson(false, form));
      return jsonAnswer(await request.ask(index, parameters, form, limits().resultCount), form);
    } catch (error) {
      return searchFailure(error, form);
    } finally {
      work?.done();
    }
  };

  const perform = (service: SeriesService, request: WebRequest, asked: Asked, form: AnswerForm) => {
    const { target, parameters } = asked;
    if (isClosed) return json(503, problemJson("the server stops", form));
    if (target.kind === "series" && target.request.ask === undefined) {
      request.takesLong?.();
      return loads.load(service, parameters.get("expr") ?? "", form);
    }
    try {
      const begun = workplace.begin({ gone: request.gone, peer: request.peer?.() ?? "" });
      if (target.kind === "search") return search(service, target.request, parameters, form, begun);
      const { ask: question } = target.request;
      return question === undefined
        ? undefined
        : ask(service, { ask: question }, parameters, form, begun);
    } catch (error) {
      return failureOf(error, form);
    }
  };

  return {
    answer(request): Answer | undefined {
      const asked = read(request);
      if (asked === undefined) return undefined;
      const { target, parameters } = asked;
      const isPing = target.request.name === "ping";
      const service = options.service();
      if (service === undefined && !isPing) return undefined;
      const form: AnswerForm = {
        quoting,
        client: parameters.get(target.kind === "search" ? "clientid" : "client"),
        bare: wantsJson(request.header("accept")) ? "application/json" : BARE_TYPE,
      };
      const reply = early(request, asked, form);
      if (reply !== undefined) return reply;
      if (service === undefined || isPing)
        return jsonAnswer({ body: successJson(true, form), hasData: false }, form);
      return perform(service, request, asked, form);
    },
    status: () => ({ ...workplace.status(), ...loads.status() }),
    close() {
      isClosed = true;
      loads.stop();
      return Promise.resolve();
    },
  };
}
