// Instance domains that keep their numbers over restarts (pmdaCache, spec pmda.md 14): in memory
// here, cache-file.ts reads and writes the file. Refused: empty names, names that fight for the same
// first word, keys that fight for the same instance, and more instances than the largest number
// allows; each with the code that pmdaCacheStore has.
import { PcpError, PM_ERR, utf8 } from "../base/mod.ts";
import { asInstance, type InstanceId } from "../pcp/mod.ts";

/** State of an entry that can be seen. */
export const CACHE_STATE = { ACTIVE: 8, INACTIVE: 9 } as const;

/** State of an entry that cannot be seen, but still holds its number. */
const CULLED = 10;

/** What is known of one instance. */
export interface CacheEntry<T = unknown> {
  readonly id: InstanceId;
  readonly name: string;
  /** CACHE_STATE. */
  readonly state: number;
  /** What the agent keeps with it. */
  readonly value: T | undefined;
}

/** One instance as the file has it. */
export interface CacheRecord {
  readonly id: number;
  /** Seconds since 1970 of the first save after it was last added. */
  readonly stamp: number;
  readonly key: Uint8Array | undefined;
  readonly name: string;
}

/** A whole file as data. */
export interface CacheContents {
  /** 0: numbers go up; 1: the smallest free one is taken. */
  readonly mode: 0 | 1;
  /** The largest number that may be given. */
  readonly max: number;
  /** Ascending by number when written. */
  readonly records: readonly CacheRecord[];
}

/** What has changed since the last save: `stamps` alone are worth a file only to PMDA_CACHE_SYNC. */
export type CacheChange = "nothing" | "stamps" | "entries";

/** One instance domain. Codes thrown are those of spec pmda.md 14. */
export interface InstanceCache<T = unknown> {
  /** Tells caches from tables. */
  readonly kind: "cache";
  /** PMDA_CACHE_ADD: active from now on; its number. A value left out leaves the one there is. */
  add(name: string, value?: T): InstanceId;
  /** The same with a key from which the number is made; the name's bytes when left out or empty. */
  addKeyed(name: string, key: Uint8Array | undefined, value?: T): InstanceId;
  /** PMDA_CACHE_HIDE. PM_ERR_INST for unknown names. */
  hide(name: string): InstanceId;
  /** PMDA_CACHE_CULL. PM_ERR_INST for unknown names. */
  cull(name: string): InstanceId;
  /** PMDA_CACHE_INACTIVE and PMDA_CACHE_ACTIVE of all: how many changed. */
  hideAll(): number;
  activateAll(): number;
  cullAll(): number;
  byId(id: InstanceId): CacheEntry<T> | undefined;
  byName(name: string): CacheEntry<T> | undefined;
  /** By the key alone: the name's bytes when it is left out or empty. */
  byKey(name: string, key: Uint8Array | undefined): CacheEntry<T> | undefined;
  /** Active entries, ascending by number. */
  active(): readonly CacheEntry<T>[];
  /** PMDA_CACHE_SIZE, SIZE_ACTIVE and SIZE_INACTIVE; `all` counts culled entries too. */
  readonly sizes: { readonly all: number; readonly active: number; readonly inactive: number };
  /** Whether it was ever loaded or stored into: an agent's table answers for an unused one. */
  readonly used: boolean;
  /** Culls what was last added more than `seconds` before `now` (since 1970); how many. */
  purge(seconds: number, now?: number): number;
  /** Sets the largest number. PM_ERR_TOOBIG when a larger one is in use. */
  resize(max: number): void;
  /** PMDA_CACHE_REUSE: numbers of culled and reorganized entries are given again. */
  reuse(): void;
  /** PMDA_CACHE_STRINGS: blanks in names mean nothing. E2BIG unless empty. */
  strings(): void;
  /** PMDA_CACHE_REORG: forgets culled entries. */
  reorganize(): void;
  /** PMDA_CACHE_EMPTY. */
  clear(): void;
  /** What a save would find to do. */
  readonly changed: CacheChange;
  /** Takes in a file's contents, inactive. `ignored` hears of records whose instance there is. */
  load(contents: CacheContents, ignored?: (record: CacheRecord, by: CacheEntry<T>) => void): void;
  /** What is to be written, with `now` as the stamp of what has none; nothing is changed after. */
  save(now: number): CacheContents;
}

/** How a cache is made. */
export interface CacheOptions {
  /** What messages call the domain: `99.3`. */
  readonly label?: string;
  /** 6 for numbers of keyed instances as 6.0.3 makes them, which differ when `max` was set. */
  readonly release?: 6 | 7;
}

const MAX_INSTANCE = 0x7fffffff;
const EINVAL = -22;
const E2BIG = -7;
/** How often a keyed instance looks for another number. */
const KEY_ATTEMPTS = 10;
const GOLDEN = 0x9e3779b9;

/** Three words stirred, as lookup2 does (Bob Jenkins, 1996, in the public domain). */
function stir(words: Int32Array): void {
  let [a = 0, b = 0, c = 0] = words;
  const round = (right: number, left: number, last: number): void => {
    a = (a - b - c) ^ (c >>> right);
    b = (b - c - a) ^ (a << left);
    c = (c - a - b) ^ (b >>> last);
  };
  round(13, 8, 13);
  round(12, 16, 5);
  round(3, 10, 15);
  words[0] = a;
  words[1] = b;
  words[2] = c;
}

/** The hash of spec pmda.md 14: lookup2 over bytes taken as signed. Unsigned 32 bits. */
export function cacheHash(key: Uint8Array, initial = 0): number {
  const words = Int32Array.of(GOLDEN | 0, GOLDEN | 0, initial | 0);
  const put = (word: number, at: number, shift: number): void => {
    const byte = ((key[at] ?? 0) << 24) >> 24;
    words[word] = ((words[word] ?? 0) + (byte << shift)) | 0;
  };
  let at = 0;
  for (; key.length - at >= 12; at += 12) {
    for (let i = 0; i < 12; i++) put(i >> 2, at + i, (i & 3) * 8);
    stir(words);
  }
  words[2] = ((words[2] ?? 0) + key.length) | 0;
  // The low byte of the last word is the length's.
  for (let i = 0; at + i < key.length; i++) put(i >> 2, at + i, ((i & 3) + (i >= 8 ? 1 : 0)) * 8);
  stir(words);
  return (words[2] ?? 0) >>> 0;
}

interface Entry<T> extends CacheEntry<T> {
  state: number;
  value: T | undefined;
  key: Uint8Array | undefined;
  /** 0 until the next save. */
  stamp: number;
}

const sameKey = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

const keyBytes = (name: string, key: Uint8Array | undefined): Uint8Array =>
  key === undefined || key.length === 0 ? utf8(name) : key;

class Cache<T> implements InstanceCache<T> {
  readonly kind = "cache";
  private readonly entries = new Map<number, Entry<T>>();
  /** What can be seen, by the part of the name that has to differ. */
  private readonly visible = new Map<string, Entry<T>>();
  private exact = false;
  private mode: 0 | 1 = 0;
  private max = MAX_INSTANCE;
  private largest = -1;
  /** No smaller number is free. */
  private lowestFree = 0;
  private activeList: readonly Entry<T>[] | undefined;
  private change: CacheChange = "nothing";
  used = false;

  constructor(private readonly options: CacheOptions) {}

  private part(name: string): string {
    const blank = this.exact ? -1 : name.indexOf(" ");
    return blank < 0 ? name : name.slice(0, blank);
  }

  /** The entry that is stored into for a name; `code` where only the first parts are equal. */
  private storedAs(name: string, code: number = EINVAL): Entry<T> | undefined {
    const known = this.visible.get(this.part(name));
    if (known !== undefined && known.name !== name && name !== this.part(name))
      throw new PcpError(code, `instance "${name}" has the first word of "${known.name}"`);
    return known;
  }

  private note(change: CacheChange): void {
    if (this.change !== "entries" && change !== "nothing") this.change = change;
  }

  private setState(entry: Entry<T>, state: number): void {
    if (entry.state === state) return;
    entry.state = state;
    this.activeList = undefined;
    if (state === CULLED) this.visible.delete(this.part(entry.name));
  }

  private insert(id: number, name: string, state: number): Entry<T> {
    const entry: Entry<T> = {
      id: asInstance(id),
      name,
      state,
      value: undefined,
      key: undefined,
      stamp: 0,
    };
    this.entries.set(id, entry);
    this.visible.set(this.part(name), entry);
    this.largest = Math.max(this.largest, id);
    this.activeList = undefined;
    return entry;
  }

  private nextNumber(): number {
    if (this.mode === 0) {
      if (this.largest < this.max) return this.largest + 1;
      this.mode = 1;
    }
    while (this.entries.has(this.lowestFree)) this.lowestFree += 1;
    if (this.lowestFree > this.max) throw this.broken("too many instances");
    return this.lowestFree;
  }

  private broken(reason: string): PcpError {
    const of = this.options.label === undefined ? "" : ` indom ${this.options.label}:`;
    return new PcpError(PM_ERR.GENERIC, `insert_cache:${of} ${reason}`);
  }

  private refresh(entry: Entry<T>, value: T | undefined): InstanceId {
    this.setState(entry, CACHE_STATE.ACTIVE);
    if (entry.stamp !== 0) this.note("stamps");
    entry.stamp = 0;
    if (value !== undefined) entry.value = value;
    return entry.id;
  }

  private checkName(name: string): void {
    if (name === "" && !this.exact) throw this.broken("zero length instance name for inst -1");
  }

  add(name: string, value?: T): InstanceId {
    this.used = true;
    const known = this.storedAs(name);
    if (known !== undefined) {
      known.key = undefined;
      return this.refresh(known, value);
    }
    this.checkName(name);
    const entry = this.insert(this.nextNumber(), name, CACHE_STATE.ACTIVE);
    entry.value = value;
    this.note("entries");
    return entry.id;
  }

  addKeyed(name: string, givenKey: Uint8Array | undefined, value?: T): InstanceId {
    this.used = true;
    const key = keyBytes(name, givenKey);
    const known = this.storedAs(name, PM_ERR.INST);
    if (known !== undefined) {
      if (!sameKey(known.key, key))
        throw new PcpError(PM_ERR.INST, `instance "${known.name}" has another key`);
      return this.refresh(known, value);
    }
    this.checkName(name);
    this.mode = 1;
    const id = this.keyedNumber(name, key);
    const entry = this.insert(id, name, CACHE_STATE.ACTIVE);
    entry.key = key.slice();
    entry.value = value;
    this.note("entries");
    return entry.id;
  }

  private keyedNumber(name: string, key: Uint8Array): number {
    let hash = 0;
    for (let attempt = 0; attempt < KEY_ATTEMPTS; attempt++) {
      hash = cacheHash(key, hash);
      const id = this.options.release === 6 ? hash & MAX_INSTANCE : hash % (this.max + 1);
      const holder = this.entries.get(id);
      if (holder === undefined || holder.state === CULLED) return id;
      if (sameKey(holder.key, key))
        throw new PcpError(PM_ERR.INST, `instance "${holder.name}" has the key of "${name}"`);
    }
    throw this.broken(`no number for the key of "${name}" after ${KEY_ATTEMPTS} attempts`);
  }

  private put(name: string, state: number): InstanceId {
    const known = this.storedAs(name);
    if (known === undefined) throw new PcpError(PM_ERR.INST, `unknown instance "${name}"`);
    this.setState(known, state);
    return known.id;
  }

  hide(name: string): InstanceId {
    return this.put(name, CACHE_STATE.INACTIVE);
  }

  cull(name: string): InstanceId {
    const id = this.put(name, CULLED);
    this.note("entries");
    return id;
  }

  private changeAll(from: (entry: Entry<T>) => boolean, to: number): number {
    let changed = 0;
    for (const entry of this.visible.values()) {
      if (!from(entry)) continue;
      this.setState(entry, to);
      changed += 1;
    }
    return changed;
  }

  hideAll(): number {
    return this.changeAll(({ state }) => state === CACHE_STATE.ACTIVE, CACHE_STATE.INACTIVE);
  }

  activateAll(): number {
    return this.changeAll(({ state }) => state === CACHE_STATE.INACTIVE, CACHE_STATE.ACTIVE);
  }

  cullAll(): number {
    return this.changeAll(() => true, CULLED);
  }

  byId(id: InstanceId): CacheEntry<T> | undefined {
    const entry = this.entries.get(id);
    return entry?.state === CULLED ? undefined : entry;
  }

  byName(name: string): CacheEntry<T> | undefined {
    return this.visible.get(this.part(name));
  }

  byKey(name: string, givenKey: Uint8Array | undefined): CacheEntry<T> | undefined {
    const key = keyBytes(name, givenKey);
    for (const entry of this.visible.values()) if (sameKey(entry.key, key)) return entry;
    return undefined;
  }

  private sorted(wanted: (entry: Entry<T>) => boolean): Entry<T>[] {
    return [...this.entries.values()].filter(wanted).sort((a, b) => a.id - b.id);
  }

  active(): readonly CacheEntry<T>[] {
    this.activeList ??= this.sorted(({ state }) => state === CACHE_STATE.ACTIVE);
    return this.activeList;
  }

  get sizes(): { all: number; active: number; inactive: number } {
    const active = this.active().length;
    return { all: this.entries.size, active, inactive: this.visible.size - active };
  }

  purge(seconds: number, now = Math.floor(Date.now() / 1000)): number {
    const culled = this.changeAll(({ stamp }) => stamp !== 0 && stamp < now - seconds, CULLED);
    if (culled > 0) this.note("entries");
    return culled;
  }

  resize(max: number): void {
    if (!Number.isInteger(max) || max < 0 || max > MAX_INSTANCE)
      throw new PcpError(EINVAL, `${max} cannot be the largest instance`);
    let largest = -1;
    for (const id of this.entries.keys()) largest = Math.max(largest, id);
    if (largest > max) throw new PcpError(PM_ERR.TOOBIG, `instance ${largest} is above ${max}`);
    this.max = max;
    this.note("stamps");
  }

  reuse(): void {
    this.mode = 1;
  }

  strings(): void {
    if (this.entries.size > 0)
      throw new PcpError(E2BIG, "names cannot be compared otherwise once there are instances");
    this.exact = true;
  }

  reorganize(): void {
    for (const [id, { state }] of this.entries) if (state === CULLED) this.entries.delete(id);
    // Numbers that go up go on from the largest there was.
    this.lowestFree = 0;
  }

  clear(): void {
    this.entries.clear();
    this.visible.clear();
    this.activeList = undefined;
    this.largest = -1;
    this.lowestFree = 0;
  }

  get changed(): CacheChange {
    return this.change;
  }

  load(
    { mode, max, records }: CacheContents,
    ignored: (record: CacheRecord, by: CacheEntry<T>) => void = () => undefined,
  ): void {
    this.used = true;
    this.mode = mode;
    this.max = max;
    for (const record of records) {
      const known = this.entries.get(record.id) ?? this.visible.get(this.part(record.name));
      if (known !== undefined) {
        ignored(record, known);
        continue;
      }
      const entry = this.insert(record.id, record.name, CACHE_STATE.INACTIVE);
      entry.key = record.key;
      entry.stamp = record.stamp;
    }
  }

  save(now: number): CacheContents {
    const kept = this.sorted(({ state }) => state !== CULLED);
    for (const entry of kept) if (entry.stamp === 0) entry.stamp = now;
    this.change = "nothing";
    return { mode: this.mode, max: this.max, records: kept };
  }
}

/** An empty cache. */
export const createCache = <T = unknown>(options: CacheOptions = {}): InstanceCache<T> =>
  new Cache<T>(options);
