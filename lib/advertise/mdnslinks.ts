// Multicast sockets of the mDNS responder, one for each interface and protocol (RFC 6762). Every
// datagram passes the bounds below before anything decodes it. Refuses what is too large, has too many
// records, comes too fast or from outside the link. A socket that fails is dropped and tried again
// when the interfaces are looked at next.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { BlockList, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { viewOf } from "../base/mod.ts";

/** Port of mDNS. */
export const MDNS_PORT = 5353;
const GROUP_V4 = "224.0.0.251";
const GROUP_V6 = "ff02::fb";
const HOP_LIMIT = 255;
const HEADER_BYTES = 12;
/** RFC 6762 section 17. */
const PACKET_BYTES = 9000;
/** Questions and records of one packet; each costs 20 us at worst, a name of 127 labels. */
const PACKET_RECORDS = 64;
/** Packets decoded in a second, and at once after a quiet time, for each socket. */
const PACKETS_PER_SECOND = 50;
const PACKET_BURST = 100;
/** Sockets at the same time: a host with hundreds of virtual interfaces advertises on the first ones. */
const MAX_LINKS = 16;
/** Addresses of one interface that are given to the world. */
const MAX_ADDRESSES = 8;

/** Allows `rate` events a second, `burst` of them at once. */
export function createBucket(rate: number, burst: number, now = () => performance.now()) {
  let tokens = burst;
  let last = now();
  return (): boolean => {
    const time = now();
    tokens = Math.min(burst, tokens + ((time - last) / 1000) * rate);
    last = time;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
}

/** Whether bytes may be decoded at all: size and the record counts of the header. */
export function admissible(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES || bytes.length > PACKET_BYTES) return false;
  const view = viewOf(bytes);
  let records = 0;
  for (let at = 4; at < HEADER_BYTES; at += 2) records += view.getUint16(at);
  return records > 0 && records <= PACKET_RECORDS;
}

/** One interface by one protocol. */
export interface Link {
  /** Addresses of the interface, of both protocols, as they are advertised here. */
  readonly addresses: readonly string[];
  /** Sends to the group, or to one host of the link; `done` is called whether it worked or not. */
  send(bytes: Uint8Array, to?: RemoteInfo, done?: () => void): void;
}

/** What the sockets need to know and tell. */
export interface LinkOptions {
  /** Loopback interfaces only, instead of all others. */
  readonly loopback: boolean;
  onPacket(link: Link, bytes: Uint8Array, from: RemoteInfo): void;
  /** One more socket is ready: everything is to be claimed and announced there. */
  onReady(): void;
  /** Called once for each socket. */
  onProblem(text: string): void;
}

interface Place {
  readonly key: string;
  readonly family: "ipv4" | "ipv6";
  /** What membership and sending are bound to. */
  readonly via: string;
  readonly subnets: BlockList;
  readonly addresses: readonly string[];
}

/** An address without its zone. */
export const bare = (address: string): string => address.split("%", 1)[0] ?? address;

/** Interfaces to be on; the key changes with every change of an address. */
function places(loopback: boolean): readonly Place[] {
  const found: Place[] = [];
  for (const [name, all] of Object.entries(networkInterfaces())) {
    const here = (all ?? []).filter(({ internal }) => internal === loopback);
    const addresses = here.map(({ address }) => bare(address)).slice(0, MAX_ADDRESSES);
    // Linux routes no IPv6 multicast over its loopback interface.
    for (const family of loopback ? (["ipv4"] as const) : (["ipv4", "ipv6"] as const)) {
      const own = here.filter((entry) => entry.family.toLowerCase() === family);
      const [first] = own;
      if (first === undefined) continue;
      const subnets = new BlockList();
      for (const { cidr } of own) {
        const [network, bits] = (cidr ?? "").split("/");
        if (network !== undefined && bits !== undefined)
          subnets.addSubnet(bare(network), Number(bits), family);
      }
      const via = family === "ipv4" ? first.address : `::%${name}`;
      found.push({
        key: `${family} ${name} ${addresses.join(" ")}`,
        family,
        via,
        subnets,
        addresses,
      });
    }
  }
  return found.slice(0, MAX_LINKS);
}

interface OpenLink extends Link {
  close(): void;
}

function openLink(place: Place, options: LinkOptions, onClosed: () => void): OpenLink {
  const six = place.family === "ipv6";
  const group = six ? GROUP_V6 : GROUP_V4;
  const socket: Socket = six
    ? createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true })
    : createSocket({ type: "udp4", reuseAddr: true });
  const allowed = createBucket(PACKETS_PER_SECOND, PACKET_BURST);
  let open = true;
  let bound = false;
  let troubled = false;
  const close = (): void => {
    if (!open) return;
    open = false;
    socket.close();
    onClosed();
  };
  const problem = (cause: unknown): void => {
    if (troubled) return;
    troubled = true;
    const text = cause instanceof Error ? cause.message : String(cause);
    options.onProblem(`mDNS on ${place.via}: ${text}`);
  };
  const link: OpenLink = {
    addresses: place.addresses,
    send(bytes, to, done = () => undefined) {
      if (!open || !bound) return done();
      try {
        socket.send(bytes, to?.port ?? MDNS_PORT, to?.address ?? group, (cause) => {
          if (cause != null) problem(cause);
          done();
        });
      } catch (cause) {
        problem(cause);
        done();
      }
    },
    close,
  };
  socket.on("error", (cause) => {
    problem(cause);
    close();
  });
  socket.on("message", (bytes, from) => {
    // Sockets on one port hear each other's groups: what is of another link is not for this one.
    if (!place.subnets.check(bare(from.address), isIPv6(bare(from.address)) ? "ipv6" : "ipv4"))
      return;
    if (open && admissible(bytes) && allowed()) options.onPacket(link, bytes, from);
  });
  socket.bind(MDNS_PORT, () => {
    try {
      socket.addMembership(group, place.via);
      socket.setMulticastInterface(place.via);
      socket.setMulticastTTL(HOP_LIMIT);
      socket.setMulticastLoopback(true);
      bound = true;
      options.onReady();
    } catch (cause) {
      problem(cause);
      close();
    }
  });
  socket.unref();
  return link;
}

/** Addresses of this host, looked up again for an unknown one, but not more than once a second. */
function createLocal(): (address: string) => boolean {
  let known = new Set<string>();
  const mayLook = createBucket(1, 1);
  return (address) => {
    if (!known.has(address) && mayLook()) {
      const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      known = new Set(all.map((entry) => bare(entry.address)));
    }
    return known.has(address);
  };
}

/** The sockets of all interfaces. */
export interface Links {
  /** Whether an address is one of this host, on whatever interface. */
  isLocal(address: string): boolean;
  all(): readonly Link[];
  /** Opens and closes what the interfaces ask for. */
  refresh(): void;
  close(): void;
}

/** No socket yet: `refresh` opens them. None of them keeps the process up. */
export function createLinks(options: LinkOptions): Links {
  const links = new Map<string, OpenLink>();
  return {
    isLocal: createLocal(),
    all: () => [...links.values()],
    refresh() {
      const wanted = new Map(places(options.loopback).map((place) => [place.key, place]));
      for (const [key, link] of links) if (!wanted.has(key)) link.close();
      for (const [key, place] of wanted)
        if (!links.has(key))
          links.set(
            key,
            openLink(place, options, () => links.delete(key)),
          );
    },
    close() {
      for (const link of links.values()) link.close();
    },
  };
}
