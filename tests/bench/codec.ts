// `bun tests/bench/codec.ts [NAME]`: what the vocabulary and the PDU codecs cost per call, with no
// peer and no socket: for looking at a change of lib/pcp or lib/pdu before and after. Asserts nothing.
import { bench, do_not_optimize, run } from "mitata";
import {
  numberAt,
  parseHostSpec,
  parseLabels,
  PM_LABEL,
  PM_TYPE,
  PM_VAL,
  type Pmid,
  pmExtractValue,
  pmParseUnitsStr,
  pmUnitsStr,
  type ResultView,
  type ValueSetInit,
} from "../../lib/pcp/mod.ts";
import {
  createFramer,
  decodePdu,
  encodeFetch,
  encodePdu,
  encodeResult,
  type Framer,
} from "../../lib/pdu/mod.ts";
import { VECTORS } from "../helpers/vector.ts";

const recorded = (name: string): Uint8Array => {
  const found = VECTORS.find((vector) => vector.name === name);
  if (found === undefined) throw new Error(`no recording named ${name}`);
  return found.bytes;
};

const resultOf = (pdu: Uint8Array): ResultView => {
  const decoded = decodePdu(pdu);
  if (decoded.kind !== "highres-result") throw new Error(`${decoded.kind} is no result`);
  return decoded.result;
};

/** The value sets of a recorded result as values. */
function setsOf(result: ResultView): ValueSetInit[] {
  const found: ValueSetInit[] = [];
  const types: number[] = [];
  for (const set = result.sets(); set.next();) {
    const type = set.valfmt === PM_VAL.INSITU ? PM_TYPE.U32 : (set.bytes[set.block(0)] ?? 0);
    types.push(type);
    found.push({
      pmid: set.pmid,
      type,
      instances: [set.instance(0)],
      values: [pmExtractValue(set, 0, type)],
    });
  }
  return found;
}

const small = recorded("highres-result-insitu");
const mixed = recorded("highres-result-mixed");
const mixedSets = setsOf(resultOf(mixed));
// The recorded ten metrics of every type, a hundred times.
const large = encodeResult(
  0,
  {
    timestamp: resultOf(mixed).timestamp,
    sets: Array.from({ length: 100 }, () => mixedSets).flat(),
  },
  true,
);
const names = encodePdu({
  kind: "pmns-names",
  from: 0,
  names: Array.from({ length: 1000 }, (_, index) => `sample.dynamic.group${index % 10}.m${index}`),
});
const PMIDS = Array.from({ length: 1000 }, (_, index) => (0x07400000 + index) as Pmid);
const LABELS = '{"hostname":"app1","machineid":"6a1f","place":{"row":7,"rack":"b"}}';

const framer: Framer = createFramer();

/** Frames and decodes one PDU that lies in one chunk, on a connection that is there already. */
function frameAndDecode(chunk: Uint8Array): void {
  framer.feed(chunk);
  for (let pdu = framer.next(); pdu !== undefined; pdu = framer.next()) {
    do_not_optimize(decodePdu(pdu));
  }
}

function sumOf(result: ResultView): number {
  let sum = 0;
  for (const set = result.sets(); set.next();) {
    for (let i = 0; i < set.numval; i++) sum += numberAt(set, i, PM_TYPE.U32) || 0;
  }
  return sum;
}

const largeResult = resultOf(large);

bench("frame, decode: result of 1 metric", () => frameAndDecode(small));
bench("frame, decode: result of 10 metrics", () => frameAndDecode(mixed));
bench("frame, decode: result of 1000 metrics", () => frameAndDecode(large));
bench("values as numbers: result of 1000 metrics", () => do_not_optimize(sumOf(largeResult)));
bench("frame, decode: 1000 names", () => frameAndDecode(names));
bench("encode: fetch of 1 metric", () =>
  do_not_optimize(encodeFetch(0, 0, PMIDS.slice(0, 1), true)),
);
bench("encode: fetch of 1000 metrics", () => do_not_optimize(encodeFetch(0, 0, PMIDS, true)));
bench("host specification", () =>
  do_not_optimize(parseHostSpec("pcps://app1:44321,4321@firewall:44322?user=a%20b&container=c")),
);
bench("units: print", () => do_not_optimize(pmUnitsStr(0x1f023000)));
bench("units: parse", () => do_not_optimize(pmParseUnitsStr("Mbyte / sec")));
bench("labels: parse", () => do_not_optimize(parseLabels(LABELS, PM_LABEL.CONTEXT)));

const [filter] = Bun.argv.slice(2);
await run(filter === undefined ? {} : { filter: new RegExp(filter, "i") });
