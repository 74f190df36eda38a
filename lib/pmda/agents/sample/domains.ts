// sample: instance domains that behave: colours and a saw tooth, instances that come and go, that are
// many, shuffled, unreliable, or come from a file (spec pmda.md 18.4). Lines of that file which are
// no `NUMBER NAME` empty the domain, with a message.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { asPcpError, PcpError, PM_ERR } from "../../../base/mod.ts";
import { type Atom, indomBuild, type InstanceId } from "../../../pcp/mod.ts";
import type { InstanceRow } from "../../define.ts";
import type { Caller } from "../../types.ts";
import { type Behaviour, type Part, secondsFrom, type World } from "./behaviour.ts";
import { binLabels, binRows } from "./numbers.ts";

const ENOENT = -2;
const HORDE = 500;
const MAX_MANY = 999_999;
const MAX_INSTANCE = 0x3fffff;
/** Instances of dodgey. */
const DODGEY = [1, 2, 3, 4, 5] as const;
const FAMILY = ["colleen", "terry", "emma", "cathy", "fat bald bastard"] as const;
const BIRTHDAYS = ["05", "05", "09", "09", "26"] as const;
const FAMILY_SERIAL = 4;

/** The saw tooth that colour and mirage share, and the domain of mirage. */
export function sawTooth({ random, now }: World): Part {
  let tooth = 0;
  let wanted = false;
  let resetMs = 10_000;
  let nextChange = { sec: 0, nsec: 0 };
  let latest = 0;
  let rows: InstanceRow[] = [];

  const row = (id: number): InstanceRow => ({ id, name: `m-${String(id).padStart(2, "0")}` });
  const change = (): void => {
    const at = now();
    if (secondsFrom(nextChange, at) < 0) return;
    const cull = rows.length > 12 ? Math.floor(rows.length / 2) : rows.length;
    const chance = Math.floor(1000 / Math.max(cull, 1));
    if (rows.length === 0) rows = [row(0)];
    else {
      rows = rows.filter((_, i) => i === 0 || random() % 1000 >= chance);
      for (let i = 0; i < 2; i++) {
        if (random() % 1000 >= 500) continue;
        do latest = (latest + 1) % 50;
        while (rows.some(({ id }) => id === latest));
        rows = [...rows, row(latest)];
      }
    }
    const ms = at.nsec / 1e6 + resetMs;
    nextChange = { sec: at.sec + Math.floor(ms / 1000), nsec: (ms % 1000) * 1e6 };
  };
  const next = (): number => {
    tooth = (tooth + 1) % 100;
    return tooth;
  };
  const store = (given: Atom): void => {
    tooth = Number(BigInt.asIntN(32, BigInt(given as number)));
  };
  const mirage = (factor: number): Behaviour => ({
    fetch: (instance) => {
      wanted = true;
      return ((instance + 1) * 100 - next()) * factor;
    },
    store,
  });
  change();
  const check = (): void => {
    if (wanted) change();
  };
  return {
    behaviours: {
      5: { fetch: (instance) => next() + 100 * (instance + 1), store },
      37: mirage(1),
      38: mirage(1_000_000),
      92: { instances: () => [], fetch: () => undefined },
      155: {
        fetch: () => resetMs,
        store: (given) => {
          resetMs = Number(given) >>> 0;
          nextChange = { sec: 0, nsec: 0 };
        },
      },
    },
    indoms: [
      {
        serial: 1,
        instances: ["red", "green", "blue"].map((name, id) => ({ id, name })),
        labels: { model: "RGB" },
      },
      {
        serial: 3,
        instances: () => rows,
        instanceLabels: (instance) => ({ transient: instance !== 0 }),
      },
    ],
    refresh: check,
    refreshInstances: check,
  };
}

/** dodgey.*: as many instances as are asked for, or errors and holes at random. */
export function dodgey({ random }: World): Part {
  let control: number = DODGEY.length;
  let present: number = DODGEY.length;
  let fetchesLeft = 0;
  let ids: readonly number[] = DODGEY;

  const redo = (): void => {
    if (control <= DODGEY.length) {
      present = control;
      fetchesLeft = 0;
      ids = DODGEY;
      return;
    }
    const lot = random() % 1000;
    if (lot < 33) present = PM_ERR.NOAGENT;
    else if (lot < 66) present = PM_ERR.AGAIN;
    else if (lot < 99) present = PM_ERR.APPVERSION;
    else {
      ids = DODGEY.filter(() => random() % 100 < 49);
      present = ids.length;
    }
    fetchesLeft = random() % control;
  };
  return {
    behaviours: {
      61: {
        fetch: () => control,
        store: (given) => {
          control = Number(given);
          redo();
        },
      },
      62: {
        instances: () => {
          if (control > DODGEY.length) fetchesLeft -= 1;
          if (present < 0) throw new PcpError(present);
          return ids.filter((id) => id <= present);
        },
        fetch: () => random() % 101,
      },
    },
    indoms: [{ serial: 6, instances: () => ids.map((id) => ({ id, name: `d${id}` })) }],
    refresh: () => {
      if (fetchesLeft < 0) redo();
    },
  };
}

/** many.* and hordes.*: domains of a size. */
export function sizes(): Part {
  let count = 5;
  const rowsOf = (length: number, prefix: string): InstanceRow[] =>
    Array.from({ length }, (_, id) => ({ id, name: `${prefix}${id}` }));
  // Made when somebody asks for them.
  let rows: InstanceRow[] | undefined;
  return {
    behaviours: {
      52: { fetch: (instance) => instance },
      53: { fetch: (instance) => HORDE - 1 - instance },
      79: {
        fetch: () => count,
        store: (given) => {
          count = Math.min(Math.max(Number(given), 0), MAX_MANY);
          rows = undefined;
        },
      },
      80: { fetch: (instance) => instance },
    },
    indoms: [
      { serial: 5, instances: rowsOf(HORDE, "") },
      { serial: 8, instances: () => (rows ??= rowsOf(count, "i-")) },
    ],
  };
}

/** The instances of $PCP_PMDAS_DIR/sample/dynamic.indom, and what is wrong with it. */
export function parseDynamic(text: string): { rows: InstanceRow[]; fault: string | undefined } {
  const rows: InstanceRow[] = [];
  const none = (fault: string) => ({ rows: [], fault: `redo_dynamic: botch ${fault}` });
  const word = /\s*(?:([+-]?\d+)(?:\s+(?:"([^"\n]*)"|'([^'\n]*)'|(\S+)))?|(\S))/y;
  for (let at = 0; at < text.trimEnd().length; at = word.lastIndex) {
    word.lastIndex = at;
    const [, number, ...names] = word.exec(text) ?? [];
    if (number === undefined) return none("missing instance identifier");
    const id = Number(number);
    if (id < 0 || id > MAX_INSTANCE) return none(`instance identifier ${id} is illegal`);
    const name = names[0] ?? names[1] ?? names[2];
    if (name === undefined) return none(`missing instance name for instance identifier ${id}`);
    rows.push({ id, name });
  }
  return { rows, fault: undefined };
}

/** dynamic.*: each fetch counts the instances that are in the file. */
export function dynamic({ env }: World, warn: (text: string) => void): Part {
  const path = join(env["PCP_PMDAS_DIR"] ?? "/var/lib/pcp/pmdas", "sample", "dynamic.indom");
  let rows: readonly InstanceRow[] = [];
  let modified: number | undefined;
  const counts = new Map<number, number>();

  const check = (): void => {
    try {
      const { mtimeMs } = statSync(path);
      if (mtimeMs === modified) return;
      modified = mtimeMs;
      counts.clear();
      const found = parseDynamic(readFileSync(path, "utf8"));
      rows = found.rows;
      if (found.fault !== undefined) warn(found.fault);
    } catch (error) {
      const { code, message } = asPcpError(error);
      if (code !== ENOENT) warn(`redo_dynamic: ${message}`);
      rows = [];
      modified = undefined;
    }
  };
  check();
  const items = [76, 77, 78];
  const count: Behaviour = { fetch: (instance) => counts.get(instance) ?? 0 };
  return {
    behaviours: Object.fromEntries(items.map((item) => [item, count])),
    indoms: [{ serial: 7, instances: () => rows }],
    refresh: (wants) => {
      if (!items.some(wants)) return;
      check();
      for (const { id } of rows) counts.set(id, (counts.get(id) ?? 0) + 1);
    },
    refreshInstances: (serial) => {
      if (serial === 7) check();
    },
  };
}

/** scramble.*: the bins in a new order at each fetch, a third of them missing. */
export function scramble(bin: Behaviour | undefined): Part {
  let version = 0;
  let rows: readonly InstanceRow[] = binRows;

  const shuffle = (): readonly InstanceRow[] => {
    let seed = (version << 10) + 13;
    const lot = (): number => {
      // The example generator of ISO C.
      seed = (Math.imul(1_103_515_245, seed) + 12_345) & 0x7fffffff;
      return seed;
    };
    version += 1;
    const places: (InstanceRow | undefined)[] = binRows.map(() => undefined);
    for (const bin of binRows) {
      if (lot() % 100 < 33) continue;
      let place = lot() % places.length;
      while (places[place] !== undefined) place = lot() % places.length;
      places[place] = bin;
    }
    return places.filter((place) => place !== undefined);
  };
  return {
    behaviours: {
      120: {
        fetch: () => version,
        store: () => {
          version = 0;
          rows = binRows;
        },
      },
      121: {
        ...bin,
        instances: () => {
          rows = shuffle();
          return rows.map(({ id }) => id);
        },
      },
    },
    indoms: [{ serial: 9, instances: () => rows, instanceLabels: binLabels }],
  };
}

/** needprofile, which wants its instances named, and secret.family, which does not. */
export function family({ domain }: World): Part {
  const indom = indomBuild(domain & 0x1ff, FAMILY_SERIAL);
  const birthday = (instance: InstanceId): string => BIRTHDAYS[instance] ?? "";
  const named = ({ profile }: Caller): readonly number[] => {
    const rule = profile.asRequest().rules.find((each) => each.indom === indom);
    if (rule === undefined || rule.state !== 1 || rule.instances.length === 0)
      throw new PcpError(PM_ERR.PROFILE);
    return FAMILY.map((_, id) => id);
  };
  return {
    behaviours: {
      49: { instances: named, fetch: (instance) => Number(birthday(instance)) },
      1012: { fetch: birthday },
    },
    indoms: [
      {
        serial: FAMILY_SERIAL,
        instances: FAMILY.map((name, id) => ({ id, name })),
        labels: { clan: "mcdonell" },
      },
    ],
  };
}
