// Goal: what is recorded of a real pmcd, and of it before and after it was started again, is read by
// PCP's own programs of both releases without a complaint.
import { expect } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { newContext } from "../../lib/context/mod.ts";
import { startRecorder } from "../../lib/record/mod.ts";
import { runIn, startPmcd } from "../helpers/pcp.ts";
import type { PcpTree } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { havePeers, testWith } from "../helpers/peers.ts";
import { farFromMidnight } from "../helpers/midnight.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";

/** Runs programs of both releases over an archive; the output of each by its name. */
async function read(base: string): Promise<Map<string, string>> {
  const said = new Map<string, string>();
  for (const tree of [pcp6, pcp7].filter(({ name }) => havePeers(name))) {
    for (const argv of [
      ["pmlogcheck", base],
      ["pmdumplog", "-a", base],
      ["pminfo", "-d", "-t", "-l", "-a", base],
      ["pmval", "-r", "-t", "0.1", "-a", base, "kernel.all.cpu.user"],
    ]) {
      const { status, stdout, stderr } = await runIn(tree, argv);
      expect([tree.name, argv[0], status, stderr]).toEqual([tree.name, argv[0], 0, ""]);
      said.set(`${tree.name} ${argv[0]}`, stdout);
    }
  }
  if (havePeers("pcp6-python")) {
    const pmrep = ["/usr/bin/python3", "/usr/bin/pmrep", "-a", base, "-t", "0.1", "mem.util.free"];
    expect((await runIn(pcp6, pmrep)).status).toBe(0);
  }
  return said;
}

async function recorded(tree: PcpTree): Promise<void> {
  await farFromMidnight();
  const pmcd = await startPmcd(tree, { agents: ["linux"] });
  const directory = join(privateFolder("record"), "archives");
  const host = `localhost:${pmcd.port}`;
  const lines: string[] = [];
  const recorder = startRecorder({
    directory,
    open: () => newContext({ type: "host", host }, { derived: "none" }),
    intervalSeconds: 0.1,
    freeBytes: 0,
    log: { write: (level, text) => void lines.push(`${level} ${text}`) },
  });
  const until = async (records: number): Promise<void> => {
    const reached = () => recorder.status().records >= records;
    expect([await waitUntil(reached), lines]).toEqual([true, lines]);
  };
  await until(10);
  await pmcd.stop();
  expect(await waitUntil(() => recorder.status().state === "waiting")).toBe(true);
  const again = await startPmcd(tree, { agents: ["linux"], port: pmcd.port });
  await until(recorder.status().records + 5);
  const { metrics } = recorder.status();
  expect(metrics).toBeGreaterThan(100);
  await recorder.close();
  await again.stop();
  const names = readdirSync(directory).filter((name) => name.endsWith(".meta"));
  expect(names).toHaveLength(1);
  const said = await read(join(directory, (names[0] ?? "").replace(/\.meta$/, "")));
  for (const [program, text] of said) {
    if (program.endsWith("pmlogcheck")) expect([program, text]).toEqual([program, ""]);
    if (program.endsWith("pmdumplog")) expect(text.includes("<mark>")).toBe(true);
    // No metric without its texts, the recorder's own ones included.
    if (program.endsWith("pminfo")) expect(text.includes("Error:")).toBe(false);
    if (program.endsWith("pmval")) expect(text.includes("samples:")).toBe(true);
  }
}

testWith("pcp6", "pmcd 6", () => recorded(pcp6), 300_000);
testWith("pcp7", "pmcd 7", () => recorded(pcp7), 300_000);
