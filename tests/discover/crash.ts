// A process that follows a directory into a catalogue until it is killed; see crash.test.ts.
import { catalogueSink, startDiscovery } from "../../lib/discover/mod.ts";
import { openCatalogue } from "../../lib/catalogue/catalogue.ts";

const [directory = "", file = ""] = process.argv.slice(2);
const catalogue = openCatalogue(file);
startDiscovery({ directories: [directory], sink: catalogueSink(catalogue), leastPause: 0 });
setInterval(() => undefined, 1000);
