// Goal: a probe that watches outlives the death and return of pmcd, says when it was lost and back
// and what has changed, in text without escapes and in JSON lines; it draws in place on a terminal
// alone; signals end it with status 0, and a reader that goes away ends it quietly.
import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { freePort } from "../helpers/ports.ts";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { describePeer } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { ARCHIVES, type Json, probe, probeCommand, startProbe } from "./probe.ts";

setDefaultTimeout(300_000);

describePeer("pcp6", "pmcd killed and restarted", () => {
  test("under looks, values and JSON", async () => {
    const pmcd = await startPmcd6();
    const host = `127.0.0.1:${pmcd.port}`;
    const look = startProbe(["-h", host, "--watch", "0.3"]);
    const values = startProbe(["-h", host, "--watch", "0.3", "sample.long.one", "sample.seconds"]);
    const json = startProbe(["-h", host, "--watch", "0.3", "--json"]);
    expect(await look.has(": works (connected in")).toBe(true);
    expect(await values.has(/^\d\d:\d\d:\d\d\.\d{3} +[\d.]+ +1$|^\d.* 1 +-$/m)).toBe(true);
    expect(await json.has('"ok":true')).toBe(true);
    pmcd.daemon().signal("SIGKILL");
    await pmcd.daemon().ended;
    for (const each of [look, values]) {
      expect(await each.has(/ lost: .*\[(?:PM_ERR_IPC, -12366|ECONNREFUSED, -111)\]/)).toBe(true);
    }
    expect(await json.has('"ok":false')).toBe(true);
    await pmcd.restart();
    for (const each of [look, values]) {
      expect(await each.has(/ is back after \d+\.\d s\n/)).toBe(true);
      // The loss is told once.
      expect(each.output().match(/ lost: /g)).toHaveLength(1);
    }
    expect(await look.has(/process of pmcd: \d+ -> \d+/)).toBe(true);
    expect(await json.has(/"ok":false[^]*"ok":true/)).toBe(true);
    for (const each of [look, values, json]) {
      expect(await each.end()).toBe(0);
      expect(each.output()).not.toContain("\u001b");
    }
    const lines = json.output().trim().split("\n");
    const states = lines.map((line) => (JSON.parse(line) as Json)["ok"]);
    expect(new Set(states)).toEqual(new Set([true, false]));
    await pmcd.stop();
  });
});

test("a host that is not there at first is waited for", async () => {
  const host = `127.0.0.1:${await freePort()}`;
  const watcher = startProbe(["-h", host, "--watch", "0.2"]);
  expect(await watcher.has(`host "${host}" not there: Connection refused`)).toBe(true);
  await Bun.sleep(600);
  expect(watcher.output().match(/not there/g)).toHaveLength(1);
  expect(await watcher.end("SIGINT")).toBe(0);
});

test("a signal ends it while it waits for an answer", async () => {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const watcher = startProbe(["-h", `127.0.0.1:${server.port}`, "--watch", "1", "-D", "context"]);
  expect(await watcher.has(/^connect: /m)).toBe(true);
  expect(await watcher.end()).toBe(0);
  server.stop(true);
});

test("an archive that is written meanwhile shows what is new", async () => {
  const folder = privateFolder("watched");
  const from = `${ARCHIVES}/gen/interp-v3`;
  for (const end of ["meta", "index"]) copyFileSync(`${from}.${end}`, `${folder}/g.${end}`);
  const data = readFileSync(`${from}.0`);
  const half = Math.floor(data.length / 2);
  writeFileSync(`${folder}/g.0`, data.subarray(0, half));
  const watcher = startProbe(["-a", `${folder}/g`, "--watch", "0.2"]);
  expect(await watcher.has(": opens, no fault found")).toBe(true);
  appendFileSync(`${folder}/g.0`, data.subarray(half));
  expect(await watcher.has(/ {2}samples: \d+ -> 8\n/)).toBe(true);
  expect(watcher.output()).toMatch(/ {2}end: [\d:.]+ -> 00:00:14.000\n/);
  expect(watcher.output()).toMatch(/ {2}marks: 0 -> 1\n/);
  expect(await watcher.end()).toBe(0);
});

test("-s bounds the looks", async () => {
  const args = ["-a", `${ARCHIVES}/rec/v3-types`, "--watch", "0.1", "-s", "3", "--json"];
  const { stdout, status } = await probe(args);
  expect(status).toBe(0);
  expect(stdout.trim().split("\n")).toHaveLength(3);
});

test("a reader that goes away ends it quietly", async () => {
  const args = probeCommand("-a", `${ARCHIVES}/gen/interp-v3`, "--watch", "0.1", "--json");
  const quoted = args.map((each) => `'${each}'`).join(" ");
  const script = `{ ${quoted}; echo "status $?" >&2; } | head -n 1`;
  const { stdout, stderr, timedOut } = await run(["bash", "-c", script]);
  expect([timedOut, stderr]).toEqual([false, "status 0\n"]);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true });
});

test("a terminal is drawn in place, with colour unless NO_COLOR is set", async () => {
  const args = probeCommand("-a", `${ARCHIVES}/rec/v3-types`, "--watch", "0.1", "-s", "2");
  // script(1) gives the command a terminal.
  const typed = `script -qec "${args.join(" ")}" /dev/null`;
  const colour = await run(["bash", "-c", typed], { env: { TERM: "xterm", NO_COLOR: "" } });
  expect(colour.stdout.split("\u001b[H")).toHaveLength(3);
  expect(colour.stdout).toContain("\u001b[1m");
  const plain = await run(["bash", "-c", typed], { env: { TERM: "xterm", NO_COLOR: "1" } });
  expect(plain.stdout).toContain("\u001b[H");
  for (const code of [1, 2, 31, 32, 33]) expect(plain.stdout).not.toContain(`\u001b[${code}m`);
});
