// The agent "example": an agent of Performance Co-Pilot, run by pcpbox.
//
//   pcpbox pmda-run ./example.ts --check        ask it by hand (desc, fetch, store, help)
//   pcpbox pmda-run ./example.ts --install      let pmcd run it; --remove undoes that
//   pcpbox pmda-run --types > pcpbox.d.ts       types of "pcpbox" for editors and type checkers
//
// Nothing has to be installed for the import below: the module is part of pcpbox.
import {
  type AgentSetting,
  createCache,
  defineAgent,
  parseUnits,
  PcpError,
  PM_ERR,
  PM_SEM,
  PM_TYPE,
} from "pcpbox";

/** Number of the instance domain below; metrics name it. */
const FRUITS = 0;

export default defineAgent({
  name: "example",
  // Every agent of a machine has a number of its own, 1 to 510. pmcd.conf and $PCP_VAR_DIR/pmns/stdpmid
  // show those in use.
  domain: 400,
  summary: "fruits, to begin with",

  // Called once at the start, also with `await`. What throws here ends the agent, with a line in its log.
  create({ log, args }: AgentSetting) {
    let fetches = 0;
    let limit = 10;

    // Instances that keep their numbers for as long as the agent runs. A fixed table is shorter:
    //   const fruits = [{ id: 0, name: "apple" }, { id: 1, name: "pear" }];
    const fruits = createCache<{ weight: number }>();
    for (const name of args.length > 0 ? args : ["apple", "pear"])
      fruits.add(name, { weight: name.length / 10 });
    log("Info", `${fruits.active().length} fruits`);

    return {
      indoms: [
        {
          serial: FRUITS,
          instances: fruits,
          oneline: "kinds of fruit",
          labels: { kind: "fruit" },
          instanceLabels: (instance) => ({ letters: fruits.byId(instance)?.name.length ?? 0 }),
        },
      ],

      metrics: [
        {
          name: "example.fetches",
          cluster: 0,
          item: 0,
          type: PM_TYPE.U32,
          sem: PM_SEM.COUNTER,
          units: parseUnits("count"),
          oneline: "how often values were asked for",
          help: "Counts requests for values of this agent, from its start.",
          fetch: () => fetches,
        },
        {
          name: "example.fruit.weight",
          cluster: 1,
          item: 0,
          type: PM_TYPE.DOUBLE,
          sem: PM_SEM.INSTANT,
          indom: FRUITS,
          oneline: "weight of each kind of fruit, in kg",
          // Called for each instance. `undefined` is no value; a fault is thrown as PcpError.
          fetch: (instance) => fruits.byId(instance)?.value?.weight,
        },
        {
          name: "example.limit",
          cluster: 0,
          item: 1,
          type: PM_TYPE.U32,
          sem: PM_SEM.DISCRETE,
          units: parseUnits("sec"),
          oneline: "a setting that pmstore(1) can change",
          labels: { writable: true },
          fetch: () => limit,
          store(value) {
            if (Number(value) > 3600) throw new PcpError(PM_ERR.BADSTORE);
            limit = Number(value);
          },
        },
      ],

      // Before the values of each fetch: the place to read a file or ask a server once, however many
      // metrics and instances are wanted. It may be async; pmcd waits five seconds at most.
      refresh() {
        fetches += 1;
      },
    };
  },
});
