// Recorded trees of /proc and /sys for tests of the linux agent: one text file a tree in
// tests/fixtures/linux, unpacked where an agent can read it, and all values of an agent as text.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type Desc,
  type Indom,
  NO_DESC,
  PM_INDOM_NULL,
  pmExtractValue,
  type Pmid,
  ResultView,
  ResultWriter,
} from "../../lib/pcp/mod.ts";
import { createProfile } from "../../lib/pdu/mod.ts";
import { linux } from "../../lib/pmda/agents/linux/agent.ts";
import {
  type AgentSetting,
  type Caller,
  openAgent,
  type RunningAgent,
} from "../../lib/pmda/mod.ts";
import { privateFolder } from "../helpers/process.ts";

/** Files by path; what a link leads to begins with "-> ". */
export function readTree(name: string): ReadonlyMap<string, string> {
  const text = readFileSync(join(import.meta.dir, `../fixtures/linux/${name}.tree`), "utf8");
  const files = new Map<string, string>();
  for (const part of text.split(/^== (?=\/)/m).slice(1)) {
    const end = part.indexOf("\n");
    const [path = "", target] = part.slice(0, end).split(" -> ");
    files.set(path, target === undefined ? part.slice(end + 1) : `-> ${target}`);
  }
  return files;
}

/** Writes files below a folder of its own and returns it. */
export function unpackTree(files: ReadonlyMap<string, string>): string {
  const root = privateFolder("linux-tree");
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (text.startsWith("-> ")) symlinkSync(text.slice(3), join(root, path));
    else writeFileSync(join(root, path), text);
  }
  return root;
}

/** The key of ATTR with the user of a client (spec pdu.md 3.13). */
export const USERID = 11;

/**
 * An agent over a tree, or over this machine (root empty), that keeps nothing on disk. `asker` is a
 * client of root, who sees everything.
 */
export async function linuxAgent(
  root: string,
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly agent: RunningAgent; readonly logged: string[] }> {
  const logged: string[] = [];
  const log: AgentSetting["log"] = (level, text) => void logged.push(`${level} ${text}`);
  const env = {
    ...(root === "" ? {} : { LINUX_STATSPATH: root }),
    PCP_VAR_DIR: "/nonexistent",
    ...more,
  };
  const agent = await openAgent(linux, { domain: 60, env, log });
  await agent.attribute?.(asker.context, USERID, "0");
  return { agent, logged };
}

export const asker: Caller = { context: 0, profile: createProfile() };

/** Values of a metric by the name of the instance, "" for a metric with one value; or its error. */
export type Answer = number | ReadonlyMap<string, string>;

/** Who can be asked for descriptors and instances: an agent, or a connection to pmcd. */
export interface Catalogue {
  desc(pmid: Pmid): Desc;
  /** Instance names by number. */
  names(indom: Indom): ReadonlyMap<number, string>;
}

/** The values of a result as text, by the metrics' names. */
export function answersIn(
  result: ResultView,
  names: readonly string[],
  catalogue: Catalogue,
): ReadonlyMap<string, Answer> {
  const answers = new Map<string, Answer>();
  const sets = result.sets();
  for (const name of names) {
    sets.next();
    if (sets.numval < 0) {
      answers.set(name, sets.numval);
      continue;
    }
    const { indom, type } = catalogue.desc(sets.pmid);
    const instances = indom === PM_INDOM_NULL ? undefined : catalogue.names(indom);
    const values = new Map<string, string>();
    for (let i = 0; i < sets.numval; i++) {
      const id = sets.instance(i);
      const instance = instances === undefined ? "" : (instances.get(id) ?? `?${id}`);
      values.set(instance, String(pmExtractValue(sets, i, type, type)));
    }
    answers.set(name, values);
  }
  return answers;
}

/** All values of these metrics of an agent, or of all metrics. */
export async function valuesOf(
  agent: RunningAgent,
  names: readonly string[] = agent.leaves.map(({ name }) => name),
  by = asker,
): Promise<ReadonlyMap<string, Answer>> {
  const known = new Map(agent.leaves.map(({ name, pmid }) => [name, pmid]));
  const pmids = names.flatMap((name) => known.get(name) ?? []);
  const writer = new ResultWriter();
  await agent.fetch(pmids, by, writer);
  const result = new ResultView(writer.finish(0), { sec: 0, nsec: 0 }, writer.count, 0);
  const descs = new Map<Pmid, Desc>();
  const indoms = new Map<Indom, ReadonlyMap<number, string>>();
  for (const pmid of pmids) {
    const desc = await agent.desc(pmid, asker);
    descs.set(pmid, desc);
    if (desc.indom === PM_INDOM_NULL || indoms.has(desc.indom)) continue;
    const list = await agent.instances(desc.indom, asker);
    indoms.set(desc.indom, new Map(list.ids.map((id, i) => [id, list.names[i] ?? ""])));
  }
  return answersIn(result, names, {
    desc: (pmid) => descs.get(pmid) ?? NO_DESC,
    names: (indom) => indoms.get(indom) ?? new Map<number, string>(),
  });
}

/** Answers as lines, `name[instance] value`, for comparison with a recording. */
export function answerLines(answers: ReadonlyMap<string, Answer>): string[] {
  const lines: string[] = [];
  for (const [name, answer] of answers) {
    if (typeof answer === "number") lines.push(`${name} error ${answer}`);
    else if (answer.size === 0) lines.push(`${name} none`);
    else
      for (const [instance, value] of answer)
        lines.push(`${name}${instance === "" ? "" : `[${instance}]`} ${value}`);
  }
  return lines;
}
