// Handles of contexts and a current one, for whoever needs them as the C library has them (spec
// archive.md 12.2, 12.5): numbers go up with every attempt, also one that fails, and none is used
// twice. Other than there, a type that there is not leaves the current context alone. Refuses more
// contexts than a bounded number.
import { PcpError, PM_ERR } from "../base/mod.ts";
import { globalDerived } from "./derived-config.ts";
import { type AnyContext, type ContextSpec, newContext, type NewContextOptions } from "./new.ts";

/** Contexts that may be open in one table. */
export const MAX_CONTEXTS = 4096;

/** Contexts by handle. Every call fails with PcpError PM_ERR_NOCONTEXT for a handle that is none. */
export interface ContextTable {
  /** pmNewContext: the new context becomes current; after a failure the present one stays. */
  open(spec: ContextSpec, options?: NewContextOptions): Promise<number>;
  /** pmDupContext: a duplicate of the current context, which becomes current. */
  duplicate(): Promise<number>;
  /** pmUseContext. */
  use(handle: number): void;
  /** pmWhichContext. */
  which(): number;
  /** pmDestroyContext: without the current context there is none. */
  destroy(handle: number): Promise<void>;
  /** pmReconnectContext: -ETIMEDOUT when it fails or may not be tried yet. The current one stays. */
  reconnect(handle: number): Promise<number>;
  /** The context of a handle, of the current one without. */
  context(handle?: number): AnyContext;
  /** Handles of open contexts, ascending. */
  readonly handles: readonly number[];
  /** Closes all; none is current. */
  close(): Promise<void>;
}

/** How a table is made. */
export interface ContextTableOptions {
  /** Global derived metrics of all contexts; those of PCP's files, read once, by default. */
  readonly derived?: NewContextOptions["derived"];
  /** What opens contexts; newContext by default. */
  readonly open?: typeof newContext;
}

/** A table without contexts. */
export function createContextTable({
  derived,
  open = newContext,
}: ContextTableOptions = {}): ContextTable {
  let shared = derived;
  const contexts = new Map<number, AnyContext>();
  let current: number | undefined;
  let next = 0;
  let opening = 0;

  const noContext = (handle: number | undefined): PcpError =>
    new PcpError(
      PM_ERR.NOCONTEXT,
      handle === undefined ? "there is no current context" : `no context has handle ${handle}`,
    );
  const find = (handle: number | undefined): AnyContext => {
    const context = handle === undefined ? undefined : contexts.get(handle);
    if (context === undefined) throw noContext(handle);
    return context;
  };
  const enter = async (make: () => Promise<AnyContext>): Promise<number> => {
    if (contexts.size + opening >= MAX_CONTEXTS)
      throw new PcpError(PM_ERR.TOOBIG, `${MAX_CONTEXTS} contexts are open already`);
    const handle = next;
    next += 1;
    opening += 1;
    try {
      contexts.set(handle, await make());
    } finally {
      opening -= 1;
    }
    current = handle;
    return handle;
  };

  return {
    open: (spec, options = {}) =>
      enter(() => {
        const warn = options.warn ?? (() => undefined);
        shared ??= options.derived ?? globalDerived(warn, options.env);
        return open(spec, { derived: shared, ...options });
      }),
    async duplicate() {
      const context = find(current);
      return enter(() => context.duplicate());
    },
    use(handle) {
      find(handle);
      current = handle;
    },
    which() {
      if (current === undefined) throw noContext(current);
      return current;
    },
    async destroy(handle) {
      const context = find(handle);
      contexts.delete(handle);
      if (current === handle) current = undefined;
      await context.close();
    },
    async reconnect(handle) {
      await find(handle).reconnect();
      return handle;
    },
    context: (handle = current) => find(handle),
    get handles() {
      return [...contexts.keys()].toSorted((a, b) => a - b);
    },
    async close() {
      const open = [...contexts.values()];
      contexts.clear();
      current = undefined;
      await Promise.all(open.map((context) => context.close()));
    },
  };
}
