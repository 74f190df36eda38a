// Goal: what an installation makes of pmcd.conf and of a name space, as texts: agents by domain, the rest
// untouched, quotes where pmcd needs them, no names of other agents; and what a change looks like.
import { describe, expect, test } from "bun:test";

import { namesFrom, namesText, parseNames, pmidBuild } from "../../lib/pcp/mod.ts";
import { parsePmcdConf } from "../../lib/collector/mod.ts";
import {
  addDomain,
  confLine,
  confWith,
  confWithout,
  dropDomain,
  type InstalledAgent,
  subtreeText,
  unifiedDiff,
} from "../../lib/pmda/mod.ts";

const weather: InstalledAgent = {
  name: "weather",
  domain: 40,
  transport: { kind: "pipe", notready: false },
  command: ["/opt/pcpbox", "pmda-run", "/srv/weather.ts", "-d", "40"],
};

const conf = `# Agents
# of this machine
linux	60	pipe	binary		/p/pmdalinux
pmcd	2	dso	pmcd_init	/p/pmda_pmcd.so

long 70 pipe binary /p/long \\
  -d 70
[access]
disallow ".*" : store;

allow "local:*" : all;
`;

describe("pmcd.conf", () => {
  test("has agents by domain, comments before and [access] after them", () => {
    const { text, warnings } = confWith("pmcd.conf", conf, weather);
    expect(warnings).toEqual([]);
    expect(text).toBe(`# Agents
# of this machine
pmcd	2	dso	pmcd_init	/p/pmda_pmcd.so
weather	40	pipe	binary 		/opt/pcpbox pmda-run /srv/weather.ts -d 40
linux	60	pipe	binary		/p/pmdalinux
long 70 pipe binary /p/long \\
  -d 70

[access]
disallow ".*" : store;

allow "local:*" : all;
`);
    expect(confWith("pmcd.conf", text, weather).text).toBe(text);
    expect(confWithout("pmcd.conf", text, "weather", 40).text).not.toContain("weather");
  });

  test("stays as it is without an agent that is not there", () => {
    expect(confWithout("pmcd.conf", conf, "weather", 40)).toEqual({ text: conf, warnings: [] });
  });

  test("loses lines with the same name or domain, with PCP's warnings", () => {
    const { text, warnings } = confWith("CONF", conf, { ...weather, name: "linux" });
    expect(warnings).toEqual([
      "Warning: CONF: culling entry with same PMDA name (linux) but different domain (60 not 40)",
    ]);
    expect(text).not.toContain("/p/pmdalinux");
    expect(confWith("CONF", conf, { ...weather, domain: 70 }).warnings).toEqual([
      "Warning: CONF: culling entry with same PMDA domain (70) but different name (long not weather)",
    ]);
  });

  test("has words that a parser reads back", () => {
    const command = ["/opt/with blank/pcpbox", "a#b", 'say "x"', "plain"];
    for (const transport of [
      { kind: "pipe", notready: true },
      { kind: "inet", address: "4242" },
      { kind: "ipv6", address: "4242" },
      { kind: "unix", address: "/run/w.sock" },
    ] as const) {
      const line = confLine({ ...weather, transport, command });
      const { agents } = parsePmcdConf(`${line}\n`);
      expect(agents).toHaveLength(1);
      expect(agents[0]).toMatchObject({ label: "weather", domain: 40 });
      expect(JSON.stringify(agents[0])).toContain(JSON.stringify(command));
    }
    expect(() => confLine({ ...weather, command: ["a\nb"] })).toThrow("pmcd.conf cannot hold");
  });
});

describe("a name space", () => {
  const before = `root {
	simple
	other
}

simple {
	old	253:0:9
	shared	253:0:1
}

other {
	one	9:0:0
}
`;
  const own = namesFrom([
    { name: "simple.shared", pmid: pmidBuild(253, 0, 1) },
    { name: "simple.fresh", pmid: pmidBuild(253, 0, 2) },
  ]);

  test("has an agent's names in place of all of its domain", () => {
    const names = parseNames(before);
    addDomain(names, own, 253);
    expect([...names.traverse()].map(({ name }) => name)).toEqual([
      "other.one",
      "simple.shared",
      "simple.fresh",
    ]);
    expect(dropDomain(names, 253)).toHaveLength(2);
    expect(namesText(names)).toBe("root {\n\tother\n}\n\nother {\n\tone\t9:0:0\n}\n");
  });

  test("keeps the names of other agents", () => {
    const names = parseNames(before);
    const greedy = namesFrom([{ name: "other.one", pmid: pmidBuild(253, 0, 1) }]);
    expect(() => addDomain(names, greedy, 253)).toThrow(
      'metric name "other.one" is 9.0.0, of another agent',
    );
  });

  test("has a file for the subtree, or for several below root", () => {
    expect(subtreeText(own)).toBe("simple {\n\tshared\t253:0:1\n\tfresh\t253:0:2\n}\n");
    const two = namesFrom([
      { name: "a.x", pmid: pmidBuild(1, 0, 1) },
      { name: "b.x", pmid: pmidBuild(1, 0, 2) },
    ]);
    expect(subtreeText(two)).toStartWith("root {\n\ta\n\tb\n}\n");
  });
});

describe("a unified diff", () => {
  const lines = (...numbers: readonly number[]): string => numbers.map((n) => `${n}\n`).join("");

  test("has changes with three lines around them", () => {
    const diff = unifiedDiff(
      "f",
      lines(1, 2, 3, 4, 5, 6, 7, 8, 9),
      lines(1, 2, 3, 4, 50, 6, 7, 8, 9),
    );
    expect(diff).toBe("--- f\n+++ f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+50\n 6\n 7\n 8\n");
  });

  test("of a file that comes or goes, and of none", () => {
    expect(unifiedDiff("f", undefined, lines(1, 2))).toBe(
      "--- /dev/null\n+++ f\n@@ -0,0 +1,2 @@\n+1\n+2\n",
    );
    expect(unifiedDiff("f", lines(1), undefined)).toBe("--- f\n+++ /dev/null\n@@ -1 +0,0 @@\n-1\n");
    expect(unifiedDiff("f", lines(1), lines(1))).toBe("");
  });

  test("of texts that have little in common ends in time", () => {
    const many = Array.from({ length: 20_000 }, (_, n) => n);
    const diff = unifiedDiff("f", lines(...many), lines(...many.map((n) => n + 100_000)));
    expect(diff.split("\n").length).toBe(40_004);
  });
});
