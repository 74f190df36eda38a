// Goal: an author's module runs as an agent, and what is wrong with one is a single line that names
// the file, and where it can the line in it. The published types are those of the module "pcpbox".
import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as author from "../../lib/pmda/author.ts";
import { loadAuthorModule, makeAgent, openAgent } from "../../lib/pmda/mod.ts";
import { thrown } from "../helpers/rejected.ts";
import { privateFolder, run } from "../helpers/process.ts";

const root = join(import.meta.dir, "../..");
const folder = privateFolder("author");
const typesPath = join(root, "docs/pcpbox.d.ts");

/** Declarations that stand in a source file and, as they are, in the published types. */
const shared: Readonly<Record<string, readonly string[]>> = {
  "types.ts": ["Awaitable", "Caller", "AgentNames"],
  "cache.ts": ["CacheEntry", "CacheRecord", "CacheContents", "CacheChange", "InstanceCache"],
  "define.ts": [
    ["LabelObject", "FetchFault", "FetchValue", "MetricRow", "InstanceRow", "InstanceSource"],
    ["IndomRow", "AgentTables", "AgentDefinition", "AgentSetting"],
  ].flat(),
  "event-array.ts": ["EventArray"],
  "event-queue.ts": [
    "EventCounts",
    "EventDecoder",
    "EventQueue",
    "EventQueueOptions",
    "EventQueues",
  ],
  "tree.ts": ["NameTree"],
  "author.ts": ["AuthorDefinition", "AuthorAgent"],
};

/** Where an exported interface or type stands in a text, from its keyword to its end. */
function placeOf(text: string, name: string, indent: string): readonly [number, number] {
  const start = text.search(new RegExp(`^${indent}export (interface|type) ${name}\\b`, "m"));
  expect([name, start >= 0]).toEqual([name, true]);
  const rest = text.slice(start);
  const isInterface = rest.startsWith(`${indent}export interface`);
  const end = isInterface ? rest.search(new RegExp(`^${indent}\\}$`, "m")) + indent.length + 1 : 0;
  return [start, start + (isInterface ? end : rest.indexOf(";\n") + 1)];
}

const sourceOf = (file: string): string => readFileSync(join(root, "lib/pmda", file), "utf8");

/** Takes the declarations of the sources over; UPDATE_GOLDEN=1 does it. */
function updateTypes(): void {
  let text = readFileSync(typesPath, "utf8");
  for (const [file, names] of Object.entries(shared)) {
    const source = sourceOf(file);
    for (const name of names) {
      const declaration = source
        .slice(...placeOf(source, name, ""))
        .replaceAll(/ \(spec [^)]*\)/g, "")
        .replaceAll(/^(?=.)/gm, "  ");
      const [start, end] = placeOf(text, name, "  ");
      text = text.slice(0, start) + declaration + text.slice(end);
    }
  }
  writeFileSync(typesPath, text);
}

if (process.env["UPDATE_GOLDEN"] === "1") updateTypes();
const types = readFileSync(typesPath, "utf8");

let count = 0;

/** A module with this text, as a file of its own: a file is loaded once. */
function moduleOf(text: string): string {
  count += 1;
  const path = join(folder, `m${count}.ts`);
  writeFileSync(path, text);
  return path;
}

/** What is said about a module that is to be an agent; the path is left out. */
async function faultOf(text: string): Promise<string> {
  const path = moduleOf(text);
  try {
    const loaded = await loadAuthorModule(path);
    await openAgent(loaded.factory, { domain: 400 });
  } catch (error) {
    const { message } = error as Error;
    expect(message).not.toContain("\n");
    return message.replace(path, "FILE");
  }
  return "no fault";
}

const head = `import { defineAgent, PM_TYPE, PM_SEM } from "pcpbox";\n`;
const row = `{ name: "a.b", cluster: 0, item: 0, type: PM_TYPE.U32, sem: PM_SEM.INSTANT, fetch: () => 1 }`;
const withDefinition = (definition: string): string =>
  `${head}export default defineAgent({ name: "a", domain: 400, create: () => (${definition}) });\n`;

describe("a module that is no agent", () => {
  const cases: readonly (readonly [string, string, string | RegExp])[] = [
    ["throws", `${head}\n\nthrow new Error("no luck");\n`, /^FILE:4:\d+: no luck$/],
    [
      "throws in create",
      `${head}export default defineAgent({\n  name: "a",\n  domain: 400,\n  create() {\n    throw new TypeError("late");\n  },\n});\n`,
      /^FILE:6:\d+: TypeError: late$/,
    ],
    ["does not parse", `${head}export default {{;\n`, /^FILE:2:\d+: /],
    ["imports what is not there", `import "./nothing-here.ts";\n`, /FILE.*nothing-here/],
    [
      "exports nothing",
      head,
      "FILE: the default export is missing, an agent made by defineAgent wanted",
    ],
    [
      "exports a number",
      "export default 3;\n",
      "FILE: the default export is number, an agent made by defineAgent wanted",
    ],
    [
      "has no domain",
      `${head}export default defineAgent({ name: "a", create() { return { metrics: [] }; } });\n`,
      /^FILE:2:\d+: defineAgent: domain undefined of a, 1 to 510 wanted$/,
    ],
    [
      "has no definition",
      withDefinition("undefined"),
      "FILE: create gave undefined, a definition wanted",
    ],
    [
      "has a metric without a cluster",
      withDefinition(`{ metrics: [{ name: "a.b", item: 0 }] }`),
      "FILE: metrics[0] a.b: cluster is undefined, 0 to 4095 wanted",
    ],
    [
      "has a metric of no type",
      withDefinition(`{ metrics: [{ name: "a.b", cluster: 0, item: 0, type: 77, sem: 3 }] }`),
      "FILE: metrics[0] a.b: type is 77, one of PM_TYPE wanted",
    ],
    [
      "has a name that is none",
      withDefinition(`{ metrics: [{ name: "a..b" }] }`),
      'FILE: metrics[0].name "a..b" is no metric name',
    ],
    [
      "has a name twice",
      withDefinition(`{ metrics: [${row}, { ...${row}, item: 1 }] }`),
      "FILE: metrics[1]: name a.b is that of metrics[0]",
    ],
    [
      "has a PMID twice",
      withDefinition(`{ metrics: [${row}, { ...${row}, name: "a.c" }] }`),
      "pmdaInit: PMDA pmdaa: metric 400.0.0 given twice",
    ],
    [
      "has an instance domain that is not there",
      withDefinition(`{ metrics: [{ ...${row}, indom: 7 }] }`),
      "pmdaInit: PMDA pmdaa: Undefined instance domain serial (7) specified for metric 400.0.0 (e_metrics[0])",
    ],
    [
      "has no fetch callback",
      withDefinition(`{ metrics: [{ ...${row}, fetch: undefined }] }`),
      "pmdaInit: PMDA pmdaa: using pmdaFetch() but fetch call back not set",
    ],
    [
      "has instances of no shape",
      withDefinition(`{ metrics: [], indoms: [{ serial: 0, instances: [{ id: 1 }] }] }`),
      'FILE: indoms[0].instances[0] is {"id":1}, { id, name } wanted',
    ],
  ];
  for (const [what, text, said] of cases) {
    test(what, async () => {
      const fault = await faultOf(text);
      if (typeof said === "string") expect(fault).toBe(said);
      else expect(fault).toMatch(said);
    });
  }

  test("is no file", async () => {
    expect(await thrown(loadAuthorModule("/nonexistent/a.ts"))).toThrow(
      "/nonexistent/a.ts: No such file or directory",
    );
  });

  test("ends the command with that line", async () => {
    const path = moduleOf(`${head}throw new Error("no luck");\n`);
    const argv = [process.execPath, join(root, "cmd/main.ts"), "pmda-run", path];
    const { stderr, status } = await run(argv);
    expect(stderr).toMatch(/^pmdam\d+: \S+\.ts:2:\d+: no luck\n$/);
    expect(status).toBe(1);
  });
});

test("a function alone has the name of its file, and its domain from the command line", async () => {
  const path = moduleOf(`${head}export default () => ({ metrics: [${row}] });\n`);
  const loaded = await loadAuthorModule(path);
  expect(loaded.domain).toBeUndefined();
  const agent = await openAgent(loaded.factory, { domain: 44 });
  expect(agent.leaves).toEqual([
    { name: "a.b", pmid: (44 << 22) as (typeof agent.leaves)[0]["pmid"] },
  ]);
});

test("the template is an agent", async () => {
  const path = join(folder, "template.ts");
  copyFileSync(join(root, "docs/agent-template.ts"), path);
  const { name, domain, factory } = await loadAuthorModule(path);
  expect([name, domain]).toEqual(["example", 400]);
  const agent = await openAgent(factory, { domain: 400, args: ["fig"] });
  expect(agent.leaves.map((leaf) => leaf.name)).toEqual([
    "example.fetches",
    "example.fruit.weight",
    "example.limit",
  ]);
  expect(makeAgent).toBeFunction();
});

/** A declaration without its comments and line breaks. */
const bare = (text: string): string =>
  text
    .replace(/\/\*\*[^]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "")
    .replace(/\bexport\b/g, "")
    .replace(/\s+/g, " ")
    .replace(/[,;] ([)}])/g, " $1")
    .trim();

describe("the published types", () => {
  const published = bare(types);
  for (const [file, names] of Object.entries(shared)) {
    test(`are those of ${file}`, () => {
      const source = sourceOf(file);
      for (const name of names) {
        const declaration = bare(source.slice(...placeOf(source, name, "")));
        expect([name, published.includes(declaration) ? "" : declaration]).toEqual([name, ""]);
      }
    });
  }

  test("name everything that the module exports, and nothing else", () => {
    const values = [...types.matchAll(/^ {2}export (?:const|function|class) (\w+)/gm)].map(
      ([, name = ""]) => name,
    );
    expect(values.toSorted()).toEqual(
      Object.keys(author)
        .filter((name) => name !== "AGENT_NAME")
        .toSorted(),
    );
  });

  test("have the values, and the template fits them", async () => {
    const place = join(folder, "types");
    mkdirSync(place);
    copyFileSync(join(root, "docs/agent-template.ts"), join(place, "template.ts"));
    // Identifiers have brands inside the program that authors need not know.
    const ids = `import("${root}/lib/pcp/mod.ts")`;
    writeFileSync(
      join(place, "pcpbox.d.ts"),
      types
        .replace(
          /^ {2}export type (InstanceId|Pmid|Indom) = number;$/gm,
          (_, name: string) => `  export type ${name} = ${ids}.${name};`,
        )
        .replace(
          /^ {2}export interface InstanceProfile \{[^]*?^ {2}\}$/m,
          `  export type InstanceProfile = import("${root}/lib/pdu/mod.ts").InstanceProfile;`,
        ),
    );
    writeFileSync(
      join(place, "same.ts"),
      `import * as own from "${root}/lib/pmda/author.ts";
import type * as published from "pcpbox";
type Values = Pick<typeof own, Exclude<keyof typeof own, "AGENT_NAME">>;
export const values: typeof published = own satisfies Values;
export const errors: typeof own.PM_ERR = {} as typeof published.PM_ERR;
`,
    );
    const options = {
      target: "ESNext",
      module: "Preserve",
      moduleResolution: "bundler",
      lib: ["ESNext"],
      types: [join(root, "node_modules/bun-types")],
      allowImportingTsExtensions: true,
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    };
    const project = { compilerOptions: options, include: ["*.ts"] };
    writeFileSync(join(place, "tsconfig.json"), JSON.stringify(project));
    const { stdout, stderr, status } = await run([process.execPath, "check", "-p", place]);
    expect([status, stdout, stderr].join("\n")).toStartWith("0\n");
    // The template alone, with the types as they are published.
    const alone = join(folder, "alone");
    mkdirSync(alone);
    copyFileSync(join(root, "docs/agent-template.ts"), join(alone, "template.ts"));
    writeFileSync(join(alone, "pcpbox.d.ts"), types);
    writeFileSync(
      join(alone, "tsconfig.json"),
      JSON.stringify({
        ...project,
        compilerOptions: { ...options, types: [], skipLibCheck: false },
      }),
    );
    const checked = await run([process.execPath, "check", "-p", alone]);
    expect([checked.status, checked.stdout, checked.stderr].join("\n")).toStartWith("0\n");
  });
});
