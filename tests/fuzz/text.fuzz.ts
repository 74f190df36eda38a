// Fuzzes the readers of texts that come from outside: host specifications, metrics, agents, units, labels, name space
// files, pmproxy.conf, pcpbox.toml, tls.conf and configurations of extraction. Inputs are good texts with pieces cut out, doubled,
// swapped or put in. The promise: a value or the reader's own errors, in time that goes with the
// length, and what was read can be written and read again.
import { PM_ERR, PcpError, utf8 } from "../../lib/base/mod.ts";
import { type ConfigText, parseProxyConf, parseProxyToml } from "../../lib/daemon/config.ts";
import { parseConfig } from "../../lib/extract/config.ts";
import {
  labelsOf,
  namesText,
  parseHostSpec,
  parseLabels,
  parseNames,
  pmParseUnitsStr,
  pmUnitsStr,
  unparseHostSpec,
} from "../../lib/pcp/mod.ts";
import { clientTls, parseTlsConf } from "../../lib/pdu/mod.ts";
import { parseLocalSpec, parsePmcdConf } from "../../lib/collector/mod.ts";
import { parseMetricSpec } from "../../lib/probe/mod.ts";
import { hex } from "../helpers/vector.ts";
import { FuzzFinding, type Fuzzer, type Random, seeded } from "./random.ts";

const TIME_LIMIT_MS = 1000;
const EINVAL = -22;
/** Pieces that are trouble in any text. */
const NASTY = [
  "",
  "\0",
  "\n",
  "\r\n",
  "\t",
  " ",
  "\ufeff",
  "é",
  "\ud800",
  "__proto__",
  "9".repeat(40),
];

/** What is known of a reader: good texts, pieces of its grammar, error codes, and a check that throws. */
export interface Subject {
  readonly texts: readonly string[];
  readonly pieces: readonly string[];
  readonly codes: readonly number[];
  check(text: string): void;
}

function changed(text: string, { texts, pieces }: Subject, random: Random): string {
  const at = random.below(text.length + 1);
  const to = Math.min(text.length, at + random.below(8));
  const piece = random.below(4) === 0 ? random.pick(NASTY) : random.pick(pieces);
  switch (random.below(6)) {
    case 0:
      return text.slice(0, at) + text.slice(to);
    case 1:
      return text.slice(0, at) + piece + text.slice(to);
    case 2:
      return text.slice(0, at) + piece + text.slice(at);
    case 3:
      return text.slice(0, at) + text.slice(at, to).repeat(1 + random.below(20)) + text.slice(to);
    case 4:
      return text.slice(0, at) + random.pick(texts).slice(random.below(10));
    default:
      return random.below(50) === 0 ? piece.repeat(1 + random.below(3000)) + text : piece + text;
  }
}

/** Throws unless both have the same JSON text. */
export const same = (what: string, left: unknown, right: unknown): void => {
  const [a, b] = [JSON.stringify(left), JSON.stringify(right)];
  if (a !== b) throw new Error(`${what}: ${a} is not ${b}`);
};

function checkConfig({ entries, problems }: ConfigText, text: string): void {
  const lines = text.split("\n").length;
  for (const { line, column } of [...entries, ...problems]) {
    if (line < 0 || line > lines || column < 0) throw new Error(`place ${line}:${column}`);
  }
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  hostspec: {
    texts: [
      "pcps://app1:44321,4321@firewall:44322?user=a%20b&container=c",
      "[fe80::1]:5@[::1]?secure=relaxed&compress",
      "unix:///run/pcp/pmcd.socket?user=u",
      "local:",
      "app1",
    ],
    pieces: ["%41", "%", "%00", "+", "@", ":", ",", "[", "]", "?", "&", "=", "/", "pcp:", "unix:"],
    codes: [PM_ERR.GENERIC, EINVAL],
    check(text) {
      unparseHostSpec(parseHostSpec(text, "/run/pcp/pmcd.socket"));
    },
  },
  metric: {
    texts: ['kernel.all.load["1 minute","5 minute"]', "sample.bin[bin-100, bin-200]", "hinv.ncpu"],
    pieces: ["[", "]", '"', "'", ",", " ", ".", "[]"],
    codes: [PM_ERR.GENERIC],
    check(text) {
      const { name, instances } = parseMetricSpec(text);
      if (!text.startsWith(name)) throw new Error(`name ${name}`);
      for (const each of instances ?? []) if (!text.includes(each)) throw new Error(each);
    },
  },
  agents: {
    texts: ["clear", "add,29,/a/b.so,init", "del,29", "del,,/a/b.so"],
    pieces: [",", ",,", "add", "del", "clear", "-1", "511", " ", "0x1"],
    codes: [PM_ERR.GENERIC],
    check(text) {
      const operation = parseLocalSpec(text);
      const domain = "domain" in operation ? (operation.domain ?? 0) : 0;
      if (!Number.isInteger(domain) || domain < 0 || domain > 510) throw new Error(`${domain}`);
    },
  },
  pmcdconf: {
    texts: [
      "# x\nroot 1 pipe binary notready /pmdaroot -d 1\nmmv 70 dso mmv_init /mmv.so\n",
      'a 2 socket inet 2078\nb 3 socket unix "/a b" /b -u \\\n /c#d\n[access]\nallow *: all;\n',
    ],
    pieces: ["\\\n", "\\#", '"', "#", "[access]", "pipe", "dso", "socket", "511", " 1 ", "binary"],
    codes: [PM_ERR.TOOBIG],
    check(text) {
      const { agents, access, problems } = parsePmcdConf(text);
      const lines = text.split("\n").length;
      for (const { line, domain } of agents)
        if (line < 1 || line > lines || domain > 510) throw new Error(`line ${line}, ${domain}`);
      if (access !== undefined && !text.endsWith(access.text)) throw new Error("access");
      for (const each of problems) if (!each.startsWith("pmcd config[line ")) throw new Error(each);
    },
  },
  units: {
    texts: ["Mbyte / sec", "10 kilobytes / 2 sec", "count x 10^-3 / hour^2", "temperature (C)"],
    pieces: ["/", "^", "^-8", "count x 10", "space-9", "0x1p4", "1e300", "-", ".", "power (mW)"],
    codes: [PM_ERR.CONV],
    check(text) {
      const { units } = pmParseUnitsStr(text);
      if (units >>> 0 !== units) throw new Error(`units word ${units}`);
      pmUnitsStr(units);
      pmUnitsStr(units, 6);
    },
  },
  labels: {
    texts: [
      '{"hostname":"app1","place":{"row":7,"rack":"b"}}',
      '{"a":[{"x":1}, 2, "\\u00e9\\n"], "b":-1.5e3, "c":null, "d":true}',
      "{}",
    ],
    pieces: [
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      "\\u00",
      '"a":',
      '{"a":',
      "[[[[",
      "1e9",
      "tru",
    ],
    codes: [EINVAL, PM_ERR.TOOBIG],
    check(text) {
      const set = parseLabels(text, 1);
      const labels = labelsOf(set);
      if (labels.some(({ flags }) => (flags & 1) === 0)) throw new Error("a label without record");
      same("labels read again", labelsOf(parseLabels(set.json, 1)), labels);
    },
  },
  names: {
    texts: [
      "root {\n\tsample\n\tpmcd 2:0:0\n}\n\nsample {\n\tbin 29:0:6\n\tdyn 29:*:*\n}\n",
      '# 1 "root"\nroot { /* all */ a\n b 1:2:3 }\na.b { c 3:4:5 }\na { b }\n',
    ],
    pieces: ["{", "}", "/*", "*/", "#", "a", "a.b", ".", "1:2:3", ":", "*", "511:1:0", "root {"],
    codes: [PM_ERR.PMNS],
    check(text) {
      const names = parseNames(text);
      const written = namesText(names);
      same("names read again", namesText(parseNames(written)), written);
      same("number of names", [...names.traverse()].length, names.size);
    },
  },
  conf: {
    texts: [
      "[pmproxy]\nmaxpending = 128 ; comment\n# comment\ncertificates : /a\n  continued\n",
      "[a.b]\nc.d=e\n[a]\nb = [1]\nc = 'x' \"y\"\n",
    ],
    pieces: [
      "[",
      "]",
      "=",
      ":",
      ";",
      "#",
      " ;",
      "\n ",
      "\n[",
      "[]",
      "a.",
      "\\",
      '"',
      "x".repeat(250),
    ],
    codes: [],
    check(text) {
      checkConfig(parseProxyConf(utf8(text), "f"), text);
    },
  },
  toml: {
    texts: [
      '[pmproxy]\nmaxpending = 128 # comment\n"certificates" = "/a"\n',
      "[a]\nb.c = [1, 'x', true]\nd = { e = 2020-01-01 }\n[a.f]\ng = '''\nx\n'''\n",
    ],
    pieces: ["[", "]", "=", "{", "}", '"', "'", '"""', ".", "a.", "[[", "#", ",", "1_0", "inf"],
    codes: [],
    check(text) {
      checkConfig(parseProxyToml(text, "f"), text);
    },
  },
  extract: {
    texts: [
      "# keep\nkernel.all.load[1, 5 'one' \"15 minute\"], disk\nproc\n",
      "a b,c[d]\n\te[\n'f' 7,\n]\r\n",
    ],
    pieces: [
      "[",
      "]",
      ",",
      "#",
      "'",
      '"',
      "a.",
      "a_1",
      "\n",
      " ",
      "\r",
      "'x y'",
      "4294967297",
      "-",
    ],
    codes: [],
    check(text) {
      const bytes = utf8(text);
      const { requests, mistake } = parseConfig(bytes);
      const lines = text.split("\n").length;
      for (const { line } of requests) {
        if (line < 1 || line > lines) throw new Error(`line ${line}`);
      }
      if (mistake !== undefined) {
        const [row = "", mark = ""] = mistake.picture.split("\n");
        if (mark.length > row.length + 3 + 62) throw new Error(`mark ${mark.length}`);
        // What stands before the mistake, and nothing else, was read.
        if (mistake.line < 1 || mistake.line > lines) throw new Error(`line ${mistake.line}`);
        return;
      }
      const written = requests.map(({ name, instances }) => {
        if (instances === undefined) return name;
        const each = instances.map((one) => {
          if (typeof one === "number") return String(one >>> 0);
          return one.includes('"') ? `'${one}'` : `"${one}"`;
        });
        return `${name}[${each.join(",")}]`;
      });
      const again = parseConfig(utf8(written.join("\n"))).requests;
      const bare = (list: typeof requests) => list.map(({ name, instances }) => [name, instances]);
      same("specs read again", bare(again), bare(requests));
    },
  },
  tlsconf: {
    texts: ["tls-ca-cert-file = /ca.pem # more\ntls-verify-clients: yes\n", "tls-ciphers=A:!B\n"],
    pieces: ["=", ":", "#", " ", "tls-key-file", '"', "yes"],
    codes: [],
    check(text) {
      const conf = parseTlsConf(text);
      for (const value of conf.values.values()) {
        if (value === "" || /[\s#]/.test(value)) throw new Error(`value "${value}"`);
      }
      clientTls(conf);
    },
  },
};

/** Fuzzes one reader. */
export const textFuzzer =
  (name: string, subject: Subject): Fuzzer =>
  (seed, iterations) => {
    const random = seeded(seed);
    for (let iteration = 0; iteration < iterations; iteration++) {
      let text = random.pick(subject.texts);
      for (let step = random.below(6); step >= 0; step--) text = changed(text, subject, random);
      const start = performance.now();
      let failure: unknown;
      try {
        subject.check(text);
      } catch (error) {
        if (!(error instanceof PcpError) || !subject.codes.includes(error.code)) failure = error;
      }
      if (performance.now() - start > TIME_LIMIT_MS) failure ??= new Error("took over a second");
      if (failure !== undefined)
        throw new FuzzFinding(name, seed, iteration, hex(utf8(text)), String(failure), {
          cause: failure,
        });
    }
  };

/** Fuzzers of text readers by name. */
export const TEXT_FUZZERS: Readonly<Record<string, Fuzzer>> = Object.fromEntries(
  Object.entries(SUBJECTS).map(([name, subject]) => [name, textFuzzer(name, subject)]),
);
