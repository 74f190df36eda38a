// Goal: archives that loggers push become proper files, whatever comes between: names, volumes, several
// bodies at once, life times, bounds, disks that are full, files that somebody else touched (spec
// webapi.md 18).
import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openArchives } from "../../lib/archive/mod.ts";
import { createPush, type Push, type PushSettings } from "../../lib/push/mod.ts";
import { describePeer } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { labelOf, recorded, recordsOf, withHost } from "./pushing.ts";

const V3 = recorded("rec/v3-mv");
const LABEL = labelOf(`${V3}.meta`);
const opened: Push[] = [];
afterAll(() => Promise.all(opened.map((push) => push.close())));

/** A Push into a folder of its own; its log, and the archives that it told of. */
function start(settings: Partial<PushSettings> = {}, more: { directory?: string } = {}) {
  const directory = more.directory ?? join(privateFolder("push"), "pushed");
  const lines: string[] = [];
  const told: string[] = [];
  const clock = { now: 0 };
  const push = createPush({
    directory,
    settings: () => ({ freeBytes: 0, ...settings }),
    log: { write: (level, text) => void lines.push(`${level} ${text}`) },
    onArchive: (base) => void told.push(base),
    now: () => clock.now,
  });
  opened.push(push);
  return { push, directory, lines, told, clock };
}

async function begin(push: Push, label = LABEL, lifeMs?: number): Promise<number> {
  const outcome = await push.label(label, lifeMs);
  if (outcome.status !== 200) throw new Error(`label: ${outcome.status}`);
  return outcome.archive;
}

/** Pushes a recorded archive, volume after volume; waits for each body. */
async function pushWhole(push: Push, archive: number, base: string): Promise<void> {
  const statuses = new Set<number>();
  const put = async (kind: "meta" | "index", path: string): Promise<void> => {
    for (const record of recordsOf(path))
      statuses.add(await push.append(archive, { kind }, record));
  };
  await put("meta", `${base}.meta`);
  for (let volume = 0; existsSync(`${base}.${volume}`); volume++)
    for (const record of recordsOf(`${base}.${volume}`))
      statuses.add(await push.append(archive, { kind: "volume", volume }, record));
  await put("index", `${base}.index`);
  expect([...statuses]).toEqual([200]);
}

const host = (directory: string): string =>
  readdirSync(directory).find((name) => !name.startsWith(".")) ?? "";
const filesOf = (directory: string): string[] => {
  const folder = join(directory, host(directory));
  return readdirSync(folder)
    .filter((name) => !name.startsWith("."))
    .toSorted();
};

test.each(["rec/v3-mv", "rec/v2-mv", "rec/v3-labels-721", "gen/y2200-v3"])(
  "%s is the same after it was pushed",
  async (name) => {
    const { push, directory, told } = start();
    const base = recorded(name);
    await pushWhole(push, await begin(push, labelOf(`${base}.meta`)), base);
    await push.close();
    const [first = ""] = told;
    expect(told).toHaveLength(1);
    expect(first.startsWith(`${directory}/`)).toBe(true);
    for (const file of filesOf(directory)) {
      const ending = file.slice(file.lastIndexOf("."));
      expect(readFileSync(first + ending).equals(readFileSync(base + ending))).toBe(true);
    }
    expect(readdirSync(join(directory, host(directory))).some((n) => n.startsWith("."))).toBe(
      false,
    );
  },
);

test("names are made of the start, and numbered when they are taken", async () => {
  const { push, directory } = start();
  for (let i = 0; i < 3; i++) await begin(push, withHost(LABEL, "web-1.example_x"));
  const names = filesOf(directory).filter((name) => name.endsWith(".meta"));
  expect(host(directory)).toBe("web-1.example_x");
  const stem = /^\d{8}\.\d\d\.\d\d/.exec(names[0] ?? "")?.[0] ?? "none";
  expect(names).toEqual([`${stem}-01.meta`, `${stem}-02.meta`, `${stem}.meta`]);
});

test("archives that begin at the same time have names of their own", async () => {
  const { push, directory } = start();
  const other = start({}, { directory });
  const all = Array.from({ length: 20 }, (_, i) =>
    begin(i % 2 === 0 ? push : other.push, withHost(LABEL, "h")),
  );
  await Promise.all(all);
  expect(filesOf(directory).filter((name) => name.endsWith(".meta"))).toHaveLength(20);
});

test("a name is taken by any file of an archive, also a compressed one; after 100 it is 409", async () => {
  const { push, directory } = start();
  await begin(push, withHost(LABEL, "h"));
  const folder = join(directory, "h");
  const stem = filesOf(directory)[0]?.replace(".index", "") ?? "";
  for (let i = 1; i < 100; i++)
    writeFileSync(join(folder, `${stem}-${String(i).padStart(2, "0")}.0.zst`), "");
  expect(await push.label(withHost(LABEL, "h"), undefined)).toEqual({ status: 409 });
});

test.each([
  ["", "hostname: "],
  [".x", "hostname: .x"],
  ["../x", "hostname: ../x"],
  ["a/b", "hostname: a/b"],
  ["a b", "hostname: a b"],
  ["é", "hostname: é"],
])("host %j is refused", async (name, said) => {
  const { push, directory, lines } = start();
  expect(await push.label(withHost(LABEL, name), undefined)).toEqual({ status: 400 });
  expect(lines).toEqual([`error Rejecting archive with unsafe ${said}`]);
  expect(existsSync(directory)).toBe(false);
});

test("what is no label is refused", async () => {
  const { push } = start();
  const changed = (at: number, value: number): Uint8Array => {
    const bytes = Uint8Array.from(LABEL);
    bytes[at] = value;
    return bytes;
  };
  expect(await push.label(LABEL.subarray(1), undefined)).toEqual({ status: 400 });
  for (const at of [0, 4, 7, 805])
    expect(await push.label(changed(at, 0x7f), undefined)).toEqual({ status: 422 });
  // A time zone that leads elsewhere, and a year that has no name.
  const zone = Uint8Array.from(LABEL);
  zone.set(Buffer.from("../etc"), 292);
  expect(await push.label(zone, undefined)).toEqual({ status: 400 });
  expect(await push.label(changed(17, 0x7f), undefined)).toEqual({ status: 400 });
});

test("bodies of one archive follow each other, those of others do not wait", async () => {
  const { push, directory } = start();
  const records = recordsOf(`${V3}.0`);
  const archives = [
    await begin(push, withHost(LABEL, "a")),
    await begin(push, withHost(LABEL, "b")),
  ];
  const target = { kind: "volume", volume: 0 } as const;
  const all = records.flatMap((record) => archives.map((one) => push.append(one, target, record)));
  expect(new Set(await Promise.all(all))).toEqual(new Set([200]));
  for (const each of ["a", "b"]) {
    const folder = join(directory, each);
    const file = readdirSync(folder).find((name) => name.endsWith(".0")) ?? "";
    expect(recordsOf(join(folder, file))).toEqual(records);
  }
});

test("an archive ends without requests, and with reset", async () => {
  const { push, clock } = start({ workMs: 1 });
  const meta = { kind: "meta" } as const;
  const [record = LABEL] = recordsOf(`${V3}.meta`);
  const short = await begin(push, withHost(LABEL, "s"), 500);
  const long = await begin(push, withHost(LABEL, "l"));
  clock.now = 400;
  expect(await push.append(short, meta, record)).toBe(200);
  clock.now = 800;
  expect(await push.append(short, meta, record)).toBe(200);
  clock.now = 1400;
  expect(await push.append(short, meta, record)).toBe(410);
  expect(await push.append(long, meta, record)).toBe(200);
  push.reset();
  expect(await push.append(long, meta, record)).toBe(410);
  expect(push.status().archives).toBe(0);
});

test("bounds: archives, bodies, volumes, and bodies without anything", async () => {
  const { push } = start({ archives: 1, bodyBytes: 100 });
  const archive = await begin(push);
  expect(await push.label(LABEL, undefined)).toEqual({ status: 503 });
  const put = (bytes: number, volume = 0) =>
    push.append(archive, { kind: "volume", volume }, new Uint8Array(bytes));
  expect(await put(0)).toBe(400);
  expect(await put(101)).toBe(500);
  expect(await put(4, 5000)).toBe(500);
  expect(await push.append(archive + 1, { kind: "meta" }, new Uint8Array(4))).toBe(410);
  expect(await put(100)).toBe(200);
});

test("a volume that is there is not written to, a file that was touched ends the archive", async () => {
  const { push, directory } = start();
  const [record = LABEL] = recordsOf(`${V3}.0`);
  const volume = (number: number) => ({ kind: "volume", volume: number }) as const;
  const archive = await begin(push, withHost(LABEL, "h"));
  const folder = join(directory, "h");
  const stem = filesOf(directory)[0]?.replace(".index", "") ?? "";
  expect(await push.append(archive, volume(0), record)).toBe(200);
  writeFileSync(join(folder, `${stem}.1`), "mine");
  expect(await push.append(archive, volume(1), record)).toBe(500);
  expect(readFileSync(join(folder, `${stem}.1`), "utf8")).toBe("mine");
  expect(await push.append(archive, volume(0), record)).toBe(410);

  const second = await begin(push, withHost(LABEL, "h"));
  expect(await push.append(second, volume(0), record)).toBe(200);
  appendFileSync(join(folder, `${stem}-01.0`), "x");
  expect(await push.append(second, volume(0), record)).toBe(410);

  const third = await begin(push, withHost(LABEL, "h"));
  rmSync(join(folder, `${stem}-02.meta`));
  symlinkSync(join(folder, `${stem}.1`), join(folder, `${stem}-02.meta`));
  expect([410, 500]).toContain(await push.append(third, { kind: "meta" }, record));
  expect(readFileSync(join(folder, `${stem}.1`), "utf8")).toBe("mine");
});

test("a feed gets the records, with files or in their place", async () => {
  const directory = join(privateFolder("push"), "pushed");
  let cached = false;
  const got: string[] = [];
  const push = createPush({
    directory,
    settings: () => ({ cached, freeBytes: 0 }),
    log: { write: () => undefined },
    feed: {
      open: ({ name, label }) => {
        got.push(`open ${label.host} ${name.startsWith("/")}`);
        return {
          meta: async (bytes) => void got.push(`meta ${bytes.length}`),
          data: async (bytes) => {
            if (bytes.length === 7) throw new Error("away");
            got.push(`data ${bytes.length}`);
          },
          close: async () => void got.push("close"),
        };
      },
    },
  });
  opened.push(push);
  const put = async (kind: "meta" | "index" | "volume", archive: number, bytes: number) =>
    push.append(archive, kind === "volume" ? { kind, volume: 0 } : { kind }, new Uint8Array(bytes));
  const filed = await begin(push, withHost(LABEL, "filed"));
  await put("meta", filed, 5);
  await put("index", filed, 6);
  // The key server is away: the files are what counts.
  expect(await put("volume", filed, 7)).toBe(200);
  cached = true;
  const only = await begin(push, withHost(LABEL, "only"));
  expect(await put("index", only, 6)).toBe(200);
  expect(await put("meta", only, 5)).toBe(200);
  expect(await put("volume", only, 8)).toBe(200);
  expect(await put("volume", only, 7)).toBe(500);
  await push.close();
  expect(existsSync(join(directory, "only"))).toBe(false);
  expect(got.toSorted()).toEqual(
    [
      "open filed true",
      "meta 5",
      "open only false",
      "meta 5",
      "data 8",
      "close",
      "close",
    ].toSorted(),
  );
});

test("what a killed server left is cut to whole records", async () => {
  const first = start();
  const archive = await begin(first.push, withHost(LABEL, "h"));
  await pushWhole(first.push, archive, V3);
  const folder = join(first.directory, "h");
  const stem = join(folder, filesOf(first.directory)[0]?.replace(/\.0$/, "") ?? "");
  const endings = ["0", "1", "2", "3", "meta", "index"].filter((e) => existsSync(`${stem}.${e}`));
  const before = endings.map((ending) => readFileSync(`${stem}.${ending}`).length);
  for (const ending of endings) appendFileSync(`${stem}.${ending}`, new Uint8Array([0, 0, 1]));
  // Another archive that nobody is pushing is none of its business.
  writeFileSync(join(folder, "other.meta"), "xyz");
  // A copy is nobody's.
  const copy = join(privateFolder("push-copy"), "pushed");
  cpSync(first.directory, copy, { recursive: true });
  const second = start({}, { directory: copy });
  await begin(second.push, withHost(LABEL, "i"));
  const mended = stem.replace(first.directory, copy);
  const after = endings.map((ending) => readFileSync(`${mended}.${ending}`).length);
  expect(after).toEqual(before);
  expect(second.lines).toHaveLength(endings.length);
  expect(readFileSync(join(copy, "h", "other.meta"), "utf8")).toBe("xyz");
  expect(openArchives(mended).label.host).toBe("h");
});

test("there is room that is left alone", async () => {
  const { push } = start({ freeBytes: Number.MAX_SAFE_INTEGER });
  expect(await push.label(LABEL, undefined)).toEqual({ status: 500 });
});

describePeer("root", "a full disk", () => {
  test("500, the files end with the last whole body, and work goes on when there is room", async () => {
    const folder = privateFolder("push-full");
    mkdirSync(join(folder, "disk"));
    await must(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", join(folder, "disk")]);
    try {
      const directory = join(folder, "disk", "pushed");
      const { push } = start({ syncMs: 0 }, { directory });
      const archive = await begin(push, withHost(LABEL, "h"));
      const big = new Uint8Array(50_000);
      const target = { kind: "volume", volume: 0 } as const;
      let taken = 0;
      let status = 200;
      while (status === 200) {
        status = await push.append(archive, target, big);
        if (status === 200) taken += 1;
      }
      expect([status, taken > 0]).toEqual([500, true]);
      expect(await push.append(archive, target, big)).toBe(410);
      const [file = ""] = filesOf(directory).filter((name) => name.endsWith(".0"));
      const path = join(directory, "h", file);
      expect(readFileSync(path).length).toBe(LABEL.length + taken * big.length);
      rmSync(path);
      expect(await push.append(await begin(push, withHost(LABEL, "h")), target, big)).toBe(200);
      await push.close();
    } finally {
      await must(["umount", "-l", join(folder, "disk")]);
    }
  });
});
