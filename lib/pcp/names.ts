// The name space of metrics (PMNS): a tree of names whose leaves have PMIDs, built name by name.
// Refused with PM_ERR_PMNS: a name that is both a leaf and a branch, or has two PMIDs; and trees
// over the limits. names-text.ts reads and writes the file form.
import { MAX_PMNS_DEPTH, MAX_PMNS_NAMES, PM_ERR, PcpError } from "../base/mod.ts";
import { isDynamicRoot, type Pmid, pmIDStr } from "./ids.ts";

/** A node: a leaf has a PMID, a branch children; the root's name is empty. */
export interface NameNode {
  /** The last component. */
  readonly name: string;
  readonly parent: NameNode | undefined;
  pmid: Pmid | undefined;
  readonly children: Map<string, NameNode>;
}

/** A child of a name, as in a PMNS_NAMES reply with status. */
export interface ChildName {
  readonly name: string;
  /** A leaf; the root of a dynamic subtree is none, its agent knows more names below it. */
  readonly leaf: boolean;
}

/** A metric: its full name and its PMID. */
export interface NamedPmid {
  readonly name: string;
  readonly pmid: Pmid;
}

/** How a tree behaves. */
export interface NamesOptions {
  /** Whether two names may share a PMID; they may unless told otherwise. */
  readonly duplicates?: boolean;
  /** Whether a new child stands before its siblings, as PCP does with the names of an archive. */
  readonly newestFirst?: boolean;
}

const newNode = (name: string, parent: NameNode | undefined): NameNode => ({
  name,
  parent,
  pmid: undefined,
  children: new Map(),
});

/** The full name of a node; empty for the root. */
export function fullName(node: NameNode): string {
  let name = node.name;
  for (let up = node.parent; up?.parent !== undefined; up = up.parent) name = `${up.name}.${name}`;
  return name;
}

const isLeaf = (node: NameNode): boolean => node.pmid !== undefined && !isDynamicRoot(node.pmid);

/** A name space. Order is that of addition (or its reverse, see NamesOptions). */
export class Names {
  readonly root: NameNode = newNode("", undefined);
  private readonly byPmid = new Map<Pmid, NameNode[]>();
  private count = 0;

  constructor(private readonly options: NamesOptions = {}) {}

  /** Number of metrics and dynamic roots. */
  get size(): number {
    return this.count;
  }

  private branch(name: string): NameNode {
    const parts = name.split(".");
    if (parts.length > MAX_PMNS_DEPTH) {
      throw new PcpError(
        PM_ERR.PMNS,
        `metric name "${name}" has ${parts.length} parts, ${MAX_PMNS_DEPTH} allowed`,
      );
    }
    if (parts.includes("")) {
      throw new PcpError(PM_ERR.PMNS, `metric name "${name}" has an empty part`);
    }
    let node = this.root;
    for (const part of parts) {
      if (node.pmid !== undefined) {
        throw new PcpError(
          PM_ERR.PMNS,
          `"${fullName(node)}" is a metric and cannot hold "${name}"`,
        );
      }
      let child = node.children.get(part);
      if (child === undefined) {
        child = newNode(part, node);
        node.children.set(part, child);
      }
      node = child;
    }
    return node;
  }

  /** Adds a branch that may stay empty. */
  addBranch(name: string): void {
    const node = this.branch(name);
    if (node.pmid === undefined) return;
    throw new PcpError(PM_ERR.PMNS, `"${name}" is a metric and cannot hold others`);
  }

  /** Adds a metric or a dynamic root. The same name with the same PMID again is fine. */
  add(name: string, pmid: Pmid): void {
    const known = this.find(name);
    if (known?.pmid === pmid) return;
    if (known?.pmid !== undefined) {
      const [old, given] = [pmIDStr(known.pmid), pmIDStr(pmid)];
      throw new PcpError(PM_ERR.PMNS, `metric "${name}" has PMID ${old} and cannot have ${given}`);
    }
    if (known !== undefined) {
      throw new PcpError(PM_ERR.PMNS, `"${name}" holds other names and cannot be a metric`);
    }
    if (this.count >= MAX_PMNS_NAMES) {
      throw new PcpError(PM_ERR.PMNS, `more than ${MAX_PMNS_NAMES} metrics`);
    }
    const holders = this.byPmid.get(pmid);
    const other = holders?.[0];
    if (other !== undefined && this.options.duplicates === false && !isDynamicRoot(pmid)) {
      throw new PcpError(
        PM_ERR.PMNS,
        `Duplicate metric id (${pmIDStr(pmid)}) in name space for metrics "${name}" and "${fullName(other)}"`,
      );
    }
    const node = this.branch(name);
    node.pmid = pmid;
    this.count++;
    if (holders === undefined) this.byPmid.set(pmid, [node]);
    else holders.push(node);
  }

  /** The node of a name, the root for the empty one; undefined when there is none. */
  find(name: string): NameNode | undefined {
    let node: NameNode | undefined = this.root;
    if (name === "") return node;
    for (const part of name.split(".")) {
      node = node.children.get(part);
      if (node === undefined) return undefined;
    }
    return node;
  }

  private known(name: string): NameNode {
    const node = this.find(name);
    if (node === undefined) throw new PcpError(PM_ERR.NAME, `unknown metric name "${name}"`);
    return node;
  }

  /** The PMID of a metric; throws PM_ERR_NAME or PM_ERR_NONLEAF. */
  lookup(name: string): Pmid {
    const { pmid } = this.known(name);
    if (pmid !== undefined) return pmid;
    throw new PcpError(PM_ERR.NONLEAF, `"${name}" is not a leaf of the name space`);
  }

  private ordered(node: NameNode): NameNode[] {
    const children = [...node.children.values()];
    return this.options.newestFirst === true ? children.reverse() : children;
  }

  /** What is right below a name, nothing below a metric; throws PM_ERR_NAME. */
  children(name: string): ChildName[] {
    const nodes = this.ordered(this.known(name));
    return nodes.map((node) => ({ name: node.name, leaf: isLeaf(node) }));
  }

  /** All metrics at and below a name, depth first; throws PM_ERR_NAME at once. */
  traverse(name = ""): Generator<NamedPmid> {
    return this.walk(this.known(name), name);
  }

  private *walk(node: NameNode, name: string): Generator<NamedPmid> {
    if (node.pmid !== undefined) yield { name, pmid: node.pmid };
    for (const child of this.ordered(node)) {
      yield* this.walk(child, name === "" ? child.name : `${name}.${child.name}`);
    }
  }

  /** All names of a PMID in the order of addition, none for an unknown one. */
  namesOf(pmid: Pmid): string[] {
    return (this.byPmid.get(pmid) ?? []).map(fullName);
  }

  /** Takes away a metric, or a branch with all below it; branches left empty go too. */
  remove(name: string): void {
    const node = this.known(name);
    for (const { name: gone, pmid } of this.walk(node, name)) {
      this.count--;
      const left = (this.byPmid.get(pmid) ?? []).filter((holder) => fullName(holder) !== gone);
      if (left.length === 0) this.byPmid.delete(pmid);
      else this.byPmid.set(pmid, left);
    }
    node.children.clear();
    node.pmid = undefined;
    let empty = node;
    while (empty.parent !== undefined && empty.children.size === 0) {
      empty.parent.children.delete(empty.name);
      empty = empty.parent;
    }
  }
}

/** A tree of the given metrics. */
export function namesFrom(metrics: Iterable<NamedPmid>, options: NamesOptions = {}): Names {
  const names = new Names(options);
  for (const { name, pmid } of metrics) names.add(name, pmid);
  return names;
}
