// Goal: pmproxy.conf is read exactly as pmproxy 6.0.3 reads it, in one row as 7.2 does. The fixture
// holds files (bytes as latin-1) and the line that the real program logged about its certificates
// when run with each of them: the log shows the value byte for byte. Plus places, TOML, search order
// and overrides.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  configPaths,
  type ConfigText,
  environmentEntries,
  overrideName,
  parseProxyConf,
  parseProxyToml,
  problemText,
  readConfigFile,
} from "../../lib/daemon/config.ts";
import { utf8 } from "../../lib/base/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import dialect from "../fixtures/config/dialect.json";

const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

/** The line that the real program logs about the certificates of [pmproxy]. */
function certificateLine(file: string): string {
  const { entries } = parseProxyConf(bytesOf(file), "f");
  const value = (key: string): string | undefined =>
    entries.find((entry) => entry.section === "pmproxy" && entry.key === key)?.value;
  const certificates = value("certificates");
  const key = value("private_key");
  if (certificates === undefined) return key === undefined ? "" : "no certificate file found";
  return key === undefined
    ? "no private key found"
    : `Cannot load certificate chain from ${certificates}`;
}

describe("the dialect of pmproxy.conf", () => {
  for (const row of dialect) {
    test(row.name, () => {
      const log = Buffer.from(row.log, "latin1").toString("utf8");
      expect(certificateLine(row.file)).toBe(log);
    });
  }

  test("entries and problems know their places", () => {
    const text = "[http]\n  chunksize = 10\nnonsense\n[open\nx=1\nx=2\n";
    const { entries, problems } = parseProxyConf(bytesOf(text), "f.conf");
    expect(entries).toEqual([
      {
        section: "http",
        key: "chunksize",
        value: "10",
        file: "f.conf",
        line: 2,
        column: 3,
        valueColumn: 15,
      },
      { section: "http", key: "x", value: "2", file: "f.conf", line: 6, column: 1, valueColumn: 3 },
    ]);
    expect(problems.map(problemText)).toEqual([
      "f.conf:3:1: error: neither [section] nor name = value",
      "f.conf:4:1: error: section without closing bracket",
      'f.conf:6:1: warning: "x" again, line 5 has no effect',
    ]);
  });

  test("text that is not UTF-8 is an error with its place", () => {
    const { problems } = parseProxyConf(bytesOf("[a]\nb = \xe9\n"), "f");
    expect(problems.map(problemText)).toEqual(["f:2:5: error: text is not UTF-8"]);
  });

  test("names that mean something to JavaScript or to ini stay plain", () => {
    const text = "[__proto__]\nx=1\n[a.b]\n__proto__=2\nlist[]=3\nlist[]=4\n[a]\nb=true\n";
    const { entries } = parseProxyConf(bytesOf(text), "f");
    expect(entries.map((entry) => [entry.section, entry.key, entry.value])).toEqual([
      ["__proto__", "x", "1"],
      ["a.b", "__proto__", "2"],
      ["a.b", "list[]", "4"],
      ["a", "b", "true"],
    ]);
    expect(Object.prototype).not.toHaveProperty("x");
  });

  test("any value without a comment or an outer blank comes back exactly", () => {
    const name = fc.stringMatching(/^[A-Za-z_.\\"'-]{1,20}$/);
    const value = fc
      .string({ maxLength: 60, unit: "grapheme" })
      .filter((text) => text === text.trim() && !/[\s\0]/.test(text));
    fc.assert(
      fc.property(name, name, value, (section, key, text) => {
        const file = Buffer.from(`[${section}]\n${key}=${text}\n`);
        if (file.length > 150) return;
        const { entries } = parseProxyConf(file, "f");
        expect(entries.map((entry) => [entry.section, entry.key, entry.value])).toEqual([
          [section, key, text],
        ]);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test("any bytes are read without throwing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        parseProxyConf(bytes, "f");
      }),
      { seed: 11, numRuns: 300 },
    );
  });
});

describe("pcpbox.toml", () => {
  test("the same options as tables", () => {
    const text = [
      "[pmproxy]",
      "resp.enabled = true",
      "  maxpending = 7",
      "[discover]",
      'exclude.metrics = ["proc.*", "acct.*"]',
    ].join("\n");
    const { entries, problems } = parseProxyToml(text, "f.toml");
    expect(problems).toEqual([]);
    expect(
      entries.map((entry) => [entry.section, entry.key, entry.value, entry.line, entry.column]),
    ).toEqual([
      ["pmproxy", "resp.enabled", "true", 2, 1],
      ["pmproxy", "maxpending", "7", 3, 3],
      ["discover", "exclude.metrics", "proc.*,acct.*", 5, 1],
    ]);
  });

  test("errors have line and column", () => {
    const broken = parseProxyToml("[a]\nb = = 1\n", "f.toml").problems;
    expect(broken.map((problem) => [problem.line, problem.severity])).toEqual([[2, "error"]]);
    const wrong = parseProxyToml("top = 1\n[a]\nb = 2020-01-01\n", "f.toml").problems;
    expect(wrong.map(problemText)).toEqual([
      'f.toml:1:1: error: "top" is in no section',
      'f.toml:3:1: error: "b" must be a text, number, boolean or list of these',
    ]);
  });
});

describe("text that nobody means well with", () => {
  test("tables without end are a problem, not an overflow", () => {
    const deep = parseProxyToml(`[a.${"b.".repeat(100_000)}c]\nx = 1\n`, "f.toml");
    expect(deep.entries).toEqual([]);
    expect(deep.problems.map(problemText)).toEqual([
      'f.toml: error: tables more than 16 deep in "a"',
    ]);
  });
  test("long blank lines take no time", () => {
    const blanks = " ".repeat(200_000);
    const { entries } = parseProxyToml(`${blanks}# x\n#[${blanks}\n[a]\nb = 1\n`, "f.toml");
    expect(entries.map(({ key, line, column }) => [key, line, column])).toEqual([["b", 4, 1]]);
  });
  test("names of prototypes are names", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty"];
    const keys = (text: ConfigText): string[][] =>
      text.entries.map(({ section, key, value }) => [section, key, value]);
    const expected = names.flatMap((section) => names.map((key) => [section, key, "1"]));
    const text = names
      .map((section) => `[${section}]\n${names.map((key) => `${key} = 1\n`).join("")}`)
      .join("");
    expect(keys(parseProxyConf(utf8(text), "f"))).toEqual(expected);
    expect(keys(parseProxyToml(text, "f.toml"))).toEqual(expected);
    expect(Object.prototype).not.toHaveProperty("1");
  });
  test("TOML that is not UTF-8 is refused, a byte order mark in front is not", () => {
    const path = join(privateFolder("toml"), "pcpbox.toml");
    writeFileSync(path, Buffer.from('[a]\nb = "\xff"\n', "latin1"));
    const { state, entries, problems } = readConfigFile(path);
    expect([state, entries]).toEqual(["failed", []]);
    expect(problems.map(problemText)).toEqual([`${path}: error: text is not UTF-8`]);
    writeFileSync(path, '\ufeff[a]\nb = "c"\n');
    expect(readConfigFile(path).entries.map(({ value }) => value)).toEqual(["c"]);
  });
  test("a byte order mark is dropped in front and kept elsewhere", () => {
    const { entries, problems } = parseProxyConf(utf8("\ufeff[a]\nb = \ufeffc\n"), "f");
    expect([entries[0]?.section, entries[0]?.value, problems]).toEqual(["a", "\ufeffc", []]);
  });
});

describe("where files are looked for", () => {
  const places = { sysconfDirectory: "/s", home: "/h", workingDirectory: "/w" };
  test("the usual places, later ones winning", () => {
    expect(configPaths(undefined, places)).toEqual([
      "/s/pmproxy/pmproxy.conf",
      "/s/pmproxy/pcpbox.toml",
      "/h/.pmproxy.conf",
      "/h/.pcpbox.toml",
      "/h/.pcp/pmproxy.conf",
      "/h/.pcp/pcpbox.toml",
      "/w/pmproxy.conf",
      "/w/pcpbox.toml",
    ]);
  });
  test("-c: an absolute path alone, a name in the usual places", () => {
    expect(configPaths("/etc/x", places)).toEqual(["/etc/x"]);
    expect(configPaths("./x.conf", places)).toEqual(["/w/x.conf"]);
    expect(configPaths("site.toml", places)).toEqual(["/w/site.toml"]);
    expect(configPaths("site", { ...places, home: undefined })).toEqual([
      "/s/site/site.conf",
      "/s/site/site.toml",
      "/w/site.conf",
      "/w/site.toml",
    ]);
  });
  test("a missing file is no problem, an unreadable one is", () => {
    expect(readConfigFile("/nonexistent/x.conf").state).toBe("missing");
    const directory = readConfigFile("/");
    expect(directory.state).toBe("failed");
    expect(directory.problems.map(problemText)).toEqual(["/: error: cannot be read: EISDIR"]);
  });
});

describe("overrides from the environment", () => {
  test("names follow PCP 7.2", () => {
    expect(overrideName("keys", "servers")).toBe("PCP_KEYS_SERVERS");
    expect(overrideName("pmseries", "stream.maxlen")).toBe("PCP_PMSERIES_STREAM_MAXLEN");
    expect(overrideName("http", "Access-Control-Max-Age")).toBe("PCP_HTTP_ACCESS_CONTROL_MAX_AGE");
  });
  test("values, and secrets from files", () => {
    const options = [
      { section: "keys", key: "servers", secret: false },
      { section: "keys", key: "password", secret: true },
      { section: "redis", key: "password", secret: true },
    ];
    const environment = {
      PCP_KEYS_SERVERS: "a:1",
      PCP_KEYS_SERVERS_FILE: "/ignored",
      PCP_KEYS_PASSWORD_FILE: "/run/secret",
      PCP_REDIS_PASSWORD: "x",
      PCP_REDIS_PASSWORD_FILE: "/run/secret",
      PCP_KEYS_SERVER: "x",
      PCP_LOG_DIR: "/not/an/override",
    };
    const { entries, problems } = environmentEntries(environment, options, () => "s3cret\nmore\n");
    expect(entries.map((entry) => [entry.file, entry.value])).toEqual([
      ["PCP_KEYS_SERVERS", "a:1"],
      ["PCP_KEYS_PASSWORD_FILE", "s3cret"],
      ["PCP_REDIS_PASSWORD", "x"],
    ]);
    expect(problems.map(problemText)).toEqual([
      "PCP_REDIS_PASSWORD_FILE: error: PCP_REDIS_PASSWORD is set as well; set one of them",
      "PCP_KEYS_SERVER: warning: overrides no option, did you mean PCP_KEYS_SERVERS?",
      "PCP_KEYS_SERVERS_FILE: warning: overrides no option: only passwords are taken from a file",
    ]);
  });
});
