// What the parts of sample share: what a metric does beside its description, and the random numbers
// that decide over its whims. The numbers are those of lrand48(3), unseeded, so that the first values
// are always the same, as with PCP's agent.
import type { Atom, Instant } from "../../../pcp/mod.ts";
import type { IndomRow, MetricRow } from "../../define.ts";

/** What a row has beside the facts. */
export type Behaviour = Partial<
  Pick<MetricRow, "fetch" | "store" | "instances" | "labels" | "notes" | "refused" | "valfmt">
>;

/** Behaviour by item. */
export type Behaviours = Readonly<Record<number, Behaviour>>;

/** One part of the agent. */
export interface Part {
  readonly behaviours: Behaviours;
  /** Instances, labels and labels of instances; texts come with the help. */
  readonly indoms?: readonly IndomRow[];
  /** Before the values of a fetch: `wants` tells whether a metric is among them. */
  readonly refresh?: (wants: (item: number) => boolean) => void;
  /** Before instances are looked at outside a fetch. */
  readonly refreshInstances?: (serial: number) => void;
}

/** What parts are made with. */
export interface World {
  /** The domain of the agent. */
  readonly domain: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** When the agent started. */
  readonly start: Instant;
  /** The time of the present fetch. */
  now(): Instant;
  /** The next random number, 0 to 2^31 - 1. */
  random(): number;
}

const MULTIPLIER = 0x5deece66dn;
const INCREMENT = 0xbn;

/** lrand48(3) of glibc, which starts at 0 without a seed. */
export function randomNumbers(): () => number {
  let state = 0n;
  return () => {
    state = BigInt.asUintN(48, state * MULTIPLIER + INCREMENT);
    return Number(state >> 17n);
  };
}

/** The largest difference from the system's clock before it is followed. */
const CLOCK_MS = 2;

/** A clock with parts of milliseconds, which the system's clock of JavaScript does not have. */
export function fineClock(): () => Instant {
  let origin = performance.timeOrigin;
  return () => {
    const wall = Date.now();
    let ms = origin + performance.now();
    if (Math.abs(ms - wall) > CLOCK_MS) {
      origin += wall - ms;
      ms = wall;
    }
    const sec = Math.floor(ms / 1000);
    return { sec, nsec: Math.floor((ms - sec * 1000) * 1e6) };
  };
}

/** A metric that always has this value. */
export const constant = (value: Atom): Behaviour => ({ fetch: () => value });

/** Seconds between two times, with fractions. */
export const secondsFrom = (from: Instant, to: Instant): number =>
  to.sec - from.sec + (to.nsec - from.nsec) / 1e9;
