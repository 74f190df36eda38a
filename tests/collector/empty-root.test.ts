// Goal: on a machine with nothing of PCP, the one file is a collector. The executable and the C library
// alone are in a root of their own; PCP's clients from outside read from it, and what pmlogger records
// from it has nothing that pmlogcheck complains about.
// Needs dist/pcpbox (`make build`; `make test` builds it first) and root, for the root of its own.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { must, privateFolder, run, startDaemon, type Daemon } from "../helpers/process.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { runIn } from "../helpers/pcp.ts";
import { testWith } from "../helpers/peers.ts";
import { root } from "../helpers/tree.ts";

const binary = join(root, "dist", "pcpbox");
const folder = privateFolder("empty-root");
let daemon: Daemon | undefined;
let port = 0;

/** Puts a file and what it is linked with into the new root. */
async function furnish(into: string): Promise<void> {
  const linked = (await must(["ldd", binary])).match(/\/\S+/g) ?? [];
  for (const path of linked) {
    const target = join(into, path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
  for (const place of ["proc", "sys", "tmp", "dev"]) mkdirSync(join(into, place));
  copyFileSync(binary, join(into, "pcpbox"));
}

beforeAll(async () => {
  if (!existsSync(binary)) throw new Error("dist/pcpbox is missing: make build");
  if (process.getuid?.() !== 0) return;
  const inside = join(folder, "root");
  mkdirSync(inside);
  await furnish(inside);
  port = await freePort();
  // The mounts are seen by this process and its children alone, and go with them.
  const script = `mount --rbind /proc ${inside}/proc && mount --rbind /sys ${inside}/sys &&
    exec chroot ${inside} /pcpbox pmda-run --listen ${port}`;
  daemon = startDaemon(["unshare", "-m", "sh", "-c", script], join(folder, "log"));
  await waitUntil(() => isListening({ host: "127.0.0.1", port }));
});
afterAll(async () => daemon?.stop());

const NAMES = ["kernel.all.load", "mem.util.free", "disk.all.read", "network.interface.in.bytes"];

testWith(["pcp6", "root"], "pminfo 6 and 7 see the machine", async () => {
  const { stdout } = await run(["pminfo", "-h", `localhost:${port}`, "-f", ...NAMES]);
  for (const name of NAMES) expect(stdout).toContain(`\n${name}\n`);
  expect(stdout.match(/value /g)?.length ?? 0).toBeGreaterThan(5);
  const info = await must(["pminfo", "-h", `localhost:${port}`, "-f", "pmcd.hostname"]);
  expect(info).toContain("value");
});

testWith(["pcp7", "root"], "pminfo 7 sees the machine", async () => {
  const { stdout } = await runIn(pcp7, ["pminfo", "-h", `localhost:${port}`, "-f", ...NAMES]);
  for (const name of NAMES) expect(stdout).toContain(`\n${name}\n`);
});

testWith(["pcp6-python", "root"], "pmrep, pcp dstat, pcp uptime and pcp free", async () => {
  const host = `localhost:${port}`;
  // PCP's scripts look for python3 by PATH, and its modules are those of the system's.
  const options = { env: { PATH: "/usr/bin:/bin" } };
  const report = await must(
    ["pmrep", "-h", host, "-s", "2", "-t", "0.2", "kernel.all.load"],
    options,
  );
  expect(report).toContain("5 minute");
  const dstat = await run(["pcp", "-h", host, "dstat", "--nocolor", "1", "2"], options);
  expect(`${dstat.stdout}${dstat.stderr}`).toContain("usr sys idl wai stl");
  expect(await must(["pcp", "-h", host, "uptime"], options)).toMatch(/up .*load average/);
  expect(await must(["pcp", "-h", host, "free"], options)).toContain("Mem:");
});

testWith(["pcp6", "root"], "pmlogger records, and pmlogcheck has nothing to say", async () => {
  const config = join(folder, "logger.conf");
  writeFileSync(
    config,
    "log mandatory on 200 msec { kernel mem disk network filesys hinv pmcd }\n",
  );
  const archive = join(folder, "archive");
  const logger = [
    "pmlogger",
    "-h",
    `localhost:${port}`,
    "-c",
    config,
    "-l",
    join(folder, "pmlogger.log"),
  ];
  await must([...logger, "-T", "1.5sec", archive], { cwd: folder });
  const { stdout, stderr, status } = await run(["pmlogcheck", archive]);
  expect({ stdout, stderr, status }).toEqual({ stdout: "", stderr: "", status: 0 });
  const values = await must(["pmval", "-a", archive, "-s", "2", "-t", "0.3", "mem.util.free"]);
  expect(values).toMatch(/ \d+$/m);
});

test("it is told apart from a machine with PCP", () => {
  expect(existsSync(join(folder, "root/etc/pcp.conf"))).toBe(false);
});
