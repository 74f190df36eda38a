// What `help` says in the checking tool: how each command is written, as PCP's tool has it, and what
// it does, in our words. Plain data.

/** How a command is written, one line a form, and what it does. */
interface CommandHelp {
  readonly forms: readonly string[];
  readonly text: string;
}

/** Commands in the order in which `help` lists them. */
const HELP: ReadonlyMap<string, CommandHelp> = new Map(
  Object.entries({
    attr: {
      forms: ["attr name [value]", "attr attr# [value]"],
      text: `Tells the agent an attribute of the client: who it is, which process, which
container. Agents that care answer differently then. Names and values stand
in quotes.`,
    },
    children: {
      forms: ["children metric-name"],
      text: `Asks the agent for the names right below a name, and which of them are leaves.
Only agents with names of their own (dynamic metrics) know any.`,
    },
    close: {
      forms: ["close"],
      text: `Ends the connection to the agent. Another one can be opened after it.`,
    },
    debug: {
      forms: ["debug all | none", "debug [-]flag [ [-]flag ... ] (- prefix to clear)"],
      text: `Switches debug options on, by name or by old number, or off with - before the
name. The status command shows which ones are on.`,
    },
    desc: {
      forms: ["desc metric"],
      text: `Shows the descriptor of a metric, given by its name or as N.N.N.`,
    },
    fetch: {
      forms: ["fetch metric [ metric ... ]"],
      text: `Fetches metrics, given by their names or as N.N.N, and shows the result.`,
    },
    getdesc: {
      forms: ["getdesc on | off"],
      text: `With it on, a fetch asks for the descriptors first, so that values are shown as
what they are.`,
    },
    getiname: {
      forms: ["getiname on | off"],
      text: `With it on, instances of a fetch have their names in place of ???.`,
    },
    instance: {
      forms: [`instance indom# [ number | name | "name" ]`],
      text: `Lists an instance domain, or looks up one instance by number or name.`,
    },
    label: {
      forms: [
        "label context",
        "label domain",
        "label indom indom#",
        "label cluster cluster#",
        "label item metric",
        "label instances indom#",
      ],
      text: "",
    },
    name: {
      forms: ["name pmid#"],
      text: `Asks the agent for the names of a metric given as N.N.N. Only agents with names
of their own (dynamic metrics) know any.`,
    },
    namespace: {
      forms: ["namespace fname"],
      text: `Reads metric names from this file from now on. When that fails, the names from
before stay.`,
    },
    open: {
      forms: [
        "open dso dsoname init_routine [ domain# ]",
        "open pipe execname [ arg ... ]",
        "open socket unix sockname",
        "open socket inet port#|service",
        "open socket ipv6 port#|service",
      ],
      text: `Starts an agent and connects to it through a pipe, connects to one that listens
on a socket of this machine, or loads a compiled one. The words are those of a
line of pmcd.conf.`,
    },
    pmid: {
      forms: ["pmid metric-name"],
      text: `Asks the agent for the PMID of a name. Only agents with names of their own
(dynamic metrics) know any.`,
    },
    profile: {
      forms: ["profile indom# [ all | none ]", "profile indom# [ add | delete ] number"],
      text: `Changes which instances of a domain the next fetch asks for.`,
    },
    quit: { forms: ["quit"], text: `Ends the session, and the connection to the agent.` },
    status: {
      forms: ["status"],
      text: `Shows which agent is connected, the switches and the instance profile.`,
    },
    store: {
      forms: [`store metric "value"`],
      text: `Stores a value into a metric: into all of its instances that the profile has.
The metric is described and fetched before, to know its type and instances.`,
    },
    text: {
      forms: ["text metric", "text indom indom#"],
      text: `Shows the help of a metric or an instance domain: one line in brackets, then
the long text.`,
    },
    timer: {
      forms: ["timer on | off"],
      text: `With it on, each request says how long the agent took.`,
    },
    traverse: {
      forms: ["traverse metric-name"],
      text: `Asks the agent for all names at and below a name. Only agents with names of
their own (dynamic metrics) know any.`,
    },
    wait: { forms: ["wait seconds"], text: `Does nothing for this time.` },
    watch: {
      forms: ["watch logfilename"],
      text: `Opens a terminal window (xterm) that follows a log file.`,
    },
  }),
);

const lines = (forms: readonly string[]): string => forms.map((form) => `${form}\n`).join("");

/** How a command is written: what it says when it lacks its words. */
export const synopsisText = (command: string): string => lines(HELP.get(command)?.forms ?? []);

/** The answer to `help`, and to `help COMMAND`. */
export function helpText(command: string | undefined): string {
  if (command === undefined || command === "help")
    return `help [ command ]\n\n${[...HELP.values()].map(({ forms }) => lines(forms)).join("")}\n`;
  const help = HELP.get(command);
  if (help === undefined) return "";
  return `\n${lines(help.forms)}\n${help.text === "" ? "" : `${help.text}\n\n`}`;
}
