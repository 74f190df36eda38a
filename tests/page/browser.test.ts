// Goal: the page works, in a real browser, with a real pmcd behind the proxy. Everything can be reached
// by keyboard; charts draw rates and instances; the address holds what is shown; what fails is told, and
// goes on by itself when it works again. Nothing is asked but the page's own server, nothing is logged.
import { afterAll, beforeAll, expect } from "bun:test";
import type { Browser, Page, Response, Route } from "playwright-core";
import { formatted, unitOf } from "../../lib/page/ui/numbers.ts";
import { readFetched, readMetric } from "../../lib/page/ui/types.ts";
import { startChromium } from "../helpers/chromium.ts";
import type { Pmcd, Proxy } from "../helpers/pcp.ts";
import { startPmcd6 } from "../helpers/pcp6.ts";
import {
  concurrentTestWith,
  describePeer,
  havePeers,
  type Peer,
  testWith,
} from "../helpers/peers.ts";
import { turnstile } from "../helpers/process.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import { cardOf, drawnPoints, overflow, until, untilDrawn, untilText, visit } from "./support.ts";

const peers: readonly Peer[] = ["pcp6", "chromium"];
let pmcd: Pmcd;
let proxy: Proxy;
let browser: Browser;

/** A proxy whose localhost is the private pmcd. */
const startProxy = (port?: number) =>
  startProxyUnderTest({
    ...(port === undefined ? {} : { port }),
    env: { PMCD_PORT: String(pmcd.port), PMCD_RECONNECT_TIMEOUT: "1" },
  });

beforeAll(async () => {
  if (!havePeers(...peers)) return;
  [pmcd, browser] = await Promise.all([startPmcd6(), startChromium()]);
  proxy = await startProxy();
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await proxy?.stop();
  await pmcd?.stop();
});

/** The rates of a counter, as texts, between the fetches that a page makes from here on. */
async function ratesSeen(page: Page, name: string): Promise<readonly string[]> {
  const reply = await fetch(`http://127.0.0.1:${proxy.port}/pmapi/metric?names=${name}`);
  const { metrics } = (await reply.json()) as { readonly metrics: readonly unknown[] };
  const metric = readMetric(metrics[0]);
  if (metric === undefined) throw new Error(`no metric ${name}`);
  const rates: string[] = [];
  let last: { readonly time: number; readonly value: number } | undefined;
  const take = async (response: Response): Promise<void> => {
    const fetched = readFetched(await response.json());
    const set = fetched?.sets.find((each) => each.name === name);
    if (fetched === undefined || set === undefined) return;
    const next = { time: fetched.time, value: Number(set.values[0]?.[1]) };
    if (last !== undefined) {
      rates.push(formatted((next.value - last.value) / (next.time - last.time), unitOf(metric)));
    }
    last = next;
  };
  page.on("response", (response) => {
    if (!response.url().includes("/pmapi/fetch")) return;
    take(response).catch((error: unknown) => {
      // The last one may come when the page is being closed.
      if (!String(error).includes("closed")) throw error;
    });
  });
  return rates;
}

/** So many tests share the machine. */
const turn = turnstile(3);
/** A test that disturbs no other one. */
const peaceful = (name: string, body: () => Promise<void>): void =>
  concurrentTestWith(peers, name, () => turn(body), 300_000);

describePeer(peers, "a server that is slow", () => {
  peaceful("the proxy does not answer for a while", async () => {
    const { page, faults, close } = await visit(browser, proxy.port, "#live?m=sample.bin");
    await untilText(cardOf(page, "sample.bin").locator(".value"), /\d/);
    let isSlow = true;
    await page.route(/pmapi\/fetch/, async (route) => {
      if (isSlow) return; // never
      await route.continue();
    });
    await untilText(page.getByRole("alert"), /^localhost: the proxy has not answered for 6 s$/);
    await page.getByRole("button", { name: "Try now" }).focus();
    isSlow = false;
    // It may have tried by itself meanwhile: then there is no button to wait for.
    await page.keyboard.press("Enter");
    await page.locator(".trouble").waitFor({ state: "detached" });
    expect(faults).toEqual([]);
    await close();
  });
});

describePeer(peers, "metrics", () => {
  peaceful("the tree is walked, a metric read about and charted, by keyboard alone", async () => {
    const { page, faults, refusals, origins, close } = await visit(browser, proxy.port);
    await page.getByRole("treeitem", { name: "sample", exact: true }).waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the charts");
    // One stop for the whole tree.
    await page.getByRole("combobox", { name: "Search metrics" }).focus();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.getAttribute('role')")).toBe("treeitem");
    await page.keyboard.press("s");
    const sample = page.getByRole("treeitem", { name: "sample", exact: true });
    expect(await sample.getAttribute("aria-selected")).toBe("true");
    expect(await sample.getAttribute("aria-expanded")).toBe("false");
    await page.keyboard.press("ArrowRight");
    await page.getByRole("treeitem", { name: "byte_ctr", exact: true }).waitFor();
    expect(await sample.getAttribute("aria-expanded")).toBe("true");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("End");
    await page.keyboard.press("Home");
    await page.keyboard.press("s");
    for (const letter of "ra") await page.keyboard.press(letter);
    const focused = () => page.evaluate("document.activeElement.getAttribute('aria-label')");
    while ((await focused()) !== "rapid") await page.keyboard.press("r");
    const help = page.getByRole("region", { name: "About the chosen metric" });
    await untilText(help, /sample\.rapid/);
    const text = await untilText(help, /now\d+.*semanticscounter, drawn as a rate.*unitscount/s);
    expect(text).toContain("u32");
    await page.keyboard.press("Enter");
    await cardOf(page, "sample.rapid").waitFor();
    expect(page.url()).toContain("m=sample.rapid");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    expect(await sample.getAttribute("aria-expanded")).toBe("false");
    await untilText(cardOf(page, "sample.rapid").locator(".legend .value"), /\d.*\/s/);
    expect([faults, refusals]).toEqual([[], []]);
    expect([...origins]).toEqual([`http://127.0.0.1:${proxy.port}`]);
    await close();
  });

  peaceful("search finds names and texts", async () => {
    const { page, faults, refusals, close } = await visit(browser, proxy.port);
    await page.getByRole("treeitem").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("string hul");
    const option = page.getByRole("option").first();
    await untilText(option, /sample\.string\.hullo/);
    expect(await page.getByRole("tree").isVisible()).toBe(false);
    await page.keyboard.press("ArrowDown");
    await untilText(page.getByRole("region", { name: "About the chosen metric" }), /hullo world!/);
    await page.keyboard.press("Enter");
    await untilText(cardOf(page, "sample.string.hullo").locator(".text-values"), /^hullo world!$/);
    await page.keyboard.press("Escape");
    expect(await page.getByRole("tree").isVisible()).toBe(true);
    await page.getByRole("combobox", { name: "Search metrics" }).fill("no such thing");
    await untilText(page.locator(".result-box .notice"), /^0 of \d+ metrics$/);
    expect([faults, refusals]).toEqual([[], []]);
    await close();
  });
});

describePeer(peers, "charts", () => {
  peaceful("a counter is drawn as a rate, instances as lines that can be chosen", async () => {
    const hash = "#live?m=sample.byte_ctr&m=sample.bin&m=sample.ulonglong.bin_ctr";
    const { page, faults, close } = await visit(browser, proxy.port);
    const rates = await ratesSeen(page, "sample.byte_ctr");
    await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    const value = cardOf(page, "sample.byte_ctr").locator(".legend .value");
    const rate = await untilText(value, /[1-9].*B\/s$/);
    await until(() => rates.includes(rate));
    await untilDrawn(page, "sample.byte_ctr", 0);
    const bins = cardOf(page, "sample.bin");
    expect(await bins.getByRole("checkbox").count()).toBe(9);
    // The first eight.
    expect(await bins.getByRole("checkbox", { checked: true }).count()).toBe(8);
    await untilText(bins.locator("li", { hasText: "bin-300" }).locator(".value"), /^300$/);
    await untilDrawn(page, "sample.bin", 2);
    await bins.getByRole("checkbox", { name: "bin-300" }).uncheck();
    await untilDrawn(page, "sample.bin", 2, false);
    expect(await drawnPoints(page, "sample.bin", 1)).toBeGreaterThan(3);
    await bins.getByRole("button", { name: "None" }).click();
    await untilDrawn(page, "sample.bin", 1, false);
    await bins.getByRole("checkbox", { name: "bin-900" }).check();
    await untilDrawn(page, "sample.bin", 0);
    expect(page.url()).toMatch(/m=sample\.bin&i=bin-900(&|$)/);
    await bins.getByRole("searchbox").fill("50");
    expect(await bins.getByRole("checkbox").count()).toBe(1);
    await untilText(cardOf(page, "sample.ulonglong.bin_ctr").locator(".unit"), /bytes\/s/);
    await bins.getByRole("button", { name: "Remove sample.bin" }).focus();
    await page.keyboard.press("Enter");
    expect(await bins.count()).toBe(0);
    // The next one has the focus.
    await page.keyboard.press("Enter");
    expect(await cardOf(page, "sample.ulonglong.bin_ctr").count()).toBe(0);
    expect(await cardOf(page, "sample.byte_ctr").count()).toBe(1);
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("a reload keeps what is shown; the interval, the span and the pause work", async () => {
    const { page, faults, close } = await visit(
      browser,
      proxy.port,
      "#live?m=sample.colour&i=green",
    );
    const colours = cardOf(page, "sample.colour");
    await colours.getByRole("checkbox", { name: "green", checked: true }).waitFor();
    await page.getByLabel("every").selectOption("2");
    await page.getByLabel("show").selectOption("900");
    await page.reload();
    await colours.getByRole("checkbox", { name: "green", checked: true }).waitFor();
    expect(await colours.getByRole("checkbox", { checked: true }).count()).toBe(1);
    expect(await page.getByLabel("every").inputValue()).toBe("2");
    expect(await page.getByLabel("show").inputValue()).toBe("900");
    await page.getByLabel("every").selectOption("1");
    const value = colours.locator("li", { hasText: "green" }).locator(".value");
    const before = await untilText(value, /\d/);
    await page.getByRole("button", { name: "Pause" }).click();
    const still = await untilText(value, /\d/);
    await page.waitForResponse(/pmapi\/fetch/);
    await page.waitForResponse(/pmapi\/fetch/);
    expect(await value.textContent()).toBe(still);
    await page.getByRole("button", { name: "Go on" }).click();
    await untilText(value, new RegExp(`^(?!${before}$)(?!${still}$)\\d`));
    // A link that is followed on the open page.
    await page.evaluate("location.hash = '#live?m=sample.long.ten'");
    await cardOf(page, "sample.long.ten").waitFor();
    expect(await colours.count()).toBe(0);
    await page.goBack();
    await colours.waitFor();
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("dark and light, and a phone", async () => {
    const hash = "#live?m=sample.bin&m=sample.string.hullo&m=pmcd.agent.status";
    const { page, faults, close } = await visit(browser, proxy.port, hash, {
      viewport: { width: 360, height: 740 },
      colorScheme: "dark",
    });
    const theme = () => page.evaluate("document.documentElement.dataset.theme");
    const back = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(await theme()).toBe("dark");
    const dark = await back();
    await page.getByRole("button", { name: "Colours: auto" }).click();
    expect(await theme()).toBe("light");
    expect(await back()).not.toBe(dark);
    await untilDrawn(page, "sample.bin", 0);
    await page.reload();
    expect(await theme()).toBe("light");
    await untilDrawn(page, "sample.bin", 0);
    expect(await overflow(page)).toBe(0);
    const tree = page.getByRole("tree");
    expect(await tree.isVisible()).toBe(false);
    await page.getByRole("button", { name: "Metrics", exact: true }).click();
    await page.getByRole("treeitem", { name: "sample", exact: true }).click();
    await page.getByRole("treeitem", { name: "byte_ctr", exact: true }).click();
    await page.getByRole("button", { name: "Add chart" }).click();
    await cardOf(page, "sample.byte_ctr").waitFor();
    expect(await overflow(page)).toBe(0);
    await page.getByRole("link", { name: "Server" }).click();
    await page.getByRole("heading", { name: "Listeners" }).waitFor();
    expect(await overflow(page)).toBe(0);
    expect(faults).toEqual([]);
    await close();
  });
});

describePeer(peers, "the server", () => {
  peaceful("its state is shown, with that of pmcd and the requests behind it", async () => {
    const { page, faults, refusals, close } = await visit(browser, proxy.port, "#server");
    await page.getByRole("heading", { name: "Listeners" }).waitFor();
    const text = await untilText(page.locator(".server"), /localhost✓[^]*6\.0\.3/);
    expect(text).toContain(String(proxy.port));
    expect(text).toContain("Key server");
    const status = page.getByRole("link", { name: "/-/status" });
    expect(await status.getAttribute("href")).toBe("/-/status");
    await page.getByRole("link", { name: "Live" }).click();
    await page.getByRole("button", { name: "Show an overview" }).click();
    const rest = cardOf(page, "pmcd.numclients").getByRole("link", { name: /Request/ });
    const link = (await rest.getAttribute("href")) ?? "";
    const reply = await fetch(`http://127.0.0.1:${proxy.port}${link}`);
    expect(await reply.json()).toMatchObject({ values: [{ name: "pmcd.numclients" }] });
    await page.goBack();
    await page.getByRole("heading", { name: "Listeners" }).waitFor();
    expect([faults, refusals]).toEqual([[], []]);
    await close();
  });

  peaceful("its policy stops foreign scripts", async () => {
    const { page, faults, close } = await visit(browser, proxy.port);
    await page.evaluate(`document.body.append(
      Object.assign(document.createElement("script"), { textContent: "window.broken = true" }))`);
    expect(await page.evaluate("window.broken")).toBeUndefined();
    expect(faults.join()).toContain("Content Security Policy");
    await close();
  });
});

describePeer(peers, "what fails", () => {
  peaceful("a host that is not there, and one that is added", async () => {
    const hash = `#live?h=127.0.0.1%3A1&m=sample.bin`;
    const { page, faults, close } = await visit(browser, proxy.port, hash);
    const trouble = page.getByRole("alert");
    await untilText(trouble, /^127\.0\.0\.1:1: cannot connect to PMCD: Connection refused$/);
    await untilText(page.locator(".trouble"), /next try in \d+ s/);
    await untilText(cardOf(page, "sample.bin"), /Connection refused/);
    await page.getByLabel(/Host specification/).fill(`127.0.0.1:${pmcd.port}`);
    await page.keyboard.press("Enter");
    await page.getByRole("treeitem", { name: "sample", exact: true }).waitFor();
    await page.getByRole("button", { name: "Close 127.0.0.1:1", exact: true }).click();
    expect(await trouble.count()).toBe(0);
    expect(await cardOf(page, "sample.bin").count()).toBe(0);
    expect(page.url()).toContain(`h=127.0.0.1%3A${pmcd.port}`);
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("name and password are asked for, and sent", async () => {
    const { page, faults, close } = await visit(browser, proxy.port, "#server");
    const wanted = `Basic ${Buffer.from("jürgen:gehe:im").toString("base64")}`;
    const guard = async (route: Route): Promise<void> => {
      const sent = await route.request().headerValue("authorization");
      // The pmcd here has no accounts: the proxy is not told.
      if (sent === wanted) await route.continue({ headers: {} });
      else {
        const body = '{"message":"authentication required","success":false}';
        await route.fulfill({ status: 401, contentType: "application/json", body });
      }
    };
    await page.route(/\/pmapi\//, guard);
    const hash = `#live?h=127.0.0.1%3A${pmcd.port}&m=sample.long.ten`;
    await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
    const trouble = page.locator(".trouble", { hasText: /^127.*authentication required/ });
    await trouble.getByLabel("User").fill("jürgen");
    await trouble.getByLabel("Password").fill("gehe:im");
    const asked = page.waitForRequest((each) => each.headers()["authorization"] === wanted);
    await trouble.getByRole("button", { name: "Sign in" }).click();
    await asked;
    await trouble.waitFor({ state: "detached" });
    await untilText(cardOf(page, "sample.long.ten").locator(".value"), /^10$/);
    expect(page.url()).not.toContain("gehe");
    expect(faults).toEqual([]);
    await close();
  });

  testWith(peers, "pmcd dies and comes back", async () => {
    const { page, faults, close } = await visit(browser, proxy.port, "#live?m=sample.bin");
    const value = cardOf(page, "sample.bin").locator(".value").first();
    await untilText(value, /\d/);
    pmcd.daemon().signal("SIGKILL");
    await untilText(page.getByRole("alert"), /^localhost: /);
    await pmcd.restart();
    await page.getByRole("button", { name: "Try now" }).click({ timeout: 2000 }).catch(String);
    await page.locator(".trouble").waitFor({ state: "detached" });
    await page.locator('.dot[data-state="up"]').waitFor();
    await untilDrawn(page, "sample.bin", 0);
    expect(faults).toEqual([]);
    await close();
  });

  testWith(peers, "the proxy dies and comes back without knowing the page", async () => {
    const { page, faults, close } = await visit(browser, proxy.port, "#live?m=sample.bin");
    const value = cardOf(page, "sample.bin").locator(".value").first();
    await untilText(value, /\d/);
    const { port } = proxy;
    await proxy.stop();
    await untilText(page.getByRole("alert"), /^localhost: the proxy cannot be reached$/);
    proxy = await startProxy(port);
    await page.getByRole("button", { name: "Try now" }).click();
    await page.locator(".trouble").waitFor({ state: "detached" });
    await untilDrawn(page, "sample.bin", 0);
    expect(faults).toEqual([]);
    await close();
  });
});
