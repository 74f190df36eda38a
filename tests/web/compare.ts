// What counts as equal when a reply of ours stands beside a recorded one: the differences that are meant
// (docs/differences.md) are taken out of both, and nothing else.

/** Labels that the recordings lack: optional ones, and those of agents, which came by chance. */
const LABELS_LEFT_OUT = new Set(["agent", "bin", "changed", "cluster", "model", "role", "units"]);

interface Json {
  readonly [name: string]: unknown;
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const withoutLabels = (labels: unknown, names: ReadonlySet<string>): unknown =>
  isObject(labels)
    ? Object.fromEntries(Object.entries(labels).filter(([name]) => !names.has(name)))
    : labels;

const byInstance = (a: unknown, b: unknown): number =>
  isObject(a) && isObject(b) ? Number(a["instance"]) - Number(b["instance"]) : 0;

/** A JSON reply with instances in the order of their numbers and without the labels above. */
function plainJson(value: unknown, isIndom: boolean): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => plainJson(item, isIndom));
    return items.every((item) => isObject(item) && "instance" in item)
      ? items.toSorted(byInstance)
      : items;
  }
  if (!isObject(value)) return value;
  const names = isIndom ? LABELS_LEFT_OUT : new Set(["changed"]);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === "labels" ? withoutLabels(member, names) : plainJson(member, isIndom),
    ]),
  );
}

const LINE = /^([\w:]+)(?:\{(.*)\})? (\S+)( \S+)?$/;
const PAIR = /(\w+)=("(?:[^"\\]|\\.)*")/g;

/** A reply of /metrics: each block once, labels sorted and without those above. */
function plainText(text: string): readonly string[] {
  const blocks = new Set<string>();
  let block: string[] = [];
  const end = (): void => {
    const [comments, samples] = [true, false].map((isComment) =>
      block.filter((line) => line.startsWith("#") === isComment),
    );
    if (block.length > 0) blocks.add([comments, samples?.toSorted()].flat().join("\n"));
    block = [];
  };
  for (const line of text.split("\n").filter((each) => each !== "")) {
    if (line.startsWith("# PCP")) end();
    const found = LINE.exec(line);
    if (found === null || line.startsWith("#")) {
      block.push(line);
      continue;
    }
    const [, name = "", set = "", value = "", time = ""] = found;
    const pairs = [...set.matchAll(PAIR)]
      .filter(([, label = ""]) => !LABELS_LEFT_OUT.has(label))
      .map(([pair]) => pair)
      .toSorted();
    const sample = `${name}{${pairs.join(",")}} ${value}${time}`;
    // The same metric twice in a row is one block there.
    if (!block.includes(sample)) block.push(sample);
  }
  end();
  return [...blocks];
}

/** Tokens become texts in JSON, so that it can be read. */
const readable = (body: string): unknown =>
  JSON.parse(body.replace(/:\{\{(\w+)\}\}/g, ':"{{$1}}"')) as unknown;

/** A body in the form in which it is compared. */
export function plainBody(body: string, type: string, isIndom: boolean): unknown {
  if (body.startsWith("#")) return plainText(body);
  return type === "application/json" ? plainJson(readable(body), isIndom) : body;
}

/** Whether `got` is `want`, where a token stands for any number. */
export function fits(want: unknown, got: unknown): boolean {
  if (typeof want === "string" && want.includes("{{")) {
    if (typeof got === "number") return true;
    if (typeof got !== "string") return false;
    const parts = want.split(/\{\{\w+\}\}/).map((part) => part.replace(/[^\w ]/g, "\\$&"));
    return new RegExp(`^${parts.join("-?[\\d.]+(?:e[+-]\\d+)?")}$`).test(got);
  }
  if (Array.isArray(want))
    return (
      Array.isArray(got) &&
      got.length === want.length &&
      want.every((item, index) => fits(item, got[index]))
    );
  if (!isObject(want)) return want === got;
  if (!isObject(got)) return false;
  // The order of members counts.
  const names = Object.keys(want);
  return (
    names.join("\n") === Object.keys(got).join("\n") &&
    names.every((name) => fits(want[name], got[name]))
  );
}
