// What there is to begin with: the list of agents, the types of "pcpbox", and a new agent as a file.
// Refuses to write over a file, and names that no agent can have.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

import { asPcpError, pmErrStr } from "../lib/base/mod.ts";
import { readPcpConf } from "../lib/daemon/mod.ts";
import { BUILTIN_AGENTS } from "../lib/pmda/mod.ts";
import { complain, say } from "./output.ts";
import { documentText } from "./pmda-run-texts.ts" with { type: "macro" };

const TYPES: string = documentText("docs/pcpbox.d.ts");
const TEMPLATE: string = documentText("docs/agent-template.ts");

/** The template's own name and domain, which the new agent's take the place of. */
const TEMPLATE_NAME = /\bexample\b/g;
const TEMPLATE_DOMAIN = 400;
const MAX_DOMAIN = 510;
const NAME = /^[A-Za-z]\w{0,30}$/;

/** A domain that no agent of pmcd.conf has, from the template's on. */
function freeDomain(): number {
  const path = readPcpConf(process.env).get("PCP_PMCDCONF_PATH") ?? "/etc/pcp/pmcd/pmcd.conf";
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const used = new Set([...text.matchAll(/^[^\s#]\S*\s+(\d+)\s/gm)].map((line) => Number(line[1])));
  let domain = TEMPLATE_DOMAIN;
  while (used.has(domain) && domain < MAX_DOMAIN) domain += 1;
  return domain;
}

/** `--list`. */
export function printAgents(json: boolean): number {
  const agents = BUILTIN_AGENTS.map(({ name, domain, summary }) => ({
    name,
    domain,
    summary,
  })).toSorted((a, b) => a.domain - b.domain);
  if (json) say(`${JSON.stringify(agents)}\n`);
  else {
    for (const { name, domain, summary } of agents)
      say(`${name.padEnd(12)}${String(domain).padStart(4)}  ${summary}\n`);
  }
  return 0;
}

/** `--types`. */
export function printTypes(): number {
  say(TYPES);
  return 0;
}

/** `--new NAME`: writes NAME.ts here and says how to go on. */
export function writeAgent(given: string): number {
  const name = given.replace(/\.ts$/, "");
  if (!NAME.test(name)) {
    complain(
      `pcpbox pmda-run: '${given}' is no name for an agent: a letter, then letters, digits, _\n`,
    );
    return 2;
  }
  const path = resolve(`${name}.ts`);
  try {
    const text = TEMPLATE.replace(TEMPLATE_NAME, name);
    const domain = `domain: ${freeDomain()},`;
    writeFileSync(path, text.replace(`domain: ${TEMPLATE_DOMAIN},`, domain), { flag: "wx" });
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST";
    // What could be written of it is no agent, and would be in the way of a second attempt.
    if (!isThere) rmSync(path, { force: true });
    const reason = isThere ? "is there already" : pmErrStr(asPcpError(error).code);
    complain(`pcpbox pmda-run: ${path}: ${reason}\n`);
    return 1;
  }
  say(
    [
      `${path} is an agent. Change it, then:`,
      "",
      `  pcpbox pmda-run ./${name}.ts --check              ask it by hand`,
      `  pcpbox pmda-run ./${name}.ts --install --dry-run  see what its installation changes`,
      `  pcpbox pmda-run ./${name}.ts --install            let pmcd run it`,
      "  pcpbox pmda-run --types > pcpbox.d.ts             types for your editor",
      "",
    ].join("\n"),
  );
  return 0;
}
