// Goal: `pmda-run --listen` as a program: the table in agents.toml with agents of each kind that this
// program brings itself, what the environment says, SIGHUP with good and bad tables, an end that leaves
// nothing behind; mistakes on its command line and in its table are told in one line each.
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openHostContext } from "../../lib/context/mod.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { type Daemon, privateFolder, run, startDaemon } from "../helpers/process.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");
const PCPBOX = [process.execPath, main, "pmda-run"];
const daemons: Daemon[] = [];
afterAll(async () => {
  for (const daemon of daemons) await daemon.stop();
});

const MODULE = `import { defineAgent, PM_SEM, PM_TYPE } from "pcpbox";
export default defineAgent({
  name: "weather",
  domain: 400,
  create: ({ args }) => {
    setTimeout(() => {
      throw new Error("the sensor is gone");
    }, 20);
    const fetch = () => args.length;
    return {
      metrics: [{ name: "weather.args", cluster: 0, item: 0, type: PM_TYPE.U32, sem: PM_SEM.INSTANT, fetch }],
    };
  },
});
`;

const table = (folder: string, more = ""): string => `timeout = 9
access = 'disallow ".*" : store; disallow ":*" : store; ${more}'

[[agent]]
builtin = "simple"

[[agent]]
module = "${join(folder, "weather.ts")}"
args = ["a", "b"]

[[agent]]
name = "pipes"
domain = 250
command = ${JSON.stringify([...PCPBOX, "trivial", "-d", "250", "-l", join(folder, "pipes.log")])}

[[agent]]
name = "sockets"
domain = 251
socket = "unix:${join(folder, "agent")}"
command = ${JSON.stringify([...PCPBOX, "simple", "-d", "251", "-u", join(folder, "agent"), "-l", join(folder, "sockets.log")])}
`;

test("agents of every kind, the environment, SIGHUP, the end", async () => {
  const folder = privateFolder("listen");
  const [toml, names, log] = ["agents.toml", "names", "log"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const socket = join(folder, "socket");
  writeFileSync(join(folder, "weather.ts"), MODULE);
  writeFileSync(toml, table(folder));
  writeFileSync(
    names,
    "root {\n trivial\n other\n}\ntrivial { time 250:0:0 }\nother { now 251:0:0 }\n",
  );
  const ports = [await freePort(), await freePort()];
  const daemon = startDaemon(
    [...PCPBOX, "--listen", "--local", "--agents", toml, "-n", names, "-i", "127.0.0.1"],
    log,
    { env: { PMCD_PORT: `${ports.join(",")},none`, PMCD_SOCKET: socket, PCP_SYSCONF_DIR: folder } },
  );
  daemons.push(daemon);
  const said = (text: string): boolean => readFileSync(log, "utf8").includes(text);
  expect(await waitUntil(() => said("listening on"), daemon.alive)).toBe(true);
  expect(said(`listening on port ${ports[0]}, port ${ports[1]}, ${socket}`)).toBe(true);
  expect(said('Warning: PMCD_PORT: "none" is no port number')).toBe(true);

  const clients = [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`, `unix:${socket}`];
  for (const host of clients) {
    const client = await openHostContext(host, { env: {} });
    const wanted = ["simple.color", "weather.args", "trivial.time", "other.now", "pmcd.pid"];
    const { pmids, resolved } = await client.lookupNames(wanted);
    expect(resolved).toBe(wanted.length);
    const { result } = await client.fetch(pmids);
    expect(pmids.map((pmid) => result.find(pmid)?.numval)).toEqual([3, 1, 1, 1, 1]);
    expect(pmids[1] === undefined ? 0 : result.find(pmids[1])?.word(0)).toBe(2);
    await client.close();
  }
  const stray = `Error: ${join(folder, "weather.ts")}:7:`;
  expect(await waitUntil(() => said("the sensor is gone"), daemon.alive)).toBe(true);
  expect(said(stray)).toBe(true);

  const again = async (text: string, wanted: string): Promise<void> => {
    writeFileSync(toml, text);
    process.kill(daemon.pid, "SIGHUP");
    expect(await waitUntil(() => said(wanted), daemon.alive)).toBe(true);
  };
  await again("agent = 1", `Error: the table was not read again: ${toml}: agents are written as`);
  await again(table(folder, "nonsense"), `pmcd config[${toml} access line 1]: Error: `);
  await again(table(folder).replace('builtin = "simple"', 'builtin = "sample"'), "read again\n");
  const client = await openHostContext(`unix:${socket}`, { env: {} });
  expect(await client.traverse("sample.bin")).toEqual(["sample.bin"]);
  await client.close();

  await daemon.stop();
  expect(existsSync(socket)).toBe(false);
  expect(existsSync(join(folder, "agent"))).toBe(false);
}, 300_000);

test("mistakes are one line each", async () => {
  const folder = privateFolder("listen");
  const toml = join(folder, "agents.toml");
  writeFileSync(toml, '[[agent]]\nbuiltin = "simple"\n[[agent]]\nname = "x"\nmore = 1\n');
  const said = async (...args: string[]) => {
    const { status, stderr } = await run([...PCPBOX, "--listen", "-s", "none", ...args]);
    return { status, lines: stderr.trimEnd().split("\n") };
  };
  const head = "pcpbox pmda-run --listen: ";
  const hint = "Try 'pcpbox pmda-run --listen --help' for more information.";
  expect(await said("-p", "70000")).toEqual({
    status: 2,
    lines: [`${head}-p requires a list of port numbers, not "70000"`, hint],
  });
  const faulty = await said("0", "--agents", toml);
  expect(faulty.status).toBe(1);
  expect(faulty.lines.join("\n")).toStartWith(`${head}${toml}: agent 2 ("x"): `);
  const missing = join(folder, "missing");
  expect(await said("0", "-c", missing)).toEqual({
    status: 1,
    lines: [`${head}${missing}: No such file or directory`],
  });
  expect(await said("0", "--tls-conf", missing, "simple")).toEqual({
    status: 1,
    lines: [`${head}${missing}: No such file or directory`],
  });
  expect(await said("0", "nosuch")).toEqual({
    status: 1,
    lines: [`${head}agent "nosuch": there is no agent "nosuch" built in`],
  });
}, 300_000);
