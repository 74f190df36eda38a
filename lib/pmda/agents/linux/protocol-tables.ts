// The metrics of network protocols as tables, by the protocols of /proc/net/snmp and
// /proc/net/netstat. No behaviour.

/** One protocol. */
export interface ProtocolTable {
  /** The word that its lines begin with. */
  readonly protocol: string;
  readonly cluster: number;
  readonly prefix: string;
  readonly table: string;
}

/** Protocols of /proc/net/snmp. */
export const SNMP_TABLES: readonly ProtocolTable[] = [
  {
    protocol: "Ip",
    cluster: 14,
    prefix: "network.ip.",
    table: `
0 forwarding =Forwarding
1 defaultttl =DefaultTTL
2 inreceives =InReceives
3 inhdrerrors =InHdrErrors
4 inaddrerrors =InAddrErrors
5 forwdatagrams =ForwDatagrams
6 inunknownprotos =InUnknownProtos
7 indiscards =InDiscards
8 indelivers =InDelivers
9 outrequests =OutRequests
10 outdiscards =OutDiscards
11 outnoroutes =OutNoRoutes
12 reasmtimeout =ReasmTimeout
13 reasmreqds =ReasmReqds
14 reasmoks =ReasmOKs
15 reasmfails =ReasmFails
16 fragoks =FragOKs
17 fragfails =FragFails
18 fragcreates =FragCreates
96 outtransmits =OutTransmits
`,
  },
  {
    protocol: "Icmp",
    cluster: 14,
    prefix: "network.icmp.",
    table: `
20 inmsgs =InMsgs
21 inerrors =InErrors
22 indestunreachs =InDestUnreachs
23 intimeexcds =InTimeExcds
24 inparmprobs =InParmProbs
25 insrcquenchs =InSrcQuenchs
26 inredirects =InRedirects
27 inechos =InEchos
28 inechoreps =InEchoReps
29 intimestamps =InTimestamps
30 intimestampreps =InTimestampReps
31 inaddrmasks =InAddrMasks
32 inaddrmaskreps =InAddrMaskReps
33 outmsgs =OutMsgs
34 outerrors =OutErrors
35 outdestunreachs =OutDestUnreachs
36 outtimeexcds =OutTimeExcds
37 outparmprobs =OutParmProbs
38 outsrcquenchs =OutSrcQuenchs
39 outredirects =OutRedirects
40 outechos =OutEchos
41 outechoreps =OutEchoReps
42 outtimestamps =OutTimestamps
43 outtimestampreps =OutTimestampReps
44 outaddrmasks =OutAddrMasks
45 outaddrmaskreps =OutAddrMaskReps
46 incsumerrors =InCsumErrors
94 outratelimitglobal =OutRateLimitGlobal
95 outratelimithost =OutRateLimitHost
`,
  },
  {
    protocol: "Tcp",
    cluster: 14,
    prefix: "network.tcp.",
    table: `
50 rtoalgorithm =RtoAlgorithm instant none
51 rtomin =RtoMin instant msec
52 rtomax =RtoMax instant msec
53 maxconn =MaxConn instant none
54 activeopens =ActiveOpens
55 passiveopens =PassiveOpens
56 attemptfails =AttemptFails
57 estabresets =EstabResets
58 currestab =CurrEstab instant none
59 insegs =InSegs
60 outsegs =OutSegs
61 retranssegs =RetransSegs
62 inerrs =InErrs
63 outrsts =OutRsts
64 incsumerrors =InCsumErrors
`,
  },
  {
    protocol: "Udp",
    cluster: 14,
    prefix: "network.udp.",
    table: `
70 indatagrams =InDatagrams
71 noports =NoPorts
72 inerrors =InErrors
74 outdatagrams =OutDatagrams
75 recvbuferrors =RcvbufErrors
76 sndbuferrors =SndbufErrors
83 incsumerrors =InCsumErrors
90 ignoredmulti =IgnoredMulti
91 memerrors =MemErrors
`,
  },
  {
    protocol: "UdpLite",
    cluster: 14,
    prefix: "network.udplite.",
    table: `
77 indatagrams =InDatagrams
78 noports =NoPorts
79 inerrors =InErrors
80 outdatagrams =OutDatagrams
81 recvbuferrors =RcvbufErrors
82 sndbuferrors =SndbufErrors
84 incsumerrors =InCsumErrors
92 ignoredmulti =IgnoredMulti
93 memerrors =MemErrors
`,
  },
];

/** Protocols of /proc/net/netstat. */
export const NETSTAT_TABLES: readonly ProtocolTable[] = [
  {
    protocol: "IpExt",
    cluster: 53,
    prefix: "network.ip.",
    table: `
0 innoroutes =InNoRoutes
1 intruncatedpkts =InTruncatedPkts
2 inmcastpkts =InMcastPkts
3 outmcastpkts =OutMcastPkts
4 inbcastpkts =InBcastPkts
5 outbcastpkts =OutBcastPkts
6 inoctets =InOctets
7 outoctets =OutOctets
8 inmcastoctets =InMcastOctets
9 outmcastoctets =OutMcastOctets
10 inbcastoctets =InBcastOctets
11 outbcastoctets =OutBcastOctets
12 csumerrors =InCsumErrors
13 noectpkts =InNoECTPkts
14 ect1pkts =InECT1Pkts
15 ect0pkts =InECT0Pkts
16 cepkts =InCEPkts
168 reasmoverlaps =ReasmOverlaps
`,
  },
  {
    protocol: "TcpExt",
    cluster: 53,
    prefix: "network.tcp.",
    table: `
17 syncookiessent =SyncookiesSent
18 syncookiesrecv =SyncookiesRecv
19 syncookiesfailed =SyncookiesFailed
20 embryonicrsts =EmbryonicRsts
21 prunecalled =PruneCalled
22 rcvpruned =RcvPruned
23 ofopruned =OfoPruned
24 outofwindowicmps =OutOfWindowIcmps
25 lockdroppedicmps =LockDroppedIcmps
26 arpfilter =ArpFilter
27 timewaited =TW
28 timewaitrecycled =TWRecycled
29 timewaitkilled =TWKilled
30 pawspassiverejected =PAWSPassive
31 pawsactiverejected =PAWSActive
32 pawsestabrejected =PAWSEstab
33 delayedacks =DelayedACKs
34 delayedacklocked =DelayedACKLocked
35 delayedacklost =DelayedACKLost
36 listenoverflows =ListenOverflows
37 listendrops =ListenDrops
38 prequeued =TCPPrequeued
39 directcopyfrombacklog =TCPDirectCopyFromBacklog
40 directcopyfromprequeue =TCPDirectCopyFromPrequeue
41 prequeueddropped =TCPPrequeueDropped
42 hphits =TCPHPHits
43 hphitstouser =TCPHPHitsToUser
44 pureacks =TCPPureAcks
45 hpacks =TCPHPAcks
46 renorecovery =TCPRenoRecovery
47 sackrecovery =TCPSackRecovery
48 sackreneging =TCPSACKReneging
49 fackreorder =TCPFACKReorder
50 sackreorder =TCPSACKReorder
51 renoreorder =TCPRenoReorder
52 tsreorder =TCPTSReorder
53 fullundo =TCPFullUndo
54 partialundo =TCPPartialUndo
55 dsackundo =TCPDSACKUndo
56 lossundo =TCPLossUndo
57 lostretransmit =TCPLostRetransmit
58 renofailures =TCPRenoFailures
59 sackfailures =TCPSackFailures
60 lossfailures =TCPLossFailures
61 fastretrans =TCPFastRetrans
62 forwardretrans =TCPForwardRetrans
63 slowstartretrans =TCPSlowStartRetrans
64 timeouts =TCPTimeouts
65 lossprobes =TCPLossProbes
66 lossproberecovery =TCPLossProbeRecovery
67 renorecoveryfail =TCPRenoRecoveryFail
68 sackrecoveryfail =TCPSackRecoveryFail
69 schedulerfail =TCPSchedulerFailed
70 rcvcollapsed =TCPRcvCollapsed
71 dsackoldsent =TCPDSACKOldSent
72 dsackofosent =TCPDSACKOfoSent
73 dsackrecv =TCPDSACKRecv
74 dsackoforecv =TCPDSACKOfoRecv
75 abortondata =TCPAbortOnData
76 abortonclose =TCPAbortOnClose
77 abortonmemory =TCPAbortOnMemory
78 abortontimeout =TCPAbortOnTimeout
79 abortonlinger =TCPAbortOnLinger
80 abortfailed =TCPAbortFailed
81 memorypressures =TCPMemoryPressures
82 sackdiscard =TCPSACKDiscard
83 dsackignoredold =TCPDSACKIgnoredOld
84 dsackignorednoundo =TCPDSACKIgnoredNoUndo
85 spuriousrtos =TCPSpuriousRTOs
86 md5notfound =TCPMD5NotFound
87 md5unexpected =TCPMD5Unexpected
88 sackshifted =TCPSackShifted
89 sackmerged =TCPSackMerged
90 sackshiftfallback =TCPSackShiftFallback
91 backlogdrop =TCPBacklogDrop
92 minttldrop =TCPMinTTLDrop
93 deferacceptdrop =TCPDeferAcceptDrop
94 iprpfilter =IPReversePathFilter
95 timewaitoverflow =TCPTimeWaitOverflow
96 reqqfulldocookies =TCPReqQFullDoCookies
97 reqqfulldrop =TCPReqQFullDrop
98 retransfail =TCPRetransFail
99 rcvcoalesce =TCPRcvCoalesce
100 ofoqueue =TCPOFOQueue
101 ofodrop =TCPOFODrop
102 ofomerge =TCPOFOMerge
103 challengeack =TCPChallengeACK
104 synchallenge =TCPSYNChallenge
105 fastopenactive =TCPFastOpenActive
106 fastopenactivefail =TCPFastOpenActiveFail
107 fastopenpassive =TCPFastOpenPassive
108 fastopenpassivefail =TCPFastOpenPassiveFail
109 fastopenlistenoverflow =TCPFastOpenListenOverflow
110 fastopencookiereqd =TCPFastOpenCookieReqd
111 spuriousrtxhostqueues =TCPSpuriousRtxHostQueues
112 busypollrxpackets =BusyPollRxPackets
113 autocorking =TCPAutoCorking
114 fromzerowindowadv =TCPFromZeroWindowAdv
115 tozerowindowadv =TCPToZeroWindowAdv
116 wantzerowindowadv =TCPWantZeroWindowAdv
117 synretrans =TCPSynRetrans
118 origdatasent =TCPOrigDataSent
132 tcpbacklogcoalesce =TCPBacklogCoalesce
133 tcpmemorypressureschrono =TCPMemoryPressuresChrono mbyte
134 tcpmd5failure =TCPMD5Failure
135 pfmemallocdrop =PFMemallocDrop
136 tcpfastopenactivefail =TCPFastOpenActiveFail
137 tcpfastopenblackhole =TCPFastOpenBlackhole
141 tcphystarttraindetect =TCPHystartTrainDetect
142 tcphystarttraincwnd =TCPHystartTrainCwnd
143 tcphystartdelaydetect =TCPHystartDelayDetect
144 tcphystartdelaycwnd =TCPHystartDelayCwnd
145 tcpackskippedsynrecv =TCPACKSkippedSynRecv
146 tcpackskippedpaws =TCPACKSkippedPAWS
147 tcpackskippedseq =TCPACKSkippedSeq
148 tcpackskippedfinwait2 =TCPACKSkippedFinWait2
149 tcpackskippedtimewait =TCPACKSkippedTimeWait
150 tcpackskippedchallenge =TCPACKSkippedChallenge
151 tcpwinprobe =TCPWinProbe
152 tcpkeepalive =TCPKeepAlive
153 tcpmtupfail =TCPMTUPFail
154 tcpmtupsuccess =TCPMTUPSuccess
155 tcpdelivered =TCPDelivered
156 tcpdeliveredce =TCPDeliveredCE
157 tcpackcompressed =TCPAckCompressed
158 tcpzerowindowdrop =TCPZeroWindowDrop
159 tcprcvqdrop =TCPRcvQDrop
160 tcpwqueuetoobig =TCPWqueueTooBig
161 tcpfastopenpassivealtkey =TCPFastOpenPassiveAltKey
162 tcptimeoutrehash =TcpTimeoutRehash
163 tcpduplicatedatarehash =TcpDuplicateDataRehash
164 tcpdsackrecvsegs =TCPDSACKRecvSegs
165 tcpdsackignoreddubious =TCPDSACKIgnoredDubious
166 tcpmigratereqsuccess =TCPMigrateReqSuccess
167 tcpmigratereqfailure =TCPMigrateReqFailure
189 tcploss =TCPLoss
205 tcpplbrehash =TCPPLBRehash
212 tcpaorequired =TCPAORequired
213 tcpaobad =TCPAOBad
214 tcpaokeynotfound =TCPAOKeyNotFound
215 tcpaogood =TCPAOGood
216 tcpaodroppedicmps =TCPAODroppedIcmps
230 pawsoldack =PAWSOldAck
231 tsecrrejected =TSEcrRejected
232 pawstimewait =PAWSTimewait
233 beyondwindow =BeyondWindow
`,
  },
  {
    protocol: "MPTcpExt",
    cluster: 53,
    prefix: "network.mptcp.",
    table: `
119 mpcapablesynrx =MPCapableSYNRX
120 mpcapableackrx =MPCapableACKRX
121 mpcapablefallbackack =MPCapableFallbackACK
122 mpcapablefallbacksynack =MPCapableFallbackSYNACK
123 mptcpretrans =MPTCPRetrans
124 mpjoinnotokenfound =MPJoinNoTokenFound
125 mpjoinsynrx =MPJoinSynRx
126 mpjoinsynackrx =MPJoinSynAckRx
127 mpjoinsynackhmacfailure =MPJoinSynAckHMacFailure
128 mpjoinackrx =MPJoinAckRx
129 mpjoinackhmacfailure =MPJoinAckHMacFailure
130 dssnotmatching =DSSNotMatching
131 infinitemaprx =InfiniteMapRx
138 mpcapablesyntx =MPCapableSYNTX
139 mpcapablesynackrx =MPCapableSYNACKRX
140 mpfallbacktokeninit =MPFallbackTokenInit
169 dssnomatchtcp =DSSNoMatchTCP
170 datacsumerr =DataCsumErr
171 ofoqueuetail =OFOQueueTail
172 ofoqueue =OFOQueue
173 ofomerge =OFOMerge
174 nodssinwindow =NoDSSInWindow
175 duplicatedata =DuplicateData
176 addaddr =AddAddr
177 echoadd =EchoAdd
178 portadd =PortAdd
179 mpjoinportsynrx =MPJoinPortSynRx
180 mpjoinportsynackrx =MPJoinPortSynAckRx
181 mpjoinportackrx =MPJoinPortAckRx
182 mismatchportsynrx =MismatchPortSynRx
183 mismatchportackrx =MismatchPortAckRx
184 rmaddr =RmAddr
185 rmsubflow =RmSubflow
186 mppriotx =MPPrioTx
187 mppriorx =MPPrioRx
188 rcvpruned =RcvPruned
190 mpfailtx =MPFailTx
191 mpfailrx =MPFailRx
192 subflowstale =SubflowStale
193 subflowrecover =SubflowRecover
194 addaddrdrop =AddAddrDrop
195 rmaddrdrop =RmAddrDrop
196 mpfastclosetx =MPFastcloseTx
197 mpfastcloserx =MPFastcloseRx
198 mprsttx =MPRstTx
199 mprstrx =MPRstRx
200 infinitemaptx =InfiniteMapTx
201 sndwndshared =SndWndShared
202 rcvwndshared =RcvWndShared
203 rcvwndconflictupdate =RcvWndConflictUpdate
204 rcvwndconflict =RcvWndConflict
206 addaddrtx =AddAddrTx
207 addaddrtxdrop =AddAddrTxDrop
208 echoaddtx =EchoAddTx
209 echoaddtxdrop =EchoAddTxDrop
210 rmaddrtx =RmAddrTx
211 rmaddrtxdrop =RmAddrTxDrop
217 mpcurrestab =MPCurrEstab
218 mpjoinsynbackuprx =MPJoinSynBackupRx
219 mpjoinsynackbackuprx =MPJoinSynAckBackupRx
220 mpcapableendpattempt =MPCapableEndpAttempt
221 dsscorruptionfallback =DSSCorruptionFallback
222 dsscorruptionreset =DSSCorruptionReset
223 mpcapablesyntxdrop =MPCapableSYNTXDrop
224 mpcapablesyntxdisabled =MPCapableSYNTXDisabled
225 mpjoinsyntx =MPJoinSynTx
226 mpjoinsyntxcreatskerr =MPJoinSynTxCreatSkErr
227 mpjoinsyntxbinderr =MPJoinSynTxBindErr
228 mpjoinsyntxconnecterr =MPJoinSynTxConnectErr
229 blackhole =Blackhole
234 mpjoinrejected =MPJoinRejected
235 mpcapabledatafallback =MPCapableDataFallback
236 md5sigfallback =MD5SigFallback
237 dssfallback =DssFallback
238 simultconnectfallback =SimultConnectFallback
239 fallbackfailed =FallbackFailed
240 winprobe =WinProbe
`,
  },
];
