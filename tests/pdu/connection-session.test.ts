// Goal: setting up a session says the right bytes in the right order, and every way in which a peer
// can refuse, lie, stay silent or die meanwhile is the error that spec pdu.md 8 and 12 name.
import { afterEach, describe, expect, test } from "bun:test";
import { PM_ERR } from "../../lib/base/mod.ts";
import { decodePdu } from "../../lib/pdu/codec.ts";
import { raceConnect } from "../../lib/pdu/endpoint.ts";
import { FEATURE, type Pdu } from "../../lib/pdu/types.ts";
import { testWith } from "../helpers/peers.ts";
import {
  bytesOf,
  challenge,
  closedPort,
  codeOf,
  connectTo,
  errorPdu,
  namesPdu,
  type Peer,
  startPeer,
  startPmcdPeer,
  type Talk,
} from "./connection-peer.ts";

const running: Peer[] = [];
const keep = async (peer: Promise<Peer>): Promise<Peer> => {
  running.push(await peer);
  return peer;
};
const serve = (
  script: (talk: Talk, number: number) => void | Promise<void>,
  host?: string,
): Promise<Peer> => keep(startPeer(script, host));
const serveSession = (
  script: (talk: Talk, number: number) => void | Promise<void>,
  features?: number,
): Promise<Peer> => keep(startPmcdPeer(script, features));

afterEach(async () => {
  for (const peer of running.splice(0)) await peer.stop();
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** Long enough for an answer on a machine that stands still for a moment, short enough to wait for its end. */
const SHORT = { PMCD_REQUEST_TIMEOUT: "2" };

describe("challenge and CREDS", () => {
  test("a plain session is the recorded one", async () => {
    const heard: string[] = [];
    const peer = await serve(async (talk) => {
      talk.send(challenge());
      heard.push(hex(await talk.read()), hex(await talk.read()));
      talk.send(namesPdu("sample.bin"));
    });
    const pmcd = await connectTo(peer.spec);
    expect(await pmcd.traverse("sample.bin")).toEqual(["sample.bin"]);
    expect(heard).toEqual([
      "000000140000700c000066310000000101020000",
      "000000200000701000000000000000000000000a73616d706c652e62696e7e7e",
    ]);
    expect(pmcd).toMatchObject({ features: 0x0e44, secure: false, status: "ready" });
    await pmcd.close();
    expect((await pmcd.ended).kind).toBe("closed");
    expect(pmcd.status).toBe("ended");
  });

  test("a container name follows CREDS", async () => {
    for (const [query, env] of [
      ["?container=foo", {}],
      ["", { PCP_CONTAINER: "foo" }],
    ] as const) {
      const heard = Promise.withResolvers<string[]>();
      const peer = await serveSession(async (talk) => {
        heard.resolve([hex(await talk.read())]);
      });
      const pmcd = await connectTo(peer.spec + query, env);
      expect(await heard.promise).toEqual(["0000001300007011000000000000000f666f6f"]);
      await pmcd.close();
    }
  });

  test("a challenge in pieces", async () => {
    const peer = await serve(async (talk) => {
      for (const byte of Buffer.from("0000001400007000000000000000000002010e44", "hex")) {
        talk.send(Uint8Array.of(byte));
        await Bun.sleep(1);
      }
      await talk.read();
    });
    expect((await connectTo(peer.spec)).features).toBe(0x0e44);
  });

  test.each<[string, (talk: Talk) => void, number]>([
    ["no permission", (talk) => talk.send(challenge(0, PM_ERR.PERMISSION)), PM_ERR.PERMISSION],
    ["connection limit", (talk) => talk.send(challenge(0, PM_ERR.CONNLIMIT)), PM_ERR.CONNLIMIT],
    ["a plain ERROR first", (talk) => talk.send(errorPdu(0)), PM_ERR.IPC],
    ["another PDU first", (talk) => talk.send(namesPdu("x")), PM_ERR.IPC],
    ["no PDU at all", (talk) => talk.send("HTTP/1.1 400 Bad Request\r\n\r\n"), PM_ERR.IPC],
    ["a hang-up", (talk) => talk.socket.end(), PM_ERR.IPC],
    ["a reset", (talk) => talk.reset(), PM_ERR.IPC],
    ["half a challenge", (talk) => talk.socket.end(Buffer.alloc(10)), PM_ERR.IPC],
    ["silence", () => undefined, PM_ERR.TIMEOUT],
  ])("refused: %s", async (_name, script, code) => {
    const peer = await serve(script);
    expect(await codeOf(connectTo(peer.spec, SHORT))).toBe(code);
  });

  test.each<[string, number, string, number]>([
    ["TLS", 0x0e44, "pcps", -95],
    ["a client certificate is demanded", 0x0edd, "pcp", PM_ERR.NEEDCLIENTCERT],
  ])("feature check: %s", async (_name, features, scheme, code) => {
    const peer = await serve(async (talk) => {
      talk.send(challenge(features));
      await talk.read();
    });
    // A proxy named otherwise than localhost would be remote; 127.0.0.1 is, too.
    expect(await codeOf(connectTo(`${scheme}://${peer.spec}`))).toBe(code);
  });

  test("compression is refused before CREDS", async () => {
    const peer = await serve((talk) => talk.send(challenge(0x0e46)));
    expect(await codeOf(connectTo(`${peer.spec}?compress`))).toBe(-95);
  });
});

describe("TLS", () => {
  const features = 0x0e55;
  const startTls = (script: (talk: Talk) => void | Promise<void>): Promise<Peer> =>
    serve(async (talk) => {
      talk.send(challenge(features));
      const creds = decodePdu(await talk.read());
      expect(creds).toMatchObject({ credentials: [{ type: 1, version: 2, flags: 0x0011 }] });
      await script(talk);
    });

  test.each<[string, (talk: Talk) => void, number]>([
    ["a refused ack", (talk) => talk.send(errorPdu(PM_ERR.NOTCONN)), PM_ERR.NOTCONN],
    ["another PDU for the ack", (talk) => talk.send(namesPdu("x")), PM_ERR.IPC],
    ["no ack", () => undefined, PM_ERR.TIMEOUT],
    ["bytes in clear behind the ack", (talk) => talk.send(errorPdu(0), namesPdu("x")), PM_ERR.IPC],
    ["silence after the ack", (talk) => talk.send(errorPdu(0)), PM_ERR.TIMEOUT],
  ])("%s", async (_name, script, code) => {
    const peer = await startTls(script);
    expect(await codeOf(connectTo(`pcps://${peer.spec}`, SHORT))).toBe(code);
  });

  test("a peer that speaks something else", async () => {
    const peer = await startTls((talk) => {
      talk.send(errorPdu(0));
      talk.socket.once("data", () => talk.send("no TLS here, no TLS here, no TLS here"));
    });
    expect(await codeOf(connectTo(`pcps://${peer.spec}`))).toBe(PM_ERR.TLS);
  });

  test("a peer that closes in the handshake", async () => {
    const peer = await startTls((talk) => {
      talk.send(errorPdu(0));
      talk.socket.once("data", () => talk.socket.end());
    });
    expect(await codeOf(connectTo(`pcps://${peer.spec}`))).toBe(-107);
  });

  test("settings that name no file", async () => {
    const peer = await serve((talk) => talk.send(challenge(features)));
    const tls = { verify: true, caFile: "/nonexistent/ca.pem" };
    expect(await codeOf(connectTo(`pcps://${peer.spec}`, {}, { tls }))).toBe(PM_ERR.TLS);
  });
});

describe("SASL", () => {
  const attr = (text: string): Pdu => ({
    kind: "attr",
    from: 0,
    attribute: 0,
    value: Buffer.from(text),
  });
  const valueOf = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(16)).toString("latin1");

  test("LOGIN, prompted for", async () => {
    const heard = Promise.withResolvers<string[]>();
    const peer = await serveSession(async (talk) => {
      const said: string[] = [];
      talk.send(attr("PLAIN LOGIN"));
      for (const prompt of ["Username:", "Password:", undefined]) {
        said.push(valueOf(await talk.read()));
        if (prompt !== undefined) talk.send(attr(prompt));
      }
      heard.resolve(said);
    });
    const pmcd = await connectTo(`${peer.spec}?user=u&pass=p&method=login`);
    expect(await heard.promise).toEqual(["LOGIN\0", "u", "p"]);
    await pmcd.close();
  });

  test("credentials demanded", async () => {
    const heard = Promise.withResolvers<string>();
    const peer = await serveSession(async (talk) => {
      talk.send(attr("PLAIN"));
      heard.resolve(valueOf(await talk.read()));
    }, 0x0e44 | FEATURE.CREDS_REQD);
    expect(await codeOf(connectTo(peer.spec))).toBe(-21351);
    await connectTo(`${peer.spec}?user=u&pass=p`);
    expect(await heard.promise).toBe("PLAIN\0u\0u\0p");
  });

  test.each<[string, (talk: Talk) => void, number]>([
    ["nothing in common", (talk) => talk.send(attr("GSSAPI")), -21348],
    ["an error for the list", (talk) => talk.send(errorPdu(-21349)), -21349],
    ["an error and a hang-up", (talk) => void talk.socket.end(bytesOf(errorPdu(-21357))), -21357],
    [
      "another attribute",
      (talk) => talk.send({ kind: "attr", from: 0, attribute: 15, value: Buffer.from("x") }),
      PM_ERR.IPC,
    ],
    ["a giant list", (talk) => talk.send(attr("x".repeat(2048))), PM_ERR.IPC],
    ["silence", () => undefined, PM_ERR.TIMEOUT],
  ])("refused: %s", async (_name, script, code) => {
    const peer = await serveSession(script);
    expect(await codeOf(connectTo(`${peer.spec}?user=u&pass=p`, SHORT))).toBe(code);
  });

  test("not offered", async () => {
    const peer = await serve((talk) => talk.send(challenge(0x0e40)));
    expect(await codeOf(connectTo(`${peer.spec}?user=u&pass=p`))).toBe(-95);
  });
});

describe("finding pmcd", () => {
  test("nobody listens", async () => {
    const port = await closedPort();
    expect(await codeOf(connectTo(`127.0.0.1:${port}`))).toBe(-111);
    expect(await codeOf(connectTo("127.0.0.1", { PMCD_PORT: "0" }))).toBe(-111);
    expect(await codeOf(connectTo("127.0.0.1", { PMCD_PORT: String(port) }))).toBe(-111);
  });

  test("a name that does not resolve", async () => {
    expect(await codeOf(connectTo("no-such-host.invalid"))).toBe(-113);
    expect(await codeOf(connectTo("x@no-such-host.invalid"))).toBe(-113);
    expect(await codeOf(connectTo("x", { PMPROXY_HOST: "" }))).toBe(-113);
  });

  test("sockets: unix: is always -ENOENT, local: goes on with localhost", async () => {
    expect(await codeOf(connectTo("unix:/nonexistent/socket"))).toBe(-2);
    const port = String(await closedPort());
    expect(await codeOf(connectTo("local:/nonexistent/socket", { PMCD_PORT: port }))).toBe(-111);
    const peer = await serveSession(() => undefined);
    const env = { PMCD_PORT: String(peer.port) };
    const pmcd = await connectTo("local:/nonexistent/socket", env);
    expect(pmcd.target).toEqual({ kind: "tcp", host: "localhost", port: peer.port });
  });

  test("the next port after a refusal, a failed handshake, and a port above 65535", async () => {
    const deaf = await serve((talk) => void talk.socket.end());
    const peer = await serveSession(() => undefined);
    const pmcd = await connectTo("127.0.0.1", {
      PMCD_PORT: `${await closedPort()},${deaf.port},${peer.port + 65536}`,
    });
    expect(pmcd.target).toMatchObject({ port: peer.port + 65536 });
    expect(deaf.clients).toBe(1);
  });

  test("the last error counts", async () => {
    const refusing = await serve((talk) => talk.send(challenge(0, PM_ERR.CONNLIMIT)));
    const closed = await closedPort();
    expect(await codeOf(connectTo(`127.0.0.1:${closed},${refusing.port}`))).toBe(PM_ERR.CONNLIMIT);
    expect(await codeOf(connectTo(`127.0.0.1:${refusing.port},${closed}`))).toBe(-111);
  });

  testWith("pcp6-python", "a host that drops packets", async () => {
    // A full backlog is the nearest thing on loopback: further SYNs go unanswered.
    const script = [
      "import socket, sys, time",
      "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)",
      "held = []",
      "for i in range(6):",
      "    c = socket.socket(); c.setblocking(False); c.connect_ex(s.getsockname()); held.append(c)",
      "time.sleep(0.2); print(s.getsockname()[1], flush=True)",
      "sys.stdin.read()",
    ];
    const child = Bun.spawn(["/usr/bin/python3", "-c", script.join("\n")], {
      stdin: "pipe",
      stdout: "pipe",
    });
    try {
      const { value } = await child.stdout.getReader().read();
      const port = Number(Buffer.from(value ?? []).toString());
      expect(port).toBeGreaterThan(0);
      const env = { PMCD_CONNECT_TIMEOUT: "0.1" };
      expect(await codeOf(connectTo(`127.0.0.1:${port}`, env))).toBe(-110);
    } finally {
      await child.stdin.end();
      await child.exited;
    }
  });

  test("all addresses at once: the first that answers wins, the others are closed", async () => {
    const hung: Promise<void>[] = [];
    const wait = (talk: Talk): void => {
      hung.push(new Promise((resolve) => talk.socket.once("close", () => resolve())));
    };
    const peers = await Promise.all([serve(wait), serve(wait), serve(wait)]);
    const closed = await closedPort();
    const places = [closed, ...peers.map(({ port }) => port)].map((port) => ({
      host: "127.0.0.1",
      port,
    }));
    const none = Number.POSITIVE_INFINITY;
    const socket = await raceConnect(places, "test", none);
    expect(places.slice(1).map(({ port }) => port)).toContain(socket.remotePort ?? 0);
    socket.destroy();
    await Promise.all(hung);
    const dead = [closed, await closedPort()].map((port) => ({ host: "127.0.0.1", port }));
    expect(await codeOf(raceConnect(dead, "test", none))).toBe(-111);
  });

  testWith("ipv6", "IPv6", async () => {
    const peer = await serve(async (talk) => {
      talk.send(challenge());
      await talk.read();
    }, "::1");
    expect((await connectTo(peer.spec)).target).toEqual({
      kind: "tcp",
      host: "::1",
      port: peer.port,
    });
  });
});

describe("through a proxy", () => {
  test("greeting, host line, then pmcd's challenge; bytes behind the greeting are kept", async () => {
    const heard: string[] = [];
    const peer = await serve(async (talk) => {
      heard.push(await talk.readLine());
      talk.send("pmproxy-server 1\n");
      heard.push(await talk.readLine());
      talk.send(challenge());
      await talk.read();
    });
    await connectTo(`[::9]:44@${peer.spec}`);
    const env = { PMPROXY_HOST: "127.0.0.1", PMPROXY_PORT: `${peer.port},1`, PMCD_PORT: "55" };
    await connectTo("app1", env);
    expect(heard).toEqual(["pmproxy-client 1", "::9 44", "pmproxy-client 1", "app1 55"]);
    const eager = await serve(async (talk) => {
      await talk.readLine();
      talk.send("pmproxy-server 1\n", challenge());
      await talk.readLine();
      await talk.read();
    });
    expect((await connectTo(`app1@${eager.spec}`)).features).toBe(0x0e44);
  });

  test.each<[string, (talk: Talk) => void, number]>([
    ["another version", (talk) => talk.send("pmproxy-server 2\n"), PM_ERR.IPC],
    ["no line", (talk) => talk.send("x".repeat(200)), PM_ERR.IPC],
    ["a hang-up", (talk) => talk.socket.end(), PM_ERR.IPC],
    ["silence", () => undefined, PM_ERR.TIMEOUT],
  ])("a bad greeting: %s", async (_name, script, code) => {
    const peer = await serve(script);
    expect(await codeOf(connectTo(`app1@${peer.spec}`, SHORT))).toBe(code);
  });

  test("the next pmcd port over a new connection; a proxy that is not there ends it", async () => {
    const asked: string[] = [];
    const peer = await serve(async (talk, number) => {
      await talk.readLine();
      talk.send("pmproxy-server 1\n");
      asked.push(await talk.readLine());
      if (number === 1) talk.socket.end();
      else talk.send(challenge());
      await talk.read();
    });
    await connectTo(`app1:1,2@${peer.spec}`);
    expect(asked).toEqual(["app1 1", "app1 2"]);
    expect(await codeOf(connectTo(`app1:1,2@127.0.0.1:${await closedPort()}`))).toBe(-111);
  });

  test("a host name that would forge the line", async () => {
    const peer = await serve(() => undefined);
    expect(await codeOf(connectTo(`a\nb@${peer.spec}`))).toBe(-22);
  });
});
