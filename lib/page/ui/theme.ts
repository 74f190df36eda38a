// Dark or light: as the system says, or as chosen here, which is remembered.
import { el, write } from "./dom.ts";

const CHOICES = ["auto", "light", "dark"] as const;
type Choice = (typeof CHOICES)[number];
const KEY = "pcpbox.theme";

/** Storage may be switched off in a browser; then nothing is remembered. */
function stored(): Choice {
  try {
    return CHOICES.find((choice) => choice === localStorage.getItem(KEY)) ?? "auto";
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return "auto";
  }
}

function store(choice: Choice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

/** The button that changes it. `repaint` is called when colours have changed. */
export function createThemeButton(repaint: () => void): HTMLElement {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let choice = stored();
  const label = el("span");
  const button = el(
    "button",
    {
      type: "button",
      class: "quiet theme",
      click: () => {
        choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length] ?? "auto";
        store(choice);
        apply();
      },
    },
    el("span", { class: "sun", "aria-hidden": "true" }),
    label,
  );
  const apply = (): void => {
    const isDark = choice === "dark" || (choice === "auto" && system.matches);
    document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
    write(label, choice);
    button.setAttribute("aria-label", `Colours: ${choice}. Change`);
    repaint();
  };
  system.addEventListener("change", apply);
  apply();
  return button;
}

/** A colour of the style sheet, for what is drawn. */
export const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
