// Text to the terminal or a pipe. A reader that goes away is not an error; output that fails for
// another reason makes the exit status 1. Nothing here ends the process: it ends by itself when
// everything is written, however slow the reader.

const watched = new Set<NodeJS.WriteStream>();

function writeTo(stream: NodeJS.WriteStream, text: string): void {
  if (!watched.has(stream)) {
    watched.add(stream);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") process.exitCode = 1;
    });
  }
  stream.write(text);
}

/** Results, to standard output. */
export const say = (text: string): void => writeTo(process.stdout, text);

/** Mistakes and usage, to standard error. */
export const complain = (text: string): void => writeTo(process.stderr, text);

/** Colour belongs on a terminal only, and nowhere when NO_COLOR is set (no-color.org). */
export const wantsColour = (isTerminal: boolean, env: NodeJS.ProcessEnv): boolean =>
  isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
