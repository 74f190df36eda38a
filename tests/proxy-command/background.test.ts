// Goal: without -f the proxy goes to the background with a true verdict: status 0 once it serves, 1
// with its reasons otherwise; log, pid file and user are pmproxy's; start, stop, restart, status and
// reload act on that pid file alone.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statSync,
} from "node:fs";
import { userInfo } from "node:os";
import { lookUpUser } from "../../lib/daemon/daemon.ts";
import { waitUntil } from "../helpers/ports.ts";
import { skipAloud } from "../helpers/peers.ts";
import { run } from "../helpers/process.ts";
import { makeStage, program, type Stage } from "./stage.ts";

setDefaultTimeout(300_000);
const { uid } = userInfo();
const pidOf = (stage: Stage): number => Number(stage.read("run/pmproxy.pid"));
const health = async (stage: Stage): Promise<number | null> =>
  (await stage.proxy(["--health", "-p", `${stage.port}`])).status;

describe("start in the background", () => {
  test("status 0 means that it serves; pid file, session, log", async () => {
    const stage = await makeStage();
    // The soft limit of open files becomes the hard one.
    const limited = ["sh", "-c", 'ulimit -Sn 512; exec "$0" "$@"', ...program];
    const result = await run([...limited, "-A", "-p", `${stage.port}`], {
      cwd: stage.path("work"),
      env: stage.env,
    });
    expect(result).toMatchObject({ status: 0, stdout: "", stderr: "" });
    const pid = pidOf(stage);
    expect(stage.read("run/pmproxy.pid")).toBe(`${pid}`);
    expect(statSync(stage.path("run/pmproxy.pid")).mode & 0o777).toBe(0o444);
    expect(await health(stage)).toBe(0);
    if (process.platform === "linux") {
      const [, , group, session, terminal] = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ");
      expect([group, session, terminal]).toEqual([`${pid}`, `${pid}`, "0"]);
      const [, soft, hard] =
        /Max open files +(\d+) +(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, "utf8")) ?? [];
      expect(soft).toBe(hard ?? "");
    }
    expect(stage.read("work/pmproxy.log")).toContain(`user = root (${uid})`);
    expect((await stage.proxy(["stop"])).status).toBe(0);
    expect(existsSync(stage.path("run/pmproxy.pid"))).toBe(false);
    expect(stage.read("work/pmproxy.log")).toMatch(/pmproxy Shutdown\n\nLog finished .*\n$/);
    expect(await health(stage)).toBe(1);
  });

  test("status 1 brings the reasons; log and -x file have them too", async () => {
    const stage = await makeStage();
    const args = ["-A", "-p", `${stage.port}`];
    expect((await stage.proxy(args)).status).toBe(0);
    const pid = stage.read("run/pmproxy.pid");
    const second = await stage.proxy([...args, "-l", "second.log", "-x", stage.path("fatal")]);
    expect(second.status).toBe(1);
    expect(second.stderr).toContain("[EADDRINUSE]: address already in use\n");
    expect(second.stderr).toEndWith("Error: pmproxy not started due to errors!\n");
    expect(stage.read("work/second.log")).toContain("can't open any request ports, exiting");
    expect(stage.read("fatal")).toStartWith("NOTE: pmproxy not started due to errors!  Log file");
    // The first one is untouched.
    expect(stage.read("run/pmproxy.pid")).toBe(pid);
    expect(await health(stage)).toBe(0);
    expect((await stage.proxy(["stop"])).status).toBe(0);
  });

  test("a log that cannot be written: said, and standard error instead", async () => {
    const stage = await makeStage();
    const args = ["-A", "-p", `${stage.port}`, "-l", "/nonexistent/x", "-T", "0.1"];
    const result = await stage.proxy(args);
    expect(result.stderr).toStartWith(
      'pmproxy: cannot open log "/nonexistent/x" for writing : No such file or directory\n',
    );
    expect(result.stderr).toContain("pmproxy request port(s):");
    expect(result.status).toBe(0);
  });
});

test.skipIf(process.platform !== "linux")("after USR1 the outputs follow the log", async () => {
  const stage = await makeStage();
  expect((await stage.proxy(["-A", "-p", `${stage.port}`])).status).toBe(0);
  const pid = pidOf(stage);
  const log = stage.path("work/pmproxy.log");
  renameSync(log, `${log}.1`);
  process.kill(pid, "SIGUSR1");
  const opened = (): boolean =>
    existsSync(log) && stage.read("work/pmproxy.log").includes("SIGUSR1");
  expect(await waitUntil(opened)).toBe(true);
  for (const fd of [1, 2]) expect(readlinkSync(`/proc/${pid}/fd/${fd}`)).toBe(realpathSync(log));
  expect((await stage.proxy(["stop"])).status).toBe(0);
});

describe("the user", () => {
  const other = lookUpUser("nobody");
  if (uid !== 0 || other === undefined || process.platform !== "linux") {
    skipAloud("changing the user", "only root of a system with the user nobody can");
    return;
  }
  test("root becomes the user for good, in every thread", async () => {
    const stage = await makeStage("nobody");
    chownSync(stage.path("run"), other.uid, other.gid);
    const result = await stage.proxy(["-A", "-p", `${stage.port}`]);
    expect(result).toMatchObject({ status: 0, stderr: "" });
    const status = readFileSync(`/proc/${pidOf(stage)}/status`, "utf8");
    expect(status).toContain(`Uid:\t${[1, 2, 3, 4].map(() => other.uid).join("\t")}\n`);
    expect(status).toContain(`Gid:\t${[1, 2, 3, 4].map(() => other.gid).join("\t")}\n`);
    expect(stage.read("work/pmproxy.log")).toContain(`user = nobody (${other.uid})`);
    expect((await stage.proxy(["stop"])).status).toBe(0);
    expect(existsSync(stage.path("run/pmproxy.pid"))).toBe(false);
  });
  test("an unknown user ends the start", async () => {
    const stage = await makeStage();
    const result = await stage.proxy(["-A", "-p", `${stage.port}`, "-U", "nosuchuser"]);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain("cannot find the nosuchuser user to switch to\n");
    expect(stage.read("work/pmproxy.log")).toContain(" Critical: cannot find the nosuchuser user");
    expect(stage.read("work/pmproxy.log")).toMatch(/\n\nLog finished .*\n$/);
  });
});

test("start, status, reload, restart and stop with their files", async () => {
  const stage = await makeStage();
  stage.write("etc/pmproxy.options", `# options\n-A\n-f -p ${stage.port}\n`);
  stage.write("etc/pmproxy", "PMPROXY_MAXPENDING=9\nPATH=/nonexistent\n");
  // Root makes the log directory; others run where they are.
  const logName = uid === 0 ? "log/pmproxy/pmproxy.log" : "work/pmproxy.log";
  expect(await stage.proxy(["status"])).toMatchObject({
    status: 3,
    stdout: "Checking for pmproxy: stopped\n",
  });
  expect((await stage.proxy(["reload"])).status).toBe(7);
  expect(await stage.proxy(["stop"])).toMatchObject({ status: 0, stdout: "", stderr: "" });

  expect(await stage.proxy(["start"])).toMatchObject({
    status: 0,
    stdout: "Starting pmproxy ... \n",
    stderr: "",
  });
  const first = pidOf(stage);
  const log = (): string => stage.read(logName);
  expect(log()).toContain("Warning: maxpending=9 from PMPROXY_MAXPENDING=9 in environment");
  expect((await stage.proxy(["status"])).stdout).toBe("Checking for pmproxy: running\n");
  expect(JSON.parse((await stage.proxy(["status", "--json"])).stdout)).toEqual({
    state: "running",
    pid: first,
  });
  expect((await stage.proxy(["reload"])).status).toBe(0);
  expect(await waitUntil(() => log().includes("configuration unchanged"))).toBe(true);

  expect((await stage.proxy(["restart"])).status).toBe(0);
  expect(pidOf(stage)).not.toBe(first);
  const stopped = await stage.proxy(["stop"]);
  expect(stopped).toMatchObject({ status: 0, stdout: "Waiting for pmproxy to terminate ...\n" });

  // A pid file whose process is gone is LSB's status 1, and removed by stop.
  stage.write("run/pmproxy.pid", `${first}`);
  expect((await stage.proxy(["status"])).status).toBe(1);
  expect((await stage.proxy(["stop"])).status).toBe(0);
  expect(existsSync(stage.path("run/pmproxy.pid"))).toBe(false);
});

test("start and stop are posted where there is a notice board", async () => {
  const stage = await makeStage();
  const told = (): string => (existsSync(stage.path("told")) ? stage.read("told") : "");
  const pmpost = stage.write("etc/pmpost", `#!/bin/sh\necho "$@" >>${stage.path("told")}\n`);
  chmodSync(pmpost, 0o755);
  appendFileSync(stage.path("pcp.conf"), `PCP_BINADM_DIR=${stage.path("etc")}\n`);
  stage.write("etc/pmproxy.options", `-A -p ${stage.port}\n`);
  expect((await stage.proxy(["start"])).status).toBe(0);
  expect(told()).toBe("");
  stage.write("log/NOTICES", "");
  expect((await stage.proxy(["restart"])).status).toBe(0);
  expect((await stage.proxy(["stop"])).status).toBe(0);
  const from = `pmproxy from ${process.execPath}\n`;
  expect(told()).toBe(`stop ${from}start ${from}stop ${from}`);
  // Nothing ended, nothing posted.
  expect((await stage.proxy(["stop"])).status).toBe(0);
  expect(told().split("\n")).toHaveLength(4);
});

test("an options file that cannot be read is named", async () => {
  const stage = await makeStage();
  mkdirSync(stage.path("etc/pmproxy.options"));
  expect(await stage.proxy(["start", "-A", "-p", `${stage.port}`])).toMatchObject({
    status: 1,
    stderr: `pmproxy: ${stage.path("etc/pmproxy.options")}: cannot be read: EISDIR\n`,
  });
});

test("start without an options file says so and starts", async () => {
  const stage = await makeStage();
  const result = await stage.proxy(["start", "-A", "-p", `${stage.port}`]);
  expect(result.stderr).toBe(
    `pmproxy: no options file "${stage.path("etc/pmproxy.options")}", none used\n`,
  );
  expect(result.status).toBe(0);
  expect(await health(stage)).toBe(0);
  expect((await stage.proxy(["stop"])).status).toBe(0);
});
