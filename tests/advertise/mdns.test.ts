// Goal: without Avahi our responder claims, announces, answers and withdraws the services on the
// loopback interface, gives way to others, and hostile packets change nothing, cost a bounded number
// of answers and never end it. The compiled executable can do it, and ends while it advertises.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Answer, encode, type Packet } from "dns-packet";
import { type Advertisement, advertise } from "../../lib/advertise/advertise.ts";
import { admissible, createBucket } from "../../lib/advertise/mdnslinks.ts";
import { alternative, instanceName, label } from "../../lib/advertise/servicename.ts";
import { must, privateFolder } from "../helpers/process.ts";
import { mdnsPeer, until } from "./support.ts";

setDefaultTimeout(300_000);

const TYPE = "_pmproxy._tcp.local";
const env = { DBUS_SYSTEM_BUS_ADDRESS: "unix:path=/nowhere/bus" };
const log = { info: () => undefined, debug: () => undefined };
// Other runs on this machine hear us: names of our own.
const unique = `t${process.pid}x${Math.floor(Math.random() * 1e6)}`;

type Peer = Awaited<ReturnType<typeof mdnsPeer>>;

async function announced(hostname: string, ports: readonly number[]): Promise<Advertisement> {
  const advertisement = advertise({ hostname, ports, log, env, loopback: true });
  await until(() => advertisement.state().names.length === ports.length, `names of ${hostname}`);
  return advertisement;
}

const data = (records: readonly Answer[], type: string, name: string): unknown[] =>
  records
    .filter((record) => record.type === type && record.name === name)
    .map((record) => ("data" in record ? record.data : null));

const question = (name: string, type: "PTR" | "SRV" | "A" | "TXT"): Packet => ({
  type: "query",
  questions: [{ name, type }],
});

/** Asks until `found` holds: a record is sent again only after a second. */
async function ask(peer: Peer, packet: Packet, found: () => boolean): Promise<void> {
  let round = 0;
  await until(async () => {
    if (round++ % 10 === 0) await peer.send(packet);
    return found();
  }, "an answer");
}

describe.skipIf(process.platform !== "linux")("the responder", () => {
  const host = `${unique}a`;
  const name = `PCP pmproxy on ${host}`;
  const instance = `${name}.${TYPE}`;
  let peer: Peer;
  let advertisement: Advertisement;
  beforeAll(async () => {
    peer = await mdnsPeer();
    advertisement = await announced(`${host}.example.com`, [44322, 44323]);
  });
  afterAll(async () => {
    await advertisement.stop();
    peer.close();
  });

  test("claims its names before it announces them", () => {
    const ours = peer.heard.filter(({ packet }) => JSON.stringify(packet).includes(instance));
    const [first] = ours;
    expect(first?.packet.type).toBe("query");
    expect(first?.packet.questions?.map((one) => one.name)).toEqual([
      `${host}.local`,
      instance,
      `${name} #2.${TYPE}`,
    ]);
    const claimed = first?.packet.authorities ?? [];
    expect(claimed.map(({ type }) => type).filter((type) => type !== "AAAA")).toEqual([
      "A",
      "SRV",
      "TXT",
      "SRV",
      "TXT",
    ]);
    expect(advertisement.state()).toEqual({ via: "mdns", names: [name, `${name} #2`] });
  });

  test("answers for the type with everything needed to connect", async () => {
    peer.heard.length = 0;
    await ask(peer, question(TYPE, "PTR"), () => data(peer.records(), "SRV", instance).length > 0);
    const records = peer.records();
    expect(data(records, "PTR", TYPE)).toEqual(
      expect.arrayContaining([instance, `${name} #2.${TYPE}`]),
    );
    const target = `${host}.local`;
    const service = (port: number) => ({ port, target, priority: 0, weight: 0 });
    expect(data(records, "SRV", instance)[0]).toEqual(service(44322));
    expect(data(records, "SRV", `${name} #2.${TYPE}`)[0]).toEqual(service(44323));
    expect(data(records, "TXT", instance)[0]).toEqual([Buffer.alloc(0)]);
    expect(data(records, "A", target)).toContain("127.0.0.1");
  });

  test("answers for each name alone, and for the list of types", async () => {
    for (const [asked, type] of [
      [instance, "SRV"],
      [instance, "TXT"],
      [`${host}.local`, "A"],
      ["_services._dns-sd._udp.local", "PTR"],
    ] as const) {
      peer.heard.length = 0;
      await ask(
        peer,
        question(asked.toUpperCase(), type),
        () => data(peer.records(), type, asked).length > 0,
      );
    }
  });

  test("a plain resolver gets its id, its question and short-lived records", async () => {
    const resolver = await mdnsPeer(0);
    await ask(
      resolver,
      { ...question(instance, "SRV"), id: 4711 },
      () => resolver.heard.length > 0,
    );
    const packet = resolver.heard[0]?.packet;
    expect(packet?.id).toBe(4711);
    expect(packet?.questions?.map((one) => one.name)).toEqual([instance]);
    expect(packet?.answers).toMatchObject([{ type: "SRV", ttl: 10, flush: false }]);
    resolver.close();
  });

  test("says nothing that the asker knows", async () => {
    const known: Answer[] = [name, `${name} #2`].map((one) => ({
      name: TYPE,
      type: "PTR",
      ttl: 4500,
      data: `${one}.${TYPE}`,
    }));
    peer.heard.length = 0;
    await peer.send({ ...question(TYPE, "PTR"), answers: known });
    // Another question, answered after the first one was seen.
    await ask(
      peer,
      question(`${host}.local`, "A"),
      () => data(peer.records(), "A", `${host}.local`).length > 0,
    );
    const answers = peer.heard
      .filter(({ packet }) => packet.type === "response")
      .flatMap(({ packet }) => packet.answers ?? []);
    expect(data(answers, "PTR", TYPE).filter((one) => String(one).includes(host))).toEqual([]);
  });

  test("a flood of questions gets few answers", async () => {
    peer.heard.length = 0;
    for (let round = 0; round < 500; round++) await peer.send(question(instance, "SRV"));
    await ask(
      peer,
      question(instance, "SRV"),
      () => data(peer.records(), "SRV", instance).length > 0,
    );
    expect(data(peer.records(), "SRV", instance).length).toBeLessThan(50);
  });

  test("malformed and oversized packets change nothing", async () => {
    const good = encode({ ...question(TYPE, "PTR"), answers: [] });
    let seed = 20_261;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const hostile: Uint8Array[] = [
      new Uint8Array(0),
      new Uint8Array(11),
      new Uint8Array(60_000),
      // A name that points to itself, and one that points forward.
      Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 12, 0, 1),
      Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 200, 0, 12, 0, 1),
      // 65,535 questions that are not there.
      Uint8Array.of(0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0),
    ];
    for (let round = 0; round < 120; round++) {
      const bytes = Uint8Array.from(good);
      for (let flips = 1 + random(4); flips > 0; flips--) bytes[random(bytes.length)] = random(256);
      hostile.push(bytes.subarray(0, 1 + random(bytes.length)));
    }
    // From a port of its own, so that nothing of it counts as another responder.
    const attacker = await mdnsPeer(0);
    for (const bytes of hostile) if (bytes.length > 0) await attacker.sendRaw(bytes);
    await until(() => peer.undecodable() > 0, "hostile packets");
    attacker.close();
    peer.heard.length = 0;
    await ask(
      peer,
      question(instance, "SRV"),
      () => data(peer.records(), "SRV", instance).length > 0,
    );
    expect(advertisement.state().names).toEqual([name, `${name} #2`]);
  });
});

describe.skipIf(process.platform !== "linux")("names in use", () => {
  let peer: Peer;
  beforeAll(async () => {
    peer = await mdnsPeer();
  });
  afterAll(() => peer.close());

  test("the second of two advertisements takes the next name", async () => {
    const host = `${unique}b`;
    const first = await announced(host, [1111]);
    const second = await announced(host, [2222]);
    expect(first.state().names).toEqual([`PCP pmproxy on ${host}`]);
    expect(second.state().names).toEqual([`PCP pmproxy on ${host} #2`]);
    await Promise.all([first.stop(), second.stop()]);
  });

  test("a host name of somebody else is left to them", async () => {
    const host = `${unique}c`;
    const claim: Packet = {
      type: "response",
      answers: [{ name: `${host}.local`, type: "A", ttl: 120, flush: true, data: "192.0.2.77" }],
    };
    const advertisement = advertise({ hostname: host, ports: [3333], log, env, loopback: true });
    // Defends the name as its owner would: whenever it is probed.
    let defended = 0;
    await until(async () => {
      const probes = peer.heard.filter(({ packet }) =>
        packet.questions?.some((one) => one.name === `${host}.local`),
      ).length;
      for (; defended < probes; defended++) await peer.send(claim);
      return advertisement.state().names.length > 0;
    }, "the names");
    const instance = `PCP pmproxy on ${host}.${TYPE}`;
    peer.heard.length = 0;
    await ask(
      peer,
      question(instance, "SRV"),
      () => data(peer.records(), "SRV", instance).length > 0,
    );
    expect(data(peer.records(), "SRV", instance)[0]).toMatchObject({ target: `${host}-2.local` });
    await advertisement.stop();
  });

  test("the end is told to the network", async () => {
    const host = `${unique}d`;
    const advertisement = await announced(host, [4444]);
    peer.heard.length = 0;
    await advertisement.stop();
    const instance = `PCP pmproxy on ${host}.${TYPE}`;
    const gone = (): Answer[] => peer.records().filter((one) => "ttl" in one && one.ttl === 0);
    await until(() => data(gone(), "SRV", instance).length > 0, "the goodbye");
    expect(data(gone(), "PTR", TYPE)).toEqual([instance]);
    expect(advertisement.state()).toEqual({ via: "none", names: [] });
  });
});

test.skipIf(process.platform !== "linux")(
  "compiled, and the process ends although it advertises",
  async () => {
    const folder = privateFolder("advertise");
    const source = join(folder, "main.ts");
    const path = join(import.meta.dir, "../../lib/advertise/advertise.ts");
    await Bun.write(
      source,
      `import { advertise } from ${JSON.stringify(path)};
       const log = { info: console.log, debug: () => undefined };
       const options = { hostname: "${unique}e", ports: [5555], log, loopback: true };
       const one = advertise({ ...options, env: ${JSON.stringify(env)} });
       for (let left = 2000; left > 0 && one.state().names.length === 0; left--) await Bun.sleep(50);
       console.log(JSON.stringify(one.state()));`,
    );
    const program = join(folder, "program");
    await must([process.execPath, "build", "--compile", "--minify", source, "--outfile", program]);
    const output = await must([program]);
    expect(JSON.parse(output)).toEqual({ via: "mdns", names: [`PCP pmproxy on ${unique}e`] });
  },
  300_000,
);

test("no port, nothing to advertise", async () => {
  const advertisement = advertise({ hostname: "x", ports: [], log, env });
  expect(advertisement.state()).toEqual({ via: "none", names: [] });
  await advertisement.stop();
});

describe("bounds", () => {
  test("a packet's size and record counts decide before decoding", () => {
    const header = (...counts: number[]): Uint8Array =>
      Uint8Array.from([0, 0, 0, 0, ...counts.flatMap((count) => [count >> 8, count & 255])]);
    expect(admissible(header(1, 0, 0, 0))).toBe(true);
    expect(admissible(header(32, 32, 0, 0))).toBe(true);
    expect(admissible(header(32, 32, 1, 0))).toBe(false);
    expect(admissible(header(0, 0, 0, 65535))).toBe(false);
    expect(admissible(header(0, 0, 0, 0))).toBe(false);
    expect(admissible(header(1, 0, 0, 0).subarray(0, 11))).toBe(false);
    expect(admissible(new Uint8Array(9001).fill(1, 5, 6))).toBe(false);
  });

  test("a bucket lets a burst through, then its rate", () => {
    let now = 0;
    const allowed = createBucket(10, 3, () => now);
    expect([1, 2, 3, 4].map(() => allowed())).toEqual([true, true, true, false]);
    now = 100;
    expect([1, 2].map(() => allowed())).toEqual([true, false]);
    now = 1e9;
    expect([1, 2, 3, 4].map(() => allowed())).toEqual([true, true, true, false]);
  });

  test("names are cut to a label, whole characters", () => {
    expect(instanceName("box")).toBe("PCP pmproxy on box");
    expect(label("é".repeat(40))).toBe("é".repeat(31));
    expect(alternative("x")).toBe("x #2");
    expect(alternative("x #2")).toBe("x #3");
    expect(alternative("x #x")).toBe("x #x #2");
    expect(alternative("host", "-")).toBe("host-2");
    expect(alternative("host-9", "-")).toBe("host-10");
    expect(Buffer.byteLength(alternative("y".repeat(63)))).toBe(63);
    expect(alternative(`${"y".repeat(60)} #9`)).toBe(`${"y".repeat(59)} #10`);
  });
});
