// pdu: the PDU protocol as bytes and data: framing, codecs, and the client side of a connection.
export { decodePdu, encodePdu, PDU_TABLE, pduTypeName } from "./codec.ts";
export {
  encodeFetch,
  encodeNamesRequest,
  encodeProfile,
  nameRequestBytes,
} from "./codec-request.ts";
export { encodeResult, encodeWritten } from "./codec-result.ts";
export type { Direction, PduEntry } from "./codec-entry.ts";
export { connectPmcd, type ConnectOptions } from "./connection.ts";
export {
  type ConnectionSettings,
  connectionSettings,
  createReconnectPolicy,
  dial,
  type Environment,
  type ReconnectPolicy,
  type Warn,
} from "./endpoint.ts";
export type { LinkEnd } from "./link.ts";
export type {
  AttributeFacts,
  CertificateFacts,
  ChallengeFacts,
  ConnectFacts,
  ConnectObserver,
  ConnectStep,
  CredsFacts,
  GreetingFacts,
  ResolveFacts,
  SaslFacts,
  StepFacts,
  TlsFacts,
} from "./observe.ts";
export {
  clientTls,
  certificatesOf,
  parseTlsConf,
  readTlsConf,
  type TlsConf,
  type TlsConfProblem,
  type TlsSettings,
} from "./tlsconf.ts";
export type {
  Children,
  FetchReply,
  NameLookup,
  PmcdConnection,
  Profile,
  TextSubject,
} from "./requests.ts";
export {
  createFramer,
  type Framer,
  type FramerPhase,
  type Header,
  NO_CEILING,
  readHeader,
} from "./frame.ts";
export {
  checkProfile,
  createProfile,
  type InstanceProfile,
  MAX_PROFILE_ENTRIES,
  profileFrom,
} from "./profile.ts";
export { describeTarget, type Target } from "./target.ts";
export {
  CREDS_VERSION_WORD,
  FEATURE,
  FROM_ANON,
  PDU_TYPE,
  PDU_VERSION,
  STATE_CHANGE,
  TEXT_TYPE,
} from "./types.ts";
export type * from "./types.ts";
