// The program around one compiled agent: what a collector starts as a process of its own, so that a
// fault of the agent is the end of nothing else (spec local.md 8). Speaks PDUs on its standard input
// and output as any daemon agent does; whether the agent could be loaded it says, as one line of JSON,
// on descriptor 3 if it was asked to, else on standard error when it could not. Ends at the end of its input. Refuses an input that is no PDU.
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { duplicate, PcpError, PM_ERR, replaceDescriptor } from "../base/mod.ts";
import {
  createFramer,
  CREDS_VERSION_WORD,
  encodePdu,
  PDU_TYPE,
  PDU_VERSION,
  pduTypeName,
  readHeader,
} from "../pdu/mod.ts";
import { createDispatcher } from "../pmda/mod.ts";
import { standAlone } from "./dso-abi.ts";
import { type DsoReport, type HostSpec, REPORT_FD, specOf } from "./dso-spec.ts";
import { loadDso } from "./dso.ts";

const INPUT_BYTES = 64 * 1024;

/** Writes all of it; the reader may be slow. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
}

/** Keeps the connection to the parent apart from what the agent may print. */
function takeStandardStreams(): { input: number; output: number } {
  const input = duplicate(0);
  const output = duplicate(1);
  const nothing = openSync("/dev/null", "r");
  replaceDescriptor(nothing, 0);
  closeSync(nothing);
  replaceDescriptor(2, 1);
  return { input, output };
}

function report({ reports }: HostSpec, what: DsoReport): void {
  if (!reports) {
    if (!what.ok) writeAll(2, Buffer.from(`${what.message}\n`));
    return;
  }
  writeAll(REPORT_FD, Buffer.from(`${JSON.stringify(what)}\n`));
  closeSync(REPORT_FD);
}

/**
 * Loads the agent of a specification, JSON as `dsoHostArguments` makes it, and answers for it until
 * the input ends. Returns the exit status.
 */
export async function runDsoHost(text: string): Promise<number> {
  const spec = specOf(text);
  standAlone();
  const { input, output } = takeStandardStreams();
  let agent;
  try {
    agent = loadDso(spec);
  } catch (error) {
    if (!(error instanceof PcpError)) throw error;
    report(spec, { ok: false, message: error.message });
    return 1;
  }
  report(spec, { ok: true, version: agent.version });
  const credentials = [
    { type: CREDS_VERSION_WORD, version: PDU_VERSION, flags: agent.features & 0xffff },
  ];
  writeAll(output, encodePdu({ kind: "creds", from: process.pid, credentials }));
  const { answer } = createDispatcher(agent);
  const framer = createFramer();
  let greeted = false;
  for (;;) {
    const chunk = new Uint8Array(INPUT_BYTES);
    const count = readSync(input, chunk);
    if (count === 0) return 0;
    framer.feed(chunk.subarray(0, count));
    for (const pdu of framer) {
      if (!greeted) {
        const { type } = readHeader(pdu);
        if (type !== PDU_TYPE.CREDS)
          throw new PcpError(PM_ERR.IPC, `${pduTypeName(type)} in place of CREDS`);
        greeted = true;
        continue;
      }
      const reply = await answer(pdu);
      if (reply !== undefined) writeAll(output, reply);
    }
  }
}
