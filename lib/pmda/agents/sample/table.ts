// The metrics of sample as facts (spec pmda.md 18.4): item, names below `sample.`, type, serial of the
// instance domain, semantics, units and one-line text, as PCP 7.2 has them. No behaviour.
import { PM_SEM, PM_TYPE } from "../../../pcp/mod.ts";

/** One metric of cluster 0. */
export interface Fact {
  readonly item: number;
  /** Names below `sample.`; none for what only dynamic names lead to. */
  readonly names: readonly string[];
  /** PM_TYPE. */
  readonly type: number;
  /** Serial of the instance domain; undefined for a metric with one value. */
  readonly indom: number | undefined;
  /** PM_SEM; 0 for a metric that is not supported. */
  readonly sem: number;
  /** Units word. */
  readonly units: number;
  readonly oneline: string;
}

const SEMANTICS: Readonly<Record<string, number>> = {
  counter: PM_SEM.COUNTER,
  instant: PM_SEM.INSTANT,
  discrete: PM_SEM.DISCRETE,
};

/** Units words (spec pdu.md 6.4). */
const UNITS: Readonly<Record<string, number>> = {
  sec: 0x01003000,
  millisec: 0x01002000,
  count: 0x00100000,
  "count/sec": 0x0f103000,
  "Kbyte/sec": 0x1f013000,
  "byte/millisec": 0x1f002000,
  "byte/sec": 0x1f003000,
  byte: 0x10000000,
  nanosec: 0x01000000,
  Kbyte: 0x10010000,
  "byte/hour": 0x1f005000,
  "count/Mbyte": 0xf0120000,
  "10count/Mbyte": 0xf0120100,
  "100count/Mbyte": 0xf0120200,
  "Kcount/Mbyte": 0xf0120300,
  "Mcount/Mbyte": 0xf0120600,
  Mbyte: 0x10020000,
  C: 0x00000009,
  F: 0x0000000a,
  K: 0x0000000b,
  V: 0x00000011,
  mV: 0x00000012,
  uV: 0x00000013,
  A: 0x00000019,
  mA: 0x0000001a,
  uA: 0x0000001b,
  kW: 0x00000021,
  W: 0x00000022,
  mW: 0x00000023,
  uW: 0x00000024,
};

// item | names | type | instance domain | semantics | units | one-line text
const TABLE = `
0 | control | STRING | - | instant | - | A control variable for the "sample" PMDA
1 | daemon_pid dupnames.daemon_pid dupnames.pid_daemon | U32 | - | instant | - | Process id of PMDA daemon
2 | seconds dupnames.two.seconds | U32 | - | counter | sec | Elapsed time (seconds)
3 | milliseconds | DOUBLE | - | counter | millisec | Elapsed time (milliseconds)
4 | load | I32 | - | instant | - | Hypothetical load
5 | colour dupnames.four.colour | I32 | 1 | instant | - | Metrics with a "saw-tooth" trend over time
6 | bin dupnames.two.bin dupnames.three.bin dupnames.four.bin dupnames.five.bin | I32 | 2 | instant | - | Several constant instances
7 | drift | I32 | - | instant | - | A random trended metric
8 | step | I32 | - | instant | count | A step function (instantaneous)
9 | noinst | I32 | - | instant | - | No instance available
10 | long.one | I32 | - | instant | - | 1 as a 32-bit integer
11 | long.ten | I32 | - | instant | - | 10 as a 32-bit integer
12 | long.hundred | I32 | - | instant | - | 100 as a 32-bit integer
13 | long.million | I32 | - | instant | - | 1000000 as a 32-bit integer
14 | long.write_me | I32 | - | instant | - | a 32-bit integer that can be modified
15 | float.one | FLOAT | - | instant | - | 1 as a 32-bit floating point value
16 | float.ten dupnames.two.float.ten | FLOAT | - | instant | - | 10 as a 32-bit floating point value
17 | float.hundred | FLOAT | - | instant | - | 100 as a 32-bit floating point value
18 | float.million | FLOAT | - | instant | - | 1000000 as a 32-bit floating point value
19 | float.write_me | FLOAT | - | instant | - | a 32-bit floating-point value that can be modified
20 | longlong.one | I64 | - | instant | - | 1 as a 64-bit integer
21 | longlong.ten | I64 | - | instant | - | 10 as a 64-bit integer
22 | longlong.hundred | I64 | - | instant | - | 100 as a 64-bit integer
23 | longlong.million | I64 | - | instant | - | 1000000 as a 64-bit integer
24 | longlong.write_me | I64 | - | instant | - | a 64-bit integer that can be modified
25 | double.one | DOUBLE | - | instant | - | 1 as a 64-bit floating point value
26 | double.ten dupnames.two.double.ten | DOUBLE | - | instant | - | 10 as a 64-bit floating point value
27 | double.hundred | DOUBLE | - | instant | - | 100 as a 64-bit floating point value
28 | double.million | DOUBLE | - | instant | - | 1000000 as a 64-bit floating point value
29 | double.write_me | DOUBLE | - | instant | - | a 64-bit floating-point value that can be modified
30 | string.null | STRING | - | instant | - | a zero length string
31 | string.hullo | STRING | - | instant | - | K&R have a lot to answer for
32 | string.write_me | STRING | - | instant | - | a string value that can be modified
33 | aggregate.null | AGGREGATE | - | instant | - | a zero length aggregate
34 | aggregate.hullo | AGGREGATE | - | instant | - | K&R have a lot to answer for
35 | aggregate.write_me | AGGREGATE | - | instant | - | a aggregate value that can be modified
36 | write_me dupnames.two.write_me dupnames.three.write_me | I32 | - | instant | count/sec | Modifiable, but otherwise constant.
37 | mirage | I32 | 3 | instant | Kbyte/sec | Simple saw-tooth rate, but instances come and go
38 | mirage_longlong | I64 | 3 | instant | byte/millisec | Simple saw-tooth rate, but instances come and go
39 | sysinfo | AGGREGATE | - | instant | - | Aggregate containing system accounting structures
40 | pdu | U64 | - | counter | count | Total PDU count
41 | recv_pdu | U32 | - | counter | count | Count of PDUs received
42 | xmit_pdu | U32 | - | counter | count | Count of PDUs transmitted
43 | percontext.pdu | I32 | - | counter | count | Total PDU count for the client context
44 | percontext.recv_pdu | I32 | - | counter | count | Count of PDUs received from the client context
45 | percontext.xmit_pdu | I32 | - | counter | count | Count of PDUs transmitted
46 | lights dupnames.two.lights | STRING | - | discrete | - | Traffic lights.
47 | magnitude | I32 | - | discrete | - | Powers of two.
48 | bucket dupnames.five.bucket | I32 | 2 | instant | - | Several constant instances
49 | needprofile | FLOAT | 4 | discrete | - | Metrics that need an explicit profile
50 | part_bin dupnames.five.part_bin | I32 | 2 | instant | - | Several constant instances
51 | bogus_bin | I32 | 2 | instant | - | Several constant instances
52 | hordes.one | I32 | 5 | instant | - | 500 instances
53 | hordes.two | I32 | 5 | instant | - | 500 instances
54 | bad.unknown | NOSUPPORT | - | - | - | Not known to the PMDA
55 | bad.nosupport | NOSUPPORT | - | - | - | Not supported in this version of the PMDA
56 | not_ready | I32 | - | instant | - | interval (in seconds) during which PMDA does not respond to PDUs
57 | wrap.long | I32 | - | counter | - | long counter that wraps
58 | wrap.ulong | U32 | - | counter | - | unsigned long counter that wraps
59 | wrap.longlong | I64 | - | counter | - | long long counter that wraps
60 | wrap.ulonglong | U64 | - | counter | - | unsigned long long counter that wraps
61 | dodgey.control | I32 | - | discrete | - | control values retured for sample.dodgey.value
62 | dodgey.value | I32 | 6 | instant | - | 5 unreliable instances
63 | step_counter | I32 | - | counter | count | A step function (counter)
64 | rapid | U32 | - | counter | count | count very quickly
65 | scale_step.bytes_up | DOUBLE | - | instant | byte/sec | count up by powers of 2, wrap back to one at 10 Tbytes
66 | scale_step.bytes_down | DOUBLE | - | instant | byte | count down by powers of 2, wrap back to 10 Tbytes at 1
67 | scale_step.count_up | DOUBLE | - | instant | count/sec | count up by powers of 10, wrap back to 1 at 10e12
68 | scale_step.count_down | DOUBLE | - | instant | count | count down by powers of 10, wrap back to 10e12 at 1
69 | scale_step.time_up_secs | DOUBLE | - | instant | sec | count up seconds by multiples of 10, wrap back to 1 second at 1 day
70 | scale_step.time_up_nanosecs | DOUBLE | - | instant | nanosec | count up nanoseconds by multiples of 10, wrap back to 1 nanosecond at 1 day
71 | scale_step.none_up | DOUBLE | - | instant | - | count up dimensionless by multiples of 10, wrap back to 1 at 10 million
72 | const_rate.value | U32 | - | counter | count | constant rate counter
73 | const_rate.gradient | U32 | - | instant | - | rate per second to set sample.const_rate.value, writable
74 | error_code | I32 | - | instant | - | Arbitrary PMAPI error code for sample.error_check
75 | error_check | I32 | - | instant | - | Return PMAPI error code from sample.error_code
76 | dynamic.counter | I32 | 7 | counter | count | counter metric with dynamic indom
77 | dynamic.discrete | I32 | 7 | discrete | count | discrete metric with dynamic indom
78 | dynamic.instant | I32 | 7 | instant | count | instant metric with dynamic indom
79 | many.count | I32 | - | instant | count | number of instances in sample.many.int's domain
80 | many.int | I32 | 8 | instant | count | variable sized instance domain
81 | byte_ctr | I32 | - | counter | byte | counter byte counter
82 | byte_rate | I32 | - | instant | byte/sec | instantaneous bytes/second 
83 | kbyte_ctr | I32 | - | counter | Kbyte | counter Kbytes/second
84 | kbyte_rate | I32 | - | instant | Kbyte/sec | instantaneous Kbytes/second
85 | byte_rate_perhour | I32 | - | instant | byte/hour | instantaneous bytes/hour
86 | dynamic.meta.metric | I32 | - | discrete | byte/sec | metric with modifiable metadata
87 | dynamic.meta.pmdesc.type | U32 | - | discrete | count | pmDesc.type for sample.dynamic.meta.metric
88 | dynamic.meta.pmdesc.indom | U32 | - | discrete | count | pmDesc.indom for sample.dynamic.meta.metric
89 | dynamic.meta.pmdesc.sem | U32 | - | discrete | count | pmDesc.sem for sample.dynamic.meta.metric
90 | dynamic.meta.pmdesc.units | U32 | - | discrete | count | pmDesc.units for sample.dynamic.meta.metric
91 | datasize | U32 | - | instant | Kbyte | Space allocated for PMDA's data segment
92 | darkness | I32 | 1 | instant | - | No values available
93 | ulong.one | U32 | - | instant | - | 1 as a 32-bit unsigned integer
94 | ulong.ten | U32 | - | instant | - | 10 as a 32-bit unsigned integer
95 | ulong.hundred | U32 | - | instant | - | 100 as a 32-bit unsigned integer
96 | ulong.million | U32 | - | instant | - | 1000000 as a 32-bit unsigned integer
97 | ulong.write_me | U32 | - | instant | - | a 32-bit unsigned integer that can be modified
98 | ulonglong.one | U64 | - | instant | - | 1 as a 64-bit unsigned integer
99 | ulonglong.ten | U64 | - | instant | - | 10 as a 64-bit unsigned integer
100 | ulonglong.hundred | U64 | - | instant | - | 100 as a 64-bit unsigned integer
101 | ulonglong.million | U64 | - | instant | - | 1000000 as a 64-bit unsigned integer
102 | ulonglong.write_me | U64 | - | instant | - | a 64-bit unsigned integer that can be modified
103 | long.bin dupnames.five.long_bin | I32 | 2 | instant | - | like sample.bin but type 32
104 | long.bin_ctr | I32 | 2 | counter | Kbyte | like sample.bin but type 32, SEM_COUNTER and SPACE_KBYTE
105 | ulong.bin | U32 | 2 | instant | - | like sample.bin but type U32
106 | ulong.bin_ctr | U32 | 2 | counter | Kbyte | like sample.bin but type U32, SEM_COUNTER and SPACE_KBYTE
107 | float.bin | FLOAT | 2 | instant | - | like sample.bin but type FLOAT
108 | float.bin_ctr | FLOAT | 2 | counter | Kbyte | like sample.bin but type FLOAT, SEM_COUNTER and SPACE_KBYTE
109 | longlong.bin | I64 | 2 | instant | - | like sample.bin but type 64
110 | longlong.bin_ctr | I64 | 2 | counter | Kbyte | like sample.bin but type 64, SEM_COUNTER and SPACE_KBYTE
111 | ulonglong.bin | U64 | 2 | instant | - | similar to sample.bin but type U64 and values increment
112 | ulonglong.bin_ctr | U64 | 2 | counter | Kbyte | similar sample.bin but type U64, SEM_COUNTER and SPACE_KBYTE and values increment
113 | double.bin | DOUBLE | 2 | instant | - | like sample.bin but type DOUBLE
114 | double.bin_ctr | DOUBLE | 2 | counter | Kbyte | like sample.bin but type DOUBLE, SEM_COUNTER and SPACE_KBYTE
115 | ulong.count.base | U32 | - | instant | count/Mbyte | count scale is 1, value is 42,000,000
116 | ulong.count.deca | U32 | - | instant | 10count/Mbyte | count scale is 10, value is 4,200,000
117 | ulong.count.hecto | U32 | - | instant | 100count/Mbyte | count scale is 10, value is 420,000
118 | ulong.count.kilo | U32 | - | instant | Kcount/Mbyte | count scale is 10, value is 42,000
119 | ulong.count.mega | U32 | - | instant | Mcount/Mbyte | count scale is 10, value is 42
120 | scramble.version | I64 | - | instant | - | Current state version and reset for sample.scramble.bin
121 | scramble.bin | I32 | 9 | instant | - | Several constant instances, instances scrambled
122 | percontext.control.ctx | I32 | - | instant | count | Number of PMAPI contexts seen
123 | percontext.control.active | I32 | - | instant | count | Number of active PMAPI contexts
124 | percontext.control.start | I32 | - | instant | count | Number of new PMAPI contexts seen
125 | percontext.control.end | I32 | - | instant | count | Number of PMAPI contexts closed
126 | event.reset | I32 | - | instant | - | reset event record state
127 | event.type | I32 | - | instant | - | event type parameter for event records
128 | event.param_32 | I32 | - | instant | - | 32 parameter for event records
129 | event.param_u32 | U32 | - | instant | - | U32 parameter for event records
130 | event.param_64 | I64 | - | instant | - | 64 parameter for event records
131 | event.param_u64 | U64 | - | instant | - | U64 parameter for event records
132 | event.param_float | FLOAT | - | instant | - | FLOAT parameter for event records
133 | event.param_double | DOUBLE | - | instant | - | DOUBLE parameter for event records
134 | event.param_string | STRING | - | instant | - | STRING parameter for event records
135 | event.param_aggregate | AGGREGATE | - | instant | - | AGGREGATE parameter for event records
136 | event.records | EVENT | 10 | instant | - | Dummy event records
137 | event.no_indom_records | EVENT | - | instant | - | More dummy event records
138 | bad.novalues | I32 | - | instant | - | Scalar with no values, ever
139 | event.highres_records | HIGHRES_EVENT | 10 | instant | - | Dummy highres timestamp event records
140 | event.reset_highres | I32 | - | instant | - | reset highres event record state
141 | negative.ctr.m_32 | I32 | - | counter | - | 32-bit integer counter metric with negative value
142 | negative.ctr.m_64 | I64 | - | counter | - | 64-bit integer counter metric with negative value
143 | negative.ctr.m_float | FLOAT | - | counter | - | float counter metric with negative value
144 | negative.ctr.m_double | DOUBLE | - | counter | - | double counter metric with negative value
145 | negative.instant.m_32 | I32 | - | instant | - | 32-bit integer instantaneous metric with negative value
146 | negative.instant.m_64 | I64 | - | instant | - | 64-bit integer instantaneous metric with negative value
147 | negative.instant.m_float | FLOAT | - | instant | - | float instantaneous metric with negative value
148 | negative.instant.m_double | DOUBLE | - | instant | - | double instantaneous metric with negative value
149 | negative.discrete.m_32 | I32 | - | discrete | - | 32-bit integer discrete metric with negative value
150 | negative.discrete.m_64 | I64 | - | discrete | - | 64-bit integer discrete metric with negative value
151 | negative.discrete.m_float | FLOAT | - | discrete | - | float discrete metric with negative value
152 | negative.discrete.m_double | DOUBLE | - | discrete | - | double discrete metric with negative value
153 | string.bin | STRING | 2 | instant | - | a string-valued version of sample.bin
154 | bad.fetch.again | I32 | - | discrete | - | Fetch returns PM_ERR_AGAIN, always
155 | controller.mirage | I32 | - | discrete | millisec | time control for sample.mirage instance changes
156 | proc.ordinal | U32 | 12 | instant | - | sequence number for each "process"
157 | proc.exec | STRING | 12 | instant | - | "executable" name
158 | proc.time | U64 | 12 | counter | millisec | time since the fake "process" was created
159 | proc.reset | I32 | - | instant | - | reset the "procs" instance domain to a known state
160 | slow_wrap.long | I32 | - | counter | - | long counter that wraps more slowly
161 | slow_wrap.ulong | U32 | - | counter | - | unsigned long counter that wraps more slowly
162 | slow_wrap.longlong | I64 | - | counter | - | long long counter that wraps more slowly
163 | slow_wrap.ulonglong | U64 | - | counter | - | unsigned long long counter that wraps more slowly
164 | updown.obs | I32 | - | instant | - | metric with a values that form a step function
165 | updown.control.repeat | U32 | - | instant | - | repetition count for values of sample.updown.obs
166 | updown.control.min | I32 | - | instant | - | minumum value for sample.updown.obs
167 | updown.control.max | I32 | - | instant | - | maximum value for sample.updown.obs
168 | updown.control.step | U32 | - | instant | - | increment or decrement value for sample.updown.obs
169 | not_ready_msec | I32 | - | instant | Mbyte | interval (in milliseconds) during which PMDA does not respond to PDUs
170 | updown.control.mode | I32 | - | instant | - | up-down mode for sample.updown.obs
171 | updown.control.reset | U32 | - | instant | - | reset all controls for sample.updown.obs
172 | temperature.celsius | FLOAT | - | instant | C | temperature in degrees Celsius
173 | temperature.fahrenheit | FLOAT | - | instant | F | temperature in degrees Fahrenheit
174 | temperature.kelvin | FLOAT | - | instant | K | temperature in degrees Kelvin
175 | voltage.volt | FLOAT | - | instant | V | voltage in volts
176 | voltage.millivolt | FLOAT | - | instant | mV | voltage in millivolts
177 | voltage.microvolt | FLOAT | - | instant | uV | voltage in microvolts
178 | current.amp | FLOAT | - | instant | A | current in amps
179 | current.milliamp | FLOAT | - | instant | mA | current in milliamps
180 | current.microamp | FLOAT | - | instant | uA | current in microamps
181 | power.kilowatt | FLOAT | - | instant | kW | power in kilowatts
182 | power.watt | FLOAT | - | instant | W | power in watts
183 | power.milliwatt | FLOAT | - | instant | mW | power in milliwatts
184 | power.microwatt | FLOAT | - | instant | uW | power in microwatts
1000 | - | STRING | - | instant | - | dynamic sample.secret.bar metric
1001 | - | I32 | - | instant | count | dynamic sample.secret.foo.one metric
1002 | - | I32 | - | instant | count | dynamic sample.secret.foo.two metric
1003 | - | I32 | - | instant | count | dynamic *.secret.foo.bar.three metric
1004 | - | I32 | - | instant | count | dynamic *.secret.foo.bar.four metric
1005 | - | I32 | - | instant | count | dynamic *.secret.foo.bar.grunt.five metric
1006 | - | I32 | - | instant | count | dynamic *.secret.foo.bar.grunt.snort.six metric
1007 | - | I32 | - | instant | count | dynamic *.secret.foo.bar.grunt.snort.huff.puff.seven metric
1008 | - | I32 | - | instant | count | Number of visible ghosts
1009 | - | STRING | 11 | discrete | - | Country or region of source for each ghost
1010 | - | U32 | 11 | instant | - | Karma measure for each ghost
1011 | - | U32 | 11 | instant | - | Ghost states
1012 | - | STRING | 4 | discrete | - | Family day of month for birthday
1023 | bigid | I32 | - | instant | count | a metric with item number bigger then 2^9
`;

function factFrom(line: string): Fact {
  const fields = line.split(" | ");
  const [item = "", names = "", type = "", indom = "", sem = "", units = "", oneline = ""] = fields;
  return {
    item: Number(item),
    names: names === "-" ? [] : names.split(" "),
    type: PM_TYPE[type as keyof typeof PM_TYPE],
    indom: indom === "-" ? undefined : Number(indom),
    sem: SEMANTICS[sem] ?? 0,
    units: UNITS[units] ?? 0,
    oneline,
  };
}

/** All metrics, by item. */
export const FACTS: readonly Fact[] = TABLE.trim().split("\n").map(factFrom);
