// Goal: the view of the past works in a real browser, over archives behind the real requests. A metric is
// chosen by keyboard; its rates are drawn, with the gap; zooming asks for finer samples and goes back; the
// query is edited, and a complaint has its caret; what fails is told, and goes on by itself; the address
// gives the same view again. Nothing of archives becomes HTML.
import { afterAll, beforeAll, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { startChromium } from "../helpers/chromium.ts";
import { concurrentTestWith, describePeer, havePeers, type Peer } from "../helpers/peers.ts";
import { privateFolder, turnstile } from "../helpers/process.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import {
  EVERY,
  GAP_AT,
  GAP_END,
  HOURS,
  type PastServer,
  POOLS,
  rateOfDisk,
  START,
  startPastServer,
  writePast,
} from "./past-support.ts";
import { drawnPoints, overflow, until, untilDrawn, untilText, visit } from "./support.ts";

const peers: readonly Peer[] = ["chromium"];
const END = START + HOURS * 3600;
const WHOLE = `from=${START}&to=${END}`;
const READ = "disk.dev.read_bytes";
let server: PastServer;
let browser: Browser;

beforeAll(async () => {
  if (!havePeers(...peers)) return;
  [server, browser] = await Promise.all([startPastServer(), startChromium()]);
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** So many share the machine; the time that they wait for each other counts, too. */
const turn = turnstile(3);
const peaceful = (name: string, body: () => Promise<void>): void =>
  concurrentTestWith(peers, name, () => turn(body), 300_000);

const UTC = { timezoneId: "UTC" };
const card = (page: Page) => page.locator("article.past-card");
const valueOf = (page: Page, line: string) =>
  card(page).locator("li", { hasText: line }).locator(".value");
const field = (page: Page) => page.getByRole("textbox", { name: "Query" });
const sent = (page: Page) => page.locator(".sent a");
const notice = (page: Page) => page.locator(".past-notice");

/** The window of the query that was sent last. */
async function windowOf(page: Page): Promise<{ from: number; to: number; step: number }> {
  const text = await untilText(sent(page), /start/);
  const [, from, to, step] = /start:(\d+),finish:(\d+)(?:,interval:(\d+))?/.exec(text) ?? [];
  return { from: Number(from), to: Number(to), step: Number(step ?? 1) };
}

/** Drags over the chart, from one share of its width to another. */
async function drag(page: Page, from: number, to: number): Promise<void> {
  const box = await page.locator(".past-plot .u-over").boundingBox();
  if (box === null) throw new Error("nothing is drawn");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * ((from + to) / 2), y);
  await page.mouse.move(box.x + box.width * to, y);
  await page.mouse.up();
}

describePeer(peers, "choosing", () => {
  peaceful(
    "a metric by its text, with the keys; the newest hour; rates of the largest",
    async () => {
      const { page, faults, close } = await visit(browser, server.port, "#history", UTC);
      await until(async () => (await page.locator("select.origin").inputValue()) === "db1");
      const metric = page.getByRole("combobox", { name: "Metric" });
      await metric.focus();
      await page.keyboard.type("read_b");
      await page.getByRole("option", { name: READ }).waitFor();
      await page.keyboard.press("ArrowDown");
      await untilText(page.locator(".past-choose > .oneline"), /^Kbytes read from each disk$/);
      await page.keyboard.press("Enter");
      await untilText(
        notice(page),
        /Nothing is recorded of disk.dev.read_bytes of db1 between .*; the newest value is of 2024-03-01 06:00:00/,
      );
      await untilText(page.locator(".past-choose > .oneline"), /Kbytes read/);
      await notice(page).getByRole("button", { name: "Show 1 h up to it" }).click();
      expect(await field(page).inputValue()).toBe(`rate(${READ}{hostname=="db1"})`);
      await untilText(valueOf(page, "sdl"), /^1\.17 MiB\/s$/);
      expect(await untilText(card(page).locator(".unit"), /./)).toBe("bytes/s");
      const boxes = card(page).getByRole("checkbox");
      expect([
        await boxes.count(),
        await card(page).getByRole("checkbox", { checked: true }).count(),
      ]).toEqual([12, 8]);
      await untilDrawn(page, READ, 0);
      await card(page).getByRole("checkbox", { name: "sda" }).check();
      await untilText(valueOf(page, "sda"), /^100 KiB\/s$/);
      expect(page.url()).toContain("line=sda");
      await card(page).getByRole("button", { name: "None" }).click();
      await untilDrawn(page, READ, 0, false);
      await page.reload();
      await untilText(card(page).locator(".legend-tools"), /0 of 12 drawn/);
      expect(faults).toEqual([]);
      await close();
    },
  );

  peaceful(
    "a range with its gap; values below the pointer; instant values as they are",
    async () => {
      const hash = `#history?of=db1&metric=mem.util.used&${WHOLE}`;
      const { page, faults, close } = await visit(browser, server.port, hash, UTC);
      await untilDrawn(page, "mem.util.used", 0);
      const box = await page.locator(".past-plot .u-over").boundingBox();
      const move = (time: number) =>
        page.mouse.move(
          (box?.x ?? 0) + ((box?.width ?? 0) * (time - START)) / (END - START),
          (box?.y ?? 0) + 50,
        );
      await move(START + 3600);
      await untilText(page.locator(".moment"), /^2024-03-01 (00:59|01:00):/);
      await untilText(card(page).locator(".legend .value"), /^7\.63 GiB$/);
      await move((GAP_AT + GAP_END) / 2);
      await untilText(card(page).locator(".legend .value"), /^–$/);
      expect(await field(page).inputValue()).toBe('mem.util.used{hostname=="db1"}');
      await page.getByRole("combobox", { name: "Time range" }).selectOption("all there is");
      await until(() => page.url().includes("last=all"));
      await until(async () => (await windowOf(page)).to === END + 1);
      expect(await page.getByLabel("From", { exact: true }).inputValue()).toBe("2024-03-01T00:00");
      await page.getByLabel("To", { exact: true }).fill("2024-03-01T01:00:00");
      await until(() => page.url().includes(`to=${START + 3600}`));
      expect(await page.locator(".zone").textContent()).toBe("UTC");
      // A function of what has no instances has one line, which needs no name.
      await field(page).fill("abs(mem.util.used)");
      await field(page).press("Enter");
      await untilText(card(page), /^\s*abs\(mem\.util\.used\)/);
      await untilText(card(page).locator(".legend"), /^\s*[\d.]+ GiB\s*$/);
      expect(faults).toEqual([]);
      await close();
    },
  );

  peaceful("texts are a list of their changes, and no HTML", async () => {
    const hash = `#history?of=db1&metric=app.state&${WHOLE}`;
    const { page, faults, close } = await visit(browser, server.port, hash, UTC);
    const rows = card(page).locator(".changes tr");
    await until(async () => (await rows.count()) === 3);
    expect((await rows.allTextContents()).map((text) => text.replace(/\.\d+/, "|"))).toEqual([
      "2024-03-01 05:00:00|<b>w\uFFFD\uFFFDrn</b>",
      '2024-03-01 01:00:00|ready, "warm"',
      "2024-03-01 00:00:00|starting",
    ]);
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("one archive, with awkward names, as PCP writes them", async () => {
    const other = await startPastServer({ quoting: "pcp" });
    try {
      const { page, faults, close } = await visit(browser, other.port, "#history?last=all", UTC);
      const archives = page.locator('optgroup[label="Archives"] option');
      await until(async () => (await archives.count()) === 2);
      await page.locator("select.origin").selectOption(`${other.folder}/edge`);
      await page.getByRole("combobox", { name: "Metric" }).fill("edge.dbl");
      await page.keyboard.press("Enter");
      await untilText(sent(page), /^edge\.dbl\{context\.name=="[^"]+\/edge"\}\[start:17/);
      await untilText(card(page).locator(".legend"), /one "quoted" inst/);
      await untilText(card(page).locator(".legend"), /zwei ü/);
      expect(faults).toEqual([]);
      await close();
    } finally {
      await other.stop();
    }
  });
});

describePeer(peers, "bounds", () => {
  peaceful("of many instances fewer samples are asked for, the largest are listed", async () => {
    const hash = `#history?of=db1&metric=app.sessions&${WHOLE}`;
    const { page, faults, close } = await visit(browser, server.port, hash, UTC);
    const extent = await untilText(card(page).locator(".extent"), /left out/);
    expect(extent).toMatch(
      /^[\d,]+ values, 8 of 600 lines drawn, 100 smaller ones left out, one sample in 5 min$/,
    );
    const { step } = await windowOf(page);
    expect((POOLS * HOURS * 3600) / step).toBeLessThanOrEqual(60_000);
    await untilText(valueOf(page, "pool 599"), /^599$/);
    expect(await card(page).getByRole("checkbox").count()).toBe(100);
    await card(page).getByRole("button", { name: "All" }).click();
    await untilText(card(page).locator(".extent"), /64 of 600 lines drawn/);
    await card(page).getByRole("searchbox").fill("pool 42");
    await untilText(card(page).locator(".legend"), /^pool 42\d/);
    expect(faults).toEqual([]);
    await close();
  });
});

describePeer(peers, "zoom", () => {
  peaceful("by dragging, back by double click, by buttons and keys", async () => {
    const hash = `#history?of=db1&metric=${READ}&${WHOLE}`;
    const { page, faults, close } = await visit(browser, server.port, hash, UTC);
    await untilDrawn(page, READ, 0);
    const whole = await windowOf(page);
    expect((END - START) / whole.step).toBeLessThanOrEqual(1000);
    await drag(page, 0.6, 0.7);
    await until(async () => (await windowOf(page)).from > START + 3 * 3600);
    const near = await windowOf(page);
    expect(Math.abs(near.from - (START + 0.6 * HOURS * 3600))).toBeLessThan(120);
    expect(Math.abs(near.to - near.from - 0.1 * HOURS * 3600)).toBeLessThan(120);
    expect(near.step).toBeLessThan(whole.step);
    expect(page.url()).toMatch(/from=17092\d+&to=17092\d+/);
    await untilText(valueOf(page, "sdl"), /^1\.17 MiB\/s$/);
    await page.locator(".past-plot .u-over").dblclick();
    await until(async () => (await windowOf(page)).from === START);
    // Further than where it began.
    await page.getByRole("button", { name: "Zoom out" }).click();
    await until(async () => (await windowOf(page)).from < START);
    await page.locator(".past-plot").focus();
    const far = await windowOf(page);
    await page.keyboard.press("ArrowRight");
    await until(async () => (await windowOf(page)).from > far.from);
    const right = await windowOf(page);
    await page.keyboard.press("+");
    await until(async () => {
      const { from, to } = await windowOf(page);
      return to - from < 0.6 * (right.to - right.from);
    });
    await page.keyboard.press("-");
    await until(async () => (await windowOf(page)).from === right.from);
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("with a finger, on a phone, in the dark", async () => {
    const hash = `#history?of=db1&metric=${READ}&${WHOLE}`;
    const { page, faults, close } = await visit(browser, server.port, hash, {
      ...UTC,
      viewport: { width: 360, height: 740 },
      hasTouch: true,
      isMobile: true,
      colorScheme: "dark",
    });
    await untilDrawn(page, READ, 0);
    expect(await overflow(page)).toBe(0);
    await page.locator(".past-plot").scrollIntoViewIfNeeded();
    const box = await page.locator(".past-plot .u-over").boundingBox();
    if (box === null) throw new Error("nothing is drawn");
    const session = await page.context().newCDPSession(page);
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", share?: number) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints:
          share === undefined ? [] : [{ x: box.x + box.width * share, y: box.y + box.height / 2 }],
      });
    await touch("touchStart", 0.5);
    for (const share of [0.55, 0.6, 0.7, 0.75]) await touch("touchMove", share);
    await touch("touchEnd");
    await until(async () => (await windowOf(page)).from > START + 2.5 * 3600);
    expect(await overflow(page)).toBe(0);
    expect(faults).toEqual([]);
    await close();
  });
});

describePeer(peers, "the query", () => {
  peaceful(
    "edited; a complaint has its caret; what is a list of series becomes values",
    async () => {
      const hash = `#history?of=db1&metric=${READ}&${WHOLE}`;
      const { page, faults, close } = await visit(browser, server.port, hash, UTC);
      await untilDrawn(page, READ, 0);
      const bad = `rate(${READ}{hostname=="db1"}`;
      await field(page).fill(bad);
      await page.keyboard.press("Enter");
      const complaint = page.getByRole("alert");
      const text = await untilText(complaint, /syntax error/);
      expect(text).toBe(
        `cannot parse given string\n\n${bad}\n${" ".repeat(bad.length - 1)}^ -- syntax error`,
      );
      expect(await field(page).getAttribute("aria-invalid")).toBe("true");
      // A letter of the complaint is as wide as one of the field, and begins where that does.
      const left = (place: string) =>
        page.evaluate(`(() => {
      const style = getComputedStyle(document.querySelector("${place}"));
      const { left } = document.querySelector("${place}").getBoundingClientRect();
      return [style.fontFamily, style.fontSize, left + parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth)];
    })()`);
      expect(await left(".complaint")).toEqual(await left(".query"));
      expect(await page.evaluate("document.activeElement.selectionStart")).toBe(bad.length - 1);
      await field(page).fill(`sum_sample(rate(${READ}))`);
      await page.keyboard.press("Enter");
      await complaint.waitFor({ state: "hidden" });
      const sum = Array.from({ length: 12 }, (_, disk) => rateOfDisk(disk)).reduce((a, b) => a + b);
      expect(sum).toBe(7800);
      await untilText(card(page).locator(".legend .value"), /^7\.62 MiB\/s$/);
      expect(await untilText(sent(page), /sum_sample/)).toMatch(
        /^sum_sample\(rate\(disk.dev.read_bytes\[start:\d+,finish:\d+,interval:\d+\]\)\)$/,
      );
      await field(page).fill("topk_sample(kernel.all.load,2)");
      await page.keyboard.press("Enter");
      await untilText(card(page).locator(".legend"), /15 minute.*5 minute/);
      await field(page).fill(`{metric.name~~"kernel.*"}`);
      await page.keyboard.press("Enter");
      await until(async () => (await card(page).getByRole("checkbox").count()) === 3);
      await field(page).fill("rate(kernel.all.load)");
      await page.keyboard.press("Enter");
      await untilText(
        complaint,
        /Can't rate convert 'kernel.all.load', counter semantics required/,
      );
      // Too long for an address.
      await field(page).fill(`mem.util.used${" ".repeat(2000)}[count:6]`);
      await page.keyboard.press("Enter");
      await untilText(card(page).locator(".extent"), /^6 values$/);
      await field(page).fill("mem.util.used[count:5]");
      await page.keyboard.press("Enter");
      await untilText(card(page).locator(".extent"), /^5 values$/);
      expect(await sent(page).textContent()).toBe("mem.util.used[count:5]");
      await page.getByRole("button", { name: "As chosen" }).click();
      await untilText(card(page).locator("h2"), /^disk\.dev\.read_bytes$/);
      expect(await field(page).inputValue()).toBe(`rate(${READ}{hostname=="db1"})`);
      expect(faults).toEqual([]);
      await close();
    },
  );

  peaceful("a file of what is drawn; the same view by its address", async () => {
    const query = encodeURIComponent(`rate(${READ})`);
    const hash = `#history?query=${query}&line=sda&line=sdb&from=${START}&to=${START + 600}`;
    const { page, faults, close } = await visit(browser, server.port, hash, UTC);
    await untilText(valueOf(page, "sdb"), /^200 KiB\/s$/);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save as CSV" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe(`rate_disk.dev.read_bytes__${START}.csv`);
    const rows = readFileSync(await download.path(), "utf8").split("\r\n");
    expect(rows[0]).toBe('time,"sdb, bytes/s","sda, bytes/s"');
    expect(rows[1]).toMatch(/^2024-03-01T00:00:10\.090Z,204800,102400$/);
    expect(rows.length).toBe(600 / EVERY + 1);
    await page.reload();
    await untilText(valueOf(page, "sda"), /^100 KiB\/s$/);
    expect(await drawnPoints(page, `rate(${READ})`, 2)).toBe(0);
    expect(await page.getByRole("combobox", { name: "Time range" }).inputValue()).toBe("between");
    expect(faults).toEqual([]);
    await close();
  });
});

const STOPPED = '{"message":"no connection to the key server: Connection refused","success":false}';

describePeer(peers, "what fails", () => {
  peaceful("a key server that is away, and comes back", async () => {
    const { page, faults, close } = await visit(browser, server.port, "", UTC);
    let isAway = true;
    await page.route(/\/series\//, async (route) => {
      if (!isAway) await route.continue();
      else await route.fulfill({ status: 503, contentType: "application/json", body: STOPPED });
    });
    await page.evaluate(`location.hash = "#history?of=db1&metric=mem.util.used&${WHOLE}"`);
    await untilText(
      notice(page),
      /^no connection to the key server: Connection refused; tried again/,
    );
    isAway = false;
    await notice(page).getByRole("button", { name: "Try now" }).click();
    await untilDrawn(page, "mem.util.used", 0);
    // In the midst of it, and back by itself.
    isAway = true;
    await page.getByRole("button", { name: "Zoom in" }).click();
    await untilText(notice(page), /Connection refused/);
    isAway = false;
    await notice(page).waitFor({ state: "hidden" });
    await until(async () => (await windowOf(page)).from > START);
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("a slow answer is called off; a proxy that is gone", async () => {
    const { page, faults, close } = await visit(browser, server.port, "", UTC);
    let isSlow = true;
    await page.route(/\/series\/query/, async (route) => {
      if (isSlow) return; // never
      await route.continue();
    });
    await page.evaluate(`location.hash = "#history?of=db1&metric=mem.util.used&${WHOLE}"`);
    await untilText(notice(page), /^Asking …/);
    await notice(page).getByRole("button", { name: "Cancel" }).click();
    await untilText(notice(page), /^Cancelled\./);
    isSlow = false;
    await notice(page).getByRole("button", { name: "Ask again" }).click();
    await untilDrawn(page, "mem.util.used", 0);
    await page.route(/\/series\//, (route) => route.abort("connectionrefused"));
    await page.getByRole("button", { name: "Earlier" }).click();
    await untilText(notice(page), /^the proxy cannot be reached; tried again every 5 s/);
    // What was drawn is still there.
    expect(await drawnPoints(page, "mem.util.used", 0)).toBeGreaterThan(3);
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("a question that is given up for another one while it waits", async () => {
    const { page, faults, close } = await visit(browser, server.port, "#history", UTC);
    let held = 0;
    await page.route(/\/series\/descs/, async (route) => {
      held++;
      await Bun.sleep(1000);
      await route.continue().catch(String);
    });
    await page.evaluate(`location.hash = "#history?of=db1&metric=mem.util.used&${WHOLE}"`);
    await until(() => held > 0);
    await page.getByRole("combobox", { name: "Time range" }).selectOption("all there is");
    await untilDrawn(page, "mem.util.used", 0);
    expect(await windowOf(page)).toMatchObject({ to: END + 1 });
    expect(faults).toEqual([]);
    await close();
  });

  peaceful("nothing recorded at all, and no store", async () => {
    const empty = await startPastServer({ isEmpty: true });
    try {
      const { page, faults, close } = await visit(browser, empty.port, "#history", UTC);
      const help = page.locator(".past-help");
      await untilText(
        help,
        /Nothing is recorded yet.*\[record\] enabled.*pmlogger -h HOST http:\/\/127.*archives themselves, 0 in/s,
      );
      await close();
      empty.disturb = () => new Response("<b>Error</b>: no handler for URL<p>", { status: 400 });
      const off = await visit(browser, empty.port, "#history", UTC);
      await untilText(off.page.locator(".past-help"), /switched off.*\[pmseries\]/s);
      empty.disturb = undefined;
      await off.page.getByRole("button", { name: "Look again" }).click();
      await untilText(off.page.locator(".past-help"), /Nothing is recorded yet/);
      expect([...faults, ...off.faults]).toEqual([]);
      await off.close();
    } finally {
      await empty.stop();
    }
  });

  peaceful("what fits nothing is told", async () => {
    const query = encodeURIComponent('no.such{hostname=="db1"}');
    const { page, faults, close } = await visit(
      browser,
      server.port,
      `#history?query=${query}`,
      UTC,
    );
    await untilText(notice(page), /^Nothing is recorded that fits no\.such\{hostname=="db1"\}\.$/);
    await untilText(page.locator("select.origin option:checked"), /^any host$/);
    expect(faults).toEqual([]);
    await close();
  });
});

describePeer(peers, "the program", () => {
  peaceful("archives that come into its directory are there at once", async () => {
    const folder = privateFolder("history-archives");
    const proxy = await startProxyUnderTest({
      conf: [
        "[pmproxy]",
        "http.enabled = true",
        "[pmseries]",
        "store = embedded",
        "catalogue = :memory:",
        "[discover]",
        `path = ${folder}`,
        "[record]",
        "enabled = false",
        "",
      ].join("\n"),
    });
    try {
      const { page, faults, refusals, origins, close } = await visit(
        browser,
        proxy.port,
        "#history",
        UTC,
      );
      const help = page.locator(".past-help");
      await untilText(help, /Nothing is recorded yet/);
      await untilText(help, new RegExp(`looks in${folder}`));
      writePast(join(folder, "db1"));
      await until(async () => {
        if (await help.isVisible())
          await help
            .getByRole("button", { name: "Look again" })
            .click({ timeout: 1000 })
            .catch(String);
        return (await page.locator("select.origin").inputValue()) === "db1";
      });
      await page.getByRole("combobox", { name: "Metric" }).fill(READ);
      await page.keyboard.press("Enter");
      await page.getByRole("combobox", { name: "Time range" }).selectOption("all there is");
      await untilText(valueOf(page, "sdl"), /^1\.17 MiB\/s$/);
      await untilDrawn(page, READ, 0);
      await page.getByRole("link", { name: "Server" }).click();
      await untilText(page.locator(".server"), /Time series.*1 in the catalogue/s);
      expect([faults, refusals]).toEqual([[], []]);
      expect([...origins]).toEqual([`http://127.0.0.1:${proxy.port}`]);
      await close();
    } finally {
      await proxy.stop();
    }
  });
});

describePeer(peers, "following", () => {
  peaceful("a span up to now is asked for again and again", async () => {
    const query = encodeURIComponent("mem.util.used");
    const hash = `#history?last=900&follow=&query=${query}`;
    const { page, faults, close } = await visit(browser, server.port, hash, UTC);
    await untilText(notice(page), /Nothing is recorded of mem\.util\.used/);
    const button = page.getByRole("button", { name: "Follow" });
    expect(await button.getAttribute("aria-pressed")).toBe("true");
    const first = await windowOf(page);
    await until(async () => (await windowOf(page)).to > first.to);
    await button.click();
    expect(page.url()).not.toContain("follow");
    expect(faults).toEqual([]);
    await close();
  });
});
