// Goal: the files under packaging/ match the program: the samples hold every option of the table with
// its default and are free of mistakes, and the unit says what the program relies on.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { nearestName } from "../../lib/base/mod.ts";
import { parseProxyConf, parseProxyToml } from "../../lib/daemon/config.ts";
import { parseOptionsFile } from "../../lib/daemon/service.ts";
import { settingName, SETTINGS } from "../../lib/server/settings-table.ts";
import { readEntries } from "../../lib/server/settings-values.ts";
import { DEFAULT_SETTINGS } from "../../lib/server/settings.ts";
import { textOf } from "../helpers/tree.ts";

const packaged = (name: string): string => textOf(join("packaging", name));

/** A sample with every option switched on. */
const switchedOn = (text: string): string => text.replaceAll(/^#(?=[A-Za-z])/gm, "");

const samples = [
  {
    name: "pmproxy.conf",
    parse: (text: string) => parseProxyConf(Buffer.from(text), "pmproxy.conf"),
  },
  { name: "pcpbox.toml", parse: (text: string) => parseProxyToml(text, "pcpbox.toml") },
];

for (const { name, parse } of samples) {
  describe(name, () => {
    test("changes nothing as it is", () => {
      expect(parse(packaged(name))).toEqual({ entries: [], problems: [] });
    });

    test("holds every option with its default, and nothing else", () => {
      const { entries, problems } = parse(switchedOn(packaged(name)));
      expect(problems).toEqual([]);
      const read = readEntries(entries, nearestName);
      expect(read.problems).toEqual([]);
      expect(entries.map(settingName).toSorted()).toEqual(SETTINGS.map(settingName).toSorted());
      for (const setting of SETTINGS) {
        const entry = entries.find((each) => settingName(each) === settingName(setting));
        const shown = setting.kind === "prefix-switch" ? "true" : setting.fallback;
        expect([settingName(setting), entry?.value]).toEqual([settingName(setting), shown]);
      }
    });
  });
}

test("pmproxy.options gives what PCP's does", () => {
  expect(parseOptionsFile(packaged("pmproxy.options"))).toEqual(["-A"]);
});

test("the unit: ready when it says so, no engine switches, room for descriptors and for draining", () => {
  const unit = packaged("pmproxy.service");
  const value = (key: string): string | undefined =>
    new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1];
  expect(value("Type")).toBe("notify");
  expect(value("UnsetEnvironment")).toBe("BUN_BE_BUN BUN_OPTIONS");
  expect(value("ExecStart")).toContain("pcpbox proxy -F ");
  expect(Number(value("LimitNOFILE"))).toBeGreaterThan(2 * DEFAULT_SETTINGS.limits.connections);
  const drain = DEFAULT_SETTINGS.limits.drainTimeoutMs / 1000;
  expect(Number(value("TimeoutStopSec"))).toBeGreaterThan(drain);
  expect(unit).not.toMatch(/^MemoryDenyWriteExecute=/m);
});

test("the option table of docs/configuration.md is the program's", () => {
  const text = textOf("docs/configuration.md");
  const documented = [...text.matchAll(/^\| `\[(\w+)\] ([\w.-]+)` +\| (\S+) +\| (yes|no) /gm)].map(
    ([, section, key, fallback, live]) => [`${section}.${key}`, fallback, live],
  );
  const shown = (setting: (typeof SETTINGS)[number]): string => {
    if (setting.kind === "prefix-switch") return "`true`";
    return setting.fallback === "" ? "–" : `\`${setting.fallback}\``;
  };
  expect(documented).toEqual(
    SETTINGS.map((setting) => [settingName(setting), shown(setting), setting.live ? "yes" : "no"]),
  );
});
