// The static names of a table of agents: those of a file (PMNS), and those that agents of this program
// bring in their tables, with their dynamic roots (spec pmda.md 15). Refuses with PM_ERR_NOPMNS a file
// that cannot be read or has faults; one that is not there is no fault where agents bring names.
import { readFile } from "node:fs/promises";
import { asPcpError, PcpError, PM_ERR } from "../base/mod.ts";
import { dynamicRootPmid, Names, parseNames, type Pmid } from "../pcp/mod.ts";

/** What an agent in this process says of its names. */
export interface OwnNames {
  readonly domain: number;
  readonly leaves: readonly { readonly name: string; readonly pmid: Pmid }[];
  readonly dynamicRoots: readonly string[];
}

const ENOENT = -2;

/** Reads the names of a file. Throws PcpError PM_ERR_NOPMNS, whatever is wrong with it. */
async function readNames(path: string): Promise<Names> {
  try {
    return parseNames(await readFile(path, "utf8"), path);
  } catch (error) {
    throw new PcpError(PM_ERR.NOPMNS, `names of ${path}: ${asPcpError(error).message}`, {
      cause: error,
    });
  }
}

/** Adds a name unless the file has another meaning for it. */
function addName(names: Names, name: string, pmid: Pmid): void {
  try {
    names.add(name, pmid);
  } catch (error) {
    // A metric above or below a name of the same agent in the file: the file decides.
    if (!(error instanceof PcpError)) throw error;
  }
}

function merged(base: Names | undefined, own: readonly OwnNames[]): Names {
  const names = new Names({ keepFirst: true });
  if (base !== undefined)
    for (const { name, pmid } of base.traverse("")) addName(names, name, pmid);
  for (const { domain, leaves, dynamicRoots } of own) {
    for (const { name, pmid } of leaves) addName(names, name, pmid);
    for (const root of dynamicRoots) addName(names, root, dynamicRootPmid(domain));
  }
  return names;
}

/**
 * The names of a table, read when they are asked for first and put together anew when agents bring
 * others. `from` is the file or its names; `own` gives what agents bring at present.
 */
export function tableNames(
  from: Names | string,
  own: () => readonly OwnNames[],
): () => Promise<Names> {
  let base: Names | undefined = typeof from === "string" ? undefined : from;
  let known: { readonly leaves: readonly OwnNames["leaves"][]; readonly names: Names } | undefined;
  const isKnown = (now: readonly OwnNames[]): boolean =>
    known !== undefined &&
    known.leaves.length === now.length &&
    now.every(({ leaves }, index) => leaves === known?.leaves[index]);
  return async () => {
    const now = own();
    if (known !== undefined && isKnown(now)) return known.names;
    if (base === undefined && typeof from === "string") {
      try {
        base = await readNames(from);
      } catch (error) {
        const missing = error instanceof PcpError && asPcpError(error.cause).code === ENOENT;
        if (!missing || now.length === 0) throw error;
      }
    }
    const names = now.length === 0 && base !== undefined ? base : merged(base, now);
    known = { leaves: now.map(({ leaves }) => leaves), names };
    return names;
  };
}
