// The registry of fuzzers: what `make fuzz` runs for long and smoke.test.ts for a moment. A fuzzer
// makes its inputs from a seed alone, so that a finding can be repeated; it throws FuzzFinding for
// the first input that breaks its promise.
import { fuzzDispatch, fuzzLink } from "./agent.fuzz.ts";
import { fuzzArchives } from "./archive.fuzz.ts";
import { fuzzCanary } from "./canary.ts";
import { fuzzCheckLines, fuzzInstall } from "./check.fuzz.ts";
import { fuzzSessions, fuzzTables } from "./collector.fuzz.ts";
import { fuzzDecompress } from "./decompress.fuzz.ts";
import { fuzzDerived } from "./derived.fuzz.ts";
import { fuzzExtract } from "./extract.fuzz.ts";
import { fuzzFeed } from "./discover.fuzz.ts";
import { fuzzFrames } from "./frame.fuzz.ts";
import { fuzzGate } from "./gate.fuzz.ts";
import { fuzzHead } from "./head.fuzz.ts";
import { fuzzKeys } from "./keys.fuzz.ts";
import { fuzzMmv } from "./mmv.fuzz.ts";
import { fuzzLinux } from "./linux.fuzz.ts";
import { fuzzPdus } from "./pdu.fuzz.ts";
import { fuzzHelp, PMDA_FUZZERS } from "./pmda.fuzz.ts";
import { fuzzProbe } from "./probe.fuzz.ts";
import { fuzzPush } from "./push.fuzz.ts";
import type { Fuzzer } from "./random.ts";
import { fuzzRest } from "./rest.fuzz.ts";
import { fuzzResp } from "./resp.fuzz.ts";
import { fuzzSasl } from "./sasl.fuzz.ts";
import { fuzzSearch } from "./search.fuzz.ts";
import { fuzzSeries } from "./series.fuzz.ts";
import { TEXT_FUZZERS } from "./text.fuzz.ts";
import { fuzzTimes } from "./time.fuzz.ts";
import { fuzzWeb } from "./web.fuzz.ts";

/** Fuzzers of product code by name; each must run without a finding. */
export const FUZZERS: Readonly<Record<string, Fuzzer>> = {
  pdu: fuzzPdus,
  frame: fuzzFrames,
  dispatch: fuzzDispatch,
  link: fuzzLink,
  gate: fuzzGate,
  head: fuzzHead,
  resp: fuzzResp,
  sasl: fuzzSasl,
  ...TEXT_FUZZERS,
  ...PMDA_FUZZERS,
  help: fuzzHelp,
  archive: fuzzArchives,
  decompress: fuzzDecompress,
  extract: fuzzExtract,
  probe: fuzzProbe,
  time: fuzzTimes,
  derived: fuzzDerived,
  series: fuzzSeries,
  keys: fuzzKeys,
  feed: fuzzFeed,
  push: fuzzPush,
  search: fuzzSearch,
  web: fuzzWeb,
  rest: fuzzRest,
  linux: fuzzLinux,
  mmv: fuzzMmv,
  collector: fuzzSessions,
  tables: fuzzTables,
  check: fuzzCheckLines,
  install: fuzzInstall,
};

/** Fuzzers that must report a finding: they show that the harness would notice one. */
export const CANARIES: Readonly<Record<string, Fuzzer>> = { canary: fuzzCanary };
