// What a store told of single series, told again as long as it still holds: descriptors, names, instances,
// labels, expressions, also that there are none. A stamp says whether anything has changed since; then all
// is forgotten. Bounded by about the bytes of each kind. Refused: to keep what was asked for before a
// change and came behind it, and anything while there is no stamp.
import type { SeriesId } from "./ids.ts";
import type { SeriesDescriptor, SeriesStore } from "./store.ts";

/** The same number as long as nothing has changed; higher later. Undefined: nobody knows. */
export type Stamp = () => number | undefined;

/** About the bytes that are kept of each kind. */
const KEPT_BYTES = 16 * 1024 * 1024;
/** About the bytes of one thing that is too large to be kept. */
const LARGE_BYTES = KEPT_BYTES / 64;
/** About the bytes of an object, and of a text beside its characters. */
const OBJECT_BYTES = 64;

/** Something that is kept, which may be that there is nothing. */
interface Kept<T> {
  readonly value: T;
}

type Ask<T> = (ids: readonly string[]) => Promise<readonly T[]>;

/** About the bytes of what a store tells. */
function bytesOf(value: unknown): number {
  if (typeof value === "string") return OBJECT_BYTES + value.length;
  if (typeof value !== "object" || value === null) return 0;
  let bytes = OBJECT_BYTES;
  for (const part of Object.values(value)) bytes += bytesOf(part);
  return bytes;
}

const isSame = (a: SeriesDescriptor, b: SeriesDescriptor): boolean =>
  a.indom === b.indom &&
  a.pmid === b.pmid &&
  a.semantics === b.semantics &&
  a.source === b.source &&
  a.type === b.type &&
  a.units === b.units;

/** A question about series with the answers that it had before. */
function memory<T>(stamp: Stamp, ask: Ask<T>): Ask<T> {
  let seen: number | undefined;
  // What is asked for moves to the young ones; when these are many, the old ones go.
  let young = new Map<string, Kept<T>>();
  let old = young;
  let size = 0;

  const forget = (): void => {
    young = new Map();
    old = young;
    size = 0;
  };
  const keep = (id: string, one: Kept<T>, bytes: number): void => {
    young.set(id, one);
    size += bytes;
    if (size <= KEPT_BYTES / 2) return;
    old = young;
    young = new Map();
    size = 0;
  };
  const find = (id: string): Kept<T> | undefined => {
    const one = young.get(id);
    if (one !== undefined || old === young) return one;
    const before = old.get(id);
    if (before !== undefined) keep(id, before, bytesOf(id) + bytesOf(before));
    return before;
  };

  const fill = async (
    ids: readonly string[],
    answers: T[],
    missing: readonly number[],
    now: number,
  ): Promise<readonly T[]> => {
    const isAll = missing.length === ids.length;
    const told = await ask(isAll ? ids : missing.map((at) => ids[at] ?? ""));
    // What came behind a change may be from before it.
    const holds = stamp() === now && seen === now;
    missing.forEach((at, index) => {
      const value = told[index] as T;
      answers[at] = value;
      const id = ids[at] ?? "";
      const one = { value };
      const bytes = bytesOf(id) + bytesOf(one);
      if (holds && bytes <= LARGE_BYTES) keep(id, one, bytes);
    });
    return answers;
  };

  return (ids) => {
    const now = stamp();
    if (now !== seen) forget();
    seen = now;
    if (now === undefined) return ask(ids);
    const answers: T[] = [];
    const missing: number[] = [];
    for (let at = 0; at < ids.length; at++) {
      const one = find(ids[at] ?? "");
      if (one === undefined) missing.push(at);
      else answers[at] = one.value;
    }
    return missing.length === 0 ? Promise.resolve(answers) : fill(ids, answers, missing, now);
  };
}

/** A store that tells again what it has told, as long as `stamp` stays what it is. */
export function remembered(store: SeriesStore, stamp: Stamp): SeriesStore {
  /** Series that were fabricated here: seen at once, whatever the stamp takes to change. */
  let own = 0;
  const both: Stamp = () => {
    const other = stamp();
    // Neither goes down, so that the sum is the same only when both are.
    return other === undefined ? undefined : other + own;
  };
  const descriptors = memory(both, store.descriptors);
  const expressions = memory(both, store.expressions);
  /** Whether a series is known just like that: the same query again need not write it again. */
  const isKept = async (
    series: SeriesId,
    expression: string,
    descriptor: SeriesDescriptor,
  ): Promise<boolean> => {
    if (both() === undefined) return false;
    const [[text], [known]] = await Promise.all([expressions([series]), descriptors([series])]);
    return text === expression && known !== undefined && isSame(known, descriptor);
  };
  return {
    ...store,
    descriptors,
    expressions,
    metricNames: memory(both, store.metricNames),
    instances: memory(both, store.instances),
    labels: memory(both, store.labels),
    fabricate: async (series, expression, descriptor) => {
      if (await isKept(series, expression, descriptor)) return;
      own++;
      try {
        await store.fabricate(series, expression, descriptor);
      } finally {
        own++;
      }
    },
  };
}
