// What the two sides of the pump agree on: a ring of sessions to take over in shared memory, woken by
// an eventfd, and the reports that come back.

/** Sessions that fit in the ring; when it is full the next one stays where it is. */
export const SLOTS = 1024;
/**
 * Words of a session: id, client descriptor, server descriptor, PDU ceiling (0: not looked at), 1 where replies
 * are PDUs and the next byte begins one.
 */
export const SLOT_WORDS = 5;

/** Control words before the slots. Reader and writer count modulo 2^32. */
export const READER = 0;
export const WRITER = 1;
export const MODE = 2;
export const FIRST_SLOT = 3;
export const RING_WORDS = FIRST_SLOT + SLOTS * SLOT_WORDS;

/** What the thread does: everything; close sessions as they become quiet; close all and end. */
export const MODES = { run: 0, drain: 1, stop: 2 } as const;

/** What the thread is started with. */
export interface PumpStart {
  readonly ring: Int32Array;
  /** The eventfd that says that the ring has changed. */
  readonly wakeFd: number;
  /** Bytes to servers, bytes to clients; only the thread writes them. */
  readonly totals: Float64Array;
  /** Bytes moved at once; also the most that is kept for a peer that takes less. */
  readonly bufferBytes: number;
}

/** A session that has ended; `reason`: the client's fault. */
export interface PumpEnd {
  readonly id: number;
  readonly reason: string | undefined;
}

/** What the thread tells. `stopped` is its last word. */
export interface PumpReport {
  readonly kind: "ready" | "ended" | "stopped";
  readonly ended: readonly PumpEnd[];
}
