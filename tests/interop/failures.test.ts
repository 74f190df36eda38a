// Goal: when something breaks - no pmcd, an unknown host, a pmcd that is silent, dies, hangs or comes back - the client
// programs end, wait and recover through the proxy as they do without it, in the same words. Where a proxy cannot tell
// the reason (no connection to pmcd), the client says "IPC protocol failure" (spec proxy.md 11.2, pdu.md 12.3).
import { afterAll, describe, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { join } from "node:path";
import { clientEnvironment, runIn, startPmcd } from "../helpers/pcp.ts";
import type { PcpTree, Pmcd } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { concurrentTestWith, skipAloud } from "../helpers/peers.ts";
import type { Peer } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";
import { proxySubject } from "../helpers/proxy.ts";
import { settle } from "./clients.ts";
import { startBench } from "./routes.ts";
import type { Bench } from "./routes.ts";

/** A test of something the real pmproxy gets wrong, so that it can be the subject of the rest. */
function repaired(peers: readonly Peer[], name: string, body: () => Promise<void>): void {
  if (proxySubject.real) skipAloud(name, "a fault of the real pmproxy");
  else concurrentTestWith(peers, name, body, 300_000);
}

/** A server that takes connections and does with them what it is told; nothing by default. */
function standIn(greet: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    greet(socket);
  });
  return new Promise((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = server.address();
      resolve({ port: typeof address === "object" && address !== null ? address.port : 0, server });
    });
  });
}

/** Servers that are no pmcd, and whether a client waits for its own time limit. */
const strangers: readonly { name: string; greet: (socket: Socket) => void; says: string }[] = [
  { name: "is silent", greet: () => undefined, says: "Timeout waiting for a response from PMCD" },
  { name: "hangs up at once", greet: (socket) => socket.end(), says: "IPC protocol failure" },
  {
    name: "speaks something else",
    greet: (socket) => socket.end("220 mail.example.com ESMTP ready\r\n"),
    says: "IPC protocol failure",
  },
  {
    name: "refuses",
    // ERROR PDU with PM_ERR_PERMISSION, in the numbering of the wire (pdu.md 8.2, vec 005).
    greet: (socket) =>
      socket.end(Buffer.from("0000001400007000" + "00000000fffffbee00000000", "hex")),
    says: "No permission to perform requested operation",
  },
];

/** A program that runs on while its pmcd dies, and maybe comes back. */
interface Watcher {
  readonly name: string;
  readonly peers6: readonly Peer[];
  /** HOST, FOLDER (private) and CONFIG (a file with `configuration`) are replaced. */
  readonly argv: readonly string[];
  readonly configuration?: string;
  /** File in FOLDER that tells what happens; the program's output by default. */
  readonly log?: string;
  /** What shows that it is at work. */
  readonly working: RegExp;
  /** What shows that it is at work again; none: it ends when pmcd dies. */
  readonly recovered?: RegExp;
}

const watchers: readonly Watcher[] = [
  {
    name: "pmval",
    peers6: [],
    argv: ["pmval", "-h", "HOST", "-t", "0.1", "sample.long.ten"],
    working: /(\n +10){3}/,
  },
  {
    name: "pmrep",
    peers6: ["pcp6-python"],
    argv: [
      ["/usr/bin/python3", "-u", "/usr/bin/pmrep", "-h", "HOST", "-t", "0.1"],
      ["sample.long.ten"],
    ].flat(),
    working: /(\n +10){3}/,
  },
  {
    name: "pmie",
    peers6: [],
    argv: ["pmie", "-v", "-h", "HOST", "-t", "0.1", "-c", "CONFIG"],
    configuration: "one = sample.long.one;\n",
    working: /(one: 1\n+){3}/,
    recovered: /Re-established[^]*^one: 1$/m,
  },
  {
    name: "pmlogger",
    peers6: [],
    argv: [
      ["pmlogger", "-y", "-h", "HOST", "-c", "CONFIG", "-l", "FOLDER/log"],
      ["FOLDER/recording"],
    ].flat(),
    configuration: "log mandatory on 100 msec { sample.long.one sample.bin }\n",
    log: "log",
    working: /Archive basename|Starting logger/,
    recovered: /Validating metrics after PMCD state changed/,
  },
];

/** How pmlogger notices depends on whether a fetch is under way when pmcd dies. */
const byChance =
  /^(myFetch: |pmlogger: Error: |Error: __pm\w+: )(End of File|IPC protocol failure)/;

/** Lines in their order without blank ones and without repetitions of the line before. */
function story(text: string): string[] {
  const told = (line: string) => line.trim() !== "" && !byChance.test(line);
  const lines = text.split("\n").filter(told);
  return lines.filter((line, index) => line !== lines[index - 1]);
}

function startWatcher(tree: PcpTree, watcher: Watcher, spec: string, pmcd: Pmcd) {
  const folder = privateFolder("watch");
  const config = join(folder, "config");
  const replace = (word: string) =>
    word.replace("HOST", spec).replace("CONFIG", config).replace("FOLDER", folder);
  const write = Bun.write(config, watcher.configuration ?? "");
  const output = join(folder, "output");
  const env = { ...pmcd.clientEnv, PMCD_RECONNECT_TIMEOUT: "1" };
  const ready = write.then(() =>
    startDaemon(tree.command(watcher.argv.map(replace)), output, { env }),
  );
  const read = (name: string) => {
    const path = join(folder, name);
    return Bun.file(path).size > 0 ? readFileSync(path, "utf8") : "";
  };
  return {
    ready,
    written: () => Bun.file(join(folder, "recording.0")).size,
    text: () => settle(read(watcher.log ?? "output").replaceAll(folder, "FOLDER"), spec),
  };
}

function failuresOf(tree: PcpTree): void {
  let started: Promise<Bench> | undefined;
  const bench = () => (started ??= startBench(tree));
  const servers: Server[] = [];
  const pmcds: Pmcd[] = [];
  afterAll(async () => {
    for (const server of servers) server.close();
    await Promise.all([...pmcds.map((pmcd) => pmcd.stop()), (await started)?.stop()]);
  });
  const look = async (spec: string, metric = "sample.long.one") => {
    const env = clientEnvironment(tree);
    const result = await runIn(tree, ["pminfo", "-h", spec, "-f", metric], { env });
    return { status: result.status, text: settle(result.stdout + result.stderr, spec) };
  };
  const broken = (reason: string) => ({
    status: 1,
    text: `pminfo: Cannot connect to PMCD on host "HOST": ${reason}\n`,
  });

  for (const entry of ["TCP", "unix socket", "TLS"] as const) {
    concurrentTestWith([tree.name, "openssl"], `no pmcd, by ${entry}`, async () => {
      const { proxy, unixRelay, tlsRelay } = await bench();
      const ports = { TCP: proxy.port, "unix socket": unixRelay.port, TLS: tlsRelay.port };
      const port = await freePort();
      expect(await look(`127.0.0.1:${port}`)).toEqual(broken("Connection refused"));
      const through = await look(`127.0.0.1:${port}@127.0.0.1:${ports[entry]}`);
      expect(through).toEqual(broken("IPC protocol failure"));
    });
  }

  repaired([tree.name, "openssl"], "an unknown host is not the local one", async () => {
    const { plain, proxy } = await bench();
    const through = await look(`no-such-host.invalid:${plain.port}@127.0.0.1:${proxy.port}`);
    expect(through).toEqual(broken("IPC protocol failure"));
  });

  repaired([tree.name, "ipv6", "openssl"], "the address decides which pmcd answers", async () => {
    const { proxy } = await bench();
    const four = await startPmcd(tree, { interfaces: ["127.0.0.1"] });
    const six = await startPmcd(tree, { interfaces: ["::1"], port: four.port });
    pmcds.push(four, six);
    for (const host of ["127.0.0.1", "[::1]"]) {
      const direct = await look(`${host}:${four.port}`, "pmcd.pid");
      expect(direct.status).toBe(0);
      const through = await look(`${host}:${four.port}@localhost:${proxy.port}`, "pmcd.pid");
      expect([host, through]).toEqual([host, direct]);
    }
  });

  concurrentTestWith([tree.name, "openssl"], "a port list is tried in its order", async () => {
    const { plain, proxy } = await bench();
    const list = `127.0.0.1:${await freePort()},${plain.port}`;
    const direct = await look(list);
    expect(direct.status).toBe(0);
    expect(await look(`${list}@127.0.0.1:${proxy.port}`)).toEqual(direct);
  });

  for (const { name, greet, says } of strangers) {
    repaired([tree.name, "openssl"], `a server that ${name}`, async () => {
      const { proxy } = await bench();
      const { port, server } = await standIn(greet);
      servers.push(server);
      const [direct, through] = await Promise.all([
        look(`127.0.0.1:${port}`),
        look(`127.0.0.1:${port}@127.0.0.1:${proxy.port}`),
      ]);
      expect(direct.text).toContain(says);
      expect(through).toEqual(direct);
    });
  }

  for (const watcher of watchers) {
    const own = tree === pcp6 ? watcher.peers6 : [];
    const name = watcher.recovered === undefined ? "ends" : "recovers";
    repaired([tree.name, "openssl", ...own], `pmcd dies, ${watcher.name} ${name}`, async () => {
      const { proxy } = await bench();
      const pmcd = await startPmcd(tree);
      pmcds.push(pmcd);
      const spec = `127.0.0.1:${pmcd.port}`;
      const runs = [
        startWatcher(tree, watcher, spec, pmcd),
        startWatcher(tree, watcher, `${spec}@127.0.0.1:${proxy.port}`, pmcd),
      ];
      const daemons = await Promise.all(runs.map(({ ready }) => ready));
      const all = (pattern: RegExp) => runs.every(({ text }) => pattern.test(text()));
      expect(await waitUntil(() => all(watcher.working))).toBe(true);
      // pmlogger does not say when it has begun, but it writes.
      if (watcher.log !== undefined)
        expect(await waitUntil(() => runs.every(({ written }) => written() > 1000))).toBe(true);
      pmcd.daemon().signal("SIGKILL");
      await pmcd.daemon().ended;
      const recovered = watcher.recovered;
      if (recovered === undefined) {
        expect(await Promise.all(daemons.map(({ ended }) => ended))).toEqual([1, 1]);
      } else {
        await pmcd.restart();
        await waitUntil(() => all(recovered));
      }
      const [direct, through] = runs.map(({ text }) => story(text()));
      await Promise.all(daemons.map((daemon) => daemon.stop()));
      expect(through).toEqual(direct ?? []);
      if (recovered !== undefined) expect(direct?.join("\n")).toMatch(recovered);
    });
  }

  concurrentTestWith([tree.name, "openssl"], "pmcd hangs, pmval says so in time", async () => {
    const { proxy } = await bench();
    const pmcd = await startPmcd(tree);
    pmcds.push(pmcd);
    const hung: Watcher = { ...(watchers[0] as Watcher) };
    const spec = `127.0.0.1:${pmcd.port}`;
    const limited: Pmcd = {
      ...pmcd,
      clientEnv: { ...pmcd.clientEnv, PMCD_REQUEST_TIMEOUT: "5" },
    };
    const runs = [
      startWatcher(tree, hung, spec, limited),
      startWatcher(tree, hung, `${spec}@127.0.0.1:${proxy.port}`, limited),
    ];
    const daemons = await Promise.all(runs.map(({ ready }) => ready));
    const all = () => runs.every(({ text }) => hung.working.test(text()));
    expect(await waitUntil(all)).toBe(true);
    pmcd.daemon().signal("SIGSTOP");
    const ends = await Promise.all(daemons.map(({ ended }) => ended));
    pmcd.daemon().signal("SIGCONT");
    const [direct, through] = runs.map(({ text }) => story(text()));
    expect(ends[1]).toBe(ends[0] ?? null);
    expect(direct?.join("\n")).toContain("Timeout waiting for a response from PMCD");
    expect(through).toEqual(direct ?? []);
  });
}

describe("PCP 6", () => failuresOf(pcp6));
describe("PCP 7", () => failuresOf(pcp7));
