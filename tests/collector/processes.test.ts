// Goal: whatever an agent in a process of its own does (crash, stop, hang, garbage, wrong counts, an
// output that never ends), its own request fails with PCP's code, it is reported and started again with
// growing pauses, and the agents beside it go on answering. Needs a C compiler for a bad agent.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import type { AgentLine, Registry } from "../../lib/collector/mod.ts";
import type { AgentFactory } from "../../lib/pmda/mod.ts";
import { asPmid, type Pmid, pmidBuild, ResultWriter, ResultView } from "../../lib/pcp/mod.ts";
import { createProfile, STATE_CHANGE } from "../../lib/pdu/mod.ts";
import { freePort } from "../helpers/ports.ts";
import { skipAloud } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { emptyTable } from "./compiled.ts";

// Several processes are started from the sources at the same time.
setDefaultTimeout(300_000);

const tables: Registry[] = [];
afterAll(async () => {
  for (const table of tables) await table.close();
});

let library: Promise<string> | undefined;
async function build(): Promise<string> {
  const path = join(privateFolder("bad-agent"), "bad.so");
  const source = join(import.meta.dir, "bad-agent.c");
  await must(["cc", "-shared", "-fPIC", "-w", "-o", path, source]);
  return path;
}

/** A table with these entries of the bad agent, by domain. */
async function tableOf(inits: Readonly<Record<number, string>>, requestTimeout = 5000) {
  const path = await (library ??= build());
  const { table, said } = emptyTable({}, { requestTimeout });
  tables.push(table);
  for (const [domain, init] of Object.entries(inits)) table.apply(`add,${domain},${path},${init}`);
  await table.connect();
  return { table, said, path, client: table.router.newClient() };
}

const profile = createProfile();
const item = (domain: number, number: number): Pmid => pmidBuild(domain, 0, number);

/** Values, or codes, of metrics. */
async function fetch(
  client: ReturnType<Registry["router"]["newClient"]>,
  pmids: readonly Pmid[],
): Promise<{ values: number[]; changes: number }> {
  const out = new ResultWriter();
  await client.fetch(pmids, profile, out);
  const view = new ResultView(out.finish(0), { sec: 0, nsec: 0 }, out.count, 0);
  const values: number[] = [];
  for (const set = view.sets(); set.next();) values.push(set.numval > 0 ? set.word(0) : set.numval);
  return { values, changes: out.changes };
}

const { IPC, NOAGENT, PMID, TIMEOUT, AGAIN, APPVERSION } = PM_ERR;

function compiled(): void {
  test("faults while loading, in PCP's words", async () => {
    const junk = join(privateFolder("junk"), "junk.so");
    writeFileSync(junk, "");
    const { table, said, path } = await tableOf({
      1: "st_init",
      2: "nop_init",
      3: "if9_init",
      4: "api5_init",
      5: "nosuch_init",
      6: "crash_init",
      7: "exit_init",
    });
    const warning = "__pmConnectLocal: Warning:";
    expect(said).toEqual([
      `${warning} initialization routine "st_init" failed in DSO "${path}": No permission to perform requested operation`,
      `__pmConnectLocal: Error: Unknown PMDA interface version 255 in "${path}" DSO`,
      `__pmConnectLocal: Error: Unknown PMDA interface version 9 in "${path}" DSO`,
      `__pmConnectLocal: Error: Unknown PMAPI version 5 in "${path}" DSO`,
      `${warning} couldn't find init function "nosuch_init" in DSO "${path}"`,
      `${warning} agent in DSO "${path}" ended: killed by SIGSEGV`,
      `${warning} agent in DSO "${path}" ended: exit(4)`,
    ]);
    said.length = 0;
    table.apply(`add,8,${junk},x`);
    await table.connect();
    expect(said).toEqual([`${warning} error attaching DSO "${junk}"\n${junk}: file too short\n`]);
    expect(table.entries.map(({ domain }) => domain)).toEqual(Array(8).fill(-1));
    await table.connect();
    expect(said.length).toBe(1);
  });

  test("answers that are wrong cost only what they are about", async () => {
    const { client, said } = await tableOf({ 10: "good_init", 11: "good_init" });
    const wanted = [5, 6, 7, 8, 10].map((number) => item(10, number));
    const each: number[] = [];
    for (const pmid of wanted) each.push(...(await fetch(client, [pmid])).values);
    expect(each).toEqual([PMID, IPC, 42, IPC, APPVERSION]);
    const mixed = [item(10, 0), item(11, 9), item(10, 6), item(11, 0), item(12, 0)];
    expect((await fetch(client, mixed)).values).toEqual([42, AGAIN, IPC, AGAIN, NOAGENT]);
    expect((await fetch(client, [item(10, 12)])).changes).toBe(
      STATE_CHANGE.LABEL_CHANGE | STATE_CHANGE.NAMES_CHANGE,
    );
    expect(said).toEqual([]);
  });

  test("crashes are reported and start again, with pauses", async () => {
    const { client, said, table } = await tableOf({ 10: "good_init", 11: "good_init" });
    const [entry] = table.entries;
    const first = entry?.process?.pid;
    const crash = [item(10, 1), item(11, 0)];
    expect((await fetch(client, crash)).values).toEqual([IPC, 42]);
    const again = await fetch(client, [item(10, 0), item(11, 0)]);
    expect(again.values).toEqual([42, 42]);
    expect(again.changes & STATE_CHANGE.RESTART_AGENT).toBe(STATE_CHANGE.RESTART_AGENT);
    expect(entry?.process?.pid).not.toBe(first);
    expect((await fetch(client, [item(10, 2)])).values).toEqual([IPC]);
    expect((await fetch(client, [item(10, 0), item(11, 0)])).values).toEqual([NOAGENT, 42]);
    expect(said.map((text) => text.replace(/"[^"]*"/, "X"))).toEqual([
      "Warning: agent X (domain 10): killed by SIGSEGV; the next request starts it",
      "Info: agent X (domain 10): started again",
      "Warning: agent X (domain 10): killed by SIGABRT; no start for 1 s",
    ]);
  });

  test("an end by itself, and a kill from outside", async () => {
    const { client, said, table } = await tableOf({ 10: "good_init", 11: "good_init" });
    expect((await fetch(client, [item(10, 3)])).values).toEqual([IPC]);
    const other = table.entries[1]?.process?.pid ?? 0;
    // What a terminal sends to all of a group is for the program alone.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(other, signal);
    expect((await fetch(client, [item(11, 0)])).values).toEqual([42]);
    process.kill(other, "SIGKILL");
    const { values } = await fetch(client, [item(11, 0)]);
    expect([IPC, NOAGENT, 42]).toContain(values[0] ?? 0);
    expect((await fetch(client, [item(11, 0)])).values).toEqual([42]);
    expect((await fetch(client, [item(10, 1)])).values).toEqual([IPC]);
    expect((await fetch(client, [item(10, 0)])).values).toEqual([NOAGENT]);
    // The signal, as pmcd.agent.status has it.
    expect(table.entries[0]?.process?.status).toBe(0xb0002);
    expect(said.some((text) => text.includes("exit(3)"))).toBe(true);
  });

  for (const [what, number] of [
    ["hangs", 4],
    ["is stopped", 11],
  ] as const)
    test(`one that ${what} times out alone`, async () => {
      const { client, said, table } = await tableOf({ 10: "good_init", 11: "good_init" }, 3000);
      const pid = table.entries[0]?.process?.pid ?? 0;
      const both = await fetch(client, [item(10, number), item(11, 0)]);
      expect(both.values).toEqual([TIMEOUT, 42]);
      expect((await fetch(client, [item(10, 0)])).values).toEqual([42]);
      expect(said[0]).toContain("no answer in time");
      // What did not end by itself was ended.
      expect(() => process.kill(pid, 0)).toThrow();
    });
}

if (Bun.which("cc") === null) skipAloud("compiled agents that go wrong", "no C compiler");
else describe("compiled agents that go wrong", compiled);

/** A script as an agent: it greets, and then does what its text says. */
const CREDS = String.raw`printf '\000\000\000\024\000\000\160\014\000\000\000\001\000\000\000\001\001\002\000\000'`;

const pipe = (domain: number, script: string): AgentLine => ({
  line: domain,
  label: `script${domain}`,
  domain,
  kind: { type: "pipe", notReady: false, command: ["sh", "-c", script] },
});

/** A table of daemons. */
async function daemons(lines: readonly AgentLine[]) {
  const { table, said } = emptyTable({}, { requestTimeout: 5000 });
  tables.push(table);
  for (const line of lines)
    table.add({ domain: line.domain, name: line.label, origin: { kind: "line", line } });
  await table.connect();
  return { table, said, client: table.router.newClient() };
}

describe("daemons that go wrong", () => {
  test("each fails alone, with pmcd's codes", async () => {
    const read =
      "dd bs=1 count=20 of=/dev/null 2>/dev/null; dd bs=1 count=28 of=/dev/null 2>/dev/null";
    const { client, said } = await daemons([
      pipe(
        10,
        `${CREDS}; ${read}; dd bs=1 count=32 of=/dev/null 2>/dev/null; printf 'garbage bytes, no PDU'; sleep 5`,
      ),
      pipe(11, `${CREDS}; ${read}; exit 3`),
      pipe(12, `${CREDS}; ${read}; exec cat /dev/zero`),
      pipe(13, `${CREDS}; ${read}; kill -STOP $$`),
      pipe(14, `exec sleep 60 >/dev/null`),
      pipe(15, "echo this is no agent; sleep 60"),
    ]);
    const wanted = [10, 11, 12, 13, 14, 15].map((domain) => item(domain, 0));
    const { values } = await fetch(client, wanted);
    expect(values).toEqual([IPC, IPC, IPC, TIMEOUT, NOAGENT, NOAGENT]);
    // How each ended is known when the next request comes.
    await fetch(client, wanted);
    for (const name of ["script10", "script11", "script12", "script13", "script14", "script15"])
      expect(said.filter((text) => text.includes(`"${name}"`)).length).toBeGreaterThan(0);
    const reason = (name: string): string => said.find((text) => text.includes(`"${name}"`)) ?? "";
    // It ends before or after the request has been written to it.
    expect(reason("script11")).toMatch(/exit\(3\)|EPIPE/);
    // What was wrong with the bytes, not how the process ended afterwards, and the name once.
    expect(reason("script10")).toMatch(
      /^Warning: agent "script10" \(domain 10\): PDU header: length/,
    );
    expect(reason("script12")).toMatch(
      /^Warning: agent "script12" \(domain 12\): PDU header: length/,
    );
    expect(reason("script13")).toMatch(/\(domain 13\): no answer in time; /);
    expect(reason("script15")).toMatch(/\(domain 15\): cannot be started: PDU header: length/);
  });

  test("many that start slowly are not all late", async () => {
    const { table, said } = emptyTable({});
    tables.push(table);
    const folder = privateFolder("slow");
    const slow = `: > ${folder}/$$; ls ${folder} | wc -l >> ${folder}.most; sleep 0.1; rm ${folder}/$$`;
    for (let domain = 10; domain < 30; domain++) {
      const line = pipe(domain, `${slow}; ${CREDS}; sleep 60`);
      table.add({ domain, name: line.label, origin: { kind: "line", line } });
    }
    await table.connect();
    expect(said).toEqual([]);
    const counts = (await Bun.file(`${folder}.most`).text()).trim().split("\n").map(Number);
    expect(Math.max(...counts)).toBeLessThanOrEqual(4);
    expect(table.entries.filter(({ process: each }) => each?.running === true).length).toBe(20);
  });

  test("an agent of this program that never comes to its start costs itself alone", async () => {
    const { table, said } = emptyTable({}, { startTimeout: 50 });
    tables.push(table);
    const late = Promise.withResolvers<never>();
    const made = (domain: number, name: string, factory: AgentFactory): void =>
      table.add({ domain, name, origin: { kind: "made", load: async () => factory } });
    made(10, "stuck", () => late.promise);
    made(11, "good", () => ({ name: "good", metrics: [] }));
    await table.connect();
    expect(table.entries.map(({ agent }) => agent !== undefined)).toEqual([false, true]);
    expect(said).toEqual(["stuck: takes more than 0.05 s to start"]);
    late.reject(new Error("no sensor"));
    await Bun.sleep(1);
    expect(said[1]).toBe("Error: stuck: no sensor");
  });

  test("programs that there are not, ports where nobody listens", async () => {
    const port = await freePort();
    const socket = (domain: number, command: readonly string[], address: string): AgentLine => ({
      line: domain,
      label: `socket${domain}`,
      domain,
      kind: { type: "socket", family: "inet", address, command },
    });
    const { client, said } = await daemons([
      { ...pipe(10, ""), kind: { type: "pipe", notReady: false, command: ["/no/such/agent"] } },
      socket(11, [], `${port}`),
      socket(12, [], "no-such-service"),
    ]);
    expect(
      (
        await fetch(
          client,
          [10, 11, 12].map((domain) => item(domain, 0)),
        )
      ).values,
    ).toEqual(Array(3).fill(NOAGENT));
    expect(said.join("\n")).toContain("/no/such/agent: No such file or directory");
    expect(said.join("\n")).toContain("Connection refused");
    expect(said.join("\n")).toContain("failed to get port number for port name no-such-service");
  });

  test("a domain that is nobody's", async () => {
    const { client, table } = await daemons([]);
    expect((await fetch(client, [asPmid(0x0f000800)])).values).toEqual([NOAGENT]);
    expect(table.knows(60)).toBe(false);
  });
});
