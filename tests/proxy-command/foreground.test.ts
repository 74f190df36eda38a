// Goal: `pcpbox proxy -f` writes pmproxy's log, says what it took from the environment, stops, reloads,
// reopens its log and dumps its state on signals, and refuses to start with pmproxy's words.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, renameSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { waitUntil } from "../helpers/ports.ts";
import { makeStage, settled } from "./stage.ts";

setDefaultTimeout(300_000);
const { uid } = userInfo();
const host = hostname();

test("the log is pmproxy's, from the header to the end", async () => {
  const stage = await makeStage();
  const args = ["-f", "-A", "-l", "-", "-p", `${stage.port}`, "-i", "127.0.0.1"];
  const daemon = await stage.serve(args);
  daemon.signal("SIGTERM");
  expect(await daemon.ended).toBe(0);
  const lines = settled(stage.read("console"), stage, host)
    .split("\n")
    .filter((line) => !line.includes("limits.connections"));
  expect(lines.join("\n")).toBe(
    [
      "Log for pmproxy on HOST started TIME",
      "",
      `pmproxy: PID = N, PDU version = 2, user = root (${uid})`,
      "pmproxy request port(s):",
      "  sts fd   port  family address",
      "  === ==== ===== ====== =======",
      "  ok    FD       unix   FOLDER/run/pmproxy.socket",
      "  ok    FD PORT inet   127.0.0.1",
      "[TIME] pmproxy(PID) Info: no configuration file found, default setup",
      "[TIME] pmproxy(PID) Info: pmproxy caught SIGTERM",
      "[TIME] pmproxy(PID) Info: pmproxy Shutdown",
      "",
      "Log finished TIME",
      "",
    ].join("\n"),
  );
  expect(existsSync(stage.path("run/pmproxy.pid"))).toBe(false);
  expect(existsSync(stage.path("run/pmproxy.socket"))).toBe(false);
});

test("the environment, ports given twice and -L are told", async () => {
  const stage = await makeStage();
  const args = ["-f", "-A", "-l", "-", "-p", `${stage.port}`, "-L", "0x8000", "-T", "0.2"];
  const daemon = await stage.serve(args, {
    // As in PCP's own tests: clients take a port above 65535 modulo 65536, and so do we.
    PMPROXY_PORT: `${stage.port + 65_536}`,
    PMPROXY_LOCAL: "1",
    PMPROXY_MAXPENDING: "7",
    PMCD_CONNECT_TIMEOUT: "soon",
  });
  expect(await daemon.ended).toBe(0);
  const text = stage.read("console").replaceAll(`${stage.port + 65_536}`, "HIGH");
  const log = settled(text, stage, host);
  expect(log).toContain(
    [
      "Warning: nports=2 from PMPROXY_PORT=HIGH in environment",
      "Warning: localhost only from PMPROXY_LOCAL=1 in environment",
      "Warning: maxpending=7 from PMPROXY_MAXPENDING=7 in environment",
      "pmproxy: PID = N",
    ].join("\n"),
  );
  expect(log).toContain("Warning: pmproxy: duplicate client request port (PORT) will be ignored");
  expect(log).toContain(
    "Info: -L from command line: max incoming PDU size changed from 65536 to 32768",
  );
  expect(log).toContain("environment: warning: ignored bad PMCD_CONNECT_TIMEOUT = 'soon'");
  expect(log).toContain("environment: warning: PMPROXY_PORT: HIGH is no port, taken as PORT");
  expect(log).toContain("INADDR_LOOPBACK");
  // -T ends without the word of a shutdown.
  expect(log).not.toContain("Shutdown");
  expect(log).toEndWith("\nLog finished TIME\n");
});

test("with -D connections are told, as PCP's own tests count them", async () => {
  const stage = await makeStage();
  const args = ["-f", "-A", "-l", "-", "-Dcontext", "-p", `${stage.port}`];
  const daemon = await stage.serve(args);
  const lines = (text: string): number => stage.read("console").split(text).length - 1;
  for (let client = 1; client <= 2; client++) {
    expect((await stage.proxy(["--health", "-p", `${stage.port}`])).status).toBe(0);
    expect(await waitUntil(() => lines("client connection closed\n") === client)).toBe(true);
    expect(lines("accept new client 127.0.0.1\n")).toBe(client);
  }
  await daemon.stop();
});

test("a reload takes over what is live and tells the rest", async () => {
  const stage = await makeStage();
  const file = stage.write("etc/site.conf", "[http]\nAccess-Control-Max-Age = 10\n");
  const args = ["-f", "-A", "-l", "-", "-p", `${stage.port}`, "-c", file];
  const daemon = await stage.serve(args);
  const says = (text: string) => () => stage.read("console").includes(text);
  stage.write(
    "etc/site.conf",
    "[http]\nAccess-Control-Max-Age = 60\nchunksize = x\n[keys]\nservers = k:1\n",
  );
  daemon.signal("SIGHUP");
  expect(await waitUntil(says("restart needed"), daemon.alive)).toBe(true);
  daemon.signal("SIGHUP");
  expect(await waitUntil(() => stage.read("console").split("SIGHUP").length > 2)).toBe(true);
  await daemon.stop();
  const log = settled(stage.read("console"), stage, host);
  expect(log).toContain("Info: configuration of FOLDER/etc/site.conf setup");
  expect(log).toContain("Info: pmproxy caught SIGHUP");
  expect(log).toContain("Info: Reloaded: http.Access-Control-Max-Age = 60");
  expect(log).toContain("Info: Not reloadable, restart needed: keys.servers = k:1");
  expect(log).toContain(
    'Warning: FOLDER/etc/site.conf:3:13: error: chunksize: "x" is not a whole decimal number',
  );
  // What is in force is not told again, what needs a restart is.
  expect(log.split("Reloaded:")).toHaveLength(2);
  expect(log.split("restart needed:")).toHaveLength(3);
});

test("the log is opened again and the state is dumped", async () => {
  const stage = await makeStage();
  const log = stage.path("work/pmproxy.log");
  const args = ["-f", "-A", "-p", `${stage.port}`];
  const daemon = await stage.serve(args, {}, "work/pmproxy.log");
  const begun = (): boolean => stage.read("work/pmproxy.log").includes(" setup\n");
  expect(await waitUntil(begun, daemon.alive)).toBe(true);
  renameSync(log, `${log}.1`);
  daemon.signal("SIGUSR1");
  expect(await waitUntil(() => existsSync(log), daemon.alive)).toBe(true);
  daemon.signal("SIGUSR2");
  const dumped = (): boolean => /\n\}\n/.test(stage.read("work/pmproxy.log"));
  expect(await waitUntil(dumped, daemon.alive)).toBe(true);
  await daemon.stop();
  expect(stage.read("work/pmproxy.log.1")).not.toContain("SIGUSR1");
  const text = stage.read("work/pmproxy.log");
  expect(text).toContain("pmproxy caught SIGUSR1, log opened");
  const state: unknown = JSON.parse(text.slice(text.indexOf("{"), text.indexOf("\n}\n") + 2));
  expect(state).toHaveProperty("pid", daemon.pid);
});

describe("no start", () => {
  const started = "pmproxy not started due to errors!";

  test("a named port is taken: PCP's words and status 1, the live socket is left alone", async () => {
    const stage = await makeStage();
    const args = ["-f", "-A", "-l", "-", "-p", `${stage.port}`];
    const daemon = await stage.serve(args);
    const second = await stage.proxy([...args, "-x", stage.path("fatal")]);
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(
      /Error: pmproxy: open_request_port - uv_listen failed.*EADDRINUSE/,
    );
    expect(second.stderr).toContain("Error: pmproxy: can't open any request ports, exiting\n");
    expect(second.stderr).toContain(`Error: ${started}\n`);
    const socket = stage.path("run/pmproxy.socket");
    const answer = await fetch("http://localhost/-/healthy", { unix: socket });
    expect(answer.status).toBe(200);
    await daemon.stop();
  });

  test("mistakes on the command line and in the environment", async () => {
    const stage = await makeStage();
    const refused = async (args: readonly string[], env = {}): Promise<string> => {
      const result = await stage.proxy(["-f", "-l", "-", ...args], env);
      expect(result.status).toBe(1);
      return result.stderr;
    };
    const bad = await refused(["-p", "44x"]);
    expect(bad).toStartWith("pmproxy: -p requires a positive numeric argument (44x)\nUsage:");
    expect(bad).toEndWith(`Error: ${started}\n`);
    expect(await refused(["-T", "1 parsec"])).toStartWith("pmproxy: bad -T interval format:\n");
    expect(await refused(["-F"])).toContain("pmproxy: at most one of -f and -F allowed\n");
    expect(await refused([], { PMPROXY_PORT: "x" })).toContain(
      "Error: PMPROXY_PORT requires a positive numeric argument (x)\n",
    );
    expect(await refused([], { PMPROXY_PORT: "4294967296" })).toContain("positive numeric");
    expect(await refused(["-C", "/nonexistent"])).toContain("-C: /nonexistent cannot be read");
  });

  test("TLS without a key", async () => {
    const stage = await makeStage();
    stage.write("etc/tls.conf", "tls-cert-file = /none\n");
    const result = await stage.proxy(["-f", "-l", "-", "-p", `${stage.port}`]);
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/Error: OpenSSL \S+ - no private key found\n/);
  });
});
