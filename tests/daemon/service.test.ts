// Goal: the two files of the service script are read as the script reads them; the state of a pid
// file is told apart; only a pmproxy is ever signalled, first gently.

import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  isAlive,
  isPmproxy,
  optionalText,
  parseEnvironmentFile,
  parseOptionsFile,
  serviceState,
  stopProcess,
} from "../../lib/daemon/service.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";

test("pmproxy.options: lines that begin with a hyphen, without -f", () => {
  const text = "# -x a\n-A\n -p 1\n-f -F\n-l  /a b\n\n-p 44322 -f\n";
  expect(parseOptionsFile(text)).toEqual(["-A", "-F", "-l", "/a", "b", "-p", "44322"]);
});

test("the environment file: PMPROXY variables only", () => {
  const text =
    '# c\nPMPROXY_LOCAL=1 lost\nPMPROXY_PORT="1,2"\nPATH=/evil\n PMPROXY_X=1\nPMPROXY_MAXPENDING=\nLD_PRELOAD=x\n';
  expect(parseEnvironmentFile(text)).toEqual({
    PMPROXY_LOCAL: "1",
    PMPROXY_PORT: "1,2",
    PMPROXY_MAXPENDING: "",
  });
});

test("a missing file is no error, an unreadable one is", () => {
  expect(optionalText("/nonexistent/x")).toBeUndefined();
  expect(() => optionalText("/")).toThrow();
});

describe("a process", () => {
  const named = (name: string, folder: string) =>
    startDaemon(["bash", "-c", `exec -a ${name} sleep 60`], join(folder, "log"));

  test("is known by its name, its state by the pid file", async () => {
    const folder = privateFolder("service");
    const pidFile = join(folder, "pmproxy.pid");
    expect(serviceState(pidFile, process.execPath)).toEqual({ state: "stopped" });
    const ours = named("/x/pmproxy", folder);
    const other = named("other", folder);
    expect(await waitUntil(() => isPmproxy(ours.pid, process.execPath))).toBe(true);
    expect(isPmproxy(other.pid, process.execPath)).toBe(false);
    writeFileSync(pidFile, `${ours.pid}`);
    expect(serviceState(pidFile, process.execPath)).toEqual({ state: "running", pid: ours.pid });
    writeFileSync(pidFile, `${other.pid}`);
    expect(serviceState(pidFile, process.execPath)).toEqual({ state: "dead" });
    await other.stop();
    const said: string[] = [];
    expect(await stopProcess(ours.pid, (text) => said.push(text))).toBe(true);
    expect(await ours.ended).toBeNull();
    expect(isAlive(ours.pid)).toBe(false);
    expect(said.join("")).not.toContain("Forcing");
    writeFileSync(pidFile, `${ours.pid}`);
    expect(serviceState(pidFile, process.execPath)).toEqual({ state: "dead" });
  });
});
