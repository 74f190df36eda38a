// Goal: everything that a connection decides without a socket follows the tables of spec pdu.md 7.6
// and 8: settings from the environment, places to try, back-off, TLS or not, the feature check, the
// name shown to the server, tls.conf, and the cutting of long look-ups.
import { describe, expect, test } from "bun:test";
import { PM_ERR } from "../../lib/base/mod.ts";
import { parseHostSpec } from "../../lib/pcp/mod.ts";
import {
  connectionSettings,
  createReconnectPolicy,
  type Environment,
  parseDelays,
  parsePortList,
  parseSeconds,
  planTargets,
  reconnectDelay,
} from "../../lib/pdu/endpoint.ts";
import { describeTarget, type Target } from "../../lib/pdu/target.ts";
import {
  checkFeatures,
  type Place,
  placeOf,
  type Security,
  serverName,
  wantedSecurity,
  wishesOf,
} from "../../lib/pdu/handshake.ts";
import { clientTls, parseTlsConf, readTlsConf, type TlsSettings } from "../../lib/pdu/tlsconf.ts";
import { splitLookup } from "../../lib/pdu/requests.ts";
import { FEATURE } from "../../lib/pdu/types.ts";

const settingsOf = (env: Environment): ReturnType<typeof connectionSettings> =>
  connectionSettings(env, (text) => expect(text).toBe("no warning"));

const code = (number: number): unknown => expect.objectContaining({ code: number });

describe("environment", () => {
  test("defaults", () => {
    expect(settingsOf({})).toEqual({
      connectTimeout: 5000,
      requestTimeout: 10_000,
      reconnectDelays: [5, 10, 20, 40, 80],
      pmcdPorts: [44321],
      proxyHost: undefined,
      proxyPort: 44322,
      defaultSocket: "/run/pcp/pmcd.socket",
      secureSockets: undefined,
      container: undefined,
    });
  });

  test("every variable", () => {
    const settings = settingsOf({
      PMCD_CONNECT_TIMEOUT: "0",
      PMCD_REQUEST_TIMEOUT: "2.7",
      PMCD_RECONNECT_TIMEOUT: "1,2",
      PMCD_PORT: "0xb7a3,4321",
      PMPROXY_HOST: "firewall",
      PMPROXY_PORT: "1,2",
      PMCD_SOCKET: "/tmp/s",
      PCP_SECURE_SOCKETS: "",
      PCP_CONTAINER: "a.b_c-1",
    });
    expect(settings).toEqual({
      connectTimeout: 0,
      requestTimeout: 2700,
      reconnectDelays: [1, 2],
      pmcdPorts: [47011, 4321],
      proxyHost: "firewall",
      proxyPort: 1,
      defaultSocket: "/tmp/s",
      secureSockets: "",
      container: "a.b_c-1",
    });
  });

  test("bad values give PCP's warnings and the defaults", () => {
    const warnings: string[] = [];
    const settings = connectionSettings(
      {
        PMCD_CONNECT_TIMEOUT: "abc",
        PMCD_REQUEST_TIMEOUT: "-1",
        PMCD_RECONNECT_TIMEOUT: "5,x",
        PMCD_PORT: "44321,x",
      },
      (text) => warnings.push(text),
    );
    expect(warnings).toEqual([
      "ignored bad PMCD_CONNECT_TIMEOUT = 'abc'",
      "ignored bad PMCD_REQUEST_TIMEOUT = '-1'",
      "pmReconnectContext: ignored bad PMCD_RECONNECT_TIMEOUT = '5,x'",
      "ignored bad PMCD_PORT = '44321,x'",
    ]);
    expect(settings).toEqual(settingsOf({}));
  });

  test("a bad container name is refused", () => {
    for (const name of ["", "a/b", "a b"])
      expect(() => settingsOf({ PCP_CONTAINER: name })).toThrow(code(-22));
  });

  test.each([
    ["44321", [44321]],
    ["1,0x10,010, 7,+5", [1, 16, 8, 7, 5]],
    ["", [0]],
    ["44321,", [44321, 0]],
    ["112547", [112547]],
    ["-1", undefined],
    ["1,-1", undefined],
    ["1;2", undefined],
    ["08", undefined],
    ["1 ", undefined],
    ["4294967296", undefined],
  ])("port list %j", (text, ports) => {
    expect(parsePortList(text)).toEqual(ports);
  });

  test.each([
    ["5", 5000],
    ["0.5", 500],
    [".5", 500],
    ["1e1", 10_000],
    [" 2.", 2000],
    ["", 0],
    ["1e300", 0x7fffffff],
    ["-0.1", undefined],
    ["1x", undefined],
    ["inf", undefined],
    ["nan", undefined],
  ])("seconds %j", (text, milliseconds) => {
    expect(parseSeconds(text)).toBe(milliseconds as number);
  });

  test.each([
    ["5,10", [5, 10]],
    ["007", [7]],
    ["0", undefined],
    ["1.5", undefined],
    ["", undefined],
    ["1,,2", undefined],
  ])("delays %j", (text, delays) => {
    expect(parseDelays(text)).toEqual(delays);
  });
});

describe("reconnecting", () => {
  test("the delay grows with the failures and the last one repeats", () => {
    const delays = [5, 10, 20, 40, 80];
    expect([0, 1, 2, 3, 4, 5, 6, 100].map((failures) => reconnectDelay(delays, failures))).toEqual([
      0, 5, 10, 20, 40, 80, 80, 80,
    ]);
    expect(reconnectDelay([], 3)).toBe(0);
  });

  test("a policy counts failures from the last success", () => {
    const policy = createReconnectPolicy([1, 2]);
    expect(policy.wait(0)).toBe(0);
    policy.failed(10_000);
    expect(policy.wait(10_000)).toBe(1000);
    expect(policy.wait(10_400)).toBe(600);
    expect(policy.wait(11_000)).toBe(0);
    policy.failed(11_000);
    policy.failed(13_000);
    expect(policy.wait(13_000)).toBe(2000);
    policy.succeeded();
    expect(policy.wait(13_000)).toBe(0);
    policy.failed(14_000);
    expect(policy.wait(14_000)).toBe(1000);
  });
});

describe("places to try", () => {
  const plan = (text: string, env: Environment = {}): string[] =>
    planTargets(parseHostSpec(text, "/s"), settingsOf(env)).map(
      (target) => `${target.kind} ${describeTarget(target)}`,
    );

  test.each<[string, Environment, string[]]>([
    ["app1", {}, ["tcp app1 port 44321"]],
    ["app1", { PMCD_PORT: "1,2" }, ["tcp app1 port 1", "tcp app1 port 2"]],
    ["app1:7,8", { PMCD_PORT: "1" }, ["tcp app1 port 7", "tcp app1 port 8"]],
    ["[::1]:7", {}, ["tcp ::1 port 7"]],
    ["unix:", { PMCD_PORT: "1" }, ["socket /s"]],
    ["unix:/x", {}, ["socket /x"]],
    ["local:", { PMCD_PORT: "1" }, ["socket /s", "tcp localhost port 1"]],
    ["app1:7,8@fw", {}, ["app1 port 7", "app1 port 8"].map((to) => `${to} through fw port 44322`)],
    ["app1:7@fw:9,10", {}, ["app1 port 7 through fw port 9"]],
    ["app1", { PMPROXY_HOST: "fw" }, ["app1 port 44321 through fw port 44322"]],
    ["app1@x", { PMPROXY_HOST: "fw" }, ["app1 port 44321 through x port 44322"]],
    ["app1@x", { PMPROXY_PORT: "5,6" }, ["app1 port 44321 through x port 5"]],
  ])("%s with %j", (text, env, places) => {
    expect(plan(text, env).map((place) => place.replace(/^proxy /, ""))).toEqual(places);
  });

  test("nothing to try", () => {
    expect(() => plan("")).toThrow(code(PM_ERR.NOTHOST));
    for (const text of ["local:", "unix:", "unix:/x"])
      expect(() => plan(text, { PMPROXY_HOST: "fw" })).toThrow(code(-1));
  });
});

describe("TLS or not (8.3)", () => {
  test.each<[string, string | undefined, Security]>([
    ["app1", undefined, "plain"],
    ["app1", "other", "plain"],
    ["app1?secure=relaxed", undefined, "plain"],
    ["pcp://app1?secure=enforce", undefined, "plain"],
    ["app1", "", "secure"],
    ["app1", "1", "secure"],
    ["app1", "enforce", "secure"],
    ["app1", "relaxed", "relaxed"],
    ["app1?secure=relaxed", "1", "secure"],
    ["pcps://app1", undefined, "secure"],
    ["pcps://app1", "relaxed", "secure"],
    ["pcps://app1?secure=", undefined, "secure"],
    ["pcps://app1?secure=1", "relaxed", "secure"],
    ["pcps://app1?secure=enforce", undefined, "secure"],
    ["pcps://app1?secure=relaxed", "1", "relaxed"],
    ["pcps://app1?secure=other", "1", "plain"],
    ["pcps://app1?secure", undefined, "plain"],
    ["pcps://app1?secure", "relaxed", "relaxed"],
    ["pcps://app1?secure", "1", "secure"],
    ["unix:", "1", "secure"],
  ])("%s with PCP_SECURE_SOCKETS %j is %s", (text, variable, wanted) => {
    expect(wantedSecurity(parseHostSpec(text, "/s"), variable)).toBe(wanted);
  });

  test("wishes of attributes", () => {
    const wishes = (text: string, container?: string): ReturnType<typeof wishesOf> =>
      wishesOf(parseHostSpec(text, "/s"), undefined, container);
    expect(wishes("app1")).toEqual({
      security: "plain",
      compress: false,
      sasl: undefined,
      container: undefined,
    });
    expect(wishes("app1?user=u&pass=p&method=plain").sasl).toEqual({
      method: "plain",
      user: "u",
      password: "p",
    });
    for (const attribute of ["userauth", "user", "pass", "method", "realm"])
      expect(wishes(`app1?${attribute}`).sasl).toBeDefined();
    expect(wishes("app1?uid=0&compress").compress).toBe(true);
    expect(wishes("app1?uid=0").sasl).toBeUndefined();
    expect(wishes("app1", "env").container).toBe("env");
    expect(wishes("app1?container=own", "env").container).toBe("own");
    expect(wishes("app1?container", "env").container).toBe("");
  });
});

describe("feature check (8.2)", () => {
  const { SECURE, AUTH, CREDS_REQD, SECURE_ACK, CONTAINER, CERT_REQD } = FEATURE;
  const PLAIN = 0x0e44;
  const TLS = 0x0e55;
  const ALL = 0x0edd;
  const CREDS = PLAIN | CREDS_REQD;
  const check = (
    offered: number,
    wishes: Partial<Parameters<typeof checkFeatures>[1]> = {},
    place: Place = "remote",
  ): ReturnType<typeof checkFeatures> =>
    checkFeatures(
      offered,
      { security: "plain", compress: false, sasl: false, container: false, ...wishes },
      place,
    );

  test("nothing wanted, nothing demanded", () => {
    for (const offered of [PLAIN, TLS, 0])
      expect(check(offered)).toEqual({
        flags: 0,
        tls: false,
        acknowledged: false,
        sasl: false,
        container: false,
      });
  });

  test.each<[string, ReturnType<typeof check>, number, Partial<ReturnType<typeof check>>]>([
    ["TLS", check(TLS, { security: "secure" }), SECURE | SECURE_ACK, { tls: true }],
    ["TLS without ack", check(0x0e45, { security: "secure" }), SECURE, { acknowledged: false }],
    ["relaxed, offered", check(TLS, { security: "relaxed" }), SECURE | SECURE_ACK, { tls: true }],
    ["relaxed, not offered", check(PLAIN, { security: "relaxed" }), 0, { tls: false }],
    ["SASL", check(PLAIN, { sasl: true }), AUTH, { sasl: true }],
    ["container", check(PLAIN, { container: true }), CONTAINER, { container: true }],
    [
      "all three",
      check(TLS, { security: "secure", sasl: true, container: true }),
      SECURE | SECURE_ACK | AUTH | CONTAINER,
      { tls: true, sasl: true, container: true },
    ],
    ["credentials demanded", check(CREDS), CREDS_REQD, { sasl: true }],
    ["the same on a socket", check(CREDS, {}, "socket"), CREDS_REQD, { sasl: false }],
    [
      "on a socket not even what was wanted",
      check(TLS | CREDS_REQD, { security: "secure", sasl: true }, "socket"),
      CREDS_REQD,
      { tls: false, sasl: false },
    ],
    ["localhost is no socket", check(CREDS, {}, "local name"), CREDS_REQD, { sasl: true }],
    [
      "certificate demanded, TLS wanted",
      check(ALL & ~CREDS_REQD, { security: "secure" }),
      SECURE | SECURE_ACK | CERT_REQD,
      { tls: true },
    ],
    ["certificate demanded, but local", check(ALL & ~CREDS_REQD, {}, "local name"), 0, {}],
    ["certificate demanded, but a socket", check(ALL & ~CREDS_REQD, {}, "socket"), 0, {}],
  ])("%s", (_name, agreement, flags, rest) => {
    expect(agreement.flags).toBe(flags);
    expect(agreement).toMatchObject(rest);
  });

  test.each<[string, () => unknown, number]>([
    ["TLS not offered", () => check(PLAIN, { security: "secure" }), -95],
    ["compression", () => check(PLAIN | FEATURE.COMPRESS, { compress: true }), -95],
    ["SASL not offered", () => check(0x0e40, { sasl: true }), -95],
    ["container not offered", () => check(0x0e04, { container: true }), -95],
    ["certificate demanded", () => check(ALL), PM_ERR.NEEDCLIENTCERT],
    [
      "certificate demanded before anything else",
      () => check(ALL, { compress: true }),
      PM_ERR.NEEDCLIENTCERT,
    ],
  ])("refused: %s", (_name, call, expected) => {
    expect(call).toThrow(code(expected));
  });

  test("what counts as local, and the name for the server", () => {
    const socket: Target = { kind: "socket", path: "/s", strict: true };
    const tcp = (host: string): Target => ({ kind: "tcp", host, port: 1 });
    const proxy: Target = {
      kind: "proxy",
      proxyHost: "localhost",
      proxyPort: 1,
      host: "far",
      port: 1,
    };
    expect(
      [socket, tcp("localhost"), tcp("my.localhost.x"), tcp("far"), proxy].map(placeOf),
    ).toEqual(["socket", "local name", "local name", "remote", "local name"]);
    const names = [
      socket,
      tcp("localhost"),
      tcp("localx"),
      tcp("far"),
      proxy,
      tcp("::1"),
      tcp("fe80::1%lo"),
    ];
    expect(names.map((target) => serverName(target, "me"))).toEqual([
      "me",
      "me",
      "me",
      "far",
      "me",
      undefined,
      undefined,
    ]);
  });
});

describe("tls.conf", () => {
  const settingsOf = (text: string): TlsSettings => clientTls(parseTlsConf(text));

  test("the client's keys, in both forms", () => {
    const text = [
      "# comment",
      "tls-ca-cert-file = /ca.pem # and more",
      "tls-ca-cert-dir: /ca.d",
      "  tls-cert-file = /server.pem",
      "tls-key-file=/server.key",
      "tls-ciphers = DEFAULT:!MEDIUM",
      "tls-verify-clients = yes",
      "unknown-key = x",
      "no value",
    ];
    const settings = {
      caFile: "/ca.pem",
      caFolder: "/ca.d",
      certificateFile: "/server.pem",
      keyFile: "/server.key",
      ciphers: "DEFAULT:!MEDIUM",
      verify: true,
    };
    expect(settingsOf(text.join("\n"))).toEqual(settings);
    const own = "\ntls-client-cert-file = /c.pem\ntls-client-key-file = /c.key\n";
    expect(settingsOf(text.join("\n") + own)).toEqual({
      ...settings,
      certificateFile: "/c.pem",
      keyFile: "/c.key",
    });
  });

  test("a value ends where pmproxy 6.0.3 ends it, and an empty one is none", () => {
    const rows: readonly (readonly [string, string | undefined])[] = [
      ["tls-cert-file = /a#b", "/a"],
      ["tls-cert-file : /a ;b", "/a"],
      ["tls-cert-file:/a=b", "/a=b"],
      ['  tls-cert-file = "/a b"', '"/a'],
      ["tls-cert-file = /a b\r", "/a"],
      ["tls-cert-file /a", undefined],
      ["tls-cert-file = /a\ntls-cert-file = /b", "/b"],
      ["TLS-CERT-FILE = /a", undefined],
      ["tls-cert-file =\ntls-key-file=/k", undefined],
    ];
    for (const [text, file] of rows)
      expect([text, settingsOf(text).certificateFile]).toEqual([text, file]);
    const { problems } = parseTlsConf("x\n tls-cert-fil = /a b\n# c\n");
    expect(problems.map(({ line, column, message }) => `${line}:${column} ${message}`)).toEqual([
      "1:1 not of the form key = value, has no effect",
      '2:2 unknown key "tls-cert-fil"',
      "2:20 text after the first blank has no effect",
    ]);
  });

  test("nothing set", () => {
    expect(settingsOf("tls-verify-clients = no\n#tls-ca-cert-file = /x")).toEqual({
      verify: false,
    });
    expect(readTlsConf("/nonexistent/tls.conf")).toEqual({ verify: false });
    expect(() => readTlsConf("/")).toThrow(code(PM_ERR.TLS));
  });
});

describe("long look-ups (9.2)", () => {
  test("requests stay below 63 KiB and keep the order", () => {
    const names = Array.from({ length: 6000 }, (_, i) => `sample.some.longer.name.${i}`);
    const runs = splitLookup(names);
    expect(runs.flat()).toEqual(names);
    expect(runs.length).toBe(3);
    for (const run of runs) {
      const bytes = run.reduce((sum, name) => sum + 4 + ((name.length + 3) & ~3), 24);
      expect(bytes).toBeLessThanOrEqual(63 * 1024);
    }
  });

  test("a few names are one request; a giant name is alone", () => {
    expect(splitLookup(["a", "b"])).toEqual([["a", "b"]]);
    expect(splitLookup(["a", "x".repeat(70_000), "b"]).map((run) => run.length)).toEqual([1, 1, 1]);
    expect(splitLookup([])).toEqual([]);
  });
});
