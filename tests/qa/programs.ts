// pmcpp, newhelp, pmnsdel, pmnsmerge and pmseries over our library, for PCP's tests of them: the first word says
// which.
// Only what these programs do with files is ours; mistakes on the command line go to the real ones, which
// are kept in /usr/lib/pcp/real.
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { parseArgs } from "node:util";

import { PcpError, PM_ERR, pmErrStr } from "../../lib/base/mod.ts";
import {
  defineOption,
  editedText,
  encodeHelp,
  helpStatus,
  localAccess,
  mergeNames,
  parseHelpSource,
  preprocess,
  readNames,
  removeNames,
} from "../../lib/pmda/mod.ts";
import { dateStamp } from "../../lib/pmda/pmns-edit.ts";
import { pmseries } from "./pmseries.ts";

const [program = "", ...args] = process.argv.slice(2);
const VAR_DIR = process.env["PCP_VAR_DIR"] ?? "/var/lib/pcp";
const ROOT = process.env["PMNS_DEFAULT"] ?? `${VAR_DIR}/pmns/root`;
const folders = [`${VAR_DIR}/pmns`];

const say = (text: string): void => void process.stdout.write(Buffer.from(text, "latin1"));
const complain = (text: string): void => void process.stderr.write(`${text}\n`);

/** The program of PCP takes over. */
function real(): number {
  const { exitCode } = Bun.spawnSync([`/usr/lib/pcp/real/${program}`, ...args], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  return exitCode;
}

/** Options and operands, or undefined where the command line is wrong. */
function optionsOf<
  T extends Record<string, { type: "boolean" | "string"; short?: string; multiple?: boolean }>,
>(options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

const access = localAccess(true);
const latin = {
  ...access,
  read: (path: string) => (existsSync(path) ? readFileSync(path, "latin1") : undefined),
};

/** Whether files can be made there. */
function mayWriteIn(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

/** What `load` makes of a name space file; says why it cannot be read, and gives undefined then. */
function loaded<T>(path: string, load: () => T): T | undefined {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof PcpError) || error.code !== PM_ERR.PMNS) throw error;
    complain(error.message);
    complain(`${program}: Error: pmLoadASCIINameSpace(${path}, 1): ${pmErrStr(error.code)}`);
    return undefined;
  }
}

function pmcpp(): number {
  const given = optionsOf({
    define: { type: "string", short: "D", multiple: true },
    include: { type: "string", short: "I", multiple: true },
    plain: { type: "boolean", short: "P" },
    restrict: { type: "boolean", short: "r" },
    shell: { type: "boolean", short: "s" },
  });
  const [input, output, ...more] = given?.positionals ?? [];
  if (given === undefined || more.length > 0) return real();
  if (input !== undefined && !existsSync(input)) return real();
  const { define = [], include = [], plain, restrict, shell } = given.values;
  const text = readFileSync(input ?? "/dev/stdin", "latin1");
  const done = preprocess(input ?? "<stdin>", text, latin, {
    defines: (Array.isArray(define) ? define : [define]).map((each) => defineOption(String(each))),
    folders: [...(Array.isArray(include) ? include : [include]).map(String), ...folders],
    plain: plain === true,
    restrict: restrict === true,
    shell: shell === true,
  });
  if (output === undefined) say(done.text);
  else writeFileSync(output, done.text, "latin1");
  for (const warning of done.warnings) complain(warning);
  if (done.fault !== undefined) complain(done.fault);
  return done.fault === undefined ? 0 : 1;
}

function newhelp(): number {
  const given = optionsOf({
    namespace: { type: "string", short: "n" },
    output: { type: "string", short: "o" },
    verbose: { type: "boolean", short: "V" },
  });
  if (given === undefined || !given.positionals.every((path) => existsSync(path))) return real();
  const { namespace, output, verbose } = given.values;
  if (given.positionals.length === 0 && output === undefined) return real();
  const names = readNames(String(namespace ?? ROOT), VAR_DIR);
  const paths = given.positionals.length === 0 ? ["/dev/stdin"] : given.positionals;
  const help = parseHelpSource(
    paths.map((path) => ({ file: path, bytes: readFileSync(path) })),
    (name) => {
      const found = names.find(name);
      if (found === undefined) throw new PcpError(PM_ERR.NAME, pmErrStr(PM_ERR.NAME));
      if (found.pmid === undefined) throw new PcpError(PM_ERR.NONLEAF, pmErrStr(PM_ERR.NONLEAF));
      return found.pmid;
    },
  );
  for (const message of help.messages)
    if (verbose === true || !message.verbose) complain(message.text);
  const status = helpStatus(help, verbose === true);
  if (status < 2) {
    const { dir, pag } = encodeHelp(help.entries);
    const base = String(output ?? paths[0]);
    writeFileSync(`${base}.dir`, dir);
    writeFileSync(`${base}.pag`, pag);
  }
  return status;
}

/** What both say of -d. */
const tellOld = (): void =>
  complain(`${program}: Warning: -d deprecated, duplicate PMNS names allowed by default`);

function pmnsdel(): number {
  const given = optionsOf({
    duplicates: { type: "boolean", short: "d" },
    namespace: { type: "string", short: "n" },
  });
  const path = String(given?.values.namespace ?? ROOT);
  if (given === undefined || given.positionals.length === 0 || !existsSync(path)) return real();
  if (!mayWriteIn(dirname(path))) return real();
  if (given.values.duplicates === true) tellOld();
  const from = { file: path, text: readFileSync(path, "latin1"), access: latin, folders };
  const text = loaded(path, () => editedText({ names: removeNames(from, given.positionals) }));
  if (text === undefined) return 1;
  // Mode and owner stay, whatever the mask for new files
  const { mode, uid, gid } = statSync(path);
  writeFileSync(`${path}.new`, text, "latin1");
  chownSync(`${path}.new`, uid, gid);
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
  return 0;
}

function pmnsmerge(): number {
  const given = optionsOf({
    asis: { type: "boolean", short: "a" },
    dupok: { type: "boolean", short: "d" },
    force: { type: "boolean", short: "f" },
  });
  const inputs = given?.positionals ?? [];
  const output = inputs.pop();
  if (given === undefined || output === undefined || inputs.length === 0) return real();
  if (!inputs.every((path) => existsSync(path))) return real();
  if (existsSync(output) && given.values.force !== true) return real();
  const sources = inputs.map((file) => ({
    file,
    text: readFileSync(file, "latin1"),
    access: latin,
    folders,
  }));
  if (given.values.asis !== true) sources.sort((a, b) => dateStamp(a.text) - dateStamp(b.text));
  if (!mayWriteIn(dirname(output))) return real();
  if (given.values.dupok === true) tellOld();
  for (const source of sources)
    if (loaded(source.file, () => mergeNames([source])) === undefined) return 1;
  const merged = mergeNames(sources);
  for (const warning of merged.warnings) complain(warning);
  // Another file, not the old one with its mode
  rmSync(output, { force: true });
  writeFileSync(output, editedText(merged), "latin1");
  return 0;
}

const PROGRAMS: Readonly<Record<string, () => number | Promise<number>>> = {
  pmcpp,
  newhelp,
  pmnsdel,
  pmnsmerge,
  pmseries: () => pmseries(args, real),
};

try {
  process.exitCode = await (PROGRAMS[basename(program)] ?? real)();
} catch (error) {
  if (!(error instanceof PcpError)) throw error;
  complain(error.message);
  process.exitCode = 1;
}
