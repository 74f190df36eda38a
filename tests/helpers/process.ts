// Running real programs from tests: one-shot runs with captured output, daemons, private folders.
// Everything started or made here is ended or removed when the test process is gone, however it went:
// `bun test` calls no exit handler, so a small shell waits for the end of its standard input, which
// only the test process holds open, and then cleans up.
import { chmodSync, closeSync, mkdtempSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATIENCE_MS } from "./ports.ts";

/** What a one-shot program did. */
export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  /** Whether it was ended here because its time was over. */
  readonly timedOut: boolean;
}

/** How a program is run. */
export interface RunOptions {
  /** Added to `baseEnvironment()`. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Milliseconds until SIGTERM; those of `PATIENCE_MS` by default. */
  readonly timeoutMs?: number;
}

/** Variables that change what PCP programs do; never handed down from the caller's environment. */
const dropped = /^(PCP_|PMCD_|PMPROXY_|PMLOGGER_|PMDA_|LC_|LANG|TZ$|PCPBOX_)/;

/** What would leave files on the machine: a catalogue, and archives of its metrics. */
const nothingKept = { PCP_PMSERIES_CATALOGUE: ":memory:", PCP_RECORD_ENABLED: "false" } as const;

/** The environment of every program under test: the caller's, without anything PCP reads, in UTC and C. */
export function baseEnvironment(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(process.env)) {
    if (value !== undefined && !dropped.test(key)) env[key] = value;
  }
  return { ...env, ...nothingKept, LC_ALL: "C", TZ: "UTC", PCP_DERIVED_CONFIG: "" };
}

/** Runs a program to its end. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = Bun.spawn([...argv], {
    env: { ...baseEnvironment(), ...options.env },
    cwd: options.cwd ?? tmpdir(),
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGTERM");
  }, options.timeoutMs ?? PATIENCE_MS);
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  clearTimeout(timer);
  return { stdout, stderr, status: child.exitCode, timedOut };
}

/** `run`, failing with the program's own words unless it exits 0. Returns its standard output. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.status !== 0) {
    throw new Error(`${argv.join(" ")}: status ${result.status}\n${result.stderr}${result.stdout}`);
  }
  return result.stdout;
}

const janitorScript = `
trap '' INT TERM HUP
pids= dirs=
while read -r kind value; do
  case $kind in
    pid) pids="$pids $value ";;
    gone) pids=$(printf %s "$pids" | sed "s/ $value / /");;
    dir) dirs="$dirs $value";;
  esac
done
[ -z "$pids" ] || kill -TERM $pids 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do
  [ -n "$pids" ] && kill -0 $pids 2>/dev/null || break
  sleep 0.1
done
[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
[ -z "$dirs" ] || rm -rf $dirs
`;

let janitor: Bun.Subprocess<"pipe", "ignore", "ignore"> | undefined;

function tellJanitor(line: string): void {
  if (janitor === undefined) {
    janitor = Bun.spawn(["sh", "-c", janitorScript], {
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
      cwd: "/",
    });
    janitor.unref();
  }
  janitor.stdin.write(`${line}\n`);
  void janitor.stdin.flush();
}

/** A new folder that every user can reach and write, removed when the test process ends. */
export function privateFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `pcpbox-${name}-`));
  chmodSync(folder, 0o777);
  tellJanitor(`dir ${folder}`);
  return folder;
}

/** A program that runs until it is stopped. */
export interface Daemon {
  readonly pid: number;
  /** False as soon as it is known to have ended. */
  alive(): boolean;
  /** Sends a signal; nothing when it has ended. */
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, SIGKILL after 15 s, in which a logger writes its end; answers when it is gone. May be called twice. */
  stop(): Promise<void>;
  /** Answers with the exit status (null: ended by a signal) when it has ended. */
  readonly ended: Promise<number | null>;
}

/** Starts a program with both outputs going to `logFile`. It is not known to be ready yet. */
export function startDaemon(
  argv: readonly string[],
  logFile: string,
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Daemon {
  const log = openSync(logFile, "a"); // one descriptor, or the two outputs would overwrite each other
  const child = Bun.spawn([...argv], {
    env: { ...baseEnvironment(), ...options.env },
    cwd: options.cwd ?? tmpdir(),
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  child.unref();
  tellJanitor(`pid ${child.pid}`);
  let gone = false;
  const ended = child.exited.then(() => {
    gone = true;
    tellJanitor(`gone ${child.pid}`);
    return child.exitCode;
  });
  return {
    pid: child.pid,
    alive: () => !gone,
    signal: (name) => {
      if (!gone) child.kill(name);
    },
    stop: async () => {
      if (gone) return;
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await ended;
      clearTimeout(timer);
    },
    ended,
  };
}

/** Limits how many of the given tasks run at a time; each call waits for its turn. */
export function turnstile(width: number): <T>(task: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    // A finished task hands its place to the next one, so the count stays as it is.
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
