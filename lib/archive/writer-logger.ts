// The metrics that a logger writes about itself in the first and the last record of an archive (spec
// archive.md 4.1), so that readers can tell an archive that was ended well. Refuses nothing.
import {
  asIndom,
  type Desc,
  type Indom,
  indomBuild,
  PM_INDOM_NULL,
  PM_SEM,
  PM_TYPE,
  pmidBuild,
  type PmType,
  type ResultInit,
  type Timestamp,
} from "../pcp/mod.ts";

/** What the records say. */
export interface LoggerState {
  /** Process of the logger, which is also the instance. */
  readonly pid: number;
  /** Host as the logger was told it, e.g. "localhost". */
  readonly host: string;
  /** Control port. */
  readonly port: number;
  /** Absolute path of the archive's base. */
  readonly archive: string;
  readonly pmcdPid: bigint;
  readonly pmcdSequence: number;
}

const PMCD_DOMAIN = 2;
const LOGGERS: Indom = indomBuild(PMCD_DOMAIN, 1);

interface LoggerMetric {
  readonly desc: Desc;
  readonly names: readonly string[];
}

function metric(
  name: string,
  cluster: number,
  item: number,
  type: PmType,
  indom: Indom,
): LoggerMetric {
  const pmid = pmidBuild(PMCD_DOMAIN, cluster, item);
  return { desc: { pmid, type, indom, sem: PM_SEM.DISCRETE, units: 0 }, names: [name] };
}

const METRICS: readonly LoggerMetric[] = [
  metric("pmcd.pmlogger.host", 3, 3, PM_TYPE.STRING, LOGGERS),
  metric("pmcd.pmlogger.port", 3, 0, PM_TYPE.U32, LOGGERS),
  metric("pmcd.pmlogger.archive", 3, 2, PM_TYPE.STRING, LOGGERS),
  metric("pmcd.pid", 0, 23, PM_TYPE.U64, asIndom(PM_INDOM_NULL)),
  metric("pmcd.seqnum", 0, 24, PM_TYPE.U32, asIndom(PM_INDOM_NULL)),
];

/** The five metrics in their order, and the instance domain of the first three. */
export const loggerMetrics = (): {
  readonly metrics: readonly LoggerMetric[];
  readonly indom: Indom;
} => ({ metrics: METRICS, indom: LOGGERS });

/** The result of a prologue or an epilogue. */
export function loggerResult(timestamp: Timestamp, logger: LoggerState): ResultInit {
  const { pid, host, port, archive, pmcdPid, pmcdSequence } = logger;
  const values = [host, port, archive, pmcdPid, pmcdSequence];
  return {
    timestamp,
    sets: METRICS.map(({ desc }, i) => ({
      pmid: desc.pmid,
      type: desc.type,
      instances: [desc.indom === PM_INDOM_NULL ? -1 : pid],
      values: [values[i] ?? 0],
    })),
  };
}
