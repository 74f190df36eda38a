// Debian's Chromium for tests of the page, driven by playwright-core. Starts without a window and asks
// nothing of the network by itself; its profile is a new, private folder.
import type { Browser } from "playwright-core";

/** Where the distribution puts it. */
export const chromiumPath = "/usr/bin/chromium";

/** Starts Chromium; it ends with `close`, or with the test process. */
export async function startChromium(): Promise<Browser> {
  // Loaded here: whoever only asks for peers does without it.
  const { chromium } = await import("playwright-core");
  return chromium.launch({
    executablePath: chromiumPath,
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
