// The hosts that are open: chips to choose whose metrics are listed, a field for another one, and for
// each that fails a line that says what, when it is tried again, and takes name and password where they
// are wanted.
import type { App, Part } from "./app.ts";
import { el, freshId, set, write } from "./dom.ts";
import { MAX_HOSTS, type PageState } from "./route.ts";
import type { Source } from "./source.ts";

const STORED = "pcpbox.hosts";
const REMEMBERED = 20;

/** Hosts that were open before; none where a browser stores nothing. */
function remembered(): readonly string[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(list) ? list.filter((each) => typeof each === "string") : [];
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof DOMException) return [];
    throw error;
  }
}

function remember(host: string): void {
  const hosts = [host, ...remembered().filter((each) => each !== host)].slice(0, REMEMBERED);
  try {
    localStorage.setItem(STORED, JSON.stringify(hosts));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

/** A host's state in a few words. */
export function stateText({ state, context }: Source): string {
  if (state.kind === "opening") return "opening";
  if (state.kind === "down") return state.message;
  const name = context?.hostName ?? "";
  return `${name === "" ? "" : `${name}, `}${Math.round(state.tookMs)} ms`;
}

interface Chip {
  readonly element: HTMLElement;
  show(source: Source, state: PageState): void;
}

function createChip(app: App, host: string): Chip {
  const dot = el("span", { class: "dot", "aria-hidden": "true" });
  const detail = el("span", { class: "detail" });
  const choose = el(
    "button",
    {
      type: "button",
      class: "chip",
      click: () => app.change((state) => (state.host === host ? state : { ...state, host })),
    },
    dot,
    el("span", { class: "chip-name" }, host),
    detail,
  );
  const close = el(
    "button",
    {
      type: "button",
      class: "quiet close",
      "aria-label": `Close ${host}`,
      click: () =>
        app.change((state) => {
          const hosts = state.hosts.filter((each) => each !== host);
          const charts = state.charts.filter((chart) => chart.host !== host);
          const current = state.host === host ? (hosts[0] ?? host) : state.host;
          return { ...state, hosts, charts, host: current };
        }),
    },
    "×",
  );
  return {
    element: el("li", {}, choose, close),
    show(source, state) {
      set(dot, "data-state", source.state.kind);
      set(choose, "aria-pressed", String(state.host === host));
      const text = stateText(source);
      write(detail, source.state.kind === "down" ? "failing" : text);
      choose.title = text;
      close.hidden = state.hosts.length < 2;
    },
  };
}

interface Trouble {
  readonly element: HTMLElement;
  show(source: Source): void;
}

/** The line of a host that fails. */
function createTrouble(source: Source): Trouble {
  const message = el("span", { role: "alert" });
  const when = el("span", { class: "muted" });
  const user = el("input", {
    name: "user",
    placeholder: "user",
    "aria-label": "User",
    autocomplete: "username",
  });
  const password = el("input", {
    name: "password",
    type: "password",
    placeholder: "password",
    "aria-label": "Password",
    autocomplete: "current-password",
  });
  const form = el(
    "form",
    {
      class: "credentials",
      hidden: true,
      submit: (event) => {
        event.preventDefault();
        source.signIn({ user: user.value, password: password.value });
        password.value = "";
      },
    },
    user,
    password,
    el("button", { type: "submit" }, "Sign in"),
  );
  const retry = el("button", { type: "button", click: () => source.retry() }, "Try now");
  const element = el("div", { class: "trouble" }, message, when, retry, form);
  return {
    element,
    show({ host, state }) {
      if (state.kind !== "down") return;
      write(message, `${host}: ${state.message}`);
      const seconds = Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000));
      write(when, seconds === 0 ? "trying …" : `next try in ${seconds} s`);
      form.hidden = !state.wantsCredentials;
    },
  };
}

export interface Hosts extends Part {
  /** Chips and field, for the head of the page. */
  readonly bar: HTMLElement;
  /** What is wrong, for the place below it. */
  readonly troubles: HTMLElement;
}

export function createHosts(app: App): Hosts {
  const chips = new Map<string, Chip>();
  const failing = new Map<string, Trouble>();
  const list = el("ul", { class: "chips", "aria-label": "Hosts" });
  const listId = freshId("hosts");
  const known = el("datalist", { id: listId });
  const field = el("input", {
    class: "host-field",
    placeholder: "Add a host",
    "aria-label": "Host specification, such as db1 or db1:44321 or db1@gateway",
    list: listId,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    maxlength: 1000,
    focus: () =>
      known.replaceChildren(...remembered().map((host) => el("option", { value: host }))),
  });
  const open = (host: string): void => {
    if (app.state.hosts.length >= MAX_HOSTS && !app.state.hosts.includes(host)) {
      app.say(`No more than ${MAX_HOSTS} hosts at a time.`);
      return;
    }
    remember(host);
    app.change((state) => {
      const hosts = state.hosts.includes(host) ? state.hosts : [...state.hosts, host];
      return { ...state, hosts, host };
    });
  };
  const form = el(
    "form",
    {
      class: "add-host",
      submit: (event) => {
        event.preventDefault();
        const host = field.value.trim();
        if (host === "") return;
        field.value = "";
        open(host);
      },
    },
    field,
    known,
    el("button", { type: "submit" }, "Open"),
  );
  const troubles = el("div", { class: "troubles" });

  const showTrouble = (source: Source): void => {
    const { host } = source;
    let trouble = failing.get(host);
    if (source.state.kind === "down") {
      if (trouble === undefined) {
        trouble = createTrouble(source);
        failing.set(host, trouble);
        troubles.append(trouble.element);
      }
      trouble.show(source);
    } else if (trouble !== undefined && source.state.kind === "up") {
      trouble.element.remove();
      failing.delete(host);
    }
  };
  const show = (source: Source): void => {
    if (!app.state.hosts.includes(source.host)) return;
    chips.get(source.host)?.show(source, app.state);
    showTrouble(source);
  };
  // The seconds to the next try count down.
  setInterval(() => {
    for (const host of failing.keys()) showTrouble(app.source(host));
  }, 1000);

  return {
    bar: el("div", { class: "hosts" }, list, form),
    troubles,
    changed: show,
    update(state) {
      for (const [host, chip] of chips) {
        if (state.hosts.includes(host)) continue;
        chip.element.remove();
        chips.delete(host);
        failing.get(host)?.element.remove();
        failing.delete(host);
      }
      for (const host of state.hosts) {
        let chip = chips.get(host);
        if (chip === undefined) {
          chip = createChip(app, host);
          chips.set(host, chip);
          list.append(chip.element);
        }
        show(app.source(host));
      }
    },
  };
}
