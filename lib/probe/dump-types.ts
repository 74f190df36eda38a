// What a dump shows, as data: the options of pmdumplog(1) without their letters.
import type { Names, Timestamp, Zone } from "../pcp/mod.ts";

/** The parts of a dump. All that are left out are not shown. */
export interface DumpParts {
  /** The label: in short (-l) or with time zone and process (-L). */
  readonly label?: "short" | "long";
  /** Descriptors of metrics (-d). */
  readonly descriptors?: boolean;
  /** Instances of each domain as they were at each change (-i). */
  readonly instances?: boolean;
  /** Instance domain records as they stand in the file (-I). */
  readonly storedInstances?: boolean;
  /** Label sets (-e). */
  readonly labels?: boolean;
  /** Help texts (-h). */
  readonly texts?: boolean;
  /** The temporal index, with what is wrong in it (-t). */
  readonly index?: boolean;
  /** Every record with its values (-m); the default when no other part is asked for. */
  readonly values?: boolean;
}

/** How a dump is made. */
export interface DumpOptions extends DumpParts {
  /** Everything of -a: long label, descriptors, instances, index, values, sizes. */
  readonly all?: boolean;
  /** Size of each record before it (-s). */
  readonly sizes?: boolean;
  /** Marks are shown even when metrics are named (-M). */
  readonly marks?: boolean;
  /** From the last record to the first (-r). */
  readonly reverse?: boolean;
  /** Only records that are not earlier, and not later, than these (-S, -T). */
  readonly start?: Timestamp;
  readonly finish?: Timestamp;
  /** Times in full: 1 with the date, 2 also from the start, 3 also since 1970 (-x, -xx, -xxx). */
  readonly extended?: 0 | 1 | 2 | 3;
  /** Of all times (default UTC). */
  readonly zone?: Zone;
  /** Values of these metrics and those below them alone, in their order. Other parts stay whole. */
  readonly metrics?: readonly string[];
  /** Names of metrics in place of those in the archive (-n). */
  readonly names?: Names;
}
