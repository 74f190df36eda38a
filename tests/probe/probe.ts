// Runs `pcpbox newcontext-probe` from source as a child, for the tests of this folder.
import { join } from "node:path";
import { baseEnvironment, run, type RunOptions, type RunResult } from "../helpers/process.ts";

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
  /** Waits until the output holds `text`; false after `timeoutMs`. */
  has(text: string | RegExp, timeoutMs?: number): Promise<boolean>;
  /** Sends a signal and answers with the exit status. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts the verb with its output being gathered. */
export function startProbe(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningProbe {
  const child = Bun.spawn(probeCommand(...args), {
    env: { ...baseEnvironment(), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let output = "";
  const gather = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  const done = Promise.all([gather(child.stdout), gather(child.stderr)]);
  const holds = (text: string | RegExp): boolean =>
    typeof text === "string" ? output.includes(text) : text.test(output);
  return {
    output: () => output,
    async has(text, timeoutMs = 15_000) {
      const end = Date.now() + timeoutMs;
      while (!holds(text) && Date.now() < end) await Bun.sleep(20);
      return holds(text);
    },
    async end(signal = "SIGTERM") {
      child.kill(signal);
      await Promise.race([done, Bun.sleep(5000)]);
      const status = await Promise.race([child.exited, Bun.sleep(5000)]);
      child.kill("SIGKILL");
      return status ?? child.exitCode;
    },
  };
}
