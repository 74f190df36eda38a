// Goal: TLS ends at the proxy for every protocol inside it, on the port that plain clients use too;
// client certificates mean what tls.conf says; what fails costs its own connection only; and bad
// files and ciphers stop the start-up in the words of spec proxy.md 10.4.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import type { TlsSettings } from "../../lib/server/mod.ts";
import { loadTls } from "../../lib/server/tls.ts";
import { startKeyServer } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder, run } from "../helpers/process.ts";
import { type TlsFiles, tlsFiles } from "../helpers/tls.ts";
import { echoApi } from "./echo.ts";
import { replies } from "./replies.ts";
import { GREETING, rawClient, rawOver, serverWith, standIn, stopAll, WELCOME } from "./support.ts";
import type { RawClient, TestServer } from "./support.ts";

afterAll(stopAll);

const HEALTHY = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

function settingsOf(files: TlsFiles, changes: Partial<TlsSettings> = {}): TlsSettings {
  return {
    certificates: files.serverCertificate,
    privateKey: files.serverKey,
    passphraseFile: undefined,
    authority: files.authority,
    authorityDirectory: undefined,
    cipherList: undefined,
    cipherSuites: undefined,
    verifyClients: false,
    fromProxyConfig: false,
    ...changes,
  };
}

describePeer("openssl", "TLS", () => {
  let files: TlsFiles;
  let server: TestServer;
  beforeAll(async () => {
    files = await tlsFiles();
    server = await serverWith({
      tls: settingsOf(files),
      limits: { handshakeTimeoutMs: 2000, firstByteTimeoutMs: 2000 },
    });
  });

  /** A client inside TLS; `text()` stays empty when the handshake fails. */
  function secure(port: number, send: string, options: ConnectionOptions = {}): RawClient {
    const socket = connectTls({
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: readFileSync(files.authority),
      ...options,
    });
    const client = rawOver(socket);
    socket.once("secureConnect", () => socket.write(Buffer.from(send, "latin1")));
    return client;
  }
  const identity = (certificate: string, key: string): ConnectionOptions => ({
    cert: readFileSync(certificate),
    key: readFileSync(key),
  });

  test("HTTP inside, and plain HTTP on the same port", async () => {
    const inside = secure(server.port, HEALTHY);
    expect(await inside.end()).toStartWith("HTTP/1.1 200 OK\r\n");
    const plain = await rawClient(server.port, HEALTHY);
    expect(await plain.end()).toStartWith("HTTP/1.1 200 OK\r\n");
  });

  test("HTTP inside: late, in pieces, compressed, with bodies, pipelined", async () => {
    const api = echoApi();
    const { port } = await serverWith({ tls: settingsOf(files) }, [], { api });
    const get = (target: string, headers = ""): string =>
      `GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
    const many = Array.from({ length: 600 }, (_, at) => get(`/${at % 9 ? "echo" : "late"}?${at}`));
    const gzip = "Accept-Encoding: gzip\r\n";
    const plain = many.join("") + get("/stream?3,100000") + get("/text?9000", gzip);
    const body = "POST /pmapi/echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    const found = replies(await secure(port, plain + body + plain + HEALTHY).end());
    expect(found.length).toBe(2 * 602 + 2);
    expect(found.every(({ status }) => status === 200)).toBe(true);
    expect(JSON.parse(found[602]?.body ?? "")).toMatchObject({ body: "abc" });
    for (const half of [found.slice(0, 602), found.slice(603)]) {
      const queries = half
        .slice(0, 600)
        .map((reply) => JSON.parse(reply.body) as { query: string });
      expect(queries.map(({ query }) => Number(query))).toEqual(many.map((_, at) => at));
      expect(half[600]?.body.length).toBe(300_000);
      expect(half[601]?.headers.get("content-encoding")).toBe("gzip");
    }
    const gone = secure(port, get("/stream?1000000,100000"));
    await gone.got(100_000);
    gone.socket.destroy();
    expect(await waitUntil(() => api.seen.streamsEnded === 3)).toBe(true);
  });

  test("PCP inside, much both ways, the server ends it", async () => {
    const much = Buffer.alloc(3_000_000, "0123456789abcdef");
    let got = 0;
    const pmcd = await standIn((socket) => {
      socket.write("from pmcd");
      socket.on("data", (bytes: Buffer) => {
        got += bytes.length;
        if (got === 1_000_000) socket.end(much);
      });
    });
    const client = secure(server.port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
    expect(await client.got(WELCOME.length + 9)).toBe(`${WELCOME}from pmcd`);
    const pdu = Buffer.alloc(50_000);
    pdu.writeInt32BE(50_000, 0);
    for (let i = 0; i < 20; i++) client.socket.write(pdu);
    const text = await client.end();
    expect(text.slice(WELCOME.length + 9)).toBe(much.toString("latin1"));
  });

  test("PCP inside, the client ends it", async () => {
    const pmcd = await standIn((socket) => {
      socket.write("from pmcd");
      socket.on("end", () => socket.end());
    });
    for (const how of ["end", "destroy"] as const) {
      const client = secure(server.port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
      expect(await client.got(WELCOME.length + 9)).toBe(`${WELCOME}from pmcd`);
      client.socket[how]();
      expect(await waitUntil(() => pmcd.sockets.size === 0)).toBe(true);
    }
  });

  testWith("redis", "RESP inside", async () => {
    const keys = await startKeyServer(pcp6);
    const { port } = await serverWith({
      tls: settingsOf(files),
      resp: { enabled: true },
      keyServer: { servers: [{ host: "127.0.0.1", port: keys.port }] },
    });
    const client = secure(port, "*1\r\n$4\r\nPING\r\n");
    expect(await client.got(7)).toBe("+PONG\r\n");
    client.socket.destroy();
    await keys.stop();
  });

  test("TLS inside TLS is closed", async () => {
    const before = server.counters()["unknown"] ?? 0;
    const client = secure(server.port, "\x16\x03\x01\x00\x05hello");
    expect(await client.end()).toBe("");
    expect(server.counters()["unknown"]).toBe(before + 1);
  });

  test("an unknown protocol inside, and silence inside", async () => {
    const unknown = secure(server.port, "hello");
    expect(await unknown.end()).toBe("");
    const before = server.counters()["tooSlow"] ?? 0;
    const silent = secure(server.port, "");
    expect(await silent.end()).toBe("");
    expect(server.counters()["tooSlow"]).toBe(before + 1);
  });

  test("garbage, half a hello, a hello and no more: closed and counted once each", async () => {
    const limits = { handshakeTimeoutMs: 2000 };
    const { port, counters } = await serverWith({ tls: settingsOf(files), limits });
    const garbage = await rawClient(port, `\x16${"garbage".repeat(100)}`);
    await garbage.end();
    const half = await rawClient(port, "\x16\x03\x01\x02\x00\x01\x00");
    await half.end();
    for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
      const sniffed = (): number => counters().connections["tls"] ?? 0;
      const before = sniffed();
      const gone = await rawClient(port, "\x16\x03\x01");
      await waitUntil(() => sniffed() > before);
      gone.socket[how]();
    }
    await waitUntil(() => counters()["active"] === 0);
    expect(counters()).toMatchObject({ active: 0, tlsFailures: 5, tooSlow: 1, faults: 0 });
  });

  test("a session that breaks is no failed handshake", async () => {
    const before = server.counters()["tlsFailures"];
    const pmcd = await standIn((socket) => {
      socket.write("from pmcd");
      socket.on("end", () => socket.end());
    });
    const client = secure(server.port, `${GREETING}127.0.0.1 ${pmcd.port}\n`);
    await client.got(WELCOME.length + 9);
    client.socket.resetAndDestroy();
    await waitUntil(() => pmcd.sockets.size === 0);
    await waitUntil(() => server.counters()["active"] === 0);
    expect(server.counters()["tlsFailures"]).toBe(before ?? 0);
  });

  for (const name of ["localhost", "other.example", undefined]) {
    test(`server name ${name}`, async () => {
      const options = { servername: name ?? "", checkServerIdentity: () => undefined };
      expect(await secure(server.port, HEALTHY, options).end()).toStartWith("HTTP/1.1 200");
    });
  }

  for (const version of ["tls1_2", "tls1_3", "tls1_1", "tls1"] as const) {
    const good = version === "tls1_2" || version === "tls1_3";
    test(`${version} is ${good ? "served" : "refused"}`, async () => {
      const argv = ["openssl", "s_client", "-connect", `127.0.0.1:${server.port}`, `-${version}`];
      const quiet = ["-quiet", "-cipher", "DEFAULT@SECLEVEL=0"];
      const result = await run([...argv, ...quiet], { stdin: HEALTHY });
      expect(result.stdout.startsWith("HTTP/1.1 200 OK")).toBe(good);
    });
  }

  describe("client certificates", () => {
    const rows = [
      { verifyClients: false, certificate: "none", served: true },
      { verifyClients: false, certificate: "good", served: true },
      { verifyClients: false, certificate: "bad", served: false },
      { verifyClients: true, certificate: "none", served: false },
      { verifyClients: true, certificate: "good", served: true },
      { verifyClients: true, certificate: "bad", served: false },
    ] as const;
    for (const { verifyClients, certificate, served } of rows) {
      test(`${certificate}, ${verifyClients ? "required" : "not required"}`, async () => {
        const { port, counters } = await serverWith({ tls: settingsOf(files, { verifyClients }) });
        const options = {
          none: {},
          good: identity(files.clientCertificate, files.clientKey),
          bad: identity(files.strangerCertificate, files.strangerKey),
        }[certificate];
        const text = await secure(port, HEALTHY, options).end();
        expect(text.startsWith("HTTP/1.1 200 OK\r\n")).toBe(served);
        expect(counters()["tlsFailures"]).toBe(served ? 0 : 1);
        const plain = await rawClient(port, HEALTHY);
        expect(await plain.end()).toStartWith("HTTP/1.1 200");
      });
    }

    test("HTTP that requires one: 403 without, 200 with", async () => {
      const { port } = await serverWith({ tls: settingsOf(files), certificateRequired: true });
      expect(await secure(port, HEALTHY).end()).toStartWith("HTTP/1.1 403 Forbidden\r\n");
      const good = identity(files.clientCertificate, files.clientKey);
      expect(await secure(port, HEALTHY, good).end()).toStartWith("HTTP/1.1 200 OK\r\n");
    });
  });

  describe("settings that cannot be used", () => {
    const folder = privateFolder("bad-tls");
    const bad = (name: string, text: string): string => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    };
    const rows: readonly (readonly [string, () => Partial<TlsSettings>, string])[] = [
      [
        "no certificate file",
        () => ({ certificates: "/nowhere.pem" }),
        "Cannot load certificate chain from /nowhere.pem",
      ],
      [
        "a certificate that is none",
        () => ({ certificates: bad("x.pem", "no PEM\n") }),
        "Cannot load certificate chain from ",
      ],
      [
        "no key file",
        () => ({ privateKey: "/nowhere.key" }),
        "Cannot load private key from /nowhere.key",
      ],
      [
        "a key that is none",
        () => ({ privateKey: bad("x.key", "no PEM\n") }),
        "Cannot load private key from ",
      ],
      [
        "the key of another",
        () => ({ privateKey: files.strangerKey }),
        "Cannot load private key from ",
      ],
      [
        "no CA file",
        () => ({ authority: "/nowhere.ca" }),
        "Cannot load the client CA list from /nowhere.ca",
      ],
      [
        "a CA file without certificate",
        () => ({ authority: bad("x.ca", "none\n") }),
        "Cannot load the client CA list from ",
      ],
      [
        "a broken CA certificate",
        () => ({
          authority: bad("y.ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        }),
        "Cannot load the client CA list from ",
      ],
      [
        "an unknown cipher",
        () => ({ cipherList: "NOSUCH" }),
        "Cannot set the cipher list from NOSUCH",
      ],
      [
        "an unknown suite",
        () => ({ cipherSuites: "TLS_NOSUCH" }),
        "Cannot set the cipher suites from TLS_NOSUCH",
      ],
    ];
    for (const [name, changes, text] of rows) {
      test(name, () => {
        let message = "accepted";
        try {
          loadTls(settingsOf(files, changes()));
        } catch (error) {
          message = error instanceof Error ? error.message : String(error);
        }
        expect(message).toStartWith(text);
      });
    }

    test("the start-up fails with it, and nothing listens", async () => {
      const tls = settingsOf(files, { certificates: "/nowhere.pem" });
      const failed = await serverWith({ tls }).then(() => "started", String);
      expect(failed).toContain("Cannot load certificate chain from /nowhere.pem");
    });
  });

  test("ciphers and CA directory", async () => {
    const cipherList = "ECDHE-ECDSA-AES256-GCM-SHA384";
    const { port, lines } = await serverWith({
      tls: settingsOf(files, { cipherList, fromProxyConfig: true }),
    });
    const argv = ["openssl", "s_client", "-connect", `127.0.0.1:${port}`, "-tls1_2"];
    const used = await run(argv, { stdin: HEALTHY });
    expect(used.stdout).toContain(`Cipher is ${cipherList}`);
    const other = await run([...argv, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], { stdin: "" });
    expect(other.stdout).toContain("Cipher is (NONE)");
    const log = lines.join("");
    expect(log).toContain(`Using cipher list: ${cipherList}\n`);
    expect(log).toContain("TLS configured in pmproxy.conf, please switch to /etc/pcp/tls.conf\n");
  });

  test("TLS 1.3 suites leave TLS 1.2 alone, and say that they have no effect", async () => {
    const cipherSuites = "TLS_AES_256_GCM_SHA384";
    const { port, lines } = await serverWith({ tls: settingsOf(files, { cipherSuites }) });
    const argv = ["openssl", "s_client", "-connect", `127.0.0.1:${port}`];
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const used = await run([...argv, version], { stdin: HEALTHY });
      expect(used.stdout).toContain("New, TLSv1.");
    }
    expect(lines.join("")).toContain("cannot be chosen with BoringSSL");
  });

  test("nothing is left of all this", async () => {
    await waitUntil(() => server.counters()["active"] === 0);
    expect(server.counters()).toMatchObject({ active: 0, relays: 0, faults: 0 });
  });
});

describe("without TLS set up", () => {
  test("a TLS record is closed and counted", async () => {
    const { port, counters } = await serverWith();
    const client = await rawClient(port, "\x16\x03\x01");
    expect(await client.end()).toBe("");
    expect(counters()["unknown"]).toBe(1);
  });
});
