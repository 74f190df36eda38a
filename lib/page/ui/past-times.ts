// The control of the time range: spans up to now, all there is, two times in the zone of the browser;
// steps earlier, later, nearer, further; and whether the chart goes on with time.
import { el, set, write } from "./dom.ts";
import {
  between,
  type Ends,
  inputText,
  inputTime,
  LAST,
  type PastRange,
  zoneText,
} from "./past-range.ts";

/** What the control can be told to do. */
export interface TimesEvents {
  /** A range was chosen. */
  chosen(range: PastRange): void;
  /** By a share of what is shown; below 0: earlier. */
  moved(share: number): void;
  nearer(): void;
  back(): void;
  follow(isOn: boolean): void;
}

export interface Times {
  readonly element: HTMLElement;
  /** Shows a range, the ends that it has come to, and how many ranges there are to go back to. */
  show(range: PastRange, ends: Ends, follow: boolean): void;
}

const BETWEEN = "between";
/** Typing that goes on is not asked for. */
const SETTLE_MS = 600;

export function createTimes(events: TimesEvents): Times {
  let ends: Ends = { from: 0, to: 0 };
  const preset = el(
    "select",
    {
      "aria-label": "Time range",
      change: () => {
        const { value } = preset;
        if (value === "all") events.chosen({ kind: "all" });
        else if (value === BETWEEN) events.chosen(between(ends.from, ends.to));
        else events.chosen({ kind: "last", seconds: Number(value) });
      },
    },
    ...LAST.map(([seconds, text]) => el("option", { value: seconds }, text)),
    el("option", { value: "all" }, "all there is"),
    el("option", { value: BETWEEN }, "from … to …"),
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  // Each part that is typed is a change.
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(read, SETTLE_MS);
  };
  const time = (label: string): HTMLInputElement =>
    el("input", { type: "datetime-local", step: 1, "aria-label": label, change: later });
  const from = time("From");
  const to = time("To");
  const read = (): void => {
    const start = inputTime(from.value);
    const end = inputTime(to.value);
    if (start !== undefined && end !== undefined && start < end) events.chosen(between(start, end));
    const isTurned = start !== undefined && end !== undefined && start >= end;
    set(to, "aria-invalid", isTurned ? "true" : undefined);
  };
  const zone = el("span", { class: "muted zone" });
  const button = (text: string, label: string, click: () => void): HTMLElement =>
    el("button", { type: "button", title: label, "aria-label": label, click }, text);
  const follow = el(
    "button",
    {
      type: "button",
      title: "Ask again and again, as time goes on",
      click: () => events.follow(follow.getAttribute("aria-pressed") !== "true"),
    },
    "Follow",
  );
  return {
    element: el(
      "div",
      { class: "past-times", role: "group", "aria-label": "Time" },
      preset,
      el("span", { class: "ends" }, from, el("span", { class: "muted" }, "–"), to, zone),
      el(
        "span",
        { class: "steps" },
        button("‹", "Earlier", () => events.moved(-0.5)),
        button("›", "Later", () => events.moved(0.5)),
        button("+", "Zoom in", () => events.nearer()),
        button("−", "Zoom out", () => events.back()),
        follow,
      ),
    ),
    show(range, shown, isFollowing) {
      ends = shown;
      preset.value =
        range.kind === "last" ? String(range.seconds) : range.kind === "all" ? "all" : BETWEEN;
      // What somebody types stays.
      for (const [input, seconds] of [
        [from, shown.from],
        [to, shown.to],
      ] as const)
        if (document.activeElement !== input) input.value = inputText(seconds);
      write(zone, zoneText(shown.to));
      set(follow, "aria-pressed", String(isFollowing));
      follow.hidden = range.kind !== "last";
    },
  };
}
