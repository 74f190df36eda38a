// One client's session with a collector (spec pdu.md 8.2, 10): the challenge, CREDS and what its flags
// ask for, then requests, one at a time and in their order. Knows nothing of sockets. Drops clients
// whose first PDU is no CREDS, whose headers are bad, or whose PDU does not become complete in time;
// refuses by access rules in the form in which clients of every release understand it.
import { asPcpError, PcpError, PDU_CEILING, PM_ERR } from "../base/mod.ts";
import {
  createFramer,
  type CredsPdu,
  CREDS_VERSION_WORD,
  decodePdu,
  encodePdu,
  FEATURE,
  FROM_ANON,
  PDU_VERSION,
} from "../pdu/mod.ts";
import type { AgentLabelSet, Awaitable } from "../pmda/mod.ts";
import {
  type AccessControl,
  type Account,
  type Admission,
  type ClientHost,
  OPERATION,
} from "./access.ts";
import { type ClientTable, countPdu } from "./clients.ts";
import { createRequests, errorPdu, type Reply } from "./requests.ts";
import type { Router } from "./types.ts";

/** Milliseconds that a PDU may take from its first byte to its last. */
const PDU_TIME = 5000;
/** Bytes of a client that wait while a request is answered: more is left in the socket. */
const BUFFER_BYTES = 4 * PDU_CEILING;
const EOPNOTSUPP = 95;
const EINVAL = 22;

/** Keys of ATTR (spec pdu.md 3.13). */
const ATTRIBUTE = { USERID: 11, GROUPID: 12, PROCESSID: 14, CONTAINER: 15 } as const;

/** The client's end, as a transport has it. */
export interface SessionPeer {
  readonly host: ClientHost;
  /** Known for clients of the unix socket. */
  readonly account?: (Account & { readonly pid: number }) | undefined;
  /** Takes bytes to be sent; false when they pile up, until `session.drained()`. */
  send(bytes: Uint8Array): boolean;
  /** Stops or goes on reading. */
  hold(held: boolean): void;
  /** Goes on in TLS; `rest` has come already. Absent where there is no certificate. */
  readonly startTls?: ((rest: Uint8Array) => void) | undefined;
  /** Sends what is left and closes. */
  close(): void;
}

/** What all sessions share. */
export interface SessionSetting {
  readonly router: Router;
  readonly clients: ClientTable;
  /** Another one after the table has been read again. */
  readonly access: AccessControl;
  readonly contextLabels: (account: Account | undefined) => AgentLabelSet;
  /** A certificate of the client is wanted: those that are not local must use TLS. */
  readonly needsCertificate?: boolean;
}

/** One client. */
export interface Session {
  /** Bytes from the client. */
  receive(chunk: Uint8Array): void;
  /** The transport has room again. */
  drained(): void;
  /** Access rules have changed: who may not be here any more goes. */
  admitAgain(): void;
  /** The transport is gone. */
  end(): void;
}

type State =
  | "creds"
  /** CREDS came, but no version was agreed: the next PDU is the last. */
  | "unversioned"
  | "container"
  | "securing"
  | "ready"
  | "closed";

const isLocal = (host: ClientHost): boolean =>
  host.kind === "unix" || /^(?:127\.|::1$|::ffff:127\.)/.test(host.address);

const challengePdu = (features: number): Uint8Array =>
  encodePdu({
    kind: "challenge",
    from: FROM_ANON,
    code: 0,
    version: PDU_VERSION,
    licensed: 1,
    features,
  });

/** What a client that is not admitted gets in place of a challenge. */
export const errorChallenge = (code: number): Uint8Array =>
  encodePdu({ kind: "challenge", from: FROM_ANON, code, version: 0, licensed: 0, features: 0 });

/** Begins a session: the challenge, or a refusal, is sent at once. */
export function createSession(peer: SessionPeer, setting: SessionSetting): Session {
  const { router } = setting;
  const framer = createFramer(PDU_CEILING);
  let state: State = "creds";
  let admissions: Admission[] = [];
  let denied = 0;
  let busy = false;
  let full = false;
  let held = false;
  let timer: Timer | undefined;
  let container = false;
  const routed = router.newClient();
  const fact = setting.clients.add(routed.number);
  const requests = createRequests({
    router,
    routed,
    denied: () => denied,
    contextLabels: () => setting.contextLabels(peer.account),
  });

  const finish = (): void => {
    if (state === "closed") return;
    state = "closed";
    clearTimeout(timer);
    for (const admission of admissions) admission.release();
    admissions = [];
    setting.clients.delete(fact);
    routed.close();
  };
  const drop = (): void => {
    finish();
    peer.close();
  };
  const send = (bytes: Uint8Array): void => {
    countPdu(setting.clients.pduOut, bytes);
    if (!peer.send(bytes)) full = true;
  };
  const refuse = (code: number): void => send(errorPdu(code));

  const admitAccount = (): void => {
    if (!setting.access.needsAccount) return;
    if (peer.account === undefined) throw new PcpError(PM_ERR.PERMISSION);
    const admission = setting.access.admitAccount(peer.account);
    admissions.push(admission);
    denied |= admission.denied;
  };

  const tellAttributes = async (): Promise<void> => {
    const { account } = peer;
    if (account === undefined) return;
    await routed.attribute(ATTRIBUTE.USERID, String(account.uid));
    await routed.attribute(ATTRIBUTE.GROUPID, String(account.gids[0] ?? 0));
    await routed.attribute(ATTRIBUTE.PROCESSID, String(account.pid));
  };

  /** After CREDS, TLS and container: whether the account may use anything. */
  const open = (): Awaitable<void> => {
    state = "ready";
    try {
      admitAccount();
    } catch (error) {
      denied = OPERATION.ALL;
      refuse(asPcpError(error).code);
    }
    return peer.account === undefined ? undefined : tellAttributes();
  };

  const takeCreds = ({ credentials }: CredsPdu): Awaitable<void> => {
    const [version] = credentials;
    if (version === undefined || credentials.some(({ type }) => type !== CREDS_VERSION_WORD)) {
      state = "unversioned";
      return undefined;
    }
    const { flags } = version;
    const known = FEATURE.SECURE | FEATURE.SECURE_ACK | FEATURE.CONTAINER | FEATURE.CERT_REQD;
    if ((flags & FEATURE.COMPRESS) !== 0) refuse(-EOPNOTSUPP);
    else if ((flags & FEATURE.AUTH) !== 0) refuse(-EOPNOTSUPP);
    else if ((flags & ~(known | FEATURE.CREDS_REQD)) !== 0) refuse(PM_ERR.IPC);
    else if ((flags & FEATURE.SECURE) !== 0 && peer.startTls === undefined) refuse(PM_ERR.NOTCONN);
    else if (setting.needsCertificate === true && !isLocal(peer.host) && !(flags & FEATURE.SECURE))
      refuse(PM_ERR.NEEDCLIENTCERT);
    else {
      container = (flags & FEATURE.CONTAINER) !== 0;
      if ((flags & FEATURE.SECURE) !== 0 && peer.startTls !== undefined) {
        if ((flags & FEATURE.SECURE_ACK) !== 0) refuse(0);
        state = container ? "container" : "securing";
        peer.startTls(framer.takeRest());
        return state === "securing" ? open() : undefined;
      }
    }
    if (!container) return open();
    state = "container";
    return undefined;
  };

  const takeContainer = (bytes: Uint8Array): Awaitable<void> => {
    const pdu = decodePdu(bytes);
    if (pdu.kind !== "attr" || pdu.attribute !== ATTRIBUTE.CONTAINER) {
      refuse(PM_ERR.IPC);
      return open();
    }
    const name = Buffer.from(pdu.value).toString("utf8").replace(/\0$/, "");
    if (!/^[\w.-]+$/.test(name)) {
      refuse(-EINVAL);
      return open();
    }
    fact.container = name;
    const opened = open();
    const tell = async (): Promise<void> => {
      await opened;
      await routed.attribute(ATTRIBUTE.CONTAINER, name);
    };
    return tell();
  };

  const takeFirst = (bytes: Uint8Array): Awaitable<void> => {
    let pdu;
    try {
      pdu = decodePdu(bytes);
    } catch (error) {
      refuse(asPcpError(error).code);
      state = "unversioned";
      return undefined;
    }
    if (pdu.kind === "creds") return takeCreds(pdu);
    drop();
    return undefined;
  };

  const take = (bytes: Uint8Array): Awaitable<Reply | void> => {
    switch (state) {
      case "creds":
        return takeFirst(bytes);
      case "container":
        return takeContainer(bytes);
      case "ready": {
        if (bytes[6] !== 0x70 || bytes[7] !== 0x0c) return requests(bytes);
        // A second CREDS is taken in silence.
        return undefined;
      }
      default:
        drop();
        return undefined;
    }
  };

  /** The limit on a PDU that is not complete. */
  const watch = (): void => {
    const partial = state !== "closed" && !busy && framer.phase !== "idle";
    if (!partial) {
      clearTimeout(timer);
      timer = undefined;
    } else timer ??= setTimeout(drop, PDU_TIME);
  };

  const read = (): void => {
    const wanted = (busy || full) && framer.buffered > BUFFER_BYTES;
    if (wanted !== held) {
      held = wanted;
      peer.hold(held);
    }
  };

  const fault = (error: unknown): void => {
    if (!(error instanceof PcpError)) throw error;
    drop();
  };

  const pump = (): void => {
    try {
      while (!busy && !full && state !== "closed") {
        const bytes = framer.next();
        if (bytes === undefined) break;
        countPdu(setting.clients.pduIn, bytes);
        const reply = take(bytes);
        if (reply instanceof Promise) {
          busy = true;
          reply.then(
            (later) => {
              busy = false;
              if (later !== undefined && state !== "closed") send(later);
              pump();
            },
            (error: unknown) => {
              busy = false;
              refuse(asPcpError(error).code);
              pump();
            },
          );
        } else if (reply !== undefined) send(reply);
      }
    } catch (error) {
      fault(error);
    }
    if (state === "closed") return;
    read();
    watch();
  };

  const admitHost = (): void => {
    const admission = setting.access.admitHost(peer.host);
    admissions.push(admission);
    denied = admission.denied;
  };

  try {
    admitHost();
    let features = FEATURE.CONTAINER | FEATURE.LABELS | FEATURE.HIGHRES | FEATURE.DESCS;
    if (peer.startTls !== undefined) features |= FEATURE.SECURE | FEATURE.SECURE_ACK;
    if (setting.access.needsAccount) features |= FEATURE.CREDS_REQD;
    if (setting.needsCertificate === true) features |= FEATURE.CERT_REQD;
    send(challengePdu(features));
  } catch (error) {
    send(errorChallenge(asPcpError(error).code));
    drop();
  }

  return {
    receive(chunk) {
      if (state === "closed") return;
      framer.feed(chunk);
      pump();
    },
    drained() {
      full = false;
      pump();
    },
    admitAgain() {
      if (state === "closed") return;
      for (const admission of admissions.splice(0)) admission.release();
      try {
        admitHost();
        if (state === "ready") admitAccount();
      } catch (error) {
        fault(error);
      }
    },
    end: finish,
  };
}
