// What tests of compiled agents share: a folder in which PCP's own agents find their help, names of the
// sample agent, and tables that load agents in processes of this program run from its sources.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRegistry, type Registry, type RegistryOptions } from "../../lib/collector/mod.ts";
import { type LocalContext, openLocalContext } from "../../lib/context/mod.ts";
import { baseEnvironment, must, privateFolder } from "../helpers/process.ts";
import { root } from "../helpers/tree.ts";

/** Where the installed agents are. */
export const PMDAS = "/var/lib/pcp/pmdas";
const SAMPLE = 29;

/** The command of the process around an agent, from the sources. */
export const hostCommand: readonly string[] = [
  process.execPath,
  join(root, "cmd/main.ts"),
  "--pcpbox-dso-host",
];

/** Places for agents. */
export interface AgentPlaces {
  readonly folder: string;
  /** A name space with the metrics of sample alone. */
  readonly names: string;
  /** PCP_PMDAS_DIR for programs: agents beside which sample has its help. */
  readonly env: Readonly<Record<string, string>>;
}

let places: Promise<AgentPlaces> | undefined;

async function prepare(): Promise<AgentPlaces> {
  const folder = privateFolder("agents");
  const names = join(folder, "pmns");
  const text = readFileSync(join(PMDAS, "sample/pmns"), "utf8").replace(/\/\*[^]*?\*\//g, "");
  // Merged with others, as an installation does it: leaves come before what has leaves.
  const [first, second] = [join(folder, "first"), join(folder, "second")];
  writeFileSync(first, "root {\n other 1:1:1\n}\n");
  writeFileSync(second, `root {\n sample\n}\n${text.replaceAll("SAMPLE:", `${SAMPLE}:`)}`);
  await must(["/usr/lib/pcp/bin/pmnsmerge", "-a", first, second, names]);
  const pmdas = join(folder, "pmdas");
  mkdirSync(join(pmdas, "sample"), { recursive: true });
  symlinkSync(join(PMDAS, "sample/pmda_sample.so"), join(pmdas, "sample/pmda_sample.so"));
  for (const agent of ["linux", "proc", "mmv", "jbd2"])
    symlinkSync(join(PMDAS, agent), join(pmdas, agent));
  const help = join(folder, "help");
  const source = readFileSync(join(PMDAS, "sample/help"), "utf8");
  writeFileSync(help, source.replaceAll("@ SAMPLE.", `@ ${SAMPLE}.`));
  await must(["/usr/lib/pcp/bin/newhelp", "-n", names, "-o", join(pmdas, "sample/dsohelp"), help]);
  return { folder, names, env: { PCP_PMDAS_DIR: pmdas } };
}

/** The places, made once for all tests of a file. */
export const agentPlaces = (): Promise<AgentPlaces> => (places ??= prepare());

/** A table without agents, and what it said. */
export function emptyTable(
  env: Readonly<Record<string, string>>,
  more: Partial<RegistryOptions> = {},
): { readonly table: Registry; readonly said: string[] } {
  const said: string[] = [];
  const table = createRegistry({
    env: { ...baseEnvironment(), ...env },
    initial: "empty",
    hostCommand,
    program: "pminfo",
    warn: (text) => void said.push(text),
    log: (level, text) => void said.push(`${level}: ${text}`),
    stderr: "ignore",
    ...more,
  });
  return { table, said };
}

/** A context over one compiled agent, which ends with it. */
export async function compiledContext(
  spec: string,
  names: string | undefined,
  env: Readonly<Record<string, string>>,
): Promise<LocalContext> {
  const { table } = emptyTable(env);
  table.apply(spec);
  return openLocalContext({
    agents: table,
    closeAgents: true,
    env,
    ...(names === undefined ? {} : { names }),
  });
}
