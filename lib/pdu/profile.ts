// The instance profile of a context (pmAddProfile, pmDelProfile): which instances of which domains a
// fetch asks for. One piece of data for every type of context: hosts send it, archives and local
// agents filter by it. Refuses a list of instances for all domains, and more than a bounded number.
import { PcpError, PM_ERR } from "../base/mod.ts";
import { type Indom, type InstanceId, PM_INDOM_NULL } from "../pcp/mod.ts";
import type { Profile } from "./requests.ts";

/** Most domains with a rule, and most listed instances in all of them. */
export const MAX_PROFILE_ENTRIES = 1_000_000;

/** What is said about the instances that no list names; the numbers of spec pdu.md 3.3. */
const PROFILE_STATE = { INCLUDE: 0, EXCLUDE: 1 } as const;
type ProfileState = (typeof PROFILE_STATE)[keyof typeof PROFILE_STATE];

/** One domain: `state` holds for all instances but those in `exceptions`. */
interface DomainRule {
  state: ProfileState;
  readonly exceptions: Set<number>;
}

/** Which instances a context asks for; it starts with all of all domains. */
export interface InstanceProfile {
  /**
   * pmAddProfile. Without instances (or with an empty list): all of the domain; PM_INDOM_NULL: all of
   * all domains, and every other rule is forgotten. The first list for a domain without a rule means
   * "only these", as with PCP. Throws PcpError PM_ERR_PROFILESPEC for PM_INDOM_NULL with a list,
   * PM_ERR_TOOBIG above MAX_PROFILE_ENTRIES.
   */
  add(indom: Indom, instances?: readonly InstanceId[]): void;
  /**
   * pmDelProfile. Without instances: none of the domain, or of any. A first list for a domain without
   * a rule excludes the whole domain, as with PCP: to exclude single instances, add all before.
   * Throws as `add`.
   */
  delete(indom: Indom, instances?: readonly InstanceId[]): void;
  /** True when a fetch asks for this instance; always for PM_INDOM_NULL. */
  wants(indom: Indom, instance: InstanceId): boolean;
  /** True when a fetch asks for every instance of the domain: then `wants` need not be called. */
  wantsAll(indom: Indom): boolean;
  /** True while there is no rule but "all": then `wants` is true for whatever there is. */
  readonly wantsEverything: boolean;
  /** The profile as requests to pmcd have it. */
  asRequest(): Profile;
  /**
   * What pmDupContext hands on: the rules of the domains, but not what holds for domains without a
   * rule, which is "all" again (spec archive.md 12.5).
   */
  duplicate(): InstanceProfile;
}

/** Throws PcpError PM_ERR_PROFILESPEC for instances of no domain. */
export function checkProfile(indom: Indom, instances: readonly InstanceId[] = []): void {
  if (instances.length > 0 && indom === PM_INDOM_NULL)
    throw new PcpError(PM_ERR.PROFILESPEC, "instances without an instance domain in a profile");
}

const profileOf = (
  start: ReadonlyMap<Indom, DomainRule>,
  startState: ProfileState,
): InstanceProfile => {
  const rules = new Map<Indom, DomainRule>();
  let state = startState;
  let listed = 0;
  for (const [indom, rule] of start) {
    rules.set(indom, { state: rule.state, exceptions: new Set(rule.exceptions) });
    listed += rule.exceptions.size;
  }

  const setAll = (indom: Indom, to: ProfileState): void => {
    if (indom === PM_INDOM_NULL) {
      state = to;
      rules.clear();
      listed = 0;
      return;
    }
    listed -= rules.get(indom)?.exceptions.size ?? 0;
    rules.set(indom, { state: to, exceptions: new Set() });
  };

  const change = (indom: Indom, instances: readonly InstanceId[], to: ProfileState): void => {
    checkProfile(indom, instances);
    if (rules.size + listed + instances.length >= MAX_PROFILE_ENTRIES)
      throw new PcpError(PM_ERR.TOOBIG, `a profile has at most ${MAX_PROFILE_ENTRIES} entries`);
    if (instances.length === 0) {
      setAll(indom, to);
      return;
    }
    let rule = rules.get(indom);
    if (rule === undefined) {
      rule = { state: PROFILE_STATE.EXCLUDE, exceptions: new Set() };
      rules.set(indom, rule);
    }
    const { exceptions } = rule;
    listed -= exceptions.size;
    for (const instance of instances) {
      if (rule.state === to) exceptions.delete(instance);
      else exceptions.add(instance);
    }
    listed += exceptions.size;
  };

  return {
    add: (indom, instances = []) => change(indom, instances, PROFILE_STATE.INCLUDE),
    delete: (indom, instances = []) => change(indom, instances, PROFILE_STATE.EXCLUDE),
    wants(indom, instance) {
      if (indom === PM_INDOM_NULL) return true;
      const rule = rules.get(indom);
      if (rule === undefined) return state === PROFILE_STATE.INCLUDE;
      return (rule.state === PROFILE_STATE.INCLUDE) !== rule.exceptions.has(instance);
    },
    wantsAll(indom) {
      if (indom === PM_INDOM_NULL) return true;
      const rule = rules.get(indom);
      if (rule === undefined) return state === PROFILE_STATE.INCLUDE;
      return rule.state === PROFILE_STATE.INCLUDE && rule.exceptions.size === 0;
    },
    get wantsEverything() {
      return rules.size === 0 && state === PROFILE_STATE.INCLUDE;
    },
    asRequest: () => ({
      state,
      rules: [...rules].map(([indom, rule]) => ({
        indom,
        state: rule.state,
        instances: Int32Array.from(rule.exceptions),
      })),
    }),
    duplicate: () => profileOf(rules, PROFILE_STATE.INCLUDE),
  };
};

/** A profile that asks for all instances of all domains. */
export const createProfile = (): InstanceProfile => profileOf(new Map(), PROFILE_STATE.INCLUDE);

/**
 * The profile that a request carries, as an agent or a collector has to apply it (spec pmda.md 4.1).
 * The last rule of a domain holds.
 */
export const profileFrom = ({ state, rules }: Profile): InstanceProfile =>
  profileOf(
    new Map(
      rules.map((rule) => [
        rule.indom,
        {
          state:
            rule.state === PROFILE_STATE.INCLUDE ? PROFILE_STATE.INCLUDE : PROFILE_STATE.EXCLUDE,
          exceptions: new Set(Array.from(rule.instances)),
        },
      ]),
    ),
    state === PROFILE_STATE.INCLUDE ? PROFILE_STATE.INCLUDE : PROFILE_STATE.EXCLUDE,
  );
