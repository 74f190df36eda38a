// /proc/swaps: devices and files that memory is swapped to.
import { type Collected, keptIndom } from "./collector.ts";
import type { Host } from "./host.ts";
import { linesOf } from "./scan.ts";
import { rowsFrom } from "./table.ts";

/** One place to swap to; sizes in kilobytes. */
export interface SwapDevice {
  readonly path: string;
  readonly size: number;
  readonly used: number;
  readonly priority: number;
}

/** In the order of the file; lines of another form are left out. */
export const parseSwaps = (bytes: Uint8Array): SwapDevice[] =>
  linesOf(bytes).flatMap((line) => {
    const found = /^(\S+)\s+\S+\s+(\d+)\s+(\d+)\s+(-?\d+)$/.exec(line.trim());
    if (found?.[1] === undefined) return [];
    const [size = 0, used = 0, priority = 0] = found.slice(2).map(Number);
    return [{ path: found[1], size, used, priority }];
  });

const INDOM = 6;

const VALUES: Readonly<Record<string, (device: SwapDevice) => number>> = {
  free: ({ size, used }) => size - used,
  length: ({ size }) => size,
  maxswap: ({ size }) => size,
  vlength: () => 0,
  priority: ({ priority }) => priority,
};

/** The metrics of /proc/swaps. */
export function collectSwaps(host: Host): Collected {
  const sample = host.sampled(() => {
    const bytes = host.read("/proc/swaps");
    return bytes === undefined ? [] : parseSwaps(bytes);
  });
  const kept = keptIndom<SwapDevice>(host, INDOM);
  return {
    refreshers: new Map([
      [
        INDOM,
        () =>
          kept.replace(
            sample().map((device): readonly [string, SwapDevice] => [device.path, device]),
          ),
      ],
    ]),
    indoms: [
      {
        serial: INDOM,
        instances: kept.cache,
        oneline: "devices and files of swap space",
        labels: { device_type: ["block", "memory"], indom_name: "per swap device" },
      },
    ],
    metrics: rowsFrom(
      {
        cluster: 6,
        prefix: "swapdev.",
        type: "u32",
        sem: "discrete",
        units: "kbyte",
        indom: INDOM,
      },
      TABLE,
      ({ key }) =>
        (instance) => {
          const device = kept.get(instance);
          return device === undefined ? undefined : VALUES[key]?.(device);
        },
    ),
  };
}

const TABLE = `
0 free instant | space that is free
1 length | size
2 maxswap | largest size
3 vlength | virtual size, which Linux does not have
4 priority i32 instant none | priority
`;
