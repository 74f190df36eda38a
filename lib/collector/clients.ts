// The clients of a collector as facts, and the PDUs that went to and fro: what sessions write down and
// the metrics of domain 2 tell.

/** PDU types that are counted: PDU_TYPE less the first of them. */
const PDU_TYPES = 32;

/** PDUs by type, without the first type number. */
export type PduCounts = Float64Array;

/** Counts a PDU, whose header must be whole. */
export function countPdu(counts: PduCounts, pdu: Uint8Array): void {
  const type = (pdu[7] ?? 0) & (PDU_TYPES - 1);
  counts[type] = (counts[type] ?? 0) + 1;
}

/** One client of the collector. */
export interface ClientFact {
  /** What agents know it by. */
  readonly number: number;
  /** Counts up, and never comes again. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  whoami: string;
  container: string;
}

/** Everybody who is there. */
export interface ClientTable {
  readonly clients: ReadonlySet<ClientFact>;
  readonly pduIn: PduCounts;
  readonly pduOut: PduCounts;
  add(number: number): ClientFact;
  delete(client: ClientFact): void;
}

/** A table without clients. */
export function createClientTable(): ClientTable {
  const clients = new Set<ClientFact>();
  let sequence = 0;
  return {
    clients,
    pduIn: new Float64Array(PDU_TYPES),
    pduOut: new Float64Array(PDU_TYPES),
    add(number) {
      sequence += 1;
      const client = { number, sequence, since: Date.now(), whoami: "", container: "" };
      clients.add(client);
      return client;
    },
    delete: (client) => void clients.delete(client),
  };
}
