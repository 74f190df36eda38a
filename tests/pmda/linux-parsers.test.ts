// Goal: the parsers of the linux agent keep their rules where recorded machines do not lead: numbers of
// any size, lines that come, go and change places, old formats, unusual names.
import { expect, test } from "bun:test";
import { parseInet6 } from "../../lib/pmda/agents/linux/addresses.ts";
import { hexCount, parseSerial } from "../../lib/pmda/agents/linux/devices.ts";
import { createDiskParser, diskKind, IO } from "../../lib/pmda/agents/linux/diskstats.ts";
import { diskMounts, memoryMounts, parseMounts } from "../../lib/pmda/agents/linux/filesystems.ts";
import { createGridParser } from "../../lib/pmda/agents/linux/interrupts.ts";
import { parseLocks } from "../../lib/pmda/agents/linux/limits.ts";
import { createNetDevParser, innerPattern } from "../../lib/pmda/agents/linux/netdev.ts";
import { parseClient, parseStates } from "../../lib/pmda/agents/linux/nfsd.ts";
import { parseCpuinfo, parseFrequencies } from "../../lib/pmda/agents/linux/processors.ts";
import { createPairsParser } from "../../lib/pmda/agents/linux/protocols.ts";
import {
  type Count,
  cursorOn,
  half,
  keyedParser,
  plus,
  takeCount,
  takeDecimal,
  takeHex,
  times,
} from "../../lib/pmda/agents/linux/scan.ts";
import { countStates, parseSoftnet } from "../../lib/pmda/agents/linux/sockets.ts";
import { createStatParser } from "../../lib/pmda/agents/linux/stat.ts";
import { parseUtmp } from "../../lib/pmda/agents/linux/system.ts";
import { tableLines } from "../../lib/pmda/agents/linux/table.ts";
import { parseZoneinfo } from "../../lib/pmda/agents/linux/zoneinfo.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("whole numbers of any size are exact", () => {
  const taken = (text: string) => takeCount(cursorOn(bytes(text)));
  expect(taken("  12x")).toBe(12);
  expect(taken("\t-1")).toBe(-1);
  expect(taken("999999999999999")).toBe(999999999999999);
  expect(taken("9007199254740991")).toBe(9007199254740991);
  expect(taken("9007199254740993")).toBe(9007199254740993n);
  expect(taken("18446744073709551615")).toBe(18446744073709551615n);
  for (const text of ["", " ", "-", "x1", "\n1"]) expect(taken(text)).toBeUndefined();
  for (const text of ["0.00", "123456.78", "0.1", "21720.07", "99999999.99", "5", "1.2.3"])
    expect(takeDecimal(cursorOn(bytes(` ${text} `)))).toBe(Number.parseFloat(text));
  expect(takeDecimal(cursorOn(bytes("x")))).toBeNaN();
  expect(takeHex(cursorOn(bytes(" 00ff:")))).toBe(255);
  expect(takeHex(cursorOn(bytes("xyz")))).toBeNaN();
  expect(plus(9007199254740991, 2)).toBe(9007199254740993n);
  expect(times(9007199254740993n, 2)).toBe(18014398509481986n);
  expect([half(7), half(9007199254740993n)]).toEqual([3, 4503599627370496n]);
});

test("keys are found wherever their lines are, and lost when these go", () => {
  const parse = keyedParser(["a", "b(c)", "d"]);
  const values: (Count | undefined)[] = [];
  const parsed = (text: string) => {
    parse(bytes(text), values);
    return [...values];
  };
  expect(parsed("a: 1 kB\nb(c): 2\nd 3\n")).toEqual([1, 2, 3]);
  expect(parsed("a: 4 kB\nb(c): 5\nd 6")).toEqual([4, 5, 6]);
  expect(parsed("zz 9\nd 6\na 7\n")).toEqual([7, undefined, 6]);
  expect(parsed("ab 9\na\nd:x\n")).toEqual([undefined, undefined, undefined]);
  const words = keyedParser(["a"], 2);
  words(bytes("Node 0 a: 5 kB\n"), values);
  expect(values).toEqual([5]);
});

test("processors that go offline are gone, and old kernels count less", () => {
  const parse = createStatParser();
  const first = parse(bytes("cpu  3 0 0 0\ncpu0 1 0 0 0\ncpu1 2 0 0 0\nintr 7 1 2 3\nbtime 5\n"));
  expect([...first.cpus.keys()]).toEqual([0, 1]);
  expect(first.cpus.get(1)?.[0]).toBe(2);
  expect(first.total[9]).toBe(0);
  expect(first.numbers).toEqual({ intr: 7, btime: 5 });
  const { ids } = first;
  const second = parse(bytes("cpu  3 0 0 0\ncpu0 1 0 0 0\ncpu1 2 0 0 0\nswap 4 5\n"));
  expect(second.ids).toBe(ids);
  expect(second.swap).toEqual([4, 5]);
  expect(parse(bytes("cpu  3 0 0 0\ncpu1 1 0 0 0\n")).ids).toEqual([1]);
});

test("kinds of block devices by their names", () => {
  const kinds = {
    disk: "sda hda vdb xvdb dasda mmcblk0 mmcblk0boot0 nvme0n1 nvme0c0n1 nbd0 rbd0 cciss/c0d0",
    partition: "sda1 sdaa12 xvda1 mmcblk0p1 nvme0n1p2 nvme1c1n1p1 nbd0p1 cciss/c0d0p1 fd0 bcache0",
    dm: "dm-0 dm-12",
    md: "md0 md127 md127p1 md_d0",
    zram: "zram0",
  } as const;
  for (const [kind, names] of Object.entries(kinds))
    for (const name of names.split(" "))
      expect(`${name} ${diskKind(name)}`).toBe(`${name} ${kind}`);
  for (const name of ["loop0", "ram1", "sr0", "loop0p1"]) expect(diskKind(name)).toBeUndefined();
});

test("block devices of kernels that count less", () => {
  const parse = createDiskParser();
  const [disk, old] = parse(
    bytes("   8    0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8    1 sda1 21 22 23 24\n"),
  );
  expect(disk?.values[IO.queueTicks]).toBe(11);
  expect(disk?.values[IO.discards]).toBe(0);
  const { reads, readSectors, writes, writeSectors, readTicks, inFlight } = IO;
  expect([reads, readSectors, writes, writeSectors].map((place) => old?.values[place])).toEqual([
    21, 22, 23, 24,
  ]);
  expect([readTicks, inFlight].map((place) => old?.values[place])).toEqual([undefined, undefined]);
  expect(parse(bytes("\n   8\n   8    0\n"))).toEqual([]);
});

test("interrupts of processors that are not all there", () => {
  const parse = createGridParser();
  const grid = parse(
    bytes("           CPU0       CPU2\n  1:  5  6  chip  edge dev 7\nERR:  3\nLOC: 8 9 text\n"),
  );
  expect(grid.cpus).toEqual([0, 2]);
  expect(grid.rows.map(({ name, counts, text }) => [name, counts, text])).toEqual([
    ["1", [5, 6], "chip edge dev 7"],
    ["LOC", [8, 9], "text"],
  ]);
  expect(grid.alone).toEqual(new Map([["ERR", 3]]));
  const again = parse(
    bytes("           CPU0       CPU2\n  1:  7  8  chip  edge dev 7\nLOC: 8 9 text\n"),
  );
  expect(again.rows).toBe(grid.rows);
  expect(again.rows[0]?.counts).toEqual([7, 8]);
});

test("network interfaces with colons in their names, and without blanks after them", () => {
  const numbers = Array.from({ length: 16 }, (_, i) => i + 1).join(" ");
  const [plain, alias] = createNetDevParser()(
    bytes(`head\nhead\neth0:${numbers}\n eth0:1: ${numbers}\nbroken\n`),
  );
  expect([plain?.name, alias?.name]).toEqual(["eth0", "eth0:1"]);
  expect(plain?.counters.at(0)).toBe(1);
  expect(alias?.counters.at(-1)).toBe(16);
  expect(innerPattern(bytes("# text\n^(lo |\n  bond[0-9]+ |  # why\n face)$\n"))).toBe(
    "^(lo|bond[0-9]+|face)$",
  );
});

test("names and numbers of protocols in any order, missing and new ones", () => {
  const parser = createPairsParser(new Map([["Tcp", ["A", "B"]]]));
  const values = (text: string) => {
    parser.parse(bytes(text));
    return [...(parser.lists.get("Tcp") ?? [])];
  };
  expect(values("Tcp: B X A\nTcp: 1 2 3\nUdp: A\nUdp: 9\n")).toEqual([3, 1]);
  expect(values("Tcp: B X A\nTcp: 4 5 6\n")).toEqual([6, 4]);
  expect(values("Tcp: A\nTcp: -1")).toEqual([-1, undefined]);
  expect(values("Tcp: A B\nTcp: 7\n")).toEqual([7, undefined]);
  expect(values("Tcp: A B")).toEqual([undefined, undefined]);
  expect(values("")).toEqual([undefined, undefined]);
});

test("addresses in the form that programs print", () => {
  const address = (digits: string) =>
    parseInet6(bytes(`${digits} 02 40 20 80     eth0\n`)).get("eth0")?.address;
  expect(address("fe80000000000000000000fffe000001")).toBe("fe80::ff:fe00:1/64");
  expect(address("00000000000000000000000000000001")).toBe("::1/64");
  expect(address("00000000000000000000ffff0a000001")).toBe("::ffff:10.0.0.1/64");
  expect(address("0000000000000000000000000a000001")).toBe("::10.0.0.1/64");
  expect(parseInet6(bytes("nonsense\n"))).toEqual(new Map());
});

test("mounts: the first of each device, octal blanks, no file systems of the kernel", () => {
  const mounts = parseMounts(
    bytes(
      "rootfs / rootfs rw 0 0\n/dev/a /x\\040y ext4 ro,noatime 0 0\n/dev/a /z ext4 rw 0 0\n" +
        "proc /proc proc rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n/dev/loop0 /s squashfs ro 0 0\nsrv:/e /e nfs rw 0 0\nbad\n",
    ),
  );
  expect([...diskMounts(mounts)].map(([device, { path }]) => `${device} ${path}`)).toEqual([
    "rootfs /",
    "/dev/a /x y",
  ]);
  expect([...memoryMounts(mounts).keys()]).toEqual(["/dev/shm"]);
});

test("sockets by state, unix records, queues of old kernels", () => {
  const states = countStates(
    bytes("head\n 0: A:1 B:2 0A 0:0\n 1: A:1 B:2 01 0:0\n 2: A:1 B:2 0A\nx\n"),
  );
  expect([states[1], states[10]]).toEqual([1, 2]);
  expect(parseSoftnet(bytes("0000000a 0 0\n0000000b 0 0\n"))).toEqual([
    { cpu: 0, values: [10, 0, 0] },
    { cpu: 1, values: [11, 0, 0] },
  ]);
});

test("users of utmp: sessions of root, and those whose leader runs", () => {
  const record = (type: number, pid: number, user: string): Uint8Array => {
    const one = new Uint8Array(384);
    const view = new DataView(one.buffer);
    view.setInt16(0, type, true);
    view.setInt32(4, pid, true);
    one.set(bytes(user), 44);
    return one;
  };
  const file = Buffer.concat([
    record(2, 0, "reboot"),
    record(7, 10, "root"),
    record(7, 11, "rooter"),
    record(8, 12, "root"),
    new Uint8Array(100),
  ]);
  expect(parseUtmp(file, (pid) => pid === 10)).toEqual({ users: 2, roots: 1, sessions: 1 });
});

test("processors of other machines, and their frequencies", () => {
  const arm = parseCpuinfo(
    bytes(
      "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n\nprocessor\t: 1\nBogoMIPS\t: 50.00\n",
    ),
  );
  expect(arm.get(0)?.get("features")).toBe("fp asimd");
  expect(arm.get(1)?.get("bogomips")).toBe("50.00");
  expect(parseCpuinfo(bytes("cpu : 68020\n")).get(0)?.get("cpu")).toBe("68020");
  expect(parseFrequencies(bytes("2000000 10\n1000000 30\n"))).toEqual({
    cycles: 50000,
    time: 40,
    max: 2000000,
    min: 1000000,
  });
  expect(parseFrequencies(bytes(""))).toBeUndefined();
});

test("zones: a node's own counts, zones that begin and end anywhere", () => {
  const zones = parseZoneinfo(
    bytes(
      "Node 1, zone  DMA\n  per-node stats\n      nr_dirty 5\n  pages free     7\n        present  9\n" +
        "        protection: (0, 3)\n      nr_bounce 1\n  pagesets\n    cpu: 0\n              count: 4\nNode 1, zone  Normal\n  pages free 8",
    ),
  );
  expect(zones.map(({ node, zone, values }) => [node, zone, Object.fromEntries(values)])).toEqual([
    [1, undefined, { nr_dirty: 5 }],
    [1, "DMA", { free: 7, present: 9, nr_bounce: 1 }],
    [1, "Normal", { free: 8 }],
  ]);
  expect(zones[1]?.protection).toEqual([0, 3]);
});

test("locks that wait are not held; counters in base 16; lines without a chip", () => {
  const locks = parseLocks(
    bytes("1: POSIX ADVISORY WRITE 1 0:0:0 0 EOF\n1: -> POSIX ADVISORY READ 2 0:0:0 0 EOF\n"),
  );
  expect(locks.get("posix")).toEqual({ read: 0, write: 1 });
  expect(hexCount("0xffffffffffffffff")).toBe(18446744073709551615n);
  expect([hexCount("0x10"), hexCount("16"), hexCount("")]).toEqual([16, undefined, undefined]);
  expect([
    ...parseSerial(bytes("0: uart:unknown port:1 irq:4\n7: uart:8250 tx:1 rx:2\n")).keys(),
  ]).toEqual(["7"]);
});

test("clients of NFS 4 and what they hold", () => {
  const client = parseClient(
    bytes('clientid: 0x1\nname: "Linux NFSv4.2 host"\nsession slots: 64\n'),
  );
  expect(client.get("name")).toBe("Linux NFSv4.2 host");
  expect(client.get("session slots")).toBe("64");
  expect(
    parseStates(
      bytes(
        '- 0x1: { type: open, access: rw, superblock: "fd:10:13649", filename: "a, b", owner: "x" }\n- 0x2: {}\n',
      ),
    ),
  ).toEqual([{ type: "open", access: "rw", inode: 13649, filename: "a, b" }]);
});

test("a table line that means nothing is refused with the line", () => {
  const head = { cluster: 1, prefix: "p.", type: "u64", sem: "counter", units: "count" } as const;
  expect(tableLines(head, "\n5 a.b =K u32 instant | some text\n")).toEqual([
    expect.objectContaining({
      name: "p.a.b",
      item: 5,
      key: "K",
      type: 1,
      sem: 3,
      oneline: "some text",
    }),
  ]);
  expect(() => tableLines(head, "5 a whatever")).toThrow('what is "whatever" in "5 a whatever"');
  expect(() => tableLines(head, "x a")).toThrow('item "x"');
});
