// Time series of a catalogue of archives ready for use: the store, the index and the way to load. Refused: a
// catalogue file that cannot be written.
import { now } from "../pcp/mod.ts";
import {
  type LoadReport,
  loads,
  type OpenSeriesOptions,
  parseLoad,
  type SeriesService,
} from "../series/mod.ts";
import { type Catalogue, openCatalogue } from "./catalogue.ts";
import { type CatalogueLoad, loadCatalogue } from "./load.ts";
import { embeddedSearch } from "./search.ts";
import { embeddedStore } from "./store.ts";

/** A service over a catalogue. */
export interface EmbeddedSeriesService extends SeriesService {
  readonly kind: "embedded";
  readonly catalogue: Catalogue;
}

/** How a catalogue is used. */
export interface OpenEmbeddedSeriesOptions extends OpenSeriesOptions {
  /** File of the catalogue, or `:memory:`. */
  readonly catalogue: string;
  /** How loads are done; loadCatalogue by default, which does not give way to others. */
  readonly load?: (
    catalogue: Catalogue,
    load: CatalogueLoad,
    signal: AbortSignal,
  ) => Promise<LoadReport>;
}

/** Opens a service over a catalogue. Throws PcpError when its file cannot be used. */
export function openEmbeddedSeries(options: OpenEmbeddedSeriesOptions): EmbeddedSeriesService {
  const { zone, log, load = loadCatalogue } = options;
  const told = log === undefined ? {} : { warn: (text: string) => log("warning", text) };
  const catalogue = openCatalogue(options.catalogue, told);
  const search = options.search ? embeddedSearch(catalogue) : undefined;
  const loading = loads((expression, signal) => {
    const { path } = parseLoad(expression, { now: now(), zone });
    return load(catalogue, { path, excludeMetrics: options.use?.().excludeMetrics ?? [] }, signal);
  });
  const counts = catalogue.database.query<{ archives: number; unreadable: number }, []>(
    "SELECT count(*) AS archives, count(problem) AS unreadable FROM archive",
  );
  return {
    kind: "embedded",
    catalogue,
    store: embeddedStore(catalogue, told),
    search,
    load: loading.load,
    status: () => ({
      store: "embedded",
      catalogue: options.catalogue,
      ...catalogue.guard(() => counts.get()),
      search: search !== undefined,
      ...loading.status(),
    }),
    close: async () => {
      await loading.close();
      counts.finalize();
      catalogue.close();
    },
  };
}
