// What stands in place of a chart where there is nothing to ask: why that is so, as far as the proxy's
// state tells, and what brings history.
import { el, restLink } from "./dom.ts";
import { facts } from "./help.ts";
import { askStatus } from "./past-rest.ts";
import { seriesRows } from "./past-status.ts";

/** Why there is nothing to ask. */
export type Lack =
  /** Nothing answers such requests. */
  | "off"
  /** There is a store, with nothing in it. */
  | "empty";

const code = (text: string): HTMLElement => el("code", {}, text);

/** What can be done, in the order of what is easiest. */
function advice(lack: Lack): HTMLElement {
  if (lack === "off") {
    return el(
      "p",
      {},
      "Time series are switched off. Take ",
      code("enabled = false"),
      " out of the section ",
      code("[pmseries]"),
      " of the configuration and start the proxy again.",
    );
  }
  return el(
    "ul",
    { class: "advice" },
    el(
      "li",
      {},
      "Archives that pmlogger writes are found by themselves, where discovery looks: ",
      code("[discover] path"),
      ". A growing archive is here some seconds after its first values.",
    ),
    el(
      "li",
      {},
      "Without any pmlogger the proxy records this machine by itself, unless ",
      code("[record] enabled = false"),
      ".",
    ),
    el(
      "li",
      {},
      "Loggers of other machines can push their archives here: ",
      code(`pmlogger -h HOST ${location.origin}`),
      ".",
    ),
    el("li", {}, "Old archives are loaded with ", code("pcpbox proxy --load PATH"), "."),
  );
}

export interface PastHelp {
  readonly element: HTMLElement;
  show(lack: Lack): void;
  hide(): void;
}

/** `again` is called to look again. */
export function createPastHelp(again: () => void): PastHelp {
  const state = el("div");
  const body = el("div");
  const heading = el("h2");
  const element = el(
    "div",
    { class: "empty past-help", hidden: true },
    heading,
    body,
    state,
    el(
      "p",
      {},
      el("button", { type: "button", class: "primary", click: again }, "Look again"),
      " ",
      restLink("/-/status", "state of the proxy"),
    ),
  );
  let shown: Lack | undefined;
  const tell = async (): Promise<void> => {
    state.replaceChildren(facts(seriesRows(await askStatus())));
  };
  return {
    element,
    show(lack) {
      element.hidden = false;
      if (shown !== lack) {
        heading.textContent = lack === "off" ? "No history here" : "Nothing is recorded yet";
        body.replaceChildren(advice(lack));
      }
      shown = lack;
      // The advice holds without it.
      tell().catch((error: unknown) => {
        state.replaceChildren(
          el("p", { class: "notice" }, error instanceof Error ? error.message : String(error)),
        );
      });
    },
    hide() {
      element.hidden = true;
    },
  };
}
