// The memory that one question about series takes, as whoever answers many of them keeps account of it.
// Refuses more than its bound to a question that nobody keeps account of.
import { PcpError, PM_ERR } from "../base/mod.ts";
import { columnBytes } from "./column.ts";
import type { Samples } from "./samples.ts";

/** What evaluation tells of the memory that it takes, and whom it waits for. */
export interface Room {
  /** About so many bytes of values will come. May throw, before any is read. */
  expect(bytes: number): void;
  /**
   * So many bytes more are held, or fewer. A promise: no more is read until it is there. What is thrown, or
   * rejected with, ends the evaluation.
   */
  hold(bytes: number): Promise<void> | undefined;
  /** No more will be gathered: what is held is only given away from here on. */
  settled(): void;
}

/** The refusal of a question that needs more than all the room there is. */
export const tooLarge = (most: number): PcpError =>
  new PcpError(
    PM_ERR.TOOBIG,
    `functions of the query need more than ${most >> 20} MiB of memory for their values`,
  );

/** Most bytes of a question that nobody else keeps account of. */
const OWN_ROOM = 1 << 30;

/** A room for one question alone. */
export function ownRoom(most = OWN_ROOM): Room {
  let held = 0;
  return {
    expect() {},
    hold(bytes) {
      held += bytes;
      if (held > most) throw tooLarge(most);
      return undefined;
    },
    settled() {},
  };
}

/** Bytes of a value with its time and place, about. */
export const VALUE_BYTES = 24;

/** Samples of a series that a question without a count is thought to have. */
const USUAL_SAMPLES = 100;

/** About the bytes of `samples` samples of so many series. */
export const expectedBytes = (series: number, samples: number | undefined): number =>
  VALUE_BYTES * series * (samples === undefined || samples === Infinity ? USUAL_SAMPLES : samples);

/** Bytes that samples take. */
export const samplesBytes = ({ times, ends, places, values, valueTimes }: Samples): number =>
  times.byteLength +
  ends.byteLength +
  places.byteLength +
  columnBytes(values) +
  (valueTimes?.byteLength ?? 0);
