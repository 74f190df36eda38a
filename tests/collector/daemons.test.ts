// Goal: the real daemon agents answer through us however they are reached: by pipes, by a unix socket and
// by TCP, as their lines in pmcd.conf say, with the same values; they end with the table, and the unix
// socket of one that was started here is taken away.
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parsePmcdConf } from "../../lib/collector/mod.ts";
import { openLocalContext } from "../../lib/context/mod.ts";
import { showValues } from "../context/pminfo.ts";
import { freePort } from "../helpers/ports.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { agentPlaces, emptyTable, PMDAS } from "./compiled.ts";

const METRICS = ["sample.bin", "sample.string.hullo", "sample.aggregate.hullo", "sample.long.one"];

testWith(
  ["pcp6", "root"],
  "sample by pipes, a unix socket and TCP",
  async () => {
    const { names, env } = await agentPlaces();
    const folder = privateFolder("daemons");
    const program = join(PMDAS, "sample/pmdasample");
    const log = (name: string): string => `-l ${join(folder, name)}`;
    const [port, socket] = [await freePort(), join(folder, "socket")];
    const conf = parsePmcdConf(
      [
        `one 29 pipe binary ${program} -d 29 ${log("one")}`,
        `two 30 socket unix ${socket} ${program} -d 30 -u ${socket} ${log("two")}`,
        `three 31 socket inet ${port} ${program} -d 31 -i ${port} ${log("three")}`,
      ].join("\n"),
    );
    expect(conf.problems).toEqual([]);
    const found: string[] = [];
    for (const line of conf.agents) {
      const { table, said } = emptyTable(env);
      table.add({ domain: line.domain, name: line.label, origin: { kind: "line", line } });
      const text = (await Bun.file(names).text()).replaceAll("29:", `${line.domain}:`);
      const own = join(folder, `names${line.domain}`);
      await Bun.write(own, text);
      const context = await openLocalContext({ agents: table, names: own, env, closeAgents: true });
      const values = await showValues(context, METRICS);
      found.push([...values].map((each) => each.join("\n")).join("\n"));
      const { pmids } = await context.lookupNames(["sample.secret.bar"]);
      expect((await context.fetch(pmids)).result.numpmid).toBe(1);
      const pid = table.entries[0]?.process?.pid ?? 0;
      process.kill(pid, 0);
      await context.close();
      expect(said).toEqual([]);
      expect(() => process.kill(pid, 0)).toThrow();
    }
    expect(found[0]).toContain('inst [100 or "bin-100"] value 100');
    expect(found[1]).toBe(found[0] ?? "");
    expect(found[2]).toBe(found[0] ?? "");
    expect(existsSync(socket)).toBe(false);
  },
  300_000,
);
