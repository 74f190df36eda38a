// `pcpbox newcontext-probe --watch`: looks again and again, until a signal or a reader that went
// away. On a terminal what is seen is drawn in place; elsewhere the first look is printed, then a
// line for each change. A host that is lost is connected to again, an archive is followed.

import { now } from "../lib/pcp/mod.ts";
import {
  archiveFacts,
  changedFacts,
  type Facts,
  type Failure,
  liveFacts,
  plainText,
  type Style,
  timeText,
  waitUntil,
} from "../lib/probe/mod.ts";
import {
  failureIn,
  type Look,
  look,
  lookAgain,
  lookJson,
  lookText,
  signatureOf,
} from "./newcontext-probe-look.ts";
import { openSource, type OpenSource } from "./newcontext-probe-open.ts";
import type { ProbeRequest } from "./newcontext-probe-request.ts";
import { ownZone, sourceName, stopSignal, styleOf } from "./newcontext-probe-setting.ts";
import { drawInPlace } from "./newcontext-probe-screen.ts";
import { say } from "./output.ts";
import { isTerminal } from "./terminal.ts";

/** Puts one look after the other before a reader; false when there is none any more. */
export type Screen<T> = (found: T) => boolean;

/** The present as the reporting zone has it, as far as that is known. */
const clock = (request: ProbeRequest, found?: Look): string => {
  const zone = found !== undefined && found.kind !== "failed" ? found.zone : undefined;
  const { zone: shown } = zone ??
    ownZone({ ...request, zone: { kind: "own" } }) ?? { zone: undefined };
  return shown === undefined ? "" : timeText(now(), { zone: shown, full: request.fullTimes > 0 });
};

const failureText = ({ message, symbol, code, hint }: Failure): string =>
  `${message} [${symbol === null ? code : `${symbol}, ${code}`}]${hint === null ? "" : `\n  hint: ${hint}`}`;

function factsOf(found: Look, request: ProbeRequest): Facts {
  if (found.kind === "live") return liveFacts(found.report);
  if (found.kind === "failed") return new Map();
  const { end } = found.report;
  const time = { zone: found.zone.zone, full: request.fullTimes > 0 };
  return archiveFacts(found.report, end === null ? "unknown" : timeText(end, time));
}

/** Prints the first look in full, then what has changed. */
function changesScreen(request: ProbeRequest, style: Style): Screen<Look> {
  let before: Facts | undefined;
  let lostAt: number | undefined;
  return (found) => {
    const at = clock(request, found);
    const failure = failureIn(found);
    if (failure !== null) {
      const first = lostAt === undefined;
      lostAt ??= performance.now();
      // Told once: what comes after a loss are attempts that fail.
      if (!first) return true;
      const word = before === undefined ? "not there" : "lost";
      const text = `${plainText(sourceName(request))} ${word}: ${failureText(failure)}`;
      return say(`${at}  ${text}\n`);
    }
    let text = "";
    if (lostAt !== undefined) {
      const seconds = ((performance.now() - lostAt) / 1000).toFixed(1);
      const word = before === undefined ? "is there" : "is back";
      text = `${at}  ${plainText(sourceName(request))} ${word} after ${seconds} s\n`;
      lostAt = undefined;
    }
    const facts = factsOf(found, request);
    text +=
      before === undefined
        ? lookText(request, found, style)
        : changedFacts(before, facts)
            .map((line) => `${at}  ${line}\n`)
            .join("");
    before = facts;
    return text === "" || say(text);
  };
}

/** Draws each look in place of the one before. */
function placeScreen(request: ProbeRequest, style: Style): Screen<Look> {
  const seconds = request.watch ?? 0;
  let since = "";
  return (found) => {
    const at = clock(request, found);
    const failure = failureIn(found);
    if (failure !== null && since === "") since = at;
    if (failure === null) since = "";
    const state = since === "" ? "" : `, lost since ${since}`;
    const head = `${at}, every ${seconds} s${state}; Ctrl-C ends\n\n`;
    const body = lookText(request, found, style);
    const why = failure === null ? "" : `\n${failureText(failure)}\n`;
    return drawInPlace(head + body + why);
  };
}

/** Looks at an archive again, unless nothing was written since. */
function archiveLooker(request: ProbeRequest): () => Promise<Look> {
  let last: { readonly look: Look; readonly signature: string } | undefined;
  return async () => {
    if (last?.look.kind === "archive" && last.signature !== "") {
      if (signatureOf(last.look.report) === last.signature) return last.look;
    }
    // The signature first: what is written while it is looked at shows the next time.
    const before = last?.look.kind === "archive" ? signatureOf(last.look.report) : "";
    const found = await look(request);
    last = { look: found, signature: before };
    return found;
  };
}

/** Looks at the source once more: over the same context as long as there is one. */
function looker(request: ProbeRequest): { next(): Promise<Look>; end(): Promise<void> } {
  let open: OpenSource | undefined;
  const archive = archiveLooker(request);
  return {
    async next() {
      if (request.source.type === "archive") return archive();
      if (open === undefined) {
        const opened = await openSource(request);
        if (!opened.ok) return { kind: "failed", ...opened, broken: false };
        open = opened;
      }
      return lookAgain(request, open);
    },
    async end() {
      await open?.context.close();
    },
  };
}

async function watchLooks(request: ProbeRequest, stop: AbortSignal): Promise<void> {
  const style = styleOf(request);
  const screen: Screen<Look> = request.json
    ? (found) => say(`${lookJson(request, found)}\n`)
    : isTerminal("stdout")
      ? placeScreen(request, style)
      : changesScreen(request, style);
  const source = looker(request);
  const step = (request.watch ?? 1) * 1000;
  const start = performance.now();
  try {
    for (let tick = 1; ; tick++) {
      if (!screen(await source.next())) return;
      if (tick >= (request.samples ?? Infinity)) return;
      // A look that took longer than a step does not make the next ones come at once.
      const due = Math.max(start + tick * step, performance.now());
      if (!(await waitUntil(due, stop))) return;
    }
  } finally {
    await source.end();
  }
}

/** Watches until a signal; resolves to the exit status. */
export async function watchSource(request: ProbeRequest): Promise<number> {
  const { stop, end } = stopSignal();
  try {
    if (request.task === "metrics") {
      const { watchValues } = await import("./newcontext-probe-follow.ts");
      return await watchValues(request, stop);
    }
    await watchLooks(request, stop);
    return 0;
  } finally {
    end();
  }
}
