// Labels: the JSON text of a label set with its index records, as they stand in LABEL PDUs and
// archives (spec pdu.md 3.12), and the merge of the levels' sets into one. Refuses with -EINVAL,
// naming the column: text that is no JSON object, names of other characters, a name twice; and sets
// over the limits of the format.
import {
  MAX_LABEL_FULL_NAME_BYTES,
  MAX_LABEL_JSON_BYTES,
  MAX_LABEL_NAME_BYTES,
  MAX_LABELS,
  PM_ERR,
  PcpError,
} from "../base/mod.ts";
import { asIndom, asPmid, type InstanceId, PM_IN_NULL, pmIDStr, pmInDomStr } from "./ids.ts";

/** Levels of labels, each over the ones before it, and two marks of a single label. */
export const PM_LABEL = {
  CONTEXT: 1,
  DOMAIN: 2,
  INDOM: 4,
  CLUSTER: 8,
  ITEM: 16,
  INSTANCES: 32,
  /** The name comes from a nested object. */
  COMPOUND: 64,
  /** Not part of the identity of a metric. */
  OPTIONAL: 128,
} as const;

/** One label. `name` is full and dotted, `value` JSON text without needless blanks. */
export interface Label {
  readonly name: string;
  readonly value: string;
  readonly flags: number;
}

/** Index record of one label: byte offsets and lengths in the set's JSON text. */
export interface LabelRecord {
  /** The name without its quotes. */
  readonly nameOffset: number;
  readonly nameLength: number;
  /** One level of PM_LABEL, with COMPOUND and OPTIONAL. */
  readonly flags: number;
  /** The value, with the quotes of a string. */
  readonly valueOffset: number;
  readonly valueLength: number;
}

/** A label set as it travels: records sorted by full name, the text in its own order. */
export interface LabelSet {
  /** PM_IN_NULL, or the instance at the level INSTANCES. */
  readonly instance: InstanceId;
  readonly json: Uint8Array;
  readonly records: readonly LabelRecord[];
}

/** Size of an index record on the wire. */
export const LABEL_RECORD_BYTES = 8;

const EINVAL = -22;
// Deeper nesting than any name within MAX_LABEL_FULL_NAME_BYTES needs of an honest writer.
const MAX_DEPTH = 32;
// Text of a person may have blanks and is shorter without them, but not that much.
const MAX_TEXT_BYTES = 1024 * 1024;

function refuse(at: number, reason: string): never {
  throw new PcpError(EINVAL, `labels, column ${at + 1}: ${reason}`);
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const fromLatin1 = (text: string): string => Buffer.from(text, "latin1").toString();

interface Found {
  readonly full: string;
  readonly record: LabelRecord;
}

const BLANKS = /[ \t\r\n]*/y;
// Control characters inside strings are let through, as PCP does not look at values.
const STRING = /"[^"\\]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\]*)*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)\b/y;

/**
 * Walks over JSON in `text`, of which each character is a byte, writing it without blanks to `out`
 * and noting each label with its offsets there.
 */
class Scanner {
  at = 0;
  out = "";
  readonly found: Found[] = [];
  /** Full names of nested objects that hold labels; none may be a label too. */
  readonly objects = new Set<string>();

  constructor(
    private readonly text: string,
    private readonly flags: number,
  ) {}

  private blanks(): void {
    BLANKS.lastIndex = this.at;
    BLANKS.test(this.text);
    this.at = BLANKS.lastIndex;
  }

  peek(): string {
    this.blanks();
    return this.text.charAt(this.at);
  }

  private expect(char: string): void {
    if (this.peek() !== char) {
      const got = this.at < this.text.length ? `"${this.text.charAt(this.at)}"` : "the end";
      refuse(this.at, `"${char}" expected, ${got} found`);
    }
    this.at++;
    this.out += char;
  }

  private token(pattern: RegExp, what: string): string {
    this.blanks();
    pattern.lastIndex = this.at;
    const token = pattern.exec(this.text)?.[0];
    if (token === undefined) refuse(this.at, `${what} expected`);
    this.at += token.length;
    this.out += token;
    return token;
  }

  private name(): string {
    this.blanks();
    const start = this.at;
    const name = this.token(STRING, "a name in quotes").slice(1, -1);
    if (name.length >= MAX_LABEL_NAME_BYTES) {
      refuse(start, `name of ${name.length} bytes, fewer than ${MAX_LABEL_NAME_BYTES} allowed`);
    }
    if (!/^[A-Za-z0-9]\w*$/.test(name)) refuse(start, `bad label name "${fromLatin1(name)}"`);
    return name;
  }

  private list(open: string, close: string, item: () => void): void {
    this.expect(open);
    if (this.peek() !== close) {
      item();
      while (this.peek() === ",") {
        this.expect(",");
        item();
      }
    }
    this.expect(close);
  }

  /** A value that is no label of its own: within arrays. */
  private opaque(depth: number): void {
    if (depth > MAX_DEPTH) refuse(this.at, `nested more than ${MAX_DEPTH} deep`);
    const char = this.peek();
    if (char === "[") this.list("[", "]", () => this.opaque(depth + 1));
    else if (char === "{") {
      this.list("{", "}", () => {
        this.token(STRING, "a name in quotes");
        this.expect(":");
        this.opaque(depth + 1);
      });
    } else this.token(char === '"' ? STRING : SCALAR, "a value");
  }

  object(prefix: string, depth: number): void {
    if (depth > MAX_DEPTH) refuse(this.at, `nested more than ${MAX_DEPTH} deep`);
    this.list("{", "}", () => {
      const name = this.name();
      const nameEnd = this.out.length - 1;
      const full = prefix === "" ? name : `${prefix}.${name}`;
      if (full.length >= MAX_LABEL_FULL_NAME_BYTES) refuse(this.at, "label name too long");
      this.expect(":");
      const valueOffset = this.out.length;
      const labels = this.found.length;
      const nested = this.peek() === "{";
      if (nested) this.object(full, depth + 1);
      else this.opaque(depth + 1);
      if (nested && this.found.length > labels) {
        this.objects.add(full);
        return;
      }
      const compound = nested || prefix !== "" ? PM_LABEL.COMPOUND : 0;
      this.found.push({
        full,
        record: {
          nameOffset: nameEnd - name.length,
          nameLength: name.length,
          flags: this.flags | compound,
          valueOffset,
          valueLength: this.out.length - valueOffset,
        },
      });
    });
  }

  end(): void {
    if (this.peek() !== "") refuse(this.at, "text after the end of the labels");
  }
}

const byName = (a: { full: string }, b: { full: string }): number =>
  a.full < b.full ? -1 : Number(a.full > b.full);

function scan(json: Uint8Array, flags: number): Scanner {
  if (json.length > MAX_TEXT_BYTES) {
    throw new PcpError(
      PM_ERR.TOOBIG,
      `labels in ${json.length} bytes of text, ${MAX_TEXT_BYTES} allowed`,
    );
  }
  const scanner = new Scanner(latin1(json), flags);
  if (scanner.peek() === "") return scanner;
  scanner.object("", 0);
  scanner.end();
  scanner.found.sort(byName);
  return scanner;
}

/**
 * Reads JSON text of labels: gives it without blanks, with its index. `flags` are those of every
 * label: the level, and OPTIONAL or not. The empty text and `{}` are a set without labels, whose
 * text is empty. Throws -EINVAL, or PM_ERR_TOOBIG over the limits of the format.
 */
export function parseLabels(
  text: string | Uint8Array,
  flags: number,
  instance: InstanceId = PM_IN_NULL,
): LabelSet {
  const scanner = scan(typeof text === "string" ? Buffer.from(text) : text, flags);
  const { found, out } = scanner;
  found.forEach(({ full }, index) => {
    if (found[index - 1]?.full === full || scanner.objects.has(full)) {
      throw new PcpError(EINVAL, `labels: name "${full}" given twice`);
    }
  });
  if (found.length >= MAX_LABELS) {
    throw new PcpError(PM_ERR.TOOBIG, `${found.length} labels, fewer than ${MAX_LABELS} allowed`);
  }
  if (out.length >= MAX_LABEL_JSON_BYTES) {
    throw new PcpError(
      PM_ERR.TOOBIG,
      `labels of ${out.length} bytes, fewer than ${MAX_LABEL_JSON_BYTES} allowed`,
    );
  }
  if (found.length === 0) return { instance, json: new Uint8Array(0), records: [] };
  const records = found.map(({ record }) => record);
  return { instance, json: new Uint8Array(Buffer.from(out, "latin1")), records };
}

/**
 * The labels of a set, sorted by name. Names and values come from the text; flags from the index
 * record that points at the name, 0 where none does. Throws PM_ERR_IPC for records outside the
 * text, -EINVAL for text that is no JSON.
 */
export function labelsOf(set: LabelSet): Label[] {
  const flags = new Map<number, number>();
  for (const record of set.records) {
    const inside =
      record.nameOffset + record.nameLength <= set.json.length &&
      record.valueOffset + record.valueLength <= set.json.length;
    if (!inside) {
      throw new PcpError(PM_ERR.IPC, `label record at ${record.nameOffset} outside its JSON text`);
    }
    flags.set(record.nameOffset, record.flags);
  }
  const scanner = scan(set.json, 0);
  // Offsets count in the text as given; it has blanks only if its writer was careless.
  const exact = scanner.out.length === set.json.length;
  return scanner.found.map(({ full, record: { nameOffset, valueOffset, valueLength } }, index) => ({
    name: full,
    value: fromLatin1(scanner.out.slice(valueOffset, valueOffset + valueLength)),
    flags: (exact ? flags.get(nameOffset) : set.records[index]?.flags) ?? 0,
  }));
}

/**
 * Merges label lists, lowest level first: the last label of a name wins, and a nested name `a.b`
 * displaces a plain `a` before it. `keep` decides on labels as they are met; one that is not kept
 * still displaces. Sorted by name.
 */
export function mergeLabels(
  levels: Iterable<readonly Label[]>,
  keep: (label: Label) => boolean = () => true,
): Label[] {
  const merged = new Map<string, Label | undefined>();
  for (const labels of levels) {
    for (const label of labels) {
      const dot = label.name.lastIndexOf(".");
      if (dot > 0) merged.delete(label.name.slice(0, dot));
      merged.set(label.name, keep(label) ? label : undefined);
    }
  }
  return [...merged.values()]
    .filter((label) => label !== undefined)
    .sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** JSON text of labels, full names as they are: what `pminfo -l` prints after `labels`. */
export const labelsText = (labels: readonly Label[]): string =>
  `{${labels.map(({ name, value }) => `"${name}":${value}`).join(",")}}`;

const LEVEL_NAMES = ["context", "domain", "indom", "cluster", "pmid", "instances"] as const;

function flagNames(flags: number): string {
  const names: string[] = LEVEL_NAMES.filter((_, bit) => (flags & (1 << bit)) !== 0);
  if ((flags & PM_LABEL.COMPOUND) !== 0) names.push("compound");
  if ((flags & PM_LABEL.OPTIONAL) !== 0) names.push("optional");
  return names.join(",");
}

function identText(ident: number, type: number, instance: InstanceId): string {
  switch (type) {
    case PM_LABEL.CONTEXT:
      return "Context";
    case PM_LABEL.DOMAIN:
      return `Domain ${ident}`;
    case PM_LABEL.INDOM:
      return `InDom ${pmInDomStr(asIndom(ident))}`;
    case PM_LABEL.CLUSTER:
      return `Cluster ${pmIDStr(asPmid(ident)).replace(/\.[^.]*$/, "")}`;
    case PM_LABEL.ITEM:
      return `PMID ${pmIDStr(asPmid(ident))}`;
    default:
      return `InDom ${pmInDomStr(asIndom(ident))}[${instance >>> 0}]`;
  }
}

/** Label sets with their indexes, one line each, as pmPrintLabelSets(3). */
export function labelSetsText(ident: number, type: number, sets: readonly LabelSet[]): string {
  let text = "";
  for (const { instance, json, records } of sets) {
    const body = json.length === 0 ? "(null)" : Buffer.from(json).toString();
    text += `    ${identText(ident, type, instance)} labels (${json.length} bytes): ${body}\n`;
    records.forEach(({ nameOffset, nameLength, valueOffset, valueLength, flags }, index) => {
      text += `        [${index}] name(${nameOffset},${nameLength})`;
      text += ` : value(${valueOffset},${valueLength}) [${flagNames(flags)}]\n`;
    });
  }
  return text;
}
