// Configuration text to entries with their places: pmproxy.conf in PCP's dialect (spec proxy.md 7.1)
// through the `ini` package (typed in "./ini.d.ts"), and pcpbox.toml. `ini` reads another dialect (quotes, escapes, `#` in a
// line, booleans, nested sections), so a pre-pass splits each line by PCP's rules and hands every
// part over as a JSON string, with its place in front: what comes back is exact text. Unparsable
// lines are problems with line and column. What a section or option means is not known here.

import { accessSync, constants, readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import * as ini from "ini";
import { parse as parseToml, TomlError } from "smol-toml";
import { nearestName, utf8Text } from "../base/mod.ts";

/** One option; `line` and `column` count from 1 in characters, 0 when it is from no file. */
export interface ConfigEntry {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** Path of the file, or the name of the environment variable. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly valueColumn: number;
}

/** Something wrong at a place; place 0:0 is the file as a whole. */
export interface ConfigProblem {
  readonly severity: "error" | "warning";
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** What one source gave. Of an option given twice only the last one is an entry. */
export interface ConfigText {
  readonly entries: readonly ConfigEntry[];
  readonly problems: readonly ConfigProblem[];
}

/** Bytes read of a line at a time; a longer line is several (spec proxy.md 7.1). */
const PIECE_BYTES = 199;
/** Bytes of a section name that count. */
const SECTION_BYTES = 49;
/** A larger configuration file is refused. */
const FILE_BYTES_LIMIT = 1 << 20;
/** Tables within tables of a TOML file; the dots in the longest option name are two. */
const TABLE_DEPTH_LIMIT = 16;

/** The bytes of a file without a byte order mark. */
const unmarked = (bytes: Uint8Array): Uint8Array =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;

const isBlank = (character: string | undefined): boolean =>
  character !== undefined && " \t\n\v\f\r".includes(character);

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text[at])) at += 1;
  return at;
}

function trimEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isBlank(text[end - 1])) end -= 1;
  return text.slice(0, end);
}

/** Where one of `stops` is, or a comment (blank, semicolon) begins, or the text ends. */
function findStop(text: string, from: number, stops: string): number {
  let afterBlank = false;
  for (let at = from; at < text.length; at += 1) {
    const character = text[at] ?? "";
    if (stops.includes(character)) return at;
    if (afterBlank && character === ";") return at;
    afterBlank = isBlank(character);
  }
  return text.length;
}

/** The pre-pass at work; texts are bytes as latin-1 so that lengths are those of the file. */
interface PrePass {
  readonly file: string;
  readonly out: string[];
  readonly problems: ConfigProblem[];
  readonly seen: Map<string, number>;
  section: string;
  previous: string | undefined;
}

function exactText(pass: PrePass, text: string, line: number, column: number): string {
  const bytes = Buffer.from(text, "latin1");
  const decoded = utf8Text(bytes);
  if (!Buffer.from(decoded, "utf8").equals(bytes)) {
    const message = "text is not UTF-8";
    pass.problems.push({ severity: "error", file: pass.file, line, column, message });
  }
  return decoded;
}

function emit(
  pass: PrePass,
  key: string,
  value: string,
  line: number,
  column: number,
  valueColumn: number,
  continued: boolean,
): void {
  const name = `${pass.section}\n${key}`;
  const before = pass.seen.get(name);
  if (before !== undefined) {
    const message = continued
      ? `continuation line replaces the value of "${key}" in line ${before}`
      : `"${key}" again, line ${before} has no effect`;
    pass.problems.push({ severity: "warning", file: pass.file, line, column, message });
  }
  pass.seen.set(name, line);
  // Colons cannot be part of an option's name, so `ini` takes no name for an array or a prototype.
  const exact = exactText(pass, value, line, valueColumn);
  pass.out.push(
    `${JSON.stringify(`:${key}:`)}=${JSON.stringify(`${line}:${column}:${valueColumn}:${exact}`)}`,
  );
}

function prePassPiece(pass: PrePass, raw: string, line: number, offset: number): void {
  const nul = raw.indexOf("\0");
  const piece = trimEnd(nul < 0 ? raw : raw.slice(0, nul));
  const start = skipBlanks(piece, 0);
  const at = (index: number): number => offset + index + 1;
  const first = piece[start];
  if (first === undefined || first === "#" || first === ";") return;
  if (pass.previous !== undefined && start > 0) {
    // 6.0.3 keeps a comment here as part of the value, 7.2 does not.
    const value = trimEnd(piece.slice(start, findStop(piece, start, "")));
    emit(pass, pass.previous, value, line, at(start), at(start), true);
    return;
  }
  const fail = (message: string): void => {
    pass.problems.push({
      severity: "error",
      file: pass.file,
      line,
      column: at(start),
      message,
    });
  };
  if (first === "[") {
    const end = findStop(piece, start + 1, "]");
    if (piece[end] !== "]") return fail("section without closing bracket");
    pass.section = piece.slice(start + 1, end).slice(0, SECTION_BYTES);
    pass.previous = undefined;
    const escaped = exactText(pass, pass.section, line, at(start)).replaceAll(".", "\\.");
    pass.out.push(`[${JSON.stringify(`:${escaped}`)}]`);
    return;
  }
  const sign = findStop(piece, start, "=:");
  if (piece[sign] !== "=" && piece[sign] !== ":") return fail("neither [section] nor name = value");
  const key = exactText(pass, trimEnd(piece.slice(start, sign)), line, at(start));
  const from = skipBlanks(piece, sign + 1);
  const value = trimEnd(piece.slice(from, Math.max(from, findStop(piece, sign + 1, ""))));
  pass.previous = key;
  emit(pass, key, value, line, at(start), at(from), false);
}

function entriesOf(text: string, file: string): ConfigEntry[] {
  const entries: ConfigEntry[] = [];
  for (const [section, options] of Object.entries(ini.parse(text))) {
    if (typeof options !== "object" || options === null) continue;
    for (const [key, placed] of Object.entries(options)) {
      const match = /^(\d+):(\d+):(\d+):([^]*)$/.exec(String(placed));
      if (match === null) continue;
      entries.push({
        section: section.slice(1),
        key: key.slice(1, -1),
        value: match[4] ?? "",
        file,
        line: Number(match[1]),
        column: Number(match[2]),
        valueColumn: Number(match[3]),
      });
    }
  }
  // ini groups by section and moves dotted ones to the end; problems are told in the file's order.
  return entries.sort((left, right) => left.line - right.line || left.column - right.column);
}

/** Reads pmproxy.conf text (bytes of the file) in the dialect of spec proxy.md 7.1. */
export function parseProxyConf(bytes: Uint8Array, file: string): ConfigText {
  const text = Buffer.from(unmarked(bytes)).toString("latin1");
  const pass: PrePass = {
    file,
    out: ['[":"]'],
    problems: [],
    seen: new Map(),
    section: "",
    previous: undefined,
  };
  const lines = text.split("\n");
  for (const [index, content] of lines.entries()) {
    if (content.length > PIECE_BYTES) {
      pass.problems.push({
        severity: "warning",
        file,
        line: index + 1,
        column: PIECE_BYTES + 1,
        message: `line of more than ${PIECE_BYTES} bytes: the rest counts as another line`,
      });
    }
    for (let at = 0; at === 0 || at < content.length; at += PIECE_BYTES) {
      prePassPiece(pass, content.slice(at, at + PIECE_BYTES), index + 1, at);
    }
  }
  return { entries: entriesOf(pass.out.join("\n"), file), problems: pass.problems };
}

/** Line and column (from 1) of each option of TOML text by `section.key`; smol-toml keeps none. */
function tomlPlaces(text: string): Map<string, readonly [number, number]> {
  const places = new Map<string, readonly [number, number]>();
  const plain = (name: string): string => name.replaceAll(/["'\s]/g, "");
  let section = "";
  for (const [index, whole] of text.split("\n").entries()) {
    const line = whole.trimStart();
    if (line.startsWith("[")) {
      const end = line.indexOf("]");
      if (end > 0) section = `${plain(line.slice(1, end))}.`;
      continue;
    }
    const name = line.slice(0, Math.max(0, line.indexOf("=")));
    if (!/^[A-Za-z0-9_."'\s-]+$/.test(name)) continue;
    places.set(section + plain(name), [index + 1, whole.length - line.length + 1]);
  }
  return places;
}

/** TOML's values as the text that pmproxy.conf would hold; undefined for what has no such text. */
function tomlText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") {
    return String(value);
  }
  if (!Array.isArray(value)) return undefined;
  const parts = value.map((part) => (Array.isArray(part) ? undefined : tomlText(part)));
  return parts.includes(undefined) ? undefined : parts.join(",");
}

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);

/**
 * Reads pcpbox.toml: the sections and options of pmproxy.conf as tables and keys; a dotted key is
 * the option with dots. Syntax errors become one problem with line and column.
 */
export function parseProxyToml(text: string, file: string): ConfigText {
  const entries: ConfigEntry[] = [];
  const problems: ConfigProblem[] = [];
  let document: Record<string, unknown>;
  try {
    document = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = error.message.split("\n")[0] ?? "invalid TOML";
    const { line, column } = error;
    return { entries, problems: [{ severity: "error", file, line, column, message }] };
  }
  const places = tomlPlaces(text);
  const walk = (
    section: string,
    prefix: string,
    table: Record<string, unknown>,
    depth: number,
  ): void => {
    if (depth > TABLE_DEPTH_LIMIT) {
      problems.push(wholeFile(file, `tables more than ${TABLE_DEPTH_LIMIT} deep in "${section}"`));
      return;
    }
    for (const [name, value] of Object.entries(table)) {
      const key = prefix + name;
      if (isTable(value)) {
        walk(section, `${key}.`, value, depth + 1);
        continue;
      }
      const [line, column] = places.get(`${section}.${key}`) ?? [0, 0];
      const asText = tomlText(value);
      if (asText === undefined) {
        const message = `"${key}" must be a text, number, boolean or list of these`;
        problems.push({ severity: "error", file, line, column, message });
      } else {
        entries.push({ section, key, value: asText, file, line, column, valueColumn: column });
      }
    }
  };
  for (const [section, table] of Object.entries(document)) {
    if (isTable(table)) walk(section, "", table, 1);
    else {
      const [line, column] = places.get(section) ?? [0, 0];
      const message = `"${section}" is in no section`;
      problems.push({ severity: "error", file, line, column, message });
    }
  }
  return { entries, problems };
}

/** Directories that the search starts from; `home` is undefined without HOME. */
export interface ConfigPlaces {
  readonly sysconfDirectory: string;
  readonly home: string | undefined;
  readonly workingDirectory: string;
}

/**
 * The files to read, later ones winning (spec proxy.md 7.1). `given` is the argument of `-c`: an
 * absolute path, a path with a slash, or a name ending in .toml is that file alone; any other name
 * stands for "pmproxy" in the usual places. Beside each pmproxy.conf a pcpbox.toml is looked for.
 */
export function configPaths(given: string | undefined, places: ConfigPlaces): string[] {
  if (given !== undefined && (given.includes("/") || given.endsWith(".toml"))) {
    return [isAbsolute(given) ? given : join(places.workingDirectory, given)];
  }
  const name = given ?? "pmproxy";
  const toml = given ?? "pcpbox";
  const both = (directory: string, hidden = ""): string[] => [
    join(directory, `${hidden}${name}.conf`),
    join(directory, `${hidden}${toml}.toml`),
  ];
  return [
    ...both(join(places.sysconfDirectory, name)),
    ...(places.home === undefined
      ? []
      : [...both(places.home, "."), ...both(join(places.home, ".pcp"))]),
    ...both(places.workingDirectory),
  ];
}

/** One path that was looked at; `state` "missing" has no text. */
export interface ConfigFile extends ConfigText {
  readonly path: string;
  readonly state: "read" | "missing" | "failed";
}

/** Whether a directory is closed to us, so that nobody can say what is in it. */
function isClosed(directory: string): boolean {
  try {
    accessSync(directory, constants.X_OK);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EACCES";
  }
}

/**
 * Reads one file in the form that its name says. Never throws; a failure is a problem. A file that is
 * only looked for (`named` false) is missing where its directory is closed: a service that runs as an
 * ordinary user may have the HOME of root.
 */
export function readConfigFile(path: string, named = true): ConfigFile {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    const hidden = code === "EACCES" && !named && isClosed(dirname(path));
    if (code === "ENOENT" || code === "ENOTDIR" || hidden) {
      return { path, state: "missing", entries: [], problems: [] };
    }
    const message = `cannot be read: ${code}`;
    return { path, state: "failed", entries: [], problems: [wholeFile(path, message)] };
  }
  if (bytes.length > FILE_BYTES_LIMIT) {
    const message = `larger than ${FILE_BYTES_LIMIT} bytes, not read`;
    return { path, state: "failed", entries: [], problems: [wholeFile(path, message)] };
  }
  if (!path.endsWith(".toml")) return { path, state: "read", ...parseProxyConf(bytes, path) };
  const plain = unmarked(bytes);
  const text = utf8Text(plain);
  if (Buffer.from(text).equals(plain))
    return { path, state: "read", ...parseProxyToml(text, path) };
  return { path, state: "failed", entries: [], problems: [wholeFile(path, "text is not UTF-8")] };
}

const wholeFile = (file: string, message: string): ConfigProblem => ({
  severity: "error",
  file,
  line: 0,
  column: 0,
  message,
});

/** A name that the environment may override; `secret` ones also through a file. */
export interface OverridableOption {
  readonly section: string;
  readonly key: string;
  readonly secret: boolean;
}

/** `PCP_<SECTION>_<KEY>` in capitals with every other character as an underscore. */
export const overrideName = (section: string, key: string): string =>
  `PCP_${section}_${key}`.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");

/**
 * Entries from the environment, for every option known, in a file or not (PCP 7.2 takes only those
 * that are in a file). `NAME_FILE` names a file whose first line is the value of a secret.
 */
export function environmentEntries(
  environment: Readonly<Record<string, string | undefined>>,
  options: readonly OverridableOption[],
  readText: (path: string) => string = (path) => readFileSync(path, "utf8"),
): ConfigText {
  const entries: ConfigEntry[] = [];
  const problems: ConfigProblem[] = [];
  for (const { section, key, secret } of options) {
    const name = overrideName(section, key);
    const place = { section, key, file: name, line: 0, column: 0, valueColumn: 0 };
    const value = environment[name];
    if (value !== undefined) entries.push({ ...place, value });
    const path = secret ? environment[`${name}_FILE`] : undefined;
    if (path === undefined) continue;
    if (value !== undefined) {
      problems.push(wholeFile(`${name}_FILE`, `${name} is set as well; set one of them`));
      continue;
    }
    try {
      const line = readText(path).split(/\r?\n/)[0] ?? "";
      entries.push({ ...place, file: `${name}_FILE`, value: line });
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
      problems.push(wholeFile(`${name}_FILE`, `"${path}" cannot be read: ${code}`));
    }
  }
  problems.push(...unknownOverrides(environment, options));
  return { entries, problems };
}

/** Variables that begin like an override but are none: a misspelt one would say nothing otherwise. */
function unknownOverrides(
  environment: Readonly<Record<string, string | undefined>>,
  options: readonly OverridableOption[],
): ConfigProblem[] {
  const names = options.map(({ section, key }) => overrideName(section, key));
  const secrets = options.filter(({ secret }) => secret);
  const files = secrets.map(({ section, key }) => `${overrideName(section, key)}_FILE`);
  const known = new Set([...names, ...files]);
  const sections = new Set(options.map(({ section }) => `${overrideName(section, "")}`));
  return Object.keys(environment)
    .filter((name) => !known.has(name) && [...sections].some((start) => name.startsWith(start)))
    .toSorted()
    .map((name) => {
      if (name.endsWith("_FILE") && names.includes(name.slice(0, -"_FILE".length))) {
        const message = "overrides no option: only passwords are taken from a file";
        return { ...wholeFile(name, message), severity: "warning" };
      }
      const meant = nearestName(name, names);
      const hint = meant === undefined ? "" : `, did you mean ${meant}?`;
      return { ...wholeFile(name, `overrides no option${hint}`), severity: "warning" };
    });
}

/** `file:line:column: error: message`; without a place only the file. */
export function problemText(problem: ConfigProblem): string {
  const place = problem.line === 0 ? "" : `:${problem.line}:${problem.column}`;
  return `${problem.file}${place}: ${problem.severity}: ${problem.message}`;
}
