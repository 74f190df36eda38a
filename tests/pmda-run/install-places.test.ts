// Goal: an installation changes only what it should: files that are links stay links, a process that
// has the number of a pmcd of the past is left alone, and what cannot be written is named.
import { expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { privateFolder, run } from "../helpers/process.ts";

const main = join(import.meta.dir, "../../cmd/main.ts");

/** The places of an installation, all in one folder. */
function places() {
  const folder = privateFolder("install-places");
  for (const name of ["etc", "pmns", "run"]) mkdirSync(join(folder, name));
  const [conf, root] = [join(folder, "etc", "pmcd.conf"), join(folder, "pmns", "root")];
  writeFileSync(conf, "# agents\n");
  writeFileSync(root, "root {\n}\n");
  const install = (env: Readonly<Record<string, string>> = {}) =>
    run([process.execPath, main, "pmda-run", "trivial", "--install"], {
      env: {
        PCP_PMCDCONF_PATH: conf,
        PMNS_DEFAULT: root,
        PCP_RUN_DIR: join(folder, "run"),
        ...env,
      },
    });
  return { folder, conf, root, install };
}

test("a process that is no pmcd gets no signal", async () => {
  const { folder, conf, install } = places();
  const other = Bun.spawn(["sleep", "60"]);
  writeFileSync(join(folder, "run", "pmcd.pid"), `${other.pid}\n`);
  const { stdout, status } = await install();
  expect({ status, killed: other.signalCode }).toEqual({ status: 0, killed: null });
  expect(stdout).toContain("pmcd does not run here");
  expect(readFileSync(conf, "utf8")).toContain("trivial");
  other.kill();
  await other.exited;
});

test("a link stays a link, and what it leads to changes", async () => {
  const { folder, root, install } = places();
  const link = join(folder, "link");
  symlinkSync(root, link);
  expect((await install({ PMNS_DEFAULT: link })).status).toBe(0);
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(readFileSync(root, "utf8")).toContain("trivial");
});

test("what cannot be written is named, and nothing is left of it", async () => {
  const { folder, install } = places();
  const nowhere = join(folder, "etc", "pmcd.conf", "root");
  const { stderr, status } = await install({ PMNS_DEFAULT: nowhere });
  expect(status).toBe(1);
  expect(stderr).toContain(nowhere);
  expect(readdirSync(join(folder, "pmns"))).toEqual(["root"]);
});
