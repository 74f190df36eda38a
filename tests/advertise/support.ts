// What the tests of service advertisement share: a private D-Bus daemon, an Avahi in a network of its
// own (its D-Bus socket is reached from here all the same), and a mDNS peer on the loopback interface.
import { createSocket, type RemoteInfo } from "node:dgram";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Answer, decode, encode, type Packet } from "dns-packet";
import { waitUntil } from "../helpers/ports.ts";
import { type Daemon, privateFolder, run, startDaemon } from "../helpers/process.ts";

const program = (name: string): string | null =>
  [`/usr/sbin/${name}`, `/usr/bin/${name}`].find((path) => existsSync(path)) ?? null;

/** Why a private bus cannot be started here, or null. */
export const busProblem = (): string | null =>
  program("dbus-daemon") === null ? "no dbus-daemon" : null;

/** Why a private Avahi cannot be started here, or null. */
export function avahiProblem(): string | null {
  if (busProblem() !== null) return busProblem();
  if (process.getuid?.() !== 0) return "not run as root";
  for (const name of ["avahi-daemon", "avahi-browse", "unshare", "ip"])
    if (program(name) === null) return `no ${name}`;
  const spaces = Bun.spawnSync(["unshare", "-n", "-m", "true"], { stderr: "ignore" });
  return spaces.exitCode === 0 ? null : "no network name spaces";
}

/** Waits until `ready` is true, by looking; fails when patience is over. */
export async function until(ready: () => boolean | Promise<boolean>, what: string): Promise<void> {
  if (!(await waitUntil(ready))) throw new Error(`waited in vain for ${what}`);
}

const BUS_CONFIG = (path: string): string => `<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=${path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`;

const AVAHI_CONFIG = `[server]
host-name=pcpbox-test
use-ipv4=yes
use-ipv6=no
allow-interfaces=lo
enable-dbus=yes
[publish]
publish-hinfo=no
publish-workstation=no
`;

/** A private system bus. */
export interface PrivateBus {
  readonly folder: string;
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  readonly daemon: Daemon;
}

/** Starts a bus at a socket of its own, or again at the socket of a bus that was stopped. */
export async function startBus(folder = privateFolder("bus")): Promise<PrivateBus> {
  const path = join(folder, "socket");
  const config = join(folder, "bus.conf");
  writeFileSync(config, BUS_CONFIG(path));
  const argv = [program("dbus-daemon") ?? "", `--config-file=${config}`, "--nofork", "--nopidfile"];
  const daemon = startDaemon(argv, join(folder, "bus.log"));
  await until(() => existsSync(path), "the bus");
  return { folder, path, env: { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${path}` }, daemon };
}

/** Starts an Avahi whose network is a loopback interface of its own. */
export function startAvahi(bus: PrivateBus): Daemon {
  const config = join(bus.folder, "avahi.conf");
  writeFileSync(config, AVAHI_CONFIG);
  const script = `
    mkdir -p /run/avahi-daemon
    mount -t tmpfs none /run/avahi-daemon
    ip link set lo up
    exec ${program("avahi-daemon")} --no-drop-root --no-chroot --no-rlimits -f ${config}`;
  return startDaemon(["unshare", "-n", "-m", "sh", "-ec", script], join(bus.folder, "avahi.log"), {
    env: bus.env,
  });
}

/** What `avahi-browse` resolves: name, host, address, port and TXT of each service of our type. */
export async function browse(bus: PrivateBus): Promise<readonly string[]> {
  const argv = [program("avahi-browse") ?? "", "-rptk", "_pmproxy._tcp"];
  const { stdout } = await run(argv, { env: bus.env });
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("="))
    .map((line) => {
      const [, , , name = "", , , host, address, port, text] = line.split(";");
      const plain = name.replace(/\\(\d{3})|\\(.)/g, (_, code?: string, other?: string) =>
        code === undefined ? (other ?? "") : String.fromCharCode(Number(code)),
      );
      return [plain, host, address, port, text].join("|");
    })
    .sort();
}

/** A packet that was heard. */
export interface Heard {
  readonly packet: Packet;
  readonly from: RemoteInfo;
}

/** Somebody else on the loopback interface, on the port of mDNS or (`port` 0) one of its own. */
export async function mdnsPeer(port = 5353) {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  const heard: Heard[] = [];
  let undecodable = 0;
  socket.on("message", (bytes, from) => {
    try {
      heard.push({ packet: decode(bytes), from });
    } catch {
      undecodable += 1;
    }
  });
  await new Promise<void>((resolve) => socket.bind(port, "0.0.0.0", resolve));
  if (port !== 0) socket.addMembership("224.0.0.251", "127.0.0.1");
  socket.setMulticastInterface("127.0.0.1");
  socket.setMulticastLoopback(true);
  const sendRaw = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      socket.send(bytes, 5353, "224.0.0.251", (cause) => (cause ? reject(cause) : resolve()));
    });
  const records = (): Answer[] =>
    heard
      .filter(({ packet }) => packet.type === "response")
      .flatMap(({ packet }) => [...(packet.answers ?? []), ...(packet.additionals ?? [])]);
  return {
    heard,
    /** Packets that were none. */
    undecodable: () => undecodable,
    records,
    sendRaw,
    send: (packet: Packet) => sendRaw(encode(packet)),
    close: () => socket.close(),
  };
}
