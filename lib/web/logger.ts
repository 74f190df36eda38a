// /logger: archives that pmlogger and pmlogpush of PCP 7 send (spec webapi.md 18). What requests mean
// and how they are answered; the archives are lib/push's. Refuses with pmproxy's statuses, texts and
// pages: pmlogger looks at them.
import type { Push, PushTarget } from "../push/mod.ts";
import { quoted } from "../series/mod.ts";
import { jsonReply } from "./fault.ts";
import type { Authority } from "./authority.ts";
import { credentialsOf } from "./credentials.ts";
import { type Parameters, parseParameters } from "./parameters.ts";
import { type Answer, errorPage, type WebApi, type WebReply, type WebRequest } from "./route.ts";

/** Names of requests, as prefixes (spec webapi.md 1), and whether they carry a body. */
const NAMES = [
  ["ping", "GET"],
  ["meta", "POST"],
  ["label", "POST"],
  ["index", "POST"],
  ["volume", "POST"],
] as const;
type Name = (typeof NAMES)[number][0];

const PLACE = "/logger/";
const NUMBER = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const NOTHING = new Uint8Array(0);
/** Longest life that a timer can count. */
const MOST_LIFE_MS = 2 ** 31 - 1;

const page = (): WebReply => errorPage(400, "failed to process URL", "logger servlet");

/** `{...,"success":...}`; `first` is a member before the others, with its comma. */
function outcome(status: number, parameters: Parameters, first = ""): WebReply {
  const client = parameters.get("client");
  const mark = client === undefined ? "" : `"client":${quoted(client, "json")},`;
  return jsonReply(status, `{${first}${mark}"success":${status === 200}}`);
}

/** Milliseconds of `polltimeout`; undefined: it does not say; "bad": no number. */
function lifeOf(parameters: Parameters): number | "bad" | undefined {
  const text = parameters.get("polltimeout");
  if (text === undefined) return undefined;
  if (text !== "" && !NUMBER.test(text)) return "bad";
  return Math.min(Math.max(0, 1000 * Number(text)), MOST_LIFE_MS);
}

/** The number that a piece of a path begins with. */
function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d/.test(text)) return undefined;
  return Number.parseInt(text, 10);
}

/** Where a body goes, by the rest of the path; undefined: it does not say. */
function placeOf(name: Exclude<Name, "ping" | "label">, pieces: readonly string[]) {
  const [first, second] = pieces.map(numberOf);
  const archive = name === "volume" ? second : first;
  if (first === undefined || archive === undefined || archive === 0) return undefined;
  const target: PushTarget = name === "volume" ? { kind: "volume", volume: first } : { kind: name };
  return { archive, target };
}

/** Nobody is asked, so nobody is let in. */
const NOBODY: Authority = { check: () => 503, close: () => undefined };

/**
 * Answers the requests of loggers with what a Push makes of them. `authority` is asked about their
 * credentials where the settings want them checked. Closing it leaves the Push open.
 */
export function createLoggerApi(push: Push, authority: Authority = NOBODY): WebApi {
  const label = async (body: Uint8Array, parameters: Parameters): Promise<WebReply> => {
    const life = lifeOf(parameters);
    if (life === "bad" || body.length === 0) {
      push.refused();
      return outcome(400, parameters);
    }
    const taken = await push.label(body, life);
    const first = taken.status === 200 ? `"archive":${taken.archive},` : "";
    return outcome(taken.status, parameters, first);
  };
  const body = (
    name: Exclude<Name, "ping" | "label">,
    pieces: readonly string[],
    request: WebRequest,
    parameters: Parameters,
  ): Answer => {
    const place = placeOf(name, pieces);
    if (place === undefined) {
      push.refused();
      return page();
    }
    const taken = push.append(place.archive, place.target, request.body ?? NOTHING);
    // Small bodies are taken at once: the reply leaves without another turn of the event loop.
    if (typeof taken === "number") return outcome(taken, parameters);
    return taken.then((status) => outcome(status, parameters));
  };
  return {
    answer(request) {
      if (!request.path.startsWith(PLACE)) return undefined;
      const [first = "", ...pieces] = request.path.slice(PLACE.length).split("/");
      const known = NAMES.find(([name]) => first.startsWith(name));
      if (known === undefined) return undefined;
      const [name, method] = known;
      const parameters = parseParameters(request.query);
      if (parameters === undefined) return errorPage(400, "no handler for URL");
      if (request.method !== method) return page();
      const next = (status: number): Answer => {
        if (status !== 200) {
          push.refused();
          return outcome(status, parameters);
        }
        if (name === "ping") return outcome(200, parameters);
        return name === "label"
          ? label(request.body ?? NOTHING, parameters)
          : body(name, pieces, request, parameters);
      };
      const { enabled, authenticate } = push.settings();
      const allowed = enabled ? 200 : 500;
      if (!authenticate) return next(isMalformed(request) ? 401 : allowed);
      const checked = authority.check(request);
      const proceed = (status: number): Answer => next(status === 200 ? allowed : status);
      return checked instanceof Promise ? checked.then(proceed) : proceed(checked);
    },
    status: () => ({ ...push.status() }),
    close: () => {
      authority.close();
      return Promise.resolve();
    },
  };
}

/** Credentials that cannot be read are refused even where none are wanted. */
const isMalformed = (request: WebRequest): boolean => {
  const header = request.header("authorization");
  return header !== undefined && credentialsOf(header) === "bad";
};
