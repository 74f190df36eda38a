// Goal: whatever bytes a peer sends, in the handshake or in place of replies, every promise settles
// with a value or a PcpError, the connection comes to an end, and no descriptor is left behind.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readdirSync } from "node:fs";
import { PcpError } from "../../lib/base/mod.ts";
import { asIndom, asPmid } from "../../lib/pcp/mod.ts";
import { encodeResult } from "../../lib/pdu/codec-result.ts";
import { waitUntil } from "../helpers/ports.ts";
import {
  bytesOf,
  challenge,
  connectTo,
  errorPdu,
  namesPdu,
  type Peer,
  startPeer,
  startPmcdPeer,
  type Talk,
} from "./connection-peer.ts";

const RUNS = { seed: 20_261, numRuns: 80 } as const;

const WHOLE: readonly Uint8Array[] = [
  challenge(),
  challenge(0x0e55),
  challenge(0, -12387),
  errorPdu(0),
  errorPdu(7),
  errorPdu(-12357),
  namesPdu("sample.bin", "x"),
  { kind: "pmns-ids", from: 0, status: 1, pmids: [asPmid(1)] } as const,
  { kind: "text", from: 0, ident: 0, text: "words" } as const,
  { kind: "attr", from: 0, attribute: 0, value: Buffer.from("PLAIN") } as const,
].map(bytesOf);
const RESULT = encodeResult(0, { timestamp: { sec: 1, nsec: 0 }, sets: [] }, true);

/** Whole PDUs, PDUs with a byte changed or cut short, and noise. */
const chunk: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constantFrom(...WHOLE, RESULT),
  fc
    .tuple(fc.constantFrom(...WHOLE, RESULT), fc.nat(), fc.nat(255))
    .map(([bytes, at, value]) => bytes.with(at % bytes.length, value)),
  fc
    .tuple(fc.constantFrom(...WHOLE), fc.nat())
    .map(([bytes, at]) => bytes.subarray(0, at % bytes.length)),
  fc.uint8Array({ maxLength: 64 }),
);

/** Undefined, or what a promise rejected with. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const settles = (failure: unknown): void => {
  if (failure !== undefined) expect(failure).toBeInstanceOf(PcpError);
};

async function withPeer(peer: Promise<Peer>, use: (spec: string) => Promise<void>): Promise<void> {
  const started = await peer;
  try {
    await use(started.spec);
  } finally {
    await started.stop();
  }
}

test("anything in the handshake", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 4 }), async (chunks) => {
      const script = (talk: Talk): void => {
        talk.send(...chunks);
        talk.socket.end();
      };
      await withPeer(startPeer(script), async (spec) => {
        for (const text of [spec, `pcps://${spec}?user=u&pass=p&container=c`, `x@${spec}`]) {
          const attempt = connectTo(text, { PMCD_REQUEST_TIMEOUT: "2" });
          settles(await failureOf(attempt.then((pmcd) => pmcd.close())));
        }
      });
    }),
    RUNS,
  );
}, 300_000);

test("anything in place of replies", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 6 }), async (chunks) => {
      const script = async (talk: Talk): Promise<void> => {
        for (const bytes of chunks) {
          await talk.read();
          talk.send(bytes);
        }
        talk.socket.end();
      };
      await withPeer(startPmcdPeer(script), async (spec) => {
        const pmcd = await connectTo(spec, { PMCD_REQUEST_TIMEOUT: "2" });
        const requests = [
          pmcd.fetch([asPmid(1)]),
          pmcd.traverse("a"),
          pmcd.lookupNames(["a"]),
          pmcd.descs([asPmid(1), asPmid(2)]),
          pmcd.instances(asIndom(1)),
          pmcd.text("metric", asPmid(1), "help"),
          pmcd.labels(1, 0xffffffff),
        ];
        for (const failure of await Promise.all(requests.map(failureOf))) settles(failure);
        await pmcd.close();
        expect(pmcd.status).toBe("ended");
        await pmcd.ended;
      });
    }),
    RUNS,
  );
}, 300_000);

test("no descriptor is left behind, whichever way a connection ends", async () => {
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  const endings: ((talk: Talk) => void)[] = [
    () => undefined,
    (talk) => void talk.socket.end(),
    (talk) => talk.reset(),
    (talk) => talk.send(errorPdu(-12387)),
    (talk) => talk.send(namesPdu("unasked")),
  ];
  const before = descriptors();
  for (const ending of endings) {
    await withPeer(startPmcdPeer(ending), async (spec) => {
      const open = await Promise.all(Array.from({ length: 20 }, () => connectTo(spec)));
      await Promise.all(open.map((pmcd) => pmcd.close()));
      await failureOf(connectTo(`pcps://${spec}`));
      await failureOf(connectTo(`${spec}?user=u`, { PMCD_REQUEST_TIMEOUT: "0.05" }));
    });
  }
  expect(await waitUntil(() => descriptors() <= before)).toBe(true);
});
