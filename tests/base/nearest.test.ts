// Goal: a misspelt name is met with the one that was meant, a strange one with none.
import { expect, test } from "bun:test";
import { nearestName } from "../../lib/base/mod.ts";

test("a misspelt name has a suggestion, a strange one none", () => {
  expect(nearestName("maxpendin", ["maxpending", "keepalive"])).toBe("maxpending");
  expect(nearestName("Servers", ["servers"])).toBe("servers");
  expect(nearestName("zzzzzz", ["maxpending"])).toBeUndefined();
});
