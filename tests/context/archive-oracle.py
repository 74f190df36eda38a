#!/usr/bin/env python3
"""What the real libpcp fetches from archives, for the comparisons of tests/context.

usage: archive-oracle.py LIBRARY < QUESTIONS

LIBRARY is libpcp.so.3 (PCP 6) or libpcp.so.4 (PCP 7). Each line of input is a question in JSON:
  {"archive": NAMES, "metric": NAME, "mode": 1|2|3, "start": [SEC, NSEC], "delta": [SEC, NSEC],
   "count": N, "only": [INSTANCE...]}
Each answer is one line, a JSON list of texts as archive-client.ts makes them. A question that makes
the library crash or hang is answered by null: each is asked in a process of its own.
"""
import ctypes as C, json, os, signal, struct, sys

LIB = C.CDLL(sys.argv[1])
NEW = sys.argv[1].endswith(".4")
NULL = 0xFFFFFFFF


class Timespec(C.Structure):
    _fields_ = [("sec", C.c_int64), ("nsec", C.c_long)]


class Desc(C.Structure):
    _fields_ = [(name, C.c_uint) for name in "pmid type indom sem units".split()]


class Value(C.Structure):
    _fields_ = [("inst", C.c_int), ("word", C.c_uint64)]


class ValueSet(C.Structure):
    _fields_ = [("pmid", C.c_uint), ("numval", C.c_int), ("valfmt", C.c_int), ("values", Value * 1)]


class Result(C.Structure):
    _fields_ = [("time", Timespec), ("numpmid", C.c_int), ("set", C.POINTER(ValueSet) * 1)]


set_mode = LIB.pmSetMode if NEW else LIB.pmSetModeHighRes
fetch = LIB.pmFetch if NEW else LIB.pmFetchHighRes
free_result = LIB.pmFreeResult if NEW else LIB.pmFreeHighResResult
NUMBERS = {0: "=i", 1: "=I", 2: "=q", 3: "=Q", 4: "=f", 5: "=d"}


def text(kind, raw):
    if kind not in NUMBERS:
        if kind == 6:
            return '"%s"' % raw.split(b"\0")[0].decode("utf-8", "replace")
        return "<%d:%s>" % (len(raw), raw[:8].hex())
    form = NUMBERS[kind]
    (value,) = struct.unpack(form, raw[: struct.calcsize(form)])
    if kind == 4:
        return "%.9g" % value
    return "%.17g" % value if kind == 5 else str(value)


def value_text(value, insitu, desc):
    if insitu:
        raw = struct.pack("=I", value.word & NULL)
    else:
        head = C.c_uint.from_address(value.word).value
        raw = C.string_at(value.word + 4, (head & 0xFFFFFF) - 4)
    instance = "" if desc.indom == NULL else "[%d]" % value.inst
    return " %s%s" % (instance, text(desc.type, raw))


def set_text(found, desc):
    if found.numval < 0:
        return " err %d" % found.numval
    if found.numval == 0:
        return " none"
    values = (Value * found.numval).from_address(C.addressof(found) + ValueSet.values.offset)
    return "".join(value_text(value, found.valfmt == 0, desc) for value in values)


def answer(ask):
    context = LIB.pmNewContext(2, ask["archive"].encode())
    if context < 0:
        return ["context %d" % context]
    names = (C.c_char_p * 1)(ask["metric"].encode())
    pmids = (C.c_uint * 1)()
    desc = Desc()
    code = LIB.pmLookupName(1, names, pmids)
    if code < 0 or LIB.pmLookupDesc(pmids[0], C.byref(desc)) < 0:
        return ["lookup %d" % code]
    if "only" in ask:
        LIB.pmDelProfile(desc.indom, 0, None)
        LIB.pmAddProfile(desc.indom, len(ask["only"]), (C.c_int * len(ask["only"]))(*ask["only"]))
    start, delta = Timespec(*ask["start"]), Timespec(*ask["delta"])
    set_mode(ask["mode"], C.byref(start), C.byref(delta))
    lines = []
    for _ in range(ask["count"]):
        result = C.POINTER(Result)()
        code = fetch(1, pmids, C.byref(result))
        if code < 0:
            lines.append("err %d" % code)
            if code != -12370 or ask["mode"] != 1:
                break
            continue
        time = result.contents.time
        found = result.contents.set[0].contents
        lines.append("%d.%09d%s" % (time.sec, time.nsec, set_text(found, desc)))
        free_result(result)
    return lines


def safely(ask):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(20)
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer(ask), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said or "null"


os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
for line in sys.stdin:
    print(safely(json.loads(line)), flush=True)
