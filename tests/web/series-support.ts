// Requests about series over a store of one's own: the service around it, and the API over that, with the
// time and the zone of the recordings.
import { UTC } from "../../lib/pcp/mod.ts";
import {
  parseLoad,
  type SearchIndex,
  SeriesProblem,
  type SeriesService,
  type SeriesStore,
} from "../../lib/series/mod.ts";
import { existsSync } from "node:fs";
import { createSeriesApi, type SeriesApiOptions, type WebApi } from "../../lib/web/mod.ts";

/** What a service is made of in a test. */
export interface ServiceParts {
  readonly search?: SearchIndex;
  readonly load?: SeriesService["load"];
}

const noLoad: SeriesService["load"] = () =>
  Promise.resolve({ context: "", records: 0, values: 0, whole: true });

const NOW = { sec: 1_800_000_000, nsec: 0 };

/** Loading as far as refusing goes: nothing is loaded, but what names no archive is refused. */
export const refusingLoad: SeriesService["load"] = async (expression) => {
  const { path } = parseLoad(expression, { now: NOW, zone: UTC });
  if (!existsSync(`${path}.index`))
    throw new SeriesProblem(`cannot open archive "${path}": No such file or directory`);
  return { context: path, records: 1, values: 1, whole: true };
};

/** A service over a store. */
export const serviceOf = (
  store: SeriesStore,
  { search, load = noLoad }: ServiceParts = {},
): SeriesService => ({
  kind: "embedded",
  store,
  search,
  load,
  status: () => ({}),
  close: () => Promise.resolve(),
});

/** The API over a service. */
export const apiOver = (
  service: SeriesService | undefined,
  more: Partial<SeriesApiOptions> = {},
): WebApi =>
  createSeriesApi({
    service: () => service,
    now: () => NOW,
    zone: () => UTC,
    ...more,
  });
