// Recorded sessions of PCP's checking tool (tests/fixtures/pmda-run), and their replay: the recording
// has each command and what was printed after it. Commands are run here one by one, and what comes
// out must be what follows in the recording, but for what depends on the moment.
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { DEBUG_OPTIONS } from "../../lib/cli/mod.ts";
import { dynamicRootPmid, Names, pmidParse } from "../../lib/pcp/mod.ts";
import { type CheckSetting, createCheckSession } from "../../lib/pmda/mod.ts";

const folder = join(import.meta.dir, "../fixtures/pmda-run");

/** A recorded session as lines. */
export const sessionLines = (name: string): string[] =>
  readFileSync(join(folder, `${name}.txt`), "utf8")
    .replace(/\n$/, "")
    .split("\n");

/** Lines of a recording without a command and the lines that it printed. */
export function without(lines: readonly string[], command: string, printed: number): string[] {
  const at = lines.indexOf(command);
  expect(at).toBeGreaterThanOrEqual(0);
  return lines.toSpliced(at, printed + 1);
}

/** The names that were known when the sessions were recorded. */
export function sessionNames(): Names {
  const names = new Names();
  for (const line of readFileSync(join(folder, "names.txt"), "utf8").trim().split("\n")) {
    const [name = "", pmid = "", dynamic] = line.split(" ");
    names.add(name, dynamic === undefined ? pmidParse(pmid) : dynamicRootPmid(Number(pmid)));
  }
  return names;
}

/** Makes equal what differs from one moment, process or machine to the next. */
export const masked = (text: string): string =>
  text
    .replace(/dump from 0x[0-9a-f]+/g, "dump from 0xADDR")
    .replace(/\(pid: -?\d+\)/g, "(pid: PID)")
    .replace(/\d\d:\d\d:\d\d\.\d+(?=\.\.\.|\])/g, "@TIME@")
    .replace(/@TIME\d@/g, "@TIME@");

/** A session's setting whose output is collected. */
export function collecting(over: Partial<CheckSetting> = {}): {
  readonly setting: CheckSetting;
  readonly take: () => string;
} {
  let text = "";
  const put = (more: string): void => {
    text += more;
  };
  const setting: CheckSetting = {
    credsSeconds: 3,
    env: process.env,
    out: put,
    err: put,
    names: sessionNames,
    namesPath: "@PMNS@",
    readNames: () => sessionNames(),
    debugNames: DEBUG_OPTIONS,
    program: "dbpmda",
    watch: () => undefined,
    ...over,
  };
  return {
    setting,
    take: () => {
      const taken = text;
      text = "";
      return taken;
    },
  };
}

/** How a recording is replayed. */
export interface Replay {
  readonly over?: Partial<CheckSetting>;
  /** What a recorded command is here, e.g. with paths filled in. */
  readonly command?: (line: string) => string;
  /** What a line that came out here, or a recorded one, is compared as. */
  readonly compared?: (text: string) => string;
}

/** Replays a recording to its end. */
export async function replaySession(lines: readonly string[], replay: Replay = {}): Promise<void> {
  const { setting, take } = collecting(replay.over);
  const session = createCheckSession(setting);
  const origin = { prompt: "", place: "", echo: false };
  const compared = (text: string): string => masked(replay.compared?.(text) ?? text);
  for (let at = 0; at < lines.length;) {
    const line = lines[at] ?? "";
    at += 1;
    const more = await session.run(replay.command?.(line) ?? line, origin);
    const out = take();
    const count = out.split("\n").length - 1;
    const expected = lines
      .slice(at, at + count)
      .map((each) => `${each}\n`)
      .join("");
    expect(`${at}: ${line}\n${compared(out)}`).toBe(`${at}: ${line}\n${compared(expected)}`);
    at += count;
    if (!more) expect(lines.slice(at)).toEqual([]);
  }
  await session.close();
}
