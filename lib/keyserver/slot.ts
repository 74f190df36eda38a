// Which slot of a cluster of key servers a key belongs to: CRC-16 of XMODEM of the part in its first braces,
// of all of it without such. Nothing is refused.

/** Slots of a cluster. */
export const SLOTS = 16_384;

/** A byte at a time. */
const CRC = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

const OPEN = 0x7b;
const CLOSE = 0x7d;

/** The slot of a key in a cluster: by the part in braces where there is one. */
export function slotOf(key: string | Buffer): number {
  if (typeof key !== "string") return slotOfBytes(key);
  let crc = 0;
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at);
    // Keys of series are ASCII without braces, and many.
    if (code === OPEN || code >= 0x80) return slotOfBytes(Buffer.from(key));
    crc = ((crc << 8) ^ (CRC[(crc >> 8) ^ code] ?? 0)) & 0xffff;
  }
  return crc % SLOTS;
}

function slotOfBytes(key: Buffer): number {
  const slot = new KeySlot();
  slot.add(key);
  return slot.slot;
}

/** The slot of a key that comes in pieces: of what is within its first braces, if there is anything. */
export class KeySlot {
  private whole = 0;
  private tag = 0;
  private tagLength = -1;
  private closed = false;

  add(bytes: Uint8Array): void {
    for (const byte of bytes) {
      this.whole = ((this.whole << 8) & 0xffff) ^ (CRC[((this.whole >> 8) ^ byte) & 0xff] ?? 0);
      if (this.closed) continue;
      if (this.tagLength < 0) {
        if (byte === OPEN) this.tagLength = 0;
      } else if (byte === CLOSE) {
        this.closed = true;
      } else {
        this.tag = ((this.tag << 8) & 0xffff) ^ (CRC[((this.tag >> 8) ^ byte) & 0xff] ?? 0);
        this.tagLength += 1;
      }
    }
  }

  get slot(): number {
    const tagged = this.closed && this.tagLength > 0;
    return (tagged ? this.tag : this.whole) % SLOTS;
  }
}
