// What a promise is rejected with. Bun's `expect(...).rejects` waits in an event loop of its own, in which
// setImmediate can stand still until some timer comes: work that gives way to others hangs there for
// minutes. A promise that is not rejected fails the test.

/** The error. */
export async function rejected(
  work: Promise<unknown> | (() => Promise<unknown>),
): Promise<unknown> {
  let value: unknown;
  try {
    value = await (typeof work === "function" ? work() : work);
  } catch (error) {
    return error;
  }
  throw new Error(`not rejected, but ${Bun.inspect(value)}`);
}

/** The error as something for `toThrow`. */
export async function thrown(
  work: Promise<unknown> | (() => Promise<unknown>),
): Promise<() => never> {
  const error = await rejected(work);
  return () => {
    throw error;
  };
}
