// Follows the lengths of the PDUs that a pmcd sends through the relay, so that whoever stops the server knows
// whether a reply is under way although nothing moves just now. Looks at four bytes a PDU and keeps none.
// Refuses nothing: bytes that cannot be PDUs are not followed any further.

const LENGTH_BYTES = 4;
/** Header of a PDU: none is shorter. */
const HEADER = 12;
/** No reply is longer; such a length says that these are no PDUs. */
const LONGEST = 256 << 20;

/**
 * A stopping server looks so often again at a session whose replies have no known ends after bytes of one
 * have come: a reply may pause for as long as a peer's system thinks about a closed window.
 */
export const UNFRAMED_LOOKS = 10;

export class ReplyBounds {
  /** Bytes of the PDU under way that are still to come. */
  private left = 0;
  /** Bytes of a length that have come, and their number. */
  private length = 0;
  private have = 0;
  private lost = false;

  /** Part of a PDU has come, and part of it has not. */
  get within(): boolean {
    return !this.lost && (this.left > 0 || this.have > 0);
  }
  /** Whether these are PDUs, as far as one can see. */
  get isFramed(): boolean {
    return !this.lost;
  }

  /** Looks at the next bytes of the stream, `bytes[0, end)`. */
  pass(bytes: Uint8Array, end = bytes.length): void {
    let at = 0;
    while (!this.lost) {
      if (this.left >= end - at) {
        this.left -= end - at;
        return;
      }
      at += this.left;
      this.left = 0;
      while (this.have < LENGTH_BYTES) {
        if (at === end) return;
        this.length = (this.length << 8) | (bytes[at++] ?? 0);
        this.have += 1;
      }
      const { length } = this;
      this.have = 0;
      this.length = 0;
      if (length < HEADER || length > LONGEST) this.lost = true;
      else this.left = length - LENGTH_BYTES;
    }
  }
}
