// cli: command lines, configuration and the life of a daemon; imported by cmd alone.
export {
  defineOptions,
  isGiven,
  lastGiven,
  longNames,
  readOptions,
  valuesGiven,
  type Given,
  type KnownTo,
  type OldName,
  type OptionResult,
  type OptionSpec,
  type OptionTable,
  type Parsed,
  type Question,
  type ValueOf,
} from "./options.ts";
export {
  debugList,
  DEBUG_OPTIONS,
  interval,
  oneOf,
  ports,
  positive,
  wholeNumber,
} from "./values.ts";
export { defineVerb, readVerb, type Operand, type Section, type Term, type Verb } from "./verb.ts";
export { leftSide, optionGroups, usageText, type OptionLine } from "./usage.ts";
export { pageOf, pageText, wrap, type Block, type Page, type TextStyle } from "./page.ts";
export { manSource, roffText } from "./man.ts";
export { nearestName } from "./config.ts";
export { completionScript, SHELLS, type Shell } from "./completion.ts";
