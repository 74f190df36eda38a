// Goal: access rules are read as pmcd(1) writes them and judge clients as it says: the most specific
// statement about an operation decides, limits count connections, and faults name file and line.
import { describe, expect, test } from "bun:test";
import { asPcpError, PM_ERR } from "../../lib/base/mod.ts";
import {
  type AccessNames,
  type ClientHost,
  createAccessControl,
  OPERATION,
  parseAccess,
} from "../../lib/collector/access.ts";

/** The code that a call fails with; 0 when it does not. */
function codeOf(call: () => unknown): number {
  try {
    call();
  } catch (error) {
    return asPcpError(error).code;
  }
  return 0;
}

const names: AccessNames = {
  addresses: (host) => ({ localhost: ["127.0.0.1", "::1"], clank: ["129.127.112.2"] })[host] ?? [],
  uid: (user) => ({ root: 0, pcp: 997 })[user],
  gid: (group) => ({ wheel: 10 })[group],
};
const control = (text: string) => createAccessControl(parseAccess(text, "test"), names);
const inet = (address: string): ClientHost => ({ kind: "inet", address });
const unix: ClientHost = { kind: "unix" };
const { STORE } = OPERATION;

describe("hosts", () => {
  const rules = `
    disallow ".*" : store;   # every IPv4
    disallow ":*" : store;
    allow "local:*" : all;
    disallow host 129.127.* : all;
    allow host clank : fetch;
    allow hosts 129.127.114.* : all except store;
    disallow host "fe80::223:14ff:*" : fetch;
    disallow host "fd00:*" : all;`;
  const access = control(rules);
  const cases: readonly (readonly [string, ClientHost, number | "refused"])[] = [
    ["unix socket", unix, 0],
    ["loopback", inet("127.0.0.1"), 0],
    ["loopback in IPv6's clothes", inet("::ffff:127.0.0.1"), 0],
    ["IPv6 loopback", inet("::1"), 0],
    ["another address", inet("10.1.2.3"), STORE],
    ["a network", inet("129.127.3.4"), "refused"],
    ["a host in it", inet("129.127.112.2"), STORE],
    ["a smaller network in it", inet("129.127.114.9"), STORE],
    ["the last 16 bits: both operations go", inet("fe80::223:14ff:2"), "refused"],
    ["no more than 16 bits", inet("fe80::223:14ff:1:2"), STORE],
    ["an IPv6 network", inet("fd00::1"), "refused"],
    ["another IPv6 address", inet("2001:db8::1"), STORE],
  ];
  test.each(cases)("%s", (_name, host, wanted) => {
    if (wanted === "refused") expect(codeOf(() => access.admitHost(host))).toBe(PM_ERR.PERMISSION);
    else expect(access.admitHost(host).denied).toBe(wanted);
  });
});

test("connections are counted where the most specific limit stands", () => {
  const access = control(`
    allow host 10.* : all, maximum 3 connections;
    allow host 10.0.0.1 : fetch, maximum 1 connections;`);
  const first = access.admitHost(inet("10.0.0.1"));
  expect(codeOf(() => access.admitHost(inet("10.0.0.1")))).toBe(PM_ERR.CONNLIMIT);
  access.admitHost(inet("10.0.0.2"));
  access.admitHost(inet("10.0.0.3"));
  expect(codeOf(() => access.admitHost(inet("10.0.0.4")))).toBe(PM_ERR.CONNLIMIT);
  first.release();
  first.release();
  access.admitHost(inet("10.0.0.4"));
  expect(codeOf(() => access.admitHost(inet("10.0.0.5")))).toBe(PM_ERR.CONNLIMIT);
});

test("users and groups", () => {
  const access = control(`
    disallow users * : all;
    allow user root : all;
    allow user pcp : fetch;
    disallow group wheel : store;`);
  expect(access.needsAccount).toBe(true);
  expect(access.admitAccount({ uid: 0, gids: [0] }).denied).toBe(0);
  expect(access.admitAccount({ uid: 0, gids: [0, 10] }).denied).toBe(STORE);
  expect(access.admitAccount({ uid: 997, gids: [997] }).denied).toBe(STORE);
  expect(codeOf(() => access.admitAccount({ uid: 1000, gids: [1000] }))).toBe(PM_ERR.PERMISSION);
});

test("without rules everybody may do everything", () => {
  const access = control("");
  expect(access.needsAccount).toBe(false);
  expect(access.admitHost(inet("10.0.0.1")).denied).toBe(0);
});

describe("faults", () => {
  const faults: readonly (readonly [string, string])[] = [
    ["allow host *.melbourne : all;", 'line 7]: Error: bad host "*.melbourne"'],
    ["allow host 129.127.*.* : all;", 'line 7]: Error: bad host "129.127.*.*"'],
    ["allow host 129.127* : all;", 'line 7]: Error: bad host "129.127*"'],
    ['allow host "fe80*" : all;', 'line 7]: Error: bad host "fe80*"'],
    ["allow host a all;", "line 7]: Error: ':' expected, found \"all\""],
    ["\nallow host a : all", "line 8]: Error: ';' expected, found \"\""],
    ["deny host a : all;", "line 7]: Error: 'allow' or 'disallow' expected, found \"deny\""],
    ["allow host a : read;", 'line 7]: Error: operation "read" is not fetch, store or all'],
    ['allow host "a : all;', "line 7]: Error: unterminated quoted string"],
    ["disallow host a : all, maximum 2 connections;", "line 7]: Error: a maximum of connections"],
    ["allow host a : fetch, maximum x connections;", 'line 7]: Error: maximum "x" is no number'],
    ["allow host a : fetch;\ndisallow host a : all;", "line 8]: Error: host a contradicts line 7"],
  ];
  test.each(faults)("%s", (text, wanted) => {
    expect(() => parseAccess(text, "pmcd.conf", 7)).toThrow(wanted);
  });
});
