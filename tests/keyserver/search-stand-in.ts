// A key server for tests that is a function: it keeps the commands and gives the replies it is told.
import type { KeyCommand, KeyReply, KeyServer } from "../../lib/keyserver/keys.ts";
import { pipeOver } from "./stand-in-pipe.ts";

/** A server that answers with `answer`; `commands` are all that came. */
export function standIn(
  answer: (command: KeyCommand) => KeyReply,
  options: { readonly hasSearch?: boolean; readonly down?: string } = {},
): KeyServer & { readonly commands: readonly KeyCommand[] } {
  const commands: KeyCommand[] = [];
  const run: KeyServer["run"] = (list) => {
    commands.push(...list);
    return Promise.resolve(list.map(answer));
  };
  return {
    commands,
    state:
      options.down === undefined
        ? { kind: "up", cluster: false, version: 7 }
        : { kind: "down", reason: options.down },
    schema: 2,
    generation: 1,
    stamp: undefined,
    hasSearch: options.hasSearch ?? true,
    shares: () => Promise.resolve([]),
    ready: () => Promise.resolve(),
    run,
    pipe: pipeOver(run),
    close: () => Promise.resolve(),
  };
}
