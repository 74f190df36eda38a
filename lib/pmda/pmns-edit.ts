// Changes of name space files (pmnsadd, pmnsdel, pmnsmerge and Make.stdpmid; spec pmda.md 15.2 and
// 15.3), over texts: the caller reads, locks and writes. namesText writes the trees that come out.
// Refused in the words of those programs: unknown paths, subtrees that hang together with nothing.
import { PcpError, PM_ERR, pmErrStr } from "../base/mod.ts";
import {
  fullName,
  type NameNode,
  type Names,
  namesText,
  parseNames,
  type Pmid,
  pmIDStr,
} from "../pcp/mod.ts";
import { loadNames } from "./pmns.ts";
import { preprocess, type PreprocessAccess } from "./preprocess.ts";

/** A name space file, and where what it includes is found. */
export interface NamesSource {
  /** What messages call it. */
  readonly file: string;
  readonly text: string;
  readonly access: PreprocessAccess;
  readonly folders?: readonly string[];
}

/** A changed tree with what was said on the way. */
export interface Merged {
  readonly names: Names;
  readonly warnings: readonly string[];
}

const load = ({ file, text, access, folders = [] }: NamesSource): Names =>
  loadNames(file, text, access, { folders });

/** Adds what is new in `from`: of each block its metrics, then what lies below its other names. */
function mergeInto(names: Names, from: Names, warnings: string[]): void {
  const add = (name: string, pmid: Pmid): void => {
    const known = names.find(name)?.pmid;
    if (known === undefined) names.add(name, pmid);
    else if (known !== pmid) {
      warnings.push(
        `pmnsmerge: Warning: performance metric "${name}" has multiple PMIDs.`,
        `... using PMID ${pmIDStr(known)} and ignoring PMID ${pmIDStr(pmid)}`,
      );
    }
  };
  const walk = (node: NameNode): void => {
    const children = [...node.children.values()];
    for (const child of children) if (child.pmid !== undefined) add(fullName(child), child.pmid);
    for (const child of children) if (child.pmid === undefined) walk(child);
  };
  walk(from.root);
}

/** pmnsmerge: the first file is kept as it is, the others are merged in. Throws PM_ERR_PMNS. */
export function mergeNames(sources: readonly NamesSource[]): Merged {
  const [first, ...others] = sources;
  const warnings: string[] = [];
  const names = first === undefined ? parseNames("root { }") : load(first);
  for (const source of others) mergeInto(names, load(source), warnings);
  return { names, warnings };
}

/** The number that pmnsmerge sorts files by, from `#define _DATESTAMP N`; 0 without one. */
export const dateStamp = (text: string): number =>
  Number(/^#define\s+_DATESTAMP\s+(\d+)/m.exec(text)?.[1] ?? 0);

/** The upper levels of a subtree, so that it can stand alone: the first block's path names it. */
function withUpperLevels(text: string): string {
  if (/^\s*root\s*\{/m.test(text)) return text;
  const [, path = ""] = /^\s*([A-Za-z][\w.]*)\s*\{/m.exec(text) ?? [];
  const parts = path.split(".");
  const blocks = parts.map((part, level) => {
    const above = level === 0 ? "root" : parts.slice(0, level).join(".");
    return `${above} {\n\t${part}\n}\n`;
  });
  return `${blocks.join("\n")}\n${text}`;
}

/**
 * pmnsadd: the subtree of a file put into a name space; all names that there are stay what they
 * are. Throws PM_ERR_PMNS with the programs' lines.
 */
export function addNames(to: NamesSource, subtree: NamesSource): Merged {
  const { file, access, folders = [] } = subtree;
  const warnings: string[] = [];
  try {
    const names = load(to);
    const { text, fault } = preprocess(file, subtree.text, access, { folders, plain: true });
    if (fault !== undefined) throw new PcpError(PM_ERR.PMNS, fault);
    mergeInto(
      names,
      loadNames(file, withUpperLevels(text), access, { preprocess: false }),
      warnings,
    );
    return { names, warnings };
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    const lines = [
      error.message,
      `pmnsmerge: Error: pmLoadASCIINameSpace(${file}, 1): ${pmErrStr(error.code)}`,
      `pmnsadd: No changes have been made to the PMNS file "${to.file}"`,
    ];
    throw new PcpError(PM_ERR.PMNS, lines.join("\n"), { cause: error });
  }
}

/** pmnsdel: subtrees taken out, with parents that are empty then. Throws PM_ERR_NAME. */
export function removeNames(from: NamesSource, paths: readonly string[]): Names {
  const names = load(from);
  for (const path of paths) {
    if (path === "" || names.find(path) === undefined) {
      const line = `pmnsdel: Error: metricpath "${path}" not defined in the PMNS`;
      throw new PcpError(PM_ERR.NAME, line);
    }
    names.remove(path);
  }
  return names;
}

/** The file form of a changed tree. */
export const editedText = ({ names }: Pick<Merged, "names">): string => namesText(names);

/** One domain of the table of agents. */
export interface DomainNumber {
  readonly name: string;
  readonly domain: number;
}

/**
 * Reads `stdpmid.*` files: a name and a number on each line. The same line may be in several. Throws
 * PM_ERR_PMNS for a name or a number that stands for two things, and for lines of another form.
 */
export function parseDomainNumbers(
  sources: readonly { readonly file: string; readonly text: string }[],
): DomainNumber[] {
  const byName = new Map<string, DomainNumber>();
  const byNumber = new Map<number, string>();
  for (const { file, text } of sources) {
    for (const [i, line] of text.split("\n").entries()) {
      if (line.trim() === "" || line.startsWith("#")) continue;
      const fields = /^([A-Za-z_]\w*)\s+(\d{1,3})\s*$/.exec(line);
      const fault = (reason: string): PcpError =>
        new PcpError(PM_ERR.PMNS, `${file}:${i + 1}: ${reason}`);
      if (fields === null) throw fault(`"${line}" is not a name and a number`);
      const [, name = "", digits = ""] = fields;
      const domain = Number(digits);
      if ((byName.get(name)?.domain ?? domain) !== domain)
        throw fault(`duplicate for domain name "${name}"`);
      if ((byNumber.get(domain) ?? name) !== name)
        throw fault(`duplicate for domain number "${domain}"`);
      byName.set(name, { name, domain });
      byNumber.set(domain, name);
    }
  }
  return [...byName.values()].sort((a, b) => a.domain - b.domain);
}

/** The header `stdpmid` for a table. */
export function stdpmidText(numbers: readonly DomainNumber[]): string {
  const lines = numbers.map(({ name, domain }) => `#define ${name}\t${domain}\n`);
  return `/*
 * Domain numbers of agents: 0 and 511 are reserved, 1 to 384 are those of PCP's own agents,
 * 385 to 510 are free for agents of this site. Made from the stdpmid.* files.
 */

#ifndef __STDPMID
#define __STDPMID

${lines.join("")}
#endif
`;
}
