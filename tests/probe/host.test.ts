// Goal: a look at a host tells what pmcd's own metrics and PCP's programs tell; metrics and values
// are those of pminfo, directly, through pcpbox proxy and through the real pmproxy; TLS and its
// certificate show; JSON says the same as text; nothing that is no terminal gets an escape.
import { expect, setDefaultTimeout, test } from "bun:test";
import { startFakePmcd } from "../helpers/fakepmcd.ts";
import { type Pmcd, runIn } from "../helpers/pcp.ts";
import { pcp6, sharedPmcd6, startPmcd6, startPmproxy6 } from "../helpers/pcp6.ts";
import { sharedPmcd7 } from "../helpers/pcp7.ts";
import { describePeer, testWith } from "../helpers/peers.ts";
import { startProxyUnderTest } from "../helpers/proxy.ts";
import { tlsFiles } from "../helpers/tls.ts";
import { type Json, probe, probeJson, startProbe } from "./probe.ts";

setDefaultTimeout(300_000);

/** Descriptor and value lines of each metric, of pminfo's output or ours. */
function blocks(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let name = "";
  for (const line of text.split("\n")) {
    const head = /^([a-z][\w.]*)(?: PMID: \S+)?$/.exec(line);
    if (head !== null) [, name = ""] = head;
    else if (/^ {4}(?:Data Type|Semantics|inst |value )/.test(line)) {
      found.set(name, `${found.get(name) ?? ""}${line}\n`);
    } else if (/^(?: {4})?(?:Error: |No value\(s\) available!)/.test(line)) {
      found.set(name, `${found.get(name) ?? ""}${line.trim()}\n`);
    }
  }
  return found;
}

/** What pminfo says twice in the same words, so that a time between makes no difference. */
async function steady(pmcd: Pmcd, host: string, around: () => Promise<string>): Promise<void> {
  const ask = async (): Promise<Map<string, string>> => {
    const args = ["pminfo", "-h", host, "-dfm"];
    return blocks((await runIn(pmcd.tree, args, { env: pmcd.clientEnv })).stdout);
  };
  const before = await ask();
  const ours = blocks(await around());
  const after = await ask();
  let compared = 0;
  for (const [name, text] of before) {
    if (after.get(name) !== text || text.includes("Not Supported")) continue;
    // Events are unpacked below their value; times in the value are of the fetch.
    if (text.includes("event record")) continue;
    // These tell of the client that asks, or are random.
    if (/^sample\.(?:percontext|drift|load|sysinfo)|^(?:pmcd|event)\./.test(name)) continue;
    compared += 1;
    expect(`${name}\n${ours.get(name) ?? ""}`).toBe(`${name}\n${text}`);
  }
  expect(compared).toBeGreaterThan(100);
}

test("a pmcd of the old days, with nothing but a session, works", async () => {
  const pmcd = await startFakePmcd({ behaviour: { features: 0 } });
  const { stdout, stderr, status } = await probe(["-h", `127.0.0.1:${pmcd.port}`]);
  expect([stderr, status]).toEqual(["", 0]);
  expect(stdout).toMatch(/^host ".*": works \(connected in /);
  expect(stdout).toContain("offers none");
  await pmcd.stop();
});

const everything = ["sample", "pmcd"];

for (const release of ["pcp6", "pcp7"] as const) {
  describePeer(release, `pmcd of ${release}`, () => {
    const start = release === "pcp6" ? sharedPmcd6 : sharedPmcd7;

    test("the look", async () => {
      const pmcd = await start();
      const host = `127.0.0.1:${pmcd.port}`;
      const { stdout, stderr, status } = await probe(["-h", host]);
      expect([stderr, status]).toEqual(["", 0]);
      expect(stdout).toStartWith(`host "${host}": works (connected in `);
      expect(stdout).not.toContain("\u001b");
      expect(stdout).toContain(`  + connect    127.0.0.1 port ${pmcd.port}`);
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
      const { json } = await probeJson(["-h", host]);
      const found = json["host"] as Json;
      const version = /^ {2}pmcd {7}(\S+) /m.exec(stdout)?.[1];
      expect(found).toMatchObject({ hostName: expect.any(String), pmcd: { version } });
      const agents = found["agents"] as readonly Json[];
      expect(agents.map((each) => each["name"])).toEqual(["pmcd", "sample"]);
      for (const agent of agents) {
        expect(agent).toMatchObject({ state: "ok", kind: expect.any(String) });
        expect(stdout).toMatch(
          new RegExp(`^ +${String(agent["domain"])}  ${String(agent["name"])} .* ok$`, "m"),
        );
      }
      const names = await runIn(pmcd.tree, ["pminfo", "-h", host], { env: pmcd.clientEnv });
      // pminfo knows derived metrics of the library as well.
      const count = names.stdout.split("\n").filter((name) => /^(?:sample|pmcd)\./.test(name));
      expect(found["metrics"]).toBeGreaterThanOrEqual(count.length);
      const steps = found["steps"] as readonly Json[];
      expect(steps.map((each) => each["step"])).toEqual([
        "resolve",
        "connect",
        "challenge",
        "creds",
      ]);
      expect(json).toMatchObject({ ok: true, healthy: true, complaints: [], error: null });
    });

    test("metrics and values are those of pminfo", async () => {
      const pmcd = await start();
      const host = `127.0.0.1:${pmcd.port}`;
      await steady(pmcd, host, async () => (await probe(["-h", host, ...everything])).stdout);
    });
  });
}

describePeer("pcp6", "on the way to pmcd", () => {
  test("pcpbox proxy", async () => {
    const pmcd = await sharedPmcd6();
    const proxy = await startProxyUnderTest();
    const host = `127.0.0.1:${pmcd.port}@127.0.0.1:${proxy.port}`;
    await steady(pmcd, `127.0.0.1:${pmcd.port}`, async () => {
      const { stdout } = await probe(["-h", host, ...everything]);
      return stdout;
    });
    const look = await probe(["-h", host]);
    expect(look.status).toBe(0);
    expect(look.stdout).toContain(`  + proxy      proxy asked for 127.0.0.1 port ${pmcd.port}`);
    await proxy.stop();
  });

  test("the real pmproxy", async () => {
    const pmcd = await sharedPmcd6();
    const proxy = await startPmproxy6();
    const host = `127.0.0.1:${pmcd.port}@127.0.0.1:${proxy.port}`;
    await steady(pmcd, `127.0.0.1:${pmcd.port}`, async () => {
      const { stdout } = await probe(["-h", host, ...everything]);
      return stdout;
    });
    await proxy.stop();
  });

  test("its unix socket", async () => {
    const pmcd = await sharedPmcd6();
    const { stdout, status } = await probe(["-h", `unix:${pmcd.socket}`]);
    expect(status).toBe(0);
    expect(stdout).toContain(`  + connect    ${pmcd.socket}`);
  });

  test("instances in brackets", async () => {
    const pmcd = await sharedPmcd6();
    const host = `127.0.0.1:${pmcd.port}`;
    const { stdout } = await probe(["-h", host, 'sample.bin["bin-300",bin-900]']);
    expect(blocks(stdout).get("sample.bin")).toEndWith(
      '    inst [300 or "bin-300"] value 300\n    inst [900 or "bin-900"] value 900\n',
    );
  });

  test("samples in a row, rates from the second one on", async () => {
    const pmcd = await sharedPmcd6();
    const host = `127.0.0.1:${pmcd.port}`;
    const args = ["-h", host, "-s", "3", "-t", "0.2", "sample.milliseconds"];
    const { stdout, status } = await probe(args);
    expect(status).toBe(0);
    expect(stdout).toContain("Units: millisec (shown as a rate: time utilization)\n");
    const rates = [...stdout.matchAll(/^\d\d:\d\d:\d\d\.\d{3} +(\S+)$/gm)].map(([, rate]) => rate);
    expect(rates).toHaveLength(3);
    for (const rate of rates) expect(Number(rate)).toBeWithin(0.5, 2);
    const raw = await probe([...args, "-r"]);
    expect(raw.stdout).not.toContain("shown as a rate");
    const { json } = await probeJson(args);
    const samples = json["samples"] as readonly {
      metrics: readonly { values: readonly Json[] }[];
    }[];
    expect(samples).toHaveLength(3);
    for (const { metrics } of samples) {
      expect(metrics[0]?.values[0]).toMatchObject({ instance: null, noRate: null });
    }
  });

  test("instances that come and go", async () => {
    const pmcd = await startPmcd6();
    const host = `127.0.0.1:${pmcd.port}`;
    const count = async (value: number): Promise<void> => {
      const args = ["pmstore", "-h", host, "sample.many.count", String(value)];
      expect((await runIn(pcp6, args, { env: pmcd.clientEnv })).status).toBe(0);
    };
    await count(2);
    const running = startProbe(["-h", host, "-t", "0.2", "-s", "500", "sample.many.int"]);
    expect(await running.has(/^ +i-0 +i-1\n[\d:.]+ +0 +1\n/m)).toBe(true);
    await count(3);
    expect(await running.has(/^ +i-0 +i-1 +i-2\n[\d:.]+ +0 +1 +2\n/m)).toBe(true);
    await count(1);
    expect(await running.has(/^[\d:.]+ +0 +\? +\?\n/m)).toBe(true);
    expect(await running.end("SIGINT")).toBe(0);
    await pmcd.stop();
  });

  testWith("openssl", "TLS and its certificate", async () => {
    const tls = await tlsFiles();
    const pmcd = await startPmcd6({ tls });
    const env = { PCP_TLSCONF_PATH: `${pmcd.folder}/tls.conf` };
    const host = `pcps://127.0.0.1:${pmcd.port}`;
    const trusted = await probe(["-h", host], { env });
    expect(trusted.status).toBe(0);
    expect(trusted.stdout).toMatch(/^ {2}\+ TLS {8}TLSv1\.[23], \S+ +[\d.]+ ms$/m);
    expect(trusted.stdout).toMatch(/^ {15}certificate of /m);
    expect(trusted.stdout).toMatch(/^ {15}trusted$/m);
    const { json } = await probeJson(["-h", host], { env });
    const steps = (json["host"] as Json)["steps"] as readonly Json[];
    expect(steps.find((each) => each["step"] === "tls")).toMatchObject({
      tls: { trusted: true, certificate: { daysLeft: expect.any(Number) } },
    });
    const plain = await probe(["-h", `pcps://127.0.0.1:${(await sharedPmcd6()).port}`, "x"]);
    expect(plain.stderr).toContain(
      "Operation not supported\n  code: EOPNOTSUPP (-95), at agreement",
    );
    await pmcd.stop();
  });

  testWith("pcp6-sasl", "authentication, without the password in any output", async () => {
    const user = "nobody";
    const pmcd = await startPmcd6({
      sasl: { user, password: "geheim17" },
      requireCredentials: true,
    });
    const host = `127.0.0.1:${pmcd.port}?method=plain&user=${user}&pass=`;
    const good = await probe(["-h", `${host}geheim17`, "-D", "context"]);
    expect(good.status).toBe(0);
    expect(good.stdout).toMatch(new RegExp(`^ {2}\\+ SASL       PLAIN as ${user}, of `, "m"));
    expect(good.stdout).toContain(`host "${host}***": works`);
    const bad = await probe(["-h", `${host}falsch18`]);
    expect(bad.status).toBe(1);
    expect(bad.stderr).toContain("  hint: authentication failed: check ");
    const { json } = await probeJson(["-h", `${host}falsch18`]);
    const all = good.stdout + good.stderr + bad.stdout + bad.stderr + JSON.stringify(json);
    expect(all).not.toMatch(/geheim17|falsch18/);
    await pmcd.stop();
  });

  test("an agent that is gone is a complaint", async () => {
    const pmcd = await startPmcd6();
    const host = `127.0.0.1:${pmcd.port}`;
    const check = ["-h", host, "--check"];
    expect(await probe(check)).toMatchObject({ status: 0, stdout: `host "${host}": ok\n` });
    // pmcd starts an agent that ended once more, then leaves it; one that is gone shows when asked.
    let after = await probe(check);
    for (let tries = 0; after.status === 0 && tries < 10; tries++) {
      const parent = String(pmcd.daemon().pid);
      const children = await runIn(pcp6, ["pgrep", "-P", parent, "pmdasample"]);
      for (const pid of children.stdout.split("\n").filter((text) => text !== ""))
        process.kill(Number(pid), "SIGKILL");
      await probe(["-h", host, "sample.long.one"]);
      after = await probe(check);
    }
    expect(after.status).toBe(1);
    expect(after.stdout).toMatch(/^host ".*": agent sample (?:has ended|was dropped).*\n$/);
    const { stdout } = await probe(["-h", host]);
    expect(stdout).toContain(": works, with 1 complaint");
    await pmcd.stop();
  });

  test("refused by access rules", async () => {
    const pmcd = await startPmcd6({
      agents: [],
      access: "disallow 127.0.0.1 : all;",
    });
    // pmcd may close before its reason is read: then the connection was reset or refused.
    let stderr = "";
    for (let tries = 0; tries < 200 && !stderr.includes("PM_ERR_PERMISSION"); tries++) {
      const refused = await probe(["-h", `127.0.0.1:${pmcd.port}`, "pmcd.version"]);
      expect(refused.status).toBe(1);
      ({ stderr } = refused);
    }
    expect(stderr).toContain("No permission to perform requested operation\n");
    expect(stderr).toContain("  hint: pmcd refuses this host or user: see [access]");
    await pmcd.stop();
  });
});
