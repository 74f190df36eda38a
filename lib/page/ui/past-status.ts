// What the proxy's state says of its time series, in words: the store, the directories that it looks for
// archives in, the recorder, what loggers push. Pure. Members that are missing are left out.
import { fieldsOf, listOf, textOf } from "./types.ts";

type Fields = ReturnType<typeof fieldsOf>;
type Row = readonly [name: string, text: string];

/** Problems that are told. */
const PROBLEMS = 5;

const count = (value: unknown, word: string): string =>
  typeof value === "number" ? `${value.toLocaleString("en")} ${word}` : "";

const joined = (parts: readonly string[], by = ", "): string =>
  parts.filter((part) => part !== "").join(by);

function storeText(series: Fields): string {
  const { archives, unreadable } = series;
  switch (series["store"]) {
    case "embedded": {
      const bad = unreadable === 0 ? "" : count(unreadable, "unreadable");
      return joined(["archives themselves", count(archives, "in the catalogue"), bad]);
    }
    case "keys": {
      const servers = listOf(series["servers"]).map((each) => {
        const { host, port } = fieldsOf(each);
        return typeof each === "string" ? each : joined([textOf(host), textOf(port)], ":");
      });
      const isUp = series["connected"] === true;
      const state = isUp ? "connected" : joined(["not connected", textOf(series["reason"])], ": ");
      return joined(["key server", ...servers, state]);
    }
    default:
      return series["store"] === "none" ? "none" : textOf(series["store"]);
  }
}

function foundText(discovery: Fields): string {
  const archives = fieldsOf(discovery["archives"]);
  const waiting = archives["waiting"] === 0 ? "" : count(archives["waiting"], "wait to be read");
  const first = discovery["complete"] === false ? "the first look is not over" : "";
  return joined([
    count(archives["found"], "archives"),
    count(archives["growing"], "growing"),
    waiting,
    first,
  ]);
}

function recorderText(record: Fields): string {
  const kept = count(record["records"], "records");
  return joined([
    textOf(record["state"]),
    kept,
    textOf(record["archive"]),
    textOf(record["lastError"]),
  ]);
}

/** Rows about time series; none where the state has nothing of them. */
export function seriesRows(status: Fields): readonly Row[] {
  const [series, discovery, record, push] = ["series", "discovery", "record", "push"].map((name) =>
    fieldsOf(status[name]),
  );
  const directories = listOf(discovery?.["directories"]).map((each) => {
    const { path, watched } = fieldsOf(each);
    return joined([textOf(path), watched === "missing" ? "(not there)" : ""], " ");
  });
  const problems = listOf(discovery?.["problems"])
    .slice(0, PROBLEMS)
    .map((each) =>
      joined([textOf(fieldsOf(each)["path"]), textOf(fieldsOf(each)["problem"])], ": "),
    );
  const rows: readonly Row[] = [
    ["store", storeText(series ?? {})],
    ["search", typeof series?.["search"] === "boolean" ? (series["search"] ? "on" : "off") : ""],
    ["looks in", directories.join("\n")],
    ["found", foundText(discovery ?? {})],
    ["problems", problems.join("\n")],
    ["recorder", recorderText(record ?? {})],
    ["pushed", push?.["archives"] === 0 ? "" : count(push?.["archives"], "archives growing")],
  ];
  return rows.filter(([, text]) => text !== "");
}
