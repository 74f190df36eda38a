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

/** A set behind its `[`, and where it ended; undefined if it does not end. */
function readSet(chars: readonly string[], start: number): { step: Step; end: number } | undefined {
  let at = start;
  const negated = chars[at] === "!" || chars[at] === "^";
  if (negated) at++;
  const first = at;
  const tests: ((char: string) => boolean)[] = [];
  for (;;) {
    let char = chars[at];
    if (char === undefined) return undefined;
    if (char === "]" && at > first) break;
    if (char === "[" && chars[at + 1] === ":") {
      const close = chars.findIndex(
        (each, index) => index > at && each === ":" && chars[index + 1] === "]" && index > at + 1,
      );
      const named = close < 0 ? undefined : CLASSES[chars.slice(at + 2, close).join("")];
      if (named !== undefined) {
        tests.push((each) => named.test(each));
        at = close + 2;
        continue;
      }
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
      const set = char === "[" ? readSet(chars, at) : undefined;
      steps.push(set === undefined ? (each) => each === char : set.step);
      at = set?.end ?? at;
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
