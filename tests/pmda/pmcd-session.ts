// What real PCP programs say about simple and trivial under a real pmcd: one session as text, so that
// the text recorded with PCP's own agents (tests/fixtures/pmda/pmcd-session.txt, the same for 6.0.3 and 7.2) can be
// compared with that of ours. Values of the moment are masked.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type OwnAgent, type Pmcd, runIn } from "../helpers/pcp.ts";

/** Their names, as their authors have them. */
const NAMES = {
  simple: `root {
    simple
}
simple {
    numfetch    253:0:0
    color       253:0:1
    time
    now         253:2:4
}
simple.time {
    user        253:1:2
    sys         253:1:3
}
`,
  trivial: `root {
    trivial
}
trivial {
    time        250:0:0
}
`,
} as const;

const DOMAINS = { simple: 253, trivial: 250 } as const;
const PROBES = { simple: "simple.numfetch", trivial: "trivial.time" } as const;

/** The file that simple reads, below the folder of a pmcd. */
export function writeSimpleConf(folder: string, text: string): void {
  const place = join(folder, "pmdas/simple");
  if (!existsSync(place)) mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "simple.conf"), text);
}

/** One of the two agents with its line of pmcd.conf. */
export const ownAgent = (name: keyof typeof NAMES, line: OwnAgent["line"]): OwnAgent => ({
  name,
  domain: DOMAINS[name],
  names: NAMES[name],
  probe: PROBES[name],
  line(folder) {
    if (name === "simple") writeSimpleConf(folder, "sec,min,hour\n");
    return line(folder);
  },
});

const SESSION: readonly (readonly string[])[] = [
  ["pminfo", "-dfmtTsl", "simple"],
  ["pminfo", "-dfmtTsl", "trivial"],
  ["pmstore", "simple.numfetch", "42"],
  ["pminfo", "-f", "simple.numfetch"],
  ["pmstore", "simple.numfetch", "-1"],
  ["pminfo", "-f", "simple.numfetch"],
  ["pmstore", "simple.color", "77"],
  ["pminfo", "-f", "simple.color"],
  ["pmstore", "-i", "red,blue", "simple.color", "10"],
  ["pmstore", "simple.color", "300"],
  ["pminfo", "-f", "simple.color"],
  ["pmstore", "-i", "purple", "simple.color", "1"],
  ["pmstore", "simple.time.user", "1"],
  ["pmstore", "trivial.time", "1"],
  ["pmprobe", "-I", "simple"],
  ["pmprobe", "-i", "simple.now", "simple.color"],
  ["pmval", "-w", "8", "-s", "2", "-t", "0.01", "-i", "green", "simple.color"],
  ["pminfo", "-fT", "simple.nothing", "simple.color"],
];

/** What is not the same twice, or not on two machines. */
function masked(words: readonly string[], text: string): string {
  const moment = words[0] === "pminfo" && words[1] === "-dfmtTsl";
  const values = moment ? text.replaceAll(/value [0-9.e+-]+$/gm, "value ?") : text;
  return values
    .replaceAll(/((?:Source:|Series:|series)) [0-9a-f]{40}$/gm, "$1 ?")
    .replaceAll(/"(?:domainname|groupid|hostname|machineid|userid)":(?:"[^"]*"|\d+),?/g, "")
    .replaceAll(",}", "}")
    .replaceAll(/old value=\S+ new/g, "old value=? new")
    .replaceAll(/^(host|start|end|interval|samples): .*\n/gm, "");
}

/**
 * Runs the session; the text of all commands with what they print. `folder` is the one below which
 * simple has its file.
 */
export async function sessionText(pmcd: Pmcd, folder: string = pmcd.folder): Promise<string> {
  const parts: string[] = [];
  const add = async (words: readonly string[]): Promise<void> => {
    const [program = "", ...rest] = words;
    const argv = [program, "-h", `unix:${pmcd.socket}`, ...rest];
    const { stdout, stderr, status } = await runIn(pmcd.tree, argv, { env: pmcd.clientEnv });
    parts.push(`$ ${words.join(" ")}\n${masked(words, stdout + stderr)}status ${status}\n`);
  };
  for (const words of SESSION) await add(words);
  const now = ["pmprobe", "-I", "simple.now"];
  for (const text of ["min,bogus\n", "", "hour,sec\nmin\n", "sec,min,hour\n"]) {
    writeSimpleConf(folder, text);
    parts.push(`# simple.conf: ${JSON.stringify(text)}\n`);
    await add(now);
    await add(["pminfo", "-l", "simple.now"]);
  }
  return parts.join("");
}
