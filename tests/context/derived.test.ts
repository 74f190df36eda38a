// Goal: a context with derived metrics answers as libpcp does: names come last and only when they
// bind, texts, fetches in any order and mixture, metrics of one context alone, duplicates,
// reconnection, files of definitions.
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { type Context, openArchiveContext, PM_MODE } from "../../lib/context/mod.ts";
import {
  derivedPaths,
  globalDerived,
  loadDerivedConfig,
} from "../../lib/context/derived-config.ts";
import { withDerived } from "../../lib/context/derived.ts";
import { mergeChildren, mergeNames } from "../../lib/context/derived-names.ts";
import { createDerivedSet } from "../../lib/derived/mod.ts";
import { PM_ID_NULL, PM_LABEL, type Pmid, pmIDStr } from "../../lib/pcp/mod.ts";
import { FOLDER } from "../derived/recorded.ts";
import { thrown } from "../helpers/rejected.ts";

const ARCHIVE = join(FOLDER, "derived");

async function open(definitions: Readonly<Record<string, string>>) {
  const set = createDerivedSet();
  for (const [name, text] of Object.entries(definitions)) set.define(name, text);
  const told: string[] = [];
  const warn = (message: string): void => void told.push(message);
  const inner = await openArchiveContext(ARCHIVE, { env: {} });
  return { set, told, inner, context: withDerived(inner, set, { warn }) };
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  try {
    await call;
    return 0;
  } catch (error) {
    if (error instanceof PcpError) return error.code;
    throw error;
  }
}

const pmidOf = async (context: Context, name: string): Promise<Pmid> =>
  (await context.lookupNames([name])).pmids[0] ?? PM_ID_NULL;

const DEFINITIONS = {
  "der.a": "s.u32.instant",
  "der.sub.b": "s.u32.instant",
  "s.u32.extra": "s.u32.instant",
  aaa: "u.byte",
  "s.new.x": "u.byte",
  "der.bad": "nope+1",
  "onlybad.x": "nope",
  "s.u32.instant": "u.byte",
};

describe("names", () => {
  test("derived names come last on their level, those that do not bind not at all", async () => {
    const { context, told } = await open(DEFINITIONS);
    const all = await context.traverse("");
    expect(all.slice(-5)).toEqual(["event.flags", "event.missed", "der.a", "der.sub.b", "aaa"]);
    expect(await context.traverse("s.u32")).toEqual([
      "s.u32.discrete",
      "s.u32.instant",
      "s.u32.counter",
      "s.u32.extra",
    ]);
    expect(await context.traverse("der.sub")).toEqual(["der.sub.b"]);
    expect(await codeOf(context.traverse("onlybad"))).toBe(PM_ERR.NAME);
    expect(told).toEqual([
      "Semantic error: derived metric der.bad: operand nope: Unknown operand metric",
      "Semantic error: derived metric onlybad.x: operand nope: Unknown operand metric",
    ]);
    expect((await context.children("")).names.slice(-3)).toEqual(["event", "der", "aaa"]);
    expect(await context.children("der")).toEqual({ names: ["a", "sub"], statuses: [0, 1] });
    expect((await context.children("s")).names.at(-1)).toBe("new");
    expect(await context.children("aaa")).toEqual({ names: [], statuses: [] });
    expect(await codeOf(context.children("onlybad"))).toBe(PM_ERR.NAME);
    await context.close();
  });

  test("look-ups find both kinds, and a metric of the source hides a derived one", async () => {
    const { context } = await open(DEFINITIONS);
    const { pmids, resolved } = await context.lookupNames(["der.bad", "nope", "s.u32.instant"]);
    expect(pmids.map(pmIDStr)).toEqual(["511.0.8", "PM_ID_NULL", "245.0.5"]);
    expect(resolved).toBe(2);
    expect(await codeOf(context.lookupNames(["der"]))).toBe(PM_ERR.NAME);
    expect(await context.namesOf(await pmidOf(context, "der.a"))).toEqual(["der.a"]);
    expect(await codeOf(context.desc(await pmidOf(context, "der.bad")))).toBe(PM_ERR.BADDERIVE);
    const mixed = await context.descs([pmids[0] as Pmid, pmids[2] as Pmid, pmids[1] as Pmid]);
    expect(mixed.map((desc) => pmIDStr(desc.pmid))).toEqual([
      "PM_ID_NULL",
      "245.0.5",
      "PM_ID_NULL",
    ]);
    await context.close();
  });

  test("merging keeps the order of both", () => {
    expect(mergeNames(["b.x", "b.y", "a"], ["b.z", "c", "b.x"])).toEqual([
      "b.x",
      "b.y",
      "b.z",
      "a",
      "c",
    ]);
    expect(mergeChildren("b", undefined, ["b.c.d", "b.c.e"])).toEqual({
      names: ["c"],
      statuses: [1],
    });
  });
});

describe("texts and labels", () => {
  test("texts are those of the definition; the one line stands in for the other", async () => {
    const { context, set } = await open({ "der.a": "1", "der.b": "1" });
    Object.assign(set.find("der.a") ?? {}, { oneline: "short" });
    Object.assign(set.find("der.b") ?? {}, { help: "long" });
    const [a, b] = [await pmidOf(context, "der.a"), await pmidOf(context, "der.b")];
    expect(await context.text("metric", a, "help")).toBe("short");
    expect(await codeOf(context.text("metric", a, "help", true))).toBe(PM_ERR.TEXT);
    expect(await context.text("metric", b, "help")).toBe("long");
    expect(await codeOf(context.text("metric", b, "oneline"))).toBe(PM_ERR.TEXT);
    expect(await context.labels(PM_LABEL.ITEM, a)).toEqual([]);
    await context.close();
  });
});

describe("fetches", () => {
  test("values come in the order of the request, what was fetched along does not", async () => {
    const { context } = await open({ sum: "u.kbyte + u.byte", half: "u.byte / 2" });
    const names = ["half", "s.string.instant", "sum", "i.u32.instant", "half", "s.double.instant"];
    const { pmids } = await context.lookupNames(names);
    const { result } = await context.fetch(pmids);
    const seen: string[] = [];
    for (const set = result.sets(); set.next();) {
      seen.push(`${pmIDStr(set.pmid)} ${set.numval}`);
    }
    expect(seen).toEqual(
      pmids.map((pmid, i) => `${pmIDStr(pmid)} ${names[i] === "i.u32.instant" ? 6 : 1}`),
    );
    await context.close();
  });

  test("a metric that does not bind keeps what the source says", async () => {
    const { context } = await open({ bad: "nope" });
    const { pmids } = await context.lookupNames(["bad", "s.u32.instant"]);
    const { result } = await context.fetch(pmids);
    expect(result.find(pmids[0] as Pmid)?.numval).toBe(0);
    await context.close();
  });

  test("the last values stay when the mode is set, and other fetches do not touch them", async () => {
    const { context } = await open({ change: "delta(s.u32.counter)" });
    const { pmids } = await context.lookupNames(["change", "s.u32.counter"]);
    const start = { sec: 1_000_000_000, nsec: 0 };
    const change = async (): Promise<bigint | undefined> => {
      const set = (await context.fetch(pmids)).result.sets();
      set.next();
      return set.numval < 1 ? undefined : set.view.getBigInt64(set.block(0) + 4);
    };
    expect([await change(), await change(), await change()]).toEqual([
      undefined,
      4294967285n,
      -4294967287n,
    ]);
    context.setMode(PM_MODE.FORW, start);
    expect([await change(), await change()]).toEqual([2n, 4294967285n]);
    await context.fetch([pmids[1] as Pmid]);
    await context.fetch([pmids[1] as Pmid]);
    expect(await change()).toBe(5n);
    await context.reconnect();
    expect(await change()).toBeUndefined();
    await context.close();
  });

  test("calls keep their order, those of the mode too", async () => {
    const { context } = await open({ x: "s.u32.instant * 1" });
    const { pmids } = await context.lookupNames(["x"]);
    const first = context.fetch(pmids);
    context.setMode(PM_MODE.BACK, { sec: 1_000_000_014, nsec: 0 });
    const second = context.fetch(pmids);
    expect((await first).result.timestamp.sec).toBe(1_000_000_000);
    expect((await second).result.timestamp.sec).toBe(1_000_000_013);
    await context.close();
    expect(await codeOf(context.fetch(pmids))).toBe(PM_ERR.NOCONTEXT);
  });
});

describe("metrics of one context", () => {
  test("have numbers of their own, hide global ones, and are not duplicated", async () => {
    const { context } = await open({ "der.a": "1" });
    await context.addDerived("ctx.a", "s.u32.instant");
    await context.addDerived("der.a", "2");
    expect(pmIDStr(await pmidOf(context, "ctx.a"))).toBe("511.2047.1023");
    expect(pmIDStr(await pmidOf(context, "der.a"))).toBe("511.2047.1022");
    const second = await context.duplicate();
    expect(await codeOf(second.lookupNames(["ctx.a"]))).toBe(PM_ERR.NAME);
    expect(pmIDStr(await pmidOf(second, "der.a"))).toBe("511.0.3");
    await second.close();
    await context.close();
  });

  test.each([
    [
      "1+",
      'Syntax Error: pmAddDerivedMetric("ctx.x", ...)\n1+\n ^\nArithmetic expression expected to follow PLUS\n',
    ],
    ["nope", 'Semantic Error: pmAddDerivedMetric("ctx.x", ...)\nnope\n^\nUnknown operand metric\n'],
    [
      "1+u.byte+der.a",
      'Semantic Error: pmAddDerivedMetric("ctx.x", ...)\n1+u.byte+der.a\n^\nDimensions are not the same\n',
    ],
    [
      "der.a",
      'Semantic Error: pmAddDerivedMetric("ctx.x", ...)\nder.a\n^\nIllegal nested derived metric\n',
    ],
  ])("%s is refused", async (text, message) => {
    const { context } = await open({ "der.a": "1" });
    expect(await thrown(context.addDerived("ctx.x", text))).toThrow(
      new PcpError(PM_ERR.BADDERIVE, message),
    );
    await context.close();
  });

  test("a name twice is refused", async () => {
    const { context } = await open({});
    await context.addDerived("ctx.x", "1");
    const message = `Error: pmAddDerivedMetric("ctx.x", ...): returns ${PM_ERR.BADDERIVE}\nDuplicate per-context derived metric name\n`;
    expect(await thrown(context.addDerived("ctx.x", "1"))).toThrow(
      new PcpError(PM_ERR.BADDERIVE, message),
    );
    await context.close();
  });

  test("a global metric that is registered late is there", async () => {
    const { context, set } = await open({});
    expect(await codeOf(context.lookupNames(["late"]))).toBe(PM_ERR.NAME);
    set.define("late", "s.u32.instant");
    expect(pmIDStr(await pmidOf(context, "late"))).toBe("511.0.3");
    await context.close();
  });
});

describe("files", () => {
  test("are looked for where PCP looks", () => {
    expect(derivedPaths({ PCP_DERIVED_CONFIG: "" })).toEqual([]);
    expect(derivedPaths({ PCP_DERIVED_CONFIG: "/a:/b" })).toEqual(["/a", "/b"]);
    expect(derivedPaths({})).toEqual(["/var/lib/pcp/config/derived"]);
  });
  test("are read by name, with all folders below; what cannot be read is told", () => {
    const folder = mkdtempSync(join(tmpdir(), "derived-"));
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "z.conf"), "z = 1\n");
    writeFileSync(join(folder, "sub/a.conf"), "a = 1\na = 2\n");
    const told: string[] = [];
    const set = createDerivedSet();
    const paths = [folder, join(folder, "missing")];
    expect(loadDerivedConfig(set, paths, (message) => told.push(message))).toBe(2);
    expect(set.definitions.map(({ name }) => name)).toEqual([
      "event.flags",
      "event.missed",
      "a",
      "z",
    ]);
    expect(told).toHaveLength(2);
    expect(told[0]).toStartWith(`Warning: derived metrics path component: ${folder}/missing: `);
    expect(globalDerived(() => undefined, { PCP_DERIVED_CONFIG: folder }).find("z")).toBeDefined();
  });
});
