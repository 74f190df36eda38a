// The system as a whole: names and releases, users that are logged in.
import { arch, hostname, machine, release, type as systemType, version } from "node:os";
import type { FetchValue } from "../../define.ts";
import type { Collected } from "./collector.ts";
import type { Host } from "./host.ts";
import { latin1 } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** The release of PCP whose metrics these are. */
const AGENT_VERSION = "7.2";

/** What utmp tells of sessions. */
export interface Sessions {
  readonly users: number;
  readonly roots: number;
  readonly sessions: number;
}

/** Sizes and places in a record of utmp(5) on Linux, the same on 32 and 64 bits. */
const RECORD = { bytes: 384, pid: 4, user: 44, userBytes: 32 } as const;
const USER_PROCESS = 7;

/** Counts records of users; `runs` says whether a process still runs. */
export function parseUtmp(bytes: Uint8Array, runs: (pid: number) => boolean): Sessions {
  let users = 0;
  let roots = 0;
  let sessions = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + RECORD.bytes <= bytes.length; at += RECORD.bytes) {
    if (view.getInt16(at, true) !== USER_PROCESS) continue;
    users += 1;
    const name = latin1(bytes, at + RECORD.user, at + RECORD.user + RECORD.userBytes);
    if (name.split("\0", 1)[0] === "root") roots += 1;
    if (runs(view.getInt32(at + RECORD.pid, true))) sessions += 1;
  }
  return { users, roots, sessions };
}

/** Files below /etc that tell the distribution, each with what stands before the text. */
const RELEASE_FILES = [
  ["debian_version", "Debian "],
  ["oracle-release", ""],
  ["fedora-release", ""],
  ["redhat-release", ""],
  ["slackware-version", ""],
  ["SuSE-release", ""],
] as const;

/** The distribution as its own files call it; "?" where none does. */
function distribution(host: Host): string {
  for (const [file, before] of RELEASE_FILES) {
    const line = host.line(`/etc/${file}`);
    if (line !== undefined) return before + line;
  }
  const bytes = host.readOnce("/etc/os-release");
  const text = bytes === undefined ? "" : latin1(bytes, 0, bytes.length);
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(text)?.[1] ?? "?";
}

/** The metrics of the system. */
export function collectSystem(host: Host): Collected {
  const sessions = host.sampled(() => {
    const bytes = host.readOnce("/run/utmp");
    if (bytes === undefined) return { users: 0, roots: 0, sessions: 0 };
    return parseUtmp(bytes.slice(), (pid) => host.exists(`/proc/${pid}`));
  });
  const hardware = (): string => machine() || arch();
  let distro: string | undefined;
  const values: Readonly<Record<string, () => FetchValue>> = {
    release,
    version: () => version(),
    sysname: systemType,
    machine: hardware,
    nodename: hostname,
    distro: () => (distro ??= distribution(host)),
    uname: () => [systemType(), hostname(), release(), version(), hardware()].join(" "),
    agentVersion: () => AGENT_VERSION,
    nusers: () => sessions().users,
    nroots: () => sessions().roots,
    nsessions: () => sessions().sessions,
  };
  const head = { prefix: "", type: "string", sem: "discrete", units: "none" } as const;
  return {
    metrics: [
      ...rowsFrom({ ...head, cluster: 12 }, NAMES, ({ key }) => values[key] ?? (() => undefined)),
      ...rowsFrom({ ...head, cluster: 18 }, "7 hinv.machine | kind of hardware", () => hardware),
      ...rowsFrom(
        { ...head, cluster: 25, type: "u32", sem: "instant" },
        USERS,
        ({ key }) => values[key] ?? (() => undefined),
      ),
    ],
  };
}

const NAMES = `
0 kernel.uname.release | release of the kernel
1 kernel.uname.version | build of the kernel
2 kernel.uname.sysname | name of the operating system
3 kernel.uname.machine | kind of hardware
4 kernel.uname.nodename | name of the host
5 pmda.uname | what uname -a says
6 pmda.version =agentVersion | version of this agent
7 kernel.uname.distro | name and release of the distribution
`;

const USERS = `
0 kernel.all.nusers | login sessions of users
1 kernel.all.nroots | login sessions of root
2 kernel.all.nsessions | login sessions whose leader runs
`;
