// What the two sides of the pump agree on: a ring of commands in shared memory, woken by an eventfd,
// and the reports that come back.

/** Commands that fit in the ring; when it is full a session stays where it is. */
export const SLOTS = 1024;
/** Words of a command: its kind, then its operands. */
export const COMMAND_WORDS = 5;
/** Kinds of commands and their operands. */
export const COMMAND = {
  /** id, client descriptor, server descriptor, PDU ceiling (0: not looked at) */
  take: 1,
  /** id */
  close: 2,
  /** Close pairs as they become quiet. */
  drain: 3,
  stop: 4,
} as const;

/** Words of the ring: where the reader is, where the writer is (counts, modulo 2^32), the slots. */
export const RING_WORDS = 2 + SLOTS * COMMAND_WORDS;

/** What the thread is started with. */
export interface PumpStart {
  readonly ring: Int32Array;
  /** The eventfd that says that commands are there. */
  readonly wakeFd: number;
  /** Bytes to servers, bytes to clients; only the thread writes them. */
  readonly totals: Float64Array;
}

/** What the thread tells: pairs that have ended, and why if it is the client's fault. */
export interface PumpReport {
  readonly closed: readonly { readonly id: number; readonly reason: string | undefined }[];
  /** The last report: the thread has nothing left to do. */
  readonly stopped: boolean;
}
