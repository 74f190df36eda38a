// Goal: whatever metrics a pmcd has, Prometheus, OpenMetrics and OpenTelemetry get texts that their
// strictest readers take, each metric once, in a stable order, with the values of a fetch (spec
// webapi.md 13, 14).
import { afterAll, beforeAll, expect, test } from "bun:test";
import { unitsWord } from "../../lib/pcp/mod.ts";
import { createWebApi, type WebApi } from "../../lib/web/mod.ts";
import { ucumOf, wantsJson } from "../../lib/web/opentelemetry.ts";
import { havePeers, testWith } from "../helpers/peers.ts";
import { sharedPmcd6 } from "../helpers/pcp6.ts";
import { sharedPmcd7 } from "../helpers/pcp7.ts";
import { readExposition } from "./exposition.ts";
import { ask } from "./replay.ts";

let api: WebApi;
beforeAll(async () => {
  if (!havePeers("pcp6")) return;
  const { port } = await sharedPmcd6();
  api = createWebApi({ env: { PMCD_PORT: String(port), PCP_DERIVED_CONFIG: "" } });
}, 300_000);
afterAll(async () => {
  await api?.close();
});

async function get(target: string, headers = {}) {
  const got = await ask(api, target, { headers });
  if (got === undefined) throw new Error(`no answer to ${target}`);
  return got;
}

testWith("pcp6", "/metrics is what Prometheus takes, every metric once", async () => {
  const got = await get("/metrics");
  expect([got.status, got.type]).toEqual([200, "text/plain"]);
  const families = readExposition(got.body, false);
  expect(families.length).toBeGreaterThan(100);
  const again = readExposition((await get("/metrics")).body, false);
  expect(again.map(({ name }) => name)).toEqual(families.map(({ name }) => name));
  const one = families.find(({ name }) => name === "sample_long_one");
  expect([...(one?.samples.values() ?? [])]).toEqual([1]);
});

testWith("pcp6", "/openmetrics keeps the letter of OpenMetrics", async () => {
  const got = await get("/openmetrics");
  expect([got.status, got.type]).toEqual([
    200,
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  ]);
  const families = readExposition(got.body, true);
  expect(families.length).toBeGreaterThan(100);
  const rate = families.find(({ name }) => name === "sample_kbyte_rate_kbyte_per_sec");
  expect([rate?.type, rate?.unit]).toEqual(["gauge", "kbyte_per_sec"]);
  const counter = families.find(({ name }) => name === "sample_byte_ctr_byte");
  expect([...(counter?.samples.keys() ?? [])][0]).toStartWith("sample_byte_ctr_byte_total{");
  const timed = await get("/openmetrics?names=sample.long.one&times=true");
  expect(timed.body).toMatch(/\} 1 \d+\.\d{3}\n# EOF\n$/);
});

testWith("pcp7", "the metrics of PCP 7, too", async () => {
  const { port } = await sharedPmcd7();
  const host = `hostspec=localhost:${port}`;
  const strict = readExposition((await get(`/openmetrics?${host}`)).body, true);
  const plain = readExposition((await get(`/metrics?${host}`)).body, false);
  expect(strict.length).toBeGreaterThan(100);
  expect(plain.length).toBeGreaterThanOrEqual(strict.length);
  const telemetry = JSON.parse((await get(`/opentelemetry?${host}`)).body) as Telemetry;
  expect(telemetry.resourceMetrics[0]?.scopeMetrics[0]?.metrics).toHaveLength(plain.length);
});

testWith("pcp6", "/openmetrics answers unknown names with an error", async () => {
  const got = await get("/openmetrics?names=sample.long.one,nosuch");
  expect(got.status).toBe(400);
  expect(JSON.parse(got.body)).toMatchObject({ message: "'nosuch' - Unknown metric name" });
  expect((await get("/openmetrics?names=sample.string.hullo")).body).toBe("# EOF\n");
});

testWith("pcp6", "names of PCP can be read again, also of metrics that would be one", async () => {
  const context = /"context":(\d+)/.exec((await get("/pmapi/context")).body)?.[1];
  for (const name of ["soak.a_b", "soak_a.b"])
    await get(`/pmapi/${context}/derive?name=${name}&expr=sample.long.one`);
  const names = `context=${context}&names=soak.a_b,soak_a.b,sample.byte_ctr`;
  const families = readExposition((await get(`/openmetrics?${names}`)).body, true);
  const nameOf = ({ help }: { readonly help: string }): string => help.split(":", 1)[0] ?? "";
  expect(families.map(nameOf)).toEqual(["soak.a_b", "soak_a.b", "sample.byte_ctr"]);
  expect(families.map(({ name }) => name)).toEqual([
    "soak_a_b",
    expect.stringMatching(/^soak_a_b_511_\d+_\d+$/),
    "sample_byte_ctr_byte",
  ]);
  const whole = readExposition((await get("/openmetrics")).body, true);
  const all = (await get("/pmapi/children?prefix=sample.long")).body;
  const { leaf } = JSON.parse(all) as { readonly leaf: readonly string[] };
  const told = new Set(whole.map(nameOf));
  for (const name of leaf) expect([name, told.has(`sample.long.${name}`)]).toEqual([name, true]);
});

testWith("pcp6", "filters leave metrics out", async () => {
  const names = async (filter: string) =>
    readExposition((await get(`/metrics?names=sample.long&${filter}`)).body, false).map(
      ({ name }) => name,
    );
  expect(await names("")).toContain("sample_long_ten");
  expect(await names("filter=*.ten,*.bin*")).not.toContain("sample_long_ten");
  expect(await names("filter=ten$&match=regex")).not.toContain("sample_long_ten");
  expect(await names("filter=sample.long.ten&match=exact")).not.toContain("sample_long_ten");
  expect(await names("filter=ten&match=exact")).toContain("sample_long_ten");
  expect((await get("/metrics?filter=x&match=like")).status).toBe(400);
});

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number };
}
interface Points {
  readonly dataPoints: readonly {
    readonly attributes: readonly Attribute[];
    readonly timeUnixNano: string;
    readonly asInt?: string;
    readonly asDouble?: string;
  }[];
}
interface Telemetry {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly name: string;
        readonly unit: string;
        readonly sum?: Points;
        readonly gauge?: Points;
      }[];
    }[];
  }[];
}

testWith("pcp6", "OpenTelemetry gets its structure, at both paths", async () => {
  const names = "names=sample.long.one,sample.byte_ctr,sample.colour,sample.float.ten";
  const direct = await get(`/opentelemetry?${names}`);
  expect([direct.status, direct.type]).toEqual([200, "application/json"]);
  const chosen = await get(`/metrics?${names}`, { accept: "application/json" });
  const [resource] = (JSON.parse(chosen.body) as Telemetry).resourceMetrics;
  expect(resource?.resource.attributes.map(({ key }) => key)).toContain("hostname");
  const metrics = resource?.scopeMetrics[0]?.metrics ?? [];
  const one = metrics.find(({ name }) => name === "sample.long.one");
  expect(one?.gauge?.dataPoints).toHaveLength(1);
  const [point] = one?.gauge?.dataPoints ?? [];
  expect(point?.asInt).toBe("1");
  expect(Math.abs(Number(point?.timeUnixNano) / 1e6 - Date.now())).toBeLessThan(60_000);
  const counter = metrics.find(({ name }) => name === "sample.byte_ctr");
  expect([counter?.unit, counter?.sum?.dataPoints.length]).toEqual(["By", 1]);
  const colour = metrics.find(({ name }) => name === "sample.colour");
  const attributes = colour?.gauge?.dataPoints[2]?.attributes ?? [];
  expect(attributes.map(({ key }) => key).slice(-2)).toEqual(["instname", "instid"]);
  expect(attributes.at(-1)?.value).toEqual({ intValue: 2 });
  const whole = JSON.parse((await get("/opentelemetry")).body) as Telemetry;
  expect(whole.resourceMetrics[0]?.scopeMetrics[0]?.metrics.length).toBeGreaterThan(100);
});

test("units in UCUM, and what an Accept header wants", () => {
  const units = (fields: Parameters<typeof unitsWord>[0]): string => ucumOf(unitsWord(fields));
  expect(units({})).toBe("1");
  expect(units({ dimSpace: 1, scaleSpace: 1, dimTime: -1, scaleTime: 3 })).toBe("KiBy.s-1");
  expect(units({ dimCount: 1 })).toBe("{count}");
  expect(units({ dimCount: 1, scaleCount: 6, dimSpace: -2 })).toBe("By-2.M{count}");
  expect(units({ dimCount: 1, scaleCount: 2 })).toBe("10^2{count}");
  expect(wantsJson(undefined)).toBe(false);
  expect(wantsJson("text/html, application/json;q=0.5")).toBe(true);
  expect(wantsJson("text/plain, application/json")).toBe(false);
});
