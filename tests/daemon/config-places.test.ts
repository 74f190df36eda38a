// Goal: PCP's places are found as PCP finds them (environment over pcp.conf over standard paths), an
// ordinary user gets a run directory that can be written, and -C, -M and -P find PEM files.

import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certificateFiles } from "../../lib/daemon/certificates.ts";
import { lookUpUser } from "../../lib/daemon/daemon.ts";
import {
  chooseRunDirectory,
  makeStateDirectory,
  parsePcpConf,
  readPcpConf,
  stateDirectories,
} from "../../lib/daemon/pcpconf.ts";
import { privateFolder } from "../helpers/process.ts";

describe("pcp.conf", () => {
  test("only lines PCP_NAME=value count, the value as it is", () => {
    const text = '# c\nPCP_A=/x y\nPCP_B="q" # no comment\r\n PCP_C=1\nOTHER=1\nPCP_D =2\nPCP_E=\n';
    expect([...parsePcpConf(text)]).toEqual([
      ["PCP_A", "/x y"],
      ["PCP_B", '"q" # no comment'],
      ["PCP_E", ""],
    ]);
  });

  test("environment over file over standard path", () => {
    const path = join(privateFolder("conf"), "pcp.conf");
    writeFileSync(path, "PCP_RUN_DIR=/file\nPCP_LOG_DIR=/file\n");
    const conf = readPcpConf({ PCP_CONF: path, PCP_RUN_DIR: "/environment" });
    expect([conf.found, conf.problem]).toEqual([true, undefined]);
    const names = ["PCP_RUN_DIR", "PCP_LOG_DIR", "PCP_SYSCONF_DIR", "PCP_NONE"];
    expect(names.map((name) => [conf.get(name), conf.origin(name)])).toEqual([
      ["/environment", "environment"],
      ["/file", "file"],
      ["/etc/pcp", "default"],
      [undefined, "none"],
    ]);
  });

  test("no file is normal, an unreadable one is told; PCP_DIR moves the standard paths", () => {
    const folder = privateFolder("conf");
    const none = readPcpConf({ PCP_DIR: folder });
    expect([none.found, none.problem, none.path]).toEqual([
      false,
      undefined,
      join(folder, "etc", "pcp.conf"),
    ]);
    expect(none.get("PCP_RUN_DIR")).toBe(`${folder}/run/pcp`);
    expect(none.get("PCP_USER")).toBe("pcp");
    expect(readPcpConf({ PCP_CONF: folder }).problem).toBe("cannot be read: EISDIR");
    expect(readPcpConf({ PCP_CONF: join(folder, "none") }).problem).toBe("no such file (PCP_CONF)");
  });
});

test("a closed directory hides a file that is looked for, not one that is named", () => {
  const folder = privateFolder("closed");
  const path = join(folder, "pmproxy.conf");
  writeFileSync(path, "");
  chmodSync(folder, 0);
  const module = JSON.stringify(join(import.meta.dir, "../../lib/daemon/config.ts"));
  const body = `
    import { readConfigFile } from ${module};
    if (process.getuid?.() === 0) process.setuid(65534);
    const states = [true, false].map((named) => readConfigFile(${JSON.stringify(path)}, named));
    console.log(states.map(({ state, problems }) => state + problems.length).join(" "));`;
  const child = Bun.spawnSync([process.execPath, "-e", body]);
  chmodSync(folder, 0o700);
  expect(child.stdout.toString() + child.stderr.toString()).toBe("failed1 missing0\n");
});

describe("the run directory", () => {
  const closed = "/proc/1/nowhere";
  const conf = (directory: string) => {
    const path = join(privateFolder("conf"), "pcp.conf");
    writeFileSync(path, `PCP_RUN_DIR=${directory}\n`);
    return readPcpConf({ PCP_CONF: path });
  };
  test("the configured one where it can be written", () => {
    const folder = privateFolder("run");
    expect(chooseRunDirectory(conf(folder), {}, 1000)).toEqual({ path: folder, note: undefined });
  });
  test("root makes it, for the service's user", () => {
    const path = join(privateFolder("run"), "pcp");
    const nobody = lookUpUser("nobody");
    const file = conf(path);
    const asNobody = {
      ...file,
      get: (name: string) => (name === "PCP_USER" ? "nobody" : file.get(name)),
    };
    expect(chooseRunDirectory(asNobody, {}, 0)).toEqual({ path, note: `${path} made` });
    expect(existsSync(path)).toBe(true);
    if (process.getuid?.() === 0 && nobody !== undefined)
      expect(statSync(path).uid).toBe(nobody.uid);
  });
  test("an ordinary user falls back to a place of their own", () => {
    const folder = privateFolder("run");
    const runtime = chooseRunDirectory(conf(closed), { XDG_RUNTIME_DIR: folder, HOME: "/h" }, 1000);
    expect(runtime.path).toBe(join(folder, "pcp"));
    expect(runtime.note).toBe(`${closed} cannot be written, using ${folder}/pcp`);
    const home = chooseRunDirectory(conf(closed), { XDG_RUNTIME_DIR: closed, HOME: folder }, 1000);
    expect(home.path).toBe(join(folder, ".pcp", "run"));
    expect(chooseRunDirectory(conf(closed), {}, 1000).path).toBeUndefined();
  });
  test("one that the environment names is taken as it is", () => {
    const named = readPcpConf({ PCP_CONF: "/nonexistent", PCP_RUN_DIR: closed });
    expect(chooseRunDirectory(named, { HOME: "/h" }, 1000).path).toBe(closed);
  });
});

describe("-C, -M and -P", () => {
  const certificate = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
  const key = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";
  const errorOf = (path: string, name?: string, pass?: string): string => {
    const found = certificateFiles(path, name, pass);
    return found.ok ? "" : found.error;
  };
  test("one file with both, or a directory with a pair", () => {
    const folder = privateFolder("pem");
    const both = join(folder, "both.pem");
    writeFileSync(both, certificate + key);
    expect(certificateFiles(both, undefined, both)).toEqual({
      ok: true,
      value: { certificates: both, privateKey: both, passphraseFile: both },
    });
    mkdirSync(join(folder, "d"));
    writeFileSync(join(folder, "d", "a.crt"), certificate);
    writeFileSync(join(folder, "d", "a.key"), key);
    writeFileSync(join(folder, "d", "b.pem"), certificate);
    writeFileSync(join(folder, "d", "b-key.pem"), `x\n${key}`);
    symlinkSync("nowhere", join(folder, "d", "12ab34cd.0"));
    const pair = (name: string) => {
      const found = certificateFiles(join(folder, "d"), name, undefined);
      return found.ok ? [found.value.certificates, found.value.privateKey] : [found.error];
    };
    expect(pair("a")).toEqual([join(folder, "d", "a.crt"), join(folder, "d", "a.key")]);
    expect(pair("b.pem")).toEqual([join(folder, "d", "b.pem"), join(folder, "d", "b-key.pem")]);
    expect(errorOf(join(folder, "d"))).toEndWith("choose one with -M: a.crt, b.pem");
    expect(errorOf(join(folder, "d"), "c")).toBe(`-C: no PEM certificate named c in ${folder}/d`);
  });
  test("NSS databases are refused by name, other mistakes say what is missing", () => {
    const folder = privateFolder("nss");
    writeFileSync(join(folder, "cert9.db"), "SQLite format 3\0");
    expect(errorOf(folder)).toBe(
      `-C: NSS certificate databases are not read: ${folder} holds no PEM certificate`,
    );
    expect(errorOf(join(folder, "cert9.db"))).toStartWith("-C: NSS certificate databases are not");
    writeFileSync(join(folder, "c.pem"), certificate);
    expect(errorOf(join(folder, "c.pem"))).toStartWith("-C: no private key in ");
    expect(errorOf(join(folder, "none"))).toEndWith("cannot be read: ENOENT");
    chmodSync(folder, 0o755);
  });
});

describe("the places of the service's own files", () => {
  test("a service manager's place alone, else the system's, then the user's", () => {
    const user = { HOME: "/me" };
    expect(stateDirectories({ ...user, STATE_DIRECTORY: "/a:/b" })).toEqual(["/a"]);
    expect(stateDirectories({})).toEqual(["/var/lib/pcpbox"]);
    expect(stateDirectories({ ...user, XDG_STATE_HOME: "/state", PCP_DIR: "/opt" })).toEqual([
      "/opt/var/lib/pcpbox",
      "/state/pcpbox",
      "/me/.local/state/pcpbox",
    ]);
  });

  test("it is made for its user, left alone where it is, and told where it cannot be", () => {
    const folder = privateFolder("state");
    const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const path = join(folder, "a/b");
    expect(makeStateDirectory(path, me)).toBeUndefined();
    expect(statSync(path)).toMatchObject(me);
    expect(makeStateDirectory(path, { uid: me.uid + 1, gid: me.gid })).toBeUndefined();
    expect(statSync(path).uid).toBe(me.uid);
    writeFileSync(join(folder, "file"), "");
    expect(makeStateDirectory(join(folder, "file/x"), me)).toMatch(/\/x cannot be made: ENOTDIR$/);
  });
});
