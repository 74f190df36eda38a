// Goal: a profile changes call by call as that of libpcp 7.2 (what pmAddProfile and pmDelProfile leave
// in its dump), answers for single instances, and is bounded.
import { describe, expect, test } from "bun:test";
import { PM_ERR } from "../../lib/base/mod.ts";
import { createProfile, MAX_PROFILE_ENTRIES } from "../../lib/pdu/profile.ts";
import { asInstance, indomBuild, PM_IN_NULL, PM_INDOM_NULL } from "../../lib/pcp/mod.ts";
import type { Indom } from "../../lib/pcp/mod.ts";
import { codeOf } from "../context/codes.ts";

const bins = indomBuild(29, 2);
const colours = indomBuild(29, 1);
type Step = readonly ["+" | "-", Indom, ...number[]];

function after(...steps: readonly Step[]) {
  const profile = createProfile();
  for (const [sign, indom, ...list] of steps) {
    const instances = list.map(asInstance);
    if (sign === "+") profile.add(indom, instances);
    else profile.delete(indom, instances);
  }
  return profile;
}

/** The dump of libpcp: the state of all, then `domain state: list` of each rule; I include, E exclude. */
function dump(...steps: readonly Step[]): string {
  const { state, rules } = after(...steps).asRequest();
  const letter = (value: number) => (value === 0 ? "I" : "E");
  const texts = rules.map(
    (rule) =>
      `${rule.indom === bins ? "bins" : "colours"} ${letter(rule.state)}:${Array.from(rule.instances)}`,
  );
  return [letter(state), ...texts].join(" ");
}

describe("instance profiles", () => {
  test("steps leave what they leave in libpcp", () => {
    expect(dump()).toBe("I");
    expect(dump(["+", bins, 100, 300])).toBe("I bins E:100,300");
    expect(dump(["-", bins, 100])).toBe("I bins E:");
    expect(dump(["-", bins], ["+", bins, 100, 300], ["-", bins, 100])).toBe("I bins E:300");
    expect(dump(["-", PM_INDOM_NULL], ["+", bins, 5])).toBe("E bins E:5");
    expect(dump(["-", PM_INDOM_NULL], ["+", bins, 5], ["+", bins])).toBe("E bins I:");
    expect(dump(["-", PM_INDOM_NULL], ["+", bins, 5], ["+", PM_INDOM_NULL])).toBe("I");
    expect(dump(["-", bins, 1], ["-", colours, 2], ["-", PM_INDOM_NULL])).toBe("E");
    expect(dump(["+", bins], ["-", bins, 100], ["-", bins, 300, 200, 100])).toBe(
      "I bins I:100,300,200",
    );
    expect(dump(["+", bins], ["-", bins, 1, 2, 3], ["+", bins, 3], ["+", bins, 9])).toBe(
      "I bins I:1,2",
    );
    expect(dump(["+", bins], ["-", bins, 1], ["-", bins])).toBe("I bins E:");
    expect(dump(["+", bins, 7, 3], ["+", colours, 1], ["+", bins, 3, 9])).toBe(
      "I bins E:7,3,9 colours E:1",
    );
  });

  test("single instances", () => {
    const wanted = (steps: readonly Step[], indom: Indom) =>
      [1, 2, 3].filter((instance) => after(...steps).wants(indom, asInstance(instance)));
    expect(wanted([], bins)).toEqual([1, 2, 3]);
    expect(wanted([["+", bins, 2]], bins)).toEqual([2]);
    expect(wanted([["+", bins, 2]], colours)).toEqual([1, 2, 3]);
    expect(
      wanted(
        [
          ["+", bins],
          ["-", bins, 2],
        ],
        bins,
      ),
    ).toEqual([1, 3]);
    expect(
      wanted(
        [
          ["-", PM_INDOM_NULL],
          ["+", bins, 2],
        ],
        colours,
      ),
    ).toEqual([]);
    expect(after(["-", PM_INDOM_NULL]).wants(PM_INDOM_NULL, PM_IN_NULL)).toBe(true);
  });

  test("whole domains", () => {
    expect(after().wantsAll(bins)).toBe(true);
    expect(after(["-", PM_INDOM_NULL]).wantsAll(bins)).toBe(false);
    expect(after(["-", PM_INDOM_NULL]).wantsAll(PM_INDOM_NULL)).toBe(true);
    expect(after(["+", bins]).wantsAll(bins)).toBe(true);
    expect(after(["+", bins], ["-", bins, 1]).wantsAll(bins)).toBe(false);
    expect(after(["+", bins, 1]).wantsAll(colours)).toBe(true);
  });

  test("a duplicate has the rules but not the state of all, and is apart", () => {
    const first = after(["-", PM_INDOM_NULL], ["+", bins, 5]);
    const second = first.duplicate();
    second.add(bins, [asInstance(6)]);
    expect(second.asRequest()).toEqual({
      state: 0,
      rules: [{ indom: bins, state: 1, instances: Int32Array.of(5, 6) }],
    });
    expect(first.wants(bins, asInstance(6))).toBe(false);
    expect(first.wantsAll(colours)).toBe(false);
  });

  test("refusals: a list for all domains, too many entries", async () => {
    const profile = createProfile();
    const one = [asInstance(1)];
    expect(await codeOf(() => profile.add(PM_INDOM_NULL, one))).toBe(PM_ERR.PROFILESPEC);
    expect(await codeOf(() => profile.delete(PM_INDOM_NULL, one))).toBe(PM_ERR.PROFILESPEC);
    const many = Array.from({ length: MAX_PROFILE_ENTRIES }, () => asInstance(1));
    expect(await codeOf(() => profile.add(bins, many))).toBe(PM_ERR.TOOBIG);
    expect(profile.asRequest()).toEqual({ state: 0, rules: [] });
  });
});
