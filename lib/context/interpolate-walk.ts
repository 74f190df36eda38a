// Walks for interpolation (spec archive.md 10.2): records of a set from a time on, in one direction,
// with times as seconds since the start of the set. From one time to a later one a walk steps over
// the records between by their frames; over a longer way it goes through the index. Refused:
// PM_ERR_LOGREC; where members overlap there is no error.
import { type Archive, type DataRecord, SetCursor } from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import { NANOSECONDS, type ResultView, secondsBetween, type Timestamp } from "../pcp/mod.ts";
import type { SharedArchive } from "./archive-shared.ts";
import type { Pacer } from "./pace.ts";

/** Towards later records (1) or earlier ones (-1). */
export type Way = 1 | -1;

/** Records that a walk steps over before it looks into the index. */
const STEPS = 256;
const BACKWARDS = ["backward", "forward"] as const;

/** A time with 0 ≤ nsec < 1e9. */
export const normalTime = ({ sec, nsec }: Timestamp): Timestamp => {
  const carry = Math.floor(nsec / NANOSECONDS);
  return { sec: sec + carry, nsec: nsec - carry * NANOSECONDS };
};

/**
 * Seconds from `start` to `time`. The C library adds up in long double and rounds once, which a
 * division of whole nanoseconds does, too, as long as they are exact.
 */
export function secondsSince(start: Timestamp, time: Timestamp): number {
  const nanoseconds = (time.sec - start.sec) * NANOSECONDS + (time.nsec - start.nsec);
  if (Number.isSafeInteger(nanoseconds)) return nanoseconds / NANOSECONDS;
  return secondsBetween(time, start);
}

/** A walk in one direction. Distances `u` are times multiplied by the way, so they grow. */
export class Walk {
  /** Distance of the record that the last step came to. */
  u = Number.NaN;
  private readonly cursor: SetCursor;
  private placed = false;
  /** The record that the cursor is at has not been stepped to yet. */
  private pending = false;
  private from = Number.NaN;

  constructor(
    private readonly shared: SharedArchive,
    private readonly way: Way,
    private readonly pacer: Pacer,
  ) {
    this.cursor = new SetCursor(shared.set);
  }

  /** The record that the last step came to. */
  get record(): DataRecord {
    return this.cursor.record;
  }

  /** The archive that the record is in, or that a virtual mark follows. */
  get archive(): Archive {
    return this.cursor.archive;
  }

  close(): void {
    this.cursor.close();
  }

  /** The next place is looked up anew. */
  forget(): void {
    this.placed = false;
    this.pending = false;
  }

  private move(way: Way): boolean {
    for (;;) {
      try {
        if (!(way > 0 ? this.cursor.next() : this.cursor.previous())) return false;
        this.u = this.way * secondsSince(this.shared.start, this.cursor.record);
        return true;
      } catch (error) {
        // Told once for each pair of members; the step after it goes on.
        if (error instanceof PcpError && error.code === PM_ERR.LOGOVERLAP) continue;
        this.forget();
        throw error;
      }
    }
  }

  /** Puts the walk so that the next step comes to the first record at distance `u` or more. */
  moveTo(time: Timestamp, u: number): Promise<void> | undefined {
    if (!this.placed || !this.walkTo(u)) return this.seek(time, u);
    this.from = u;
    return undefined;
  }

  private async seek(time: Timestamp, u: number): Promise<void> {
    const at = normalTime(time);
    const [along, against] = this.way > 0 ? (["forward", "backward"] as const) : BACKWARDS;
    this.cursor.seek(at, along);
    this.pending = false;
    this.placed = true;
    try {
      while (!this.reach(u)) await this.pacer.tick();
    } catch (error) {
      if (!(error instanceof PcpError) || error.code !== PM_ERR.LOGREC) throw error;
      // Damage before the time; the index may lead to a place behind it.
      this.cursor.seek(at, against);
      this.placed = true;
      while (!this.turn(u)) await this.pacer.tick();
      if (this.u < u) throw error;
    }
    this.from = u;
  }

  /** Steps along the way until a record is far enough, or the end; false after many steps. */
  private reach(u: number): boolean {
    for (let steps = 0; steps < STEPS; steps++) {
      if (!this.move(this.way)) return true;
      if (this.u < u) continue;
      this.pending = true;
      return true;
    }
    return false;
  }

  /** Steps back until a record is too near, and turns round; false after many steps. */
  private turn(u: number): boolean {
    for (let steps = 0; steps < STEPS; steps++) {
      let more: boolean;
      let damage: PcpError | undefined;
      try {
        more = this.move(this.way > 0 ? -1 : 1);
      } catch (error) {
        if (!(error instanceof PcpError) || error.code !== PM_ERR.LOGREC) throw error;
        damage = error;
        more = false;
      }
      if (more && this.u >= u) continue;
      // Turning round gives the record again that is too near, when there is one.
      this.pending = (!more || this.move(this.way)) && this.move(this.way);
      this.placed = true;
      // What lies behind the damage is not known, but for a record right at the time.
      if (damage !== undefined && this.u !== u) throw damage;
      return true;
    }
    return false;
  }

  /** The same as moveTo by steps; false when it is too far. */
  private walkTo(u: number): boolean {
    if (this.pending && u >= this.from && u <= this.u) return true;
    this.pending = false;
    return this.u < u ? this.reach(u) : this.turn(u);
  }

  /** Steps to the next record; false at the end. */
  step(): boolean {
    if (this.pending) {
      this.pending = false;
      return true;
    }
    return this.move(this.way);
  }

  /** The values of the record; undefined when its member of a set was damaged and has been left. */
  result(): ResultView | undefined {
    try {
      return this.cursor.record.result();
    } catch (error) {
      if (!this.cursor.leave(error, this.way > 0 ? "forward" : "backward")) throw error;
      return undefined;
    }
  }

  /** Whether the record is a mark that separates values. */
  get atMark(): boolean {
    const { record } = this;
    return record.numpmid === 0 && this.shared.separates({ sec: record.sec, nsec: record.nsec });
  }
}
