// Goal: the table, the defaults and the reader of settings agree with each other; bad text keeps the
// default and says where; a reload tells live changes from others; the TLS decision is that of the
// real pmproxy (rows recorded from 6.0.3), but for the one milder rule.

import { describe, expect, test } from "bun:test";
import { PcpError } from "../../lib/base/mod.ts";
import { DEFAULT_SETTINGS } from "../../lib/server/settings.ts";
import { findSetting, settingName, SETTINGS } from "../../lib/server/settings-table.ts";
import { parseTlsConf } from "../../lib/pdu/mod.ts";
import { resolveTls } from "../../lib/server/settings-tls.ts";
import {
  buildSettings,
  changeText,
  diffSettings,
  parseServers,
  parseSetting,
  type PlacedText,
  type ProxyArguments,
  readEntries,
} from "../../lib/server/settings-values.ts";

const given: ProxyArguments = {
  ports: [],
  interfaces: [],
  localOnly: false,
  socketPath: undefined,
  maxPending: undefined,
  inherited: [],
  pduCeiling: undefined,
  connectTimeoutMs: undefined,
  keyHost: undefined,
  keyPort: undefined,
  advertise: true,
  certificateRequired: false,
  authRequired: false,
  deprecated: false,
  user: "pcp",
  runForSeconds: undefined,
  paths: DEFAULT_SETTINGS.paths,
};

const entry = (name: string, value: string, line = 1): PlacedText => {
  const dot = name.indexOf(".");
  return {
    section: name.slice(0, dot),
    key: name.slice(dot + 1),
    value,
    file: "f",
    line,
    column: 1,
    valueColumn: 5,
  };
};
const nothing = (): undefined => undefined;
const read = (...pairs: readonly (readonly [string, string])[]) =>
  readEntries(
    pairs.map(([name, value], index) => entry(name, value, index + 1)),
    nothing,
  );
const build = (...pairs: readonly (readonly [string, string])[]) =>
  buildSettings(read(...pairs).values, given);

describe("the table", () => {
  test("nothing configured gives the defaults", () => {
    expect(buildSettings(new Map(), given)).toEqual(DEFAULT_SETTINGS);
  });

  test("every fallback text gives the default", () => {
    for (const setting of SETTINGS) {
      if (setting.read === undefined || setting.fallback === "") continue;
      const settings = build([settingName(setting), setting.fallback]);
      expect([settingName(setting), setting.read(settings)]).toEqual([
        settingName(setting),
        setting.read(DEFAULT_SETTINGS),
      ]);
    }
  });

  test("every option reaches the settings and is seen as a change", () => {
    const samples = {
      switch: "",
      "prefix-switch": "false",
      text: "x",
      list: "a,b",
      servers: "h:1",
      choice: "",
    };
    for (const setting of SETTINGS) {
      if (setting.read === undefined) continue;
      const value =
        setting.kind === "number"
          ? `${Number(setting.fallback) + 1}`
          : setting.kind === "switch"
            ? `${setting.fallback === "false"}`
            : (setting.choices?.at(-1) ?? samples[setting.kind]);
      const changes = diffSettings(DEFAULT_SETTINGS, build([settingName(setting), value]));
      expect(changes.map(({ name, live }) => [name, live])).toEqual([
        [settingName(setting), setting.live],
      ]);
    }
  });

  test("names are unique", () => {
    expect(new Set(SETTINGS.map(settingName)).size).toBe(SETTINGS.length);
  });
});

describe("values", () => {
  test("switches take exactly true and false, secure.enabled prefixes of these", () => {
    const resp = findSetting("pmproxy", "resp.enabled");
    const secure = findSetting("pmproxy", "secure.enabled");
    if (resp === undefined || secure === undefined) throw new Error("no such row");
    expect(parseSetting(resp, "true")).toEqual({ value: true });
    expect(parseSetting(resp, "yes")).toEqual({ reason: '"yes" is neither true nor false' });
    expect(parseSetting(secure, "fal")).toEqual({ value: "fal" });
    expect(parseSetting(secure, "off")).toEqual({ reason: '"off" is neither true nor false' });
  });

  test("numbers are decimal and within bounds", () => {
    const pending = findSetting("pmproxy", "maxpending");
    if (pending === undefined) throw new Error("no such row");
    expect(parseSetting(pending, "010")).toEqual({ value: 10 });
    for (const text of ["", "0x10", "12abc", "1.5", "99999999999999999"]) {
      expect(parseSetting(pending, text)).toEqual({
        reason: `"${text}" is not a whole decimal number`,
      });
    }
    expect(parseSetting(pending, "-3")).toEqual({ reason: "-3 is not between 1 and 65535" });
  });

  test("a choice is one of its words", () => {
    const store = findSetting("pmseries", "store");
    if (store === undefined) throw new Error("no such row");
    expect(parseSetting(store, "keys")).toEqual({ value: "keys" });
    expect(parseSetting(store, "redis")).toEqual({
      reason: '"redis" is none of auto, keys, embedded',
    });
    const enabled = (text: string) => build(["discover.enabled", text]).discover.enabled;
    expect([enabled("true"), enabled("false"), enabled("auto"), enabled("1")]).toEqual([
      true,
      false,
      undefined,
      undefined,
    ]);
  });

  test("key servers", () => {
    expect(parseServers("a, b:1,[::1]:2")).toEqual({
      value: [
        { host: "a", port: 6379 },
        { host: "b", port: 1 },
        { host: "::1", port: 2 },
      ],
    });
    for (const text of ["", "a:0", "a:70000", "::1", "a b"]) {
      expect(parseServers(text)).toHaveProperty("reason");
    }
  });

  test("bad text keeps the default, also over an earlier file, and says where", () => {
    const { values, problems } = read(
      ["pmproxy.redis.enabled", "true"],
      ["pmproxy.redis.enabled", "1"],
    );
    expect(values.size).toBe(0);
    expect(problems).toEqual([
      {
        severity: "error",
        file: "f",
        line: 2,
        column: 5,
        message: 'redis.enabled: "1" is neither true nor false',
      },
    ]);
  });

  test("unknown names say what was meant", () => {
    const nearest = (name: string, known: readonly string[]) =>
      known.find((candidate) => candidate[0] === name[0] && name.length > 3);
    const messages = readEntries(
      [
        entry("pmprox.x", ""),
        entry("pmproxy.maxpend", ""),
        entry("http.servers", ""),
        entry(".x", ""),
      ],
      nearest,
    ).problems.map(({ message }) => message);
    expect(messages).toEqual([
      "unknown section [pmprox], did you mean [pmproxy]?",
      'unknown option "maxpend", did you mean "maxpending"?',
      'unknown option "servers" in [http], it belongs to [keys]',
      '"x" is in no section',
    ]);
  });
});

describe("which name wins", () => {
  test("the newer names are read first", () => {
    expect(build(["pmproxy.redis.enabled", "true"]).resp.enabled).toBe(true);
    expect(
      build(["pmproxy.resp.enabled", "false"], ["pmproxy.redis.enabled", "true"]).resp.enabled,
    ).toBe(false);
    const servers = build(["redis.servers", "r:1"], ["pmseries.servers", "s:1"]).keyServer.servers;
    expect(servers).toEqual([{ host: "r", port: 1 }]);
    expect(build(["pmproxy.chunksize", "512"]).http.chunkBytes).toBe(512);
  });

  test("-h and -r replace the servers; the default port alone does not", () => {
    const { values } = read(["keys.servers", "k:7"]);
    const servers = (keyHost: string | undefined, keyPort: number | undefined) =>
      buildSettings(values, { ...given, keyHost, keyPort }).keyServer.servers;
    expect(servers("h", undefined)).toEqual([{ host: "h", port: 6379 }]);
    expect(servers(undefined, 7000)).toEqual([{ host: "localhost", port: 7000 }]);
    expect(servers(undefined, 6379)).toEqual([{ host: "k", port: 7 }]);
  });

  test("a key server is named by any of its names, -h or a port of its own, not by the defaults", () => {
    const named = (pairs: readonly (readonly [string, string])[], keyPort?: number) =>
      buildSettings(read(...pairs).values, { ...given, keyPort }).keyServer.named;
    expect(named([])).toBe(false);
    expect(named([["keys.password", "x"]])).toBe(false);
    expect(named([], 6379)).toBe(false);
    expect(named([], 6380)).toBe(true);
    for (const name of ["keys.servers", "redis.servers", "pmseries.servers"])
      expect(named([[name, "localhost:6379"]])).toBe(true);
  });

  test("the file wins over PMPROXY_MAXPENDING and PMCD_CONNECT_TIMEOUT", () => {
    const arguments_ = { ...given, maxPending: 5, connectTimeoutMs: 100 };
    expect(buildSettings(new Map(), arguments_).listen.maxPending).toBe(5);
    expect(buildSettings(new Map(), arguments_).pcp.connectTimeoutMs).toBe(100);
    const { values } = read(["pmproxy.maxpending", "9"], ["limits.connect.timeout", "7"]);
    expect(buildSettings(values, arguments_).listen.maxPending).toBe(9);
    expect(buildSettings(values, arguments_).pcp.connectTimeoutMs).toBe(7);
  });

  test("the deprecated mode has one port and no unix socket", () => {
    const settings = buildSettings(new Map(), { ...given, deprecated: true, socketPath: "/s" });
    expect(settings.listen.ports).toEqual([44322]);
    expect(settings.listen.socketPath).toBeUndefined();
  });
});

test("a reload's lines", () => {
  const next = build(
    ["http.Access-Control-Max-Age", "60"],
    ["keys.servers", "a:1,b:2"],
    ["keys.password", "s"],
  );
  expect(diffSettings(DEFAULT_SETTINGS, next).map(changeText)).toEqual([
    "Reloaded: http.Access-Control-Max-Age = 60",
    "Not reloadable, restart needed: keys.servers = a:1,b:2",
    "Not reloadable, restart needed: keys.password = (not shown)",
  ]);
});

describe("tls.conf", () => {
  // What pmproxy 6.0.3 took as the certificate of each file.
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["tls-cert-file = /a # b", "/a"],
    ["tls-cert-file = /a#b", "/a"],
    ["tls-cert-file : /a ;b", "/a"],
    ["tls-cert-file:/a=b", "/a=b"],
    ['  tls-cert-file = "/a b"', '"/a'],
    ["tls-cert-file = /a b\r", "/a"],
    ["tls-cert-file = /a\n  /b", "/a"],
    ["tls-cert-file", undefined],
    ["tls-cert-file /a", undefined],
    ["tls-cert-file = /a\ntls-cert-file = /b", "/b"],
    ["TLS-CERT-FILE = /a", undefined],
    ["[x]\ntls-cert-file = /a", "/a"],
    ["tls-cert-file =\ntls-key-file=/k", undefined],
    ["tls-cert-file = /a\n#tls-cert-file = /b\n #tls-cert-file=/c\n ; tls-cert-file=/d", "/a"],
  ];
  test("values end at a blank or #", () => {
    for (const [text, certificate] of rows) {
      expect([text, parseTlsConf(text).values.get("tls-cert-file")]).toEqual([text, certificate]);
    }
  });
  test("what has no effect is told with its place", () => {
    const { problems } = parseTlsConf("x\n tls-cert-fil = /a b\n");
    expect(problems.map(({ line, column, message }) => [line, column, message])).toEqual([
      [1, 1, "not of the form key = value, has no effect"],
      [2, 2, 'unknown key "tls-cert-fil"'],
      [2, 20, "text after the first blank has no effect"],
    ]);
  });
});

describe("whether TLS is set up", () => {
  const decide = (tlsConf: string | undefined, config: Partial<typeof DEFAULT_SETTINGS.secure>) => {
    const decision = resolveTls(
      { ...DEFAULT_SETTINGS.secure, ...config },
      tlsConf === undefined ? undefined : parseTlsConf(tlsConf).values,
    );
    if (decision === undefined) return "off";
    return decision instanceof PcpError ? decision.message : decision.certificates;
  };
  test("recorded decisions", () => {
    expect(decide("", {})).toBe("off");
    expect(decide("tls-key-file=/k", {})).toBe("off");
    expect(decide("tls-ca-cert-dir=/k", {})).toBe("off");
    expect(decide("tls-cert-file=/k", {})).toBe("no private key found");
    expect(decide("tls-cert-file=/k", { enabled: "" })).toBe("off");
    expect(decide("tls-cert-file=/k", { enabled: "yes" })).toBe("no private key found");
    expect(decide(undefined, { enabled: "yes", certificates: "/c" })).toBe("off");
    expect(decide("", { cipherList: "x" })).toBe("no certificate file found");
    expect(decide("tls-cert-file=/k\ntls-key-file=/q", { certificates: "/mine" })).toBe("/mine");
    expect(decide(undefined, { certificates: "/c", privateKey: "/k" })).toBe("/c");
  });
  test("a missing tls.conf without any certificate is no failure", () => {
    expect(decide(undefined, {})).toBe("off");
    expect(decide(undefined, { enabled: "true" })).toBe("off");
  });
});
