// Goal: with no pmcd on the machine the proxy's HTTP requests about it are answered by the agents of the
// program itself, and the state and the log say so.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";

test("metrics of this machine without pmcd", async () => {
  const folder = privateFolder("builtin");
  const [port, nobody] = [await freePort(), await freePort()];
  const log = join(folder, "log");
  const argv = [
    process.execPath,
    join(root, "cmd/main.ts"),
    "proxy",
    "-f",
    "-A",
    "-i",
    "127.0.0.1",
  ];
  const daemon = startDaemon(
    [...argv, "-p", `${port}`, "-s", join(folder, "socket"), "-l", log],
    join(folder, "out"),
    { env: { PMCD_PORT: `${nobody}`, PMCD_SOCKET: join(folder, "none") } },
  );
  const ready = () => isListening({ host: "127.0.0.1", port });
  expect(await waitUntil(ready, daemon.alive)).toBe(true);
  const ask = async (path: string) =>
    (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as Record<string, unknown>;
  for (const hostspec of ["", "&hostspec=localhost", "&hostspec=local:"]) {
    const { values } = await ask(`/pmapi/fetch?names=kernel.all.load,hinv.ncpu${hostspec}`);
    expect(values).toMatchObject([
      { name: "kernel.all.load", instances: [{ instance: 1 }, { instance: 5 }, { instance: 15 }] },
      { name: "hinv.ncpu", instances: [{ instance: null }] },
    ]);
  }
  const status = await ask("/-/status");
  expect(status["web"]).toMatchObject({ localhost: "built-in" });
  expect(readFileSync(log, "utf8")).toContain("no pmcd answers on localhost");
  await daemon.stop();
}, 300_000);
