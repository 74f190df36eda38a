# Calls most of PMAPI through one context and prints what it gets, one fact a line.
# Argument: the host specification. Metrics are those of the sample agent that never vary.
import sys
from pcp import pmapi
import cpmapi as api

context = pmapi.pmContext(api.PM_CONTEXT_HOST, sys.argv[1])
names = ["sample.long.million", "sample.bin", "sample.string.hullo", "sample.double.bin"]

found = []
context.pmTraversePMNS("sample.long", found.append)
print("traverse", sorted(str(name) for name in found))
print("children", sorted(context.pmGetChildren("sample.ulong.count")))

pmids = context.pmLookupName(names)
descs = context.pmLookupDescs(pmids)
for name, pmid, desc in zip(names, pmids, descs):
    print(name, context.pmIDStr(pmid), desc.contents.type, context.pmUnitsStr(desc.contents.units))
    print("names", sorted(context.pmNameAll(pmid)))
    print("text", context.pmLookupText(pmid, api.PM_TEXT_ONELINE))

insts, inames = context.pmGetInDom(descs[1])
print("instances", list(zip(insts, inames)))
print("lookup", context.pmLookupInDom(descs[1], "bin-300"), context.pmNameInDom(descs[1], 500))

def show(result):
    for i in range(result.contents.numpmid):
        count = result.contents.get_numval(i)
        for j in range(count):
            kind = descs[i].contents.type
            atom = context.pmExtractValue(result.contents.get_valfmt(i), result.contents.get_vlist(i, j), kind, kind)
            print(names[i], result.contents.get_inst(i, j), atom.dref(kind))

result = context.pmFetch(pmids)
show(result)
context.pmFreeResult(result)

context.pmDelProfile(descs[1], None)
context.pmAddProfile(descs[1], [200, 700])
result = context.pmFetch(pmids)
show(result)
context.pmFreeResult(result)

context.pmReconnectContext()
print("again", context.pmLookupName("sample.long.one")[0])
try:
    context.pmLookupName("no.such.metric")
except pmapi.pmErr as error:
    print("error", error.errno())
