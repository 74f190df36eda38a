// Follows the PDU headers that a client sends through the relay, so that a length nobody could mean is
// stopped here instead of at each pmcd: `-L` as pmproxy(1) promises it. Looks at twelve bytes a PDU and
// keeps none of the rest. Refuses nothing once the client has asked pmcd for TLS: what follows is
// ciphertext.

const HEADER = 12;
/** Header and the one word of a CREDS PDU that says whether TLS follows. */
const CREDS_LENGTH = 20;
const CREDS_TYPE = 0x700c;
const FLAG_SECURE = 0x0001;

/** Big-endian, of four bytes that are there; without the DataView that a chunk would need. */
const int32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 24) |
  ((bytes[at + 1] ?? 0) << 16) |
  ((bytes[at + 2] ?? 0) << 8) |
  (bytes[at + 3] ?? 0);

/** Why a PDU is refused; undefined: it is not. */
export type GateVerdict = string | undefined;

export class PduGate {
  /** Bytes of the PDU under way that are still to come. */
  private left = 0;
  private held: Uint8Array | undefined;
  private heldLength = 0;
  private opaque = false;
  private first = true;

  /** `ceiling` in bytes, header included; `credsFirst`: any other first PDU is refused. */
  constructor(
    private readonly ceiling: number,
    private readonly credsFirst: boolean,
  ) {}

  /** Whether the next byte begins a PDU, or nothing is looked at any more. */
  get atBoundary(): boolean {
    return this.opaque || (this.left === 0 && this.heldLength === 0);
  }
  /** What a gate that goes on from here has to look at: the ceiling, 0 when nothing. */
  get remaining(): number {
    return this.opaque ? 0 : this.ceiling;
  }

  /** Looks at the next bytes of the stream, `bytes[0, end)`. */
  pass(bytes: Uint8Array, end = bytes.length): GateVerdict {
    if (this.opaque) return undefined;
    let at = 0;
    while (at < end) {
      if (this.left > 0) {
        const step = Math.min(this.left, end - at);
        this.left -= step;
        at += step;
        continue;
      }
      const have = end - at;
      if (
        this.heldLength === 0 &&
        (have >= CREDS_LENGTH || (have >= HEADER && int32(bytes, at + 4) !== CREDS_TYPE))
      ) {
        const verdict = this.header(bytes, at, have);
        if (verdict !== undefined || this.opaque) return verdict;
        continue;
      }
      // The header lies across two chunks, or at the very end of this one.
      this.held ??= new Uint8Array(CREDS_LENGTH);
      this.held[this.heldLength++] = bytes[at] ?? 0;
      at += 1;
      const verdict = this.heldHeader();
      if (verdict !== undefined || this.opaque) return verdict;
    }
    return undefined;
  }

  /** Judges the held header as soon as enough of it is there. */
  private heldHeader(): GateVerdict {
    const { held, heldLength } = this;
    if (held === undefined || heldLength < HEADER) return undefined;
    const length = int32(held, 0);
    const isCreds = int32(held, 4) === CREDS_TYPE && length >= CREDS_LENGTH;
    if (isCreds && heldLength < CREDS_LENGTH && length <= this.ceiling) return undefined;
    this.heldLength = 0;
    const verdict = this.header(held, 0, heldLength);
    this.left = Math.max(0, this.left - heldLength);
    return verdict;
  }

  /** Judges the header at `at`, of which `have` bytes are there, and sets what is left of its PDU. */
  private header(bytes: Uint8Array, at: number, have: number): GateVerdict {
    const length = int32(bytes, at);
    const type = int32(bytes, at + 4);
    if (length < HEADER) return `PDU length ${length} is below ${HEADER}`;
    if (length > this.ceiling) return `PDU length ${length} is above ${this.ceiling} (-L)`;
    if (type < 0) return `PDU type 0x${(type >>> 0).toString(16)} is negative`;
    if (this.first && this.credsFirst && type !== CREDS_TYPE) {
      return `first PDU has type 0x${type.toString(16)}, not CREDS`;
    }
    this.first = false;
    this.left = length;
    if (type === CREDS_TYPE && length >= CREDS_LENGTH && have >= CREDS_LENGTH) {
      this.opaque = ((bytes[at + 19] ?? 0) & FLAG_SECURE) !== 0;
    }
    return undefined;
  }
}
