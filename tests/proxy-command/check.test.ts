// Goal: `pcpbox proxy --check` names every mistake with file:line:column, gives a verdict per file, and
// starts nothing.

import { expect, setDefaultTimeout, test } from "bun:test";
import { makeStage } from "./stage.ts";

setDefaultTimeout(300_000);

test("every mistake at its place, status 1", async () => {
  const stage = await makeStage();
  const file = stage.write(
    "etc/x.conf",
    [
      "[pmproxy]",
      "maxpendin = 5",
      "resp.enabled = yes",
      "nonsense",
      "[htp]",
      "chunksize = 10",
      "[http]",
      "chunksize = 10",
      "",
    ].join("\n"),
  );
  stage.write("etc/tls.conf", "tls-cert = /a\n");
  const { stdout, status } = await stage.proxy(["--check", "-c", file]);
  expect(stdout.replaceAll(stage.folder, "F").split("\n")).toEqual([
    "F/etc/x.conf:4:1: error: neither [section] nor name = value",
    'F/etc/x.conf:2:1: error: unknown option "maxpendin", did you mean "maxpending"?',
    'F/etc/x.conf:3:16: error: resp.enabled: "yes" is neither true nor false',
    "F/etc/x.conf:6:1: error: unknown section [htp], did you mean [http]?",
    "F/etc/x.conf:8:13: error: chunksize: 10 is not between 128 and 16777216",
    'F/etc/tls.conf:1:1: warning: unknown key "tls-cert"',
    "F/etc/x.conf: 5 errors",
    "",
  ]);
  expect(status).toBe(1);
});

test("a good file, TOML and overrides", async () => {
  const stage = await makeStage();
  const good = stage.write("etc/good.toml", "[limits]\nconnections.max = 5\n");
  const clean = await stage.proxy(["--check", "-c", good]);
  expect(clean).toMatchObject({ status: 0, stdout: `${good}: ok\n`, stderr: "" });
  const overridden = await stage.proxy(["--check", "-c", good], {
    PCP_LIMITS_CONNECTIONS_MAX: "x",
  });
  expect(overridden.status).toBe(1);
  expect(overridden.stdout).toStartWith(
    'PCP_LIMITS_CONNECTIONS_MAX: error: connections.max: "x" is not a whole decimal number\n',
  );
});

test("no file, a missing file, and JSON", async () => {
  const stage = await makeStage();
  const none = await stage.proxy(["--check"]);
  expect(none).toMatchObject({
    status: 0,
    stdout: "pmproxy: no configuration file found, defaults in force\n",
  });
  const missing = await stage.proxy(["--check", "-c", "/nonexistent.conf"]);
  expect(missing).toMatchObject({ status: 1, stdout: "/nonexistent.conf: error: no such file\n" });
  const json = await stage.proxy(["--check", "--json", "-c", stage.write("e.conf", "[x]\ny=1\n")]);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: false,
    files: [{ file: stage.path("e.conf"), errors: 1 }],
    problems: [{ severity: "error", line: 2, column: 1 }],
  });
});

test("a key server's TLS files that are not there, and choices that are none", async () => {
  const stage = await makeStage();
  const text =
    "[keys]\nservers = db\ntls.enabled = true\ntls.ca = /no/ca.pem\n[pmseries]\nstore = redis\n";
  const file = stage.write("etc/k.conf", text);
  const { stdout, status } = await stage.proxy(["--check", "-c", file]);
  expect(stdout.replaceAll(stage.folder, "F").split("\n").slice(0, 2)).toEqual([
    'F/etc/k.conf:6:9: error: store: "redis" is none of auto, keys, embedded',
    expect.stringMatching(/^pmproxy: error: \[keys\] tls\.ca: \/no\/ca\.pem: /),
  ]);
  expect(status).toBe(1);
});
