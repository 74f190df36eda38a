// Goal: Grafana's PCP plug-in works with the proxy: the requests that its live source makes, over HTTP, in
// its order, with the members that it reads and the texts that it compares.
import { afterAll, beforeAll, expect } from "bun:test";
import type { Pmcd } from "../helpers/pcp.ts";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { describePeer, havePeers, testWith } from "../helpers/peers.ts";
import { serverWith, stopAll, type TestServer } from "../server/support.ts";

let pmcd: Pmcd;
let server: TestServer;
beforeAll(async () => {
  if (!havePeers("pcp6")) return;
  pmcd = await startPmcd6();
  server = await serverWith();
}, 300_000);
afterAll(async () => {
  await stopAll();
  await pmcd?.stop();
});

interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function get(path: string, parameters: Readonly<Record<string, string>>): Promise<Reply> {
  const query = new URLSearchParams(parameters).toString();
  const reply = await fetch(`http://127.0.0.1:${server.port}/pmapi/${path}?${query}`);
  return { status: reply.status, body: (await reply.json()) as Reply["body"] };
}

const NAMES = "sample.long.one,sample.colour,sample.string.hullo,no.such.metric";

async function newContext(polltimeout = "11"): Promise<string> {
  const { body } = await get("context", { hostspec: `localhost:${pmcd.port}`, polltimeout });
  return String(body["context"]);
}

describePeer("pcp6", "a panel", () => {
  testWith("pcp6", "is filled", async () => {
    const context = await newContext();
    const metric = await get("metric", { context, names: NAMES });
    expect(metric.body["metrics"]).toMatchObject([
      { name: "sample.long.one", type: "32", sem: "instant", units: "none" },
      { name: "sample.colour", indom: "29.1", labels: { agent: "sample" } },
      { name: "sample.string.hullo", type: "string", "text-oneline": expect.any(String) },
      { name: "no.such.metric", success: false },
    ]);
    let last = 0;
    for (let poll = 0; poll < 3; poll++) {
      const { status, body } = await get("fetch", { context, names: NAMES });
      expect(status).toBe(200);
      expect(body["timestamp"]).toBeGreaterThan(last);
      last = Number(body["timestamp"]);
      expect(body["values"]).toMatchObject([
        { name: "sample.long.one", instances: [{ instance: null, value: 1 }] },
        { name: "sample.dupnames.four.colour" },
        {
          name: "sample.colour",
          instances: [{ instance: 0 }, { instance: 1 }, { instance: 2 }],
        },
        { name: "sample.string.hullo", instances: [{ instance: null, value: "hullo world!" }] },
      ]);
    }
    const indom = await get("indom", { context, name: "sample.colour" });
    expect(indom.body["instances"]).toMatchObject([
      { instance: 0, name: "red", labels: { agent: "sample" } },
      { instance: 1, name: "green" },
      { instance: 2, name: "blue" },
    ]);
  });

  testWith("pcp6", "shows derived metrics, and says what is wrong with others", async () => {
    const context = await newContext();
    const derive = (name: string, expr: string) => get("derive", { context, name, expr });
    const name = "derived_0123456789abcdef0123456789abcdef";
    const made = await derive(name, "sample.long.ten + sample.long.one");
    expect(made.body).toEqual({ context: Number(context), success: true });
    const { body } = await get("fetch", { context, names: name });
    expect(body["values"]).toMatchObject([{ name, instances: [{ value: 11 }] }]);
    for (const [bad, expr, text] of [
      [name, "sample.long.one", "Duplicate per-context derived metric name"],
      ["derived_b", "sample.long.one +", "Syntax Error"],
      ["derived_c", "rate(sample.string.hullo)", "Semantic Error"],
    ] as const) {
      const reply = await derive(bad, expr);
      expect([reply.status, reply.body["message"]]).toEqual([400, expect.stringContaining(text)]);
    }
  });

  testWith("pcp6", "browses, stores and reads the version", async () => {
    const context = await newContext();
    const children = await get("children", { context, prefix: "sample.secret.foo" });
    expect(children.body).toMatchObject({ leaf: ["one", "two"], nonleaf: ["bar"] });
    const value = 'kprobe:vfs_read { @["é"] = count(); }\n'.repeat(50);
    const stored = await get("store", { context, name: "sample.string.write_me", value });
    expect(stored.body["success"]).toBe(true);
    const read = await get("fetch", { context, names: "sample.string.write_me,pmcd.version" });
    expect(read.body["values"]).toMatchObject([
      { instances: [{ value }] },
      { name: "pmcd.version", instances: [{ value: expect.stringMatching(/^\d+\.\d+/) }] },
    ]);
  });

  testWith("pcp6", "sees the labels of instances that a profile lets in again", async () => {
    const context = await newContext();
    const labels = async (): Promise<unknown[]> => {
      const { body } = await get("indom", {
        context,
        name: "sample.bin",
        iname: "bin-100,bin-200",
      });
      const list = body["instances"] as { readonly labels: Record<string, unknown> }[];
      return list.map((instance) => instance.labels["bin"]);
    };
    await get("profile", { context, expr: "del", indom: "29.2" });
    await get("profile", { context, expr: "add", indom: "29.2", instance: "100" });
    expect((await labels())[0]).toBe(100);
    await get("profile", { context, expr: "add", indom: "29.2" });
    expect(await labels()).toEqual([100, 200]);
  });

  testWith("pcp6", "learns from the texts what to do next", async () => {
    const context = await newContext();
    const short = await newContext("0.01");
    await Bun.sleep(30);
    for (const [path, parameters, text] of [
      ["fetch", { context: "1234567", names: "x" }, "unknown context identifier"],
      ["fetch", { context: short, names: "x" }, /(?:unknown|expired) context identifier/],
      ["metric", { context, names: "no.such" }, "Unknown metric name"],
      ["indom", { context, name: "sample.long.one" }, "metric has null indom"],
      ["indom", { context, name: "no.such" }, "failed to lookup metric"],
      [
        "store",
        { context, name: "sample.long.one", value: "1" },
        "No permission to perform requested operation",
      ],
    ] as const) {
      const { status, body } = await get(path, parameters);
      expect([path, status, body["success"]]).toEqual([path, 400, false]);
      expect(String(body["message"])).toMatch(text);
    }
  });
});
