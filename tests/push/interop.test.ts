// Goal: pmlogger and pmlogpush of PCP 7 push to us as they do to pmproxy: the archives are the same,
// and the programs of both PCP releases read them; what was acknowledged is there after kill -9.
import { expect, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createPush } from "../../lib/push/mod.ts";
import { runIn } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7, startPmcd7, startPmproxy7 } from "../helpers/pcp7.ts";
import { havePeers, testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";
import { labelOf, recorded, recordsOf, send, servePush, withHost } from "./pushing.ts";

const PMLOGGER = "/usr/lib/pcp/bin/pmlogger";

/** The one archive of a host below a directory, its path without suffix. */
function onlyArchive(directory: string, host = readdirSync(directory)[0] ?? ""): string {
  const names = readdirSync(join(directory, host)).filter((name) => name.endsWith(".meta"));
  expect(names).toHaveLength(1);
  return join(directory, host, (names[0] ?? "").replace(/\.meta$/, ""));
}

async function check(base: string): Promise<void> {
  for (const tree of havePeers("pcp6") ? [pcp6, pcp7] : [pcp7]) {
    for (const argv of [
      ["pmlogcheck", base],
      ["pminfo", "-f", "-a", base],
      ["pmdumplog", "-a", base],
    ]) {
      const { status, stdout, stderr } = await runIn(tree, argv);
      expect([argv[0], status, stderr]).toEqual([argv[0], 0, ""]);
      if (argv[0] === "pmlogcheck") expect(stdout).toBe("");
    }
  }
}

function pushInto(directory: string, syncMs: number) {
  return createPush({
    directory,
    settings: () => ({ freeBytes: 0, syncMs }),
    log: { write: () => undefined },
  });
}

testWith("pcp7", "pmlogger pushes as it records", async () => {
  const pmcd = await startPmcd7();
  const folder = privateFolder("push-pmlogger");
  const push = pushInto(join(folder, "pushed"), 0);
  const server = servePush(push);
  const config = join(folder, "config");
  writeFileSync(
    config,
    "log mandatory on 100 msec { sample.bin\nsample.colour\nsample.longlong\n}\n",
  );
  const argv = [PMLOGGER, "-h", `localhost:${pmcd.port}`, "-c", config, "-s", "6"];
  const url = `http://127.0.0.1:${server.port}`;
  const done = await runIn(pcp7, [...argv, "-l", join(folder, "log"), url]);
  expect([done.status, readFileSync(join(folder, "log"), "utf8")]).toEqual([
    0,
    expect.not.stringContaining("lost pmproxy"),
  ]);
  await push.close();
  await server.stop();
  const base = onlyArchive(join(folder, "pushed"));
  await check(base);
});

testWith("pcp7", "pmlogpush makes of an archive what it makes of it with pmproxy", async () => {
  const folder = privateFolder("push-pmlogpush");
  const proxy = await startPmproxy7({ conf: "[pmproxy]\nhttp.enabled = true\n" });
  const push = pushInto(join(folder, "ours"), 1000);
  const server = servePush(push);
  for (const name of ["v3-mv", "v2-mv", "v3-dyn"]) {
    const source = join(folder, name);
    for (const file of readdirSync(recorded("rec")))
      if (file.startsWith(`${name}.`)) cpSync(join(recorded("rec"), file), join(folder, file));
    for (const port of [proxy.port, server.port]) {
      const done = await runIn(pcp7, ["pmlogpush", "-h", "127.0.0.1", "-p", String(port), source]);
      expect([done.status, done.stderr]).toEqual([0, ""]);
    }
  }
  await push.close();
  await server.stop();
  await proxy.stop();
  const ours = filesBelow(join(folder, "ours"));
  expect(ours.size).toBeGreaterThan(6);
  expect(ours).toEqual(filesBelow(join(dirname(proxy.logFile), "pmproxy")));
});

/** All archive files below a directory by their path in it. */
function filesBelow(directory: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const entry of readdirSync(directory, { recursive: true, encoding: "utf8" }))
    if (/\.(meta|index|\d+)$/.test(entry)) found.set(entry, readFileSync(join(directory, entry)));
  return found;
}

test("what was acknowledged is there after kill -9, and readable", async () => {
  const folder = privateFolder("push-kill");
  const directory = join(folder, "pushed");
  const base = recorded("rec/v3-labels-721");
  const bodies = [
    ...recordsOf(`${base}.meta`).map((bytes) => ["meta", bytes] as const),
    ...recordsOf(`${base}.index`)
      .slice(0, 1)
      .map((bytes) => ["index", bytes] as const),
    ...recordsOf(`${base}.0`).map((bytes) => ["volume/0", bytes] as const),
  ];
  const taken: { readonly host: string; readonly files: Map<string, Uint8Array[]> }[] = [];
  for (let round = 0; round < 12; round++) {
    const portFile = join(folder, `port${round}`);
    const script = join(import.meta.dir, "receiver.ts");
    const server = startDaemon(
      [process.execPath, script, directory, portFile],
      join(folder, "log"),
    );
    expect(await waitUntil(() => existsSync(portFile), server.alive)).toBe(true);
    const port = Number(readFileSync(portFile, "utf8"));
    const host = `h${round}`;
    const files = new Map<string, Uint8Array[]>();
    taken.push({ host, files });
    try {
      const label = withHost(labelOf(`${base}.meta`), host);
      const { archive } = await send(port, "/logger/label", label);
      // Another moment in each round: after some bodies, while one is under way.
      const last = (round * 37) % bodies.length;
      for (const [i, [part, bytes]] of bodies.entries()) {
        const sent = send(port, `/logger/${part}/${archive}`, bytes);
        if (i === last) server.signal("SIGKILL");
        if ((await sent).status !== 200) break;
        files.set(part, [...(files.get(part) ?? []), bytes]);
      }
    } catch (error) {
      if (server.alive()) await server.ended;
      expect(error).toBeInstanceOf(Error);
    }
    await server.stop();
  }
  // The next server mends what the killed ones left.
  const push = pushInto(directory, 1000);
  await push.label(withHost(labelOf(`${base}.meta`), "last"), undefined);
  await push.close();
  for (const { host, files } of taken) {
    const folder = join(directory, host);
    if (!existsSync(folder) || readdirSync(folder).length === 0) {
      // Without data it is no archive.
      expect(files.has("volume/0")).toBe(false);
      continue;
    }
    const stem = onlyArchive(directory, host);
    for (const [part, bodies] of files) {
      const there = recordsOf(`${stem}.${part.replace("volume/", "")}`);
      expect(there.slice(0, bodies.length)).toEqual(bodies);
      // At most the one that was not acknowledged any more.
      expect(there.length - bodies.length).toBeLessThanOrEqual(1);
    }
    if (files.has("volume/0") && havePeers("pcp6"))
      expect((await runIn(pcp6, ["pminfo", "-f", "-a", stem])).stderr).toBe("");
  }
}, 300_000);
