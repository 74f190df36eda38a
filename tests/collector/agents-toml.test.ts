// Goal: agents.toml says which agents a collector has; every fault of it is told at once, with the
// agent and the key, or line and column where it is no TOML.
import { expect, test } from "bun:test";
import { parseAgentsToml } from "../../lib/collector/agents-toml.ts";

test("one agent of each kind", () => {
  const text = `
    timeout = 2.5
    access = 'disallow * : store;'
    [[agent]]
    builtin = "linux"
    [[agent]]
    name = "mine"
    module = "/etc/mine.ts"
    args = ["-x"]
    domain = 400
    [[agent]]
    dso = "/pmdas/sample/pmda_sample.so"
    init = "sample_init"
    domain = 29
    [[agent]]
    command = ["/bin/pmdasimple", "-d", "253"]
    notready = true
    domain = 253
    [[agent]]
    socket = "unix:/run/agent"
    command = ["/bin/pmdax"]
    domain = 77`;
  expect(parseAgentsToml(text, "agents.toml")).toEqual({
    timeout: 2.5,
    access: "disallow * : store;",
    agents: [
      { label: "linux", domain: undefined, kind: { type: "builtin", name: "linux", args: [] } },
      { label: "mine", domain: 400, kind: { type: "module", path: "/etc/mine.ts", args: ["-x"] } },
      {
        label: "pmda_sample.so",
        domain: 29,
        kind: { type: "dso", path: "/pmdas/sample/pmda_sample.so", init: "sample_init" },
      },
      {
        label: "pmdasimple",
        domain: 253,
        kind: { type: "pipe", notReady: true, command: ["/bin/pmdasimple", "-d", "253"] },
      },
      {
        label: "pmdax",
        domain: 77,
        kind: { type: "socket", family: "unix", address: "/run/agent", command: ["/bin/pmdax"] },
      },
    ],
  });
});

test("an empty file is a table without agents", () => {
  expect(parseAgentsToml("", "f")).toEqual({ agents: [], access: undefined, timeout: undefined });
});

const fault = (text: string): string => {
  try {
    parseAgentsToml(text, "f");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "";
};

test("all faults at once", () => {
  const text = `
    timeout = -1
    colour = "red"
    [[agent]]
    name = "two"
    builtin = "linux"
    dso = "/x.so"
    [[agent]]
    [[agent]]
    dso = "/x.so"
    domain = 3
    [[agent]]
    command = ["/bin/x"]
    domain = 511
    [[agent]]
    socket = "tcp:1"
    domain = 4
    [[agent]]
    builtin = "linux"
    domain = 5
    [[agent]]
    name = "late"
    builtin = "linux"
    domain = 5
    speed = 3`;
  expect(fault(text).split("\n")).toEqual([
    'f: key "colour" is not known',
    'f: agent 1 ("two"): builtin and dso do not go together',
    "f: agent 2: one of builtin, module, dso, command, socket is wanted",
    "f: agent 3: init is wanted",
    "f: agent 4: domain must be a number from 0 to 510",
    'f: agent 5: socket must be "inet:PORT", "ipv6:PORT" or "unix:PATH"',
    'f: agent 7 ("late"): key "speed" is not known',
    "f: timeout must be a number of seconds from 0 to 3600",
  ]);
});

test("two agents of one domain", () => {
  const text = '[[agent]]\nbuiltin="a"\ndomain=5\n[[agent]]\nbuiltin="b"\ndomain=5';
  expect(fault(text)).toBe('f: agent 2: domain 5 is that of "a" already');
});

test("no TOML", () => {
  expect(fault("[[agent]\n")).toStartWith("f:1:9: ");
});
