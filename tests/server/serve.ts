// A server in a process of its own, for tests that measure it: settings as JSON in the first
// argument; prints its port, then answers each command that comes on standard input with one line.
// Ends when its input does, or with status 70 when something throws that nobody catches.
import { createLog, fdSink, socketName } from "../../lib/base/mod.ts";
import { type ProxySettings, startProxy } from "../../lib/server/mod.ts";

process.on("uncaughtException", (error) => {
  console.error("uncaught:", error);
  process.exit(70);
});
const settings = JSON.parse(process.argv[2] ?? "") as ProxySettings;
const level = process.env["PCPBOX_TEST_LOG"] === "debug" ? "debug" : "error";
const log = createLog({ program: "pmproxy", sink: fdSink(2), level });
const proxy = await startProxy(settings, log);
const say = (value: unknown): void => console.log(JSON.stringify(value));
const tcp = proxy.rows.find(({ ok, family }) => ok && family !== "unix");
say(tcp === undefined ? 0 : socketName(tcp.fd).port);

for await (const line of console) {
  const [command, operand] = line.split(" ");
  if (command === "status") say(proxy.status());
  else if (command === "gc") {
    Bun.gc(true);
    say("done");
  } else if (command === "close") {
    proxy.close();
    say("done");
  } else if (command === "drain") {
    await proxy.drain(Number(operand));
    say("done");
  }
}
process.exit(0);
