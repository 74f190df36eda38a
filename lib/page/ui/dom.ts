// Elements made from code. Texts are always texts: nothing here, and nothing else of the page, makes
// HTML of a string.

/** What an element may hold; null stands for nothing. */
export type Child = Node | string | null;

/** Attributes; true: there without a value; false and undefined: not there; functions: listeners. */
export type Attributes = Readonly<
  Record<string, string | number | boolean | undefined | ((event: Event) => void)>
>;

/** Makes an element. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else set(made, name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Sets an attribute, or takes it away: true is an empty one, false and undefined are none. */
export function set(
  element: Element,
  name: string,
  value: string | number | boolean | undefined,
): void {
  if (value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Changes a text only where it differs, so that selections in it stay and screen readers are quiet. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A link to a request; it opens beside the page. */
export const restLink = (href: string, label: string, attributes: Attributes = {}) =>
  el("a", { href, target: "_blank", rel: "noopener", class: "rest", ...attributes }, label);

let counter = 0;
/** An id that no other element has. */
export const freshId = (prefix: string): string => `${prefix}-${++counter}`;
