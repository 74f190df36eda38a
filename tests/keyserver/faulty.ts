// A Redis that tests treat badly: started with options of their own, stopped, killed, started again.
import { join } from "node:path";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { type Daemon, must, privateFolder, startDaemon } from "../helpers/process.ts";

/** A key server and what can be done to it. */
export interface FaultyRedis {
  readonly port: number;
  readonly folder: string;
  /** A number of all that it holds; times to live count as there or not. */
  digest(): Promise<string>;
  /** Runs redis-cli. */
  cli(...words: readonly string[]): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and gone. */
  kill(): Promise<void>;
  /** Starts it again, with what it has saved. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one, with `more` arguments. */
export async function faultyRedis(more: readonly string[] = []): Promise<FaultyRedis> {
  const port = await freePort();
  const folder = privateFolder("faulty");
  let daemon: Daemon | undefined;
  const start = async (): Promise<void> => {
    const own = ["--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""];
    const debug = ["--enable-debug-command", "yes"];
    const started = startDaemon(["redis-server", ...own, ...debug, ...more], join(folder, "log"));
    daemon = started;
    const ready = (): Promise<boolean> => isListening({ host: "127.0.0.1", port });
    if (!(await waitUntil(ready, started.alive)))
      throw new Error(`redis-server is not ready: see ${folder}/log`);
  };
  await start();
  const cli = async (...words: readonly string[]): Promise<string> =>
    (await must(["redis-cli", "-p", String(port), ...words])).trim();
  return {
    port,
    folder,
    digest: () => cli("DEBUG", "DIGEST"),
    cli,
    signal: (name) => daemon?.signal(name),
    kill: async () => {
      daemon?.signal("SIGKILL");
      await daemon?.ended;
    },
    start,
    stop: async () => {
      daemon?.signal("SIGCONT");
      await daemon?.stop();
    },
  };
}
