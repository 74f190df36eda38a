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
  readonly children: ReadonlyMap<string, NameNode>;
}

/** A node as this file changes it. */
interface OwnNode extends NameNode {
  readonly parent: OwnNode | undefined;
  /** Number of parts of its name. */
  readonly depth: number;
  children: Map<string, OwnNode>;
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
  /** Whether a metric stays what it is when another PMID is added for it, instead of an error. */
  readonly keepFirst?: boolean;
  /**
   * Whether a name may be both a metric and a branch, instead of an error: it is a branch then, and
   * its PMID keeps the name only if it had it before.
   */
  readonly mixed?: boolean;
}

/** How far a name leads: to its node, or to one above it with `from`, where the rest begins. */
interface Followed {
  readonly node: OwnNode;
  readonly from: number | undefined;
}

/** The children of every leaf, which most nodes are: a map each would be most of the memory. */
const NO_CHILDREN: Map<string, OwnNode> = new Map();

const newNode = (name: string, parent: OwnNode | undefined): OwnNode => ({
  name,
  parent,
  depth: parent === undefined ? 0 : parent.depth + 1,
  pmid: undefined,
  children: NO_CHILDREN,
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
  readonly root: NameNode;
  private readonly top: OwnNode;
  /** The node of a PMID; a list only where there are several. */
  private readonly byPmid = new Map<Pmid, OwnNode | OwnNode[]>();
  /** Nodes by their full names, of those that have been looked below: most names share one. */
  private readonly above = new Map<string, OwnNode>();
  private count = 0;

  constructor(private readonly options: NamesOptions = {}) {
    this.top = newNode("", undefined);
    this.root = this.top;
  }

  /** Number of metrics and dynamic roots. */
  get size(): number {
    return this.count;
  }

  /** Follows a name as far as there are nodes for it. */
  private follow(name: string): Followed {
    const last = name.lastIndexOf(".");
    const above = last < 0 ? this.top : this.above.get(name.slice(0, last));
    if (above === undefined) return this.followParts(name);
    const child = above.children.get(name.slice(last + 1));
    return child === undefined ? { node: above, from: last + 1 } : { node: child, from: undefined };
  }

  private followParts(name: string): Followed {
    let node = this.top;
    for (let from = 0; ;) {
      const dot = name.indexOf(".", from);
      if (dot < 0 && from > 0) this.above.set(name.slice(0, from - 1), node);
      const child = node.children.get(dot < 0 ? name.slice(from) : name.slice(from, dot));
      if (child === undefined) return { node, from };
      if (dot < 0) return { node: child, from: undefined };
      node = child;
      from = dot + 1;
    }
  }

  /** Adds the nodes that a name lacks; gives the last one. */
  private grow({ node, from }: Followed, name: string): OwnNode {
    if (from === undefined) return node;
    const parts = name.indexOf(".", from) < 0 ? [name.slice(from)] : name.slice(from).split(".");
    const depth = node.depth + parts.length;
    if (depth > MAX_PMNS_DEPTH) {
      throw new PcpError(
        PM_ERR.PMNS,
        `metric name "${name}" has ${depth} parts, ${MAX_PMNS_DEPTH} allowed`,
      );
    }
    if (parts.includes("")) {
      throw new PcpError(PM_ERR.PMNS, `metric name "${name}" has an empty part`);
    }
    if (node.pmid !== undefined) {
      if (this.options.mixed !== true) {
        const reason = `"${fullName(node)}" is a metric and cannot hold "${name}"`;
        throw new PcpError(PM_ERR.PMNS, reason);
      }
      // It is a branch from now on; its PMID keeps the name.
      node.pmid = undefined;
      this.count--;
    }
    let grown = node;
    for (const part of parts) {
      const child = newNode(part, grown);
      if (grown.children === NO_CHILDREN) grown.children = new Map();
      grown.children.set(part, child);
      grown = child;
    }
    return grown;
  }

  /** Adds a branch that may stay empty. */
  addBranch(name: string): void {
    const node = name === "" ? this.top : this.grow(this.follow(name), name);
    if (node.pmid === undefined) return;
    throw new PcpError(PM_ERR.PMNS, `"${name}" is a metric and cannot hold others`);
  }

  /** Adds a metric or a dynamic root. The same name with the same PMID again is fine. */
  add(name: string, pmid: Pmid): void {
    const last = name.lastIndexOf(".");
    const above = this.above.get(name.slice(0, Math.max(last, 0)));
    const part = name.slice(last + 1);
    // Most names are new ones in a branch that holds others: nothing is wrong with these.
    const plain =
      above !== undefined &&
      above.children !== NO_CHILDREN &&
      !above.children.has(part) &&
      part !== "" &&
      this.count < MAX_PMNS_NAMES &&
      above.depth < MAX_PMNS_DEPTH &&
      this.options.duplicates !== false;
    if (!plain) {
      this.addWithCare(name, pmid);
      return;
    }
    const node = newNode(part, above);
    above.children.set(part, node);
    this.keep(node, pmid);
  }

  /** Makes a node a metric. */
  private keep(node: OwnNode, pmid: Pmid): void {
    node.pmid = pmid;
    this.count++;
    const holders = this.byPmid.get(pmid);
    if (holders === undefined) this.byPmid.set(pmid, node);
    else if (Array.isArray(holders)) holders.push(node);
    else this.byPmid.set(pmid, [holders, node]);
  }

  /** The nodes of a PMID in the order of addition. */
  private holders(pmid: Pmid): readonly OwnNode[] {
    const found = this.byPmid.get(pmid);
    if (found === undefined) return [];
    return Array.isArray(found) ? found : [found];
  }

  private addWithCare(name: string, pmid: Pmid): void {
    const followed = this.follow(name);
    const known = followed.from === undefined ? followed.node : undefined;
    if (known?.pmid !== undefined) {
      if (known.pmid === pmid || this.options.keepFirst === true) return;
      const [old, given] = [pmIDStr(known.pmid), pmIDStr(pmid)];
      throw new PcpError(PM_ERR.PMNS, `metric "${name}" has PMID ${old} and cannot have ${given}`);
    }
    if (known !== undefined) {
      if (this.options.mixed === true) return;
      throw new PcpError(PM_ERR.PMNS, `"${name}" holds other names and cannot be a metric`);
    }
    if (this.count >= MAX_PMNS_NAMES) {
      throw new PcpError(PM_ERR.PMNS, `more than ${MAX_PMNS_NAMES} metrics`);
    }
    const [other] = this.holders(pmid);
    if (other !== undefined && this.options.duplicates === false && !isDynamicRoot(pmid)) {
      throw new PcpError(
        PM_ERR.PMNS,
        `Duplicate metric id (${pmIDStr(pmid)}) in name space for metrics "${name}" and "${fullName(other)}"`,
      );
    }
    this.keep(this.grow(followed, name), pmid);
  }

  /** The node of a name, the root for the empty one; undefined when there is none. */
  find(name: string): NameNode | undefined {
    return this.own(name);
  }

  private own(name: string): OwnNode | undefined {
    if (name === "") return this.top;
    const { node, from } = this.follow(name);
    return from === undefined ? node : undefined;
  }

  private known(name: string): OwnNode {
    const node = this.own(name);
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
    return this.holders(pmid).map(fullName);
  }

  /** Takes away a metric, or a branch with all below it; branches left empty go too. */
  remove(name: string): void {
    const node = this.known(name);
    for (const { name: gone, pmid } of this.walk(node, name)) {
      this.count--;
      const left = this.holders(pmid).filter((holder) => fullName(holder) !== gone);
      if (left.length === 0) this.byPmid.delete(pmid);
      else this.byPmid.set(pmid, left);
    }
    node.children = NO_CHILDREN;
    node.pmid = undefined;
    this.above.clear();
    let empty: OwnNode = node;
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
