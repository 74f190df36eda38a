// What tests of the page in a browser share: a page that remembers what went wrong on it and whom it
// asked, places on it by the words that people see, and what is drawn on a chart, by its colour.
import { PATIENCE_MS } from "../helpers/ports.ts";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";

/** A page under test. */
export interface Visit {
  readonly page: Page;
  /** What the console or an exception told, without what the browser tells of failed requests. */
  readonly faults: string[];
  /** What the browser tells of failed requests. */
  readonly refusals: string[];
  /** Origins that were asked. */
  readonly origins: Set<string>;
  close(): Promise<void>;
}

/** Opens the page of a proxy. */
export async function visit(
  browser: Browser,
  port: number,
  hash = "",
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults: string[] = [];
  const refusals: string[] = [];
  const origins = new Set<string>();
  page.on("console", (message) => {
    const text = message.text();
    if (text.startsWith("Failed to load resource")) refusals.push(text);
    else if (["error", "warning"].includes(message.type())) faults.push(text);
  });
  page.on("pageerror", (error) => faults.push(error.stack ?? error.message));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:") origins.add(url.origin);
  });
  await page.goto(`http://127.0.0.1:${port}/${hash}`);
  return { page, faults, refusals, origins, close: () => context.close() };
}

/** The card of a metric. */
export const cardOf = (page: Page, metric: string): Locator =>
  page.locator(`article[aria-label^="${metric} of "]`);

/** Waits until something is so. */
export async function until(isSo: () => boolean | Promise<boolean>, what = String(isSo)) {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`still not: ${what}`);
    await Bun.sleep(50);
  }
}

/** Waits until an element's text fits, and answers with it. */
export async function untilText(place: Locator, pattern: RegExp): Promise<string> {
  let text = "";
  await until(async () => {
    text = (await place.first().textContent()) ?? "";
    return pattern.test(text);
  }, `text ${pattern} of ${place}`);
  return text;
}

/** How many points of a card's chart have the colour of a line, given by its number. */
export function drawnPoints(page: Page, metric: string, slot: number): Promise<number> {
  return page.evaluate(`(() => {
    const canvas = document.querySelector('article[aria-label^="${metric} of "] canvas');
    if (canvas === null) return 0;
    const { width, height } = canvas;
    const copy = Object.assign(document.createElement("canvas"), { width, height })
      .getContext("2d", { willReadFrequently: true });
    copy.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--s${slot}");
    copy.fillRect(0, 0, 1, 1);
    const [r, g, b] = copy.getImageData(0, 0, 1, 1).data;
    copy.clearRect(0, 0, width, height);
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const far = Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b);
      if (data[at + 3] > 200 && far < 24) count++;
    }
    return count;
  })()`);
}

/** Waits until a line is drawn (or no more). */
export const untilDrawn = (page: Page, metric: string, slot: number, isDrawn = true) =>
  until(
    async () => (await drawnPoints(page, metric, slot)) > 3 === isDrawn,
    `line ${slot} of ${metric} drawn: ${isDrawn}`,
  );

/** Pixels by which the page is wider than the window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate("document.documentElement.scrollWidth - innerWidth");
