// catalogue: time series read from the archives themselves: a catalogue of what they hold, kept up with
// them, and the store and the index that answer from it.
export { type Catalogue, openCatalogue } from "./catalogue.ts";
export { followCatalogue, rescan } from "./follow.ts";
export { type CatalogueLoad, loadCatalogue } from "./load.ts";
export * from "./open.ts";
export { embeddedSearch } from "./search.ts";
export { embeddedStore } from "./store.ts";
