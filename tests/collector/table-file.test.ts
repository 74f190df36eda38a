// Goal: lines about agents in pmcd.conf are read as pmcd reads them: words, quotes, comments, each type,
// and each fault with pmcd's sentence and line; what the real pmcd says of the same file is the same.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parsePmcdConf } from "../../lib/collector/mod.ts";
import { freePort } from "../helpers/ports.ts";
import { testWith } from "../helpers/peers.ts";
import { privateFolder, run } from "../helpers/process.ts";

const kindOf = (line: string) => parsePmcdConf(`x 1 ${line}\n`).agents[0]?.kind;

/** A line and what is wrong with it. */
const FAULTS: readonly (readonly [line: string, reason: string])[] = [
  ["foo 77 pipe /bin/true", "pipe PDU type expected (`binary')"],
  ["foo 77 pipe text /bin/true", "pipe PDU type expected (`binary')"],
  ["foo 511 pipe binary /bin/true", 'Illegal domain number (511) for "foo" agent'],
  ["foo bar pipe binary /bin/true", 'expected domain number for "foo" agent'],
  ["foo 77 carrier pigeon", "expected `dso', `socket' or `pipe'"],
  ["foo 77", "expected `dso', `socket' or `pipe'"],
  ["foo 77 dso foo_init relative.so", 'path "relative.so" to PMDA is not absolute'],
  ["foo 77 dso foo_init", "expected DSO pathname"],
  ["foo 77 socket carrier 1", "expected socket address domain (`inet', `ipv6', or `unix')"],
  ["foo 77 socket inet", "expected socket port name or number"],
  ["foo 77 pipe binary", "command to create pipe agent expected."],
  ["foo 77 dso foo_init /a.so more", "too many parameters for DSO"],
];

describe("lines", () => {
  test("of each type", () => {
    expect(kindOf("dso foo_init /a/b.so")).toEqual({
      type: "dso",
      init: "foo_init",
      path: "/a/b.so",
    });
    expect(kindOf("pipe binary /a -d 1")).toEqual({
      type: "pipe",
      notReady: false,
      command: ["/a", "-d", "1"],
    });
    expect(kindOf("PIPE Binary notready /a")).toEqual({
      type: "pipe",
      notReady: true,
      command: ["/a"],
    });
    expect(kindOf("socket inet 2078")).toEqual({
      type: "socket",
      family: "inet",
      address: "2078",
      command: [],
    });
    expect(kindOf("socket unix /run/a.sock /a -u /run/a.sock")).toMatchObject({
      family: "unix",
      address: "/run/a.sock",
      command: ["/a", "-u", "/run/a.sock"],
    });
  });

  test("words: comments inside them, quotes, escapes, lines that go on", () => {
    const words = (text: string) => {
      const kind = kindOf(`pipe binary ${text}`);
      return kind?.type === "pipe" ? kind.command : undefined;
    };
    expect(words("/a mytx#1 buy")).toEqual(["/a", "mytx"]);
    expect(words('/a "two words" it\\#s \\"x')).toEqual(["/a", "two words", "it#s", '"x']);
    expect(words('/a a"b c"')).toEqual(["/a", 'a"b', 'c"']);
    expect(words("/a \\\n -x")).toEqual(["/a", "-x"]);
    expect(words('/a "# no comment"')).toEqual(["/a", "# no comment"]);
  });

  test("numbers of lines, and where access begins", () => {
    const text =
      "# first\n\na 1 pipe binary /a \\\n  -x\nb 2 pipe binary /b\n[access]\nallow *: all;\n";
    const conf = parsePmcdConf(text);
    expect(conf.agents.map(({ line, label }) => [line, label])).toEqual([
      [3, "a"],
      [5, "b"],
    ]);
    expect(conf.access).toEqual({ text: "\nallow *: all;\n", firstLine: 6 });
    expect(conf.problems).toEqual([]);
    expect(parsePmcdConf("").access).toBeUndefined();
  });
});

describe("faults", () => {
  for (const [line, reason] of FAULTS)
    test(line, () => {
      const { agents, problems } = parsePmcdConf(`# x\n${line}\nok 78 pipe binary /b\n`);
      expect(problems).toEqual([`pmcd config[line 2]: Error: ${reason}`]);
      expect(agents.map(({ label }) => label)).toEqual(["ok"]);
    });

  test("a domain twice, a quote without end", () => {
    const { problems } = parsePmcdConf(
      'foo 77 pipe binary /a\nbar 77 pipe binary /b\nbaz 78 pipe binary "/c\n',
    );
    expect(problems).toEqual([
      'pmcd config[line 2]: Error: domain number for "bar" agent clashes with "foo" agent',
      "pmcd config[line 3]: Error: unterminated quoted string",
    ]);
  });
});

testWith("pcp6", "the real pmcd says the same of each", async () => {
  const folder = privateFolder("pmcd-conf");
  const port = await freePort();
  const texts = [
    ...FAULTS.map(([line]) => `# x\n${line}\n`),
    "foo 77 pipe binary /bin/true\nbar 77 pipe binary /bin/true\n",
  ];
  for (const text of texts) {
    const conf = join(folder, "pmcd.conf");
    writeFileSync(conf, text);
    const log = join(folder, "log");
    const argv = ["/usr/lib/pcp/bin/pmcd", "-f", "-A", "-c", conf, "-l", log, "-p", `${port}`];
    const env = { PCP_RUN_DIR: folder, PCP_LOG_DIR: folder };
    const socket = ["-s", join(folder, "socket"), "-i", "127.0.0.1"];
    await run([...argv, ...socket], { env, timeoutMs: 5000 });
    const lines = (await Bun.file(log).text()).split("\n");
    const errors = lines.filter((line) => line.startsWith("pmcd config["));
    expect(
      errors.map((line) => line.replace(/^pmcd config\[[^\]]*line/, "pmcd config[line")),
    ).toEqual([...parsePmcdConf(text).problems]);
  }
});
