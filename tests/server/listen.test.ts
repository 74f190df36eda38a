// Goal: every socket that the settings name is opened with its options, what cannot be opened is told
// in PCP's words and ends the start-up only where it should, and a path that is somebody else's is
// never taken away (spec proxy.md 6, 18).
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { skipAloud, testWith } from "../helpers/peers.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { baseEnvironment, must, privateFolder } from "../helpers/process.ts";
import { GREETING, rawClient, serverWith, settingsWith, standIn, stopAll } from "./support.ts";
import type { Changes, TestServer } from "./support.ts";

afterAll(stopAll);

const HEALTHY = "GET /-/healthy HTTP/1.1\r\nConnection: close\r\n\r\n";
const served = async (target: number | string): Promise<boolean> =>
  (await (await rawClient(target, HEALTHY)).end()).startsWith("HTTP/1.1 200 OK");
const rowsOf = ({ proxy }: TestServer) =>
  proxy.rows.map(({ ok, port, family, address }) => [ok, port, family, address]);
const nothing = { data() {} };
/** Why a server does not start. */
const refusal = async (changes: Changes, lines: string[] = []): Promise<string> => {
  try {
    await serverWith(changes, lines);
    return "started";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

/** `ss` is the program that shows what a socket was told. */
const testWithSs = (name: string, body: () => Promise<void>): void => {
  if (Bun.which("ss") !== null) test(name, body);
  else skipAloud(name, "no ss");
};

describe("TCP", () => {
  testWith("ipv6", "several addresses and several ports: every pair", async () => {
    const ports = [await freePort(), await freePort()];
    const server = await serverWith({ listen: { ports, interfaces: ["127.0.0.1", "::1"] } });
    expect(rowsOf(server)).toEqual(
      ports.flatMap((port) => [
        [true, port, "inet", "127.0.0.1"],
        [true, port, "ipv6", "::1"],
      ]),
    );
    for (const port of ports) {
      for (const host of ["127.0.0.1", "::1"]) expect(await isListening({ host, port })).toBe(true);
    }
    server.proxy.close();
    expect(await isListening({ host: "127.0.0.1", port: ports[0] ?? 0 })).toBe(false);
  });

  testWith("ipv6", "the loopback addresses only", async () => {
    const port = await freePort();
    const server = await serverWith({ listen: { ports: [port], localOnly: true } });
    expect(rowsOf(server)).toEqual([
      [true, port, "inet", "INADDR_LOOPBACK"],
      [true, port, "ipv6", "INADDR_LOOPBACK"],
    ]);
  });

  testWith("ipv6", "all addresses: two sockets, one for each family", async () => {
    const port = await freePort();
    const server = await serverWith({ listen: { ports: [port] } });
    expect(rowsOf(server)).toEqual([
      [true, port, "inet", "INADDR_ANY"],
      [true, port, "ipv6", "INADDR_ANY"],
    ]);
    expect(await served(port)).toBe(true);
  });

  test("port 0 is one of the system's choice, on loopback", async () => {
    const server = await serverWith();
    expect(rowsOf(server)).toEqual([[true, 0, "inet", "INADDR_LOOPBACK"]]);
    expect(await served(server.port)).toBe(true);
  });

  test("a name stands for its addresses", async () => {
    const port = await freePort();
    const server = await serverWith({ listen: { ports: [port], interfaces: ["localhost"] } });
    expect(rowsOf(server)).toContainEqual([true, port, "inet", "localhost"]);
  });

  test("an address that is named twice is opened once", async () => {
    const port = await freePort();
    const interfaces = ["127.0.0.1", "localhost", "127.0.0.1"];
    const server = await serverWith({ listen: { ports: [port], portsNamed: true, interfaces } });
    const four = rowsOf(server).filter(([, , family]) => family === "inet");
    expect(four).toEqual([[true, port, "inet", "127.0.0.1"]]);
  });

  test("a name that is none ends the start-up", async () => {
    const failed = refusal({ listen: { ports: [44396], interfaces: ["nosuch.invalid"] } });
    expect(await failed).toContain("OpenRequestSocket(44396, nosuch.invalid) invalid address");
  });

  test("a busy port that was named ends the start-up, and what was opened is closed", async () => {
    const busy = await standIn(() => {});
    const free = await freePort();
    const lines: string[] = [];
    const ports = [free, busy.port];
    const failed = refusal({ listen: { ports, interfaces: ["127.0.0.1"] } }, lines);
    expect(await failed).toContain("pmproxy: can't open any request ports, exiting");
    expect(lines.join("")).toContain(
      `pmproxy: open_request_port - uv_listen failed port=${busy.port} ` +
        "[EADDRINUSE]: address already in use\n",
    );
    expect(await isListening({ host: "127.0.0.1", port: free })).toBe(false);
    expect(await isListening({ host: "127.0.0.1", port: busy.port })).toBe(true);
  });

  test("a busy port that nobody named does not", async () => {
    const busy = await standIn(() => {});
    const free = await freePort();
    const listen = { ports: [busy.port, free], portsNamed: false, interfaces: ["127.0.0.1"] };
    const server = await serverWith({ listen });
    expect(rowsOf(server)).toEqual([
      [false, busy.port, "inet", "127.0.0.1"],
      [true, free, "inet", "127.0.0.1"],
    ]);
    expect(server.proxy.rows[0]?.fd).toBe(-1);
    expect(await served(free)).toBe(true);
  });

  test("no port at all ends it in any case", async () => {
    const busy = await standIn(() => {});
    const listen = { ports: [busy.port], portsNamed: false, interfaces: ["127.0.0.1"] };
    expect(await refusal({ listen })).toContain("can't open any request ports");
  });

  test("an address that is not ours", async () => {
    const lines: string[] = [];
    const listen = { ports: [await freePort()], interfaces: ["192.0.2.1"] };
    expect(await refusal({ listen }, lines)).toContain("can't open any request ports");
    expect(lines.join("")).toContain("[EADDRNOTAVAIL]: address not available");
  });

  testWithSs("the backlog is the one asked for", async () => {
    const port = await freePort();
    await serverWith({ listen: { ports: [port], interfaces: ["127.0.0.1"], maxPending: 77 } });
    const table = await must(["ss", "-Hltn", `sport = :${port}`]);
    expect(table.trim().split(/\s+/)[2]).toBe("77");
  });

  testWithSs("keep-alive is on for both sides of a longer session, and off at 0", async () => {
    for (const [seconds, expected] of [
      [45, 2],
      [0, 0],
    ] as const) {
      const { port } = await serverWith({ listen: { keepaliveSeconds: seconds } });
      const pmcd = await standIn((socket) => {
        socket.on("data", () => socket.write("x"));
      });
      const client = await rawClient(port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
      for (let round = 0; round < 12; round++) {
        await client.got(17 + round);
        client.socket.write("\0\0\0\x0c\0\0\x70\xff\0\0\0\0", "latin1");
      }
      await client.got(29);
      const timers = async (): Promise<number> => {
        const sides = `( sport = :${port} or dport = :${pmcd.port} )`;
        const table = await must(["ss", "-Htno", "state", "established", sides]);
        expect(table.trim().split("\n").length).toBe(2);
        return table.match(/timer:\(keepalive,[34]\dsec,0\)/g)?.length ?? 0;
      };
      // Another timer is shown instead while bytes are not acknowledged.
      await waitUntil(async () => (await timers()) === expected);
      expect(await timers()).toBe(expected);
    }
  });
});

describe("unix socket", () => {
  const folder = privateFolder("listen");
  let last = 0;
  const newPath = (): string => join(folder, `socket${(last += 1)}`);
  const listening = { ports: [0], interfaces: ["127.0.0.1"] };

  test("is for everybody, serves, and goes with the server", async () => {
    const socketPath = newPath();
    const server = await serverWith({ listen: { ...listening, socketPath } });
    expect(rowsOf(server)[0]).toEqual([true, undefined, "unix", socketPath]);
    expect(statSync(socketPath).mode & 0o777).toBe(0o777);
    expect(await served(socketPath)).toBe(true);
    server.proxy.close();
    server.proxy.close();
    expect(existsSync(socketPath)).toBe(false);
  });

  test("replaces a stale one", async () => {
    const [made, socketPath] = [newPath(), newPath()];
    const stale = Bun.listen({ unix: made, socket: nothing });
    renameSync(made, socketPath);
    stale.stop(true);
    expect(lstatSync(socketPath).isSocket()).toBe(true);
    const server = await serverWith({ listen: { ...listening, socketPath } });
    expect(await served(socketPath)).toBe(true);
    server.proxy.close();
  });

  test("leaves a live one alone, and the service goes on", async () => {
    const socketPath = newPath();
    const first = await serverWith({ listen: { ...listening, socketPath } });
    const second = await serverWith({ listen: { ...listening, socketPath } });
    expect(rowsOf(second)[0]).toEqual([false, undefined, "unix", socketPath]);
    expect(second.lines.join("")).toContain(
      `pmproxy: open_request_local - uv_pipe_bind ${socketPath} failed ` +
        "[EADDRINUSE]: address already in use\n",
    );
    expect(await served(second.port)).toBe(true);
    second.proxy.close();
    expect(await served(socketPath)).toBe(true);
    first.proxy.close();
  });

  test("never replaces a file, and says why a directory does not do", async () => {
    const file = newPath();
    writeFileSync(file, "mine");
    const server = await serverWith({ listen: { ...listening, socketPath: file } });
    expect(rowsOf(server)[0]?.[0]).toBe(false);
    server.proxy.close();
    expect(statSync(file).isFile()).toBe(true);
    const nowhere = join(folder, "none", "socket");
    const other = await serverWith({ listen: { ...listening, socketPath: nowhere } });
    expect(other.lines.join("")).toContain(`${nowhere} failed [ENOENT]: no such file or directory`);
  });

  test("does not remove what another process has put there since", async () => {
    const socketPath = newPath();
    const server = await serverWith({ listen: { ...listening, socketPath } });
    renameSync(socketPath, newPath());
    const other = Bun.listen({ unix: socketPath, socket: nothing });
    server.proxy.close();
    expect(existsSync(socketPath)).toBe(true);
    expect(await isListening({ path: socketPath })).toBe(true);
    other.stop(true);
  });

  test("alone is not enough", async () => {
    const listen = { ports: [], portsNamed: false, socketPath: newPath() };
    expect(await refusal({ listen })).toContain("can't open any request ports");
  });
});

describe("inherited", () => {
  test("a socket that the parent has opened", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: nothing });
    const fd = (listener as unknown as { fd: number }).fd;
    const { port } = listener;
    const settings = settingsWith({
      listen: { ports: [], portsNamed: false, inherited: [{ fd: 3, name: "pmproxy" }] },
    });
    const program = join(import.meta.dir, "serve.ts");
    const child = Bun.spawn([process.execPath, program, JSON.stringify(settings)], {
      env: baseEnvironment(),
      stdio: ["pipe", "pipe", "inherit", fd],
    });
    listener.stop(true);
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    expect(Number(new TextDecoder().decode(value))).toBe(port);
    expect(await served(port)).toBe(true);
    child.stdin.write("status\n");
    void child.stdin.flush();
    const status = await reader.read();
    const { listeners } = JSON.parse(new TextDecoder().decode(status.value)) as {
      listeners: unknown[];
    };
    expect(listeners).toEqual([{ ok: true, port, family: "inet", address: "127.0.0.1" }]);
    child.kill("SIGKILL");
    await child.exited;
  });

  test("a descriptor that is no listening socket ends the start-up, named", async () => {
    const listen = { ports: [], portsNamed: false, inherited: [{ fd: 9999, name: "web" }] };
    const failed = refusal({ listen });
    expect(await failed).toMatch(/inherited socket web \(descriptor 9999\)/);
    const file = refusal({ listen: { ...listen, inherited: [{ fd: 0, name: "web" }] } });
    expect(await file).toMatch(/inherited socket web \(descriptor 0\)/);
  });
});
