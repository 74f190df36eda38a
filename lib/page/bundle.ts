// Makes the page out of `ui`: script and style bundled and put into the HTML, so that it is one
// document without any other file. Runs inside the bundler (a macro), never in the program itself.
// Refuses, by throwing, what would break the document.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = import.meta.dir;

/** Bundles one file for browsers; its output, minified. */
function bundled(entry: string): string {
  const path = join(folder, entry);
  const argv = [process.execPath, "build", path, "--target=browser", "--minify"];
  const { stdout, stderr, exitCode } = Bun.spawnSync(argv, { cwd: folder });
  if (exitCode !== 0) throw new Error(`page: ${entry} cannot be bundled\n${stderr.toString()}`);
  const text = stdout.toString().trim();
  // It stands between tags, which end where the text says so; U+2028 ends no line in scripts.
  if (/<\/(script|style)|<!--/i.test(text)) throw new Error(`page: ${entry} has a tag in it`);
  return text;
}

/** The document. The same sources give the same bytes. */
export function bundlePage(): string {
  const notices = readFileSync(Bun.resolveSync("uplot/LICENSE", folder), "utf8");
  const parts: Readonly<Record<string, string>> = {
    STYLE: `<style>${bundled("ui/style.css")}</style>`,
    SCRIPT: `<script type="module">${bundled("ui/main.ts")}</script>`,
    NOTICES: `<!--\nuPlot\n${notices.trim()}\n-->`,
  };
  const html = readFileSync(join(folder, "ui/index.html"), "utf8");
  return html.replace(/<!-- ([A-Z]+) -->/g, (_, name: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`page: nothing is called ${name}`);
    return part;
  });
}
