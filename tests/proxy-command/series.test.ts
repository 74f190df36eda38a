// Goal: `pcpbox proxy --load` and `--query` do from the shell what pmseries does: over a key server, which the
// real programs can read then, and over archives without one; recorded answers, messages and exit statuses,
// and nothing is started.
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { startRedis } from "../helpers/pcp6.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { freePort } from "../helpers/ports.ts";
import { privateFolder, run, type RunResult } from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";
import { awkwardLines, type Recorded } from "../series/recorded-lines.ts";
import { makeStage, program, type Stage } from "./stage.ts";

const edge = join(root, "tests/fixtures/series/archives/edge");

/** A stage whose catalogue stays from one run to the next. */
async function stageWithState(): Promise<Stage> {
  const stage = await makeStage();
  const state = { PCP_PMSERIES_CATALOGUE: stage.path("series.sqlite") };
  return { ...stage, proxy: (args, more = {}) => stage.proxy(args, { ...state, ...more }) };
}

/** Recorded lines of pmseries that only ask a query, as command lines of ours. */
function queries(recorded: readonly Recorded[]): { argv: string[]; line: Recorded }[] {
  const found: { argv: string[]; line: Recorded }[] = [];
  for (const line of recorded) {
    const options = line.argv.slice(0, -1);
    const [expression] = line.argv.slice(-1);
    if (expression === undefined || expression.startsWith("-")) continue;
    if (/^[0-9a-f]{40}(,|$)/.test(expression)) continue;
    const argv: string[] = [];
    let plain = true;
    for (let at = 0; at < options.length; at++) {
      const option = options[at] ?? "";
      if (option === "-q") continue;
      if (option === "-F") argv.push("--fast");
      else if (option === "-t") argv.push("--times");
      else if (option === "-Z") argv.push("-Z", options[++at] ?? "");
      else plain = false;
    }
    if (plain) found.push({ argv: [...argv, "--query", expression], line });
  }
  return found;
}

const outcomeOf = (line: Recorded) => line["7.2.1"] ?? line.result;

const lines = (text: string): string[] => text.split("\n").toSorted();

/** Every eighth of the recorded lines: all of them run in tests/series over the same code. */
async function replay(stage: Stage, options: readonly string[]): Promise<number> {
  let taken = 0;
  for (const [index, { argv, line }] of queries(awkwardLines).entries()) {
    const wanted = outcomeOf(line);
    if (index % 8 !== 0 || wanted === undefined) continue;
    const got = await stage.proxy([...options, ...argv]);
    expect({ argv, status: got.status, stderr: got.stderr }).toEqual({
      argv,
      status: wanted.exit,
      stderr: wanted.stderr,
    });
    expect({ argv, lines: lines(got.stdout) }).toEqual({ argv, lines: lines(wanted.stdout) });
    taken++;
  }
  return taken;
}

describe("over archives", () => {
  test("an archive that was loaded is asked, as recorded", async () => {
    const stage = await stageWithState();
    const loaded = await stage.proxy(["--load", edge]);
    expect(loaded).toMatchObject({
      status: 0,
      stdout: `pmseries: [Info] catalogued ${edge}\n`,
      stderr: "",
    });
    expect(await replay(stage, [])).toBeGreaterThan(3);
    expect(existsSync(stage.path("run/pmproxy.pid"))).toBe(false);
  }, 300_000);

  test("archives of the directory answer without anything having run before", async () => {
    const stage = await makeStage();
    for (const suffix of ["0", "index", "meta"])
      cpSync(`${edge}.${suffix}`, stage.path(`log/edge.${suffix}`));
    const { stdout, status } = await stage.proxy(["--query", "edge.flt[count:1]", "--times"]);
    expect(status).toBe(0);
    expect(stdout).toBe(
      "\na17a45a7ffee8b6e0b052e6941595b20763ca3a9\n    [1700000002999.999] 2.000000e-01\n",
    );
  });

  test("a relative name is one from here", async () => {
    const stage = await stageWithState();
    for (const suffix of ["0", "index", "meta"])
      cpSync(`${edge}.${suffix}`, stage.path(`work/mine.${suffix}`));
    const { stdout } = await stage.proxy(["--load", "mine"]);
    expect(stdout).toBe(`pmseries: [Info] catalogued ${stage.path("work/mine")}\n`);
  });

  testWith(
    "root",
    "a catalogue that root makes is its directory's owner's, and no link leads out",
    async () => {
      const stage = await makeStage();
      // The stage is root's: its user could not get to a directory in it.
      const folder = await privateFolder("owned");
      chmodSync(folder, 0o755);
      const state = join(folder, "state");
      mkdirSync(state);
      chownSync(state, 65534, 65534);
      const own = { PCP_PMSERIES_CATALOGUE: join(state, "series.sqlite") };
      expect(await stage.proxy(["--load", edge], own)).toMatchObject({ status: 0, stderr: "" });
      expect(statSync(join(state, "series.sqlite")).uid).toBe(65534);
      const foreign = join(folder, "foreign");
      symlinkSync(foreign, join(state, "link.sqlite"));
      const led = { PCP_PMSERIES_CATALOGUE: join(state, "link.sqlite") };
      const { status, stderr } = await stage.proxy(["--load", edge], led);
      expect([status, stderr]).toEqual([
        0,
        expect.stringContaining("a catalogue in memory is used"),
      ]);
      expect(existsSync(foreign)).toBe(false);
    },
  );

  test("a reader that goes away ends it without a word", async () => {
    const stage = await stageWithState();
    await stage.proxy(["--load", edge]);
    const ours = [...program, "--query", "edge.*[count:100]"].map((word) => `'${word}'`).join(" ");
    const catalogue = stage.path("series.sqlite");
    const { stdout, stderr } = await run(["sh", "-c", `${ours} | head -n 2`], {
      cwd: stage.path("work"),
      env: { ...stage.env, PCP_PMSERIES_CATALOGUE: catalogue },
    });
    expect([stdout.split("\n").length, stderr]).toEqual([3, ""]);
  });
});

describe("mistakes are one message and status 1", () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--load", "/nosuch/a"], 'pmseries: [Error] cannot open archive "/nosuch/a": No such file'],
    [["--load", "nosuch"], "pmseries: [Error] found no context to load\n"],
    [["--load", '{source.host: "x"}'], "pmseries: [Error] found no context to load\n"],
    [
      ["--query", "a$b"],
      "pmseries: [Error] cannot parse given string\n\na$b\n ^ -- syntax error\n",
    ],
    [["--query", ""], "pmseries: [Error] cannot parse given string\n"],
    [["--query", "a", "--load", "b"], "pmproxy: cannot use load and querying options together\n"],
    [["--query", "a", "start"], "pmproxy: --load and --query start and check nothing\n"],
    [["--fast"], "pmproxy: --fast needs --load or --query\n"],
  ];
  for (const [args, message] of cases)
    test(args.join(" "), async () => {
      const { status, stdout, stderr } = await (await makeStage()).proxy(args);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toStartWith(message);
    });

  test("a key server that is not there", async () => {
    const port = String(await freePort());
    const { status, stderr } = await (
      await makeStage()
    ).proxy(["-h", "127.0.0.1", "-p", port, "--query", "a"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^pmseries: \[Error\] Cannot connect to key server: .+\n$/);
  });
});

describePeer("redis", "over a key server", () => {
  test("what is loaded is asked, as recorded", async () => {
    const server = await startRedis();
    const stage = await makeStage();
    const key = ["-h", "127.0.0.1", "-p", String(server.port)];
    const { status, stdout, stderr } = await stage.proxy([...key, "--load", edge]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^pmseries: \[Info\] processed \d+ archive records from .*\/edge\n$/);
    expect(await replay(stage, key)).toBeGreaterThan(3);
    await server.stop();
  }, 300_000);

  test("the server's place comes from pmproxy.conf, and from pmseries.conf, which wins", async () => {
    const server = await startRedis();
    const stage = await makeStage();
    for (const name of ["pmproxy", "pmseries"]) mkdirSync(stage.path(`etc/${name}`));
    const servers = `[keys]\nservers = 127.0.0.1:${server.port}\n`;
    stage.write("etc/pmproxy/pmproxy.conf", servers);
    const ask = (): Promise<RunResult> => stage.proxy(["--query", "edge.flt"]);
    expect((await stage.proxy(["--fast", "--load", edge])).stdout).toContain("processed");
    expect((await ask()).stdout).toBe("a17a45a7ffee8b6e0b052e6941595b20763ca3a9\n");
    expect((await stage.proxy(["--query", "edge.flt[count:1]"])).stdout).toBe("");
    stage.write("etc/pmseries/pmseries.conf", "[pmseries]\nstore = embedded\n");
    expect(await ask()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    const other = join(privateFolder("series"), "other.conf");
    await Bun.write(other, servers);
    expect((await stage.proxy(["-c", other, "--query", "edge.flt"])).stdout).not.toBe("");
    await server.stop();
  }, 300_000);
});
