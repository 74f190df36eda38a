// Goal: mistakes on the command line of newcontext-probe get the sentences of PCP's tools and status
// 1, the environment counts as options, failures name code, place and hint, and whatever is in names
// and values, output that is no terminal has no escapes. Expected sentences are those that pmval 6.0.3
// and 7.2.2 printed for the same arguments.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ArchiveWriter } from "../../lib/archive/mod.ts";
import { asIndom, pmidBuild, PM_SEM, PM_TYPE } from "../../lib/pcp/mod.ts";
import { freePort } from "../helpers/ports.ts";
import { privateFolder } from "../helpers/process.ts";
import { ARCHIVES, probe, probeJson } from "./probe.ts";

setDefaultTimeout(300_000);

const types = join(ARCHIVES, "rec/v3-types");
const TRY = "Try 'pcpbox newcontext-probe --help' for more information.\n";

type Case = readonly [args: readonly string[], sentence: string, env?: Record<string, string>];

const MISTAKES: readonly Case[] = [
  [["-z", "-Z", "UTC", "-a", types], "at most one of -Z and -z allowed"],
  [["-a", types, "-h", "x"], "only one host or archive allowed"],
  [["-a", types, "-L"], "at most one of -a, -h and -L allowed"],
  [["-h", "x", "-L"], "at most one of -a, -h and -L allowed"],
  [["-h", "a", "-h", "b"], "too many hosts requested: b"],
  [["-s", "x", "-a", types], "-s requires a positive numeric argument"],
  [["-s", "-1", "-a", types], "-s requires a positive numeric argument"],
  [
    ["-t", "5x", "-a", types],
    "-t argument not in pmParseInterval(3) format:\n5x\n ^ -- unexpected value",
  ],
  [["-S", "5"], "time window options are supported for archives only"],
  [["-O", "5", "-L"], "time window options are supported for archives only"],
  [["-A", "5", "-h", "x"], "time window options are supported for archives only"],
  [["-Z", "/x", "-a", types], 'Cannot set timezone to "/x": Invalid argument'],
  [["-Z", "", "-a", types], 'Cannot set timezone to "": Invalid argument'],
  [
    ["-S", "bogus", "-a", types, "sample.bin"],
    "invalid time window.\nbogus\n^ -- unexpected value",
  ],
  [
    ["-A", "0", "-a", types, "sample.bin"],
    "invalid time window.\n0\n^ -- alignment specified by -A switch could not be applied",
  ],
  [["-K", "foo", "-L"], "pmSpecLocalPMDA failed: bad op in spec"],
  [["-K", "foo", "-a", types], "pmSpecLocalPMDA failed: bad op in spec"],
  [["-D", "foo"], "unrecognized debug options specification (foo)"],
  [["--dump"], "--dump needs an archive (-a)"],
  [["--watch", "0"], "--watch requires an interval of at least 0.1 seconds"],
  [["-a", types, "--check", "sample.bin"], "--check takes no metrics"],
  [
    ["sample.bin[x"],
    "metric not in NAME[INSTANCE,...] format:\nsample.bin[x\n            ^ -- closing ] expected",
  ],
  [["-a", types], "only one host or archive allowed", { PCP_HOST: "x" }],
  [["-h", "b"], "too many hosts requested: b", { PCP_HOST: "a" }],
  [["-a", types], "-s requires a positive numeric argument", { PCP_SAMPLES: "x" }],
  [["-z", "-a", types], "at most one of -Z and -z allowed", { PCP_TIMEZONE: "EST5" }],
  [["-h", "x"], "time window options are supported for archives only", { PCP_START_TIME: "5" }],
];

describe("mistakes on the command line", () => {
  for (const [args, sentence, env] of MISTAKES) {
    const name = `${Object.entries(env ?? {}).join(" ")} ${args.join(" ").replaceAll(types, "A")}`;
    test.concurrent(name.trim(), async () => {
      const { stdout, stderr, status } = await probe(args, { env: env ?? {} });
      expect([stdout, stderr, status]).toEqual(["", `newcontext-probe: ${sentence}\n${TRY}`, 1]);
    });
  }
});

describe("the environment", () => {
  test("counts as options, which win over it", async () => {
    const env = {
      PCP_ARCHIVE: types,
      PCP_SAMPLES: "1",
      PCP_TIMEZONE: "EST5",
      PCP_START_TIME: "+2",
    };
    const one = await probe(["sample.long.one"], { env });
    expect([one.status, one.stderr]).toEqual([0, ""]);
    expect(one.stdout).toStartWith('Note: timezone set to "TZ=EST5"\n\nsample.long.one PMID:');
    expect(one.stdout).toEndWith("15:53:04.443         1\n");
    const two = await probe(["-s", "2", "-Z", "UTC", "-S", "+1", "sample.long.one"], { env });
    expect(two.stdout).toEndWith("20:53:03.443         1\n20:53:04.443         1\n");
  });

  test("-z says whose zone it is", async () => {
    const { stdout } = await probe(["-z", "-a", types, "-s", "1", "sample.long.one"]);
    expect(stdout).toStartWith(
      'Note: timezone set to local timezone of host "vm" from archive\n\n',
    );
  });
});

describe("failures", () => {
  test("nobody listens", async () => {
    const port = await freePort();
    const host = `127.0.0.1:${port}`;
    const { stdout, stderr, status } = await probe(["-h", host]);
    expect(status).toBe(1);
    expect(stdout).toContain(`host "${host}": does not work\n`);
    expect(stdout).toMatch(
      /^ {2}x connect {4}127\.0\.0\.1 port \d+: Connection refused +[\d.]+ ms$/m,
    );
    expect(stderr).toStartWith(
      `newcontext-probe: Cannot connect to PMCD on host "${host}": Connection refused\n` +
        "  code: ECONNREFUSED (-111), at connect\n",
    );
    expect(stderr).toContain("\n  hint: nothing listens there: is pmcd running");
    const { json } = await probeJson(["-h", host]);
    expect(json).toMatchObject({
      ok: false,
      source: { type: "host", name: host },
      error: {
        code: -111,
        symbol: "ECONNREFUSED",
        message: "Connection refused",
        where: "connect",
      },
    });
  });

  test("somebody listens who is silent", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const env = { PMCD_REQUEST_TIMEOUT: "0.3" };
    const { stderr, status } = await probe(["-h", `127.0.0.1:${server.port}`, "x"], { env });
    server.stop(true);
    expect(status).toBe(1);
    expect(stderr).toContain("Timeout waiting for a response from PMCD\n");
    expect(stderr).toContain("  code: PM_ERR_TIMEOUT (-12353), at handshake\n");
    expect(stderr).toContain("  hint: something accepted the connection and said nothing");
  });

  test("a bad host specification is told as PCP does", async () => {
    const { stderr, status } = await probe(["-h", "127.0.0.1:abc", "x"]);
    expect(status).toBe(1);
    expect(stderr).toStartWith(
      "pmNewContext: bad host specification\n127.0.0.1:abc\n          ^ -- non-numeric port\n" +
        'newcontext-probe: Cannot connect to PMCD on host "127.0.0.1:abc": ' +
        "Generic error, already reported above\n  code: PM_ERR_GENERIC (-12345)\n",
    );
  });

  const archives: readonly (readonly [name: string, text: string, code: string])[] = [
    ["nosuch", "No such file or directory", "ENOENT (-2)"],
    [
      "bad/v3-d-badmagic",
      "Illegal label record at start of a PCP archive file",
      "PM_ERR_LABEL (-12372)",
    ],
    ["bad/v3-m-missing", "Missing PCP archive file", "PM_ERR_LOGFILE (-12375)"],
    [
      "set/a1,set/a2-type",
      "The type of a metric has changed in an archive",
      "PM_ERR_LOGCHANGETYPE (-12404)",
    ],
  ];
  for (const [name, text, code] of archives) {
    for (const metrics of [[], ["sample.bin"]]) {
      test.concurrent(`archive ${name} ${metrics.join(" ")}`, async () => {
        const names = name.replaceAll(/[^,]+/g, (each) => join(ARCHIVES, each));
        const { stderr, status } = await probe(["-a", names, ...metrics]);
        expect(status).toBe(1);
        expect(stderr).toContain(`newcontext-probe: Cannot open archive "${names}": ${text}\n`);
        expect(stderr).toContain(`  code: ${code}\n`);
      });
    }
  }

  test("an unknown metric does not stop the others, but the status is 1", async () => {
    const args = ["-a", types, "nosuch.metric", "sample.long.one", "sample.bin[bin-100,nope]"];
    const { stdout, stderr, status } = await probe(args);
    expect(status).toBe(1);
    expect(stdout).toContain("sample.long.one PMID: 29.0.10\n");
    expect(stderr).toContain(
      "newcontext-probe: nosuch.metric: Unknown metric name [PM_ERR_NAME, -12357]\n",
    );
    expect(stderr).toContain("newcontext-probe: sample.bin: ");
    expect(stderr).toContain("instance nope not available");
    const { json } = await probeJson(args);
    expect(json).toMatchObject({ ok: false, error: null, errors: [{ code: -12357 }, {}] });
  });
});

const NASTY = "\u001b[2J\u001b]0;title\u0007\r\n\u202eevil\u009b31m";

/** An archive whose host, zone, help, instances and values hold escapes for terminals. */
function hostileArchive(): string {
  const base = join(privateFolder("hostile"), "evil");
  const label = {
    version: 3,
    pid: 1,
    host: `h${NASTY}`,
    timezone: "UTC",
    zoneinfo: NASTY,
  } as const;
  const writer = new ArchiveWriter({ base, label });
  const pmid = pmidBuild(29, 0, 1);
  const indom = asIndom(29 * 0x400000 + 1);
  const desc = { pmid, type: PM_TYPE.STRING, indom, sem: PM_SEM.INSTANT, units: 0 };
  writer.describe(desc, ["evil.text"]);
  writer.setInstances(indom, [[1, `i${NASTY}`]]);
  writer.setText({ kind: "text", ident: pmid, type: 5, text: `help ${NASTY}` });
  for (const sec of [1_700_000_000, 1_700_000_001]) {
    const sets = [{ pmid, type: PM_TYPE.STRING, instances: [1], values: [`v${NASTY}`] }];
    writer.append({ timestamp: { sec, nsec: 0 }, sets });
  }
  writer.finish();
  return base;
}

describe("text of others", () => {
  const archive = hostileArchive();
  // Control characters but the line break, in ASCII and Latin-1; marks of direction.
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  for (const args of [[], ["evil"], ["--dump"], ["--json"], ["evil.text", "--json"], ["--check"]]) {
    test.concurrent(`comes out harmless: ${args.join(" ")}`, async () => {
      const { stdout, stderr } = await probe(["-z", "-a", archive, ...args]);
      expect(stdout).toContain("evil");
      expect(UNSAFE.exec(stdout.replaceAll("\t", ""))).toBeNull();
      expect(UNSAFE.exec(stderr.replaceAll("\t", ""))).toBeNull();
    });
  }
  test("is shown escaped", async () => {
    const { stdout } = await probe(["-a", archive, "evil.text"]);
    expect(stdout).toContain(String.raw`v\x1b[2J\x1b]0;title\x07\r\n\u202eevil\x9b31m`);
    const { json } = await probeJson(["-a", archive, "evil.text"]);
    expect(json).toMatchObject({
      samples: [{ metrics: [{ values: [{ value: `v${NASTY}` }] }] }, {}],
    });
  });
});
