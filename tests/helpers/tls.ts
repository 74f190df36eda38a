// Certificates for tests, made by the openssl program in a private folder: one authority, one server
// certificate (localhost, 127.0.0.1, ::1) and one client certificate. Nothing secret, nothing kept.
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, privateFolder } from "./process.ts";

/** Paths of PEM files. */
export interface TlsFiles {
  readonly folder: string;
  readonly authority: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  /** An authority and a server certificate that nobody trusts, for failures. */
  readonly strangerAuthority: string;
  readonly strangerCertificate: string;
  readonly strangerKey: string;
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function makeAuthority(folder: string, name: string): Promise<void> {
  await must(
    [
      ["openssl", "req", "-x509", ...newKey, "-days", "30", "-subj", `/CN=pcpbox test ${name}`],
      ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)],
    ].flat(),
  );
}

async function makeLeaf(folder: string, authority: string, name: string): Promise<void> {
  const file = (end: string) => join(folder, `${name}.${end}`);
  await must(
    [
      ["openssl", "req", "-new", ...newKey, "-subj", `/CN=pcpbox test ${name}`],
      ["-keyout", file("key"), "-out", file("csr")],
    ].flat(),
  );
  writeFileSync(file("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n");
  await must(
    [
      ["openssl", "x509", "-req", "-days", "30", "-in", file("csr"), "-out", file("pem")],
      ["-CA", join(folder, `${authority}.pem`), "-CAkey", join(folder, `${authority}.key`)],
      ["-set_serial", String(100 + name.length), "-extfile", file("ext")],
    ].flat(),
  );
  chmodSync(file("key"), 0o644); // user pcp reads it
}

let made: Promise<TlsFiles> | undefined;

/** The certificates of this test process; made at the first call. */
export function tlsFiles(): Promise<TlsFiles> {
  made ??= (async () => {
    const folder = privateFolder("tls");
    await makeAuthority(folder, "authority");
    await makeAuthority(folder, "other");
    await makeLeaf(folder, "authority", "server");
    await makeLeaf(folder, "authority", "client");
    await makeLeaf(folder, "other", "stranger");
    return {
      folder,
      authority: join(folder, "authority.pem"),
      serverCertificate: join(folder, "server.pem"),
      serverKey: join(folder, "server.key"),
      clientCertificate: join(folder, "client.pem"),
      clientKey: join(folder, "client.key"),
      strangerAuthority: join(folder, "other.pem"),
      strangerCertificate: join(folder, "stranger.pem"),
      strangerKey: join(folder, "stranger.key"),
    };
  })();
  return made;
}
