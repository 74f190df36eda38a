// A recorder of a made-up machine in a process of its own, for tests that kill it: DIRECTORY.
import { openMachine, makeMachine } from "./machine.ts";
import { startRecorder } from "../../lib/record/mod.ts";

const [directory = ""] = process.argv.slice(2);
const machine = makeMachine();
const open = openMachine(machine, Date.now);
startRecorder({
  directory,
  open: async () => {
    // Instances that come and go let metadata grow as well.
    setInterval(() => {
      const at = machine.fetched % 7;
      if (machine.disks.has(at)) machine.disks.delete(at);
      else machine.disks.set(at, `disk ${at}`);
    }, 3);
    return open();
  },
  metrics: ["m"],
  intervalSeconds: 0.002,
  freeBytes: 0,
  log: { write: (level, text) => console.log(level, text) },
});
