// Goal: usage, help and manual pages come from the tables, in PCP's layout where PCP has one. The
// golden files are reviewed as text; UPDATE_GOLDEN=1 writes them anew.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { overview } from "../../cmd/help.ts";
import { VERBS } from "../../cmd/verbs.ts";
import { manSource, roffText } from "../../lib/cli/man.ts";
import { pageOf, pageText, wrap } from "../../lib/cli/page.ts";
import { usageText } from "../../lib/cli/usage.ts";

const goldenPath = (name: string): string => join(import.meta.dir, "golden", name);

function golden(name: string, text: string): void {
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(goldenPath(name), text);
  expect(text).toBe(readFileSync(goldenPath(name), "utf8"));
}

const described = await Promise.all(VERBS.map((each) => each.describe()));
const plain = { width: 80, colour: false };

describe("usage", () => {
  const proxy = described.find((each) => each.name === "proxy");
  const usage = proxy === undefined ? "" : usageText(proxy);

  test("of the proxy", () => golden("proxy-usage.txt", usage));

  test("has the lines of pmproxy 7.2.1, in their order", () => {
    const ours = usage.split("\n");
    let at = 0;
    for (const line of readFileSync(goldenPath("pmproxy-7.2.1-usage.txt"), "utf8").split("\n")) {
      const found = ours.indexOf(line, at);
      expect([line, found >= at]).toEqual([line, true]);
      at = found + 1;
    }
  });

  test("is under the name that was called", () => {
    if (proxy === undefined) throw new Error("no proxy");
    expect(usageText(proxy, "x")).toStartWith("Usage: x [options]\n       x [options] start|");
  });
});

describe("help", () => {
  for (const verb of described) {
    test(`of ${verb.name}`, () => golden(`${verb.name}-help.txt`, pageText(pageOf(verb), plain)));
  }

  test("of pcpbox", async () => golden("pcpbox-help.txt", pageText(await overview(VERBS), plain)));

  test("fits the terminal", () => {
    for (const width of [10, 40, 60, 80, 100, 300]) {
      for (const verb of described) {
        const lines = pageText(pageOf(verb), { width, colour: false }).split("\n");
        const bound = Math.min(100, Math.max(40, width));
        // A term is never broken, its text is.
        const long = lines.filter((line) => line.length > bound && /^ {24}\S+ /.test(line));
        expect(long).toEqual([]);
      }
    }
  });

  test("is emphasised only when asked", () => {
    for (const verb of described) {
      const page = pageOf(verb);
      expect(pageText(page, plain)).not.toContain("\u001b");
      const bold = pageText(page, { width: 80, colour: true });
      // oxlint-disable-next-line no-control-regex -- escape sequences are what is looked for
      expect(bold.replaceAll(/\u001b\[\d+m/g, "")).toBe(pageText(page, plain));
      expect(bold).toContain("\u001b[1m");
    }
  });

  test("wraps words and leaves long ones whole", () => {
    expect(wrap("a bb ccc", 6, "  ")).toBe("  a bb\n  ccc\n");
    expect(wrap("aaaaaaaaaa b", 6, "  ")).toBe("  aaaaaaaaaa\n  b\n");
  });
});

describe("manual pages", () => {
  test("of the proxy", () => {
    const proxy = described.find((each) => each.name === "proxy");
    if (proxy === undefined) throw new Error("no proxy");
    golden("pcpbox-proxy.1", manSource(pageOf(proxy), "0.0.0"));
  });

  test("have the parts that man and apropos look for", () => {
    for (const verb of described) {
      const source = manSource(pageOf(verb), "0.0.0");
      expect(source).toStartWith(`.TH "${roffText(`pcpbox-${verb.name}`.toUpperCase())}" 1`);
      expect(source).toContain(`.SH NAME\npcpbox-${verb.name} \\- ${verb.summary}\n.SH "SYNOPSIS"`);
      expect(source.split("\n").filter((line) => line === "")).toEqual([""]);
    }
  });

  test("take no request and no escape from a text", () => {
    expect(roffText(".so /etc/passwd\n'x\\n-")).toBe("\\&.so /etc/passwd\n\\&'x\\en\\-");
  });
});
