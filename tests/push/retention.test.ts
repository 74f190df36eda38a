// Goal: pushed archives are removed by age and by size where that is configured, whole and the oldest first;
// what grows, what is pushed to another server and what is none of ours stays.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createPush, type Push, type PushSettings } from "../../lib/push/mod.ts";
import { waitUntil } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { labelOf, recorded, recordsOf, withHost } from "./pushing.ts";

const BASE = recorded("rec/v3-mv");
const DAY_MS = 86_400_000;
const opened: Push[] = [];
afterAll(() => Promise.all(opened.map((push) => push.close())));

function start(directory: string, settings: Partial<PushSettings>, tidyMs?: number) {
  const lines: string[] = [];
  const push = createPush({
    directory,
    settings: () => ({ freeBytes: 0, ...settings }),
    log: { write: (level, text) => void lines.push(`${level} ${text}`) },
    ...(tidyMs === undefined ? {} : { tidyMs }),
  });
  opened.push(push);
  return { push, lines };
}

/** Files of an archive, written to so many days ago, of 1000 bytes together. */
function made(folder: string, name: string, daysAgo: number, endings = ["meta", "index", "0"]) {
  mkdirSync(folder, { recursive: true });
  const at = (Date.now() - daysAgo * DAY_MS) / 1000;
  for (const [i, ending] of endings.entries()) {
    const path = join(folder, `${name}.${ending}`);
    writeFileSync(path, new Uint8Array(i === 0 ? 1000 : 0));
    utimesSync(path, at, at);
  }
}
const left = (folder: string): string[] => readdirSync(folder).toSorted();

test("nothing is removed by default", async () => {
  const directory = privateFolder("push-keep");
  made(join(directory, "h"), "20200101.00.10", 1000);
  const { push } = start(directory, {});
  await push.close();
  expect(left(join(directory, "h"))).toHaveLength(3);
  expect(push.status().removed).toBe(0);
});

test("by age: the last write counts, compressed volumes too", async () => {
  const directory = privateFolder("push-keep");
  made(join(directory, "h"), "20200101.00.10", 8);
  made(join(directory, "h"), "20200102.00.10", 8, ["meta.xz", "index", "0.zst", "1.xz"]);
  made(join(directory, "h"), "20200103.00.10-02", 8, ["meta", "index", "0"]);
  made(join(directory, "h"), "20200103.00.10-02", 6, ["1"]);
  made(join(directory, "i"), "20200104.00.10", 9);
  const { push, lines } = start(directory, { keepDays: 7 });
  await push.close();
  const stem = "20200103.00.10-02";
  expect(left(join(directory, "h"))).toEqual([0, 1, "index", "meta"].map((e) => `${stem}.${e}`));
  expect(left(join(directory, "i"))).toEqual([]);
  expect(push.status().removed).toBe(3);
  expect(lines).toEqual([`info ${directory}: 3 pushed archives removed, 3000 bytes`]);
});

test("by size: the oldest go first, whatever their hosts", async () => {
  const directory = privateFolder("push-keep");
  for (let i = 0; i < 6; i++) made(join(directory, `h${i % 2}`), `2020010${i}.00.10`, 10 - i);
  const { push } = start(directory, { keepBytes: 3500 });
  await push.close();
  const metas = ["h0", "h1"].flatMap((host) => left(join(directory, host)));
  expect(metas.filter((name) => name.endsWith(".meta")).toSorted()).toEqual([
    "20200103.00.10.meta",
    "20200104.00.10.meta",
    "20200105.00.10.meta",
  ]);
});

test("what grows, what is being pushed and what is not named as pushed archives are stays", async () => {
  const directory = privateFolder("push-keep");
  const folder = join(directory, "h");
  made(folder, "20200101.00.10", 0);
  made(folder, "20200101.00.11", 50);
  writeFileSync(join(folder, ".20200101.00.11.pushing"), "");
  for (const name of ["20200101", "mine", "20200101.00.12x", "x20200101.00.12"])
    made(folder, name, 50);
  made(folder, "20200101.00.13", 50, ["txt", "0.bak"]);
  made(directory, "20200101.00.14", 50);
  made(join(directory, ".hidden"), "20200101.00.15", 50);
  // A server that runs pushes it, as far as the mark tells.
  const first = start(directory, {});
  const outcome = await first.push.label(withHost(labelOf(`${BASE}.meta`), "h"), undefined);
  if (outcome.status !== 200) throw new Error(`${outcome.status}`);
  const [record = new Uint8Array()] = recordsOf(`${BASE}.0`);
  await first.push.append(outcome.archive, { kind: "volume", volume: 0 }, record);
  for (const name of readdirSync(folder))
    if (/-0|^20(?!200101)/.test(name)) utimesSync(join(folder, name), 1, 1);
  const before = left(folder);
  const second = start(directory, { keepDays: 1, keepBytes: 1 });
  await second.push.close();
  // The mark without a server is mended, and is looked at the next time.
  const gone = (name: string): boolean => name.startsWith(".20200101.00.11");
  expect(left(folder).filter((name) => !name.includes("00.11"))).toEqual(
    before.filter((name) => !gone(name) && !name.includes("00.11")),
  );
  expect(left(join(directory, ".hidden"))).toHaveLength(3);
  expect(statSync(join(directory, "20200101.00.14.meta")).size).toBe(1000);
});

test("it is looked again and again, and settings may change", async () => {
  const directory = privateFolder("push-keep");
  made(join(directory, "h"), "20200101.00.10", 2);
  const settings = { keepDays: 3 };
  const { push } = start(directory, settings, 5);
  await Bun.sleep(30);
  expect(left(join(directory, "h"))).toHaveLength(3);
  settings.keepDays = 1;
  expect(await waitUntil(() => left(join(directory, "h")).length === 0)).toBe(true);
  expect(push.status().removed).toBe(1);
});
