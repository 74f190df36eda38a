// cli: command lines, configuration and the life of a daemon; imported by cmd alone.
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
} from "./options.ts";
export { debugList, DEBUG_OPTIONS, interval, oneOf, ports, positive } from "./values.ts";
export { defineVerb, readVerb, type Operand, type Section, type Term, type Verb } from "./verb.ts";
export { usageText } from "./usage.ts";
export { pageOf, pageText, type Page, type TextStyle } from "./page.ts";
export { manSource } from "./man.ts";
export {
  configPaths,
  environmentEntries,
  nearestName,
  problemText,
  readConfigFile,
  type ConfigEntry,
  type ConfigFile,
  type ConfigProblem,
} from "./config.ts";
export { chooseRunDirectory, readPcpConf, type PcpConf, type RunDirectory } from "./pcpconf.ts";
export { certificateFiles, type CertificateFiles } from "./certificates.ts";
export {
  becomeUser,
  daemonRole,
  logFooter,
  logHeader,
  logNameWithPid,
  lookUpUser,
  openLogFile,
  pidLine,
  portTable,
  removePidFile,
  reportFailure,
  selfAs,
  startInBackground,
  writePidFile,
  type DaemonRole,
  type OpenLog,
  type Self,
  type SystemUser,
} from "./daemon.ts";
export {
  LSB_NOT_RUNNING,
  LSB_STATUS,
  optionalText,
  parseEnvironmentFile,
  parseOptionsFile,
  serviceState,
  stopProcess,
  type ServiceState,
} from "./service.ts";
export { completionScript, SHELLS, type Shell } from "./completion.ts";
export {
  listenFds,
  readyState,
  reloadingState,
  sdNotify,
  startWatchdog,
  statusState,
  stoppingState,
} from "./systemd.ts";
