// Goal: the table of agents behaves as __pmLocalPMDA and pmSpecLocalPMDA: every -K of PCP's recording
// has its outcome, bad ones are refused in its words, entries are appended and taken away by its rules,
// and the table begins with what pmcd.conf, or this program, has.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { createRegistry, findDso, parseLocalSpec, type Registry } from "../../lib/collector/mod.ts";
import { openLocalContext } from "../../lib/context/mod.ts";
import type { Agent } from "../../lib/pmda/mod.ts";
import { describePeer } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";
import { agentPlaces, emptyTable } from "./compiled.ts";

// Processes are started from the sources.
setDefaultTimeout(300_000);

const domains = ({ entries }: Registry): number[] => entries.map(({ domain }) => domain);
const codeOf = (work: () => unknown): number => {
  try {
    work();
    return 0;
  } catch (error) {
    return asPcpError(error).code;
  }
};

/** An agent that is there, and nothing more. */
function idle(name: string): Agent {
  const nothing = (): never => {
    throw new PcpError(PM_ERR.NYI);
  };
  return {
    name,
    domain: 5,
    features: 0,
    fetch: nothing,
    desc: nothing,
    instances: nothing,
    instanceName: nothing,
    instanceId: nothing,
    text: nothing,
    labels: nothing,
    store: nothing,
  };
}

describe("specifications", () => {
  test("are done in order", () => {
    const { table } = emptyTable({});
    for (const spec of ["add,29,/a,init,more", "add,30,/b,i", "del,30", "add,31,/c,i", "del,,/c"])
      table.apply(spec);
    expect(table.entries.map(({ domain, name, init }) => [domain, name, init])).toEqual([
      [29, "/a", "init,more"],
      [-1, "/b", "i"],
      [-1, "/c", "i"],
    ]);
    table.apply("clear");
    expect(table.entries).toEqual([]);
  });

  // The table of spec local.md 4, whose messages are those of PCP.
  for (const [spec, reason] of [
    ["", "bad op in spec"],
    ["ADD,1,x,y", "bad op in spec"],
    ["clear,x", "unexpected text after clear op in spec"],
    ["clear ", "unexpected text after clear op in spec"],
    ["add", "expected , after op in spec"],
    ["del", "expected , after op in spec"],
    ["add,", "missing domain in spec"],
    ["del,", "missing domain in spec"],
    ["add,,x,y", "missing domain in spec"],
    ["add,x,y,z", "bad domain in spec"],
    ["add,29x,y,z", "bad domain in spec"],
    ["add,511,y,z", "bad domain in spec"],
    ["add,-1,y,z", "bad domain in spec"],
    ["del,x", "bad domain in spec"],
    ["add,29", "missing dso-path in spec"],
    ["add,29,", "missing dso-path in spec"],
    ["add,29,/p", "missing init-routine in spec"],
    ["add,29,/p,", "missing init-routine in spec"],
    ["del,,", "missing domain and dso-path in spec"],
  ] as const) {
    test(`refused: ${spec}`, () => {
      expect(() => parseLocalSpec(spec)).toThrow(
        new PcpError(PM_ERR.GENERIC, `pmSpecLocalPMDA failed: ${reason}`),
      );
    });
  }
});

describe("the table", () => {
  test("first of a domain wins, taken away by domain or name, bounded", async () => {
    const { table } = emptyTable({});
    for (const name of ["one", "two"])
      table.add({ domain: 5, name, origin: { kind: "given", agent: idle(name) } });
    await table.connect();
    expect(table.find(5).name).toBe("one");
    table.delete({ name: "one" });
    expect(domains(table)).toEqual([-1, 5]);
    expect(table.find(5).name).toBe("two");
    expect(codeOf(() => table.delete({ domain: 6 }))).toBe(PM_ERR.INDOM);
    expect(codeOf(() => table.delete({ name: "three" }))).toBe(PM_ERR.INDOM);
    table.delete({ domain: 5, name: "of no meaning beside a domain" });
    expect(codeOf(() => table.find(5))).toBe(PM_ERR.NOAGENT);
    expect([table.knows(5), table.knows(6)]).toEqual([true, false]);
    const origin = { kind: "dso" } as const;
    for (const domain of [-1, 511, 1.5, Number.NaN])
      expect(codeOf(() => table.add({ domain, name: "x", origin }))).toBe(PM_ERR.ARG);
    table.clear();
    for (let i = 0; i < 4096; i++) table.add({ domain: 1, name: "x", origin });
    expect(codeOf(() => table.add({ domain: 1, name: "x", origin }))).toBe(PM_ERR.TOOBIG);
  });

  test("begins with the agents of pmcd.conf as current PCP takes them", () => {
    const folder = privateFolder("table");
    const conf = join(folder, "pmcd.conf");
    writeFileSync(
      conf,
      [
        "# Name Id IPC",
        "#xfs 11 dso xfs_init /x.so",
        "root\t1\tpipe\tbinary\t\t/pmdaroot",
        "pmcd\t2\tdso\tpmcd_init\t/pmcd.so",
        "proc 3 pipe binary /pmdaproc -d 3",
        "linux 60 pipe binary /pmdalinux",
        "pmproxy 4 dso pmproxy_init /mmv.so",
        "mmv 70 dso mmv_init /mmv.so more words",
        "odd x dso odd_init /odd.so",
        "[access]",
        'disallow ".*" : store;',
      ].join("\n"),
    );
    const env = { PCP_PMCDCONF_PATH: conf, PCP_PMDAS_DIR: "/pmdas" };
    const table = createRegistry({ env });
    expect(table.entries).toEqual([]);
    table.add({ domain: 29, name: "last", origin: { kind: "dso" } });
    expect(table.entries.map(({ domain, name, init }) => [domain, name, init])).toEqual([
      [3, "/pmdas/proc/pmda_proc.so", "proc_init"],
      [60, "/pmdas/linux/pmda_linux.so", "linux_init"],
      [4, "/mmv.so", "pmproxy_init"],
      [70, "/mmv.so", "mmv_init"],
      [29, "last", ""],
    ]);
    const cleared = createRegistry({ env });
    cleared.clear();
    cleared.add({ domain: 29, name: "only", origin: { kind: "dso" } });
    expect(domains(cleared)).toEqual([29]);
    const lost = createRegistry({ env: { PCP_PMCDCONF_PATH: conf } });
    expect(codeOf(() => lost.delete({ domain: 60 }))).toBe(PM_ERR.GENERIC);
  });

  test("a pmcd.conf that is named and not there is an error, once", async () => {
    const env = { PCP_PMCDCONF_PATH: "/nonexistent/pmcd.conf" };
    const add = "add,60,linux/pmda_linux.so,linux_init";
    const message = "__pmLocalPMDA: No such file or directory";
    for (const spec of [add, "del,60"])
      expect(() => createRegistry({ env }).apply(spec)).toThrow(
        `pmSpecLocalPMDA failed: ${message}`,
      );
    const table = createRegistry({ env });
    const refused = await table.connect().catch(asPcpError);
    expect(refused).toMatchObject({ code: -2, message: "No such file or directory" });
    await table.connect();
    expect(table.entries).toEqual([]);
    const cleared = createRegistry({ env });
    cleared.apply("clear");
    cleared.apply(add);
    expect(domains(cleared)).toEqual([60]);
  });

  test("without PCP it begins with agents of this program", async () => {
    const table = createRegistry({ env: {} });
    await table.connect();
    expect(table.entries.length).toBeGreaterThan(0);
    expect(table.entries.every(({ kind, agent }) => kind === "made" && agent !== undefined)).toBe(
      true,
    );
    await table.close();
  });

  test("shared objects are looked for where PCP looks", () => {
    const folder = privateFolder("search");
    for (const file of ["a.so", "b"]) writeFileSync(join(folder, file), "");
    expect(findDso(join(folder, "a"), "/none")).toBe(join(folder, "a.so"));
    expect(findDso(join(folder, "b"), "/none")).toBe(join(folder, "b"));
    expect(findDso("a.so", folder)).toBe(`${folder}/a.so`);
    expect(findDso("a", folder)).toBe(`${folder}/a.so`);
    expect(findDso("c", folder)).toBeUndefined();
  });
});

/** One recorded command and its output. */
interface Recorded {
  readonly spec: string;
  readonly output: readonly string[];
}

function recordings(): Recorded[] {
  const text = readFileSync(join(root, "tests/fixtures/pmda/local/K-specs.txt"), "utf8");
  return text.split(/^\$ /m).flatMap((part) => {
    const [command = "", ...output] = part.split("\n");
    const spec = /^pminfo -L -K (.*) -n @PMNS@ -f sample.long.one$/.exec(command)?.[1];
    const end = output.findIndex((line) => line.startsWith("[rc="));
    return spec === undefined ? [] : [{ spec, output: output.slice(0, end) }];
  });
}

describePeer("pcp6", "each recorded -K", () => {
  for (const { spec, output } of recordings())
    test(spec, async () => {
      const { names, env, folder } = await agentPlaces();
      const conf = join(folder, "empty.conf");
      writeFileSync(conf, "");
      const { table, said } = emptyTable(
        { ...env, PCP_PMCDCONF_PATH: conf },
        { initial: "pcp", names },
      );
      const placed = (text: string): string =>
        text.replaceAll("@PMDAS@", env["PCP_PMDAS_DIR"] ?? "");
      const [first = "", second = "", third = ""] = output.map(placed);
      try {
        table.apply(placed(spec));
      } catch (error) {
        expect(`pminfo: ${asPcpError(error).message}`).toBe(first);
        return;
      }
      const context = await openLocalContext({ agents: table, closeAgents: true, env });
      try {
        const { pmids } = await context.lookupNames(["sample.long.one"]);
        const found = await context.fetch(pmids);
        const set = found.result.find(pmids[0] as (typeof pmids)[number]);
        if (third !== "") {
          expect([said, set?.word(0)]).toEqual([[], 1]);
          expect(`${second}${third}`).toContain("value 1");
        } else {
          expect([
            ...said,
            "sample.long.one: pmLookupDesc: No PMCD agent for domain of request",
          ]).toEqual([first, second].filter((line) => line !== ""));
          expect(set?.numval).toBe(PM_ERR.NOAGENT);
        }
      } finally {
        await context.close();
      }
    });
});

describePeer("pcp6", "a table that is closed while its agents start", () => {
  test("leaves none behind", async () => {
    const { table, said } = emptyTable({});
    table.apply("add,122,jbd2/pmda_jbd2.so,jbd2_init");
    const [entry] = table.entries;
    const connecting = table.connect();
    await table.close();
    await connecting;
    expect(entry?.process === undefined || !entry.process.running).toBe(true);
    expect([entry?.agent, said]).toEqual([undefined, []]);
  });
});
