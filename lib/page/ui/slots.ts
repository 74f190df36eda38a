// Colours of lines, as numbers from 0: a line keeps its own as long as it is drawn, a new one gets the
// first that is free. Pure.

export interface Slots {
  of(line: string): number;
  /** Frees the colours of all other lines. */
  keep(lines: readonly string[]): void;
}

export function createSlots(): Slots {
  const slots = new Map<string, number>();
  return {
    of(line) {
      const known = slots.get(line);
      if (known !== undefined) return known;
      const taken = new Set(slots.values());
      let free = 0;
      while (taken.has(free)) free++;
      slots.set(line, free);
      return free;
    },
    keep(lines) {
      for (const line of slots.keys()) if (!lines.includes(line)) slots.delete(line);
    },
  };
}
