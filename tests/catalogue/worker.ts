// Goal: a process of its own over a catalogue, for tests that kill it, or give it little room: what it is
// told to do is done, and what it throws is printed.
//   write FILE DIRECTORY SEED   puts archives in and takes them out until it is killed; prints a line first
//   once FILE DIRECTORY         takes all archives up and prints how many are in it
import { PcpError } from "../../lib/base/mod.ts";
import { type Catalogue, openCatalogue } from "../../lib/catalogue/catalogue.ts";
import { rescan } from "../../lib/catalogue/follow.ts";
import { seeded } from "../fuzz/random.ts";

async function write(catalogue: Catalogue, directory: string, seed: number): Promise<void> {
  const random = seeded(seed);
  for (;;) {
    await rescan(catalogue, [directory]);
    const paths = catalogue.archives().map(({ path }) => path);
    catalogue.drop(paths.filter(() => random.below(3) === 0));
  }
}

const [mode, file = "", directory = "", seed = "0"] = process.argv.slice(2);
try {
  const catalogue = openCatalogue(file);
  console.log("open");
  if (mode === "write") await write(catalogue, directory, Number(seed));
  await rescan(catalogue, [directory]);
  console.log(catalogue.archives().length);
  catalogue.close();
} catch (error) {
  if (!(error instanceof PcpError)) throw error;
  console.log(error.message);
}
