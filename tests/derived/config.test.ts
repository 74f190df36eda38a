// Goal: files of derived metrics are read as pmLoadDerivedConfig(3) reads them: the same metrics, the
// same texts, the same complaints with file, line and caret.
import { describe, expect, test } from "bun:test";
import { createDerivedSet, loadDerivedText, registerDerived } from "../../lib/derived/mod.ts";
import { PcpError, PM_ERR } from "../../lib/base/mod.ts";
import { PM_ID_NULL, pmIDStr, pmidBuild } from "../../lib/pcp/mod.ts";
import { configurationRows } from "./recorded.ts";

function load(text: string) {
  const set = createDerivedSet();
  const complaints: string[] = [];
  const count = loadDerivedText(set, text, "FILE", (message) => complaints.push(`${message}\n`));
  return { set, count, complaints: complaints.join("") };
}

describe("as libpcp", () => {
  test.each(configurationRows.map((row) => [row.text, row] as const))("%j", (text, row) => {
    const { set, count, complaints } = load(text);
    expect(complaints).toBe(row.complaints.replace(/^Semantic error: .*\n/gm, ""));
    expect(count).toBe(row.count);
    for (const [name, [oneline, help]] of Object.entries(row.names)) {
      const found = set.find(name);
      expect([found?.oneline ?? null, found?.help ?? found?.oneline ?? null]).toEqual([
        oneline ?? null,
        help ?? null,
      ]);
    }
  });
});

describe("other than libpcp", () => {
  test("the last line needs no newline", () => {
    expect(load("a = 1\nb = 2").count).toBe(2);
  });
  test("lines of white space are ignored, as the manual says", () => {
    expect(load("a = 1\n   \n\t\nb = 2\n")).toMatchObject({ count: 2, complaints: "" });
  });
});

describe("numbers and names", () => {
  test("PMIDs count from 511.0.3, item by item, cluster by cluster", () => {
    const set = createDerivedSet();
    for (let i = 0; i < 1100; i++) set.define(`m${i}`, "1");
    const pmid = (name: string) => pmIDStr(set.find(name)?.pmid ?? PM_ID_NULL);
    expect([pmid("event.flags"), pmid("m0"), pmid("m1020"), pmid("m1021"), pmid("m1099")]).toEqual([
      "511.0.1",
      "511.0.3",
      "511.0.1023",
      "511.1.1",
      "511.1.79",
    ]);
    const own = createDerivedSet("context");
    for (let i = 0; i < 1024; i++) own.define(`m${i}`, "1");
    expect(own.definitions.at(0)?.pmid).toBe(pmidBuild(511, 2047, 1023));
    expect(pmIDStr(own.definitions.at(1023)?.pmid ?? PM_ID_NULL)).toBe("511.2046.1023");
  });
  test("a name twice is refused with the message of the call", () => {
    const set = createDerivedSet();
    registerDerived(set, "der.a", "1");
    const message =
      'Error: pmRegisterDerivedMetric("der.a", ...)\n2\n^\nDuplicate global derived metric name\n';
    expect(() => registerDerived(set, "der.a", "2")).toThrow(
      new PcpError(PM_ERR.BADDERIVE, message),
    );
    expect(set.find("der.a")?.text).toBe("1");
  });
});
