// The data pass (spec extract.md 7 to 10): records of all inputs merged by time, marks where an input
// ends, the daily window. One record of each input waits for its turn; the least time comes next, of
// equal times that of the earlier argument. Damage ends an input with a message, not the run.
import { PM_ERR, PcpError, pmErrStr } from "../base/mod.ts";
import { type ArchiveVersion, dataHead } from "../archive/mod.ts";
import {
  addSpan,
  compareTimes,
  type Instant,
  pmExtractValue,
  PM_TYPE,
  type PmType,
  ResultView,
  type Timestamp,
  type Zone,
} from "../pcp/mod.ts";
import {
  type Ahead,
  firstBeyond,
  lookAhead,
  nothingAhead,
  passOver,
  type TimeLimit,
} from "./ahead.ts";
import { culledText } from "./culled.ts";
import type { DescriptionWriter } from "./descriptions.ts";
import { type Cut, CutWriter, makeCut } from "./cuts.ts";
import { Encoder } from "./encode.ts";
import { damageText, ExtractStop, PROGRAM } from "./failure.ts";
import type { Input } from "./inputs.ts";
import { keepLayout, type Layout, matchLayout } from "./layouts.ts";
import type { Output } from "./output.ts";
import { DamagedRecord, OpenFiles, RecordReader, UnreadableVolume } from "./reader.ts";
import {
  match,
  type Match,
  MATCH,
  PMCD_PID,
  PMCD_SEQNUM,
  type Shape,
  type Shapes,
} from "./shapes.ts";
import { isBefore, rise, sink } from "./turns.ts";
import type { ExtractHooks } from "./types.ts";

/** Between the last record of an input and its mark. */
const MILLISECOND = { sec: 0, nsec: 1_000_000 };
const DAY = 86_400;
/** Shapes that an input's records are compared with before all others. */
const RECENT = 8;
/** Records, and bytes of them, after which the time is looked at and other threads are asked. */
const STEP_RECORDS = 4096;
const STEP_BYTES = 4 * 1024 * 1024;

/** What an input waits for. */
type State = "record" | "mark" | "ended" | "nothing";

/** One input during the pass. */
interface Source {
  readonly input: Input;
  readonly order: number;
  readonly reader: RecordReader;
  state: State;
  /** Time of the last record read, kept or not. */
  sec: number;
  nsec: number;
  /** Of the pmcd that the values came from; undefined: not told. */
  pid: number | bigint | undefined;
  seqnum: number | bigint | undefined;
  /** Of the waiting record; undefined for a mark. */
  shape: Shape | undefined;
  /** Its layout, where that is known. */
  layout: Layout | undefined;
  /** The waiting record can be copied as it is; at least its padding can. */
  plain: boolean;
  even: boolean;
  readonly recent: Shape[];
  /** Records after it that were looked at already. */
  readonly ahead: Ahead;
  damaged: boolean;
}

/** Everything that a pass works with. */
export interface PassOptions {
  readonly inputs: readonly Input[];
  readonly version: ArchiveVersion;
  readonly output: Output;
  readonly shapes: Shapes;
  readonly descriptions: DescriptionWriter;
  readonly hooks: ExtractHooks;
  /** Of messages. */
  readonly zone: () => Zone;
  /** Latest end of all inputs; undefined: no limit. */
  readonly logEnd: Timestamp | undefined;
  readonly start: Instant | undefined;
  readonly finish: Instant | undefined;
  readonly daily: boolean;
  readonly alwaysMark: boolean;
  readonly samples: number | undefined;
}

/** Whether there is no metadata to write for a record of this time. */
const isQuiet = ({ from, until }: Shape, now: Timestamp): boolean =>
  from !== undefined && !isBefore(now, from) && (until === undefined || isBefore(now, until));

const timeOf = ({ sec, nsec }: Timestamp): Timestamp => ({ sec, nsec });

/** Merges all inputs into the output. */
export class DataPass {
  /** The last record or mark that was chosen. */
  readonly current = { sec: 0, nsec: 0 };
  readonly sources: readonly Source[];
  private readonly files = new OpenFiles();
  private readonly encoder: Encoder;
  private readonly cutter: CutWriter;
  /** Inputs that wait with a record or a mark, as a heap by time and order. */
  private heap: Source[] = [];
  private first = true;
  private readonly limit: TimeLimit = { sec: 0, nsec: 0 };
  private start: Instant | undefined;
  private finish: Instant | undefined;

  constructor(private readonly options: PassOptions) {
    const { inputs, output, version } = options;
    this.start = options.start;
    this.finish = options.finish;
    this.encoder = new Encoder(version);
    this.cutter = new CutWriter(version, () => output.settle());
    this.sources = inputs.map((input, order) => ({
      input,
      order,
      reader: new RecordReader(input, this.files, () => output.settle()),
      state: "nothing",
      sec: 0,
      nsec: 0,
      pid: undefined,
      seqnum: undefined,
      shape: undefined,
      layout: undefined,
      plain: false,
      even: true,
      recent: [],
      ahead: nothingAhead(),
      damaged: false,
    }));
  }

  /** Whether anything was written. */
  get began(): boolean {
    return !this.first;
  }

  close(): void {
    this.files.closeAll();
  }

  /** Bytes of data volumes read so far. */
  get bytesRead(): number {
    let sum = 0;
    for (const { reader } of this.sources) sum += reader.bytesRead;
    return sum;
  }

  /** Reads the first records; to be called once before `step`. */
  begin(): void {
    if (this.options.samples === 0) return;
    for (const source of this.sources) {
      this.fill(source);
      if (source.state !== "ended") rise(this.heap, source);
    }
  }

  /** Works for a while; false when all is done. */
  step(): boolean {
    const { output, samples = Number.POSITIVE_INFINITY } = this.options;
    const bytes = output.counts.data + STEP_BYTES;
    for (let i = 0; i < STEP_RECORDS && output.counts.data < bytes && !output.full; i++) {
      if (output.counts.records >= samples) return false;
      if (samples === Number.POSITIVE_INFINITY) this.writeTogether();
      const source = this.choose();
      if (source === undefined) return false;
      const { finish } = this;
      const { logEnd } = this.options;
      if (logEnd !== undefined && isBefore(logEnd, source)) return false;
      if (finish !== undefined && isBefore(finish, source)) {
        if (!this.options.daily || !this.nextDay()) return false;
        continue;
      }
      this.current.sec = source.sec;
      this.current.nsec = source.nsec;
      if (source.state === "mark") {
        this.endOf(source);
        this.remove(source);
        continue;
      }
      this.write(source);
      if (output.counts.records >= samples) return false;
      source.state = "nothing";
      this.fill(source);
      if (source === this.heap[0] && (source.state as State) !== "ended") sink(this.heap);
      else this.remove(source, (source.state as State) !== "ended");
    }
    return true;
  }

  /**
   * The input whose turn it is. A time of exactly 0 counts as not set, as in the C program: the next
   * input takes the place, whatever its time.
   */
  private choose(): Source | undefined {
    const top = this.heap[0];
    if (top === undefined || top.sec !== 0 || top.nsec !== 0) return top;
    let least: Source | undefined;
    for (const source of this.sources) {
      if (source.state !== "record" && source.state !== "mark") continue;
      const unset = least?.sec === 0 && least.nsec === 0;
      if (least === undefined || unset || isBefore(source, least)) least = source;
    }
    return least;
  }

  /** Reads on to the next record that is kept, or to the end. */
  private fill(source: Source): void {
    const { reader, ahead } = source;
    for (;;) {
      const seen = ahead.next < ahead.count;
      if (seen) this.takeAhead(source);
      else if (!this.read(source)) {
        source.state = this.first ? "ended" : "mark";
        reader.close();
        return;
      }
      source.sec = reader.sec;
      source.nsec = reader.nsec;
      const { shape } = source;
      if (shape?.logger === true) this.noteLogger(source);
      else if (!seen && source.layout !== undefined) this.look(source, source.layout);
      const early = this.start !== undefined && isBefore(source, this.start);
      if (early || (shape !== undefined && !shape.kept)) {
        this.passOver(source);
        continue;
      }
      source.state = "record";
      return;
    }
  }

  /** Looks at the records after the one at hand. */
  private look({ reader, shape, ahead, plain }: Source, layout: Layout): void {
    if (shape === undefined) return;
    const { bytes, words, at, length, version } = reader;
    // Only what is copied, or left out, may have instances of its own.
    const layouts = plain || !shape.kept ? shape.layouts : [layout];
    lookAhead(ahead, layouts, bytes, words, (at + length) >> 2, version, reader);
    shape.met += ahead.count;
  }

  /** Makes the next record that was looked at the one at hand. */
  private takeAhead({ reader, ahead }: Source): void {
    const number = ahead.next;
    const from = ahead.from;
    const to = passOver(ahead, number + 1);
    const sec = ahead.seconds[number] as number;
    reader.stand(from << 2, (to - from) << 2, sec, ahead.nanoseconds[number] as number);
  }

  /** Passes over records that were looked at and are not kept. */
  private passOver(source: Source): void {
    const { reader, shape, ahead } = source;
    const { next, count } = ahead;
    if (next === count) return;
    const { limit, start } = this;
    limit.sec = Number.POSITIVE_INFINITY;
    limit.nsec = 0;
    if (shape?.kept === true && start !== undefined) this.lower(start, 0);
    const number = firstBeyond(ahead, limit, Number.POSITIVE_INFINITY, count);
    if (number === next) return;
    const end = passOver(ahead, number) << 2;
    source.sec = ahead.seconds[number - 1] as number;
    source.nsec = ahead.nanoseconds[number - 1] as number;
    reader.skipTo(end, number - next, source.sec, source.nsec);
  }

  /** Steps to the next record and checks it; false at the end and at damage, which is reported. */
  private read(source: Source): boolean {
    const { reader } = source;
    try {
      if (!reader.next()) return false;
      source.shape = reader.numpmid === 0 ? this.checkMark(source) : this.shapeOf(source);
      return true;
    } catch (error) {
      if (!(error instanceof PcpError)) throw error;
      source.damaged = true;
      this.reportDamage(source, error);
      return false;
    }
  }

  private checkMark(source: Source): undefined {
    const { reader } = source;
    source.even = true;
    source.layout = undefined;
    // Nothing may stand between the count of metrics and the last length word.
    if (reader.setsAt + 4 !== reader.at + reader.length) throw reader.damage(false);
  }

  /** The shape of the record at hand, which is then checked. */
  private shapeOf(source: Source): Shape {
    const { reader, recent } = source;
    const { view, at, setsAt, numpmid, length } = reader;
    const end = at + length - 4;
    for (let i = 0; i < recent.length; i++) {
      const shape = recent[i] as Shape;
      if (shape.pmids.length !== numpmid) continue;
      if (this.isKnown(source, shape)) return shape;
      const found = match(shape, view, at, setsAt, end);
      if (found === MATCH.OTHER) continue;
      if (i > 0) {
        recent.splice(i, 1);
        recent.unshift(shape);
      }
      return this.useShape(source, shape, found);
    }
    const shape = numpmid > 0 ? this.options.shapes.of(view, setsAt, numpmid, end) : undefined;
    if (shape === undefined) throw reader.damage(false);
    recent.unshift(shape);
    if (recent.length > RECENT) recent.pop();
    // Another input may have had records like it.
    if (this.isKnown(source, shape)) return shape;
    return this.useShape(source, shape, match(shape, view, at, setsAt, end));
  }

  /** Whether the record at hand has a layout that records of this shape had; takes it then. */
  private isKnown(source: Source, shape: Shape): boolean {
    const { reader } = source;
    const { bytes, words, at, setsAt, length } = reader;
    const whole = (at & 3) === 0 && words.length > 0;
    source.layout = whole
      ? matchLayout(shape, bytes, words, at >> 2, (setsAt - at) >> 2, length)
      : undefined;
    if (source.layout === undefined) return false;
    source.even = true;
    source.plain = this.isPlain(source, shape);
    return true;
  }

  /** Takes a shape for the record at hand, or refuses that. */
  private useShape(source: Source, shape: Shape, found: Match): Shape {
    const { reader } = source;
    if (found === MATCH.BROKEN) throw reader.damage(false);
    source.even = found === MATCH.SOUND;
    source.plain = source.even && this.isPlain(source, shape);
    const { words, at, setsAt } = reader;
    const whole = found === MATCH.SOUND && (at & 3) === 0 && words.length > 0;
    const head = (setsAt - at) >> 2;
    source.layout = whole
      ? keepLayout(shape, words, at >> 2, head, shape.pmids.length, !source.plain && shape.kept)
      : undefined;
    return shape;
  }

  /** Whether sound records of a shape with even padding are copied as they are. */
  private isPlain({ reader }: Source, shape: Shape): boolean {
    return shape.plan === undefined && reader.version === this.options.version;
  }

  private reportDamage({ input, reader }: Source, error: PcpError): void {
    const what = `__pmLogRead[log ${input.name}]`;
    if (error instanceof UnreadableVolume) {
      this.options.hooks.say(`${PROGRAM}: Error: ${what}: ${error.message}\n`, "stderr");
      throw new ExtractStop(1, true);
    }
    const { offset, fileBytes } = error instanceof DamagedRecord ? error : reader.damage(true);
    this.options.hooks.say(damageText(what, error, offset, fileBytes), "stderr");
    if (error.code !== PM_ERR.LOGREC) throw new ExtractStop(1, true);
  }

  /** Takes note of which pmcd a prologue or epilogue speaks of. */
  private noteLogger(source: Source): void {
    const { reader } = source;
    const { bytes, time, numpmid, setsAt, at, view } = reader;
    const result = new ResultView(bytes, time, numpmid, setsAt, at - 8, view);
    const value = (name: string, pmid: number, type: PmType): number | bigint | undefined => {
      const set = result.find(pmid as typeof PMCD_PID);
      if (set === undefined) return undefined;
      try {
        if (set.numval < 1) throw new PcpError(set.numval < 0 ? set.numval : PM_ERR.VALUE);
        return pmExtractValue(set, 0, type) as number | bigint;
      } catch (error) {
        if (!(error instanceof PcpError)) throw error;
        this.options.hooks.say(
          `${PROGRAM}: Warning: failed to get ${name} from ${source.input.name} at record ` +
            `${reader.records}: ${pmErrStr(error.code)}\n`,
          "stderr",
        );
        return undefined;
      }
    };
    source.pid = value("pmcd.pid", PMCD_PID, PM_TYPE.U64) ?? source.pid;
    source.seqnum = value("pmcd.seqnum", PMCD_SEQNUM, PM_TYPE.U32) ?? source.seqnum;
  }

  /** Takes note that the output begins with a record of this time. */
  private beginOutput(time: Timestamp): void {
    if (!this.first) return;
    this.first = false;
    this.options.output.beginData(timeOf(time));
  }

  private write(source: Source): void {
    const { output, version } = this.options;
    const { reader, shape } = source;
    this.beginOutput(source);
    const metaBefore = output.metaBytes;
    const due = shape === undefined ? false : this.describe(shape, source);
    const { bytes, at, length } = reader;
    const cut = source.layout?.cut;
    if (reader.version === version && (shape === undefined || source.plain)) {
      output.record(bytes, at, at + length, source, metaBefore, due);
    } else if (shape !== undefined && cut !== undefined && cut !== null) {
      const { cutter } = this;
      cutter.put(cut, reader.words, at >> 2, reader.version);
      output.record(cutter.bytes, cutter.from, cutter.to, source, metaBefore, due);
    } else {
      const made = this.encoder.encode(reader, shape?.plan, source.even);
      output.record(made, 0, made.length, source, metaBefore, due);
      output.settle();
      if (shape?.plan !== undefined) this.reportCulled(source, shape);
      if (shape !== undefined) this.cutLayout(source, shape);
    }
    if (shape === undefined) output.counts.marks++;
  }

  /** Works out how records of the layout at hand are encoded, once it was of use. */
  private cutLayout({ reader, layout }: Source, shape: Shape): void {
    if (layout === undefined || layout.cut !== undefined || shape.met === 0) return;
    layout.cut = null;
    // Each record of such a shape is reported.
    if (shape.plan?.some(({ kind }) => kind === "cull") === true) return;
    const { words, at, setsAt, length, numpmid, time } = reader;
    const record = words.slice(at >> 2, (at + length) >> 2);
    const bytes = new Uint8Array(record.buffer);
    const sets = (setsAt - at) >> 2;
    const head = dataHead(this.options.version) >> 2;
    const cut = makeCut(record, sets, numpmid, head, (each) => {
      const from = { bytes, words: each, at: 0, setsAt: setsAt - at, length, numpmid, time };
      const made = this.encoder.encode(from, shape.plan, true);
      return new Int32Array(made.buffer, made.byteOffset, made.length >> 2);
    });
    if (this.cutter.fits(cut)) layout.cut = cut;
  }

  /**
   * Writes records as long as all that they need is to be copied: no metadata, no index entry, no
   * block to be read, and the next one of their input is known.
   */
  private writeTogether(): void {
    const { heap, limit } = this;
    const { output, logEnd } = this.options;
    for (;;) {
      const source = heap[0];
      if (source === undefined || source.state !== "record") return;
      const { ahead, shape, reader, plain, layout, sec, nsec } = source;
      const last = ahead.count - 1;
      if (shape === undefined || ahead.next > last || (sec === 0 && nsec === 0)) return;
      const cut = plain ? undefined : layout?.cut;
      if (cut === null || (cut === undefined && !plain)) return;
      const { at, length } = reader;
      const made = cut === undefined ? length : cut.template.length * 4;
      const { room } = output;
      if (room < made || !isQuiet(shape, source)) return;
      limit.sec = Number.POSITIVE_INFINITY;
      limit.nsec = 0;
      if (logEnd !== undefined) this.lower(logEnd, 1);
      if (this.finish !== undefined) this.lower(this.finish, 1);
      if (sec > limit.sec || (sec === limit.sec && nsec >= limit.nsec)) return;
      if (shape.until !== undefined) this.lower(shape.until, 0);
      for (let other = 1; other < 3 && other < heap.length; other++) {
        this.lower(heap[other] as Source, 0);
      }
      const bytes = cut === undefined ? room : Math.floor(room / made) * length;
      const { next } = ahead;
      const number = firstBeyond(ahead, limit, (at + bytes) >> 2, last);
      const end = passOver(ahead, number) << 2;
      const records = number - next + 1;
      if (cut === undefined) {
        const lastFrom = number > next + 1 ? (ahead.ends[number - 2] as number) << 2 : at + length;
        output.records(reader.bytes, at, end, records, number > next ? end - lastFrom : length);
      } else this.writeCut(cut, reader, at, end);
      reader.records += records - 1;
      this.current.sec = number > next ? (ahead.seconds[number - 1] as number) : sec;
      this.current.nsec = number > next ? (ahead.nanoseconds[number - 1] as number) : nsec;
      this.takeAhead(source);
      source.sec = reader.sec;
      source.nsec = reader.nsec;
      if (heap.length > 1) sink(this.heap);
    }
  }

  /** Writes records of one layout, which lie one after the other, by their cut. */
  private writeCut(
    cut: Cut,
    { words, version, length }: RecordReader,
    at: number,
    end: number,
  ): void {
    const { cutter } = this;
    const { output } = this.options;
    const step = length >> 2;
    for (let word = at >> 2; word < end >> 2; word += step) {
      cutter.put(cut, words, word, version);
      output.records(cutter.bytes, cutter.from, cutter.to, 1, cutter.to - cutter.from);
    }
  }

  /** Makes the limit no later than a time and some nanoseconds. */
  private lower({ sec, nsec }: Timestamp, more: number): void {
    const { limit } = this;
    if (sec > limit.sec || (sec === limit.sec && nsec + more >= limit.nsec)) return;
    limit.sec = sec;
    limit.nsec = nsec + more;
  }

  /** Writes the metadata that records of a shape need; whether instances were among it. */
  private describe(shape: Shape, now: Timestamp): boolean {
    if (isQuiet(shape, now)) return false;
    const time = timeOf(now);
    const { descriptions } = this.options;
    let instances = false;
    let next: Timestamp | undefined;
    for (const described of shape.described) {
      if (descriptions.write(described, time)) instances = true;
    }
    for (const described of shape.described) {
      const due = descriptions.due(described, time);
      if (due !== undefined && (next === undefined || isBefore(due, next))) next = due;
    }
    shape.from = time;
    shape.until = next;
    return instances;
  }

  private reportCulled({ input, reader }: Source, { plan = [] }: Shape): void {
    if (!plan.some(({ kind }) => kind === "cull")) return;
    const { bytes, time, numpmid, setsAt, at, view, offset } = reader;
    const result = new ResultView(bytes, time, numpmid, setsAt, at - 8, view);
    const zone = this.options.zone();
    this.options.hooks.say(culledText(input.name, result, plan, offset, zone), "stderr");
  }

  /** The end of an input has its turn: a mark, unless what follows is from the same pmcd. */
  private endOf(source: Source): void {
    source.state = "ended";
    const { pid, seqnum } = source;
    const { output, alwaysMark } = this.options;
    if (!alwaysMark && pid !== undefined && seqnum !== undefined) {
      let next: Source | undefined;
      for (const other of this.sources) {
        if (other.state === "record" && (next === undefined || isBefore(other, next))) next = other;
      }
      if (next?.pid === pid && next.seqnum === seqnum) return;
    }
    if (this.sources.every(({ state }) => state === "ended")) return;
    Object.assign(this.current, addSpan(timeOf(source), MILLISECOND));
    output.mark(this.current);
  }

  /** Moves the window on by a day with a mark; false at the end of all inputs. */
  private nextDay(): boolean {
    const { logEnd, output } = this.options;
    const { start, finish } = this;
    if (start === undefined || finish === undefined) return false;
    const later = (time: Instant): Instant => ({ sec: time.sec + DAY, nsec: time.nsec });
    this.start = later(start);
    this.finish = later(finish);
    if (logEnd !== undefined && compareTimes(logEnd, this.start) < 0) return false;
    if (!this.first) {
      Object.assign(this.current, addSpan(this.current, MILLISECOND));
      output.mark(this.current);
    }
    const waiting = this.heap;
    this.heap = [];
    for (const source of waiting.toSorted((a, b) => a.order - b.order)) {
      if (source.state === "record" && isBefore(source, this.start)) {
        source.state = "nothing";
        this.fill(source);
      }
      if (source.state !== "ended") rise(this.heap, source);
    }
    return true;
  }

  /** Takes an input out of the heap, and puts it in again when `back`. */
  private remove(source: Source, back = false): void {
    const rest = this.heap.filter((each) => each !== source);
    this.heap = [];
    for (const each of rest) rise(this.heap, each);
    if (back) rise(this.heap, source);
  }
}
