// Goal: the compiled executable is as safe and as complete as the sources say. What stands in the
// working directory cannot reach it, it answers to the names of the programs it stands in for, long
// output into a pipe is whole, and it knows what it was built from.
// Needs dist/pcpbox (`make build`; `make test` builds it first).
import { dlopen } from "bun:ffi";
import { beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import packageJson from "../../package.json";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { must, privateFolder, run, startDaemon } from "../helpers/process.ts";
import { root, textOf } from "../helpers/tree.ts";

const binary = join(root, "dist", "pcpbox");

beforeAll(() => {
  if (!existsSync(binary)) throw new Error("dist/pcpbox is missing: make build");
});

/** A folder whose bunfig.toml and .env would run code in, or set PMPROXY_PORT of, a careless program. */
function hostileFolder(port: number): { folder: string; marker: string } {
  const folder = privateFolder("hostile");
  const marker = join(folder, "preloaded");
  const preload = 'preload = ["./preload.ts"]\n';
  writeFileSync(join(folder, "bunfig.toml"), `${preload}[run]\n${preload}[test]\n${preload}`);
  writeFileSync(
    join(folder, "preload.ts"),
    `require("node:fs").writeFileSync(${JSON.stringify(marker)}, "");\n`,
  );
  for (const name of [".env", ".env.local", ".env.production", ".env.development"]) {
    writeFileSync(join(folder, name), `PMPROXY_PORT=${port}\n`);
  }
  // Files at the paths of the program's own entries, which it must find in itself.
  for (const path of [join("lib", "server"), join("lib", "discover"), "cmd"]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  for (const path of [
    "lib/server/pump-thread.ts",
    "lib/discover/survey-thread.ts",
    "cmd/main.ts",
  ]) {
    copyFileSync(join(folder, "preload.ts"), join(folder, path));
  }
  writeFileSync(join(folder, "tsconfig.json"), '{"compilerOptions": {"paths": {"*": ["./evil"]}}}');
  writeFileSync(
    join(folder, "package.json"),
    '{"name": "hostile", "imports": {"#*": "./evil.ts"}}',
  );
  return { folder, marker };
}

/** Sends a PDU through the proxy to a server that sends everything back; answers what came back. */
async function relayed(proxyPort: number, pdu: Uint8Array): Promise<Uint8Array> {
  const echo = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket, bytes) => void socket.write(bytes) },
  });
  const greeting = "pmproxy-server 1\n";
  const got: Uint8Array[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: proxyPort,
    socket: {
      open: (socket) => void socket.write("pmproxy-client 1\n"),
      close: () => reject(new Error("the proxy hung up")),
      data: (socket, bytes) => {
        const before = Buffer.concat(got).length;
        got.push(Uint8Array.from(bytes));
        const all = Buffer.concat(got);
        if (before < greeting.length && all.length >= greeting.length) {
          socket.write(`127.0.0.1 ${echo.port}\n`);
          socket.write(pdu);
        }
        if (all.length >= greeting.length + pdu.length) resolve(all.subarray(greeting.length));
      },
    },
  });
  try {
    return await promise;
  } finally {
    client.end();
    echo.stop(true);
  }
}

const listens = (port: number): Promise<boolean> => isListening({ host: "127.0.0.1", port });

test("a hostile folder does reach a program built without the switches", async () => {
  // Otherwise the tests below would pass with a trap that catches nothing.
  const { folder, marker } = hostileFolder(1);
  const source = join(folder, "careless.ts");
  writeFileSync(source, "console.log(process.env.PMPROXY_PORT);\n");
  const program = join(folder, "careless");
  await must([process.execPath, "build", "--compile", `--outfile=${program}`, source]);
  expect(await must([program], { cwd: folder })).toBe("1\n");
  expect(existsSync(marker)).toBe(true);
});

test("bunfig.toml and .env of the working directory do nothing to a light verb", async () => {
  const { folder, marker } = hostileFolder(1);
  const here = await must([binary, "--version", "--json"], { cwd: folder });
  const elsewhere = await must([binary, "--version", "--json"], { cwd: privateFolder("plain") });
  expect(here).toBe(elsewhere);
  expect(existsSync(marker)).toBe(false);
});

test("bunfig.toml and .env of the working directory do nothing to the proxy", async () => {
  const [port, bait] = [await freePort(), await freePort()];
  const { folder, marker } = hostileFolder(bait);
  const start = (env: Record<string, string>) =>
    startDaemon(
      [binary, "proxy", "-f", "-A", "-i", "127.0.0.1", "-p", `${port}`].concat([
        "-s",
        join(folder, "socket"),
        "-l",
        join(folder, "log"),
      ]),
      join(folder, "out"),
      { cwd: folder, env },
    );
  const tricked = start({});
  expect(await waitUntil(() => listens(port), tricked.alive)).toBe(true);
  expect(await listens(bait)).toBe(false);
  const errorPdu = Uint8Array.of(0, 0, 0, 16, 0, 0, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  expect(Buffer.from(await relayed(port, errorPdu))).toEqual(Buffer.from(errorPdu));
  await tricked.stop();
  expect(existsSync(marker)).toBe(false);

  const told = start({ PMPROXY_PORT: `${bait}` });
  expect(await waitUntil(() => listens(bait), told.alive)).toBe(true);
  await told.stop();
});

test("the Makefile builds with the switches that the tests above show", () => {
  const makefile = textOf("Makefile");
  for (const option of ["dotenv", "bunfig"]) {
    expect(makefile).toContain(`--no-compile-autoload-${option}`);
  }
});

for (const name of ["pmproxy", "pmlogextract"]) {
  for (const [how, make] of [
    ["a link", symlinkSync],
    ["a copy", copyFileSync],
  ] as const) {
    test(`${how} named ${name} answers as ${name}`, async () => {
      const program = join(privateFolder("name"), name);
      make(binary, program);
      const result = await run([program, "--no-such-option"]);
      const [first, second] = result.stderr.split("\n");
      expect(first).toStartWith(`${name}: `);
      if (name === "pmproxy") {
        expect(first).toBe("pmproxy: unrecognized option '--no-such-option'");
        expect(second).toBe("Usage: pmproxy [options]");
      }
      expect(result.status).toBe(1);
      expect(result.stdout).toBe("");
    });
  }
}

test("--version is one line, and with --json says what the executable was built from", async () => {
  const line = await must([binary, "--version"]);
  expect(line).toMatch(/^pcpbox \S.*\n$/);
  expect(line).toContain(packageJson.version);
  const built: unknown = JSON.parse(await must([binary, "--version", "--json"]));
  expect(built).toMatchObject({
    version: packageJson.version,
    commit: expect.stringMatching(/^([0-9a-f]{12}(-dirty)?|unknown)$/),
    target: expect.stringMatching(/^(linux|darwin)-(x64|arm64)(-musl)?$/),
    bun: Bun.version,
  });
});

test("make run starts the proxy in the foreground and says what to open", async () => {
  const [folder, port] = [privateFolder("run"), await freePort()];
  const output = join(folder, "out");
  const options = `-A -i 127.0.0.1 -p ${port} -s ${join(folder, "socket")}`;
  const make = startDaemon(["make", "run", `ARGS=${options}`], output, {
    cwd: root,
    env: { MAKEFLAGS: "", MAKELEVEL: "" },
  });
  expect(await waitUntil(() => listens(port), make.alive)).toBe(true);
  const text = await Bun.file(output).text();
  await make.stop();
  expect(text).toContain("To open: http://localhost:44322/\n");
  expect(await waitUntil(async () => !(await listens(port)))).toBe(true);
}, 300_000);

test("an unknown verb is an error on standard error, with status 2", async () => {
  const result = await run([binary, "no-such-verb"]);
  expect(result.stdout).toBe("");
  expect(result.stderr).toContain("no-such-verb");
  expect(result.status).toBe(2);
});

test("long output into a small pipe that is read late is whole", async () => {
  const whole = await must([binary, "help", "proxy"]);
  expect(whole.length).toBeGreaterThan(4096);
  // Only Linux lets a pipe be made smaller; its name of the C library is that of glibc here.
  if (process.platform !== "linux" || existsSync("/etc/alpine-release")) return;
  const libc = dlopen("libc.so.6", {
    pipe: { args: ["ptr"], returns: "i32" },
    fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  });
  const ends = new Int32Array(2);
  expect(libc.symbols.pipe(ends)).toBe(0);
  const [readEnd = -1, writeEnd = -1] = ends;
  const setPipeSize = 1031;
  expect(libc.symbols.fcntl(writeEnd, setPipeSize, 4096)).toBe(4096);
  const child = Bun.spawn([binary, "help", "proxy"], { stdout: writeEnd, stderr: "ignore" });
  closeSync(writeEnd);
  await Bun.sleep(300);
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(1024);
    const size = readSync(readEnd, chunk);
    if (size === 0) break;
    chunks.push(chunk.subarray(0, size));
  }
  closeSync(readEnd);
  expect(await child.exited).toBe(0);
  expect(Buffer.concat(chunks).toString()).toBe(whole);
});

test("start-up of a light verb (printed, not judged)", async () => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const from = Bun.nanoseconds();
    await must([binary, "--version"]);
    times.push((Bun.nanoseconds() - from) / 1e6);
  }
  console.log(`start-up: ${Math.min(...times).toFixed(1)} ms at best of ${times.length}`);
});
