// `pcpbox proxy`, alias pmproxy: decides what the command line asks for (serve, check, health, a question
// about series, an action on the service) and loads only that. Mistakes on the command line end as
// pmproxy's do.

import { createLog } from "../lib/base/mod.ts";
import { isGiven, lastGiven } from "../lib/cli/mod.ts";
import { listenFds, reportFailure } from "../lib/daemon/mod.ts";
import { proxyVerb, type ProxyOptions } from "./options/proxy.ts";
import { complain } from "./output.ts";
import { sourceScript } from "./self.ts";
import { command, type CommandLine } from "./verb.ts";

async function actOn(action: string, line: CommandLine<ProxyOptions>): Promise<number> {
  const { actOnService } = await import("./proxy-service.ts");
  const args = process.argv.slice(2);
  const at = args.lastIndexOf(action);
  return actOnService(action, {
    options: line.options,
    args: args.filter((_, index) => index !== at),
    environment: process.env,
    execPath: process.execPath,
    argv0: process.argv0,
    script: sourceScript(),
    uid: process.getuid?.() ?? -1,
    workingDirectory: process.cwd(),
  });
}

async function proxy(line: CommandLine<ProxyOptions>): Promise<number> {
  const { options, operands } = line;
  const [action] = operands;
  if (action !== undefined) return actOn(action, line);
  const sources = {
    options,
    environment: process.env,
    workingDirectory: process.cwd(),
    uid: process.getuid?.() ?? -1,
    inherited: listenFds(process.env),
  };
  if (isGiven(options, "check")) {
    const { checkProxy } = await import("./proxy-check.ts");
    return checkProxy(sources, isGiven(options, "json"));
  }
  if (isGiven(options, "load") || isGiven(options, "query")) {
    const { askSeries } = await import("./proxy-series.ts");
    return askSeries(sources);
  }
  if (isGiven(options, "health")) {
    const { askHealth } = await import("./proxy-health.ts");
    return askHealth(sources);
  }
  const [{ runProxy }, { startProxy }] = await Promise.all([
    import("./proxy-run.ts"),
    import("../lib/server/mod.ts"),
  ]);
  return runProxy({
    sources,
    environment: process.env,
    execPath: process.execPath,
    argv0: process.argv0,
    script: sourceScript(),
    args: process.argv.slice(2),
    start: startProxy,
  });
}

/** pmproxy's last words after a mistake in an option; a misspelt option has the usage text alone. */
function refused(
  _errors: readonly string[],
  misspelt: boolean,
  options: CommandLine<ProxyOptions>["options"],
): void {
  if (misspelt) return;
  const log = createLog({
    program: "pmproxy",
    sink: {
      write: (text) => {
        complain(text);
        return true;
      },
    },
  });
  log.error("pmproxy not started due to errors!");
  // Without -x pmproxy says it to the terminal, where it stands already.
  const file = lastGiven(options, "fatal")?.value;
  const logName = lastGiven(options, "log")?.value ?? "pmproxy.log";
  if (file !== undefined) reportFailure("pmproxy", file, logName);
}

export default command(proxyVerb, proxy, refused);
