// The metric names of the current host as a tree. Children are asked for when a branch is opened first.
// Keys as the ARIA pattern for trees has them: arrows, Home, End, a letter; Enter charts a metric.
import type { App, Part } from "./app.ts";
import { el, set, write } from "./dom.ts";
import { hasChart, withChart } from "./route.ts";
import type { Children, Source } from "./source.ts";

interface TreeNode {
  readonly name: string;
  readonly parent: TreeNode | undefined;
  readonly isLeaf: boolean;
  readonly item: HTMLLIElement;
  readonly group: HTMLUListElement | undefined;
  children: TreeNode[] | undefined;
  loading: Promise<void> | undefined;
}

export interface Tree extends Part {
  readonly element: HTMLElement;
  /** Opens all branches down to a name and goes there. */
  reveal(name: string, focus: boolean): Promise<void>;
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

export function createTree(app: App): Tree {
  const list = el("ul", { role: "tree", class: "tree", "aria-label": "Metrics" });
  const notice = el("p", { class: "notice", role: "status" });
  const element = el("div", { class: "tree-box" }, notice, list);
  let source: Source | undefined;
  let root: TreeNode[] | undefined;
  let rootLoading = false;
  let active: TreeNode | undefined;
  const nodes = new WeakMap<Element, TreeNode>();

  const isOpen = (node: TreeNode): boolean => node.item.getAttribute("aria-expanded") === "true";

  const focus = (node: TreeNode, move = true): void => {
    if (active !== undefined) {
      active.item.tabIndex = -1;
      set(active.item, "aria-selected", "false");
    }
    active = node;
    node.item.tabIndex = 0;
    set(node.item, "aria-selected", "true");
    if (move) node.item.focus({ preventScroll: true });
    node.item.firstElementChild?.scrollIntoView({ block: "nearest" });
    app.choose(node.name);
  };

  const make = (name: string, parent: TreeNode | undefined, isLeaf: boolean): TreeNode => {
    const level = name.split(".").length;
    const group = isLeaf ? undefined : el("ul", { role: "group", hidden: true });
    const mark = el("span", { class: "mark", "aria-hidden": "true" });
    const add = isLeaf
      ? el("span", { class: "add", "aria-hidden": "true", title: `Chart ${name}` }, "+")
      : null;
    const label = el("span", { class: "label" }, lastPart(name));
    const row = el("div", { class: "row" }, mark, label, add);
    row.style.setProperty("--level", String(level - 1));
    const item = el("li", {
      role: "treeitem",
      tabindex: -1,
      "aria-level": level,
      "aria-label": lastPart(name),
      "aria-selected": "false",
      ...(isLeaf ? { class: "leaf" } : { "aria-expanded": "false" }),
    });
    item.append(row);
    if (group !== undefined) item.append(group);
    const node: TreeNode = {
      name,
      parent,
      isLeaf,
      item,
      group,
      children: undefined,
      loading: undefined,
    };
    nodes.set(item, node);
    return node;
  };

  const fill = (
    into: HTMLElement,
    { leaves, branches }: Children,
    parent?: TreeNode,
  ): TreeNode[] => {
    const full = (name: string): string => (parent === undefined ? name : `${parent.name}.${name}`);
    const made = [
      ...branches.map((name) => make(full(name), parent, false)),
      ...leaves.map((name) => make(full(name), parent, true)),
    ];
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    made.sort((a, b) => compare(a.name, b.name));
    into.replaceChildren(...made.map((node) => node.item));
    mark(made);
    return made;
  };

  /** Shows which leaves are on charts. */
  const mark = (among: readonly TreeNode[]): void => {
    for (const node of among) {
      if (node.isLeaf) {
        const isCharted = hasChart(app.state, app.state.host, node.name);
        node.item.classList.toggle("charted", isCharted);
        set(node.item, "aria-description", isCharted ? "on a chart" : undefined);
      }
      if (node.children !== undefined) mark(node.children);
    }
  };

  const load = (node: TreeNode): Promise<void> => {
    const { group } = node;
    if (group === undefined || node.children !== undefined || source === undefined) {
      return Promise.resolve();
    }
    const asked = source;
    set(node.item, "aria-busy", "true");
    node.loading ??= asked
      .children(node.name)
      .then(
        (children) => {
          node.children = fill(group, children, node);
        },
        (error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          group.replaceChildren(el("li", { role: "none", class: "notice" }, reason));
        },
      )
      .finally(() => {
        node.loading = undefined;
        set(node.item, "aria-busy", undefined);
      });
    return node.loading;
  };

  const expand = async (node: TreeNode): Promise<void> => {
    if (node.group === undefined) return;
    set(node.item, "aria-expanded", "true");
    node.group.hidden = false;
    await load(node);
  };
  const collapse = (node: TreeNode): void => {
    if (node.group === undefined) return;
    set(node.item, "aria-expanded", "false");
    node.group.hidden = true;
  };
  const toggle = (node: TreeNode): void => {
    if (isOpen(node)) collapse(node);
    else void expand(node);
  };

  const act = (node: TreeNode): void => {
    if (!node.isLeaf) toggle(node);
    else if (hasChart(app.state, app.state.host, node.name)) app.say(`${node.name} is on a chart`);
    else app.change((state) => withChart(state, state.host, node.name));
  };

  /** The nodes that can be seen, from top to bottom. */
  const visible = (): TreeNode[] =>
    [...list.querySelectorAll<HTMLElement>('[role="treeitem"]')]
      .filter((item) => item.closest("ul[hidden]") === null)
      .map((item) => nodes.get(item))
      .filter((node) => node !== undefined);

  const keys: Readonly<Record<string, (node: TreeNode, all: readonly TreeNode[]) => void>> = {
    ArrowDown: (node, all) => focus(all[all.indexOf(node) + 1] ?? node),
    ArrowUp: (node, all) => focus(all[all.indexOf(node) - 1] ?? node),
    Home: (node, all) => focus(all[0] ?? node),
    End: (node, all) => focus(all.at(-1) ?? node),
    ArrowRight: (node) => {
      if (node.isLeaf) return;
      if (isOpen(node)) focus(node.children?.[0] ?? node);
      else void expand(node);
    },
    ArrowLeft: (node) => {
      if (!node.isLeaf && isOpen(node)) collapse(node);
      else if (node.parent !== undefined) focus(node.parent);
    },
    Enter: act,
    " ": act,
  };
  list.addEventListener("keydown", (event) => {
    if (active === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = visible();
    const key = keys[event.key];
    if (key !== undefined) key(active, all);
    else if (/^\S$/.test(event.key)) {
      const at = all.indexOf(active) + 1;
      const wanted = event.key.toLowerCase();
      const next = [...all.slice(at), ...all.slice(0, at)].find((node) =>
        lastPart(node.name).toLowerCase().startsWith(wanted),
      );
      if (next === undefined) return;
      focus(next);
    } else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => {
    const target = event.target as Element;
    const item = target.closest('[role="treeitem"]');
    const node = item === null ? undefined : nodes.get(item);
    if (node === undefined) return;
    focus(node);
    if (!node.isLeaf) toggle(node);
    else if (target.closest(".add") !== null) act(node);
  });
  list.addEventListener("dblclick", (event) => {
    const item = (event.target as Element).closest("li.leaf");
    const node = item === null ? undefined : nodes.get(item);
    if (node !== undefined) act(node);
  });

  const start = async (): Promise<void> => {
    if (source === undefined || rootLoading || root !== undefined) return;
    const asked = source;
    rootLoading = true;
    write(notice, "Reading the names …");
    try {
      const children = await asked.children("");
      if (asked !== source) return;
      root = fill(list, children);
      const [first] = root;
      if (first !== undefined) first.item.tabIndex = 0;
      active = first;
      write(notice, first === undefined ? "This host has no metrics." : "");
    } catch (error) {
      if (asked !== source) return;
      write(notice, `No names: ${error instanceof Error ? error.message : String(error)}.`);
    } finally {
      rootLoading = false;
    }
  };

  const tree: Tree = {
    element,
    update(state) {
      const wanted = app.source(state.host);
      if (wanted !== source) {
        source = wanted;
        root = undefined;
        rootLoading = false;
        active = undefined;
        list.replaceChildren();
        void start();
      }
      mark(root ?? []);
    },
    changed(which) {
      if (which === source && which.state.kind === "up") void start();
    },
    async reveal(name, move) {
      await start();
      const parts = name.split(".");
      let among = root ?? [];
      for (let depth = 1; depth <= parts.length; depth++) {
        const prefix = parts.slice(0, depth).join(".");
        const node = among.find((each) => each.name === prefix);
        if (node === undefined) return;
        if (depth === parts.length) focus(node, move);
        else {
          await expand(node);
          among = node.children ?? [];
        }
      }
    },
    chosen(name, reveal) {
      if (reveal) void tree.reveal(name, false);
    },
  };
  return tree;
}
