// Bounds that several rooms share, each with its reason. A room's own bounds stand at the top of
// the file that needs them.

/** Receive buffers of PCP's programs grow in steps of this; no effect on the wire (pdu.md 1.3). */
export const PDU_CHUNK = 1024;
/** What a server accepts from a client per PDU unless told otherwise by -L (pdu.md 1.3). */
export const PDU_CEILING = 64 * PDU_CHUNK;
/**
 * Largest reply that a client accepts. PCP has no bound short of 2^31; a bulk fetch of every metric
 * of a large host stays below 64 MiB, and one reply must not take the memory of the machine.
 */
export const MAX_REPLY_BYTES = 256 * 1024 * 1024;
/** Most credentials in a CREDS PDU (pdu.md 3.2). */
export const MAX_CREDS = 1024;
/** Value of an attribute PDU is shorter than this (pdu.md 3.13). */
export const MAX_ATTR_BYTES = 4096;
/** SASL payload is shorter than this (pdu.md 3.13). */
export const MAX_SASL_BYTES = 2048;

/** JSON text of one label set is shorter than this, so that 16-bit offsets reach it (pdu.md 3.12). */
export const MAX_LABEL_JSON_BYTES = 65535;
/** One component of a label name is shorter than this; its length is one byte (pdu.md 3.12). */
export const MAX_LABEL_NAME_BYTES = 255;
/** A label's full, dotted name is shorter than this, which bounds the nesting of compound names. */
export const MAX_LABEL_FULL_NAME_BYTES = 1024;
/** A label set holds fewer labels than this (pdu.md 3.12). */
export const MAX_LABELS = 255;

/** A host specification; longer ones are a mistake or an attack. PCP has no bound. */
export const MAX_HOSTSPEC_LENGTH = 8192;
/** Names in one name space; 1,000 times what a host with every agent has. */
export const MAX_PMNS_NAMES = 1_000_000;
/** Depth of a metric name, in components. */
export const MAX_PMNS_DEPTH = 64;
/** Text of a name space file; a host with every agent has 200 KB. */
export const MAX_PMNS_BYTES = 64 * 1024 * 1024;

/** A client's limit for connecting, in seconds (pdu.md 7.6). */
export const CONNECT_TIMEOUT_SECONDS = 5;
/** A client's limit for the header of a reply, and again for its body, in seconds (pdu.md 7.6). */
export const REQUEST_TIMEOUT_SECONDS = 10;
/** Delays between attempts to reconnect, in seconds; the last one repeats (pdu.md 7.6). */
export const RECONNECT_DELAYS_SECONDS: readonly number[] = [5, 10, 20, 40, 80];
/** Default port of pmcd (pdu.md 7.6). */
export const PMCD_PORT = 44321;
/** Default port of pmproxy (pdu.md 7.6). */
export const PMPROXY_PORT = 44322;
