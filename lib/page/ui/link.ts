// The link to what is shown, for sending it to somebody: all of it is in the address.
import type { App } from "./app.ts";

/** Copies the address of the page; where a page may not, says how else. `what` is what it leads to. */
export async function copyLink(app: App, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(location.href);
    app.say(`The link to ${what} is copied.`);
  } catch (error) {
    // Pages without TLS, other than those of the own machine, have no clipboard.
    app.say(`Copy the address of this page: it holds ${what}. (${(error as Error).name})`);
  }
}
