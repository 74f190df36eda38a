// Which protocol a connection speaks, told by its first byte (spec proxy.md 9). The byte stays part
// of the data. Refuses to guess: what is not in the table is unknown.

export const PROTOCOLS = ["pcp", "http", "resp", "tls"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

const TABLE: readonly (Protocol | undefined)[] = (() => {
  const table = Array.from<Protocol | undefined>({ length: 256 });
  const mark = (protocol: Protocol, characters: string): void => {
    for (const character of characters) table[character.charCodeAt(0)] = protocol;
  };
  mark("pcp", "p");
  mark("http", "GHPDTOC");
  mark("resp", "-+:,$*#%~");
  for (let byte = 0x14; byte <= 0x18; byte++) table[byte] = "tls";
  return table;
})();

/** The protocol that begins with `byte`; undefined: none of ours. */
export const protocolOf = (byte: number): Protocol | undefined => TABLE[byte];
