// Goal: a test whose peer is missing is a counted skip with the reason in its name, and a failure under CI=true.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { run } from "../helpers/process.ts";

const project = join(import.meta.dir, "../..");

for (const [strict, status, summary] of [
  ["false", 0, / 2 skip\n 0 fail/],
  ["true", 1, / 0 pass\n 2 fail/],
] as const) {
  test(`a missing peer, CI=${strict}`, async () => {
    const argv = [process.execPath, "test", "./tests/fixtures/peers/missing.ts"];
    const env = { CI: strict, PCP_CURRENT_ROOT: "/nonexistent" };
    const result = await run(argv, { cwd: project, env });
    expect(result.status).toBe(status);
    expect(result.stderr).toMatch(summary);
    expect(result.stderr).toMatch(/no PCP 7 in .nonexistent|not run as root/);
  });
}
