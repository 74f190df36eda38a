// Goal: txmon answers the recorded sessions byte by byte, with transactions recorded in between as
// PCP's txrecord records them, over the memory that both share (spec pmda.md 18.3).
import { expect, test } from "bun:test";
import { openSharedMemory, PcpError } from "../../lib/base/mod.ts";
import { transactionBytes, txmon, txmonOver } from "../../lib/pmda/agents/txmon.ts";
import { makeAgent } from "../../lib/pmda/mod.ts";
import { recording, replay } from "./replay.ts";

/** What txrecord does: finds the record by its type and adds one transaction. */
function record(bytes: Uint8Array, type: string, seconds: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i < view.getInt32(4, true); i++) {
    const at = view.getInt32(8 + 4 * i, true);
    const name = Buffer.from(bytes.subarray(at, at + 20)).toString();
    if (name.slice(0, name.indexOf("\0")) !== type) continue;
    view.setUint32(at + 24, view.getUint32(at + 24, true) + 1, true);
    view.setFloat32(at + 28, Math.max(view.getFloat32(at + 28, true), seconds), true);
    view.setFloat64(at + 32, view.getFloat64(at + 32, true) + seconds, true);
  }
}

test("records lie where those of PCP's agent lie", () => {
  const bytes = new Uint8Array(transactionBytes(3));
  txmonOver(bytes, ["mytx", "buy", "a type with a name that is too long"]);
  const view = new DataView(bytes.buffer);
  expect([0, 4, 8, 12, 16].map((at) => view.getInt32(at, true))).toEqual([2, 3, 32, 96, 160]);
  expect(Buffer.from(bytes.subarray(160, 180)).toString()).toBe("a type with a name \0");
  expect(view.getFloat32(96 + 28, true)).toBe(-1);
});

test("the recorded session with dbpmda", async () => {
  const pdus = recording("txmon-dbpmda");
  // The second request for values came after the transactions.
  const fetches = pdus.flatMap(({ type }, i) => (type === "FETCH" ? [i] : []));
  const second = fetches[1] ?? 0;
  const types = ["mytx", "buy", "sell"];
  const bytes = new Uint8Array(transactionBytes(types.length));
  const agent = makeAgent(txmonOver(bytes, types), {
    domain: 248,
    env: { PCP_SYSCONF_DIR: "/nowhere" },
  });
  const same = (answer: string): string => answer;
  await replay(agent, pdus.slice(0, second), same);
  record(bytes, "mytx", 0.5);
  record(bytes, "buy", 2.25);
  record(bytes, "mytx", 1.5);
  await replay(agent, pdus.slice(second), same);
});

test("the recorded session with pmcd", async () => {
  const agent = makeAgent(txmonOver(new Uint8Array(transactionBytes(1)), ["mytx"]), {
    domain: 248,
  });
  await replay(agent, recording("txmon-pmcd"), (answer) => answer);
});

test("shared memory is the same memory for all who attach to it", () => {
  if (process.platform !== "linux") {
    expect(() => openSharedMemory(1, 64, 0o600)).toThrow(PcpError);
    return;
  }
  const key = 0x70000000 + process.pid;
  const one = openSharedMemory(key, 96, 0o600);
  const two = openSharedMemory(key, 64, 0o600);
  one.bytes[63] = 77;
  expect(two.bytes[63]).toBe(77);
  expect(() => openSharedMemory(key, 4096 * 4, 0o600)).toThrow("shmget: Invalid argument");
  two.end(false);
  one.end(true);
});

test("the agent does not start without a type", () => {
  const start = (): unknown =>
    txmon({
      domain: 248,
      args: [],
      env: {},
      log: () => undefined,
      changed: () => undefined,
      ready: () => undefined,
      redefine: () => undefined,
    });
  expect(start).toThrow("No transaction types specified");
});
