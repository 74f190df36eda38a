// Goal: the shape of the repository stays what docs/architecture.md says. Rooms stand on floors and
// are entered through mod.ts; there are no circles, no dead files, no long files or functions, no
// leftovers of unfinished work; every file says what it is for; documents name what exists.
// Each test lists what offends as "file:line what", so that the message is the work to do.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, normalize } from "node:path";

import packageJson from "../package.json";
import {
  files,
  importsOf,
  leadsTo,
  lineAt,
  resolveImport,
  root,
  textOf,
  withoutComments,
} from "./helpers/tree.ts";

/** The floors: a room uses rooms of lower floors only. */
const floors: Readonly<Record<string, number>> = {
  base: 0,
  cli: 1,
  daemon: 1,
  pcp: 1,
  archive: 2,
  derived: 2,
  pdu: 2,
  extract: 3,
  pmda: 3,
  series: 3,
  catalogue: 4,
  collector: 4,
  keyserver: 4,
  context: 5,
  discover: 5,
  push: 5,
  advertise: 6,
  page: 6,
  probe: 6,
  record: 6,
  web: 6,
  server: 7,
  cmd: 8,
};

/** Longest file and function, in lines. */
const FILE_LINES = 600;
const FUNCTION_LINES = 100;
/** Most verbs that `make help` may list. */
const MAKE_VERBS = 16;

const product = [...files("cmd/**/*.ts"), ...files("lib/**/*.ts")];
const tests = files("tests/**/*.ts");
const shell = [...files("tests/**/*.sh"), ...files(".ci/*")];
const documents = [...files("*.md"), ...files("docs/**/*.md")];

/** The room of a file: "cmd", or the folder below lib. */
const roomOf = (path: string): string =>
  path.startsWith("lib/") ? (path.split("/")[1] ?? "") : (path.split("/")[0] ?? "");

/** A file's imports of other files of the repository. */
const edges = new Map(
  [...product, ...tests].map((path) => [
    path,
    importsOf(path)
      .map((name) => resolveImport(path, name))
      .filter((target): target is string => target?.endsWith(".ts") === true),
  ]),
);

test("every room has a floor and a mod.ts", () => {
  const rooms = [...new Set(files("lib/**/*.ts").map(roomOf))];
  expect(rooms.filter((room) => floors[room] === undefined)).toEqual([]);
  expect(rooms.filter((room) => !existsSync(join(root, "lib", room, "mod.ts")))).toEqual([]);
});

test("a room imports its own files, and lower rooms through their mod.ts", () => {
  const offences: string[] = [];
  for (const path of product) {
    const room = roomOf(path);
    for (const target of edges.get(path) ?? []) {
      const other = roomOf(target);
      if (other === room) continue;
      const own = floors[room] ?? -1;
      const theirs = floors[other];
      if (theirs === undefined || theirs >= own) offences.push(`${path} must not use ${target}`);
      else if (target !== `lib/${other}/mod.ts`) offences.push(`${path} goes round ${target}`);
      else if (["cli", "daemon"].includes(other) && room !== "cmd") {
        offences.push(`${path}: ${other} is for cmd alone`);
      }
    }
  }
  expect(offences).toEqual([]);
});

test("imports name files that exist, with their suffix", () => {
  const offences: string[] = [];
  for (const path of [...product, ...tests]) {
    for (const name of importsOf(path)) {
      const target = resolveImport(path, name);
      if (target !== null && !existsSync(join(root, target))) offences.push(`${path} "${name}"`);
    }
  }
  expect(offences).toEqual([]);
});

test("no file leads back to itself", () => {
  const offences: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) offences.push([...trail.slice(at), path].join(" -> "));
    if (at >= 0 || done.has(path)) return;
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  expect(offences).toEqual([]);
});

test("every file is reached from the program, a test, or a make verb", () => {
  const seen = new Set<string>();
  const starts = [
    "cmd/main.ts",
    "tests/setup/suite.ts",
    "tests/fuzz/run.ts",
    "tests/qa/programs.ts",
  ];
  const benches = ["run", "codec", "archive", "soak"].map((name) => `tests/bench/${name}.ts`);
  const queue = [
    ...starts,
    ...benches,
    ...tests.filter((path) => path.endsWith(".test.ts")),
  ].filter((path) => existsSync(join(root, path)));
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    if (path.endsWith(".ts")) queue.push(...leadsTo(path));
  }
  const written = [...product, ...tests].filter((path) => !path.endsWith(".d.ts"));
  expect(written.filter((path) => !seen.has(path))).toEqual([]);
});

test("the product imports declared dependencies only, and every dependency is used", () => {
  const declared = Object.keys(packageJson.dependencies);
  const used = new Set<string>();
  const offences: string[] = [];
  for (const path of product) {
    for (const name of importsOf(path)) {
      if (name.startsWith(".") || /^(node:|bun$|bun:)/.test(name)) continue;
      const parts = name.split("/");
      const dependency = parts.slice(0, name.startsWith("@") ? 2 : 1).join("/");
      used.add(dependency);
      if (!declared.includes(dependency)) offences.push(`${path} "${name}"`);
    }
  }
  expect(offences).toEqual([]);
  expect(declared.filter((name) => name !== "bun-types" && !used.has(name))).toEqual([]);
});

test("every file begins by saying what it is for", () => {
  const offences: string[] = [];
  for (const path of [...product, ...tests]) {
    if (!/^\/\/ \S.{15,}/.test(textOf(path))) offences.push(path);
  }
  for (const path of files("packaging/**/*")) {
    if (!/^(#!\/[^\n]*\n)?# \S.{15,}/.test(textOf(path))) offences.push(path);
  }
  for (const path of shell) {
    if (!/^#!\/[^\n]*\n# \S.{15,}/.test(textOf(path))) offences.push(path);
  }
  expect(offences).toEqual([]);
});

/** What must not stand in a text, where, and why. Code is looked at without its comments. */
const banned: readonly {
  readonly pattern: RegExp;
  readonly where: readonly string[];
  readonly reason: string;
  readonly code?: boolean;
}[] = [
  {
    pattern: /\b(TODO|FIXME|XXX|HACK|WIP|TBD)\b/g,
    where: [...product, ...tests, ...shell, ...documents, "Makefile"],
    reason: "unfinished work is finished or written down as an issue",
  },
  {
    // Fields of HTML have an attribute of that name.
    pattern: /\b(not implemented|unimplemented|coming soon|placeholder(?!: ")|for now)\b/gi,
    // The texts of PCP's and the system's errors are theirs.
    where: [...product, ...tests, ...documents].filter(
      (path) => !/^lib\/base\/err\w+\.ts$/.test(path),
    ),
    reason: "what is there works, what does not is not there",
  },
  {
    pattern: /(:|\bas|\bextends|<|\|) any\b(?! \w)|\bany\[\]|<any\b/g,
    where: [...product, ...tests],
    reason: "unknown, and a check",
    code: true,
  },
  {
    pattern:
      /@ts-(ignore|nocheck|expect-error)|(eslint|oxlint)-disable(?!-next-line [\w/-]+ -- \S)/g,
    where: [...product, ...tests],
    reason: "repair the cause; one lint rule on one line may be off, with ` -- ` and why",
  },
  {
    pattern: /\bcatch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\w*\)\s*=>\s*(\{\s*\}|undefined)\)/g,
    where: [...product, ...tests],
    reason: "an error is handled, told or passed on",
    code: true,
  },
  {
    pattern: /\bprocess\s*\.\s*(exit|argv|exitCode)\b/g,
    where: product.filter((path) => path.startsWith("lib/")),
    reason: "arguments and the exit status belong to cmd",
    code: true,
  },
  {
    pattern: /\bconsole\s*\.\s*\w+/g,
    where: product.filter((path) => path.startsWith("lib/")),
    reason: "lib writes to the log it is given",
    code: true,
  },
  {
    pattern: /\b(debugger|eval\(|new Function\()/g,
    where: product,
    reason: "no debugging aids, no code from text",
    code: true,
  },
  {
    pattern: /\b(test|it|describe)\s*\.\s*(only|skip|todo|failing)\b/g,
    where: tests.filter((path) => !path.startsWith("tests/helpers/")),
    reason: "tests of missing peers go through tests/helpers/peers.ts, which counts them",
    code: true,
  },
];

test("no leftovers and no banned words", () => {
  const self = "tests/tidy.test.ts";
  const offences: string[] = [];
  for (const { pattern, where, reason, code } of banned) {
    for (const path of where) {
      if (path === self) continue;
      const text = code === true ? withoutComments(textOf(path)) : textOf(path);
      for (const match of text.matchAll(pattern)) {
        offences.push(`${path}:${lineAt(text, match.index)} "${match[0]}": ${reason}`);
      }
    }
  }
  expect(offences).toEqual([]);
});

test(`no file is longer than ${FILE_LINES} lines`, () => {
  const lines = (path: string): number => textOf(path).split("\n").length - 1;
  expect([...product, ...tests].filter((path) => lines(path) > FILE_LINES)).toEqual([]);
});

/** Functions of a file with their lines, without the lines of named functions inside them. */
function functionLengths(path: string): readonly (readonly [line: number, length: number])[] {
  // The formatter puts a function's last brace under the first letter of its first line.
  const start =
    /^( *)(?:export )?(?:default )?(?:(?:async )?function\b|const \w+.*=>|(?:private |static |async |get |set )*\w+\().*\{$/;
  const control = /^ *(if|for|while|switch|catch|do|else|return)\b/;
  const lines = textOf(path).split("\n");
  const open: { indent: string; from: number; inner: number }[] = [];
  const found: [number, number][] = [];
  lines.forEach((line, at) => {
    const last = open.at(-1);
    if (last !== undefined && /^ *\}/.exec(line)?.[0] === `${last.indent}}`) {
      open.pop();
      const whole = at - last.from + 1;
      found.push([last.from + 1, whole - last.inner]);
      for (const outer of open.slice(-1)) outer.inner += whole;
    }
    const indent = control.test(line) ? undefined : start.exec(line)?.[1];
    if (indent !== undefined) open.push({ indent, from: at, inner: 0 });
  });
  return found;
}

test(`no function is longer than ${FUNCTION_LINES} lines of its own`, () => {
  const offences: string[] = [];
  for (const path of product) {
    for (const [line, length] of functionLengths(path)) {
      if (length > FUNCTION_LINES) offences.push(`${path}:${line} ${length} lines`);
    }
  }
  expect(offences).toEqual([]);
});

test("nothing of one machine is in the repository", () => {
  const places = [root, homedir(), dirname(root)].filter(
    (place) => !/^\/(root|tmp|home|usr|var|opt|srv|src)?(\/(src|tmp|lib|cache))*$/.test(place),
  );
  const patterns = [
    ...places.map((place) => new RegExp(`${place.replace(/[.+]/g, "\\$&")}(?![\\w-])`)),
    /\/(?:home|Users)\/[a-z]\w+\//,
    /\bregistry\.[a-z0-9-]+\.[a-z]{2,}/,
    /"resolved": "http/,
  ];
  const offences: string[] = [];
  for (const path of files("**/*")) {
    if (path === "tests/tidy.test.ts") continue;
    const text = textOf(path);
    for (const pattern of patterns) {
      const match = pattern.exec(text);
      if (match !== null) offences.push(`${path}:${lineAt(text, match.index)} "${match[0]}"`);
    }
  }
  expect(offences).toEqual([]);
});

test("one version of Bun everywhere", () => {
  const lock: unknown = JSON.parse(textOf("package-lock.json"));
  expect(packageJson.devDependencies.bun).toBe(Bun.version);
  expect(packageJson.engines.bun).toBe(Bun.version);
  expect(packageJson.dependencies["bun-types"]).toBe(Bun.version);
  expect(lock).toHaveProperty(["packages", "node_modules/bun", "version"], Bun.version);
  expect(lock).toHaveProperty(["packages", "", "version"], packageJson.version);
});

test("dependencies are pinned exactly", () => {
  const all = { ...packageJson.dependencies, ...packageJson.devDependencies };
  expect(Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test("the lock file names every package that one of its packages may need", () => {
  // npm ci refuses a lock file without the packages of other platforms.
  const { packages } = JSON.parse(textOf("package-lock.json")) as {
    readonly packages: Readonly<Record<string, Readonly<Record<string, Record<string, string>>>>>;
  };
  const paths = Object.keys(packages);
  const offences: string[] = [];
  for (const [path, { dependencies, optionalDependencies }] of Object.entries(packages)) {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (!paths.some((each) => each.endsWith(`node_modules/${name}`))) {
        offences.push(`${path} needs ${name}`);
      }
    }
  }
  expect(offences).toEqual([]);
});

test("make help explains every verb", () => {
  const makefile = textOf("Makefile");
  const verbs = (/^\.PHONY: (.*)$/m.exec(makefile)?.[1] ?? "").split(" ");
  const explained = [...makefile.matchAll(/^([a-z]+):.* ## \S/gm)].map((match) => match[1] ?? "");
  expect(explained.toSorted()).toEqual(verbs.toSorted());
  expect(verbs.length).toBeLessThanOrEqual(MAKE_VERBS);
  for (const verb of ["run", "test"]) expect(textOf("README.md")).toContain(`make ${verb}`);
});

/** The name a heading can be linked by. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");

test("links between documents lead somewhere", () => {
  const offences: string[] = [];
  for (const path of documents) {
    for (const match of textOf(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      const link = match[1] ?? "";
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(root, target))) offences.push(`${path}: ${link}`);
      else if (anchor !== undefined) {
        const anchors = [...textOf(target).matchAll(/^#+ (.*)$/gm)].map((m) =>
          anchorOf(m[1] ?? ""),
        );
        if (!anchors.includes(anchor)) offences.push(`${path}: ${link}`);
      }
    }
  }
  expect(offences).toEqual([]);
});

test("every document is in the index, and the changelog knows this version", () => {
  const index = textOf("docs/README.md");
  const missing = files("docs/**/*.md").filter(
    (path) => path !== "docs/README.md" && !index.includes(path.slice("docs/".length)),
  );
  expect(missing).toEqual([]);
  expect(textOf("CHANGELOG.md")).toContain(`## ${packageJson.version}`);
});
