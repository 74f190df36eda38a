// Service advertisement (spec proxy.md 16): one DNS-SD service of type _pmproxy._tcp for each TCP
// port, without a TXT record, through Avahi where it runs and by our own mDNS responder where it does
// not. Failures are silent but for one line of level Info. Loaded by the server unless -A is given.

import type { Log } from "../base/mod.ts";
import { publishThroughAvahi } from "./avahi.ts";
import type { MdnsPublisher } from "./mdns.ts";
import { instanceName } from "./servicename.ts";

/** An Avahi that restarts is back before this; only then do we speak ourselves. */
const GRACE_MS = 5000;

/** What is advertised. */
export interface AdvertiseOptions {
  /** TCP ports, in the order of the port table. The second service and later ones are numbered. */
  readonly ports: readonly number[];
  readonly hostname: string;
  readonly log: Pick<Log, "info" | "debug">;
  /** Where DBUS_SYSTEM_BUS_ADDRESS is looked up; the process's by default. */
  readonly env?: Record<string, string | undefined>;
  /** mDNS on loopback interfaces only, for tests and hosts that are alone. */
  readonly loopback?: boolean;
}

/** Who advertises, and the names that are established. */
export interface AdvertisementState {
  /** `none`: neither way yet, or stopped. */
  readonly via: "avahi" | "mdns" | "none";
  /** Empty until the names are known to be free. */
  readonly names: readonly string[];
}

/** An advertisement under way. */
export interface Advertisement {
  state(): AdvertisementState;
  /** Withdraws the services, within seconds. Never rejects; a second call waits for the first. */
  stop(): Promise<void>;
}

const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

/** Advertises until `stop`. Never throws, then or later, and never keeps the process from its end. */
export function advertise(options: AdvertiseOptions): Advertisement {
  const { log, ports, hostname, env = process.env, loopback = false } = options;
  let own: MdnsPublisher | null = null;
  let ownWanted = false;
  let avahiThere = false;
  let stopping: Promise<void> | null = null;
  let seen = false;
  let grace: ReturnType<typeof setTimeout> | undefined;
  // One change of our own responder after the other.
  let work: Promise<void> = Promise.resolve();

  const settle = (): Promise<void> => {
    work = work
      .then(async () => {
        if (ownWanted && own === null) {
          const { publishByMdns } = await import("./mdns.ts");
          if (ownWanted) own = publishByMdns({ ports, hostname, log, loopback });
        } else if (!ownWanted && own !== null) {
          const ending = own;
          own = null;
          await ending.stop();
        }
      })
      .catch((cause: unknown) => log.info(`service advertisement: ${reasonOf(cause)}`));
    return work;
  };
  const want = (wanted: boolean): void => {
    ownWanted = wanted;
    void settle();
  };
  const onPresence = (present: boolean): void => {
    avahiThere = present;
    clearTimeout(grace);
    if (present) want(false);
    else if (!seen) want(true);
    else {
      grace = setTimeout(() => want(true), GRACE_MS);
      grace.unref();
    }
    seen ||= present;
  };

  if (ports.length === 0)
    return { state: () => ({ via: "none", names: [] }), stop: () => Promise.resolve() };
  const avahi = publishThroughAvahi({ name: instanceName(hostname), ports, log, env, onPresence });

  const end = async (): Promise<void> => {
    clearTimeout(grace);
    ownWanted = false;
    await Promise.all([settle(), avahi.stop()]);
  };
  return {
    state() {
      if (stopping !== null) return { via: "none", names: [] };
      if (avahiThere) return { via: "avahi", names: avahi.names() };
      return own === null ? { via: "none", names: [] } : { via: "mdns", names: own.names() };
    },
    stop: () => (stopping ??= end()),
  };
}
