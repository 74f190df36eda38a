// The time zone of this machine by its name, as the link /etc/localtime has it. A machine without such
// a link has no name for its zone.
import { readlinkSync } from "node:fs";
import { asPcpError, PM_ERR } from "../base/mod.ts";

/** `:Etc/UTC`, the form that TZ takes; undefined where nothing says the name. */
export function machineZone(): string | undefined {
  let path = "";
  try {
    path = readlinkSync("/etc/localtime");
  } catch (error) {
    if (asPcpError(error).code === PM_ERR.GENERIC) throw error;
  }
  const name = /zoneinfo\/(.+)$/.exec(path)?.[1];
  return name === undefined ? undefined : `:${name}`;
}
