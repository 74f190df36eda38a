// Service advertisement through a running Avahi, by its D-Bus interface: one entry group for each
// port, so that a collision renames one service only. Publishes again after a restart of Avahi or of
// the bus. Refuses nothing that Avahi accepts; what fails is logged once and told by `onPresence`.

import { type Log, oneLine } from "../base/mod.ts";
import {
  type Bus,
  BusError,
  type BusSignal,
  busPaths,
  type BusValue,
  connectBus,
  DBUS,
  systemBusAddress,
} from "./dbus.ts";
import { alternative, SERVICE_TYPE } from "./servicename.ts";

const AVAHI = "org.freedesktop.Avahi";
const SERVER = { destination: AVAHI, path: "/", iface: "org.freedesktop.Avahi.Server" } as const;
const GROUP = "org.freedesktop.Avahi.EntryGroup";
const COLLISION_ERROR = "org.freedesktop.Avahi.CollisionError";
const NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner";
const SERVER_RUNNING = 2;
const GROUP_ESTABLISHED = 2;
const GROUP_COLLISION = 3;
const GROUP_FAILURE = 4;
/** All interfaces, both protocols. */
const UNSPECIFIED = -1;
/** After this many names in use somebody plays tricks. */
const RENAMES = 64;
/** Between two looks for a bus that is not there. */
const RETRY_MS = 30_000;
/** For an orderly withdrawal. */
const STOP_MS = 1000;

/** What is to be published. */
export interface AvahiOptions {
  readonly name: string;
  readonly ports: readonly number[];
  readonly log: Pick<Log, "info" | "debug">;
  readonly env: Record<string, string | undefined>;
  /** Whether an Avahi is there to publish; called at every change and once at the start. */
  onPresence(present: boolean): void;
}

/** Publication through Avahi, present or to come. */
export interface AvahiPublisher {
  /** Names that Avahi has established. */
  names(): readonly string[];
  /** Withdraws everything, within a second. Never rejects. */
  stop(): Promise<void>;
}

interface Entry {
  readonly port: number;
  name: string;
  group: string | null;
  established: boolean;
  renames: number;
}

const reasonOf = (cause: unknown): string =>
  oneLine(cause instanceof Error ? cause.message : String(cause));

async function connectFirst(
  env: Record<string, string | undefined>,
  events: Parameters<typeof connectBus>[1],
): Promise<Bus> {
  let last: unknown = new Error("D-Bus: no unix socket in the address");
  for (const path of busPaths(systemBusAddress(env))) {
    try {
      return await connectBus(path, events);
    } catch (cause) {
      last = cause;
    }
  }
  throw last;
}

/** Calls on one connection that publish, rename and withdraw entries. */
function createGroups(bus: Bus, log: Pick<Log, "debug">) {
  const on = (path: string, member: string) => ({ destination: AVAHI, path, iface: GROUP, member });

  const withdraw = async (entry: Entry): Promise<void> => {
    const { group } = entry;
    entry.group = null;
    entry.established = false;
    if (group !== null) await bus.call(on(group, "Free"));
  };

  const rename = (entry: Entry): void => {
    if (++entry.renames > RENAMES) throw new Error(`${entry.name}: ${RENAMES} names are in use`);
    const taken = entry.name;
    entry.name = alternative(taken);
    log.debug(`service name "${taken}" is in use, trying "${entry.name}"`);
  };

  const publish = async (entry: Entry): Promise<void> => {
    const [path] = await bus.call({ ...SERVER, member: "EntryGroupNew" });
    if (typeof path !== "string") throw new Error("Avahi gave no entry group");
    entry.group = path;
    for (;;) {
      const service: BusValue[] = [UNSPECIFIED, UNSPECIFIED, 0, entry.name, SERVICE_TYPE, "", ""];
      try {
        await bus.call(on(path, "AddService"), "iiussssqaay", [...service, entry.port, []]);
        break;
      } catch (cause) {
        if (!(cause instanceof BusError) || cause.errorName !== COLLISION_ERROR) throw cause;
        rename(entry);
      }
    }
    await bus.call(on(path, "Commit"));
  };

  return { publish, rename, withdraw };
}

/** Publishes on one connection until it is closed; `run` sends the signals of the bus here. */
function createSession(bus: Bus, options: AvahiOptions) {
  const { log } = options;
  const groups = createGroups(bus, log);
  const entries: Entry[] = [];
  let owner = "";
  let present: boolean | null = null;
  let complained = false;
  // One change after the other: signals come in while calls are under way.
  let work: Promise<void> = Promise.resolve();

  const queue = (task: () => Promise<void>): Promise<void> => {
    work = work.then(task).catch((cause: unknown) => {
      if (complained) log.debug(`service advertisement: ${reasonOf(cause)}`);
      else log.info(`service advertisement through Avahi failed: ${reasonOf(cause)}`);
      complained = true;
    });
    return work;
  };
  const tell = (now: boolean): void => {
    if (present !== now) options.onPresence(now);
    present = now;
  };
  const withdrawAll = async (): Promise<void> => {
    for (const entry of entries.splice(0)) await groups.withdraw(entry);
  };
  const publishAll = async (): Promise<void> => {
    if (owner === "" || entries.length > 0) return;
    const [state] = await bus.call({ ...SERVER, member: "GetState" });
    if (state !== SERVER_RUNNING) return;
    for (const port of options.ports) {
      const entry = { port, name: options.name, group: null, established: false, renames: 0 };
      entries.push(entry);
      await groups.publish(entry);
    }
  };
  const setOwner = (name: string): void => {
    owner = name;
    // Groups of an Avahi that is gone are gone with it.
    entries.length = 0;
    tell(name !== "");
    if (name !== "") void queue(publishAll);
  };

  const onGroupState = (path: string, state: BusValue | undefined): void => {
    const entry = entries.find(({ group }) => group === path);
    if (entry === undefined) return;
    entry.established = state === GROUP_ESTABLISHED;
    if (entry.established) log.debug(`service "${entry.name}" advertised, port ${entry.port}`);
    if (state === GROUP_COLLISION)
      void queue(async () => {
        await groups.withdraw(entry);
        groups.rename(entry);
        await groups.publish(entry);
      });
    if (state === GROUP_FAILURE)
      void queue(() => Promise.reject(new Error(`Avahi gave up "${entry.name}"`)));
  };

  const onSignal = (signal: BusSignal): void => {
    const { sender, iface, member, body } = signal;
    if (sender === DBUS.destination && member === "NameOwnerChanged") {
      if (body[0] === AVAHI) setOwner(String(body[2] ?? ""));
      return;
    }
    // Any program on the bus can send a signal that looks like Avahi's.
    if (owner === "" || sender !== owner || member !== "StateChanged") return;
    if (iface === GROUP) onGroupState(signal.path, body[0]);
    // Avahi changes its host name: services leave and come back with it.
    if (iface === SERVER.iface) void queue(body[0] === SERVER_RUNNING ? publishAll : withdrawAll);
  };

  const start = async (): Promise<void> => {
    const changed = `interface='${DBUS.iface}',member='NameOwnerChanged',arg0='${AVAHI}'`;
    const rules = [`sender='${DBUS.destination}',${changed}`, `sender='${AVAHI}'`];
    for (const rule of rules)
      await bus.call({ ...DBUS, member: "AddMatch" }, "s", [`type='signal',${rule}`]);
    try {
      const [name] = await bus.call({ ...DBUS, member: "GetNameOwner" }, "s", [AVAHI]);
      if (owner === "") setOwner(String(name));
    } catch (cause) {
      if (!(cause instanceof BusError) || cause.errorName !== NO_OWNER) throw cause;
      if (owner === "") tell(false);
    }
  };

  return {
    start,
    onSignal,
    names: () => entries.filter(({ established }) => established).map(({ name }) => name),
    stop() {
      // What fails on the way out is nobody's business any more.
      complained = true;
      return owner === "" ? Promise.resolve() : queue(withdrawAll);
    },
  };
}

/** Publishes `ports` whenever there is an Avahi. Nothing here keeps the process up or throws later. */
export function publishThroughAvahi(options: AvahiOptions): AvahiPublisher {
  let bus: Bus | null = null;
  let session: ReturnType<typeof createSession> | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let present: boolean | null = null;

  const tell = (now: boolean): void => {
    if (present !== now && !stopped) options.onPresence(now);
    present = now;
  };
  const lost = (reason: string): void => {
    bus?.close();
    bus = null;
    session = null;
    if (stopped) return;
    options.log.debug(`service advertisement without Avahi: ${reason}`);
    tell(false);
    retry = setTimeout(() => void attempt(), RETRY_MS);
    retry.unref();
  };
  const attempt = async (): Promise<void> => {
    const events = {
      onSignal: (signal: BusSignal) => session?.onSignal(signal),
      onClose: lost,
    };
    try {
      const opened = await connectFirst(options.env, events);
      if (stopped) return opened.close();
      bus = opened;
      session = createSession(opened, { ...options, onPresence: tell });
      await session.start();
    } catch (cause) {
      lost(reasonOf(cause));
    }
  };
  void attempt();

  return {
    names: () => session?.names() ?? [],
    async stop() {
      stopped = true;
      clearTimeout(retry);
      // The end of the connection withdraws everything, too; Avahi may be stuck.
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STOP_MS);
      });
      await Promise.race([session?.stop(), late]);
      clearTimeout(timer);
      bus?.close();
      bus = null;
      session = null;
    },
  };
}
