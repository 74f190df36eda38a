// The view of the past: what is asked, the text of the query, its answer as a chart, and what is said
// when there is none. One question at a time: a newer one calls the older one off.
import type { App, Part } from "./app.ts";
import { el, restLink, set, write } from "./dom.ts";
import { copyLink } from "./link.ts";
import { answerOf, createLookup, type PastAnswer } from "./past-answer.ts";
import { createPastChart } from "./past-chart.ts";
import { createChoose } from "./past-choose.ts";
import { createPastHelp } from "./past-help.ts";
import { selected, usualQuery } from "./past-query.ts";
import {
  between,
  type Ends,
  endsOf,
  lengthText,
  moved,
  type PastRange,
  timeText,
  zoomed,
} from "./past-range.ts";
import { isAbsent, queryUrl } from "./past-rest.ts";
import type { PastState } from "./past-state.ts";
import { createTimes } from "./past-times.ts";
import { RestFault } from "./rest.ts";
import type { PageState } from "./route.ts";
import type { Source } from "./source.ts";

/** Waiting is told, and can be called off, after this. */
const SLOW_MS = 700;
const RETRY_SECONDS = 5;
/** A followed chart is asked for again when it has moved by this share, within these bounds. */
const FOLLOW_SHARE = 1 / 200;
const FOLLOW_LEAST_S = 5;
const FOLLOW_MOST_S = 60;
/** Samples of a line, whatever the width of the chart. */
const SAMPLES_LEAST = 200;
const SAMPLES_MOST = 1000;
/** PCP's own configuration names a key server even where there is none. */
const KEY_SERVER_HINT = " (to do without a key server: [pmseries] store = embedded)";
/** Ranges to go back to. */
const BACK_MOST = 50;

const keyOf = ({ origin, metric, query, range }: PastState): string =>
  JSON.stringify(query === undefined ? [origin, metric, range] : [query, range]);

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** The line that says how the question goes, with what can be done about it. */
function createNotice() {
  const text = el("span", { role: "status" });
  const buttons = el("span", { class: "buttons" });
  const element = el("p", { class: "past-notice", hidden: true }, text, buttons);
  return {
    element,
    say(words: string, ...actions: readonly (readonly [label: string, act: () => void])[]): void {
      element.hidden = words === "";
      write(text, words);
      buttons.replaceChildren(
        ...actions.map(([label, act]) => el("button", { type: "button", click: act }, label)),
      );
    },
  };
}

/** The text of the query, with what the server says against it. */
function createQueryField(run: (text: string) => void, reset: () => void) {
  let shown = "";
  const complaint = el("pre", {
    id: "past-complaint",
    class: "complaint",
    role: "alert",
    hidden: true,
  });
  const field = el("input", {
    class: "query",
    "aria-label": "Query",
    placeholder: "Query, such as rate(disk.dev.read)",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: 4000,
  });
  const sent = el("span", { class: "sent muted" });
  const own = el(
    "button",
    { type: "button", class: "quiet", hidden: true, click: reset },
    "As chosen",
  );
  const form = el(
    "form",
    {
      class: "past-query",
      submit: (event) => {
        event.preventDefault();
        run(field.value.trim());
      },
    },
    field,
    el("button", { type: "submit", class: "primary" }, "Ask"),
    own,
    complaint,
    sent,
  );
  return {
    element: form,
    /** Shows the text of the state, unless another one is being typed. */
    show(text: string, isOwn: boolean): void {
      own.hidden = !isOwn;
      if (text === shown && document.activeElement === field) return;
      shown = text;
      field.value = text;
    },
    /** Shows what was sent. */
    sent(query: string): void {
      sent.replaceChildren(...(query === "" ? [] : ["sent: ", restLink(queryUrl(query), query)]));
    },
    complain(text: string): void {
      complaint.hidden = text === "";
      write(complaint, text);
      set(field, "aria-invalid", text === "" ? undefined : "true");
      set(field, "aria-describedby", text === "" ? undefined : complaint.id);
      // The server's caret is below a copy of the text: the cursor goes there.
      const lines = text.split("\n");
      const caret = lines.findIndex((line) => /^\s*\^ -- /.test(line));
      const at = lines[caret]?.indexOf("^") ?? -1;
      if (at < 0 || lines[caret - 1] !== field.value || document.activeElement !== field) return;
      field.setSelectionRange(at, at + 1);
    },
  };
}

export function createPastView(app: App): Part & { readonly element: HTMLElement } {
  const lookup = createLookup();
  const notice = createNotice();
  const ranges: PastRange[] = [];
  let ends: Ends = { from: nowSeconds() - 3600, to: nowSeconds() };
  let asked = "";
  let askedAt = 0;
  let retryAt: number | undefined;
  let running: AbortController | undefined;
  let answer: PastAnswer | undefined;
  let heading = "";
  let isLoaded = false;
  let loads = 0;
  let usual: readonly string[] = [];
  let known: readonly string[] = [];
  /** The host was chosen by nobody. */
  let isGuessed = false;

  const past = (): PastState => app.state.past;
  const change = (next: Partial<PastState>): void =>
    app.change((state) => ({ ...state, past: { ...state.past, ...next } }));
  const go = (range: PastRange): void => {
    ranges.push(past().range);
    if (ranges.length > BACK_MOST) ranges.shift();
    change({ range, follow: false });
  };
  const back = (): void => {
    const range = ranges.pop() ?? zoomed(ends, 2);
    change({ range });
  };

  const choose = createChoose(app);
  const times = createTimes({
    chosen(range) {
      ranges.length = 0;
      change({ range, follow: past().follow && range.kind === "last" });
    },
    moved: (share) => go(moved(ends, share)),
    nearer: () => go(zoomed(ends, 0.5)),
    back,
    follow: (follow) => change({ follow }),
  });
  const query = createQueryField(
    (text) => {
      asked = "";
      if (text === "") change({ query: undefined });
      else change({ query: text });
      show(app.state);
    },
    () => change({ query: undefined, lines: undefined }),
  );
  const chart = createPastChart({
    picked: (from, to) => go(between(from, to)),
    back,
    nearer: () => go(zoomed(ends, 0.5)),
    moved: (share) => go(moved(ends, share)),
    copy: () => void copyLink(app, "this chart"),
    chosen: (lines) => change({ lines }),
  });
  const help = createPastHelp(() => void load());
  const form = el("div", { class: "past-form" }, choose.element, times.element, query.element);
  const element = el(
    "section",
    { class: "past", "aria-label": "History", tabindex: -1, hidden: true },
    form,
    notice.element,
    help.element,
    chart.element,
  );

  /** Says what failed, and when it is tried again; `isQuery`: what the server refuses is the text. */
  const fail = (error: unknown, isQuery: boolean, again: () => void): void => {
    if (!(error instanceof RestFault)) throw error;
    if (isAbsent(error)) {
      notice.say("");
      form.hidden = true;
      help.show("off");
      return;
    }
    const isText = isQuery && error.kind === "refused" && error.status === 400;
    query.complain(isText ? error.message.trimEnd() : "");
    if (isText) {
      notice.say("");
      return;
    }
    retryAt = Date.now() + 1000 * RETRY_SECONDS;
    const hint = error.message.includes("key server") ? KEY_SERVER_HINT : "";
    notice.say(`${error.message}; tried again every ${RETRY_SECONDS} s${hint}`, ["Try now", again]);
  };

  const tellEmpty = ({ newest, facts, ends: shown }: PastAnswer, text: string): void => {
    if (facts.length === 0) {
      notice.say(`Nothing is recorded that fits ${text}.`);
      return;
    }
    const where = `Nothing is recorded of ${text} between ${timeText(shown.from)} and ${timeText(shown.to)}`;
    if (newest === undefined) {
      notice.say(`${where}.`);
      return;
    }
    const length = shown.to - shown.from;
    notice.say(`${where}; the newest value is of ${timeText(newest)}.`, [
      `Show ${lengthText(length)} up to it`,
      () => go(between(newest - length, newest + 1)),
    ]);
  };

  const textOf = async (state: PastState, signal: AbortSignal): Promise<string> => {
    if (state.query !== undefined) return state.query;
    const facts = await lookup.facts(selected(state.metric, state.origin), signal);
    const isCounter =
      facts.length > 0 &&
      facts.every(({ sem, type }) => sem === "counter" && /32|64|float|double/.test(type));
    return usualQuery(state.metric, state.origin, isCounter);
  };

  const run = async (): Promise<void> => {
    const state = past();
    running?.abort();
    const mine = new AbortController();
    running = mine;
    asked = keyOf(state);
    askedAt = Date.now();
    retryAt = undefined;
    const slow = setTimeout(
      () =>
        notice.say("Asking …", [
          "Cancel",
          () => {
            mine.abort();
            notice.say("Cancelled.", ["Ask again", () => void run()]);
          },
        ]),
      SLOW_MS,
    );
    try {
      const text = await textOf(state, mine.signal);
      query.show(text, state.query !== undefined);
      const next = await answerOf(
        {
          query: text,
          range: state.range,
          samples: Math.max(SAMPLES_LEAST, Math.min(SAMPLES_MOST, chart.width)),
          now: nowSeconds(),
          signal: mine.signal,
        },
        lookup,
      );
      if (mine.signal.aborted) return;
      answer = next;
      ends = next.ends;
      heading = state.query === undefined ? state.metric : text;
      help.hide();
      notice.say("");
      query.complain("");
      query.sent(next.sent);
      times.show(state.range, ends, past().follow);
      chart.show(heading, next, past().lines);
      if (next.values === 0) tellEmpty(next, state.query ?? `${state.metric} of ${state.origin}`);
    } catch (error) {
      if (!mine.signal.aborted) fail(error, true, () => void run());
    } finally {
      clearTimeout(slow);
      if (running === mine) running = undefined;
    }
  };

  /** The host that the rest of the page is about, once it is known by its own name. */
  const guess = ({ host, context }: Source): void => {
    const origin = context?.hostName ?? "";
    if (!isGuessed || past().metric !== "" || host !== app.state.host) return;
    if (!known.includes(origin)) return;
    isGuessed = false;
    change({ origin });
  };

  /** Looks where there are values of; chooses a host where nobody has. */
  const load = async (): Promise<void> => {
    const mine = ++loads;
    isLoaded = true;
    retryAt = undefined;
    try {
      const { hosts, archives } = await choose.load();
      usual = await choose.usual();
      if (mine !== loads) return;
      known = hosts;
      const isEmpty = hosts.length === 0 && archives.length === 0;
      form.hidden = isEmpty && past().query === undefined;
      if (isEmpty) {
        notice.say("");
        isLoaded = false;
        help.show("empty");
        return;
      }
      help.hide();
      notice.say("");
      if (past().origin === "" && past().query === undefined) {
        isGuessed = true;
        change({ origin: hosts[0] ?? archives[0] ?? "" });
        guess(app.source(app.state.host));
      } else show(app.state);
    } catch (error) {
      if (mine !== loads) return;
      isLoaded = false;
      fail(error, false, () => void load());
    }
  };

  const show = (state: PageState): void => {
    const { past: next } = state;
    choose.show(next);
    if (next.query !== undefined) query.show(next.query, true);
    const hasQuestion = next.query !== undefined || (next.metric !== "" && next.origin !== "");
    if (hasQuestion && keyOf(next) !== asked) {
      ends = endsOf(next.range, nowSeconds()) ?? ends;
      times.show(next.range, ends, next.follow);
      void run();
      return;
    }
    if (!hasQuestion) ends = endsOf(next.range, nowSeconds()) ?? ends;
    times.show(next.range, ends, next.follow);
    if (!hasQuestion && isLoaded) {
      notice.say(
        "Choose a metric, or write a query.",
        ...usual.map((name) => [name, () => choose.choose(name)] as const),
      );
    }
    if (answer !== undefined) chart.show(heading, answer, next.lines);
  };

  const tick = (): void => {
    if (element.hidden || document.hidden || running !== undefined) return;
    if (retryAt !== undefined && Date.now() >= retryAt) {
      if (isLoaded) void run();
      else void load();
      return;
    }
    const { follow, range } = past();
    if (!follow || range.kind !== "last" || asked === "" || retryAt !== undefined) return;
    const period = Math.max(FOLLOW_LEAST_S, Math.min(FOLLOW_MOST_S, range.seconds * FOLLOW_SHARE));
    if (Date.now() - askedAt >= 1000 * period) void run();
  };

  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    element,
    update(state) {
      const isShown = state.view === "history";
      element.hidden = !isShown;
      if (!isShown) {
        clearInterval(timer);
        timer = undefined;
        return;
      }
      timer ??= setInterval(tick, 1000);
      if (isLoaded) show(state);
      else void load();
    },
    changed: guess,
    repaint: () => chart.repaint(),
  };
}
