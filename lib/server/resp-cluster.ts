// A client of the key server where that is a cluster (spec proxy.md 12, series.md 1.5), which the client need
// not know: each request goes to the node of its key, replies come back in the order of the requests, and a
// slot that has moved is followed. A connection a node and client, made when first needed. What is held is
// bounded: some requests under way, of which small ones can be sent again, and some bytes of replies for
// each node; beyond that whoever sends has to wait. Refused with an error: what would need one connection.

import { utf8 } from "../base/mod.ts";
import type { Timed } from "./deadlines.ts";
import type { ClusterMap } from "./resp-map.ts";
import { joined, type LinkOwner, NodeLink } from "./resp-link.ts";
import { RequestFramer, type RequestSink, type Route } from "./resp-request.ts";
import type { RelaySession, Server } from "./server.ts";
import type { HostPort } from "./settings.ts";
import type { DialTls, Wire, WireSink } from "./wire.ts";

/** Requests of one client under way. */
const IN_FLIGHT = 1024;
/** Bytes of requests that are kept to be sent again, for one and for all. */
const KEPT_ONE = 1 << 20;
const KEPT_ALL = 8 << 20;
/** Bytes of a request up to its key. */
const HEAD_MAX = 1 << 20;
/** How often one request is sent on, as in PCP's library. */
const REDIRECTIONS = 16;
/** Bytes of an error that is looked at. */
const ERROR_MAX = 64 << 10;
/** Bytes of replies that go out together. */
const OUT_SIZE = 64 << 10;
/** How long a client that sends no more may take to read. */
const HALF_CLOSED_MS = 60_000;

/** A request under way. */
interface Pending {
  link: NodeLink<Pending> | undefined;
  /** Answered here. */
  reply: Uint8Array | undefined;
  kept: Uint8Array[];
  keptSize: number;
  /** All of it is kept. */
  isKept: boolean;
  redirections: number;
  readonly kind: "plain" | "auth" | "quit";
}

const REFUSED = new Set(
  [
    "MULTI EXEC DISCARD WATCH UNWATCH MONITOR SYNC PSYNC REPLCONF RESET",
    "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE",
  ].flatMap((line) => line.split(" ")),
);
/** Commands of which the second word says what is meant. */
const TWO_WORDS = new Set(["CLUSTER", "CLIENT", "HELLO"]);
/** What a client asks to find the nodes, which are none of its business here. */
const CLUSTER_QUESTIONS = new Set(["SLOTS", "NODES", "SHARDS"]);

/** The error that answers a command here; undefined: it goes to a node. */
function refusal({ name, word }: Route): string | undefined {
  if (REFUSED.has(name)) return `ERR ${name} is not possible through a proxy of a cluster`;
  if (name === "CLIENT" && (word === "REPLY" || word === "TRACKING"))
    return `ERR CLIENT ${word} is not possible through a proxy of a cluster`;
  if (name === "HELLO" && word === "3") return "NOPROTO unsupported protocol version";
  // What servers that are no cluster say: the client takes us for one.
  if (name === "CLUSTER" && CLUSTER_QUESTIONS.has(word))
    return "ERR This instance has cluster support disabled";
  return undefined;
}

/** What the sessions share. */
export interface ClusterAccess {
  readonly map: ClusterMap;
  /** Sent first over each connection; undefined: nothing. */
  readonly auth: Uint8Array | undefined;
  readonly tls: DialTls | undefined;
  /** A node was lost: the map may be old. */
  lost(): void;
}

/** Serves `client`, whose requests begin with `first`. */
export function startClusterSession(
  server: Server,
  client: Wire,
  access: ClusterAccess,
  first: readonly Uint8Array[],
  isEnded: boolean,
): void {
  const session = new ClusterSession(server, client, access);
  client.sink = session;
  server.relays.add(session);
  server.counters.relays += 1;
  server.counters.relaysOpened += 1;
  for (const bytes of first) if (server.relays.has(session)) session.data(bytes);
  if (isEnded && server.relays.has(session)) session.end();
}

class ClusterSession implements WireSink, RelaySession, Timed, RequestSink, LinkOwner {
  deadline = 0;
  readonly away = false;
  private readonly framer: RequestFramer;
  private readonly pendings: Pending[] = [];
  private readonly links = new Map<string, NodeLink<Pending>>();
  /** Bytes of the client that were not looked at yet. */
  private readonly input: Uint8Array[] = [];
  private isPaused = false;
  private isEnded = false;
  private isOver = false;
  /** No request is taken before those under way are answered. */
  private isStalled = false;
  /** The request that is coming in: what came of it before its place was known, then who gets it. */
  private heads: Uint8Array[] = [];
  private headSize = 0;
  private current: Pending | undefined;
  private keptSize = 0;
  /** An error that is coming in. */
  private error: Uint8Array[] = [];
  private errorSize = 0;
  private out: Uint8Array[] = [];
  private outSize = 0;
  private isTurning = false;
  /** The client does not take its replies now. */
  private isBlocked = false;
  /** The client has part of a reply. */
  private sentPart = false;
  private auth: Uint8Array | undefined;
  private hasMoved = false;

  constructor(
    private readonly server: Server,
    private readonly client: Wire,
    private readonly access: ClusterAccess,
  ) {
    this.auth = access.auth;
    this.framer = new RequestFramer(this);
  }

  // --- the client

  data(bytes: Uint8Array): void {
    this.hasMoved = true;
    this.input.push(bytes);
    this.turn();
  }
  drain(): void {
    this.isBlocked = false;
    this.turn();
  }
  end(): void {
    this.isEnded = true;
    this.server.deadlines.set(this, HALF_CLOSED_MS);
    this.turn();
  }
  /** The wire is closed, or has to be: both see to it that the other is so, too. */
  close(): void {
    this.over();
    this.client.destroy();
    this.server.gone(this.client);
  }
  expired(): void {
    this.close();
  }
  changed(): void {
    this.turn();
  }

  /** Everything that can be done now. */
  private turn(): void {
    if (this.isTurning || this.isOver) return;
    this.isTurning = true;
    try {
      do this.answer();
      while (!this.isOver && this.takeInput());
    } finally {
      this.isTurning = false;
    }
    if (this.isOver) return;
    this.flushClient();
    const isDone = this.pendings.length === 0 && this.input.length === 0;
    if (this.isEnded && isDone) {
      this.over();
      this.client.finish();
      return;
    }
    if (this.isPaused === this.input.length > 0) return;
    this.isPaused = this.input.length > 0;
    if (this.isPaused) this.client.pause();
    else this.client.resume();
  }

  /** One more request may be under way. */
  private get mayBegin(): boolean {
    if (this.isStalled || this.isOver) return false;
    return this.pendings.length < IN_FLIGHT && this.keptSize <= KEPT_ALL;
  }

  /** More bytes may be taken; a request that has begun is taken whole. */
  private get mayTake(): boolean {
    if (this.isBlocked || (this.framer.atBoundary && !this.mayBegin)) return false;
    for (const link of this.links.values()) if (link.isFull) return false;
    return true;
  }

  /** Takes requests; false: none that asks for another look at the answers. */
  private takeInput(): boolean {
    let taken = false;
    for (let bytes = this.input[0]; bytes !== undefined && this.mayTake; bytes = this.input[0]) {
      const end = this.framer.pass(bytes, 0);
      if (end < 0) {
        this.server.complaints.warning("failed to parse RESP protocol request");
        this.close();
        return false;
      }
      taken = true;
      if (end === bytes.length) this.input.shift();
      else this.input[0] = bytes.subarray(end);
    }
    for (const link of this.links.values()) link.flush();
    return taken;
  }

  // --- its requests, as they are found

  look(name: string): { place: number; isKey: boolean } {
    const place = this.access.map.keyPlace(name);
    if (place > 0) return { place, isKey: true };
    return { place: TWO_WORDS.has(name) ? 1 : 0, isKey: false };
  }

  piece(bytes: Uint8Array): void {
    if (this.current !== undefined) return this.deliver(this.current, bytes);
    this.heads.push(bytes);
    this.headSize += bytes.length;
    if (this.headSize <= HEAD_MAX) return;
    const text = `ERR a key that begins after ${HEAD_MAX} bytes is not possible through a proxy`;
    this.admit(this.pending("plain", utf8(`-${text}\r\n`)));
  }

  route(route: Route): void {
    // It was refused before its place was known.
    if (this.current !== undefined) return;
    const refused = refusal(route) ?? this.keyless(route);
    if (refused !== undefined) {
      this.admit(this.pending("plain", utf8(`-${refused}\r\n`)));
      return;
    }
    if (route.name === "QUIT") {
      this.isStalled = true;
      this.admit(this.pending("quit", utf8("+OK\r\n")));
      return;
    }
    const kind = route.name === "AUTH" ? "auth" : "plain";
    if (kind === "auth") this.isStalled = true;
    const request = this.pending(kind, undefined);
    this.aim(request, this.access.map.nodeOf(route.slot));
    this.admit(request);
  }

  /** The error of PCP's library for keys that cannot be told; without any the command may go to any node. */
  private keyless({ name, parts }: Route): string | undefined {
    if (parts < 2 || this.access.map.takes(name, parts)) return undefined;
    return `Failed to find keys of command ${name}: wrong number of arguments`;
  }

  ended(): boolean {
    this.current = undefined;
    return this.mayBegin;
  }

  private pending(kind: Pending["kind"], reply: Uint8Array | undefined): Pending {
    const isKept = reply === undefined;
    return { link: undefined, reply, kept: [], keptSize: 0, isKept, redirections: 0, kind };
  }

  /** The request takes its place in the order, and what has come of it goes out. */
  private admit(request: Pending): void {
    this.current = request;
    this.pendings.push(request);
    const { heads } = this;
    this.heads = [];
    this.headSize = 0;
    for (const bytes of heads) this.deliver(request, bytes);
  }

  /** Its reply will come from a node. */
  private aim(request: Pending, target: HostPort): NodeLink<Pending> {
    const key = `${target.host} ${target.port}`;
    let link = this.links.get(key);
    if (link === undefined || link.lost !== undefined) {
      link = new NodeLink<Pending>(this.server, target, this, this.auth, this.access.tls);
      this.links.set(key, link);
      link.begin();
    }
    request.link = link;
    link.expected.push(request);
    return link;
  }

  private deliver(request: Pending, bytes: Uint8Array): void {
    if (request.link === undefined) return;
    request.link.send(bytes);
    if (!request.isKept) return;
    request.keptSize += bytes.length;
    this.keptSize += bytes.length;
    if (request.keptSize <= KEPT_ONE) request.kept.push(bytes);
    else this.forget(request);
  }

  private forget(request: Pending): void {
    this.keptSize -= request.keptSize;
    request.keptSize = 0;
    request.kept = [];
    request.isKept = false;
  }

  // --- replies

  /** Sends the client what has come, in its order. */
  private answer(): void {
    for (let head = this.pendings[0]; head !== undefined; head = this.pendings[0]) {
      if (this.outSize > OUT_SIZE) this.flushClient();
      if (this.isBlocked) return;
      if (head.reply !== undefined) {
        this.put(head.reply);
        this.settled(head);
        if (head.kind === "quit") {
          this.flushClient();
          this.over();
          this.client.finish();
          return;
        }
        continue;
      }
      if (head.link === undefined || !this.answerFrom(head.link, head)) return;
    }
    this.isStalled = false;
  }

  /** The next piece from the node of the first request; false: nothing has come. */
  private answerFrom(link: NodeLink<Pending>, head: Pending): boolean {
    const expected = link.expected[0];
    const piece = link.take();
    if (piece === undefined) {
      if (link.lost === undefined) return false;
      this.unanswered(link, head);
      return true;
    }
    const begun = this.errorSize > 0;
    const isError = begun || (piece.begins && piece.bytes[0] === 0x2d);
    if (expected === "auth" || expected === "asking") {
      if (isError && expected === "auth") this.collect(piece.bytes);
      if (piece.ends) {
        link.expected.shift();
        if (isError && expected === "auth") return this.refusedBy(link, head);
      }
      return true;
    }
    if (isError) {
      this.collect(piece.bytes);
      if (piece.ends) this.failed(link, head);
      return true;
    }
    this.put(piece.bytes);
    if (piece.ends) {
      link.expected.shift();
      if (head.kind === "auth") this.authenticated(link, head);
      this.settled(head);
    }
    return true;
  }

  private collect(bytes: Uint8Array): void {
    this.errorSize += bytes.length;
    if (this.errorSize <= ERROR_MAX) this.error.push(bytes);
  }

  private takeError(): Uint8Array {
    const bytes = new Uint8Array(Buffer.concat(this.error));
    const isCut = this.errorSize > ERROR_MAX;
    this.error = [];
    this.errorSize = 0;
    return isCut ? utf8("-ERR an error of the key server is too long\r\n") : bytes;
  }

  /** The node does not take our AUTH, or the client's of before. */
  private refusedBy(link: NodeLink<Pending>, head: Pending): boolean {
    const text = new TextDecoder("latin1").decode(this.takeError()).trim();
    this.server.complaints.info(`client ${this.client.peer}: AUTH: ${text}`);
    link.expected.shift();
    head.link = undefined;
    head.reply = utf8(`${text}\r\n`);
    link.destroy();
    return true;
  }

  /** An error is whole: a place to go to, or the answer. */
  private failed(link: NodeLink<Pending>, head: Pending): void {
    const bytes = this.takeError();
    link.expected.shift();
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, 512));
    const match = /^-(MOVED|ASK) (\d{1,5}) (.*):(\d{1,5})\r\n/.exec(text);
    if (match === null) {
      this.put(bytes);
      this.settled(head);
      return;
    }
    const [, word, slot, host = "", port] = match;
    const target = { host: host === "" ? link.target.host : host, port: Number(port) };
    if (word === "MOVED") this.access.map.moved(Number(slot), target);
    // What follows must not overtake what is sent again.
    this.isStalled = true;
    head.redirections += 1;
    if (!head.isKept || head.redirections > REDIRECTIONS) {
      const why = head.isKept ? "is sent on and on" : "moved under a long request; send it again";
      head.link = undefined;
      head.reply = utf8(`-ERR slot ${slot} ${why}\r\n`);
      return;
    }
    const next = this.linkFor(head, target, word === "ASK");
    for (const bytes of head.kept) next.send(bytes);
    next.flush();
  }

  /** As `aim`, with ASKING before it where the slot is on its way. */
  private linkFor(request: Pending, target: HostPort, isAsking: boolean): NodeLink<Pending> {
    const link = this.aim(request, target);
    if (isAsking) {
      link.expected.splice(-1, 0, "asking");
      link.send(utf8("*1\r\n$6\r\nASKING\r\n"));
    }
    return link;
  }

  /** The connection ended before the reply did. */
  private unanswered(link: NodeLink<Pending>, head: Pending): void {
    link.expected.length = 0;
    this.error = [];
    this.errorSize = 0;
    this.access.lost();
    const isCut = this.sentPart;
    this.sentPart = false;
    // Half a reply is out: nothing that follows could be told from it.
    if (isCut) return this.close();
    head.link = undefined;
    head.reply = utf8(`-ERR key server ${link.name}: ${link.lost ?? "lost"}\r\n`);
  }

  /** The client's own AUTH is good for all nodes from now on. */
  private authenticated(link: NodeLink<Pending>, head: Pending): void {
    this.auth = head.isKept ? new Uint8Array(Buffer.concat(head.kept)) : undefined;
    for (const [key, other] of this.links) {
      if (other === link) continue;
      this.links.delete(key);
      other.destroy();
    }
  }

  private settled(head: Pending): void {
    this.sentPart = false;
    this.pendings.shift();
    this.forget(head);
  }

  private put(bytes: Uint8Array): void {
    this.sentPart = true;
    this.out.push(bytes);
    this.outSize += bytes.length;
  }

  private flushClient(): void {
    const { out } = this;
    if (out.length === 0) return;
    this.out = [];
    this.outSize = 0;
    this.hasMoved = true;
    for (const bytes of joined(out)) {
      this.server.counters.bytesToClients += bytes.length;
      if (!this.client.write(bytes)) this.isBlocked = true;
    }
  }

  // --- the end

  isBusy(): boolean {
    const isBusy = this.pendings.length > 0 || !this.framer.atBoundary || this.hasMoved;
    this.hasMoved = false;
    return isBusy || this.client.full;
  }
  retire(): void {
    this.over();
    this.client.finish();
  }

  private over(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.server.deadlines.clear(this);
    this.server.relays.delete(this);
    this.server.counters.relays -= 1;
    for (const link of this.links.values()) link.destroy();
    this.links.clear();
    this.input.length = 0;
    this.pendings.length = 0;
  }
}
