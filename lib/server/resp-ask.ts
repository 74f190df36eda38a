// One conversation with a key server on the relay's own account: who answers, whether it is a cluster, what
// its commands look like. Bounded in time and size.

import { utf8 } from "../base/mod.ts";
import type { Timed } from "./deadlines.ts";
import { DIAL_DESCRIPTORS } from "./relay.ts";
import { ReplyFramer, type ReplyValue, replyValue } from "./resp-reply.ts";
import type { Server } from "./server.ts";
import type { HostPort } from "./settings.ts";
import { dial, type DialTls, type NativeWire, type WireSink } from "./wire.ts";

/** What a key server has said. */
export type Finding =
  | { readonly kind: "failed"; readonly reason: string }
  /** `certain` is false where it says nothing to who has no password. */
  | { readonly kind: "single"; readonly certain: boolean }
  | { readonly kind: "cluster"; readonly slots: ReplyValue; readonly commands: ReplyValue };

/** Most bytes of one reply: the commands of a server with modules take less than one MB. */
const REPLY_MAX = 16 << 20;
/** Most bytes of the reply to AUTH. */
const AUTH_MAX = 512;

/** A request as an array of bulk strings. */
function requestBytes(words: readonly string[]): Uint8Array {
  const bulk = words.map((word) => `$${utf8(word).length}\r\n${word}\r\n`).join("");
  return utf8(`*${words.length}\r\n${bulk}`);
}

/** The AUTH request for the key server; undefined without a password. */
export function authentication(username: string, password: string): Uint8Array | undefined {
  if (password === "") return undefined;
  return requestBytes(username === "" ? ["AUTH", password] : ["AUTH", username, password]);
}

type Step = "auth" | "slots" | "commands";

/** Asks `target`, over TLS where that is given; `told` is called once. */
export function askKeyServer(
  server: Server,
  target: HostPort,
  tls: DialTls | undefined,
  told: (finding: Finding) => void,
): void {
  if (!server.hasDescriptors(DIAL_DESCRIPTORS)) {
    told({ kind: "failed", reason: "too many open files" });
    return;
  }
  new Asking(server, target, tls, told).begin();
}

class Asking implements WireSink, Timed {
  deadline = 0;
  private wire: NativeWire | undefined;
  private step: Step = "slots";
  private framer = new ReplyFramer();
  private pieces: Uint8Array[] = [];
  private size = 0;
  private slots: ReplyValue = null;
  private isOver = false;

  constructor(
    private readonly server: Server,
    private readonly target: HostPort,
    private readonly tls: DialTls | undefined,
    private readonly told: (finding: Finding) => void,
  ) {}

  begin(): void {
    const { server, target } = this;
    server.deadlines.set(this, server.settings.pcp.connectTimeoutMs);
    server.counters.dials += 1;
    const callbacks = {
      open: () => this.opened(),
      failed: (error: Error) => this.over({ kind: "failed", reason: error.message }),
      settled: () => {
        server.counters.dials -= 1;
      },
      onFault: server.onFault,
    };
    this.wire = dial(target.host, target.port, callbacks, this.tls);
  }

  private opened(): void {
    if (this.wire === undefined) return;
    this.wire.sink = this;
    const { username, password } = this.server.settings.keyServer;
    const auth = authentication(username, password);
    if (auth === undefined) return this.ask("slots", requestBytes(["CLUSTER", "SLOTS"]));
    this.ask("auth", auth);
  }

  private ask(step: Step, request: Uint8Array): void {
    this.step = step;
    this.wire?.write(request);
  }

  data(bytes: Uint8Array): void {
    this.size += bytes.length;
    const end = this.framer.take(bytes, 0);
    const most = this.step === "auth" ? AUTH_MAX : REPLY_MAX;
    if (end < 0 || (end === 0 && this.size > most))
      return this.over({ kind: "failed", reason: "not a key server" });
    this.pieces.push(end > 0 ? bytes.subarray(0, end) : bytes);
    if (end === 0) return;
    const value = replyValue(new Uint8Array(Buffer.concat(this.pieces)));
    this.pieces = [];
    this.size = 0;
    this.answered(value ?? null);
  }

  private answered(value: ReplyValue): void {
    const error = typeof value === "string" && value.startsWith("-") ? value : undefined;
    if (this.step === "auth") {
      if (error !== undefined || value !== "OK")
        return this.over({ kind: "failed", reason: `AUTH: ${error ?? "not a key server"}` });
      return this.ask("slots", requestBytes(["CLUSTER", "SLOTS"]));
    }
    if (this.step === "slots") {
      if (error?.startsWith("-LOADING") === true)
        return this.over({ kind: "failed", reason: error.slice(1) });
      if (!Array.isArray(value))
        return this.over({ kind: "single", certain: error?.startsWith("-NOAUTH") !== true });
      this.slots = value;
      return this.ask("commands", requestBytes(["COMMAND"]));
    }
    this.over({ kind: "cluster", slots: this.slots, commands: value });
  }

  private over(finding: Finding): void {
    if (this.isOver) return;
    this.isOver = true;
    this.server.deadlines.clear(this);
    this.wire?.destroy();
    this.told(finding);
  }

  drain(): void {}
  end(): void {
    this.over({ kind: "failed", reason: "connection closed" });
  }
  close(): void {
    this.over({ kind: "failed", reason: "connection closed" });
  }
  expired(): void {
    const sent = this.wire?.sink === this;
    const { connectTimeoutMs } = this.server.settings.pcp;
    const late = `no answer within ${connectTimeoutMs} ms`;
    this.over({ kind: "failed", reason: sent ? late : "timed out" });
  }
}
