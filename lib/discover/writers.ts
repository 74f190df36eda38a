// Writers of commands that many archives use in turn: each keeps some megabytes, which must not wait with
// every archive that is followed. A writer goes back when all that it was given has been answered; one
// that failed does not. Refused: a connection that was made anew meanwhile.
import { PM_ERR, PcpError } from "../base/mod.ts";
import { type KeyServer, type LoadWriter, loadWriter } from "../keyserver/mod.ts";

/** Writers that wait for their next use. */
export interface WriterPool {
  take(): LoadWriter;
  give(writer: LoadWriter): void;
}

/** A writer that is borrowed while there is something to write. */
export interface LentWriter extends LoadWriter {
  /** Sends all, waits until it is done, and gives the writer back. */
  settle(): Promise<void>;
}

const MOST_IDLE = 8;

/** Writers for one server. */
export function writerPool(server: KeyServer): WriterPool {
  let idle: LoadWriter[] = [];
  let { generation } = server;
  return {
    take() {
      if (generation !== server.generation) idle = [];
      generation = server.generation;
      return idle.pop() ?? loadWriter(server);
    },
    give(writer) {
      if (generation === server.generation && idle.length < MOST_IDLE) idle.push(writer);
    },
  };
}

/** A writer over the connection as it is now. */
export function lentWriter(server: KeyServer, pool: WriterPool): LentWriter {
  const { generation } = server;
  let current: LoadWriter | undefined;
  const borrow = (): LoadWriter => {
    if (generation !== server.generation)
      throw new PcpError(PM_ERR.NOTCONN, "the connection to the key server was made anew");
    current ??= pool.take();
    return current;
  };
  return {
    add: (command, use) => borrow().add(command, use),
    get buffer() {
      return borrow().buffer;
    },
    get full() {
      return current?.full === true;
    },
    send: () => borrow().send(),
    finish: () => borrow().finish(),
    async settle() {
      const used = current;
      if (used === undefined) return;
      // Where this throws the writer is of no use to anybody.
      current = undefined;
      await used.finish();
      pool.give(used);
    },
  };
}
