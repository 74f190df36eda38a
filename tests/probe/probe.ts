// Runs `pcpbox newcontext-probe` from source as a child, for the tests of this folder.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PATIENCE_MS, waitUntil } from "../helpers/ports.ts";
import {
  privateFolder,
  run,
  type RunOptions,
  type RunResult,
  startDaemon,
} from "../helpers/process.ts";

const entry = join(import.meta.dir, "../../cmd/main.ts");

/** Where the recordings of archives are. */
export const ARCHIVES = join(import.meta.dir, "../fixtures/archives");

/** The command that runs the verb. */
export const probeCommand = (...args: readonly string[]): string[] => [
  process.execPath,
  entry,
  "newcontext-probe",
  ...args,
];

/** Runs the verb to its end. */
export const probe = (args: readonly string[], options?: RunOptions): Promise<RunResult> =>
  run(probeCommand(...args), options);

/** Its JSON, parsed; fails unless standard output is one line of JSON. */
export async function probeJson(
  args: readonly string[],
  options?: RunOptions,
): Promise<{ readonly json: Json; readonly status: number | null }> {
  const { stdout, stderr, status } = await probe([...args, "--json"], options);
  if (!/^[^\n]+\n$/.test(stdout)) throw new Error(`no line of JSON: ${stdout}${stderr}`);
  return { json: JSON.parse(stdout) as Json, status };
}

/** JSON whose shape a test expects. */
export interface Json {
  readonly [key: string]: unknown;
}

/** A probe that runs until it is stopped; its output so far. */
export interface RunningProbe {
  readonly output: () => string;
  /** Waits until the output holds `text`; false when it does not come. */
  has(text: string | RegExp): Promise<boolean>;
  /** Sends a signal and answers with the exit status. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts the verb, both outputs in one; it ends with the test process at the latest. */
export function startProbe(args: readonly string[]): RunningProbe {
  const file = join(privateFolder("probe"), "output");
  const daemon = startDaemon(probeCommand(...args), file);
  const output = (): string => readFileSync(file, "utf8");
  const holds = (text: string | RegExp): boolean =>
    typeof text === "string" ? output().includes(text) : text.test(output());
  return {
    output,
    has: (text) => waitUntil(() => holds(text)),
    async end(signal = "SIGTERM") {
      daemon.signal(signal);
      const status = await Promise.race([daemon.ended, Bun.sleep(PATIENCE_MS)]);
      if (daemon.alive()) {
        await daemon.stop();
        return null;
      }
      return status ?? null;
    },
  };
}
