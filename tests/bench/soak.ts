// `make soak`: a million requests over all endpoints of the REST API, good and bad ones, from clients that
// stay, go, and go in the middle, and how much memory the server holds meanwhile. Ends with an error when
// it still grows in the second half, when a request is not answered, or when the server dies.
//
//   bun tests/bench/soak.ts [--requests N] [--clients N] [--program FILE]
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startPmcd6 } from "../helpers/pcp6.ts";
import { freePort, isListening, waitUntil } from "../helpers/ports.ts";
import { privateFolder, startDaemon } from "../helpers/process.ts";

const { values: args } = parseArgs({
  options: {
    requests: { type: "string", default: "1000000" },
    clients: { type: "string", default: "16" },
    program: { type: "string", default: join(import.meta.dir, "../../dist/pcpbox") },
  },
});
const REQUESTS = Number(args.requests);
const STEPS = 10;
/** The lowest of the last samples may be so much more than that of the first half. */
const SLACK = 1.25;

/** Requests and how often each of them comes. */
type Mix = readonly (readonly [weight: number, make: (turn: number, own: string) => string])[];

const get = (target: string, headers = ""): string =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const post = (target: string, body: string): string =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const mixOver = (host: string): Mix => {
  const on = `hostspec=${host}&polltimeout=0.2`;
  const gzip = "Accept-Encoding: gzip\r\n";
  return [
    [200, () => get(`/pmapi/fetch?${on}&names=kernel.all.load,mem.freemem`)],
    [200, (_, own) => get(`/pmapi/${own}/fetch?names=sample.bin,sample.colour`)],
    [30, (_, own) => get(`/pmapi/${own}/fetch?names=soak.sum,sample.string.hullo&client=c`)],
    // Texts that come once: nothing that is kept by text may pile up.
    [20, (turn) => get(`/pmapi/fetch?${on}&names=sample.long.one,none.n${turn}`)],
    [20, (turn) => get(`/pmapi/fetch?context=${turn}&names=x`)],
    [40, (_, own) => get(`/pmapi/${own}/metric?prefix=sample.long`)],
    [10, () => get(`/pmapi/metric?${on}&prefix=kernel`, gzip)],
    [10, (_, own) => get(`/pmapi/${own}/indom?name=sample.bin&iname=bin-1*&match=glob`)],
    [40, (_, own) => get(`/pmapi/${own}/children?prefix=sample`)],
    [2, (_, own) => get(`/pmapi/${own}/profile?expr=add&indom=29.2&instance=100`)],
    [2, (_, own) => get(`/pmapi/${own}/derive?name=soak.sum&expr=sample.long.one%2b1`)],
    [1, (turn, own) => post(`/pmapi/${own}/derive?name=soak.n${turn % 50}`, "sample.long.ten")],
    [20, (turn) => get(`/pmapi/store?${on}&name=sample.long.write_me&value=${turn}`)],
    [10, (_, own) => post(`/pmapi/${own}/store?name=sample.string.write_me`, "s".repeat(200))],
    [10, () => get(`/metrics?${on}&names=kernel.all`)],
    [10, (turn) => get(`/metrics?${on}&names=kernel.all.load&filter=x${turn}`)],
    [3, () => get(`/openmetrics?${on}&names=sample`, gzip)],
    [1, () => get(`/opentelemetry?${on}&names=kernel.all`)],
    [1, () => get(`/metrics?${on}`)],
    [10, () => get(`/pmapi/context?${on}`)],
    [1, () => get(`/pmapi/profile?${on}&expr=add`)],
    [60, () => get("/-/healthy")],
    [10, () => get("/-/metrics")],
    [10, (turn) => get(`/no/such/path/${turn}`)],
    [10, () => "OPTIONS /pmapi/context HTTP/1.1\r\nHost: x\r\n\r\n"],
    [5, () => get("/pmapi/fetch?names=%zz")],
  ];
};

/** One request after the other on a connection, until there are no more. */
class Client {
  private socket: Bun.Socket | undefined;
  private text = "";
  /** Bytes of a body that are still to come. */
  private left = 0;
  private own = "0";
  private isMaking = false;
  private leaving = false;
  private isOver = false;

  constructor(
    private readonly port: number,
    private readonly maker: string,
    /** The next request; undefined: no more. */
    private readonly next: (own: string) => string | undefined,
    private readonly told: (status: number) => void,
    private readonly over: () => void,
  ) {}

  async start(): Promise<void> {
    this.text = "";
    this.left = 0;
    this.leaving = false;
    this.socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: this.port,
      socket: {
        data: (_, bytes) => this.data(bytes),
        close: () => this.closed(),
        error: () => undefined,
      },
    });
    this.isMaking = true;
    this.socket.write(this.maker);
  }

  private closed(): void {
    if (this.isOver) return;
    // Nobody told it to go.
    if (!this.leaving) this.told(0);
    void this.start();
  }

  private data(bytes: Uint8Array): void {
    if (this.leaving) return;
    if (this.left > 0) {
      this.left -= bytes.length;
      if (this.left > 0) return;
      this.send();
      return;
    }
    this.text += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    const end = this.text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(this.text.slice(0, end))?.[1] ?? 0);
    this.left = end + 4 + length - this.text.length;
    const status = Number(this.text.slice(9, 12));
    if (this.isMaking) {
      if (this.left > 0 && this.left < 4096) {
        this.left = 0;
        return;
      }
      this.own = /"context":(\d+)/.exec(this.text)?.[1] ?? "0";
      this.isMaking = false;
    } else this.told(status);
    this.text = "";
    if (this.left <= 0) this.send();
  }

  private send(): void {
    this.left = 0;
    const request = this.next(this.own);
    if (request === undefined) {
      this.isOver = true;
      this.leaving = true;
      this.socket?.terminate();
      this.over();
      return;
    }
    this.socket?.write(request);
    // Some go away at once, without the reply; the next connection has another context.
    if (Math.random() < 0.001) {
      this.leaving = true;
      this.socket?.end();
    }
  }
}

async function main(): Promise<void> {
  const pmcd = await startPmcd6({ agents: ["linux", "sample"] });
  const host = `127.0.0.1:${pmcd.port}`;
  const folder = privateFolder("soak");
  const port = await freePort();
  writeFileSync(join(folder, "conf"), "[pmproxy]\npcp.enabled = true\nhttp.enabled = true\n");
  const places = `-l ${folder}/log -c ${folder}/conf -s ${folder}/socket`;
  const flags = `-f -A ${places} -i 127.0.0.1 -p ${port}`.split(" ");
  const proxy = startDaemon([args.program, "proxy", ...flags], join(folder, "out"));
  if (!(await waitUntil(() => isListening({ host: "127.0.0.1", port }))))
    throw new Error("the proxy did not start");

  const table = mixOver(host).flatMap(([weight, make]) =>
    Array.from({ length: weight }, () => make),
  );
  const statuses = new Map<number, number>();
  const memory = (): number => {
    const text = readFileSync(`/proc/${proxy.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN) / 1024;
  };
  const samples: number[] = [memory()];
  const begun = performance.now();
  let sent = 0;
  let running = Number(args.clients);
  console.log(`requests  resident MB  after s\n${"0".padStart(8)}  ${samples[0]?.toFixed(1)}`);
  const next = (own: string): string | undefined => {
    if (sent >= REQUESTS) return undefined;
    sent += 1;
    if (sent % (REQUESTS / STEPS) === 0) {
      samples.push(memory());
      const seconds = ((performance.now() - begun) / 1000).toFixed(0);
      console.log(`${String(sent).padStart(8)}  ${samples.at(-1)?.toFixed(1)}  ${seconds}`);
    }
    // Every request has its turn, in an order that is the same each time.
    const make = table[(sent * 7919) % table.length];
    return make?.(sent, own);
  };
  await new Promise<void>((resolve) => {
    const over = (): void => {
      running -= 1;
      if (running === 0) resolve();
    };
    const told = (status: number): void => {
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    };
    const maker = get(`/pmapi/context?hostspec=${host}&polltimeout=2`);
    for (let at = 0; at < Number(args.clients); at++)
      void new Client(port, maker, next, told, over).start();
  });
  console.log([...statuses].map(([status, count]) => `${status}: ${count}`).join(", "));
  const state = await (await fetch(`http://127.0.0.1:${port}/-/status`)).json();
  console.log(JSON.stringify((state as { web?: unknown }).web));
  await proxy.stop();
  await pmcd.stop();
  // The floors: between two collections memory goes up and down by as much as it is.
  const early = Math.min(...samples.slice(2, STEPS / 2 + 1));
  const late = Math.min(...samples.slice(-4));
  const isFlat = late < early * SLACK;
  const isWhole = (statuses.get(0) ?? 0) === 0 && (statuses.get(500) ?? 0) === 0;
  console.log(`${isFlat ? "flat" : "GROWS"}, ${isWhole ? "all answered" : "NOT ALL ANSWERED"}`);
  process.exit(isFlat && isWhole ? 0 : 1);
}

await main();
