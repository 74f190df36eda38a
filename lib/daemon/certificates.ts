// The options -C, -M and -P of older pmproxy, which named an NSS database: now PEM files. A file, or
// a directory with a certificate and its key, becomes two paths. NSS databases are refused by name.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, extname, join } from "node:path";

/** A value, or why there is none. */
type Found<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

/** Paths for TLS; `passphraseFile` opens the key. */
export interface CertificateFiles {
  readonly certificates: string;
  readonly privateKey: string;
  readonly passphraseFile: string | undefined;
}

/** Files of NSS databases, old and new form. */
const NSS_FILES: ReadonlySet<string> = new Set([
  "cert7.db",
  "cert8.db",
  "cert9.db",
  "key3.db",
  "key4.db",
  "secmod.db",
  "pkcs11.txt",
]);
/** Larger files are no PEM. */
const PEM_BYTES_LIMIT = 1 << 20;
/** More files than a directory of certificates has. */
const DIRECTORY_LIMIT = 10_000;

interface PemFile {
  readonly path: string;
  readonly name: string;
  readonly certificate: boolean;
  readonly key: boolean;
}

function inspect(path: string): PemFile | undefined {
  // A link that leads nowhere, as directories of hashed names have them, is no file.
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile() !== true || status.size > PEM_BYTES_LIMIT) return undefined;
  const text = readFileSync(path, "latin1");
  return {
    path,
    name: basename(path, extname(path)),
    certificate: text.includes("-----BEGIN CERTIFICATE-----"),
    key: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/.test(text),
  };
}

const bad = (error: string): Found<never> => ({ ok: false, error });

/** Certificate and key of a directory: of that name, or the only pair there is. */
function fromDirectory(directory: string, name: string | undefined): Found<CertificateFiles> {
  const names = readdirSync(directory).toSorted();
  if (names.length > DIRECTORY_LIMIT) return bad(`-C: too many files in ${directory}`);
  const pem = names
    .map((file) => inspect(join(directory, file)))
    .filter((file): file is PemFile => file !== undefined && (file.certificate || file.key));
  const wanted = (file: PemFile): boolean =>
    name === undefined || file.name === name || basename(file.path) === name;
  const certificates = pem.filter((file) => file.certificate && wanted(file));
  const [first, ...more] = certificates;
  if (first === undefined) {
    const nss = names.some((file) => NSS_FILES.has(file));
    const what = name === undefined ? "no PEM certificate" : `no PEM certificate named ${name}`;
    return bad(
      nss
        ? `-C: NSS certificate databases are not read: ${directory} holds ${what}`
        : `-C: ${what} in ${directory}`,
    );
  }
  if (more.length > 0) {
    const list = certificates.map((file) => basename(file.path)).join(", ");
    return bad(`-C: several certificates in ${directory}, choose one with -M: ${list}`);
  }
  const keys = pem.filter((file) => file.key);
  const key =
    keys.find((file) => file.path === first.path) ??
    keys.find((file) =>
      [first.name, `${first.name}-key`, `${first.name}.key`].includes(file.name),
    ) ??
    (keys.length === 1 ? keys[0] : undefined);
  if (key === undefined) return bad(`-C: no private key for ${first.path}`);
  return {
    ok: true,
    value: { certificates: first.path, privateKey: key.path, passphraseFile: undefined },
  };
}

/**
 * Certificate and key that -C (file or directory), -M (name within it) and -P (file with the
 * passphrase) mean. Errors are sentences for the command line.
 */
export function certificateFiles(
  path: string,
  name: string | undefined,
  passphraseFile: string | undefined,
): Found<CertificateFiles> {
  try {
    if (passphraseFile !== undefined && !statSync(passphraseFile).isFile()) {
      return bad(`-P: ${passphraseFile} is not a file`);
    }
    if (statSync(path).isDirectory()) {
      const found = fromDirectory(path, name);
      return found.ok ? { ok: true, value: { ...found.value, passphraseFile } } : found;
    }
    if (NSS_FILES.has(basename(path))) {
      return bad(`-C: NSS certificate databases are not read: ${path}`);
    }
    const file = inspect(path);
    if (file?.certificate !== true) return bad(`-C: no PEM certificate in ${path}`);
    if (!file.key) return bad(`-C: no private key in ${path}; give a directory with both`);
    return { ok: true, value: { certificates: path, privateKey: path, passphraseFile } };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return bad(`-C: ${path} cannot be read: ${code}`);
  }
}
