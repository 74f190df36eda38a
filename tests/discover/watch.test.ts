// Goal: a directory whose files grow all the time wakes nobody more often than it is looked at, and no
// change is lost for that.
import { expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { watchBySystem, watchFolders } from "../../lib/discover/watch.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";

const log = (): void => undefined;

test("the system tells of a directory once between two looks", async () => {
  const folder = privateFolder("watch");
  const file = join(folder, "growing");
  writeFileSync(file, "");
  let asked = 0;
  const told: string[] = [];
  const watch = watchFolders({
    changed: (each) => void told.push(each),
    log,
    polling: false,
    watchFolder: (...all) => {
      asked += 1;
      return watchBySystem(...all);
    },
  });
  try {
    for (let look = 1; look <= 3; look++) {
      watch.add(folder);
      watch.add(folder);
      for (let i = 0; i < 20; i++) {
        appendFileSync(file, "x");
        await Bun.sleep(1);
      }
      expect(await waitUntil(() => told.length === look)).toBe(true);
      expect([asked, watch.modeOf(folder), watch.polled]).toEqual([look, "inotify", 0]);
    }
    expect(told).toEqual([folder, folder, folder]);
  } finally {
    watch.close();
  }
  watch.add(folder);
  expect(watch.folders).toBe(0);
});

test("one that fails while it is watched is polled from then on", () => {
  const folder = privateFolder("watch");
  const told: string[] = [];
  const said: string[] = [];
  let fail: (error: Error) => void = () => undefined;
  let closed = 0;
  const watch = watchFolders({
    changed: (each) => void told.push(each),
    log: (level, text) => void said.push(`${level} ${text}`),
    polling: false,
    watchFolder: (_folder, _changed, failed) => {
      fail = failed;
      return { close: () => void (closed += 1) };
    },
  });
  watch.add(folder);
  fail(new Error("no more"));
  fail(new Error("again"));
  watch.add(folder);
  expect([told, closed, watch.modeOf(folder), watch.polled]).toEqual([[folder], 1, "polling", 1]);
  expect(said).toEqual([`warning discovery: ${folder} is polled for changes: no more`]);
  watch.close();
});
