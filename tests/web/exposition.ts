// Strict readers of the text formats for metrics, for tests: OpenMetrics 1.0 to its letter, and what
// Prometheus takes of the older text. They throw at the first thing that is not allowed.

/** A family of metrics. */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  /** Samples: name with labels as they stand, and value. */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const NUMBER = String.raw`[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN`;
const SAMPLE = new RegExp(
  String.raw`^(${NAME})(\{${LABEL}(?:,${LABEL})*\})? (${NUMBER})( -?\d+(?:\.\d+)?)?$`,
);
const COMMENT = new RegExp(String.raw`^# (TYPE|UNIT|HELP) (${NAME})(?: (.*))?$`);

const valueOf = (text: string): number => Number(text.replace("Inf", "Infinity"));

interface Draft {
  name: string;
  type: string;
  unit: string;
  help: string;
  samples: Map<string, number>;
}

function checkLabels(set: string, line: string): void {
  const names = [...set.matchAll(new RegExp(LABEL, "g"))].map(([pair]) => pair.split("=", 1)[0]);
  if (new Set(names).size !== names.length) throw new Error(`a label twice: ${line}`);
}

/** Reads a text; `strict`: OpenMetrics, else Prometheus's own with other comments allowed. */
export function readExposition(text: string, strict: boolean): readonly Family[] {
  const families = new Map<string, Draft>();
  const claimed = new Map<string, string>();
  let now: Draft | undefined;
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error("no newline at the end");
  if (strict && lines.pop() !== "# EOF") throw new Error("no EOF at the end");
  const claim = (name: string, family: string): void => {
    if ((claimed.get(name) ?? family) !== family) throw new Error(`${name}: of two families`);
    claimed.set(name, family);
  };
  for (const line of lines) {
    const comment = COMMENT.exec(line);
    if (comment !== null) {
      const [, kind = "", name = "", rest = ""] = comment;
      if (now?.name !== name) {
        if (families.has(name)) throw new Error(`family twice: ${line}`);
        now = { name, type: "", unit: "", help: "", samples: new Map() };
        families.set(name, now);
      }
      if (now.samples.size > 0) throw new Error(`comment after samples: ${line}`);
      if (kind === "TYPE") now.type = rest;
      else if (kind === "UNIT") now.unit = rest;
      else now.help = rest;
      if (kind === "UNIT" && !name.endsWith(`_${rest}`)) throw new Error(`unit: ${line}`);
      claim(name, name);
      for (const end of strict && rest === "counter" ? ["_total", "_created"] : [])
        claim(`${name}${end}`, name);
      continue;
    }
    if (!strict && line.startsWith("#")) continue;
    const sample = SAMPLE.exec(line);
    if (sample === null) throw new Error(`no sample: ${line}`);
    const [, name = "", labels = "", value = ""] = sample;
    const wanted =
      now === undefined || !strict || now.type !== "counter" ? now?.name : `${now.name}_total`;
    if (now === undefined || name !== wanted) throw new Error(`not of ${now?.name}: ${line}`);
    if (strict && now.type === "counter" && !(valueOf(value) >= 0))
      throw new Error(`counter: ${line}`);
    checkLabels(labels, line);
    if (now.samples.has(`${name}${labels}`)) throw new Error(`sample twice: ${line}`);
    now.samples.set(`${name}${labels}`, valueOf(value));
  }
  return [...families.values()];
}
