// Goal: sessions with a real pmcd that has certificates, accounts, or demands both: TLS as wanted and
// verified as told, every SASL mechanism that it offers, and its refusals with their codes.
import { afterAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PM_ERR, utf8Text } from "../../lib/base/mod.ts";
import { readTlsConf, type TlsSettings } from "../../lib/pdu/tlsconf.ts";
import type { PmcdConnection } from "../../lib/pdu/requests.ts";
import { PM_LABEL } from "../../lib/pcp/mod.ts";
import { type PcpTree, type Pmcd, startPmcd, startRealPmproxy } from "../helpers/pcp.ts";
import { pcp6 } from "../helpers/pcp6.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder } from "../helpers/process.ts";
import { type TlsFiles, tlsFiles } from "../helpers/tls.ts";
import { codeOf, connectTo } from "./connection-peer.ts";

const open: PmcdConnection[] = [];
const servers: Pmcd[] = [];
afterAll(async () => {
  for (const pmcd of open) await pmcd.close();
  for (const server of servers) await server.stop();
});

const connected = async (...how: Parameters<typeof connectTo>): Promise<PmcdConnection> => {
  const pmcd = await connectTo(...how);
  open.push(pmcd);
  return pmcd;
};

const started = async (...how: Parameters<typeof startPmcd>): Promise<Pmcd> => {
  const server = await startPmcd(...how);
  servers.push(server);
  return server;
};

/** Requests that work only in a session with rights. */
const use = async (pmcd: PmcdConnection): Promise<void> => {
  expect(await pmcd.traverse("pmcd.numagents")).toEqual(["pmcd.numagents"]);
  const { pmids } = await pmcd.lookupNames(["pmcd.numagents"]);
  // Two PDUs at once, which pmcd must see in TLS, too.
  expect((await pmcd.fetch(pmids)).result.numpmid).toBe(1);
};

/** The code of the first request of a session, or of the attempt to get one. */
const outcome = (...how: Parameters<typeof connectTo>): Promise<unknown> =>
  codeOf(connected(...how).then((pmcd) => pmcd.traverse("pmcd.numagents")));

const password = "qapass";
const account = { user: "nobody", password };

const withCertificate = (files: TlsFiles): TlsSettings => ({
  verify: true,
  caFile: files.authority,
  certificateFile: files.clientCertificate,
  keyFile: files.clientKey,
});

const releases: readonly {
  peer: "pcp6" | "pcp7";
  sasl: "pcp6-sasl" | "pcp7-sasl";
  tree: PcpTree;
}[] = [
  { peer: "pcp6", sasl: "pcp6-sasl", tree: pcp6 },
  { peer: "pcp7", sasl: "pcp7-sasl", tree: pcp7 },
];

for (const { peer, sasl, tree } of releases) {
  const title = (text: string): string => `${peer}: ${text}`;

  testWith([peer, "openssl"], title("TLS, wanted in every way"), async () => {
    const files = await tlsFiles();
    const server = await started(tree, { tls: files, agents: [] });
    const at = `127.0.0.1:${server.port}`;
    for (const [spec, env, secure] of [
      [at, {}, false],
      [`pcps://${at}`, {}, true],
      [`pcps://localhost:${server.port}?secure=relaxed`, {}, true],
      [at, { PCP_SECURE_SOCKETS: "1" }, true],
      [at, { PCP_SECURE_SOCKETS: "relaxed" }, true],
      [`pcps://${at}?secure`, {}, false],
      [`unix:${server.socket}`, { PCP_SECURE_SOCKETS: "enforce" }, true],
      [`pcps://${at}?container=abc`, {}, true],
    ] as const) {
      const pmcd = await connected(spec, env);
      expect(pmcd.secure).toBe(secure);
      await use(pmcd);
      await pmcd.close();
    }
  });

  testWith([peer, "openssl"], title("certificates are checked when told so"), async () => {
    const files = await tlsFiles();
    const server = await started(tree, { tls: files, agents: [] });
    const spec = `pcps://127.0.0.1:${server.port}`;
    const verify = true;
    expect(await outcome(spec, {}, { tls: { verify, caFile: files.authority } })).toBe("none");
    expect(await outcome(spec, {}, { tls: { verify, caFolder: files.folder } })).toBe("none");
    const stranger = { verify, caFile: files.strangerAuthority };
    expect(await outcome(spec, {}, { tls: stranger })).toBe(PM_ERR.TLS);
    expect(await outcome(spec, {}, { tls: { ...stranger, verify: false } })).toBe("none");
    const conf = join(privateFolder("tls-conf"), "tls.conf");
    writeFileSync(conf, `tls-verify-clients = yes\ntls-ca-cert-file = ${files.authority}\n`);
    expect(readTlsConf(conf)).toEqual({ verify, caFile: files.authority });
    expect(await outcome(spec, { PCP_TLSCONF_PATH: conf })).toBe("none");
  });

  testWith([peer, "openssl"], title("a client certificate is demanded"), async () => {
    const files = await tlsFiles();
    const server = await started(tree, { tls: files, agents: [], requireCertificate: true });
    const at = `127.0.0.1:${server.port}`;
    expect(await outcome(at)).toBe(PM_ERR.NEEDCLIENTCERT);
    expect(await outcome(`pcps://${at}`, {}, { tls: withCertificate(files) })).toBe("none");
    expect(await outcome(`pcps://${at}`)).not.toBe("none");
    const stranger = {
      verify: false,
      certificateFile: files.strangerCertificate,
      keyFile: files.strangerKey,
    };
    expect(await outcome(`pcps://${at}`, {}, { tls: stranger })).not.toBe("none");
    expect(await outcome(`unix:${server.socket}`)).toBe("none");
    expect(await outcome(`localhost:${server.port}`)).toBe("none");
  });

  testWith([peer, "openssl"], title("TLS to pmcd through the real pmproxy"), async () => {
    const server = await started(tree, { tls: await tlsFiles(), agents: [] });
    const proxy = await startRealPmproxy(tree);
    try {
      const pmcd = await connected(`pcps://127.0.0.1:${server.port}@127.0.0.1:${proxy.port}`);
      expect(pmcd.secure).toBe(true);
      await use(pmcd);
    } finally {
      await proxy.stop();
    }
  });

  testWith([peer, sasl], title("SASL with every mechanism that pmcd offers"), async () => {
    const server = await started(tree, { sasl: account, agents: [] });
    const at = `127.0.0.1:${server.port}?user=nobody`;
    for (const method of ["", "&method=plain", "&method=scram-sha-256", "&method=login"]) {
      const pmcd = await connected(`${at}&pass=${password}${method}`);
      await use(pmcd);
      const [context] = await pmcd.labels(PM_LABEL.CONTEXT, 0xffffffff);
      // That pmcd knows who it is shows in the labels of the context.
      if (peer === "pcp7") expect(utf8Text(context?.json ?? new Uint8Array(0))).toContain("userid");
      await pmcd.close();
      expect(await outcome(`${at}&pass=wrong${method}`)).toBe(-21357);
    }
    expect(await outcome(`${at}&method=gssapi&pass=x`)).toBe(-21348);
    expect(await outcome(at)).toBe(-21351);
    expect(await outcome(`127.0.0.1:${server.port}?pass=x`)).toBe(-21351);
    expect(await outcome(`127.0.0.1:${server.port}`)).toBe("none");
    expect(await outcome(`unix:${server.socket}?user=nobody&pass=${password}`)).toBe("none");
    expect(await outcome(`127.0.0.1:${server.port}?user=ghost&pass=x`)).not.toBe("none");
  });

  testWith([peer, sasl], title("a user whom only SASL knows"), async () => {
    const ghost = { user: "ghost", password: "boo" };
    const server = await started(tree, { sasl: ghost, agents: [] });
    const code = await outcome(`127.0.0.1:${server.port}?user=ghost&pass=boo`);
    expect(code).toBe(peer === "pcp6" ? -3 : "none");
  });

  testWith([peer, sasl, "openssl"], title("credentials are demanded"), async () => {
    const server = await started(tree, {
      tls: await tlsFiles(),
      sasl: account,
      requireCredentials: true,
      agents: [],
    });
    const at = `127.0.0.1:${server.port}`;
    expect(await outcome(at)).toBe(-21351);
    expect(await outcome(`${at}?user=nobody&pass=wrong`)).toBe(-21357);
    expect(await outcome(`${at}?user=nobody&pass=${password}`)).toBe("none");
    expect(await outcome(`pcps://${at}?user=nobody&pass=${password}&container=abc`)).toBe("none");
    // On a socket the kernel says who it is; local: counts like unix: here.
    expect(await outcome(`unix:${server.socket}`)).toBe("none");
    const local = await connected(`local:${server.socket}`);
    expect(local.target.kind).toBe("socket");
    await use(local);
    expect(await outcome(`unix:${server.socket}`, { PCP_SECURE_SOCKETS: "1" })).toBe("none");
  });

  testWith(peer, title("a container name that pmcd does not take"), async () => {
    const server = await started(tree, { agents: [] });
    const code = await outcome(`127.0.0.1:${server.port}?container=a%2fb`);
    expect(code).toBe(peer === "pcp6" ? "none" : -22);
  });
}
