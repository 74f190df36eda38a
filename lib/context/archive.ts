// Contexts over archives and sets of archives (spec archive.md 7 to 12): everything that libpcp does
// over PM_CONTEXT_ARCHIVE but derived metrics, which derived.ts adds around any context. Refused with
// PCP's codes: archives that cannot be opened, PM_ERR_MODE for modes of other contexts,
// PM_ERR_NOTHOST for stores, PM_ERR_NOCONTEXT after the end.
import {
  type ArchiveLabel,
  type ArchiveSet,
  compareTimes,
  type Instances,
  openArchives,
} from "../archive/mod.ts";
import { PM_ERR, PcpError } from "../base/mod.ts";
import {
  type Indom,
  type InstanceId,
  newZone,
  type Pmid,
  ResultView,
  type Timestamp,
} from "../pcp/mod.ts";
import { checkProfile, createProfile, type InstanceProfile } from "../pdu/mod.ts";
import * as metadata from "./archive-metadata.ts";
import type { Filter } from "./archive-result.ts";
import { type ContextEnv, type SharedArchive, shareArchive } from "./archive-shared.ts";
import { createSteps } from "./archive-steps.ts";
import { checkMode, checkTime, closedError, noDerived } from "./base.ts";
import { createInterpolation } from "./interpolate.ts";
import { normalTime } from "./interpolate-walk.ts";
import { createPacer } from "./pace.ts";
import { createCallQueue } from "./queue.ts";
import { type ArchiveContext, type Mode, PM_MODE } from "./types.ts";

/** How an archive context is opened. */
export interface ArchiveContextOptions {
  /** PCP_COUNTER_WRAP and PCP_IGNORE_MARK_RECORDS are looked at; the process's unless given. */
  readonly env?: ContextEnv;
  /** Hears of members of a set that are left out, once of each, and of settings that are not used. */
  readonly warn?: (message: string) => void;
  /** The archive is still being written: its end is not damage, and new records are looked for. */
  readonly growing?: boolean;
  /** A set that is open already; `names` are then only what it is called. */
  readonly set?: ArchiveSet;
}

/** What a context begins with: its own place in an archive that others may share. */
interface Start {
  readonly name: string;
  readonly shared: SharedArchive;
  readonly origin: Timestamp;
  readonly mode: Mode;
  readonly delta: Timestamp;
  readonly profile: InstanceProfile;
}

const NO_DELTA: Timestamp = { sec: 0, nsec: 0 };

class ArchiveReader implements ArchiveContext {
  readonly type = "archive";
  readonly name: string;
  mode: Mode;
  origin: Timestamp;
  private delta: Timestamp;
  private readonly shared: SharedArchive;
  private readonly profile: InstanceProfile;
  private readonly queue = createCallQueue();
  private readonly pacer = createPacer(() => this.checkOpen());
  private readonly steps;
  private readonly interpolation;
  private readonly filter: Filter = (indom) =>
    this.profile.wantsAll(indom) ? undefined : (instance) => this.profile.wants(indom, instance);

  constructor(start: Start) {
    this.name = start.name;
    this.shared = start.shared;
    this.profile = start.profile;
    this.mode = start.mode;
    this.origin = start.origin;
    this.delta = start.delta;
    this.steps = createSteps(this.shared, this, this.pacer);
    this.interpolation = createInterpolation(this.shared, this, this.pacer);
    this.place();
  }

  private checkOpen(): void {
    if (this.queue.closed !== undefined) throw this.queue.closed;
  }

  private run<T>(body: () => T | Promise<T>): Promise<T> {
    return this.queue.run(() => {
      const pause = this.pacer.tick();
      return pause === undefined ? body() : pause.then(body);
    });
  }

  /** The label of the member that is being read, or that the next fetch begins in. */
  private current(): ArchiveLabel {
    if (this.mode !== PM_MODE.INTERP && this.steps.placed) return this.steps.cursor.archive.label;
    const { members, label } = this.shared.set;
    const begun = members.findLast((member) => compareTimes(member.label.start, this.origin) <= 0);
    return begun?.label ?? label;
  }

  private place(): void {
    this.interpolation.place(this.delta);
    this.steps.place(this.mode === PM_MODE.FORW ? "forward" : "backward");
  }

  lookupNames(names: readonly string[]) {
    return this.run(() => metadata.lookupNames(this.shared, names));
  }
  namesOf(pmid: Pmid) {
    return this.run(() => metadata.namesOf(this.shared, pmid));
  }
  children(name: string) {
    return this.run(() => metadata.children(this.shared, name));
  }
  traverse(name: string) {
    return this.run(() => metadata.traverse(this.shared, name));
  }
  desc(pmid: Pmid) {
    return this.run(() => metadata.lookupDesc(this.shared, pmid));
  }
  descs(pmids: readonly Pmid[]) {
    return this.run(() => metadata.lookupDescs(this.shared, pmids));
  }

  private instancesNow(indom: Indom): Instances {
    return metadata.instancesAt(this.shared, indom, normalTime(this.origin));
  }
  instances(indom: Indom) {
    return this.run(() => this.instancesNow(indom));
  }
  instanceName(indom: Indom, instance: InstanceId) {
    return this.run(() => metadata.nameIn(indom, this.instancesNow(indom), instance));
  }
  instanceId(indom: Indom, name: string) {
    return this.run(() => metadata.instanceIn(indom, this.instancesNow(indom), name));
  }
  archiveInstances(indom: Indom) {
    return this.run(() => metadata.archiveInstances(this.shared, indom));
  }
  archiveInstanceName(indom: Indom, instance: InstanceId) {
    return this.run(() =>
      metadata.nameIn(indom, metadata.archiveInstances(this.shared, indom), instance),
    );
  }
  archiveInstanceId(indom: Indom, name: string) {
    return this.run(() => metadata.archiveInstance(this.shared, indom, name));
  }

  text(
    subject: Parameters<ArchiveContext["text"]>[0],
    ident: Pmid | Indom,
    level: "oneline" | "help",
    direct = false,
  ) {
    return this.run(() => metadata.lookupText(this.shared, subject, ident, level, direct));
  }
  labels(level: number, ident: number) {
    return this.run(() => {
      const { host } = this.current();
      return metadata.labelsAt(this.shared, level, ident, normalTime(this.origin), host);
    });
  }

  addProfile(indom: Indom, instances?: readonly InstanceId[]): void {
    checkProfile(indom, instances);
    this.queue.note(() => this.profile.add(indom, instances));
  }
  deleteProfile(indom: Indom, instances?: readonly InstanceId[]): void {
    checkProfile(indom, instances);
    this.queue.note(() => this.profile.delete(indom, instances));
  }

  setMode(mode: Mode, when?: Timestamp, delta: Timestamp = NO_DELTA): void {
    this.checkOpen();
    checkMode("archive", mode);
    checkTime(when);
    checkTime(delta);
    this.queue.note(() => {
      this.mode = mode;
      this.delta = delta;
      if (when !== undefined) this.origin = when;
      this.place();
    });
  }

  fetch(pmids: readonly Pmid[]) {
    return this.run(() => {
      if (pmids.length === 0) throw new PcpError(PM_ERR.TOOSMALL, "no metrics to fetch");
      const reader = this.mode === PM_MODE.INTERP ? this.interpolation : this.steps;
      const filter = this.profile.wantsEverything ? undefined : this.filter;
      const result = reader.fetch(pmids, filter);
      if (result instanceof ResultView) return { changes: 0, result };
      return result.then((later) => ({ changes: 0, result: later }));
    });
  }
  fetchArchive(): Promise<ResultView> {
    return this.run(() => {
      if (this.mode !== PM_MODE.INTERP) return this.steps.fetchArchive();
      throw new PcpError(PM_ERR.MODE, "an archive has no whole records while it interpolates");
    });
  }
  store() {
    return this.run<void>(() => {
      throw new PcpError(PM_ERR.NOTHOST, "nothing can be stored into an archive");
    });
  }

  label() {
    return this.shared.set.label;
  }
  end() {
    return this.shared.end();
  }
  hostName() {
    return this.run(() => this.current().host);
  }
  zone() {
    return this.run(() => newZone(this.current().timezone));
  }

  /** Derived metrics are added around a context, by whoever makes it for a user. */
  addDerived(): Promise<void> {
    return noDerived();
  }
  duplicate(): Promise<ArchiveContext> {
    return this.run(() => {
      const { name, shared, origin, mode, delta } = this;
      const profile = this.profile.duplicate();
      return new ArchiveReader({ name, shared, origin, mode, delta, profile });
    });
  }
  /** There is nothing to connect. */
  reconnect() {
    return this.run(() => undefined);
  }
  async close() {
    if (this.queue.closed !== undefined) return;
    // A search under way ends at its next pause.
    await this.queue.close(closedError());
    this.steps.close();
    this.interpolation.close();
  }
}

/**
 * Opens a context over what the names stand for: archives, directories of archives, comma lists of
 * these (spec archive.md 8.1), as pmNewContext(PM_CONTEXT_ARCHIVE). The mode is FORW, the origin the
 * start of the first archive. Rejects with PcpError, the codes of spec archive.md 5 and 8.
 */
export async function openArchiveContext(
  names: string | readonly string[],
  options: ArchiveContextOptions = {},
): Promise<ArchiveContext> {
  const name = typeof names === "string" ? names : names.join(",");
  const told = new Set<string>();
  const warn = (message: string): void => {
    if (told.has(message)) return;
    told.add(message);
    options.warn?.(message);
  };
  const set = options.set ?? openArchives(name, { growing: options.growing === true, warn });
  const shared = shareArchive(set, options.env ?? process.env);
  return new ArchiveReader({
    name,
    shared,
    origin: shared.start,
    mode: PM_MODE.FORW,
    delta: NO_DELTA,
    profile: createProfile(),
  });
}
