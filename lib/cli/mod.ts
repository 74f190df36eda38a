// cli: command lines and what is said about them; imported by cmd alone.
export {
  defineOptions,
  isGiven,
  lastGiven,
  readOptions,
  valuesGiven,
  type Given,
  type OptionResult,
  type OptionSpec,
  type OptionTable,
  type Parsed,
  type Question,
  type ReadSettings,
} from "./options.ts";
export { debugList, DEBUG_OPTIONS, interval, oneOf, ports, positive } from "./values.ts";
export {
  defineVerb,
  keysGiven,
  readVerb,
  type Operand,
  type Section,
  type Term,
  type Verb,
} from "./verb.ts";
export { usageText } from "./usage.ts";
export { pageOf, pageText, type Page, type TextStyle } from "./page.ts";
export { manSource } from "./man.ts";
export { completionScript, SHELLS, type Shell } from "./completion.ts";
