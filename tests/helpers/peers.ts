// Which peers (real programs of other projects) this machine has, and tests that need some of them.
// A test whose peer is missing is a skip with its reason in its name, which `bun test` counts; under
// CI=true it is a failure, so that no run there passes by having tested nothing.
import { Glob } from "bun";
import { describe, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromiumPath } from "./chromium.ts";
import { pcp7Root } from "./pcp7.ts";
import { redisearchModule } from "./redisearch.ts";

/** The peers tests may ask for. */
export type Peer =
  | "pcp6"
  | "pcp6-python"
  | "pcp6-sasl"
  | "pcp7"
  | "pcp7-sasl"
  | "redis"
  | "valkey"
  | "redisearch"
  | "openssl"
  | "avahi"
  | "chromium"
  | "ipv6"
  | "root";

/** Why a peer cannot be used, or null when it can. */
type Finding = string | null;

const missing = (what: string, paths: readonly string[]): Finding =>
  paths.every((path) => existsSync(path)) ? null : `no ${what}`;

const notRoot = (): Finding => (process.getuid?.() === 0 ? null : "not run as root");

/** The version a tree's pcp.conf states, or an empty text. */
function pcpVersion(root: string): string {
  const path = join(root, "/etc/pcp.conf");
  if (!existsSync(path)) return "";
  return /^PCP_VERSION=(.*)$/m.exec(readFileSync(path, "utf8"))?.[1] ?? "";
}

function installedPcp(root: string, major: string): Finding {
  const version = pcpVersion(root);
  if (!version.startsWith(`${major}.`)) {
    return `no PCP ${major}${version === "" ? "" : `, but ${version}`} in ${root === "" ? "/" : root}`;
  }
  const files = [
    ["/usr/bin/pminfo", "/usr/lib/pcp/bin/pmcd", "/usr/lib/pcp/bin/pmproxy"],
    ["/var/lib/pcp/pmdas/sample/pmdasample", "/var/lib/pcp/pmns/root", "/var/lib/pcp/pmns/stdpmid"],
  ].flat();
  const absent = files.filter((file) => !existsSync(join(root, file)));
  return absent.length === 0
    ? null
    : `PCP ${major} in ${root === "" ? "/" : root} lacks ${absent[0]}`;
}

/** The mechanisms and the account data base are plug-ins of their own packages. */
function saslModules(root: string): Finding {
  const place = `${root}/usr/lib/*/sasl2`;
  const found = new Set(
    new Glob(`${place}/lib*.so`.slice(1)).scanSync({ cwd: "/", onlyFiles: false }),
  );
  const names = [...found].map((path) => path.slice(path.lastIndexOf("/") + 1));
  const absent = ["libplain.so", "libscram.so", "libsasldb.so"].find(
    (name) => !names.includes(name),
  );
  return absent === undefined ? null : `no ${absent} in ${place}`;
}

function works(argv: readonly string[]): boolean {
  if (Bun.which(argv[0] ?? "") === null) return false;
  return Bun.spawnSync([...argv], { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
}

function look(peer: Peer): Finding {
  switch (peer) {
    case "pcp6":
      return installedPcp("", "6");
    case "pcp6-python":
      return works(["/usr/bin/python3", "-c", "import pcp.pmapi"]) ? null : "no python3-pcp";
    case "pcp7":
      return (
        notRoot() ??
        installedPcp(pcp7Root, "7") ??
        (works(["unshare", "-m", "true"]) ? null : "no mount name spaces")
      );
    case "pcp6-sasl":
      return look("pcp6") ?? saslModules("");
    case "pcp7-sasl":
      return look("pcp7") ?? saslModules(pcp7Root);
    case "redis":
      return Bun.which("redis-server") === null ? "no redis-server" : null;
    case "valkey":
      return notRoot() ?? missing("valkey-server", [join(pcp7Root, "/usr/bin/valkey-server")]);
    case "redisearch":
      return look("redis") ?? missing("RediSearch (PCPBOX_REDISEARCH)", [redisearchModule]);
    case "openssl":
      return Bun.which("openssl") === null ? "no openssl" : null;
    case "avahi":
      return missing("running Avahi", ["/run/avahi-daemon/socket"]);
    case "chromium":
      return missing("Chromium", [chromiumPath]);
    case "ipv6": {
      const table = "/proc/net/if_inet6";
      const loopback = existsSync(table) && /^0{31}1 /m.test(readFileSync(table, "utf8"));
      return loopback ? null : "no IPv6 loopback address";
    }
    case "root":
      return notRoot();
    default:
      return peer satisfies never;
  }
}

const findings = new Map<Peer, Finding>();

/** Why this peer cannot be used, or null when it can. Looked up once. */
export function peerProblem(peer: Peer): string | null {
  const known = findings.get(peer);
  if (known !== undefined) return known;
  const found = look(peer);
  findings.set(peer, found);
  return found;
}

/** Whether all these peers are here. */
export const havePeers = (...peers: readonly Peer[]): boolean =>
  peers.every((peer) => peerProblem(peer) === null);

/** Under continuous integration a missing peer fails the run. */
const strict = process.env["CI"] === "true";

const firstProblem = (peers: readonly Peer[]): string | null =>
  peers.map(peerProblem).find((problem) => problem !== null) ?? null;

function registerMissing(name: string, problem: string): void {
  if (strict) {
    test(name, () => {
      throw new Error(`missing peer: ${problem}`);
    });
  } else {
    skipAloud(name, problem);
  }
}

/** `test` for something that needs these peers. `timeoutMs` as for `test`, 300,000 by default. */
export function testWith(
  peers: Peer | readonly Peer[],
  name: string,
  body: () => void | Promise<void>,
  timeoutMs = 300_000,
): void {
  const problem = firstProblem(typeof peers === "string" ? [peers] : peers);
  if (problem === null) test(name, body, timeoutMs);
  else registerMissing(name, problem);
}

/** As `testWith`, run at the same time as the concurrent tests beside it. */
export function concurrentTestWith(
  peers: Peer | readonly Peer[],
  name: string,
  body: () => void | Promise<void>,
  timeoutMs = 300_000,
): void {
  const problem = firstProblem(typeof peers === "string" ? [peers] : peers);
  if (problem === null) test.concurrent(name, body, timeoutMs);
  else registerMissing(name, problem);
}

/** A skip for a reason other than a missing peer, with the reason in its name; counted as the others. */
export function skipAloud(name: string, reason: string): void {
  test.skip(`${name} (skipped: ${reason})`, () => undefined);
}

/** `describe` for tests that all need these peers; one counted skip (or failure) when one is missing. */
export function describePeer(peers: Peer | readonly Peer[], name: string, body: () => void): void {
  const problem = firstProblem(typeof peers === "string" ? [peers] : peers);
  if (problem === null) describe(name, body);
  else registerMissing(name, problem);
}
