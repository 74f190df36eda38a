// What an option of `[section] option` is: name, type, default, whether a reload takes it over, help and
// since when (spec proxy.md 7.2). Only the shape of a row and what makes one; the rows are in
// settings-table.ts and settings-series.ts, text is turned into values in settings-values.ts.

import type { HostPort, ProxySettings } from "./settings.ts";

/** What an option's text must be. */
export type SettingKind =
  /** Exactly `true` or `false`. */
  | "switch"
  /** `true`, `false` or any prefix of these, also the empty text (only secure.enabled). */
  | "prefix-switch"
  | "number"
  | "text"
  | "list"
  /** One of `choices`. */
  | "choice"
  /** `host:port`, comma-separated. */
  | "servers";

/** A parsed option. */
export type SettingValue = boolean | number | string | readonly string[] | readonly HostPort[];

/** One row of the table. */
export interface Setting {
  readonly section: string;
  readonly key: string;
  readonly kind: SettingKind;
  /** The default as the text that would give it; "" also where there is none. */
  readonly fallback: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Taken over by a reload; otherwise the process must be restarted. */
  readonly live: boolean;
  /** One line for people. */
  readonly help: string;
  /** The release of PCP that first read it; "never" is in PCP's file but not read by PCP. */
  readonly since: "6.0.3" | "7.2.1" | "7.2.2" | "never" | "pcpbox";
  readonly secret?: true;
  /** Texts that a "choice" can be. */
  readonly choices?: readonly string[];
  /** The same fact in settings; undefined for another name of an option that is read first. */
  readonly read?: (settings: ProxySettings) => unknown;
}

type Extra = Pick<Setting, "minimum" | "maximum" | "secret" | "choices" | "read">;

/** Makes the rows of a section. */
export const rowMaker =
  (section: string) =>
  (
    key: string,
    kind: SettingKind,
    fallback: string,
    reload: "live" | "restart",
    since: Setting["since"],
    help: string,
    extra: Extra = {},
  ): Setting => ({
    section,
    key,
    kind,
    fallback,
    live: reload === "live",
    since,
    help,
    ...extra,
  });

/** Longest time-out: what a timer of 31 bits of milliseconds can hold. */
export const TIME_LIMIT = 2 ** 31 - 1;
/** A number with its bounds. */
export const count = (
  minimum: number,
  maximum: number,
  read: (settings: ProxySettings) => unknown,
) => ({
  minimum,
  maximum,
  read,
});
/** Milliseconds, 0 allowed. */
export const time = (read: (settings: ProxySettings) => unknown) => count(0, TIME_LIMIT, read);

/** A switch whose default depends on other options. */
export const automatic = (read: (settings: ProxySettings) => boolean | undefined): Extra => ({
  choices: ["auto", "true", "false"],
  read: (settings) => String(read(settings) ?? "auto"),
});
