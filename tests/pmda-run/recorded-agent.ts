// An agent that says what a real one said: `recorded-agent.ts RECORDING`. It expects on standard
// input exactly the PDUs that the recording has for the agent, but for CREDS, and answers with those
// that it has from it. Anything else ends it with status 1 and a line on standard error.
import { readFileSync } from "node:fs";

import { createFramer } from "../../lib/pdu/mod.ts";
import { hex, unhex } from "../helpers/vector.ts";

const path = process.argv[2] ?? "";
const pdus = readFileSync(path, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => {
    const [direction = "", type = "", bytes = ""] = line.split(/\s+/);
    return { direction, type, bytes };
  });

let next = 0;
const answer = (): void => {
  for (let pdu = pdus[next]; pdu?.direction === "<"; pdu = pdus[next]) {
    process.stdout.write(unhex(pdu.bytes));
    next += 1;
  }
};

const framer = createFramer();
answer();
process.stdin.on("data", (chunk: Uint8Array) => {
  framer.feed(chunk);
  for (const bytes of framer) {
    const expected = pdus[next];
    const came = hex(bytes);
    if (expected?.type !== "CREDS" && expected?.bytes !== came) {
      process.stderr.write(`PDU ${next + 1}: ${came}, not ${expected?.bytes ?? "any more"}\n`);
      process.exit(1);
    }
    next += 1;
    answer();
  }
});
