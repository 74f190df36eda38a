// Service advertisement without Avahi: an mDNS responder for the proxy's few records (RFC 6762, 6763),
// with dns-packet for the bytes. Probes, announces, answers, renames after collisions, says goodbye.
// What the network sends is not kept: the state is our own records and when each was last sent, so
// that a record goes out by multicast at most once a second on a link. Refuses to answer faster.

import type { RemoteInfo } from "node:dgram";
import { isIPv4 } from "node:net";
import { type Answer, decode, encode, type Packet, type SrvData } from "dns-packet";
import { type Log, oneLine } from "../base/mod.ts";
import { bare, createBucket, createLinks, type Link, type Links, MDNS_PORT } from "./mdnslinks.ts";
import { alternative, instanceName, label, SERVICE_TYPE } from "./servicename.ts";

const DOMAIN = "local";
const TYPE_NAME = `${SERVICE_TYPE}.${DOMAIN}`;
const ENUMERATION = `_services._dns-sd._udp.${DOMAIN}`;
/** RFC 6762 section 10: records with a host's name in them, and all others; in seconds. */
const HOST_TTL = 120;
const OTHER_TTL = 4500;
/** For askers that are no mDNS hosts (section 6.7). */
const LEGACY_TTL = 10;
const PROBES = 3;
const PROBE_MS = 250;
const ANNOUNCEMENTS = 2;
const ANNOUNCE_MS = 1000;
const DEFER_MS = 1000;
/** A record's multicasts on one link are this far apart; answers to a probe may be nearer. */
const REPEAT_MS = 1000;
const DEFENCE_MS = 250;
const UNICAST_PER_SECOND = 20;
/** Collisions after which the network is left alone until its interfaces change. */
const COLLISIONS = 15;
const REFRESH_MS = 10_000;
const GOODBYE_MS = 500;
/** The class IN with the bit that asks for a unicast answer, in dns-packet's words. */
const UNICAST_CLASS = "UNKNOWN_32769";
const AUTHORITATIVE = 0x400;

/** What is to be published. */
export interface MdnsOptions {
  readonly ports: readonly number[];
  readonly hostname: string;
  readonly log: Pick<Log, "info" | "debug">;
  /** Loopback interfaces only, instead of all others. */
  readonly loopback: boolean;
}

/** Publication by mDNS. */
export interface MdnsPublisher {
  /** Names that nobody else claims; empty before probing is done. */
  names(): readonly string[];
  /** Whether too many collisions ended it. */
  failed(): boolean;
  /** Says goodbye and closes the sockets, within half a second. Never rejects. */
  stop(): Promise<void>;
}

interface Names {
  host: string;
  readonly services: { name: string; readonly port: number }[];
}

const lower = (text: string): string => text.toLowerCase();
const hostName = (names: Names): string => `${names.host}.${DOMAIN}`;
const serviceName = (service: { readonly name: string }): string => `${service.name}.${TYPE_NAME}`;

/** Records that belong to us alone: claimed by probing, sent with the cache-flush bit. */
function ownRecords(names: Names, addresses: readonly string[]): Answer[] {
  const own = { ttl: HOST_TTL, class: "IN", flush: true } as const;
  const target = hostName(names);
  const records: Answer[] = addresses.map((data) => ({
    ...own,
    name: target,
    type: isIPv4(data) ? "A" : "AAAA",
    data,
  }));
  for (const service of names.services) {
    const name = serviceName(service);
    const data = { port: service.port, target, priority: 0, weight: 0 };
    records.push({ ...own, name, type: "SRV", data });
    records.push({ ...own, name, type: "TXT", ttl: OTHER_TTL, data: "" });
  }
  return records;
}

/** Records that others on the link may have, too. */
function sharedRecords(names: Names): Answer[] {
  const shared = { type: "PTR", ttl: OTHER_TTL, class: "IN" } as const;
  return [
    { ...shared, name: ENUMERATION, data: TYPE_NAME },
    ...names.services.map((service) => ({
      ...shared,
      name: TYPE_NAME,
      data: serviceName(service),
    })),
  ];
}

/** A record as text: what makes it the same record. */
function keyOf(record: Answer): string {
  if (record.type === "SRV") {
    const { port, target, priority, weight } = record.data;
    return lower(`${record.type} ${record.name} ${priority} ${weight} ${port} ${target}`);
  }
  const data = "data" in record && typeof record.data === "string" ? record.data : "";
  return lower(`${record.type} ${record.name} ${data}`);
}

/** Type and data as bytes, the order in which RFC 6762 section 8.2.1 compares records. */
function rank(record: Answer): Buffer {
  const bytes = encode({ type: "response", answers: [{ ...record, name: "." }] });
  // Behind the packet's header and the root name: type 2, class 2, TTL 4, size 2, data.
  return Buffer.concat([bytes.subarray(13, 15), bytes.subarray(23)]);
}

function compareClaims(ours: readonly Answer[], theirs: readonly Answer[]): number {
  const sorted = (records: readonly Answer[]) => records.map(rank).sort(Buffer.compare);
  const [own, other] = [sorted(ours), sorted(theirs)];
  for (const [index, bytes] of own.entries()) {
    const against = other[index];
    const order = against === undefined ? 1 : Buffer.compare(bytes, against);
    if (order !== 0) return order;
  }
  return own.length < other.length ? -1 : 0;
}

const isName = (record: Answer, name: string): boolean => lower(record.name) === lower(name);

/** Whether a response's record says that a name of ours is somebody else's. */
function contradicts(record: Answer, names: Names, service: Names["services"][number]): boolean {
  if (record.type !== "SRV" || !isName(record, serviceName(service))) return false;
  const data: SrvData = record.data;
  const ours = data.port === service.port && lower(data.target) === lower(hostName(names));
  return !ours && record.ttl !== 0;
}

/** Whether a response's record says that our host's name is another host's. */
function contradictsHost(record: Answer, names: Names, links: Links): boolean {
  if ((record.type !== "A" && record.type !== "AAAA") || record.ttl === 0) return false;
  return isName(record, hostName(names)) && !links.isLocal(record.data);
}

/** Gives a service the next name that no other service of ours has. */
function renameService(names: Names, service: Names["services"][number]): void {
  do service.name = alternative(service.name);
  while (names.services.some((other) => other !== service && other.name === service.name));
}

/** Which of `records` a packet asks for and does not know yet. */
function askedFor(packet: Packet, records: readonly Answer[]): Answer[] {
  const known = new Map((packet.answers ?? []).map((record) => [keyOf(record), record]));
  return records.filter((record) => {
    const asked = (packet.questions ?? []).some(
      ({ name, type }) =>
        isName(record, name) && (type === record.type || (type as string) === "ANY"),
    );
    if (!asked) return false;
    const there = known.get(keyOf(record));
    const [left, full] = [there, record].map((one) =>
      one !== undefined && "ttl" in one ? (one.ttl ?? 0) : 0,
    );
    return (left ?? 0) < (full ?? 0) / 2;
  });
}

/** Records that the asker of `answers` will ask for next. */
function additionalTo(answers: readonly Answer[], own: readonly Answer[]): Answer[] {
  const wanted = new Set<string>();
  for (const record of answers) {
    if (record.type === "PTR") wanted.add(lower(record.data));
    if (record.type === "SRV") wanted.add(lower(record.data.target));
  }
  for (const record of own)
    if (record.type === "SRV" && wanted.has(lower(record.name)))
      wanted.add(lower(record.data.target));
  return own.filter((record) => wanted.has(lower(record.name)) && !answers.includes(record));
}

/** Answers of one link: what waits to be sent, and when each record was last sent. */
function createAnswering(link: Link, names: Names) {
  const mayUnicast = createBucket(UNICAST_PER_SECOND, UNICAST_PER_SECOND);
  const lastSent = new Map<string, number>();
  const waiting = new Map<string, Answer>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const multicast = (records: readonly Answer[], apart: number): void => {
    const now = performance.now();
    const due = records.filter((one) => now - (lastSent.get(keyOf(one)) ?? -Infinity) >= apart);
    if (due.length === 0) return;
    for (const record of due) lastSent.set(keyOf(record), now);
    const additionals = additionalTo(due, ownRecords(names, link.addresses));
    link.send(encode({ type: "response", flags: AUTHORITATIVE, answers: due, additionals }));
  };
  const flush = (): void => {
    timer = undefined;
    const records = [...waiting.values()];
    waiting.clear();
    multicast(records, REPEAT_MS);
  };
  const unicast = (answers: Answer[], to: RemoteInfo, query: Packet): void => {
    // A plain resolver asks one question, which goes back with the answer.
    if (to.port !== MDNS_PORT && query.questions?.length !== 1) return;
    if (!mayUnicast()) return;
    const additionals = additionalTo(answers, ownRecords(names, link.addresses));
    const packet: Packet = { type: "response", flags: AUTHORITATIVE, answers, additionals };
    if (to.port !== MDNS_PORT) {
      const plain = (record: Answer): Answer =>
        record.type === "OPT" ? record : { ...record, flush: false, ttl: LEGACY_TTL };
      packet.id = query.id;
      packet.questions = query.questions;
      packet.answers = answers.map(plain);
      packet.additionals = additionals.map(plain);
    }
    link.send(encode(packet), to);
  };

  return {
    multicast,
    answer(query: Packet, from: RemoteInfo): void {
      const own = ownRecords(names, link.addresses);
      const answers = askedFor(query, [...sharedRecords(names), ...own]);
      if (answers.length === 0) return;
      // On this host several programs share the port and a unicast reaches just one of them.
      const local = link.addresses.includes(bare(from.address));
      const direct = (query.questions ?? []).every(
        (question) => (question.class as string) === UNICAST_CLASS,
      );
      if (from.port !== MDNS_PORT || (direct && !local)) return unicast(answers, from, query);
      if ((query.authorities ?? []).length > 0) return multicast(answers, DEFENCE_MS);
      for (const record of answers) waiting.set(keyOf(record), record);
      if (timer !== undefined) return;
      timer = setTimeout(flush, 20 + Math.random() * 100);
      timer.unref();
    },
    close: () => clearTimeout(timer),
  };
}

/** Publishes `ports` by mDNS. Nothing here keeps the process up or throws later. */
export function publishByMdns(options: MdnsOptions): MdnsPublisher {
  const { log } = options;
  const short = options.hostname.split(".", 1)[0] ?? "";
  const names: Names = {
    host: label(lower(short).replace(/[^a-z0-9-]+/g, "-")) || "pmproxy",
    services: [],
  };
  // dns-packet knows no dots inside a label, so a host's domain is left out.
  let free = instanceName(short);
  for (const port of options.ports) {
    names.services.push({ name: free, port });
    free = alternative(free);
  }
  const answering = new Map<Link, ReturnType<typeof createAnswering>>();
  const timers = new Set<ReturnType<typeof setTimeout>>();
  let phase: "probing" | "announced" | "failed" | "stopped" = "probing";
  let collisions = 0;
  let refused = false;

  const later = (ms: number, task: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      task();
    }, ms);
    timer.unref();
    timers.add(timer);
  };
  const cancel = (): void => {
    for (const timer of timers) clearTimeout(timer);
    timers.clear();
  };

  const announce = (left: number): void => {
    if (phase !== "announced") log.debug(`mDNS: ${names.services.length} services announced`);
    phase = "announced";
    for (const [link, answers] of answering)
      answers.multicast([...sharedRecords(names), ...ownRecords(names, link.addresses)], 0);
    if (left > 1) later(ANNOUNCE_MS, () => announce(left - 1));
    else collisions = 0;
  };
  const probe = (left: number): void => {
    const claimed = [hostName(names), ...names.services.map(serviceName)];
    // dns-packet writes ANY, its types do not list it.
    const questions = claimed.map((name) => ({ name, type: "ANY" as "A" }));
    for (const link of links.all()) {
      const authorities = ownRecords(names, link.addresses).map((record) => ({
        ...record,
        flush: false,
      }));
      link.send(encode({ type: "query", questions, authorities } as Packet));
    }
    later(PROBE_MS, () => (left > 1 ? probe(left - 1) : announce(ANNOUNCEMENTS)));
  };
  const restart = (delay: number): void => {
    cancel();
    phase = "probing";
    for (const answers of answering.values()) answers.close();
    answering.clear();
    for (const link of links.all()) answering.set(link, createAnswering(link, names));
    later(delay, () => probe(PROBES));
  };
  const collide = (what: string, delay: number): void => {
    if (++collisions <= COLLISIONS) return restart(delay);
    cancel();
    phase = "failed";
    log.info(`service advertisement: ${oneLine(what)} and names before it are in use`);
  };

  const onResponse = (packet: Packet): void => {
    for (const record of [...(packet.answers ?? []), ...(packet.additionals ?? [])]) {
      const service = names.services.find((one) => contradicts(record, names, one));
      const host = contradictsHost(record, names, links);
      if (service === undefined && !host) continue;
      const taken = service?.name ?? names.host;
      // Announced names are probed again first: who has them then keeps them.
      if (phase === "probing") {
        log.debug(`mDNS: name ${oneLine(taken)} is in use`);
        if (host) names.host = alternative(names.host, "-");
        if (service !== undefined) renameService(names, service);
      }
      return collide(taken, PROBE_MS);
    }
  };
  const onProbe = (packet: Packet, link: Link): void => {
    const ours = ownRecords(names, link.addresses);
    for (const name of [hostName(names), ...names.services.map(serviceName)]) {
      const own = ours.filter((record) => isName(record, name));
      const keys = new Set(own.map(keyOf));
      const theirs = (packet.authorities ?? []).filter((record) => isName(record, name));
      // Our own probe comes back, also from another interface on the same network.
      const strange = theirs.some((record) =>
        record.type === "A" || record.type === "AAAA"
          ? !links.isLocal(record.data)
          : !keys.has(keyOf(record)),
      );
      if (!strange) continue;
      // The later claim wins; the loser waits and finds the name taken.
      if (compareClaims(own, theirs) < 0) return collide(name, DEFER_MS);
    }
  };
  const onPacket = (link: Link, bytes: Uint8Array, from: RemoteInfo): void => {
    if (phase === "stopped" || phase === "failed") return;
    try {
      const packet = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      if (packet.type === "response") {
        if (from.port === MDNS_PORT) onResponse(packet);
      } else if (phase === "announced") answering.get(link)?.answer(packet, from);
      else if ((packet.authorities ?? []).length > 0) onProbe(packet, link);
    } catch (cause) {
      if (!refused) log.debug(`mDNS: packet of ${from.address} refused: ${oneLine(String(cause))}`);
      refused = true;
    }
  };

  const onReady = (): void => {
    if (phase === "stopped") return;
    collisions = 0;
    restart(Math.random() * PROBE_MS);
  };
  const { loopback } = options;
  const links = createLinks({ loopback, onPacket, onReady, onProblem: (text) => log.debug(text) });
  links.refresh();
  const watch = setInterval(links.refresh, REFRESH_MS);
  watch.unref();

  const goodbye = (): Promise<void>[] => {
    if (phase !== "announced") return [];
    const gone = (record: Answer): Answer =>
      record.type === "OPT" ? record : { ...record, ttl: 0 };
    return links.all().map((link) => {
      const own = ownRecords(names, []);
      const services = sharedRecords(names).filter((record) => record.name === TYPE_NAME);
      const answers = [...services, ...own].map(gone);
      const bytes = encode({ type: "response", flags: AUTHORITATIVE, answers });
      return new Promise((resolve) => link.send(bytes, undefined, resolve));
    });
  };
  return {
    names: () => (phase === "announced" ? names.services.map(({ name }) => name) : []),
    failed: () => phase === "failed",
    async stop() {
      cancel();
      clearInterval(watch);
      const sent = goodbye();
      phase = "stopped";
      for (const answers of answering.values()) answers.close();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, GOODBYE_MS);
      });
      await Promise.race([Promise.all(sent), late]);
      clearTimeout(timer);
      links.close();
    },
  };
}
