// Addresses of network interfaces: IPv6 from /proc/net/if_inet6, hardware from /sys/class/net, IPv4
// from the system itself, since no file has them.
import { networkInterfaces } from "node:os";
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";

const SCOPES: Readonly<Record<string, string>> = {
  "00": "Global",
  "10": "Host",
  "20": "Link",
  "40": "Site",
  "80": "Compat",
};

/** The last IPv6 address of an interface. */
export interface Inet6 {
  /** With the length of its prefix: "fe80::1/64". */
  readonly address: string;
  readonly scope: string;
}

/** 32 digits as an address in its usual form; an IPv4 address inside keeps its dots. */
function ipv6Text(digits: string): string {
  const groups = digits.match(/.{4}/g) ?? [];
  const inside = /^0{20}(0000|ffff)(?!0{7})(.{8})$/i.exec(digits);
  if (inside?.[1] !== undefined && inside[2] !== undefined) {
    const bytes = (inside[2].match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
    return `::${inside[1] === "0000" ? "" : "ffff:"}${bytes.join(".")}`;
  }
  // The URL parser knows the canonical short form.
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** By interface. Lines of another form are left out. */
export function parseInet6(bytes: Uint8Array): ReadonlyMap<string, Inet6> {
  const found = new Map<string, Inet6>();
  for (const line of linesOf(bytes)) {
    const parts = /^([\da-f]{32}) [\da-f]+ ([\da-f]{2}) ([\da-f]{2}) [\da-f]+\s+(\S+)$/i.exec(line);
    if (parts === null) continue;
    const [, digits = "", length = "", scope = "", name = ""] = parts;
    found.set(name, {
      address: `${ipv6Text(digits)}/${Number.parseInt(length, 16)}`,
      scope: SCOPES[scope] ?? "Unknown",
    });
  }
  return found;
}

const INDOM = 17;
/** Milliseconds for which addresses are taken as they are: the system's list is dear. */
const KEPT_FOR = 1000;

/** The addresses of one interface. */
interface Addresses {
  readonly inet: string | undefined;
  readonly inet6: Inet6 | undefined;
  readonly hardware: string | undefined;
}

/** IPv4 addresses by interface; only those of the running system. */
function inetAddresses({ root }: Host): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (root !== "") return found;
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const first = addresses?.find(({ family }) => family === "IPv4");
    if (first !== undefined) found.set(name, first.address);
  }
  return found;
}

/** Read anew each time: names of interfaces may change hands. */
function hardwareOf(host: Host, name: string): string | undefined {
  const bytes = host.readOnce(`/sys/class/net/${name}/address`);
  return bytes === undefined ? undefined : linesOf(bytes)[0]?.trim();
}

/** The metrics of addresses. */
export function collectAddresses(host: Host): Collected {
  const kept = keptIndom<Addresses>(host, INDOM);
  let since = Number.NEGATIVE_INFINITY;
  const refresh = (): void => {
    if (performance.now() - since < KEPT_FOR) return;
    since = performance.now();
    const bytes = host.readOnce("/proc/net/if_inet6");
    const inet6 = bytes === undefined ? new Map<string, Inet6>() : parseInet6(bytes);
    const inet = inetAddresses(host);
    const names = new Set([...host.list("/sys/class/net"), ...inet.keys(), ...inet6.keys()]);
    const found: (readonly [string, Addresses])[] = [];
    for (const name of names) {
      const addresses = {
        inet: inet.get(name),
        inet6: inet6.get(name),
        hardware: hardwareOf(host, name),
      };
      // bonding_masters and its like are no interfaces.
      if (Object.values(addresses).some((each) => each !== undefined))
        found.push([name, addresses]);
    }
    kept.replace(found);
  };
  return {
    refreshers: new Map([[INDOM, refresh]]),
    indoms: [
      {
        serial: INDOM,
        instances: kept.cache,
        oneline: "network interfaces with addresses",
        labels: { device_type: "interface", indom_name: "per interface" },
      },
    ],
    metrics: rowsFrom(
      {
        cluster: 33,
        prefix: "network.interface.",
        type: "string",
        sem: "discrete",
        units: "none",
        indom: INDOM,
      },
      TABLE,
      ({ key }) =>
        (instance) => {
          const addresses = kept.get(instance);
          if (key === "inet_addr") return addresses?.inet;
          if (key === "hw_addr") return addresses?.hardware;
          return key === "ipv6_addr" ? addresses?.inet6?.address : addresses?.inet6?.scope;
        },
    ),
  };
}

const TABLE = `
0 inet_addr | IPv4 address
1 ipv6_addr | IPv6 address and the length of its prefix
2 ipv6_scope | where the IPv6 address is valid
3 hw_addr | hardware address
`;
