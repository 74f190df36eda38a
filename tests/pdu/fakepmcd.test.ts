// Goal: the stand-in pmcd that fault tests rely on is a pmcd to real clients, and misbehaves as told.
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { PM_ERR } from "../../lib/base/mod.ts";
import { asPmid } from "../../lib/pcp/mod.ts";
import {
  createFramer,
  decodePdu,
  encodeFetch,
  encodePdu,
  encodeProfile,
  type Pdu,
} from "../../lib/pdu/mod.ts";
import { type FakeBehaviour, type FakePmcd, startFakePmcd } from "../helpers/fakepmcd.ts";
import { testWith } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { unhex } from "../helpers/vector.ts";

const CREDS = encodePdu({
  kind: "creds",
  from: 1,
  credentials: [{ type: 1, version: 2, flags: 0 }],
});
const DESC_REQ = encodePdu({ kind: "desc-req", from: 0, pmid: asPmid(0x3e800001) });
const FETCH = encodeFetch(0, 0, [asPmid(0x3e800000), asPmid(0x3e800001)], true);

/** Sends bytes, then collects what comes back until `count` bytes or the end of the connection. */
async function talk(
  where: FakePmcd | string,
  bytes: Uint8Array,
  count: number,
): Promise<Uint8Array> {
  const socket: Socket =
    typeof where === "string" ? connect(where) : connect(where.port, "127.0.0.1");
  const parts: Uint8Array[] = [];
  let size = 0;
  await new Promise<void>((resolve) => {
    socket.on("data", (chunk: Uint8Array) => {
      parts.push(chunk);
      size += chunk.length;
      if (size >= count) resolve();
    });
    // A reset is one of the ends that are asked for.
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
    socket.write(bytes);
  });
  socket.destroy();
  return new Uint8Array(Buffer.concat(parts));
}

const pdusOf = (bytes: Uint8Array): Pdu[] => {
  const framer = createFramer();
  framer.feed(bytes);
  return Array.from(framer, (pdu) => decodePdu(pdu));
};

const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts));

async function withFake<T>(
  behaviour: FakeBehaviour,
  use: (fake: FakePmcd) => Promise<T>,
): Promise<T> {
  const fake = await startFakePmcd({ behaviour });
  try {
    return await use(fake);
  } finally {
    await fake.stop();
  }
}

const CHALLENGE_BYTES = 20;
const DESC_BYTES = 32;

describe("a stand-in pmcd", () => {
  testWith("pcp6", "serves pminfo", async () => {
    const text = await withFake({ instances: 2, metrics: 3 }, (fake) =>
      must(["pminfo", "-h", `127.0.0.1:${fake.port}`, "-dft", "fake"]),
    );
    expect(text).toBe(
      [0, 1, 2]
        .map(
          (i) =>
            `\nfake.m${i} [made up]\n` +
            "    Data Type: 32-bit unsigned int  InDom: 250.1 0x3e800001\n" +
            "    Semantics: instant  Units: none\n" +
            '    inst [0 or "i0"] value 1\n    inst [1 or "i1"] value 2\n',
        )
        .join(""),
    );
  });

  test("answers over a unix socket, and wants CREDS first", async () => {
    const unix = join(privateFolder("fakepmcd"), "socket");
    const fake = await startFakePmcd({ unix });
    const good = pdusOf(await talk(unix, joined(CREDS, DESC_REQ), CHALLENGE_BYTES + DESC_BYTES));
    const bad = pdusOf(await talk(unix, DESC_REQ, 1000));
    await fake.stop();
    expect(good.map((pdu) => pdu.kind)).toEqual(["challenge", "desc"]);
    expect(bad.map((pdu) => pdu.kind)).toEqual(["challenge"]);
    expect(fake.connections.map(({ received }) => received.length)).toEqual([2, 1]);
    expect(fake.connections.every(({ open }) => !open)).toBe(true);
  });

  test("fetches only under a profile, and tells of state changes", async () => {
    const behaviour = { stateChange: 8 };
    const all = joined(CREDS, FETCH, encodeProfile(0, 0, 0, []), FETCH);
    const bytes = await withFake(behaviour, (fake) => talk(fake, all, 124));
    expect(pdusOf(bytes).map((pdu) => (pdu.kind === "error" ? pdu.code : pdu.kind))).toEqual([
      "challenge",
      PM_ERR.NOPROFILE,
      8,
      "highres-result",
    ]);
  });

  test("answers malformed requests with PM_ERR_IPC and closes on bad headers", async () => {
    const malformed = unhex("0000001400007004000000000740000600000000");
    const header = unhex("0000000b0000700400000000");
    await withFake({}, async (fake) => {
      const answered = pdusOf(await talk(fake, joined(CREDS, malformed), CHALLENGE_BYTES + 16));
      expect(answered[1]).toEqual({ kind: "error", from: 0, code: PM_ERR.IPC });
      await talk(fake, joined(CREDS, header), 1000);
    });
  });
});

describe("its faults", () => {
  test("refuse", async () => {
    const fault = { kind: "refuse", code: PM_ERR.PERMISSION } as const;
    const [challenge] = pdusOf(await withFake({ fault }, (fake) => talk(fake, CREDS, 1000)));
    expect(challenge).toMatchObject({ kind: "challenge", code: PM_ERR.PERMISSION, features: 0 });
  });

  test("hang-up", async () => {
    const bytes = await withFake({ fault: { kind: "hang-up" } }, (fake) => talk(fake, CREDS, 1));
    expect(bytes.length).toBe(0);
  });

  test("greet", async () => {
    const fault = { kind: "greet", bytes: unhex("00112233") } as const;
    expect(await withFake({ fault }, (fake) => talk(fake, CREDS, 4))).toEqual(fault.bytes);
  });

  test("mute and stall say nothing, or nothing more", async () => {
    const requests = joined(CREDS, DESC_REQ, DESC_REQ, DESC_REQ);
    const quiet = await withFake({ fault: { kind: "mute" } }, (fake) =>
      Promise.race([talk(fake, requests, 1), Bun.sleep(50)]),
    );
    expect(quiet).toBeUndefined();
    const stalled = await withFake({ fault: { kind: "stall", after: 1 } }, async (fake) => {
      const bytes = await talk(fake, requests, CHALLENGE_BYTES + DESC_BYTES);
      return bytes.length;
    });
    expect(stalled).toBe(CHALLENGE_BYTES + DESC_BYTES);
  });

  for (const reset of [false, true]) {
    test(`die in the middle of a reply${reset ? ", with a reset" : ""}`, async () => {
      const fault = { kind: "die", after: 1, bytes: 10, reset } as const;
      const bytes = await withFake({ fault }, (fake) =>
        talk(fake, joined(CREDS, DESC_REQ, DESC_REQ), 1000),
      );
      // A reset may overtake the bytes before it.
      if (reset) expect(bytes.length).toBeLessThanOrEqual(CHALLENGE_BYTES + DESC_BYTES + 10);
      else expect(bytes.length).toBe(CHALLENGE_BYTES + DESC_BYTES + 10);
    });
  }

  test("trickle, delay and garble", async () => {
    const requests = joined(CREDS, DESC_REQ);
    const all = CHALLENGE_BYTES + DESC_BYTES;
    for (const fault of [
      { kind: "trickle", size: 7, pauseMs: 1 },
      { kind: "delay", ms: 5 },
    ] as const) {
      const bytes = await withFake({ fault }, (fake) => talk(fake, requests, all));
      expect(pdusOf(bytes).map((pdu) => pdu.kind)).toEqual(["challenge", "desc"]);
    }
    const fault = { kind: "garble", after: 0, bytes: unhex("ffffffff") } as const;
    const bytes = await withFake({ fault }, (fake) => talk(fake, requests, CHALLENGE_BYTES + 4));
    expect(bytes.subarray(CHALLENGE_BYTES)).toEqual(fault.bytes);
  });

  test("an answer of one's own", async () => {
    const answer: FakeBehaviour["answer"] = (request) =>
      request.kind === "desc-req" ? encodePdu({ kind: "error", from: 0, code: -1 }) : undefined;
    const bytes = await withFake({ answer }, (fake) => talk(fake, joined(CREDS, DESC_REQ), 36));
    expect(pdusOf(bytes)[1]).toEqual({ kind: "error", from: 0, code: -1 });
  });
});
