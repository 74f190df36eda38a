// The metrics of block devices as tables: what each group of devices has. No behaviour.
import type { DiskKind } from "./diskstats.ts";
import type { TableHead } from "./table.ts";

/** By group; `wwid` has all paths to a disk as one. */
export const DISK_TABLES: Readonly<Record<DiskKind | "wwid", string>> = {
  disk: `
4 disk.dev.read
5 disk.dev.write
6 disk.dev.blkread
7 disk.dev.blkwrite
28 disk.dev.total
36 disk.dev.blktotal
38 disk.dev.read_bytes kbyte
39 disk.dev.write_bytes kbyte
40 disk.dev.total_bytes kbyte
46 disk.dev.avactive u32 msec
47 disk.dev.aveq u32 msec
49 disk.dev.read_merge
50 disk.dev.write_merge
59 disk.dev.scheduler string discrete none | name of the scheduler of a disk
72 disk.dev.read_rawactive u32 msec
73 disk.dev.write_rawactive u32 msec
79 disk.dev.total_rawactive u32 msec
87 disk.dev.capacity discrete kbyte | size of each disk
88 disk.dev.discard
89 disk.dev.blkdiscard
90 disk.dev.discard_bytes kbyte
91 disk.dev.discard_merge
92 disk.dev.discard_rawactive u32 msec
93 disk.dev.flush
94 disk.dev.flush_rawactive u32 msec
95 disk.dev.inflight u32 instant none
103 hinv.map.scsi_id string discrete none | world-wide name of a disk
105 hinv.disk.ctlr string discrete none | address of the disk's controller on its bus
106 hinv.disk.model string discrete none | model of a disk
`,
  partition: `
0 disk.partitions.read
1 disk.partitions.write
2 disk.partitions.total
3 disk.partitions.blkread
4 disk.partitions.blkwrite
5 disk.partitions.blktotal
6 disk.partitions.read_bytes kbyte
7 disk.partitions.write_bytes kbyte
8 disk.partitions.total_bytes kbyte
9 disk.partitions.read_merge
10 disk.partitions.write_merge
11 disk.partitions.avactive u32 msec
12 disk.partitions.aveq u32 msec
13 disk.partitions.read_rawactive u32 msec
14 disk.partitions.write_rawactive u32 msec
15 disk.partitions.total_rawactive u32 msec
16 disk.partitions.capacity discrete kbyte | size of each partition
17 disk.partitions.discard
18 disk.partitions.blkdiscard
19 disk.partitions.discard_bytes kbyte
20 disk.partitions.discard_merge
21 disk.partitions.discard_rawactive u32 msec
22 disk.partitions.flush
23 disk.partitions.flush_rawactive u32 msec
24 disk.partitions.inflight u32 instant none
`,
  dm: `
0 disk.dm.read
1 disk.dm.write
2 disk.dm.total
3 disk.dm.blkread
4 disk.dm.blkwrite
5 disk.dm.blktotal
6 disk.dm.read_bytes kbyte
7 disk.dm.write_bytes kbyte
8 disk.dm.total_bytes kbyte
9 disk.dm.read_merge
10 disk.dm.write_merge
11 disk.dm.avactive u32 msec
12 disk.dm.aveq u32 msec
13 hinv.map.dmname string discrete none | kernel's name of a mapped device
14 disk.dm.read_rawactive u32 msec
15 disk.dm.write_rawactive u32 msec
16 disk.dm.total_rawactive u32 msec
17 disk.dm.capacity discrete kbyte | size of each mapped device
18 disk.dm.discard
19 disk.dm.blkdiscard
20 disk.dm.discard_bytes kbyte
21 disk.dm.discard_merge
22 disk.dm.discard_rawactive u32 msec
23 disk.dm.flush
24 disk.dm.flush_rawactive u32 msec
25 disk.dm.inflight u32 instant none
`,
  md: `
0 disk.md.read
1 disk.md.write
2 disk.md.total
3 disk.md.blkread
4 disk.md.blkwrite
5 disk.md.blktotal
6 disk.md.read_bytes kbyte
7 disk.md.write_bytes kbyte
8 disk.md.total_bytes kbyte
9 disk.md.read_merge
10 disk.md.write_merge
11 disk.md.avactive u32 msec
12 disk.md.aveq u32 msec
13 hinv.map.mdname string discrete none | kernel's name of a multiple device
14 disk.md.read_rawactive u32 msec
15 disk.md.write_rawactive u32 msec
16 disk.md.total_rawactive u32 msec
17 disk.md.capacity discrete kbyte | size of each multiple device
18 disk.md.discard
19 disk.md.blkdiscard
20 disk.md.discard_bytes kbyte
21 disk.md.discard_merge
22 disk.md.discard_rawactive u32 msec
23 disk.md.flush
24 disk.md.flush_rawactive u32 msec
25 disk.md.inflight u32 instant none
`,
  zram: `
0 zram.read
1 zram.write
2 zram.total
3 zram.blkread
4 zram.blkwrite
5 zram.blktotal
6 zram.read_bytes kbyte
7 zram.write_bytes kbyte
8 zram.total_bytes kbyte
9 zram.read_merge
10 zram.write_merge
11 zram.avactive u32 msec
12 zram.aveq u32 msec
13 zram.read_rawactive u32 msec
14 zram.write_rawactive u32 msec
15 zram.total_rawactive u32 msec
16 zram.capacity discrete kbyte | size of each compressed disk
17 zram.discard
18 zram.blkdiscard
19 zram.discard_bytes kbyte
20 zram.discard_merge
21 zram.discard_rawactive u32 msec
22 zram.flush
23 zram.flush_rawactive u32 msec
24 zram.inflight u32 instant none
`,
  wwid: `
3 scsi_paths string discrete none | names of all paths to a disk
4 read
5 write
6 blkread
7 blkwrite
28 total
36 blktotal
38 read_bytes kbyte
39 write_bytes kbyte
40 total_bytes kbyte
46 avactive u32 msec
47 aveq u32 msec
49 read_merge
50 write_merge
59 scheduler string discrete none | name of the scheduler of a disk
72 read_rawactive u32 msec
73 write_rawactive u32 msec
79 total_rawactive u32 msec
87 capacity discrete kbyte | size of a disk
88 discard
89 blkdiscard
90 discard_bytes kbyte
91 discard_merge
92 discard_rawactive u32 msec
93 flush
94 flush_rawactive u32 msec
95 inflight instant none
`,
};

/** The sums over all disks. */
export const SUM_TABLE = `
24 read
25 write
26 blkread
27 blkwrite
29 total
37 blktotal
41 read_bytes kbyte
42 write_bytes kbyte
43 total_bytes kbyte
44 avactive msec
45 aveq msec
51 read_merge
52 write_merge
74 read_rawactive msec
75 write_rawactive msec
80 total_rawactive msec
96 discard
97 blkdiscard
98 discard_bytes kbyte
99 discard_merge
100 discard_rawactive u32 msec
101 flush
102 flush_rawactive u32 msec
104 inflight instant none
`;

/** Files of compressed disks; the key of a line is the place of the number in the file. */
export const ZRAM_FILES: readonly {
  readonly file: string;
  readonly head: TableHead;
  readonly table: string;
  /** What the numbers are: operations, pages, or bytes up to the fifth and pages from there on. */
  readonly scale: "count" | "bytes" | "pages" | "memory";
}[] = [
  {
    file: "io_stat",
    head: { cluster: 87, prefix: "zram.io_stat.", type: "u64", sem: "counter", units: "count" },
    scale: "count",
    table: `
0 failed.reads =0 | reads that failed
1 failed.writes =1 | writes that failed
2 invalid =2 | operations that were not whole pages
3 notify_free =3 | pages that were given back
`,
  },
  {
    file: "mm_stat",
    head: { cluster: 88, prefix: "zram.mm_stat.", type: "u64", sem: "instant", units: "kbyte" },
    scale: "memory",
    table: `
0 data_size.original =0 | data before compression
1 data_size.compressed =1 | data after compression
2 mem.used_total =2 | memory in use
3 mem.limit =3 | most memory that may be used
4 mem.max_used =4 | most memory that was ever used
5 pages.same =5 counter | pages of one repeated word, which take no memory
6 pages.compacted =6 counter | memory freed by compaction
7 pages.huge =7 counter | pages that cannot be compressed
`,
  },
  {
    file: "bd_stat",
    head: { cluster: 89, prefix: "zram.bd_stat.", type: "u64", sem: "counter", units: "kbyte" },
    scale: "pages",
    table: `
0 count =0 | data on the backing device
1 reads =1 | data read from the backing device
2 writes =2 | data written to the backing device
`,
  },
];
