// Goal: handles count and the current context moves as with pmNewContext, pmDupContext, pmUseContext,
// pmWhichContext, pmDestroyContext and pmReconnectContext of libpcp 7.2, but for its broken slot.
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { type ContextSpec, createContextTable } from "../../lib/context/mod.ts";
import { createDerivedSet } from "../../lib/derived/mod.ts";
import { MAX_CONTEXTS } from "../../lib/context/table.ts";
import { startFakePmcd } from "../helpers/fakepmcd.ts";
import { freePort } from "../helpers/ports.ts";
import { codeOf } from "./codes.ts";

const recording = join(import.meta.dir, "../fixtures/archives/rec/v3-types");
const archive: ContextSpec = { type: "archive", archive: recording };
const missing: ContextSpec = { type: "archive", archive: "/no/such/archive" };
const tables: ReturnType<typeof createContextTable>[] = [];
afterAll(async () => {
  for (const table of tables) await table.close();
});
const newTable = () => {
  const table = createContextTable({ derived: createDerivedSet() });
  tables.push(table);
  return table;
};

const { NOCONTEXT, GENERIC } = PM_ERR;

test("the steps of a program, as libpcp counts them", async () => {
  const table = newTable();
  expect(await codeOf(() => table.which())).toBe(NOCONTEXT);
  const nobody: ContextSpec = { type: "host", host: `127.0.0.1:${await freePort()}` };
  expect(await codeOf(() => table.open(missing))).toBe(-2);
  expect(await codeOf(() => table.open(nobody, { env: {} }))).toBe(-111);
  expect(await codeOf(() => table.open({ type: "host", host: "a:x" }))).toBe(GENERIC);
  expect(await codeOf(() => table.which())).toBe(NOCONTEXT);
  expect(await table.open(archive)).toBe(3);
  expect(await codeOf(() => table.open(missing))).toBe(-2);
  expect(table.which()).toBe(3);
  expect(await table.duplicate()).toBe(5);
  expect(table.which()).toBe(5);
  for (const handle of [4, 99, -1]) expect(await codeOf(() => table.use(handle))).toBe(NOCONTEXT);
  table.use(3);
  expect(table.context().type).toBe("archive");
  await table.destroy(3);
  for (const call of [
    () => table.which(),
    () => table.use(3),
    () => table.destroy(3),
    () => table.destroy(77),
    () => table.duplicate(),
    () => table.context(),
    () => table.context(3),
    () => table.reconnect(3),
  ])
    expect(await codeOf(call)).toBe(NOCONTEXT);
  expect(await table.reconnect(5)).toBe(5);
  expect(await codeOf(() => table.which())).toBe(NOCONTEXT);
  expect(await table.open(archive)).toBe(6);
  const strange = { type: "carrier pigeon" } as unknown as ContextSpec;
  expect(await codeOf(() => table.open(strange))).toBe(NOCONTEXT);
  expect(table.which()).toBe(6);
  expect(await table.open(archive)).toBe(8);
  expect(table.handles).toEqual([5, 6, 8]);
});

test("hosts and local contexts in one table; closing all", async () => {
  const pmcd = await startFakePmcd();
  const table = newTable();
  try {
    const host = { type: "host", host: `127.0.0.1:${pmcd.port}` } as const;
    expect(await table.open(host, { env: {} })).toBe(0);
    expect(await table.open({ type: "local" })).toBe(1);
    expect(await table.reconnect(0)).toBe(0);
    expect(table.which()).toBe(1);
    expect(table.context(0).name).toBe(host.host);
    table.use(0);
    expect(await table.duplicate()).toBe(2);
    await pmcd.stop();
    expect(await codeOf(() => table.reconnect(2))).toBe(-110);
    const kept = table.context(0);
    await table.close();
    expect(table.handles).toEqual([]);
    expect(await codeOf(() => kept.traverse(""))).toBe(NOCONTEXT);
  } finally {
    await pmcd.stop();
  }
});

test("handles are given in the order of the calls, not of the answers; no more than so many", async () => {
  const waiting: (() => void)[] = [];
  const one = await newTable()
    .open(archive)
    .then(() => tables.at(-1)?.context());
  if (one === undefined) throw new Error("no context");
  const table = createContextTable({
    derived: "none",
    open: async () => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return one;
    },
  });
  const [first, second] = [table.open(archive), table.open(archive)];
  waiting[1]?.();
  expect(await second).toBe(1);
  expect(table.which()).toBe(1);
  waiting[0]?.();
  expect(await first).toBe(0);
  expect(table.which()).toBe(0);
  const full = createContextTable({ derived: "none", open: async () => one });
  for (let i = 0; i < MAX_CONTEXTS; i++) await full.open(archive);
  expect(await codeOf(() => full.open(archive))).toBe(PM_ERR.TOOBIG);
});
