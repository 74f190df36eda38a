// Goal: connecting can be given up at any time: nothing is waited for any more, no socket is left, and
// a connection that is there already is not touched.
import { describe, expect, test } from "bun:test";
import { raceConnect } from "../../lib/pdu/endpoint.ts";
import { startFakePmcd } from "../helpers/fakepmcd.ts";
import { waitUntil } from "../helpers/ports.ts";
import { codeOf, connectTo, startPeer } from "./connection-peer.ts";

const ECANCELED = -125;

describe("giving connecting up", () => {
  test("while pmcd says nothing, and without another attempt at the next port", async () => {
    let gone = 0;
    const mute = await startPeer((talk) => {
      talk.socket.on("close", () => {
        gone += 1;
      });
    });
    const other = await startFakePmcd();
    try {
      const stop = new AbortController();
      const work = codeOf(
        connectTo(`127.0.0.1:${mute.port},${other.port}`, {}, { signal: stop.signal }),
      );
      await waitUntil(async () => mute.clients === 1);
      stop.abort();
      expect(await work).toBe(ECANCELED);
      await waitUntil(async () => gone === 1);
      expect(gone).toBe(1);
      expect(other.connections.length).toBe(0);
    } finally {
      await mute.stop();
      await other.stop();
    }
  });

  test("before it began, and while sockets are connected", async () => {
    const pmcd = await startFakePmcd();
    try {
      const spec = `127.0.0.1:${pmcd.port}`;
      expect(await codeOf(connectTo(spec, {}, { signal: AbortSignal.abort() }))).toBe(ECANCELED);
      expect(pmcd.connections.length).toBe(0);
      const stop = new AbortController();
      const places = [{ host: "127.0.0.1", port: pmcd.port }];
      const race = raceConnect(places, "test", Number.POSITIVE_INFINITY, undefined, stop.signal);
      stop.abort();
      expect(await codeOf(race)).toBe(ECANCELED);
    } finally {
      await pmcd.stop();
    }
  });

  test("a session that is there stays", async () => {
    const pmcd = await startFakePmcd();
    try {
      const stop = new AbortController();
      const session = await connectTo(`127.0.0.1:${pmcd.port}`, {}, { signal: stop.signal });
      stop.abort();
      expect((await session.traverse("")).length).toBe(10);
      await session.close();
    } finally {
      await pmcd.stop();
    }
  });
});
