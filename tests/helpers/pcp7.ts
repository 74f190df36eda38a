// PCP 7 in a root folder of its own (variable PCP_CURRENT_ROOT), entered with a private mount name space
// and chroot: the tree for pcp.ts, and starters. Its programs share this machine's network and see the
// temporary folder under its own path. Needs root.
import { tmpdir } from "node:os";
import { startKeyServer, startPmcd, startRealPmproxy } from "./pcp.ts";
import type { KeyServer, PcpTree, Pmcd, PmcdOptions, PmproxyOptions, Proxy } from "./pcp.ts";

/** The folder PCP 7 is installed in. */
export const pcp7Root = process.env["PCP_CURRENT_ROOT"] ?? "/var/cache/pcp-current/root";

/** The mounts vanish with the name space, that is with the program. */
const enter = `
root=$1 shared=$2
shift 2
mkdir -p "$root$shared"
mount --bind "$shared" "$root$shared"
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
exec chroot "$root" sh -c 'cd "$1" && shift && exec "$@"' sh "$shared" "$@"
`;

/** PCP 7 in its root. */
export const pcp7: PcpTree = {
  name: "pcp7",
  root: pcp7Root,
  command: (argv) =>
    [
      ["unshare", "-m", "--propagation", "private", "sh", "-euc", enter, "enter"],
      [pcp7Root, tmpdir(), ...argv],
    ].flat(),
  keyServer: "valkey-server",
  python: "/usr/bin/python3",
};

let shared: Promise<Pmcd> | undefined;

/** As `sharedPmcd6`, of PCP 7. */
export function sharedPmcd7(): Promise<Pmcd> {
  shared ??= startPmcd(pcp7);
  return shared;
}

/** A pmcd of its own. */
export const startPmcd7 = (options: PmcdOptions = {}): Promise<Pmcd> => startPmcd(pcp7, options);

/** The real pmproxy 7. */
export const startPmproxy7 = (options: PmproxyOptions = {}): Promise<Proxy> =>
  startRealPmproxy(pcp7, options);

/** A Valkey of its own. */
export const startValkey = (port?: number): Promise<KeyServer> => startKeyServer(pcp7, port);
