// /proc/net/snmp6: what IPv6 and its protocols count.
import type { Collected } from "./collector.ts";
import { type Host, WHOLE } from "./host.ts";
import { type Count, keyedParser } from "./scan.ts";
import { rowsByPlace, tableLines } from "./table.ts";

/** The metrics of /proc/net/snmp6. */
export function collectSnmp6(host: Host): Collected {
  const lines = tableLines(
    {
      cluster: 58,
      prefix: "network.",
      type: "u64",
      sem: "counter",
      units: "count",
      text: (key) => `${key} of /proc/net/snmp6`,
    },
    TABLE,
  );
  const parse = keyedParser(lines.map(({ key }) => key));
  const values: (Count | undefined)[] = [];
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/net/snmp6", WHOLE);
    if (bytes === undefined) return undefined;
    parse(bytes, values);
    return values;
  });
  return { metrics: rowsByPlace(lines, sample) };
}

const TABLE = `
0 ip6.inreceives =Ip6InReceives
1 ip6.inhdrerrors =Ip6InHdrErrors
2 ip6.intoobigerrors =Ip6InTooBigErrors
3 ip6.innoroutes =Ip6InNoRoutes
4 ip6.inaddrerrors =Ip6InAddrErrors
5 ip6.inunknownprotos =Ip6InUnknownProtos
6 ip6.intruncatedpkts =Ip6InTruncatedPkts
7 ip6.indiscards =Ip6InDiscards
8 ip6.indelivers =Ip6InDelivers
9 ip6.outforwdatagrams =Ip6OutForwDatagrams
10 ip6.outrequests =Ip6OutRequests
11 ip6.outdiscards =Ip6OutDiscards
12 ip6.outnoroutes =Ip6OutNoRoutes
13 ip6.reasmtimeout =Ip6ReasmTimeout
14 ip6.reasmreqds =Ip6ReasmReqds
15 ip6.reasmoks =Ip6ReasmOKs
16 ip6.reasmfails =Ip6ReasmFails
17 ip6.fragoks =Ip6FragOKs
18 ip6.fragfails =Ip6FragFails
19 ip6.fragcreates =Ip6FragCreates
20 ip6.inmcastpkts =Ip6InMcastPkts
21 ip6.outmcastpkts =Ip6OutMcastPkts
22 ip6.inoctets =Ip6InOctets
23 ip6.outoctets =Ip6OutOctets
24 ip6.inmcastoctets =Ip6InMcastOctets
25 ip6.outmcastoctets =Ip6OutMcastOctets
26 ip6.inbcastoctets =Ip6InBcastOctets
27 ip6.outbcastoctets =Ip6OutBcastOctets
28 ip6.innoectpkts =Ip6InNoECTPkts
29 ip6.inect1pkts =Ip6InECT1Pkts
30 ip6.inect0pkts =Ip6InECT0Pkts
31 ip6.incepkts =Ip6InCEPkts
32 icmp6.inmsgs =Icmp6InMsgs
33 icmp6.inerrors =Icmp6InErrors
34 icmp6.outmsgs =Icmp6OutMsgs
35 icmp6.outerrors =Icmp6OutErrors
36 icmp6.incsumerrors =Icmp6InCsumErrors
37 icmp6.indestunreachs =Icmp6InDestUnreachs
38 icmp6.inpkttoobigs =Icmp6InPktTooBigs
39 icmp6.intimeexcds =Icmp6InTimeExcds
40 icmp6.inparmproblems =Icmp6InParmProblems
41 icmp6.inechos =Icmp6InEchos
42 icmp6.inechoreplies =Icmp6InEchoReplies
43 icmp6.ingroupmembqueries =Icmp6InGroupMembQueries
44 icmp6.ingroupmembresponses =Icmp6InGroupMembResponses
45 icmp6.ingroupmembreductions =Icmp6InGroupMembReductions
46 icmp6.inroutersolicits =Icmp6InRouterSolicits
47 icmp6.inrouteradvertisements =Icmp6InRouterAdvertisements
48 icmp6.inneighborsolicits =Icmp6InNeighborSolicits
49 icmp6.inneighboradvertisements =Icmp6InNeighborAdvertisements
50 icmp6.inredirects =Icmp6InRedirects
51 icmp6.inmldv2reports =Icmp6InMLDv2Reports
52 icmp6.outdestunreachs =Icmp6OutDestUnreachs
53 icmp6.outpkttoobigs =Icmp6OutPktTooBigs
54 icmp6.outtimeexcds =Icmp6OutTimeExcds
55 icmp6.outparmproblems =Icmp6OutParmProblems
56 icmp6.outechos =Icmp6OutEchos
57 icmp6.outechoreplies =Icmp6OutEchoReplies
58 icmp6.outgroupmembqueries =Icmp6OutGroupMembQueries
59 icmp6.outgroupmembresponses =Icmp6OutGroupMembResponses
60 icmp6.outgroupmembreductions =Icmp6OutGroupMembReductions
61 icmp6.outroutersolicits =Icmp6OutRouterSolicits
62 icmp6.outrouteradvertisements =Icmp6OutRouterAdvertisements
63 icmp6.outneighborsolicits =Icmp6OutNeighborSolicits
64 icmp6.outneighboradvertisements =Icmp6OutNeighborAdvertisements
65 icmp6.outredirects =Icmp6OutRedirects
66 icmp6.outmldv2reports =Icmp6OutMLDv2Reports
67 udp6.indatagrams =Udp6InDatagrams
68 udp6.noports =Udp6NoPorts
69 udp6.inerrors =Udp6InErrors
70 udp6.outdatagrams =Udp6OutDatagrams
71 udp6.rcvbuferrors =Udp6RcvbufErrors
72 udp6.sndbuferrors =Udp6SndbufErrors
73 udp6.incsumerrors =Udp6InCsumErrors
74 udp6.ignoredmulti =Udp6IgnoredMulti
75 udplite6.indatagrams =UdpLite6InDatagrams
76 udplite6.noports =UdpLite6NoPorts
77 udplite6.inerrors =UdpLite6InErrors
78 udplite6.outdatagrams =UdpLite6OutDatagrams
79 udplite6.rcvbuferrors =UdpLite6RcvbufErrors
80 udplite6.sndbuferrors =UdpLite6SndbufErrors
81 udplite6.incsumerrors =UdpLite6InCsumErrors
`;
