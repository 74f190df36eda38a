// Patterns of fnmatch(3) without flags: `*` and `?` match everything, `[…]` one of a set. Linear in text
// times pattern at worst, with no memory of its own. Refuses nothing: a set that does not end is a `[`.
// Equivalence classes and collating symbols of more than one character fit nothing.

/** One character of a text that a pattern takes. */
type Step = ((char: string) => boolean) | "*";

const CLASSES: Readonly<Record<string, RegExp>> = {
  alpha: /[A-Za-z]/,
  digit: /[0-9]/,
  alnum: /[A-Za-z0-9]/,
  upper: /[A-Z]/,
  lower: /[a-z]/,
  space: /[\t-\r ]/,
  blank: /[\t ]/,
  punct: /[!-/:-@[-`{-~]/,
  print: /[ -~]/,
  graph: /[!-~]/,
  cntrl: /\p{Cc}/u,
  xdigit: /[0-9A-Fa-f]/,
};

/** Characters of the longest name of a class. */
const CLASS_NAME = Math.max(...Object.keys(CLASSES).map((name) => name.length));

/** A class, as `[:digit:]` in a set, from its `[` on, and where it ended; undefined for anything else. */
function readClass(
  chars: readonly string[],
  at: number,
): { test: RegExp; end: number } | undefined {
  if (chars[at] !== "[" || chars[at + 1] !== ":") return undefined;
  const name = chars.slice(at + 2, at + CLASS_NAME + 4).join("");
  const close = name.indexOf(":]");
  const test = close < 0 ? undefined : CLASSES[name.slice(0, close)];
  return test === undefined ? undefined : { test, end: at + close + 4 };
}

/**
 * A set behind its `[`, and where it ended. Without: it does not end, and then no other does behind it,
 * unless there were classes in it, whose brackets count now.
 */
function readSet(
  chars: readonly string[],
  start: number,
): { readonly step: Step; readonly end: number } | { readonly classes: boolean } {
  let at = start;
  let classes = false;
  const negated = chars[at] === "!" || chars[at] === "^";
  if (negated) at++;
  const first = at;
  const tests: ((char: string) => boolean)[] = [];
  for (;;) {
    let char = chars[at];
    if (char === undefined) return { classes };
    if (char === "]" && at > first) break;
    const named = readClass(chars, at);
    if (named !== undefined) {
      classes = true;
      tests.push((each) => named.test.test(each));
      at = named.end;
      continue;
    }
    if (char === "\\" && chars[at + 1] !== undefined) char = chars[++at] ?? "";
    at++;
    const low = char;
    if (chars[at] === "-" && chars[at + 1] !== undefined && chars[at + 1] !== "]") {
      at++;
      if (chars[at] === "\\" && chars[at + 1] !== undefined) at++;
      const high = chars[at++] ?? "";
      tests.push((each) => each >= low && each <= high);
    } else tests.push((each) => each === low);
  }
  return { step: (char) => tests.some((test) => test(char)) !== negated, end: at + 1 };
}

/** The steps of a pattern; undefined for one that fits nothing. */
function stepsOf(pattern: string): readonly Step[] | undefined {
  const chars = Array.from(pattern);
  const steps: Step[] = [];
  let sets = true;
  for (let at = 0; at < chars.length;) {
    const char = chars[at++] ?? "";
    if (char === "*") {
      if (steps.at(-1) !== "*") steps.push("*");
    } else if (char === "?") steps.push(() => true);
    else if (char === "\\") {
      const plain = chars[at++];
      if (plain === undefined) return undefined;
      steps.push((each) => each === plain);
    } else {
      const set: ReturnType<typeof readSet> | undefined =
        char === "[" && sets ? readSet(chars, at) : undefined;
      if (set !== undefined && "step" in set) {
        steps.push(set.step);
        at = set.end;
        continue;
      }
      steps.push((each) => each === char);
      if (set !== undefined) sets = set.classes;
    }
  }
  return steps;
}

/** A test whether a whole text fits a pattern. */
export function compileGlob(pattern: string): (text: string) => boolean {
  if (!/[*?[\\]/.test(pattern)) return (text) => text === pattern;
  const steps = stepsOf(pattern);
  if (steps === undefined) return () => false;
  return (text) => {
    const chars = Array.from(text);
    let at = 0;
    let step = 0;
    // Behind the last `*`: what it was tried with, to be tried again with one character more.
    let star = -1;
    let from = 0;
    for (;;) {
      const wanted = steps[step];
      if (wanted === "*") {
        star = ++step;
        from = at;
        continue;
      }
      const char = chars[at];
      if (wanted === undefined && char === undefined) return true;
      if (char !== undefined && wanted?.(char) === true) {
        at++;
        step++;
        continue;
      }
      if (star < 0 || char === undefined) return false;
      step = star;
      at = ++from;
    }
  };
}
