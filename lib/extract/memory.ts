// Memory that records are read into and made in, and that other threads write from meanwhile: it is used
// again when nobody reads it any more. Refuses nothing.

/** Pieces that are kept for the next user. */
const MOST_SPARE = 12;

/** The pieces of memory of a run. */
export class Memories {
  private readonly spare: Uint8Array[] = [];
  private readonly own = new WeakSet<ArrayBufferLike>();
  /** Pieces that another thread writes from, and of those the ones that their user has left. */
  private readonly lent = new Set<ArrayBufferLike>();
  private readonly left = new Map<ArrayBufferLike, Uint8Array>();

  /** Memory for so many bytes, with anything in it. */
  take(length: number): Uint8Array {
    const found = this.spare.findIndex((each) => each.length >= length);
    const [memory = new Uint8Array(length)] = found < 0 ? [] : this.spare.splice(found, 1);
    this.own.add(memory.buffer);
    return memory;
  }

  /** Takes memory back that its user does not need any more. */
  give(memory: Uint8Array): void {
    if (memory.length === 0) return;
    if (this.lent.has(memory.buffer)) this.left.set(memory.buffer, memory);
    else if (this.spare.length < MOST_SPARE) this.spare.push(memory);
  }

  /** Memory that can be overwritten: this one, or another while a thread writes from it. */
  renew(memory: Uint8Array): Uint8Array {
    if (!this.lent.has(memory.buffer)) return memory;
    this.give(memory);
    return this.take(memory.length);
  }

  /**
   * Lends the memory of these bytes to a thread; gives the call for when that is done, or undefined
   * for memory that is not from here.
   */
  lend({ buffer }: Uint8Array): (() => void) | undefined {
    if (!this.own.has(buffer) || this.lent.has(buffer)) return undefined;
    this.lent.add(buffer);
    return () => {
      this.lent.delete(buffer);
      const memory = this.left.get(buffer);
      this.left.delete(buffer);
      if (memory !== undefined) this.give(memory);
    };
  }
}
