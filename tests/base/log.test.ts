// Goal: log lines have PCP's form, one line each whatever a client sends; JSON lines parse; the level
// filters; a sink that refuses lines is survived and told; a rotated file is opened again.

import { expect, test } from "bun:test";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import {
  createLog,
  ctime,
  ctimeShort,
  fileSink,
  LOG_TEXT_LIMIT,
  type LogSink,
  oneLine,
} from "../../lib/base/mod.ts";
import { privateFolder } from "../helpers/process.ts";

const at = new Date(2026, 10, 1, 9, 8, 7);
const now = (): Date => at;

function collecting(): { lines: string[]; sink: LogSink } {
  const lines: string[] = [];
  return { lines, sink: { write: (line) => lines.push(line) > 0 } };
}

test("times in ctime's form, the day padded with a blank", () => {
  expect(ctime(at)).toBe("Sun Nov  1 09:08:07 2026");
  expect(ctimeShort(new Date(2026, 0, 21, 23, 59, 59))).toBe("Wed Jan 21 23:59:59");
  expect(ctime(new Date(Number.NaN))).toEndWith(" 1970");
});

test("PCP's line form for every level", () => {
  const { lines, sink } = collecting();
  const log = createLog({ program: "pmproxy", pid: 42, sink, level: "debug", now });
  for (const level of ["debug", "info", "warning", "error", "critical"] as const)
    log[level]("text");
  expect(lines).toEqual(
    ["Debug", "Info", "Warning", "Error", "Critical"].map(
      (name) => `[Sun Nov  1 09:08:07] pmproxy(42) ${name}: text\n`,
    ),
  );
});

test("quieter levels are left out, plain text is not", () => {
  const { lines, sink } = collecting();
  const log = createLog({ program: "p", pid: 1, sink, level: "error", now });
  log.info("no");
  log.warning("no");
  log.plain("head\n\nrow");
  log.error("yes");
  expect(lines).toEqual(["head\n\nrow\n", "[Sun Nov  1 09:08:07] p(1) Error: yes\n"]);
  expect(log.enabled("info")).toBe(false);
});

test("a message is one line of bounded length", () => {
  expect(oneLine("a\r\n[Sun] forged\u0000\u2028\u001b[31m")).toBe(
    "a\\x0d\\x0a[Sun] forged\\x00\\u2028\\x1b[31m",
  );
  expect(oneLine("tab\tstays")).toBe("tab\tstays");
  expect(oneLine("x".repeat(LOG_TEXT_LIMIT + 1))).toHaveLength(LOG_TEXT_LIMIT + 3);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
      const { lines, sink } = collecting();
      createLog({ program: "p", sink, now }).info(text);
      expect(lines).toHaveLength(1);
      expect(lines[0]?.indexOf("\n")).toBe((lines[0]?.length ?? 0) - 1);
    }),
    { seed: 3, numRuns: 200 },
  );
});

test("JSON lines", () => {
  const { lines, sink } = collecting();
  const log = createLog({ program: "pmproxy", pid: 7, sink, format: "json", now });
  log.warning('a "b"\n');
  log.plain("one\n\ntwo\n");
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
    {
      time: at.toISOString(),
      level: "warning",
      program: "pmproxy",
      pid: 7,
      message: 'a "b"\\x0a',
    },
    ...["one", "two"].map((message) => ({
      time: at.toISOString(),
      level: "info",
      program: "pmproxy",
      pid: 7,
      message,
    })),
  ]);
});

test("lost lines are counted and told when the sink takes lines again", () => {
  const lines: string[] = [];
  let open = false;
  const sink = { write: (line: string) => open && lines.push(line) > 0 };
  const log = createLog({ program: "p", pid: 1, sink, now });
  log.info("a");
  log.info("b");
  expect(log.lost).toBe(2);
  open = true;
  log.info("c");
  expect(lines).toEqual([
    "[Sun Nov  1 09:08:07] p(1) Warning: 2 log lines lost\n",
    "[Sun Nov  1 09:08:07] p(1) Info: c\n",
  ]);
  expect(log.lost).toBe(0);
});

test("a rotated file is opened again, a failed attempt keeps the old one", () => {
  const folder = privateFolder("log");
  const path = join(folder, "x.log");
  const log = createLog({ program: "p", pid: 1, sink: fileSink(path), now });
  log.plain("before");
  renameSync(path, `${path}.1`);
  log.plain("still before");
  log.reopen();
  log.plain("after");
  expect(readFileSync(`${path}.1`, "utf8")).toBe("before\nstill before\n");
  expect(readFileSync(path, "utf8")).toBe("after\n");
  renameSync(folder, `${folder}.gone`);
  expect(() => log.reopen()).toThrow();
  renameSync(`${folder}.gone`, folder);
  log.plain("kept");
  expect(readFileSync(path, "utf8")).toBe("after\nkept\n");
  log.close();
});
