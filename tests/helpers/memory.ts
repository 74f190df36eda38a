// Memory of the test process itself, for tests that hold what a piece of work leaves behind. Asserts nothing.

/**
 * Bytes by which `measure` has grown since it was `before`. What is let go comes back late, so that it is
 * collected and measured again, for some seconds, until there are fewer than `enough`.
 */
export async function memoryGrowth(
  before: number,
  enough: number,
  measure: () => number = process.memoryUsage.rss,
): Promise<number> {
  for (let left = 20; ; left--) {
    Bun.gc(true);
    const grown = measure() - before;
    if (grown < enough || left === 0) return grown;
    await Bun.sleep(100);
  }
}
