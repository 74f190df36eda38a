// Goal: the calls of the C library work for real on this machine (limits seen by the kernel, datagrams
// received by another program), and failures are PcpErrors with the errno.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  lockFile,
  monotonicNanoseconds,
  openFileLimit,
  PcpError,
  replaceDescriptor,
  sendUnixDatagram,
  socketName,
  utf8,
} from "../../lib/base/mod.ts";

const folder = mkdtempSync(join(tmpdir(), "libc-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const library = join(import.meta.dir, "../../lib/base/mod.ts");

/** Runs `body` with the room `base` in scope as `base` in a process of its own. */
function script(body: string): string {
  const source = `import * as base from ${JSON.stringify(library)};\n${body}`;
  const child = Bun.spawnSync([process.execPath, "-e", source]);
  expect(child.stderr.toString()).toBe("");
  return child.stdout.toString();
}

function codeOf(action: () => void): number {
  try {
    action();
  } catch (cause) {
    if (cause instanceof PcpError) return cause.code;
    throw cause;
  }
  return 0;
}

/** The descriptor of a listening node:net server of this process, found by its port. */
function descriptorsOf(port: number): number[] {
  const found: number[] = [];
  for (let fd = 3; fd < 256; fd++) {
    try {
      if (socketName(fd).port === port) found.push(fd);
    } catch (cause) {
      if (!(cause instanceof PcpError)) throw cause;
    }
  }
  return found;
}

describe.skipIf(process.platform !== "linux")("the C library", () => {
  test("the limit of open files is the kernel's", () => {
    const seen = /open files +(\d+) +(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"));
    const { soft, hard } = openFileLimit();
    expect([String(soft), String(hard)]).toEqual([seen?.[1] ?? "", seen?.[2] ?? ""]);
  });

  test("the monotonic clock is the kernel's, not the process's", () => {
    const before = monotonicNanoseconds();
    const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(monotonicNanoseconds()).toBeGreaterThanOrEqual(before);
    // /proc/uptime also counts suspended time, so it is the upper bound
    expect(Number(before / 1_000_000_000n)).toBeLessThanOrEqual(uptime + 1);
    expect(before).toBeGreaterThan(0n);
  });

  test("a socket's name, family and state", async () => {
    const four = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => four.once("listening", resolve));
    const { port } = four.address() as AddressInfo;
    const [fd] = descriptorsOf(port);
    expect(fd).toBeDefined();
    expect(socketName(fd ?? -1)).toEqual({
      family: "tcp4",
      address: "127.0.0.1",
      port,
      listening: true,
    });
    four.close();
  });

  test("a descriptor takes the place of another", () => {
    const body = `
      const { openSync, readFileSync, writeSync } = require("node:fs");
      base.replaceDescriptor(openSync(${JSON.stringify(join(folder, "taken"))}, "w"), 1);
      writeSync(1, "to the file");`;
    expect(script(body)).toBe("");
    expect(readFileSync(join(folder, "taken"), "utf8")).toBe("to the file");
    expect(codeOf(() => replaceDescriptor(999, 998))).toBe(-9);
  });

  test("a file is locked by one process, until that ends", () => {
    const path = join(folder, "lock");
    const body = `
      const { openSync } = require("node:fs");
      const lock = () => base.lockFile(openSync(${JSON.stringify(path)}, "a"));
      console.log(lock(), lock());`;
    expect(script(body)).toBe("true false\n");
    expect(script(body)).toBe("true false\n");
    expect(codeOf(() => lockFile(999))).toBe(-9);
  });

  test("failures carry the negated errno and the call's name", () => {
    const send = (path: string): number => codeOf(() => sendUnixDatagram(utf8(path), utf8("x")));
    expect(send(join(folder, "nobody"))).toBe(-2);
    expect(send("\0nobody-there")).toBe(-111);
    expect(send("x".repeat(108))).toBe(-36);
    expect(send("")).toBe(-36);
    expect(codeOf(() => sendUnixDatagram(utf8("/x"), new Uint8Array(65537)))).toBe(-90);
    expect(codeOf(() => socketName(999))).toBe(-9);
    expect(() => sendUnixDatagram(utf8("/nowhere/x"), utf8("x"))).toThrow("sendto: ENOENT");
  });

  test("bun:ffi is no import of the room", async () => {
    const path = join(import.meta.dir, "../../lib/base/libc.ts");
    const imports = new Bun.Transpiler({ loader: "ts" }).scanImports(await Bun.file(path).text());
    const atTop = imports.filter(({ kind }) => kind === "import-statement");
    expect(atTop.map((entry) => entry.path)).toEqual(["./errors.ts"]);
  });
});
