// What this program was built from, and what it stands in for. The three constants are put in by
// `bun build --define`; run from the sources they do not exist, and only the version is known then.

import { version as sourceVersion } from "../package.json";

declare const PCPBOX_VERSION: string;
declare const PCPBOX_COMMIT: string;
declare const PCPBOX_TARGET: string;

/** Releases of PCP whose behaviour, options and formats are those of this program. */
const PCP_RELEASES = "7.2.1 / 6.0.3";

/** Facts for `--version --json`. `target` is e.g. linux-x64-musl. */
export interface BuildInfo {
  readonly name: "pcpbox";
  readonly version: string;
  readonly commit: string;
  readonly bun: string;
  readonly target: string;
  readonly pcp: string;
}

/** What is known about this build. */
export const buildInfo: BuildInfo = {
  name: "pcpbox",
  version: typeof PCPBOX_VERSION === "string" ? PCPBOX_VERSION : sourceVersion,
  commit: typeof PCPBOX_COMMIT === "string" ? PCPBOX_COMMIT : "unknown",
  bun: Bun.version,
  target: typeof PCPBOX_TARGET === "string" ? PCPBOX_TARGET : `${process.platform}-${process.arch}`,
  pcp: PCP_RELEASES,
};

/**
 * One line for a program by its name. A PCP program says which PCP it stands in for, in the words
 * of PCP's `--version`; pcpbox says what it is.
 */
export function versionLine(program: string): string {
  const { version, commit, bun, target, pcp } = buildInfo;
  return program === "pcpbox"
    ? `pcpbox ${version} (commit ${commit}, Bun ${bun}, ${target}; PCP ${pcp})\n`
    : `${program} version ${pcp.split(" ")[0]} (pcpbox ${version})\n`;
}

/** The facts as one JSON object on a line. */
export const versionJson = (): string => `${JSON.stringify(buildInfo)}\n`;
