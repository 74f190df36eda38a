// Goal: directories are made with the mode asked for, as deep as need be, and those that are there stay.
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeDirectory } from "../../lib/base/mod.ts";
import { privateFolder } from "../helpers/process.ts";
import { thrown } from "../helpers/rejected.ts";

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test("directories are made, with those above", async () => {
  const folder = privateFolder("durable");
  const deep = join(folder, "a", "b", "c");
  const mask = process.umask(0o077);
  try {
    await makeDirectory(deep, 0o775);
  } finally {
    process.umask(mask);
  }
  expect(modeOf(deep)).toBe(0o775);
});

test("one that is there keeps its mode, and what is in the way is an error", async () => {
  const folder = privateFolder("durable");
  mkdirSync(join(folder, "a"));
  chmodSync(join(folder, "a"), 0o700);
  await makeDirectory(join(folder, "a"), 0o775);
  expect(modeOf(join(folder, "a"))).toBe(0o700);
  writeFileSync(join(folder, "file"), "");
  expect(await thrown(makeDirectory(join(folder, "file", "b"), 0o775))).toThrow("ENOTDIR");
});
