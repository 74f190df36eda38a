// Goal: fetches over recorded, damaged and made-up archives and sets give what a C client got there
// through the real library: both directions of plain fetches and of interpolation, every numeric type
// and semantics, marks, wraps, instances that come and go, virtual marks between members, the codes
// at ends and at damage. Where the real library is known to be wrong the right line is named here.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runsDump } from "./apidump.ts";
import { fetchdump } from "./archive-client.ts";

const ARCHIVES = join(import.meta.dir, "../fixtures/archives");
const RECORDED = join(import.meta.dir, "../fixtures/contexts");

/** The recorded runs of a file: their arguments and what was printed. */
async function recorded(file: string): Promise<(readonly [string, string])[]> {
  const text = await Bun.file(join(RECORDED, file)).text();
  return text
    .split(/^=== /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1).trimEnd()] as const;
    });
}

const inFolder = (names: string): string =>
  names
    .split(",")
    .map((name) => (name === "" ? "" : join(ARCHIVES, name)))
    .join(",");

/** Lines in which the real library is wrong, with the right ones: docs/differences.md says why. */
const LAST = "interp- 1709251214.000000000";
const CORRECTED: ReadonlyMap<string, readonly (readonly [string, string])[]> = new Map([
  ["gen/interp-v3 0.3 60 t.string.instant", [[`${LAST} "str13"`, `${LAST} "str14"`]]],
  ["gen/interp-v3 0.3 60 t.string.discrete", [[`${LAST} "str13"`, `${LAST} "str14"`]]],
  [
    "gen/discrete-v3 4 20 q.disc",
    [16, 20, 24, 28].map((second) => {
      const start = `interp+ 17092512${second}.000000000`;
      return [`${start} 13`, `${start} 15`];
    }),
  ],
]);

function corrected(name: string, expected: string): string {
  let text = expected;
  for (const [wrong, right] of CORRECTED.get(name) ?? []) {
    expect(text).toContain(wrong);
    text = text.replace(wrong, right);
  }
  return text;
}

const single = await recorded("fetchdump.txt");
describe("one metric", () => {
  test.each(single)("%s", async (name, expected) => {
    const [archive = "", step, max, metric = "", variable] = name.split(" ");
    const [key = "", value = ""] = variable?.split("=") ?? [];
    const env = variable === undefined ? {} : { [key]: value };
    const found = await fetchdump(join(ARCHIVES, archive), Number(step), Number(max), metric, env);
    expect(found.trimEnd()).toBe(corrected(name, expected));
  });
});

const several = await recorded("apidump.txt");
describe("sets and damage", () => {
  test.each(several)("%s", async (name, expected) => {
    const [names = "", step, max, ...metrics] = name.split(" ");
    const found = await runsDump(inFolder(names), Number(step), Number(max), metrics);
    // Where members overlap the real library finds no values between the records of both.
    const part = (text: string): string =>
      names === "set/ov1,set/ov2" ? text.slice(0, text.indexOf("interp-forward")) : text;
    // The client had no name for a metric that it did not find.
    expect(part(found)).toBe(part(expected).replaceAll("    ?:", `    ${metrics[0]}:`));
  });
});
