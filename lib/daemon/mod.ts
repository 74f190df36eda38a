// daemon: configuration files, places, and the life of a process in the background; imported by cmd
// alone.
export {
  configPaths,
  environmentEntries,
  problemText,
  readConfigFile,
  type ConfigEntry,
  type ConfigFile,
  type ConfigProblem,
} from "./config.ts";
export {
  chooseRunDirectory,
  makeStateDirectory,
  readPcpConf,
  stateDirectories,
  type PcpConf,
  type RunDirectory,
} from "./pcpconf.ts";
export { certificateFiles, type CertificateFiles } from "./certificates.ts";
export {
  asOwnerOf,
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
export {
  listenFds,
  readyState,
  reloadingState,
  sdNotify,
  startWatchdog,
  statusState,
  stoppingState,
} from "./systemd.ts";
