// Goal: a folder of authorities may hold odd files. Method: texts with good certificates among
// garbage.
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { certificatesOf } from "../../lib/pdu/mod.ts";
import { testWith } from "../helpers/peers.ts";
import { tlsFiles } from "../helpers/tls.ts";

testWith("openssl", "certificates are found among other things", async () => {
  const files = await tlsFiles();
  const good = readFileSync(files.authority, "latin1").trim();
  const key = readFileSync(files.serverKey, "latin1");
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  expect(certificatesOf(`no PEM\n${broken}${key}${good}\n${broken}`)).toEqual([good]);
  expect(certificatesOf("")).toEqual([]);
});
