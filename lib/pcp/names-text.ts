// The file form of a name space (spec pmda.md 15): blocks `PATH { entries }`, the top one called
// root, as in PCP's pmns/root. Comments and `# N "FILE"` lines of a preprocessor are understood,
// other preprocessor lines are not. Errors are PM_ERR_PMNS with FILE:LINE:COLUMN and PCP's words.
import { MAX_PMNS_BYTES, MAX_PMNS_DEPTH, PM_ERR, PcpError } from "../base/mod.ts";
import {
  dynamicRootPmid,
  isDynamicRoot,
  type Pmid,
  pmidBuild,
  pmidCluster,
  pmIDStr,
} from "./ids.ts";
import { type NameNode, Names, type NamesOptions } from "./names.ts";

/** PCP gives up on longer lines. */
const MAX_LINE = 255;

interface Entry {
  readonly name: string;
  readonly pmid: Pmid | undefined;
  readonly at: number;
}
interface Block {
  readonly path: string;
  readonly at: number;
  readonly entries: Map<string, Entry>;
}

/** Where a file form is broken, as the cause of the error that says so. */
export interface NamesFault {
  readonly reason: string;
  /** The file, by a preprocessor's line marks where there are some, and the line in it. */
  readonly file: string;
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** The whole line. */
  readonly text: string;
  /** Whether the words are wrong there, rather than what all of them say. */
  readonly syntax: boolean;
}

/** What parseNames says of the place where a file is broken; undefined for other errors. */
export const namesFault = (error: PcpError): NamesFault | undefined => FAULTS.get(error);
const FAULTS = new WeakMap<PcpError, NamesFault>();

const LINE_MARK = /^# (\d+) "(.*)"\s*$/;

interface Token {
  readonly kind: "name" | "path" | "{" | "}" | "pmid" | "other" | "end";
  readonly text: string;
  readonly at: number;
}

const SPACE = /\s*/y;
const WORD = /[A-Za-z]\w*(?:\.[A-Za-z]\w*)*(?=[\s{}]|$)/y;
const PMID = /\d+(?:\s*:\s*(?:\d+|\*)){1,2}(?=[\s{}]|$)|\d+(?=[\s{}]|$)/y;
const OTHER = /\S[^\s{}]*/y;

/** Blanks out comments and preprocessor lines, so that every offset keeps its place. */
function plain(text: string, fail: (at: number, reason: string, syntax: false) => never): string {
  const blank = (part: string): string => part.replace(/[^\n]/g, " ");
  const bare = text.replace(/\/\*[^]*?(?:\*\/|$)/g, blank);
  return bare.replace(/^[ \t]*#.*$/gm, (line: string, at: number) => {
    if (!LINE_MARK.test(line)) fail(at, "Illegal line number control number", false);
    return blank(line);
  });
}

class Parser {
  private at = 0;
  private readonly text: string;
  token: Token = { kind: "end", text: "", at: 0 };

  constructor(
    private readonly source: string,
    private readonly file: string,
  ) {
    this.text = plain(source, (at, reason, syntax) => this.fail(at, reason, syntax));
    const long = /^.{256}/m.exec(source);
    if (long !== null)
      this.fail(long.index + MAX_LINE, "Absurdly long line, cannot recover", false);
    this.advance();
  }

  fail(at: number, reason: string, syntax = true): never {
    const lines = this.source.slice(0, at).split("\n");
    const start = at - (lines.at(-1) ?? "").length;
    const column = at - start + 1;
    const [text = ""] = this.source.slice(start).split("\n", 1);
    let { file } = this;
    let line = lines.length;
    const mark = lines.slice(0, -1).findLastIndex((before) => LINE_MARK.test(before));
    const [, number, name] = LINE_MARK.exec(lines[mark] ?? "") ?? [];
    if (number !== undefined && name !== undefined) {
      file = name;
      line = Number(number) + lines.length - mark - 2;
    }
    const error = new PcpError(PM_ERR.PMNS, `${file}:${line}:${column}: ${reason}`);
    FAULTS.set(error, { reason, file, line, column, text, syntax });
    throw error;
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text)?.[0];
  }

  advance(): void {
    this.at += this.match(SPACE)?.length ?? 0;
    const at = this.at;
    const char = this.text.charAt(at);
    const word = this.match(WORD);
    const pmid = word === undefined ? this.match(PMID) : undefined;
    if (char === "") this.token = { kind: "end", text: "", at };
    else if (char === "{" || char === "}") this.token = { kind: char, text: char, at };
    else if (word !== undefined) {
      this.token = { kind: word.includes(".") ? "path" : "name", text: word, at };
    } else if (pmid !== undefined) this.token = { kind: "pmid", text: pmid, at };
    else this.token = { kind: "other", text: this.match(OTHER) ?? char, at };
    this.at = at + this.token.text.length;
  }

  private pmid({ text, at }: Token): Pmid {
    const [domain = "", cluster = "", item] = text.replace(/\s/g, "").split(":");
    const stars = Number(cluster === "*") + Number(item === "*");
    if (item === undefined || stars === 1) this.fail(at, "Illegal PMID");
    if (Number(domain) > 510) {
      this.fail(at, `Illegal domain field in ${stars === 2 ? "dynamic " : ""}PMID`);
    }
    if (stars === 2) return dynamicRootPmid(Number(domain));
    if (Number(cluster) > 4095) this.fail(at, "Illegal cluster field in PMID");
    if (Number(item) > 1023) this.fail(at, "Illegal item field in PMID");
    return pmidBuild(Number(domain), Number(cluster), Number(item));
  }

  private entry(block: Block): void {
    const { text: name, at } = this.token;
    if (block.entries.has(name)) {
      this.fail(at, `Duplicate name "${name}" in subtree for "${block.path}"`);
    }
    this.advance();
    let pmid: Pmid | undefined;
    if (this.token.kind === "pmid") {
      pmid = this.pmid(this.token);
      this.advance();
    } else if (this.token.kind === "other" || this.token.kind === "{") {
      this.fail(this.token.at, "Expected NAME, PMID or }");
    }
    block.entries.set(name, { name, pmid, at });
  }

  private is(kind: Token["kind"]): boolean {
    return this.token.kind === kind;
  }

  block(): Block {
    const { kind, text: path, at } = this.token;
    if (kind !== "name" && kind !== "path") this.fail(at, "Expected NAME or PATH");
    this.advance();
    if (!this.is("{")) this.fail(this.token.at, "{ expected");
    this.advance();
    const block: Block = { path, at, entries: new Map() };
    while (this.is("name")) this.entry(block);
    // PCP takes the end of the file for the last brace.
    if (!this.is("}") && !this.is("end")) {
      this.fail(this.token.at, "Expected NAME or }");
    }
    this.advance();
    return block;
  }
}

/** Reads the file form; `file` is what errors call it. Throws PM_ERR_PMNS. */
export function parseNames(text: string, file = "pmns", options: NamesOptions = {}): Names {
  if (text.length > MAX_PMNS_BYTES) {
    throw new PcpError(
      PM_ERR.PMNS,
      `${file}: ${text.length} characters, ${MAX_PMNS_BYTES} allowed`,
    );
  }
  const parser: Parser = new Parser(text, file);
  const blocks = new Map<string, Block>();
  const surplus: Block[] = [];
  while (parser.token.kind !== "end") {
    const block = parser.block();
    if (!blocks.has(block.path)) blocks.set(block.path, block);
    else if (block.path === "root") {
      parser.fail(block.at, 'Multiple name space entries for "root"', false);
    } else surplus.push(block);
  }
  const root = blocks.get("root");
  if (root === undefined) {
    const reason = 'No name space entry for "root"';
    const error = new PcpError(PM_ERR.PMNS, `${file}: ${reason}`);
    FAULTS.set(error, { reason, file, line: 1, column: 1, text: "", syntax: false });
    throw error;
  }
  blocks.delete("root");
  const names = new Names(options);
  const place = ({ entries, at: start }: Block, prefix: string, depth: number): void => {
    if (depth > MAX_PMNS_DEPTH)
      parser.fail(start, `more than ${MAX_PMNS_DEPTH} levels of names`, false);
    for (const { name, pmid, at } of entries.values()) {
      const path = prefix === "" ? name : `${prefix}.${name}`;
      if (pmid !== undefined) {
        try {
          names.add(path, pmid);
        } catch (error) {
          if (!(error instanceof PcpError)) throw error;
          parser.fail(at, error.message, false);
        }
        continue;
      }
      const inner = blocks.get(path);
      if (inner === undefined) {
        const reason = `Cannot find definition for non-terminal node "${path}" in name space`;
        parser.fail(at, reason, false);
      }
      blocks.delete(path);
      names.addBranch(path);
      place(inner, path, depth + 1);
    }
  };
  place(root, "", 1);
  const [stray = surplus[0]] = blocks.values();
  if (stray !== undefined) {
    parser.fail(stray.at, `Disconnected subtree ("${stray.path}") in name space`, false);
  }
  return names;
}

const pmidText = (pmid: Pmid): string =>
  isDynamicRoot(pmid) ? `${pmidCluster(pmid)}:*:*` : pmIDStr(pmid).replaceAll(".", ":");

/** The file form of a tree: one block per branch, each before the ones below it. */
export function namesText(names: Names): string {
  const blocks: string[] = [];
  const write = (node: NameNode, path: string): void => {
    let text = `${path === "" ? "root" : path} {\n`;
    for (const { name, pmid } of node.children.values()) {
      text += pmid === undefined ? `\t${name}\n` : `\t${name}\t${pmidText(pmid)}\n`;
    }
    blocks.push(`${text}}\n`);
    for (const child of node.children.values()) {
      if (child.pmid === undefined)
        write(child, path === "" ? child.name : `${path}.${child.name}`);
    }
  };
  write(names.root, "");
  return blocks.join("\n");
}
