// One connection between an agent and pmcd, from the agent's side (spec pmda.md 3, 6, 7.2): CREDS
// first, then one PDU after the other, each answered before the next one is looked at. What comes
// while an answer is still being made waits. Refuses a first PDU other than CREDS, and headers that
// make no sense: both end the session with a line in the log.
import { asPcpError, PcpError, PM_ERR, viewOf } from "../base/mod.ts";
import {
  createFramer,
  CREDS_VERSION_WORD,
  decodePdu,
  encodePdu,
  FROM_ANON,
  PDU_TYPE,
  PDU_VERSION,
  pduTypeName,
} from "../pdu/mod.ts";
import { canBeUnready } from "./agent.ts";
import type { AgentSetting } from "./define.ts";
import { createDispatcher } from "./dispatch.ts";
import type { Agent } from "./types.ts";

/** How a session is held. */
export interface SessionOptions {
  readonly log?: AgentSetting["log"];
  /** pmcd.conf says `notready`: pmcd waits to be told that the agent is ready. */
  readonly notready?: boolean;
  /** Sends bytes to pmcd. */
  readonly send: (bytes: Uint8Array) => void;
  /** The session is over, for the reason given or because pmcd has closed it. */
  readonly end: (reason?: PcpError) => void;
}

/** What the transport gives to a session. */
export interface Session {
  /** Bytes from pmcd, which nobody else writes to from now on. */
  receive(chunk: Uint8Array): void;
  /** pmcd has closed, or the transport has failed. */
  closed(reason?: PcpError): void;
}

const errorCode = (pdu: Uint8Array): number | undefined => {
  const view = viewOf(pdu);
  return pdu.length === 16 && view.getInt32(4) === PDU_TYPE.ERROR ? view.getInt32(12) : undefined;
};

/** Begins a session: CREDS are sent at once. */
export function createSession(agent: Agent, options: SessionOptions): Session {
  const { log = () => undefined, send, notready = false } = options;
  const program = `pmda${agent.name}`;
  const framer = createFramer();
  const dispatcher = createDispatcher(agent, { log });
  let phase: "handshake" | "idle" | "answering" | "over" = "handshake";
  /** pmcd believes that the agent is not ready, and sends nothing until it hears otherwise. */
  let waitedFor = notready;
  let stopListening = (): void => undefined;

  const finish = (reason?: PcpError): void => {
    if (phase === "over") return;
    phase = "over";
    stopListening();
    options.end(reason);
  };

  const tellReady = (): void => {
    if (!waitedFor || phase === "over" || phase === "handshake") return;
    waitedFor = false;
    send(encodePdu({ kind: "error", from: FROM_ANON, code: PM_ERR.PMDAREADY }));
  };
  const isReady = (): boolean => !canBeUnready(agent) || agent.ready;
  if (canBeUnready(agent))
    stopListening = agent.onReady((ready) => {
      if (ready) tellReady();
    });

  const reply = (answer: Uint8Array | undefined): void => {
    if (answer === undefined) return;
    send(answer);
    if (errorCode(answer) !== PM_ERR.PMDANOTREADY) return;
    waitedFor = true;
    // It may have become ready since the answer was made.
    if (isReady()) tellReady();
  };

  const greet = (pdu: Uint8Array): void => {
    const type = viewOf(pdu).getInt32(4);
    if (type === PDU_TYPE.CREDS && decodePdu(pdu).kind === "creds") {
      phase = "idle";
      if (isReady()) tellReady();
      return;
    }
    throw new PcpError(
      PM_ERR.IPC,
      `__pmdaSetupPDU: PMDA ${program}: version exchange failure, got PDU type ${pduTypeName(type)} expecting PDU_CREDS)`,
    );
  };

  /** Answers what is there, until an answer takes its time. */
  const work = (): void => {
    while (phase === "idle" || phase === "handshake") {
      const pdu = framer.next();
      if (pdu === undefined) return;
      if (phase === "handshake") {
        greet(pdu);
        continue;
      }
      const answer = dispatcher.answer(pdu);
      if (!(answer instanceof Promise)) {
        reply(answer);
        continue;
      }
      phase = "answering";
      void answer.then((found) => {
        if (phase === "over") return;
        phase = "idle";
        reply(found);
        run();
      });
    }
  };

  const run = (): void => {
    try {
      work();
    } catch (cause) {
      const error = asPcpError(cause);
      const greeting = phase === "handshake";
      log(
        greeting ? "Critical" : "Error",
        greeting ? error.message : `IPC Error: ${error.message}`,
      );
      finish(error);
    }
  };

  send(
    encodePdu({
      kind: "creds",
      from: process.pid,
      credentials: [{ type: CREDS_VERSION_WORD, version: PDU_VERSION, flags: agent.features }],
    }),
  );
  return {
    receive(chunk) {
      if (phase === "over") return;
      framer.feed(chunk);
      run();
    },
    closed(reason) {
      if (phase === "handshake") {
        const text = `__pmdaSetupPDU: PMDA ${program}: version exchange failure, got PDU type TYPE-0? expecting PDU_CREDS)`;
        log("Critical", text);
        finish(reason ?? new PcpError(PM_ERR.IPC, text));
        return;
      }
      if (reason !== undefined) log("Error", `IPC Error: ${reason.message}`);
      finish(reason);
    },
  };
}
