// Starts the thread that surveys archives (survey-thread.ts). Throws where no thread can be had.

/** The thread's module: beside this one, or at its place in the executable. */
const module = (): string =>
  /\$bunfs|~BUN/.test(import.meta.url)
    ? "./lib/discover/survey-thread.ts"
    : new URL("./survey-thread.ts", import.meta.url).href;

/** A thread that waits for orders, and does not keep the process alive. */
export function surveyWorker(): Worker {
  const worker = new Worker(module());
  worker.unref();
  return worker;
}
