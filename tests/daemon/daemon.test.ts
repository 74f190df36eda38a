// Goal: the pieces of a daemon's life have PCP's exact forms: header, pid line, port table, end; log
// file with the old one kept; pid file that only its owner removes; users; the name a copy is
// started under. Whole starts are tested in tests/proxy-command.

import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  DAEMON_VARIABLE,
  daemonRole,
  findUser,
  logFooter,
  logHeader,
  logNameWithPid,
  lookUpUser,
  openLogFile,
  pidLine,
  portTable,
  readPidFile,
  removePidFile,
  reportFailure,
  selfAs,
  writePidFile,
} from "../../lib/daemon/daemon.ts";
import { privateFolder } from "../helpers/process.ts";

const at = new Date(2026, 10, 21, 21, 18, 24);

describe("what the log holds", () => {
  test("header, pid line, table and end", () => {
    const rows = [
      { ok: true, fd: 11, port: undefined, family: "unix", address: "/run/pcp/pmproxy.socket" },
      { ok: true, fd: 12, port: 44322, family: "inet", address: "INADDR_ANY" },
      { ok: false, fd: -1, port: 443, family: "ipv6", address: "INADDR_ANY" },
    ];
    expect(logHeader("pmproxy", "vm", at)).toBe(
      "Log for pmproxy on vm started Sat Nov 21 21:18:24 2026\n\n",
    );
    expect(pidLine("pmproxy", 31337, "pcp", 999)).toBe(
      "pmproxy: PID = 31337, PDU version = 2, user = pcp (999)\n",
    );
    expect(portTable("pmproxy", rows)).toBe(
      [
        "pmproxy request port(s):",
        "  sts fd   port  family address",
        "  === ==== ===== ====== =======",
        "  ok    11       unix   /run/pcp/pmproxy.socket",
        "  ok    12 44322 inet   INADDR_ANY",
        "  err   -1   443 ipv6   INADDR_ANY",
        "",
      ].join("\n"),
    );
    expect(logFooter(at)).toBe("\nLog finished Sat Nov 21 21:18:24 2026\n");
  });

  test("-Dappl1 puts the pid before the last dot", () => {
    expect(logNameWithPid("pmproxy.log", 5)).toBe("pmproxy.5.log");
    expect(logNameWithPid("/a.b/log", 5)).toBe("/a.b/log.5");
  });
});

describe("log file", () => {
  test("the old one becomes .prev", () => {
    const path = join(privateFolder("log"), "x.log");
    writeFileSync(path, "old");
    const log = openLogFile("pmproxy", path);
    writeSync(log.fd, "new");
    expect([log.path, log.problem]).toEqual([path, undefined]);
    expect([readFileSync(path, "utf8"), readFileSync(`${path}.prev`, "utf8")]).toEqual([
      "new",
      "old",
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });
  test("a link is written to and stays where it is", () => {
    const folder = privateFolder("log");
    writeFileSync(join(folder, "target"), "old\n");
    symlinkSync("target", join(folder, "x.log"));
    const log = openLogFile("pmproxy", join(folder, "x.log"));
    writeSync(log.fd, "new\n");
    expect(readFileSync(join(folder, "target"), "utf8")).toBe("old\nnew\n");
    expect(existsSync(join(folder, "x.log.prev"))).toBe(false);
  });
  test("one that cannot be opened: PCP's words, and standard error", () => {
    expect(openLogFile("pmproxy", "/nonexistent/x")).toEqual({
      fd: 2,
      path: undefined,
      problem: 'pmproxy: cannot open log "/nonexistent/x" for writing : No such file or directory',
    });
    expect(openLogFile("pmproxy", "-")).toEqual({ fd: 2, path: undefined, problem: undefined });
  });
  test("-x gets the log so far", () => {
    const folder = privateFolder("x");
    const path = join(folder, "x.log");
    writeFileSync(path, "line\n");
    const fatal = join(folder, "fatal");
    reportFailure("pmproxy", fatal, path);
    const note = "NOTE: pmproxy not started due to errors!  Log file";
    expect(readFileSync(fatal, "utf8")).toBe(`${note} "${path}" contains ...\nline\n`);
    reportFailure("pmproxy", fatal, join(folder, "none"));
    expect(readFileSync(fatal, "utf8")).toBe(`${note} "${folder}/none" has vanished!\n`);
    reportFailure("pmproxy", join(folder, "no", "such"), path);
  });
});

describe("pid file", () => {
  test("the number without newline, mode 0444, replacing an old one", () => {
    const path = join(privateFolder("pid"), "pmproxy.pid");
    writeFileSync(path, "1\n");
    writePidFile(path, 4711);
    expect(readFileSync(path, "utf8")).toBe("4711");
    expect(statSync(path).mode & 0o777).toBe(0o444);
    expect(() => writePidFile("/nonexistent/p", 1)).toThrow("cannot open PID file /nonexistent/p");
  });
  test("only its owner removes it", () => {
    const path = join(privateFolder("pid"), "pmproxy.pid");
    writePidFile(path, 4711);
    expect(removePidFile(path, 4712)).toBeUndefined();
    expect(existsSync(path)).toBe(true);
    expect(removePidFile(path, 4711)).toBeUndefined();
    expect(existsSync(path)).toBe(false);
    expect(removePidFile(path, 4711)).toBeUndefined();
  });
  test("nothing but a number is read", () => {
    const path = join(privateFolder("pid"), "p");
    for (const text of ["", "0", "-5", "12 13", "99999999999", "x"]) {
      writeFileSync(path, text);
      expect(readPidFile(path)).toBeUndefined();
    }
    writeFileSync(path, "12\n");
    expect(readPidFile(path)).toBe(12);
    expect(() => readPidFile(dirname(path))).toThrow("cannot read PID file");
  });
});

test("users of the user database", () => {
  const passwd = "root:x:0:0:root:/root:/bin/sh\n# c\npcp:x:999:995::/:/sbin/nologin\nbad:x:a:b\n";
  expect(findUser(passwd, "pcp")).toEqual({ name: "pcp", uid: 999, gid: 995 });
  expect(findUser(passwd, "bad")).toBeUndefined();
  expect(lookUpUser("no:such")).toBeUndefined();
  expect(lookUpUser("root")?.uid).toBe(0);
});

test("a copy is started under the name that was called", () => {
  const folder = privateFolder("self");
  const real = join(folder, "pcpbox");
  const link = join(folder, "pmproxy");
  writeFileSync(real, "");
  chmodSync(real, 0o755);
  symlinkSync("pcpbox", link);
  expect(selfAs(real, link, undefined, {})).toEqual({ file: link, argv0: link, prefix: [] });
  expect(selfAs(real, "pmproxy", undefined, { PATH: `/nonexistent:${folder}` }).file).toBe(link);
  // A name that leads elsewhere is not trusted.
  expect(selfAs(real, "sh", "/x/main.ts", { PATH: "/bin:/usr/bin" })).toEqual({
    file: real,
    argv0: "sh",
    prefix: ["/x/main.ts"],
  });
});

test("the role is taken out of the environment", () => {
  const environment: Record<string, string | undefined> = { [DAEMON_VARIABLE]: "/l", X: "1" };
  expect(daemonRole(environment)?.logPath).toBe("/l");
  expect(environment).toEqual({ X: "1" });
  expect(daemonRole(environment)).toBeUndefined();
});
