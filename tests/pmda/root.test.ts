// Goal: pmdaroot is asked in its own messages (spec pmda.md 10): the real one answers, and one that
// answers nonsense costs the question only.
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { agentOverLink, connectRoot, rootSocketPath } from "../../lib/pmda/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { baseEnvironment, privateFolder } from "../helpers/process.ts";

const codeOf = (promise: Promise<unknown>): Promise<number> =>
  promise.then(
    () => 0,
    (error: unknown) => (error instanceof PcpError ? error.code : 1),
  );

/** It listens a moment after it has greeted. */
const notYet = (error: unknown): undefined => void expect(error).toBeInstanceOf(PcpError);

testWith(["pcp6", "root"], "the real pmdaroot", async () => {
  const folder = privateFolder("root");
  for (const name of ["var", "var/pmcd", "log", "run", "tmp"]) mkdirSync(join(folder, name));
  const own = `PCP_VAR_DIR=${folder}/var\nPCP_LOG_DIR=${folder}/log\nPCP_RUN_DIR=${folder}/run\nPCP_TMP_DIR=${folder}/tmp\n`;
  const rest = readFileSync("/etc/pcp.conf", "utf8").replace(
    /^PCP_(VAR|LOG|RUN|TMP)_DIR=.*\n/gm,
    "",
  );
  writeFileSync(join(folder, "pcp.conf"), rest + own);
  const child = Bun.spawn(["/usr/lib/pcp/pmdas/root/pmdaroot", "-l", join(folder, "root.log")], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    env: { ...baseEnvironment(), PCP_CONF: join(folder, "pcp.conf") },
  });
  const agent = await agentOverLink(child, { name: "root", domain: 1 });
  const path = rootSocketPath({ PCP_VAR_DIR: `${folder}/var` });
  let root = await connectRoot(path).catch(notYet);
  await waitUntil(async () => {
    root ??= await connectRoot(path).catch(notYet);
    return root !== undefined;
  });
  expect(root?.features).toBe(7);
  if (root === undefined) return;
  const [name, ...codes] = await Promise.all([
    root.hostName("", process.pid),
    codeOf(root.hostName("nosuch")),
    codeOf(root.processId("nosuch")),
    codeOf(root.cgroupName("nosuch")),
  ]);
  expect(name).toBe(hostname());
  expect(codes).toEqual([PM_ERR.NOCONTAINER, PM_ERR.NOCONTAINER, PM_ERR.NOCONTAINER]);
  root.close();
  expect(await codeOf(root.hostName("", 1))).toBe(PM_ERR.NOTCONN);
  await agent.close?.();
  await child.exited;
});

const word = (value: number): number[] => [...new Uint8Array(new Int32Array([value]).buffer)];
const message = (type: number, words: readonly number[], text = ""): Buffer => {
  const body = [...words.flatMap(word), ...Buffer.from(text)];
  return Buffer.from([...[type, 16 + body.length, 0, 2].flatMap(word), ...body]);
};

/** A server that greets and then answers each request with the next of these. */
async function serverOf(greeting: Buffer, answers: readonly Buffer[]): Promise<string> {
  const path = join(privateFolder("root"), "root.socket");
  const left = [...answers];
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", () => {
      const answer = left.shift();
      if (answer === undefined) socket.end();
      // In pieces, as streams may bring them.
      else for (const byte of answer) socket.write(new Uint8Array([byte]));
    });
    socket.write(greeting);
  });
  server.unref();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

const greeting = message(0x9000, [7, 0]);

test("answers, in the order of the questions", async () => {
  const root = await connectRoot(
    await serverOf(greeting, [message(0x9002, [0, 3], "abc"), message(0x9004, [77, 0])]),
  );
  const both = [root.hostName("x"), root.processId("x")];
  expect(await Promise.all(both)).toEqual(["abc", 77]);
  expect(await codeOf(root.cgroupName("x"))).toBe(PM_ERR.IPC);
});

test("nonsense, and nobody", async () => {
  expect(await codeOf(connectRoot("/nowhere/root.socket"))).toBe(-2);
  const bad = [message(0x9001, [7, 0]), Buffer.from("x".repeat(40)), message(0x9000, [])];
  for (const each of bad)
    expect(await codeOf(connectRoot(await serverOf(each, [])))).toBe(PM_ERR.IPC);
  const lies = [
    message(0x9004, [1, 0]),
    message(0x9002, [0, 100], "abc"),
    message(0x9002, [0, -1], "abc"),
    Buffer.alloc(10_000),
  ];
  for (const lie of lies) {
    const root = await connectRoot(await serverOf(greeting, [lie]));
    expect(await codeOf(root.hostName("x"))).toBe(PM_ERR.IPC);
  }
});
