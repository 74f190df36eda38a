// Words and numbers of the getdate language (spec archive.md 14.5). Refuses words that it does not
// know and numbers that no calendar has.

/** A word, number or single character. */
export interface GetdateToken {
  readonly kind:
    | "number"
    | "signed"
    | "half"
    | "month"
    | "weekDay"
    | "zone"
    | "daylightZone"
    | "dst"
    | "months"
    | "seconds"
    | "days"
    | "ago"
    | "sign"
    | "end";
  /**
   * The number; 0 am and 1 pm; month from 1; day of the week from 0; minutes west of Greenwich;
   * months or seconds of a unit.
   */
  readonly value: number;
  readonly text: string;
}

type Entry = readonly [GetdateToken["kind"], number];

const DAY = 86_400;

const numbered = (words: string, kind: Entry[0], first: number): readonly [string, Entry][] =>
  words.split(" ").map((word, index) => [word, [kind, index + first]]);

/** Full names; their first three letters do as well. */
const NAMES: readonly (readonly [string, Entry])[] = [
  ...numbered(
    "january february march april may june july august september october november december",
    "month",
    1,
  ),
  ...numbered("sunday monday tuesday wednesday thursday friday saturday", "weekDay", 0),
];

const SPELLINGS: readonly (readonly [string, Entry])[] = [
  ["sept", ["month", 9]],
  ["tues", ["weekDay", 2]],
  ["wednes", ["weekDay", 3]],
  ["thur", ["weekDay", 4]],
  ["thurs", ["weekDay", 4]],
];

const zones = (text: string, kind: Entry[0]): readonly [string, Entry][] =>
  text.split(" ").map((each) => {
    const [name = "", hours] = each.split("=");
    return [name, [kind, Number(hours) * 60]];
  });

const ZONES: ReadonlyMap<string, Entry> = new Map([
  ...zones(
    "gmt=0 ut=0 utc=0 wet=0 wat=1 at=2 ast=4 est=5 cst=6 mst=7 pst=8 yst=9 hst=10 cat=10 ahst=10 nt=11 idlw=12 cet=-1 met=-1 mewt=-1 swt=-1 fwt=-1 eet=-2 bt=-3 zp4=-4 zp5=-5 zp6=-6 wast=-7 cct=-8 jst=-9 east=-10 gst=-10 nzt=-12 nzst=-12 idle=-12",
    "zone",
  ),
  ...zones(
    "bst=0 adt=4 edt=5 cdt=6 mdt=7 pdt=8 ydt=9 hdt=10 mest=-1 sst=-1 fst=-1 wadt=-7 eadt=-10 nzdt=-12",
    "daylightZone",
  ),
]);

/** Zones of one letter. */
const MILITARY: ReadonlyMap<string, Entry> = new Map([
  ...numbered("a b c d e f g h i", "zone", 1),
  ...numbered("k l m", "zone", 10),
  ...numbered("n o p q r s t u v w x y", "zone", 1).map(
    ([letter, [kind, hours]]): [string, Entry] => [letter, [kind, -hours]],
  ),
  ["z", ["zone", 0]],
]);

const UNITS: ReadonlyMap<string, Entry> = new Map([
  ["year", ["months", 12]],
  ["month", ["months", 1]],
  ["fortnight", ["seconds", 14 * DAY]],
  ["week", ["seconds", 7 * DAY]],
  ["day", ["seconds", DAY]],
  ["hour", ["seconds", 3600]],
  ["minute", ["seconds", 60]],
  ["min", ["seconds", 60]],
  ["second", ["seconds", 1]],
  ["sec", ["seconds", 1]],
]);

const OTHERS: ReadonlyMap<string, Entry> = new Map<string, Entry>([
  ["tomorrow", ["days", DAY]],
  ["yesterday", ["days", -DAY]],
  ["today", ["days", 0]],
  ["now", ["seconds", 0]],
  ["last", ["number", -1]],
  ["this", ["seconds", 0]],
  ["next", ["number", 2]],
  ["first", ["number", 1]],
  ...numbered("third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth", "number", 3),
  ["ago", ["ago", 1]],
]);

const HALVES: ReadonlyMap<string, Entry> = new Map([
  ["am", ["half", 0]],
  ["a.m.", ["half", 0]],
  ["pm", ["half", 1]],
  ["p.m.", ["half", 1]],
]);

function named(word: string): Entry | undefined {
  const short = /^(...)\.?$/.exec(word)?.[1];
  const all = [...NAMES, ...SPELLINGS];
  return all.find(([name]) => (short === undefined ? name === word : name.startsWith(short)))?.[1];
}

function wordOf(word: string): Entry | undefined {
  const single = word.replace(/s$/, "");
  return (
    HALVES.get(word) ??
    named(word) ??
    ZONES.get(word) ??
    (word === "dst" ? ["dst", 0] : undefined) ??
    UNITS.get(word) ??
    UNITS.get(single) ??
    OTHERS.get(word) ??
    militaryOf(word) ??
    ZONES.get(word.replaceAll(".", ""))
  );
}

function militaryOf(word: string): Entry | undefined {
  const entry = MILITARY.get(word);
  return entry === undefined ? undefined : ["zone", entry[1] * 60];
}

const TOKEN = /([+-]?)(\d+)|([A-Za-z][A-Za-z.]*)|[-+]|\(|[\s\S]/y;

/** The place after a comment that opens at `at`; the end of the text if it never closes. */
function afterComment(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return i + 1;
  }
  return text.length;
}

/** The tokens of a text in order; undefined if it has a word or number that nothing knows. */
export function getdateTokens(text: string): readonly GetdateToken[] | undefined {
  const tokens: GetdateToken[] = [];
  for (let at = 0; at < text.length;) {
    TOKEN.lastIndex = at;
    const [found = "", sign = "", digits, word] = TOKEN.exec(text) ?? [];
    at = found === "(" ? afterComment(text, at) : at + Math.max(found.length, 1);
    if (digits !== undefined) {
      const value = Number(sign + digits);
      if (!Number.isSafeInteger(value)) return undefined;
      tokens.push({ kind: sign === "" ? "number" : "signed", value, text: found });
    } else if (word !== undefined) {
      const entry = wordOf(word.toLowerCase());
      if (entry === undefined) return undefined;
      tokens.push({ kind: entry[0], value: entry[1], text: word });
    } else if (!/^[\s(+-]/.test(found)) {
      tokens.push({ kind: "sign", value: 0, text: found });
    }
  }
  return tokens;
}
