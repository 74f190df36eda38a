// The proxy that tests of whole programs look at: `pcpbox proxy`, from dist/pcpbox when that is newer than
// every source, else run from source. PCPBOX_PROXY_SUBJECT chooses another: "pcp6" or "pcp7" (the real
// pmproxy, to check the tests themselves) or the path of a pcpbox executable.
import { Glob } from "bun";
import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pcp6 } from "./pcp6.ts";
import { pcp7 } from "./pcp7.ts";
import { startProxyProgram } from "./pcp.ts";
import type { PcpTree, PmproxyOptions, Proxy } from "./pcp.ts";

const project = resolve(import.meta.dir, "../..");

/** The program under test. */
export interface ProxySubject {
  readonly name: string;
  /** It is the original: its known faults are expected, not tested. */
  readonly real: boolean;
  readonly tree: PcpTree;
  readonly command: (argv: readonly string[]) => string[];
}

/** Whether dist/pcpbox is newer than every source it is built from. */
function builtFromThisTree(executable: string): boolean {
  if (!existsSync(executable)) return false;
  const built = statSync(executable).mtimeMs;
  for (const path of new Glob("{lib,cmd}/**/*").scanSync(project)) {
    if (statSync(join(project, path)).mtimeMs > built) return false;
  }
  return statSync(join(project, "package-lock.json")).mtimeMs <= built;
}

function ours(prefix: readonly string[]): ProxySubject {
  const command = (argv: readonly string[]) => [...prefix, "proxy", ...argv];
  return { name: prefix.join(" "), real: false, tree: pcp6, command };
}

function chooseSubject(): ProxySubject {
  const wanted = process.env["PCPBOX_PROXY_SUBJECT"] ?? "";
  for (const tree of [pcp6, pcp7]) {
    if (wanted !== tree.name) continue;
    const command = (argv: readonly string[]) =>
      tree.command(["/usr/lib/pcp/bin/pmproxy", ...argv]);
    return { name: `pmproxy of ${tree.name}`, real: true, tree, command };
  }
  if (wanted !== "") return ours([resolve(wanted)]);
  const executable = join(project, "dist/pcpbox");
  if (builtFromThisTree(executable)) return ours([executable]);
  return ours([process.execPath, join(project, "cmd/main.ts")]);
}

/** The program under test in this run. */
export const proxySubject: ProxySubject = chooseSubject();

/** Starts the program under test on a free port of both loopback addresses and on a unix socket. */
export const startProxyUnderTest = (options: PmproxyOptions = {}): Promise<Proxy> =>
  startProxyProgram(proxySubject.tree, proxySubject.command, options);
