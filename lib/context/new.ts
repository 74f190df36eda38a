// Opening a context of any type, as pmNewContext does (spec archive.md 12): its flags, its codes, and
// what lies over every source. Refuses types that there are not (PM_ERR_NOCONTEXT).
import { PcpError, PM_ERR } from "../base/mod.ts";
import { type HostAttribute, type HostSpec, parseHostSpec, PCP_ATTR } from "../pcp/mod.ts";
import { type ConnectOptions, connectionSettings, type Environment } from "../pdu/mod.ts";
import type { DerivedSet } from "../derived/mod.ts";
import { type ArchiveContextOptions, openArchiveContext } from "./archive.ts";
import { withDerived } from "./derived.ts";
import { globalDerived } from "./derived-config.ts";
import { type HostContext, openHostContext } from "./host.ts";
import { type LocalContext, type LocalContextOptions, openLocalContext } from "./local.ts";
import type { ArchiveContext } from "./types.ts";

/** What a context is to be opened over. */
export type ContextSpec =
  /** A host specification (spec pdu.md 7). */
  | { readonly type: "host"; readonly host: string }
  /** An archive, a directory of archives, or a comma list of these (spec archive.md 8.1). */
  | { readonly type: "archive"; readonly archive: string }
  | { readonly type: "local" };

/**
 * The flags of pmNewContext that change something (spec archive.md 12.1); all are about hosts. Those
 * about archives need none here: unknown features are no error, volumes are opened when needed.
 */
export interface ContextFlags {
  /** TLS or nothing. */
  readonly secure?: boolean;
  /** TLS if pmcd offers it. */
  readonly relaxed?: boolean;
  /** Always refused: -EOPNOTSUPP. */
  readonly compress?: boolean;
  /** SASL, whatever the specification says. */
  readonly authenticate?: boolean;
  /** The name of a container; true: that of PCP_CONTAINER, or an empty one. */
  readonly container?: boolean | string;
}

/** How a context is opened. All may be left out. */
export interface NewContextOptions {
  /** The environment for every type; the process's by default. */
  readonly env?: Environment;
  /** Takes warnings, a sentence each; by default they are dropped. */
  readonly warn?: (message: string) => void;
  readonly flags?: ContextFlags;
  /**
   * Global derived metrics, to be shared by many contexts; without it those of PCP's files are read
   * for this one. "none": the source as it is, and no addDerived.
   */
  readonly derived?: DerivedSet | "none";
  /** Most derived metrics that the context gets by addDerived (PCP_DERIVED_CONTEXT_LIMIT). */
  readonly derivedLimit?: number;
  /** More about connections to pmcd: TLS, bounds, who watches. */
  readonly host?: ConnectOptions;
  /** More about archives. */
  readonly archive?: ArchiveContextOptions;
  /** More about local contexts: the agents, the names. */
  readonly local?: LocalContextOptions;
}

/** A context of the type that was asked for. */
export type AnyContext = HostContext | ArchiveContext | LocalContext;

const ENFORCED: readonly (string | undefined)[] = ["", "1", "enforce"];

/** A specification with what flags add; the last attribute of a kind is the one in force. */
function flagged(spec: HostSpec, flags: ContextFlags, env: Environment): HostSpec {
  const more: HostAttribute[] = [];
  const add = (code: HostAttribute["code"], value: string): void => void more.push({ code, value });
  if (flags.secure === true) {
    add(PCP_ATTR.PROTOCOL, "pcps");
    add(PCP_ATTR.SECURE, "enforce");
  }
  if (flags.compress === true) add(PCP_ATTR.COMPRESS, "");
  if (flags.authenticate === true) add(PCP_ATTR.USERAUTH, "");
  if (flags.container !== undefined && flags.container !== false)
    add(
      PCP_ATTR.CONTAINER,
      typeof flags.container === "string" ? flags.container : (env["PCP_CONTAINER"] ?? ""),
    );
  return { ...spec, attributes: [...spec.attributes, ...more] };
}

async function openHost(host: string, options: NewContextOptions): Promise<HostContext> {
  const env = options.host?.env ?? options.env ?? process.env;
  const warn = options.host?.warn ?? options.warn ?? (() => undefined);
  const flags = options.flags ?? {};
  const read = options.host?.settings ?? connectionSettings(env, warn);
  const settings =
    flags.relaxed === true && !ENFORCED.includes(read.secureSockets)
      ? { ...read, secureSockets: "relaxed" }
      : read;
  const spec = flagged(parseHostSpec(host, settings.defaultSocket), flags, env);
  return openHostContext(spec, { ...options.host, env, warn, settings }, host);
}

async function openSource(spec: ContextSpec, options: NewContextOptions): Promise<AnyContext> {
  const env = options.env ?? process.env;
  const warn = options.warn ?? (() => undefined);
  switch (spec.type) {
    case "host":
      return openHost(spec.host, options);
    case "archive":
      return openArchiveContext(spec.archive, { env, warn, ...options.archive });
    case "local":
      return openLocalContext({ env, ...options.local });
    default: {
      const { type }: { type: unknown } = spec satisfies never;
      throw new PcpError(PM_ERR.NOCONTEXT, `no context of type ${String(type)}`);
    }
  }
}

/**
 * Opens a context (pmNewContext). Rejects with PcpError: the codes of spec archive.md 12.2; for a bad
 * host specification PM_ERR_GENERIC, its message the specification and a line with a caret and the
 * reason (hostSpecComplaint makes PCP's text of it).
 */
export async function newContext(
  spec: ContextSpec,
  options: NewContextOptions = {},
): Promise<AnyContext> {
  const source = await openSource(spec, options);
  const { derived } = options;
  if (derived === "none") return source;
  const warn = options.warn ?? (() => undefined);
  const set = derived ?? globalDerived(warn, options.env ?? process.env);
  const { derivedLimit: limit } = options;
  return withDerived<AnyContext>(source, set, { warn, ...(limit === undefined ? {} : { limit }) });
}
