// What fuzzers share: a seeded source of numbers, mutations of byte strings that are biased towards
// the mistakes of length-prefixed formats, and the one form of a finding.

/** Runs `iterations` inputs made from `seed`; throws FuzzFinding at the first one that breaks. */
export type Fuzzer = (seed: number, iterations: number) => void | Promise<void>;

/** An input that broke a promise; `reproducer` is the input as hexadecimal text. */
export class FuzzFinding extends Error {
  constructor(
    readonly fuzzer: string,
    readonly seed: number,
    readonly iteration: number,
    readonly reproducer: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`${fuzzer}, seed ${seed}, iteration ${iteration}: ${reason}\n${reproducer}`, options);
    this.name = "FuzzFinding";
  }
}

/** Seeded numbers: the same seed gives the same sequence on every machine. */
export interface Random {
  /** Unsigned 32 bits. */
  word(): number;
  /** 0 to `limit` - 1. */
  below(limit: number): number;
  /** One of `list`, which must not be empty. */
  pick<T>(list: readonly T[]): T;
}

/** A small generator of the xorshift family with a Weyl sequence; quality enough for fuzzing. */
export function seeded(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  let weyl = 0;
  const word = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    weyl = (weyl + 362437) | 0;
    return (state + weyl) >>> 0;
  };
  const below = (limit: number): number => word() % limit;
  return {
    word,
    below,
    pick: (list) => list[below(list.length)] as (typeof list)[number],
  };
}

/** Words that length, count and offset fields are likeliest to be wrong with. */
const NASTY_WORDS = [
  0, 1, 2, 3, 4, 7, 8, 0x7f, 0xff, 0x100, 0xffff, 0x10000, 0xffffff, 0x1000000, 0x20000000,
  0x3fffffff, 0x40000000, 0x7ffffffc, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
] as const;

/** A changed copy of `bytes`, up to 4 steps away from it; never longer than twice plus 64 bytes. */
export function mutate(
  bytes: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
): Uint8Array {
  let data: Uint8Array = bytes.slice();
  for (let step = random.below(4); step >= 0; step--) data = mutateOnce(data, random, others);
  return data;
}

function mutateOnce(data: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  if (data.length === 0) return Uint8Array.of(random.below(256));
  const at = random.below(data.length);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const wordAt = Math.min(at & ~3, data.length - 4);
  switch (random.below(9)) {
    case 0:
      data[at] = random.below(256);
      return data;
    case 1:
      data[at] = (data[at] ?? 0) ^ (1 << random.below(8));
      return data;
    case 2:
      if (wordAt >= 0) view.setUint32(wordAt, random.pick(NASTY_WORDS));
      return data;
    case 3:
      if (wordAt >= 0) view.setInt32(wordAt, view.getInt32(wordAt) + random.below(9) - 4);
      return data;
    case 4:
      if (wordAt >= 0) view.setInt32(wordAt, data.length - random.below(64));
      return data;
    case 5:
      return data.slice(0, at);
    case 6: {
      const longer = new Uint8Array(data.length + 1 + random.below(16));
      longer.set(data);
      for (let i = data.length; i < longer.length; i++) longer[i] = random.below(256);
      return longer;
    }
    case 7: {
      const other = random.pick(others);
      const from = random.below(other.length);
      data.set(other.subarray(from, from + data.length - at).slice(0, data.length - at), at);
      return data;
    }
    default: {
      // A piece again at another place, as duplicated records have it.
      const size = Math.min(random.below(32) + 1, data.length - at);
      const piece = data.slice(at, at + size);
      const to = random.below(data.length);
      const longer = new Uint8Array(data.length + size);
      longer.set(data.subarray(0, to));
      longer.set(piece, to);
      longer.set(data.subarray(to), to + size);
      return longer;
    }
  }
}

/** Random bytes, in words that are often small so that counts look plausible. */
export function randomBytes(size: number, random: Random): Uint8Array {
  const data = new Uint8Array(size);
  const view = new DataView(data.buffer);
  for (let at = 0; at + 4 <= size; at += 4)
    view.setUint32(at, random.below(3) === 0 ? random.word() : random.below(16));
  return data;
}
