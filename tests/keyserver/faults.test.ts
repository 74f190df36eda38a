// Goal: whatever a key server does, who asks is told one clear reason, soon, and answers are there again when it
// is: absent, stopped in mid-answer, loading its data, too old, without password, rights or trust. Others
// are unharmed meanwhile.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { PcpError } from "../../lib/base/mod.ts";
import { UTC } from "../../lib/pcp/mod.ts";
import {
  type KeySeriesService,
  openKeySeries,
  type OpenKeySeriesOptions,
} from "../../lib/keyserver/mod.ts";
import { describePeer } from "../helpers/peers.ts";
import { freePort, waitUntil } from "../helpers/ports.ts";
import { run } from "../helpers/process.ts";
import { proxySubject } from "../helpers/proxy.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { serverWith, standIn, stopAll } from "../server/support.ts";
import { type FaultyRedis, faultyRedis } from "./faulty.ts";

const ARCHIVE = join(import.meta.dir, "../fixtures/series/archives/edge");
const LOAD = `{source.path: "${ARCHIVE}"}`;

setDefaultTimeout(300_000);
const closers: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closers) await close();
  await stopAll();
});

async function redisWith(more: readonly string[] = []): Promise<FaultyRedis> {
  const redis = await faultyRedis(more);
  closers.push(redis.stop);
  return redis;
}

type Reach = Omit<OpenKeySeriesOptions["server"], "servers">;

interface Opened extends KeySeriesService {
  readonly lines: readonly string[];
}

function serviceOf(port: number, more: Reach = {}): Opened {
  const lines: string[] = [];
  const service = openKeySeries({
    server: { servers: [`127.0.0.1:${port}`], pauses: [50], ...more },
    search: false,
    zone: UTC,
    log: (_level, text) => lines.push(text),
  });
  closers.push(() => service.close());
  return Object.assign(service, { lines });
}

const names = (service: KeySeriesService) => service.store.names("metric");
const reasonOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "answered",
    (error: unknown) =>
      error instanceof PcpError ? error.message : `no PcpError: ${String(error)}`,
  );
/** What questions are refused with, once the service has tried. */
async function refusal(service: KeySeriesService): Promise<string> {
  let reason = "";
  const known = async (): Promise<boolean> => {
    reason = await reasonOf(names(service));
    return !reason.endsWith("not connected yet") && reason !== "answered";
  };
  await waitUntil(known);
  return reason;
}

describePeer("redis", "a key server", () => {
  test("that is absent is told at once, by all ways, and used when it comes", async () => {
    const port = await freePort();
    const service = serviceOf(port);
    expect(await refusal(service)).toStartWith("no connection to the key server: ");
    expect(await reasonOf(service.load(LOAD))).toStartWith("no connection to the key server: ");
    expect(service.lines).toHaveLength(1);
    expect(service.lines[0]).toStartWith("Cannot connect to key server: ");
    const shell = ["-h", "127.0.0.1", "-p", String(port), "--load", ARCHIVE];
    const { status, stdout, stderr } = await run(proxySubject.command(shell));
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^pmseries: \[Error\] Cannot connect to key server: .*\n$/);
    const daemon = Bun.spawn(
      ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--save", ""],
      {
        stdout: "ignore",
      },
    );
    await service.server.ready();
    expect((await service.load(LOAD)).values).toBeGreaterThan(0);
    expect(await names(service)).toContain("edge.u64");
    daemon.kill("SIGKILL");
    await daemon.exited;
    expect(await refusal(service)).toStartWith("no connection to the key server: ");
  }, 300_000);

  test("that stops in mid-answer is given up in time; others go on; it is used again", async () => {
    const redis = await redisWith();
    const slow = serviceOf(redis.port, { timeout: 2000 });
    await slow.server.ready();
    await slow.load(LOAD);
    const relay = await serverWith({
      resp: { enabled: true },
      keyServer: { servers: [{ host: "127.0.0.1", port: redis.port }] },
    });
    const patient = connect({ host: "127.0.0.1", port: relay.port });
    let heard = "";
    patient.on("data", (bytes) => (heard += bytes.toString()));
    patient.write("*1\r\n$4\r\nPING\r\n");
    await waitUntil(() => heard !== "");
    redis.signal("SIGSTOP");
    expect(await reasonOf(names(slow))).toBe(
      "no connection to the key server: no answer within 2000 ms",
    );
    expect(await reasonOf(slow.load(LOAD))).toStartWith("no connection to the key server: ");
    // A client that is relayed waits; who wants nothing of the key server does not.
    patient.write("*1\r\n$4\r\nPING\r\n");
    const page = await fetch(`http://127.0.0.1:${relay.port}/-/healthy`);
    expect(page.status).toBe(200);
    expect(heard).toBe("+PONG\r\n");
    redis.signal("SIGCONT");
    await waitUntil(() => heard.length > 7);
    expect(heard).toBe("+PONG\r\n+PONG\r\n");
    await slow.server.ready();
    expect(await names(slow)).toContain("edge.u64");
    patient.destroy();
  }, 300_000);

  test("that pauses its clients", async () => {
    const redis = await redisWith();
    const hasty = serviceOf(redis.port, { timeout: 2000 });
    const calm = serviceOf(redis.port);
    await Promise.all([hasty.server.ready(), calm.server.ready()]);
    await calm.load(LOAD);
    await redis.cli("CLIENT", "PAUSE", "4000", "ALL");
    const [first, second] = await Promise.all([reasonOf(names(hasty)), names(calm)]);
    expect(first).toBe("no connection to the key server: no answer within 2000 ms");
    expect(second).toContain("edge.u64");
  });

  test("that loads its data is as good as none, until it has", async () => {
    const redis = await redisWith();
    let isLoading = true;
    const front = await standIn((socket) => {
      const behind: Socket = connect({ host: "127.0.0.1", port: redis.port });
      behind.on("error", () => socket.destroy());
      behind.on("data", (bytes) => socket.write(bytes));
      behind.on("end", () => socket.end());
      socket.on("data", (bytes) => {
        if (!isLoading) {
          behind.write(bytes);
          return;
        }
        const requests = bytes.toString().match(/^\*\d/gm)?.length ?? 1;
        socket.write("-LOADING Redis is loading the dataset in memory\r\n".repeat(requests));
      });
      socket.on("close", () => behind.destroy());
    });
    const service = serviceOf(front.port);
    expect(await refusal(service)).toContain("LOADING Redis is loading the dataset in memory");
    isLoading = false;
    await service.server.ready();
    expect((await service.load(LOAD)).values).toBeGreaterThan(0);
  });

  test("that is too old, or none at all", async () => {
    const old = await standIn((socket) => {
      socket.on("data", (bytes) => {
        for (const [name] of bytes.toString().matchAll(/INFO|HELLO|CLIENT|CLUSTER|GET|COMMAND/g)) {
          const info = "redis_version:4.0.9\r\n";
          if (name === "INFO") socket.write(`$${info.length}\r\n${info}\r\n`);
          else socket.write("-ERR unknown command\r\n");
        }
      });
    });
    expect(await refusal(serviceOf(old.port))).toBe(
      "no connection to the key server: unsupported key server (got v4, expected v5 or above)",
    );
    const other = await standIn((socket) => {
      socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    expect(await refusal(serviceOf(other.port))).toStartWith("no connection to the key server: ");
  });

  test("that wants a password, or gives few rights", async () => {
    const redis = await redisWith(["--requirepass", "secret"]);
    expect(await refusal(serviceOf(redis.port))).toMatch(/NOAUTH/);
    expect(await refusal(serviceOf(redis.port, { password: "no" }))).toMatch(/WRONGPASS/);
    const good = serviceOf(redis.port, { password: "secret" });
    await good.server.ready();
    await good.load(LOAD);
    const rules = ["on", ">word", "~*", "&*", "+@read", "+info", "+cluster", "+client", "+ping"];
    await good.server.run([["ACL", "SETUSER", "reader", ...rules]]);
    const reader = serviceOf(redis.port, { user: "reader", password: "word" });
    await reader.server.ready();
    expect(await names(reader)).toContain("edge.u64");
    const refused = await reasonOf(reader.load(LOAD));
    expect(refused).toMatch(/^key server refuses to load: NOPERM/);
    expect(await names(good)).toContain("edge.u64");
  });

  test("over TLS, with a certificate that nobody vouches for", async () => {
    const files = await tlsFiles();
    const port = await freePort();
    const more = [
      ["--tls-port", String(port), "--tls-auth-clients", "no"],
      ["--tls-cert-file", files.serverCertificate, "--tls-key-file", files.serverKey],
      ["--tls-ca-cert-file", files.authority],
    ];
    await redisWith(more.flat());
    const ca = await Bun.file(files.authority).text();
    const good = serviceOf(port, { tls: { ca } });
    await good.server.ready();
    expect((await good.load(LOAD)).values).toBeGreaterThan(0);
    expect(await refusal(serviceOf(port, { tls: {} }))).toMatch(/certificate/);
    // Neither side speaks the other's language.
    expect(await refusal(serviceOf(port))).toStartWith("no connection to the key server: ");
  });
});
