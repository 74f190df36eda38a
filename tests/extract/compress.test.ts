// Goal: a compressed output holds the same archive as a plain one, in files that our reader and, where it
// is installed, the real pmdumplog take; the index stays plain; nothing stays when compression fails.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openArchiveFile, readToEnd } from "../../lib/archive/mod.ts";
import { type Compression, extract, type ExtractJob } from "../../lib/extract/mod.ts";
import { pcp7 } from "../helpers/pcp7.ts";
import { testWith } from "../helpers/peers.ts";
import { must, privateFolder } from "../helpers/process.ts";

const input = join(import.meta.dir, "../fixtures/archives/rec/v3-mv");
const FORMATS = [
  ["gzip", ".gz"],
  ["xz", ".xz"],
  ["zstd", ".zst"],
] as const;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pcpbox-compress-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(output: string, more: Partial<ExtractJob> = {}) {
  let text = "";
  const hooks = { say: (said: string): void => void (text += said) };
  const job = { inputs: [input], output, pid: 1, volume: { kind: "records", limit: 4 } as const };
  const { status } = await extract({ ...job, ...more }, hooks);
  return { status, text };
}

const files = (base: string, place = folder): string[] =>
  readdirSync(place)
    .filter((name) => name.startsWith(base) || name.startsWith(`.${base}`))
    .sort();

function contents(path: string): Uint8Array {
  const file = openArchiveFile(path);
  try {
    return readToEnd(file, 0, 1 << 24);
  } finally {
    file.close();
  }
}

describe.each(FORMATS)("%s", (compress, suffix) => {
  test("has the bytes of the plain output, but for the index compressed", async () => {
    const plain = join(folder, `plain${suffix}`);
    const packed = join(folder, `packed${suffix}`);
    expect((await run(plain)).status).toBe(0);
    for (const jobs of [1, 3]) {
      const output = `${packed}${jobs}`;
      // Several members or frames a file, the second time.
      const compressBlock = jobs === 1 ? undefined : 1000;
      expect((await run(output, { compress, jobs, compressBlock })).status).toBe(0);
      const base = `packed${suffix}${jobs}`;
      const names = files(`plain${suffix}`).map((name) => name.slice(`plain${suffix}`.length));
      expect(names.length).toBeGreaterThan(4);
      expect(files(base)).toEqual(
        names.map((name) => `${base}${name}${name === ".index" ? "" : suffix}`),
      );
      for (const name of names) {
        const made = contents(`${output}${name}${name === ".index" ? "" : suffix}`);
        expect(Buffer.from(made).equals(readFileSync(`${plain}${name}`))).toBe(true);
      }
    }
  });

  testWith("pcp7", "is read by the real program", async () => {
    const place = privateFolder("compress");
    const [plain, packed] = [join(place, "plain"), join(place, "packed")];
    await run(plain);
    await run(packed, { compress, jobs: 2, compressBlock: 1000 });
    const dump = async (base: string): Promise<string> =>
      (await must(pcp7.command(["pmdumplog", "-a", base]))).replaceAll(base, "BASE");
    expect(await dump(packed)).toBe(await dump(plain));
  });
});

test("a run that is given up leaves nothing", async () => {
  const output = join(folder, "given-up");
  const hooks = { say: () => undefined, cancelled: () => true };
  const job = { inputs: [input], output, compress: "gzip" as Compression };
  expect((await extract(job, hooks)).status).toBe(1);
  expect(files("given-up")).toEqual([]);
});

test("an xz program that fails is one error", async () => {
  const place = privateFolder("compress-fails");
  const program = join(place, "xz");
  writeFileSync(program, "#!/bin/sh\necho xz: no way >&2\nexit 3\n");
  chmodSync(program, 0o755);
  const output = join(folder, "fails");
  const env = { PATH: `${place}:${process.env["PATH"] ?? ""}` };
  const { status, text } = await run(output, { compress: "xz", env, volume: undefined });
  expect(status).toBe(1);
  expect(text).toEndWith(
    `pmlogextract: Error: compression: xz: no way\nArchive "${output}" not created.\n`,
  );
  expect(files("fails")).toEqual([]);
});

test.each(FORMATS)("%s for the desperate, who keep what was written", async (compress, suffix) => {
  const output = join(folder, `desperate${suffix}`);
  const volume = { kind: "records", limit: 4 } as const;
  writeFileSync(`${output}.1`, "taken");
  const { status } = await run(output, { compress, desperate: true, volume });
  expect(status).toBe(1);
  expect(files(`desperate${suffix}`)).toContain(`desperate${suffix}.0${suffix}`);
  const { length } = contents(`${output}.0${suffix}`);
  expect(length).toBeGreaterThan(1000);
});

test("a missing xz program is one error", async () => {
  const output = join(folder, "none");
  const { status, text } = await run(output, { compress: "xz", jobs: 2, env: { PATH: folder } });
  expect(status).toBe(1);
  expect(text).toBe("pmlogextract: Error: compression: there is no xz program in PATH\n");
  expect(files("none")).toEqual([]);
});
