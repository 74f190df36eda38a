// Goal: a real Avahi on a private bus publishes one service for each port, as avahi-browse sees it;
// collisions, a restart of Avahi, and the end of the advertisement are handled; the D-Bus client
// speaks with a real bus.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { advertise, type AdvertiseOptions } from "../../lib/advertise/advertise.ts";
import { type Bus, BusError, connectBus, DBUS } from "../../lib/advertise/dbus.ts";
import { type Daemon, must } from "../helpers/process.ts";
import {
  avahiProblem,
  browse,
  busProblem,
  type PrivateBus,
  startAvahi,
  startBus,
  until,
} from "./support.ts";
import { thrown } from "../helpers/rejected.ts";

const silent = { onSignal: () => undefined, onClose: () => undefined };
const skipped = (problem: string | null): string =>
  problem === null ? "" : ` (skipped: ${problem})`;

describe.skipIf(busProblem() !== null)(`a real bus${skipped(busProblem())}`, () => {
  let bus: PrivateBus;
  let client: Bus;
  beforeAll(async () => {
    bus = await startBus();
    client = await connectBus(bus.path, silent);
  });
  afterAll(async () => {
    client.close();
    await bus.daemon.stop();
  });

  test("arrays, texts and numbers come back", async () => {
    const [names] = await client.call({ ...DBUS, member: "ListNames" });
    expect(names).toContain("org.freedesktop.DBus");
    const [has] = await client.call({ ...DBUS, member: "NameHasOwner" }, "s", ["no.such.name"]);
    expect(has).toBe(false);
    const asked = await client.call({ ...DBUS, member: "RequestName" }, "su", ["a.name", 4]);
    expect(asked).toEqual([1]);
    const [user] = await client.call({ ...DBUS, member: "GetConnectionUnixUser" }, "s", ["a.name"]);
    expect(user).toBe(process.getuid?.() ?? -1);
  });

  test("an error reply keeps its name", async () => {
    const call = client.call({ ...DBUS, member: "GetNameOwner" }, "s", ["no.such.name"]);
    const cause = await call.then(
      () => null,
      (error: unknown) => error,
    );
    expect(cause).toBeInstanceOf(BusError);
    expect((cause as BusError).errorName).toBe("org.freedesktop.DBus.Error.NameHasNoOwner");
  });

  test("values that do not fit the signature never leave", async () => {
    const call = (signature: string, args: readonly (string | number)[]) =>
      client.call({ ...DBUS, member: "GetNameOwner" }, signature, args);
    expect(await thrown(call("s", [1]))).toThrow("not of type s");
    expect(await thrown(call("ss", ["one"]))).toThrow("1 values for signature ss");
    expect(await thrown(call("v", ["x"]))).toThrow("signature v not known");
    expect(await thrown(call("s", ["x".repeat(70_000)]))).toThrow("bytes needed");
    // The connection is as good as before.
    expect(await client.call({ ...DBUS, member: "GetId" })).toHaveLength(1);
  });
});

describe.skipIf(avahiProblem() !== null)(`a real Avahi${skipped(avahiProblem())}`, () => {
  let bus: PrivateBus;
  let avahi: Daemon;
  const lines: string[] = [];
  const log = {
    info: (text: string) => void lines.push(`info ${text}`),
    debug: (text: string) => void lines.push(`debug ${text}`),
  };
  const start = (hostname: string, ports: readonly number[], more?: Partial<AdvertiseOptions>) =>
    advertise({ hostname, ports, log, env: bus.env, loopback: true, ...more });
  const established = (advertisement: ReturnType<typeof advertise>, count: number) =>
    until(() => {
      const { via, names } = advertisement.state();
      return via === "avahi" && names.length === count;
    }, `${count} services`);

  beforeAll(async () => {
    bus = await startBus();
    avahi = startAvahi(bus);
    const client = await connectBus(bus.path, silent);
    const server = { destination: "org.freedesktop.Avahi", path: "/" };
    await until(async () => {
      const state = client.call({
        ...server,
        iface: "org.freedesktop.Avahi.Server",
        member: "GetState",
      });
      return (await state.catch(() => [-1]))[0] === 2;
    }, "Avahi");
    client.close();
  }, 300_000);
  afterAll(async () => {
    await avahi.stop();
    await bus.daemon.stop();
  });

  test("one service for each port, without TXT, gone after stop", async () => {
    const advertisement = start("box.example.com", [44322, 44323]);
    await established(advertisement, 2);
    const name = "PCP pmproxy on box.example.com";
    expect(advertisement.state().names).toEqual([name, `${name} #2`]);
    await until(async () => (await browse(bus)).length === 2, "two services");
    expect(await browse(bus)).toEqual([
      `${name} #2|pcpbox-test.local|127.0.0.1|44323|`,
      `${name}|pcpbox-test.local|127.0.0.1|44322|`,
    ]);
    await Promise.all([advertisement.stop(), advertisement.stop()]);
    expect(advertisement.state()).toEqual({ via: "none", names: [] });
    await until(async () => (await browse(bus)).length === 0, "the end of the services");
  }, 300_000);

  test("a process ends although it advertises", async () => {
    const path = join(import.meta.dir, "../../lib/advertise/advertise.ts");
    const script = `
      import { advertise } from ${JSON.stringify(path)};
      const log = { info: console.log, debug: () => undefined };
      const one = advertise({ hostname: "brief", ports: [1], log });
      for (let left = 2000; left > 0 && one.state().names.length === 0; left--) await Bun.sleep(50);
      console.log(JSON.stringify(one.state()));`;
    const output = await must([process.execPath, "-e", script], { env: bus.env });
    expect(JSON.parse(output)).toEqual({ via: "avahi", names: ["PCP pmproxy on brief"] });
  }, 300_000);

  test("a name in use gets a number", async () => {
    const first = start("twin", [44322]);
    await established(first, 1);
    const second = start("twin", [44400]);
    await established(second, 1);
    expect(second.state().names).toEqual(["PCP pmproxy on twin #2"]);
    await Promise.all([first.stop(), second.stop()]);
  }, 300_000);

  test("a restart of Avahi brings the services back", async () => {
    const advertisement = start("again", [44322]);
    await established(advertisement, 1);
    await avahi.stop();
    await until(() => advertisement.state().names.length === 0, "the end of Avahi");
    avahi = startAvahi(bus);
    await established(advertisement, 1);
    await until(async () => (await browse(bus)).length === 1, "the service");
    await advertisement.stop();
  }, 300_000);

  test("an Avahi that is stuck does not hold up the end", async () => {
    const advertisement = start("stuck", [44322]);
    await established(advertisement, 1);
    avahi.signal("SIGSTOP");
    await advertisement.stop();
    avahi.signal("SIGCONT");
    await until(async () => (await browse(bus)).length === 0, "the end of the service");
  }, 300_000);

  test("without Avahi mDNS takes over until Avahi is there", async () => {
    await avahi.stop();
    const advertisement = start(`over${process.pid}`, [44322]);
    await until(() => advertisement.state().via === "mdns", "mDNS");
    await until(() => advertisement.state().names.length === 1, "its names");
    avahi = startAvahi(bus);
    await established(advertisement, 1);
    await advertisement.stop();
  }, 300_000);

  test("the end of the bus is no error, and stop still answers", async () => {
    const other = await startBus();
    const advertisement = start(`alone${process.pid}`, [44322], { env: other.env });
    await until(() => advertisement.state().via === "mdns", "mDNS");
    await other.daemon.stop();
    await advertisement.stop();
    expect(lines.filter((line) => line.startsWith("info"))).toEqual([]);
  }, 300_000);
});
