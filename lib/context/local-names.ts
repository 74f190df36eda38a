// The name space of local contexts: a file of names, and below its dynamic roots the names that agents
// make themselves (spec local.md 6, pmda.md 15). Refuses with PM_ERR_NOPMNS what is asked of a file
// that cannot be read or has faults, with PM_ERR_NOAGENT what an agent that is not there would say.
import { readFile } from "node:fs/promises";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import {
  isDynamicRoot,
  type Names,
  parseNames,
  PM_ID_NULL,
  type Pmid,
  pmidCluster,
  pmidDomain,
} from "../pcp/mod.ts";
import type { Children, NameLookup } from "../pdu/mod.ts";
import type { LocalAgents, LocalCaller, LocalNames } from "./local-agents.ts";

/** The calls of a context that are about names. */
export interface LocalNameSpace {
  lookupNames(names: readonly string[]): Promise<NameLookup>;
  namesOf(pmid: Pmid): Promise<readonly string[]>;
  children(name: string): Promise<Children>;
  traverse(name: string): Promise<readonly string[]>;
}

/** Reads the names of a file. Throws PcpError PM_ERR_NOPMNS, whatever is wrong with it. */
export async function readNames(path: string): Promise<Names> {
  try {
    return parseNames(await readFile(path, "utf8"), path);
  } catch (error) {
    throw new PcpError(PM_ERR.NOPMNS, `names of ${path}: ${asPcpError(error).message}`, {
      cause: error,
    });
  }
}

/** The dynamic root that a name is, or is below; undefined for other names. */
function dynamicRoot(names: Names, name: string): Pmid | undefined {
  let node = names.root;
  for (const part of name.split(".")) {
    const child = node.children.get(part);
    if (child === undefined) return undefined;
    if (child.pmid !== undefined && isDynamicRoot(child.pmid)) return child.pmid;
    node = child;
  }
  return undefined;
}

/** The names that one context sees. `load` is called when names are asked for first. */
export function localNameSpace(
  load: () => Promise<Names>,
  agents: LocalAgents,
  by: LocalCaller,
): LocalNameSpace {
  let loaded: Names | undefined;
  const known = async (): Promise<Names> => (loaded ??= await load());
  /** The names that the agent of a dynamic root makes. */
  const below = (root: Pmid): LocalNames => {
    const { names } = agents.find(pmidCluster(root));
    if (names === undefined) throw new PcpError(PM_ERR.NAME);
    return names;
  };

  const lookup = async (name: string): Promise<Pmid> => {
    const names = await known();
    if (name === "") throw new PcpError(PM_ERR.NAME);
    const root = names.find(name) === undefined ? dynamicRoot(names, name) : undefined;
    return root === undefined ? names.lookup(name) : below(root).lookup(name, by);
  };

  return {
    async lookupNames(names) {
      if (names.length === 0) throw new PcpError(PM_ERR.TOOSMALL);
      const pmids: Pmid[] = [];
      let resolved = 0;
      for (const name of names) {
        try {
          pmids.push(await lookup(name));
          resolved += 1;
        } catch (error) {
          const { code } = asPcpError(error);
          if (names.length === 1 || code === PM_ERR.NOPMNS) throw error;
          pmids.push(PM_ID_NULL);
        }
      }
      return { pmids, resolved };
    },
    async namesOf(pmid) {
      const found = (await known()).namesOf(pmid);
      if (found.length > 0) return found;
      const { names } = agents.find(pmidDomain(pmid));
      if (names === undefined) throw new PcpError(PM_ERR.PMID);
      return names.namesOf(pmid, by);
    },
    async children(name) {
      const names = await known();
      const root = dynamicRoot(names, name);
      if (root !== undefined) return below(root).children(name, by);
      const found = names.children(name);
      return {
        names: found.map((child) => child.name),
        statuses: found.map(({ leaf }) => (leaf ? 0 : 1)),
      };
    },
    async traverse(name) {
      const names = await known();
      const root = dynamicRoot(names, name);
      if (root !== undefined) return below(root).traverse(name, by);
      const found: string[] = [];
      for (const leaf of names.traverse(name)) {
        if (!isDynamicRoot(leaf.pmid)) found.push(leaf.name);
        else for (const one of await below(leaf.pmid).traverse(leaf.name, by)) found.push(one);
      }
      return found;
    },
  };
}
