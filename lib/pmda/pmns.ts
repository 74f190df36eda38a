// Name space files as PCP's programs load them (spec pmda.md 15): through the preprocessor, and with
// PCP's words for what is wrong. lib/pcp parses the form itself. Refused with PM_ERR_PMNS; where PCP
// goes on after a fault and complains of what follows from it, the first complaint is the only one.
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { PcpError, PM_ERR } from "../base/mod.ts";
import { type Names, namesFault, type NamesOptions, parseNames } from "../pcp/mod.ts";
import { preprocess, type PreprocessAccess } from "./preprocess.ts";

const HEAD = "Error Parsing ASCII PMNS: ";

/** PCP's lines for a fault of parseNames: with the line and a caret when words are wrong there. */
export function namesComplaint(error: PcpError): string {
  const fault = namesFault(error);
  if (fault === undefined) return `${HEAD}${error.message}`;
  const { reason, file, line, column, text, syntax } = fault;
  if (!syntax) return `${HEAD}${reason}`;
  const shown = text.trimStart();
  const blanks = " ".repeat(Math.max(0, column - 1 - (text.length - shown.length)));
  return `[${file}:${line}] ${HEAD}${reason}\n    ${shown}\n    ${blanks}^`;
}

/** Throws PM_ERR_PMNS whose message is what PCP prints. */
export function loadNames(
  file: string,
  text: string,
  access: PreprocessAccess,
  options: NamesOptions & {
    /** -I of the preprocessor; $PCP_VAR_DIR/pmns belongs there. */
    readonly folders?: readonly string[];
    /** The default name space is read as it stands. */
    readonly preprocess?: boolean;
  } = {},
): Names {
  let source = text;
  if (options.preprocess !== false) {
    const { text: plain, fault } = preprocess(file, text, access, {
      folders: options.folders ?? [],
    });
    if (fault !== undefined) {
      const last = `${HEAD}pmcpp returned non-zero exit status`;
      throw new PcpError(PM_ERR.PMNS, `${fault}\n${last}`);
    }
    source = plain;
  }
  try {
    return parseNames(source, file, options);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    throw new PcpError(PM_ERR.PMNS, namesComplaint(error), { cause: error });
  }
}

/** Files and commands of this machine. `commands` allows #shell. */
export const localAccess = (commands: boolean): PreprocessAccess => ({
  read: (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      // A file that cannot be opened is looked for elsewhere, whatever the reason.
      if (error instanceof Error && "code" in error) return undefined;
      throw error;
    }
  },
  ...(commands && {
    run: (command) => {
      const { stdout, exitCode, signalCode } = Bun.spawnSync(["/bin/sh", "-c", command], {
        stdin: "ignore",
        stderr: "inherit",
      });
      const output = stdout.toString();
      const signal = typeof signalCode === "string" ? constants.signals[signalCode] : signalCode;
      return signal === undefined ? { output, status: exitCode } : { output, signal };
    },
  }),
});

/** Loads a name space file of this machine as `pminfo -n` does. Throws PM_ERR_PMNS. */
export function readNames(path: string, varDir: string, options: NamesOptions = {}): Names {
  const access = localAccess(true);
  const text = access.read(path);
  if (text === undefined) throw new PcpError(PM_ERR.PMNS, `${HEAD}Cannot open "${path}"`);
  return loadNames(path, text, access, { ...options, folders: [join(varDir, "pmns")] });
}
