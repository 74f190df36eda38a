// One place where a pmcd may be, as data and in words: what a host specification stands for, once
// the environment has been asked (spec pdu.md 8.1). Refuses nothing.

/** One place to try. */
export type Target =
  | { readonly kind: "socket"; readonly path: string; readonly strict: boolean }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | {
      readonly kind: "proxy";
      readonly proxyHost: string;
      readonly proxyPort: number;
      readonly host: string;
      readonly port: number;
    };

/** A target as it stands in messages. */
export function describeTarget(target: Target): string {
  if (target.kind === "socket") return target.path;
  const to = `${target.host} port ${target.port}`;
  return target.kind === "tcp" ? to : `${to} through ${target.proxyHost} port ${target.proxyPort}`;
}
