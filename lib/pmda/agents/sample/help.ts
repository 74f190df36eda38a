// Help texts of sample: what its metrics and instance domains do, and what storing into them does.

/** Items that share a text. */
type Entry = readonly [items: readonly number[], text: string];

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

const SHARED_BINS = `Shows the values of sample.bin; a value stored there is seen here too.`;
const WRAPS = `Each fetch adds nearly half of what the type can hold, so that the counter wraps
around at every second or third fetch.`;
const SLOW_WRAPS = `Each fetch adds about a tenth of the largest value of the signed type: the counter
wraps around from time to time.`;
const NEGATIVE = `Starts at -10000 and grows by one with each fetch. The metrics of the same type in
the three groups ctr, instant and discrete are one value; storing sets it for all.`;
const RESET = "Storing any value sets the count back to 0.";
const PER_SCALE =
  "The value stays for five fetches and then changes by its factor; at the end of its\nrange it starts again.";
const CLIENT = "Counted for the client that asks alone.";

const ENTRIES: readonly Entry[] = [
  [
    [0],
    `Debugging options that are set. Store names of options, joined by commas, to set others, an
empty string for none, and "-1" to end the agent.`,
  ],
  [[1], "Number of the process in which the agent runs."],
  [[2], "Whole seconds since the agent was started."],
  [[3], "Milliseconds since the agent was started, with fractions."],
  [[4], "Always 42."],
  [
    [5],
    `A saw tooth: the red one goes from 100 to 199, the green one from 200 to 299, the blue one
from 300 to 399. Behind them is one counter, which sample.mirage and
sample.mirage_longlong move as well. Storing into any instance sets the counter.`,
  ],
  [[92], "Has the instances of sample.colour and never a value for them."],
  [
    [6],
    `Nine instances from bin-100 to bin-900; at the start each has its own number as value. Store
to change single ones: all other metrics over bins follow.`,
  ],
  [[48, 103, 104, 105, 106, 107, 108, 109, 110, 113, 114, 153], SHARED_BINS],
  [[50], `${SHARED_BINS}\nEvery second instance is left out.`],
  [
    [51],
    `${SHARED_BINS}\nFour of the nine values belong to instances that the domain does not have.`,
  ],
  [[111, 112], `${SHARED_BINS}\nThe age of the agent in seconds is added to each value.`],
  [
    [7],
    `Walks at random in one direction, which changes with one fetch in five. Store to put it
elsewhere; it never goes below 0.`,
  ],
  [
    [8, 63],
    `Rises by its first value every 30 seconds. Storing into sample.step changes the height of
the steps.`,
  ],
  [[9], "Known, but never with a value."],
  [[10, 93, 20, 98, 15, 25], "A constant: 1."],
  [[11, 94, 21, 99, 16, 26], "A constant: 10."],
  [[12, 95, 22, 100, 17, 27], "A constant: 100."],
  [[13, 96, 23, 101, 18, 28], "A constant: 1000000."],
  [
    [14, 97, 24, 102, 19, 29],
    "13 until something else is stored. A label tells whether that has happened.",
  ],
  [[30], "An empty string."],
  [[31], "A greeting."],
  [[32, 35], 'The characters "13" until something else is stored.'],
  [[33], "An aggregate of no bytes."],
  [[34], "The bytes of a greeting."],
  [[36], "2 until something else is stored. A label tells whether that has happened."],
  [
    [37, 38],
    `A saw tooth for each instance, one hundred units wide. The instances come and go, by
default not more often than every 10 seconds (sample.controller.mirage); m-00 always
stays. Storing into any instance sets the counter behind all of them and behind
sample.colour.`,
  ],
  [
    [39],
    `What sysinfo(2) tells of the machine, as the bytes of its structure: uptime, load, memory
and swap.`,
  ],
  [[40], `Requests received and answers sent, for all clients together. ${RESET}`],
  [[41], `Requests received from all clients. ${RESET}`],
  [[42], `Answers sent to all clients. ${RESET}`],
  [[43], `Requests received and answers sent. ${CLIENT}`],
  [[44], `Requests received. ${CLIENT}`],
  [[45], `Answers sent. ${CLIENT}`],
  [[122], "One more than the largest number that a client has had so far."],
  [[123], "Clients that have asked something and have not gone."],
  [
    [124, 125],
    "Counts up. What has started and not ended is what sample.percontext.control.active says.",
  ],
  [[46], "A traffic light that stays in its colour for up to ten fetches."],
  [[47], "A power of two, from 2 to 64, that stays for up to five fetches."],
  [
    [49],
    `Has values only for clients whose profile names instances, as agents with very many
instances may demand it.`,
  ],
  [[1012], "The values of sample.needprofile for whoever asks, as text."],
  [[52], "The value is the number of the instance, one of 500."],
  [[53], "499 less the number of the instance."],
  [[54], "There is a name for it, but the agent says it does not know the metric."],
  [[55], "Its type says that it is not supported, and so does every fetch."],
  [[138], "Fetches succeed, without any value."],
  [[154], "Fetches fail with the request to try again."],
  [
    [56],
    `Store a number of seconds: the next request is answered with "not ready", and after that
time the agent says that it is ready again.`,
  ],
  [
    [169],
    `Store a number of milliseconds: the next request is answered with "not ready", and after
that time the agent says that it is ready again.`,
  ],
  [range(57, 60), WRAPS],
  [range(160, 163), SLOW_WRAPS],
  [
    [61],
    `How sample.dodgey.value behaves. 1 to 5: so many of its instances have values. 0 or less:
none has, and the number itself is the answer in place of a count. More than 5:
instances are there or missing at random, sometimes with an error instead, and the lot
is drawn again after up to so many fetches.`,
  ],
  [[62], "Numbers from 0 to 100 at random; sample.dodgey.control says for which instances."],
  [[64], "Grows by 800000000 with each fetch, which is enough to wrap around often."],
  [range(65, 71), PER_SCALE],
  [
    [72],
    `A counter whose rate never changes: sample.const_rate.gradient per second. It may be set to
start from elsewhere.`,
  ],
  [[73], "How much sample.const_rate.value grows each second. Store to change it."],
  [[74], "A negative number stored here is the error for all requests about sample.error_check."],
  [[75], "0, unless sample.error_code orders an error for everything about this metric."],
  [
    [76, 77, 78],
    `The instances are those of $PCP_PMDAS_DIR/sample/dynamic.indom, where each line has a number
and a name. Each fetch counts those that are there; a changed file starts all at 0.`,
  ],
  [[86], "Always 42, with the type, domain, semantics and units that clients have stored."],
  [[87], "Type of sample.dynamic.meta.metric, as a number of PM_TYPE_*. Store to change it."],
  [[88], "Instance domain of sample.dynamic.meta.metric; 4294967295 for none."],
  [[89], "Semantics of sample.dynamic.meta.metric: 1 counter, 3 instant, 4 discrete."],
  [[90], "Units of sample.dynamic.meta.metric as one word, as requests have them."],
  [[79], "How many instances sample.many.int has: 0 to 999999. Store to change it."],
  [[80], "The value is the number of the instance. sample.many.count says how many there are."],
  [[81, 83], "Grows by up to 1023 with each fetch, at random."],
  [[82, 84, 85], "0 to 1023 at random, 512 on average."],
  [[91], "How much the memory of the agent has grown since it was started."],
  [range(115, 119), "One and the same number in another scale."],
  [
    [120],
    `Counts how often the instances of sample.scramble.bin were mixed. Storing any value brings
back the first order, from which the next ones follow as before.`,
  ],
  [[121], `${SHARED_BINS}\nEach fetch has the instances in another order, about a third missing.`],
  [
    [126, 140],
    `Which of four sets of records comes next. Store 0 to 3 to choose it; -1 for a record with a
parameter that no metric describes.`,
  ],
  [
    [136, 139],
    `The instance fungus goes through four sets of records: none, one without parameters, two
with some, and several of all kinds with lost ones among them. The instance bogus has
one or two records that count its fetches.`,
  ],
  [[137], "The records of the instance bogus of sample.event.records, without a domain."],
  [[127], "A parameter of event records: what kind of record it is. No values of its own."],
  [range(128, 135), "A parameter of event records; no values of its own."],
  [range(141, 152), NEGATIVE],
  [[155], "Least milliseconds between changes of the instances of sample.mirage."],
  [[156], "Processes are numbered in the order in which they came."],
  [[157], "Last part of the path of an executable that there is not."],
  [[158], "Milliseconds since the process came."],
  [[159], "Storing any value ends all processes; the next fetch begins again with the first four."],
  [
    [164],
    `Goes up and down between sample.updown.control.min and .max in steps of
sample.updown.control.step, and shows each value for sample.updown.control.repeat
fetches.`,
  ],
  [[165], "For how many fetches sample.updown.obs keeps a value. 5 at the start."],
  [[166], "Where sample.updown.obs turns upwards. 0 at the start."],
  [[167], "Where sample.updown.obs turns downwards. 200 at the start."],
  [[168], "By how much sample.updown.obs changes. 10 at the start."],
  [[170], "1 while sample.updown.obs goes up, -1 while it goes down. Either may be stored."],
  [[171], "Storing any value brings sample.updown.* back to how it was at the start."],
  [range(172, 174), "One temperature in three units, 0 degrees Celsius at the start. Storable."],
  [range(175, 177), "One voltage in three units, 240 volts at the start. Storable."],
  [range(178, 180), "One current in three units, 13 amperes at the start. Storable."],
  [range(181, 184), "One power in four units, 42 watts at the start. Storable."],
  [[1000], 'Always "foo".'],
  ...range(1001, 1007).map((item): Entry => [[item], `A constant: ${item - 1000}.`]),
  [
    [1008],
    `How many of eight ghosts can be seen. Below 0, which it is at the start, not even the names
of the other metrics of ghosts can. Store to change it.`,
  ],
  [[1009], "Where people tell of this ghost."],
  [[1010], "As long as the name of the ghost."],
  [[1011], "0 or 1; each ghost keeps its state for one to four fetches, the last one is always 0."],
  [[1023], "Its metric identifier has the largest item number that there can be."],
];

const TEXTS: ReadonlyMap<number, string> = new Map(
  ENTRIES.flatMap(([items, text]) => items.map((item): [number, string] => [item, text])),
);

/** The help of a metric; undefined for one without. */
export const helpOf = (item: number): string | undefined => TEXTS.get(item);

/** One-line text and help of the instance domains, by serial. */
export const DOMAIN_TEXTS: Readonly<Record<number, readonly [oneline: string, help: string]>> = {
  1: ['Instance domain "colour" for sample PMDA', "Three colours: red 0, green 1, blue 2."],
  2: ['Instance domain "bin" for sample PMDA', "Nine bins: 100, 200 and so on to 900."],
  3: [
    'Instance domain "mirage" for sample PMDA',
    "m-00 is always there; others, up to m-49, come and go.",
  ],
  4: ['Instance domain "family" for sample PMDA.', "Five people, always the same."],
  5: ['Instance domain "hordes" for sample PMDA.', "500 instances that are named by numbers."],
  6: [
    'Instance domain "dodgey" for sample PMDA.',
    "Five instances at most; sample.dodgey.control says how well they can be trusted.",
  ],
  7: [
    'Instance domain "dynamic" for sample PMDA.',
    "As many as the lines of $PCP_PMDAS_DIR/sample/dynamic.indom.",
  ],
  8: ['Instance domain "many" for sample PMDA.', "As many as sample.many.count says."],
  9: ['Instance domain "scramble" for sample PMDA.', "Bins in an order that changes."],
  10: ['Instance domain "events" for sample PMDA.', "Two sources of event records."],
  11: ['Instance domain "ghosts" for sample PMDA.', "Eight ghosts, of which some can be seen."],
  12: [
    'Instance domain "procs" for sample PMDA',
    "Up to 20 invented processes: four that stay, and others that come and go.",
  ],
};
