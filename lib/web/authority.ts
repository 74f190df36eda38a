// Who may push: pmcd is asked about names and passwords (SASL), as pmproxy asks it (spec webapi.md 2.9).
// A pair that it has taken holds for the connection that it came on. Refuses with 403 what it refuses,
// with 503 while it cannot be asked.
import { PM_ERR } from "../base/mod.ts";
import { createDerivedSet } from "../derived/mod.ts";
import type { Environment } from "../pdu/mod.ts";
import { credentialsOf } from "./credentials.ts";
import { WebFault } from "./fault.ts";
import type { WebRequest } from "./route.ts";
import { createSources } from "./sources.ts";

/** Why a request is refused, as a status: 401 for credentials that cannot be read. */
export type AuthorityRefusal = 401 | 403 | 503;

/** Asks about the credentials of requests. */
export interface Authority {
  /** 200: they are good. At once where nobody needs to be asked. */
  check(request: WebRequest): 200 | AuthorityRefusal | Promise<200 | AuthorityRefusal>;
  close(): void;
}

export interface AuthorityOptions {
  /** Host specification of the pmcd that knows the accounts; asked for at each check. */
  readonly host: () => string;
  /** For the connections; the process's by default. */
  readonly env?: Environment;
  readonly warn?: (text: string) => void;
  /** False when the process has no descriptor left for another connection. */
  readonly hasRoom?: () => boolean;
}

/** Checks under way, those that wait for their turn included; more are answered 503. */
const CHECKS_MOST = 256;

/** Errors with which pmcd refuses a client, or which time does not mend; others come of the way there. */
const REFUSALS: readonly number[] = [
  PM_ERR.PERMISSION,
  PM_ERR.NEEDCLIENTCERT,
  -1, // EPERM
  -2, // ENOENT: no such socket, which pmproxy takes so too
  -3, // ESRCH: authenticated, but no such account
  -13, // EACCES
  -22, // EINVAL: attributes that it does not take
  -95, // EOPNOTSUPP: no authentication there
];
/** The library's own codes end here; below are those of SASL and TLS. */
const isRefusal = (code: number): boolean => REFUSALS.includes(code) || code < PM_ERR.NYI;

/** Asks the pmcd of `host`, with a connection for each check. */
export function createAuthority(options: AuthorityOptions): Authority {
  const { host, env = process.env, warn = () => undefined, hasRoom = () => true } = options;
  const none = createDerivedSet();
  const sources = createSources({
    env,
    warn,
    perHost: () => CHECKS_MOST,
    lookAgainMs: () => 0,
    derived: () => none,
    host: {},
    hasRoom,
  });
  /** By connection: the host that was asked, and the header that it has taken last. */
  const taken = new WeakMap<object, string>();
  let told: string | undefined;

  const ask = async (
    hostspec: string,
    credentials: Exclude<ReturnType<typeof credentialsOf>, "bad" | undefined>,
  ): Promise<200 | AuthorityRefusal> => {
    try {
      sources.release(await sources.alone(hostspec, credentials));
      return 200;
    } catch (error) {
      if (!(error instanceof WebFault)) throw error;
      const { code, status } = error;
      if (code !== undefined) return isRefusal(code) ? 403 : 503;
      if (status === 503) return 503;
      // Whoever asks again and again does not fill the log.
      if (told !== hostspec)
        warn(`names and passwords cannot be checked at ${hostspec}: ${error.message}`);
      told = hostspec;
      return 403;
    }
  };

  return {
    check(request) {
      const header = request.header("authorization");
      const credentials = header === undefined ? undefined : credentialsOf(header);
      if (credentials === "bad") return 401;
      if (credentials === undefined) return 403;
      const { connection } = request;
      const hostspec = host();
      const key = `${hostspec}\n${header}`;
      if (connection !== undefined && taken.get(connection) === key) return 200;
      return ask(hostspec, credentials).then((status) => {
        if (connection !== undefined)
          if (status === 200) taken.set(connection, key);
          else taken.delete(connection);
        return status;
      });
    },
    close: () => sources.close(),
  };
}
