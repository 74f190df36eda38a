// Names that an agent makes itself, as a tree (pmdaTree*, spec pmda.md 8): inserted one by one, found
// by name, by metric, and level by level. Refuses a name that leads to another metric already, or
// through one; names that are none; and more names than a bounded number.
import { MAX_PMNS_NAMES, PcpError, PM_ERR } from "../base/mod.ts";
import type { Pmid } from "../pcp/mod.ts";
import type { Children } from "../pdu/mod.ts";
import type { AgentNames } from "./types.ts";

/** A part of a name; leaves have a metric, others have parts below. */
interface Node {
  readonly name: string;
  pmid: Pmid | undefined;
  readonly below: Map<string, Node>;
}

/** A growing tree of full names. */
export interface NameTree extends AgentNames {
  /**
   * Adds a name. The same name and metric again is nothing new. Throws PcpError PM_ERR_PMID when the
   * name leads to another metric, PM_ERR_NAME for what is no name or goes through a leaf,
   * PM_ERR_TOOBIG above MAX_PMNS_NAMES.
   */
  insert(pmid: Pmid, name: string): void;
  /** Forgets all names. */
  clear(): void;
  /** How many names there are. */
  readonly size: number;
}

const PART = /^[A-Za-z]\w*$/;

const newNode = (name: string): Node => ({ name, pmid: undefined, below: new Map() });

/** What came last stands first, as in pmdaTree. */
const latestFirst = ({ below }: Node): Node[] => [...below.values()].reverse();

function eachLeaf(at: Node, prefix: string, found: string[]): void {
  const { name, pmid } = at;
  const full = prefix === "" ? name : `${prefix}.${name}`;
  if (pmid !== undefined) found.push(full);
  else for (const node of latestFirst(at)) eachLeaf(node, full, found);
}

/** An empty tree. Its look-ups are those of an agent: a name above others is PM_ERR_NONLEAF. */
export function createNameTree(): NameTree {
  const root = newNode("");
  const byPmid = new Map<Pmid, string[]>();
  let size = 0;

  const find = (name: string): Node => {
    let node: Node | undefined = root;
    for (const part of name.split(".")) node = node?.below.get(part);
    if (node === undefined) throw new PcpError(PM_ERR.NAME);
    return node;
  };

  return {
    get size() {
      return size;
    },
    insert(pmid, name) {
      const parts = name.split(".");
      if (!parts.every((part) => PART.test(part)))
        throw new PcpError(PM_ERR.NAME, `"${name}" is no name of a metric`);
      if (size >= MAX_PMNS_NAMES)
        throw new PcpError(PM_ERR.TOOBIG, `more than ${MAX_PMNS_NAMES} names`);
      let node = root;
      for (const part of parts) {
        if (node.pmid !== undefined)
          throw new PcpError(PM_ERR.NAME, `"${name}" goes through a metric`);
        let next = node.below.get(part);
        if (next === undefined) {
          next = newNode(part);
          node.below.set(part, next);
        }
        node = next;
      }
      if (node.pmid === pmid) return;
      if (node.pmid !== undefined)
        throw new PcpError(PM_ERR.PMID, `"${name}" leads to another metric already`);
      if (node.below.size > 0)
        throw new PcpError(PM_ERR.NAME, `"${name}" has other names below it`);
      node.pmid = pmid;
      const names = byPmid.get(pmid);
      if (names === undefined) byPmid.set(pmid, [name]);
      else names.push(name);
      size += 1;
    },
    clear() {
      root.below.clear();
      byPmid.clear();
      size = 0;
    },
    lookup(name) {
      const { pmid } = find(name);
      if (pmid === undefined) throw new PcpError(PM_ERR.NONLEAF);
      return pmid;
    },
    namesOf(pmid) {
      const names = byPmid.get(pmid);
      if (names === undefined) throw new PcpError(PM_ERR.PMID);
      return [...names];
    },
    children(name): Children {
      const nodes = latestFirst(find(name));
      return {
        names: nodes.map((node) => node.name),
        statuses: nodes.map(({ pmid }) => (pmid === undefined ? 1 : 0)),
      };
    },
    traverse(name) {
      const found: string[] = [];
      eachLeaf(find(name), name.split(".").slice(0, -1).join("."), found);
      return found;
    },
  };
}

/**
 * Several trees as one, asked in the order in which they are given: pmdaDynamicPMNS. `update` is
 * called before every request and brings the trees up to date.
 */
export function joinNameTrees(trees: readonly AgentNames[], update?: () => void): AgentNames {
  /** The first answer; the error of the last tree when none has one. */
  const first = <T>(code: number, ask: (tree: AgentNames) => T): T => {
    update?.();
    let last = new PcpError(code);
    for (const tree of trees) {
      try {
        return ask(tree);
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        last = error;
      }
    }
    throw last;
  };
  return {
    lookup: (name, by) => first(PM_ERR.NAME, (tree) => tree.lookup(name, by)),
    namesOf: (pmid, by) => first(PM_ERR.PMID, (tree) => tree.namesOf(pmid, by)),
    children: (name, by) => first(PM_ERR.NAME, (tree) => tree.children(name, by)),
    traverse: (name, by) => first(PM_ERR.NAME, (tree) => tree.traverse(name, by)),
  };
}
