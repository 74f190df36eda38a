// base: what every room may use and what knows nothing of PCP's protocols.
export { BoundsError, bufferOf, pad4, Reader, utf8, utf8Text, viewOf, Writer } from "./bytes.ts";
export { createDeadline, type Deadline } from "./deadline.ts";
export { makeDirectory, replaceFile, roomBelow, syncPath, writeWhole } from "./durable.ts";
export {
  asPcpError,
  PM_ERR,
  PcpError,
  pmErrCode,
  type PmErrCode,
  pmErrStr,
  pmErrSymbol,
} from "./errors.ts";
export { complaintLines, intervalSeconds, type TimeComplaint, UNEXPECTED } from "./interval.ts";
export * from "./limits.ts";
export {
  beginWriteback,
  closeDescriptor,
  closeOnExec,
  duplicate,
  type EventFd,
  type FileLimit,
  libraryNames,
  lockFile,
  monotonicNanoseconds,
  openEventFd,
  openFileLimit,
  type PeerCredentials,
  peerCredentials,
  realTime,
  replaceDescriptor,
  sendUnixDatagram,
  setBacklog,
  setKeepAlive,
  type SocketName,
  socketName,
} from "./libc.ts";
export {
  createLog,
  fdSink,
  fileSink,
  type Log,
  LOG_LEVELS,
  LOG_TEXT_LIMIT,
  type LogFormat,
  type LogLevel,
  type LogOptions,
  type LogSink,
  oneLine,
} from "./log.ts";
export { compileGlob } from "./glob.ts";
export { nearestName } from "./nearest.ts";
export { wholeNumber } from "./numbers.ts";
export { compilePosix, costlyPattern, PosixError } from "./posix.ts";
export { openSharedMemory, type SharedMemory } from "./shared-memory.ts";
export { ctime, ctimeShort } from "./time.ts";
export { slices, turn } from "./turn.ts";
export { isAnswered } from "./unix-socket.ts";
