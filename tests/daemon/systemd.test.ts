// Goal: notifications reach a real unix datagram socket (path and abstract), and sockets that a real
// parent process opens and hands over by LISTEN_FDS are found, described and serve connections.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  listenFds,
  readyState,
  reloadingState,
  sdNotify,
  startWatchdog,
  statusState,
  stoppingState,
  watchdogInterval,
  watchdogState,
} from "../../lib/daemon/systemd.ts";
import { testWith } from "../helpers/peers.ts";

const PYTHON = "/usr/bin/python3";
const systemd = join(import.meta.dir, "../../lib/daemon/systemd.ts");
const folder = mkdtempSync(join(tmpdir(), "systemd-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RECEIVER = `
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.settimeout(120)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("bound", flush=True)
for _ in range(int(sys.argv[2])):
    print(repr(s.recv(4096).decode()), flush=True)
`;

// Opens a listening socket, puts it on descriptor 3 and runs the program given, as a service manager.
const ACTIVATOR = `
import os, socket, sys
kind, name = sys.argv[1], sys.argv[2]
if kind == "unix":
    s = socket.socket(socket.AF_UNIX)
    s.bind("\\0" + name[1:] if name.startswith("@") else name)
elif kind == "udp":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((name, 0))
else:
    s = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
    s.bind((name, 0))
if kind in ("unix", "tcp"):
    s.listen()
if s.fileno() != 3:
    os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDNAMES"] = "proxy"
os.execvp(sys.argv[3], sys.argv[3:])
`;

const SERVICE = `
import { listenFds } from ${JSON.stringify(systemd)};
import { createServer } from "node:net";
const fds = listenFds();
const kept = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"].filter((key) => key in process.env);
const server = createServer((socket) => socket.end("served"));
server.listen({ fd: fds[0].fd }, () => console.log(JSON.stringify({ fds, kept })));
process.stdin.on("end", () => process.exit(0)).resume();
`;

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

async function nextLine(lines: AsyncGenerator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error("the helper ended");
  return value;
}

function receiver(name: string, count: number) {
  const child = Bun.spawn([PYTHON, "-c", RECEIVER, name, String(count)], { stderr: "inherit" });
  return { child, lines: linesOf(child.stdout) };
}

interface Served {
  readonly fds: readonly {
    fd: number;
    name: string;
    family: string;
    address: string;
    port: number;
  }[];
  readonly kept: readonly string[];
}

const servicePath = join(folder, "service.ts");
writeFileSync(servicePath, SERVICE);

async function activated(kind: string, name: string) {
  const command = [PYTHON, "-c", ACTIVATOR, kind, name, process.execPath, servicePath];
  const child = Bun.spawn(command, { stdin: "pipe", stderr: "pipe" });
  return { child, lines: linesOf(child.stdout) };
}

async function answer(to: { port: number; host: string } | { path: string }): Promise<string> {
  const socket = connect(to);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

async function serves(kind: string, name: string) {
  const { child, lines } = await activated(kind, name);
  const { fds, kept } = JSON.parse(await nextLine(lines)) as Served;
  const [first] = fds;
  if (first === undefined) throw new Error("no descriptor");
  const path = name.startsWith("@") ? `\0${name.slice(1)}` : name;
  const text = await answer(kind === "unix" ? { path } : { port: first.port, host: name });
  child.stdin.end();
  await child.exited;
  return { fds, kept, text };
}

describe.skipIf(process.platform !== "linux")("notifications", () => {
  for (const form of ["path", "abstract name"]) {
    test(`by ${form}`, async () => {
      const name =
        form === "path" ? join(folder, "notify") : `@pcpbox-test-${process.pid}-${Date.now()}`;
      const { child, lines } = receiver(name, 5);
      expect(await nextLine(lines)).toBe("bound");
      const env = { NOTIFY_SOCKET: name };
      const states = [
        readyState(77),
        watchdogState(),
        statusState("two\nlines"),
        reloadingState(),
        stoppingState(),
      ];
      for (const state of states) expect(sdNotify(state, env)).toEqual({ sent: true });
      expect(await nextLine(lines)).toBe("'READY=1\\nMAINPID=77'");
      expect(await nextLine(lines)).toBe("'WATCHDOG=1'");
      expect(await nextLine(lines)).toBe("'STATUS=two\\\\x0alines'");
      expect(await nextLine(lines)).toMatch(/^'RELOADING=1\\nMONOTONIC_USEC=[0-9]+'$/);
      expect(await nextLine(lines)).toBe("'STOPPING=1'");
      await child.exited;
    });
  }

  test("the watchdog is fed while the service is alive", async () => {
    const name = join(folder, "watchdog");
    const { child, lines } = receiver(name, 2);
    expect(await nextLine(lines)).toBe("bound");
    let asked = 0;
    const stop = startWatchdog(() => ++asked !== 2, {
      NOTIFY_SOCKET: name,
      WATCHDOG_USEC: "20000",
    });
    expect(await nextLine(lines)).toBe("'WATCHDOG=1'");
    expect(await nextLine(lines)).toBe("'WATCHDOG=1'");
    stop?.();
    expect(asked).toBeGreaterThanOrEqual(3);
    await child.exited;
  });

  test("nobody there is no error", () => {
    expect(sdNotify("READY=1", {})).toEqual({ sent: false, problem: null });
    expect(sdNotify("READY=1", { NOTIFY_SOCKET: "/nowhere/socket" })).toEqual({
      sent: false,
      problem: "NOTIFY_SOCKET /nowhere/socket: sendto: ENOENT",
    });
    expect(sdNotify("READY=1", { NOTIFY_SOCKET: "vsock:2:1" })).toEqual({
      sent: false,
      problem: "NOTIFY_SOCKET: neither a path nor @name: vsock:2:1",
    });
    expect(sdNotify("READY=1", { NOTIFY_SOCKET: `/${"x".repeat(200)}` }).sent).toBe(false);
  });
});

test("the watchdog's interval is half the period, for the process named", () => {
  expect(watchdogInterval({}, 5)).toBeNull();
  expect(watchdogInterval({ WATCHDOG_USEC: "30000000" }, 5)).toBe(15000);
  expect(watchdogInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "5" }, 5)).toBe(15000);
  expect(watchdogInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "6" }, 5)).toBeNull();
  expect(watchdogInterval({ WATCHDOG_USEC: "1" }, 5)).toBe(1);
  expect(() => watchdogInterval({ WATCHDOG_USEC: "soon" }, 5)).toThrow("WATCHDOG_USEC");
  expect(() => watchdogInterval({ WATCHDOG_USEC: "0" }, 5)).toThrow("WATCHDOG_USEC");
  expect(() => watchdogInterval({ WATCHDOG_USEC: "9", WATCHDOG_PID: "me" }, 5)).toThrow(
    "WATCHDOG_PID: not a number: me",
  );
});

describe.skipIf(process.platform !== "linux")("sockets handed over", () => {
  test("IPv4", async () => {
    const { fds, kept, text } = await serves("tcp", "127.0.0.1");
    expect(fds).toMatchObject([{ fd: 3, name: "proxy", family: "tcp4", address: "127.0.0.1" }]);
    expect(kept).toEqual([]);
    expect(text).toBe("served");
  });

  testWith("ipv6", "IPv6", async () => {
    const { fds, text } = await serves("tcp", "::1");
    expect(fds).toMatchObject([{ fd: 3, name: "proxy", family: "tcp6", address: "::1" }]);
    expect(text).toBe("served");
  });

  test("unix by path", async () => {
    const path = join(folder, "handed");
    const { fds, text } = await serves("unix", path);
    expect(fds).toEqual([{ fd: 3, name: "proxy", family: "unix", address: path, port: 0 }]);
    expect(text).toBe("served");
  });

  test("a unix socket with an abstract name", async () => {
    const name = `@pcpbox-handed-${process.pid}-${Date.now()}`;
    const { fds, text } = await serves("unix", name);
    expect(fds).toEqual([{ fd: 3, name: "proxy", family: "unix", address: name, port: 0 }]);
    expect(text).toBe("served");
  });

  test("a datagram or a deaf socket is refused by name", async () => {
    for (const [kind, address] of [
      ["udp", "127.0.0.1"],
      ["deaf", "127.0.0.1"],
    ] as const) {
      const { child } = await activated(kind, address);
      const complaint = await new Response(child.stderr).text();
      expect(complaint).toContain(
        "LISTEN_FDS: descriptor 3 (proxy): not a listening stream socket",
      );
      expect(await child.exited).not.toBe(0);
    }
  });
});

describe("LISTEN_ variables", () => {
  test("of another process, or absent: none, and removed", () => {
    expect(listenFds({})).toEqual([]);
    const env = { LISTEN_PID: "1", LISTEN_FDS: "4", LISTEN_FDNAMES: "x", OTHER: "kept" };
    expect(listenFds(env, 2)).toEqual([]);
    expect<Record<string, string>>(env).toEqual({ OTHER: "kept" });
    expect(listenFds({ LISTEN_PID: "2", LISTEN_FDS: "0" }, 2)).toEqual([]);
    expect(listenFds({ LISTEN_FDS: "1" }, 2)).toEqual([]);
  });

  test("malformed: an error that names the variable", () => {
    const complaint = (env: Record<string, string>) => () => listenFds(env, 2);
    expect(complaint({ LISTEN_PID: "x", LISTEN_FDS: "1" })).toThrow(
      "LISTEN_PID: not a process id: x",
    );
    expect(complaint({ LISTEN_PID: "2", LISTEN_FDS: "-1" })).toThrow("LISTEN_FDS: not a number");
    expect(complaint({ LISTEN_PID: "2", LISTEN_FDS: "99999" })).toThrow("LISTEN_FDS: not a number");
    expect(complaint({ LISTEN_PID: "2", LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b:c" })).toThrow(
      "LISTEN_FDNAMES: 3 names for 2 descriptors",
    );
  });
});
