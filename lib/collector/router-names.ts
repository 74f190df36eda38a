// The name space that clients of a router see: static names, and below dynamic roots the names that
// agents make themselves (spec pmda.md 15, local.md 6). Refuses with PM_ERR_NOAGENT what an agent
// that is not there would say, but for the list of all names, where its root stands for it.
import { PcpError, PM_ERR } from "../base/mod.ts";
import {
  DYNAMIC_DOMAIN,
  isDynamicRoot,
  type Names,
  type Pmid,
  pmidCluster,
  pmidDomain,
} from "../pcp/mod.ts";
import type { Agent, AgentNames, Awaitable, Caller } from "../pmda/mod.ts";
import type { AgentSource, RouterClient } from "./types.ts";

type NameCalls = Pick<RouterClient, "lookupName" | "namesOf" | "children" | "traverse">;

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

/** The calls about names of one client. `ask` hands work to the agent of a domain. */
export function routedNames(
  known: AgentSource["names"],
  ask: <T>(domain: number, work: (agent: Agent) => Awaitable<T>) => Awaitable<T>,
  by: Caller,
): NameCalls {
  /** Asks the agent of a dynamic root for its names. */
  const below = <T>(root: Pmid, work: (names: AgentNames) => Awaitable<T>): Awaitable<T> =>
    ask(pmidCluster(root), ({ names }) => {
      if (names === undefined) throw new PcpError(PM_ERR.NAME);
      return work(names);
    });

  /**
   * The leaves of a dynamic root. One whose agent is not there, or cannot say, is a leaf itself, as with
   * pmcd: one agent must not cost a client the names of all others.
   */
  const leavesOf = async (root: Pmid, name: string): Promise<readonly string[]> => {
    try {
      return await below(root, (dynamic) => dynamic.traverse(name, by));
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      return [name];
    }
  };

  return {
    async lookupName(name) {
      const names = await known();
      if (name === "") throw new PcpError(PM_ERR.NAME);
      const root = names.find(name) === undefined ? dynamicRoot(names, name) : undefined;
      if (root === undefined) return names.lookup(name);
      return below(root, (dynamic) => dynamic.lookup(name, by));
    },
    async namesOf(pmid) {
      const found = (await known()).namesOf(pmid);
      if (found.length > 0) return found;
      if (pmidDomain(pmid) === DYNAMIC_DOMAIN) throw new PcpError(PM_ERR.PMID);
      return ask(pmidDomain(pmid), ({ names }) => {
        if (names === undefined) throw new PcpError(PM_ERR.PMID);
        return names.namesOf(pmid, by);
      });
    },
    async children(name) {
      const names = await known();
      const root = dynamicRoot(names, name);
      if (root !== undefined) return below(root, (dynamic) => dynamic.children(name, by));
      const found = names.children(name);
      return {
        names: found.map((child) => child.name),
        statuses: found.map(({ leaf }) => (leaf ? 0 : 1)),
      };
    },
    async traverse(name) {
      const names = await known();
      const root = dynamicRoot(names, name);
      if (root !== undefined)
        return names.find(name) === undefined
          ? below(root, (dynamic) => dynamic.traverse(name, by))
          : leavesOf(root, name);
      const found: string[] = [];
      for (const leaf of names.traverse(name)) {
        if (!isDynamicRoot(leaf.pmid)) found.push(leaf.name);
        else for (const one of await leavesOf(leaf.pmid, leaf.name)) found.push(one);
      }
      return found;
    },
  };
}
