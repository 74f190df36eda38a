// sample: what clients make the agent do or not do: debugging, silence, errors, and a metric whose
// description they write themselves (spec pmda.md 18.4).
import { PcpError, PM_ERR } from "../../../base/mod.ts";
import { type Atom, PM_INDOM_NULL, PM_SEM, PM_TYPE } from "../../../pcp/mod.ts";
import type { MetricRow } from "../../define.ts";
import { type Behaviour, constant, type Part } from "./behaviour.ts";

const BYTE_PER_SEC = 0x1f003000;
const EINVAL = -22;

/** What is written about dynamic.meta.metric; `indom` is a whole identifier. */
export interface MetaDesc {
  type: number;
  indom: number;
  sem: number;
  units: number;
}

/** The metric with the description that clients write. */
export interface Meta extends Part {
  readonly desc: Readonly<MetaDesc>;
}

/** dynamic.meta.*: `changed` hears of new descriptions and may refuse them. */
export function meta(changed: (desc: Readonly<MetaDesc>) => void): Meta {
  let desc: MetaDesc = {
    type: PM_TYPE.I32,
    indom: PM_INDOM_NULL,
    sem: PM_SEM.DISCRETE,
    units: BYTE_PER_SEC,
  };
  const field = (name: keyof MetaDesc): Behaviour => ({
    fetch: () => desc[name] >>> 0,
    store: (given) => {
      const word = Number(given) >>> 0;
      const next = { ...desc, [name]: name === "type" ? word | 0 : word };
      changed(next);
      desc = next;
    },
  });
  const value = (): Atom | undefined => {
    if (desc.type === PM_TYPE.STRING) return "42";
    return desc.type >= PM_TYPE.I32 && desc.type <= PM_TYPE.DOUBLE ? 42 : undefined;
  };
  return {
    behaviours: {
      86: { fetch: value },
      87: field("type"),
      88: field("indom"),
      89: field("sem"),
      90: field("units"),
    },
    get desc() {
      return desc;
    },
  };
}

/** Silence for a time, which begins with the next request. */
export interface Silence extends Part {
  /** Throws PM_ERR_AGAIN where a time of silence has been ordered: it begins now. */
  check(): void;
  /** Ends a silence without a word. */
  close(): void;
}

/** not_ready and not_ready_msec. */
export function silence(ready: (ready: boolean) => void): Silence {
  let ordered = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const metric = (unit: number): Behaviour => ({
    fetch: () => Math.trunc(ordered / unit),
    store: (given) => {
      ordered = Number(given) * unit;
    },
  });
  return {
    behaviours: { 56: metric(1000), 169: metric(1) },
    check() {
      if (ordered <= 0) return;
      const time = Math.min(ordered, 0x7fffffff);
      ordered = 0;
      ready(false);
      timer = setTimeout(() => ready(true), time);
      timer.unref();
      throw new PcpError(PM_ERR.AGAIN);
    },
    close: () => clearTimeout(timer),
  };
}

/** error_code, error_check and bad.* */
export function errors(): Part {
  let code = 0;
  const refused = (which: number): Behaviour => ({ refused: () => which });
  return {
    behaviours: {
      9: { fetch: () => undefined },
      54: { ...refused(PM_ERR.PMID), fetch: () => undefined },
      55: { fetch: () => ({ error: PM_ERR.APPVERSION }) },
      74: {
        fetch: () => code,
        store: (given) => {
          code = Number(given);
        },
      },
      75: { ...constant(0), refused: () => Math.min(code, 0) },
      138: { fetch: () => undefined },
      154: { fetch: () => ({ error: PM_ERR.AGAIN }) },
    },
    // What is thrown here is the answer to the whole fetch.
    refresh: (wants) => {
      if (code < 0 && wants(75)) throw new PcpError(code);
    },
  };
}

/** control: debugging options as text; "-1" ends the agent. */
export function control(end: () => void): Part {
  let options = "";
  const store: MetricRow["store"] = (given) => {
    const text = String(given);
    if (text === "-1") {
      end();
      return;
    }
    if (text !== "" && !/^[\w-]+(?:,[\w-]+)*$/.test(text))
      throw new PcpError(EINVAL, `bad debug string (${text})`);
    options = text;
  };
  return { behaviours: { 0: { fetch: () => options, store } } };
}
