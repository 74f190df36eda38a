// Answers to questions about series as HTTP has them (spec webapi.md 16): short ones whole, long ones in
// pieces, failures with their messages. A failure behind the first piece cannot be told any more: the
// connection is cut, so that nobody takes a part for the whole.
import { PcpError, PM_ERR, slices, utf8 } from "../base/mod.ts";
import {
  type JsonAnswer,
  type JsonForm,
  problemJson,
  problemOf,
  type SeriesProblem,
} from "../series/mod.ts";
import { BusyError } from "./fair.ts";
import { RETRY_SECONDS } from "./late.ts";
import type { WebBody, WebReply } from "./route.ts";
import { Abandoned, type Work } from "./series-work.ts";

/** An answer in pieces; none at all where there is no data, which `empty` says. */
export interface Pieces {
  readonly pieces: AsyncGenerator<Uint8Array, void, undefined>;
  readonly empty: JsonAnswer;
}

/** What a question was answered with. */
export type Told = JsonAnswer | Pieces;

/** How an answer is written. */
export interface AnswerForm extends JsonForm {
  /** Content-Type of an answer without data (spec webapi.md 2.2). */
  readonly bare: string;
}

const JSON_TYPE = "application/json";

/** Content-Type of answers without data, for clients that do not ask for JSON. */
export const BARE_TYPE = "application/octet-stream";

/** A reply of text that is there. */
export const jsonAnswer = ({ body, hasData }: JsonAnswer, { bare }: AnswerForm): WebReply => ({
  status: 200,
  type: hasData ? JSON_TYPE : bare,
  body,
});

/** The rest of an answer; `work` is over with its last piece, or when nobody wants the rest. */
function streamed(
  ready: Uint8Array[],
  pieces: AsyncGenerator<Uint8Array, void, undefined>,
  work: Work,
): AsyncIterable<Uint8Array> {
  const end = { done: true, value: undefined } as const;
  const iterator: AsyncIterator<Uint8Array, undefined> = {
    async next() {
      try {
        const first = ready.shift();
        if (first !== undefined) return { done: false, value: first };
        await work.resume();
        const { done, value } = await pieces.next();
        work.rest();
        if (done !== true) return { done: false, value };
        work.done();
        return end;
      } catch (error) {
        work.done();
        await pieces.return();
        if (error instanceof Abandoned) return end;
        throw error;
      }
    },
    async return() {
      work.done();
      await pieces.return();
      return end;
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** The reply to a question; ends its work, or leaves that to the body. */
export function answerOf(
  told: Told,
  form: AnswerForm,
  work: Work,
): WebReply<WebBody> | Promise<WebReply<WebBody>> {
  if ("pieces" in told) return piecesReply(told, form, work);
  work.done();
  return jsonAnswer(told, form);
}

async function piecesReply(
  { pieces, empty }: Pieces,
  form: AnswerForm,
  work: Work,
): Promise<WebReply<WebBody>> {
  try {
    const first = await pieces.next();
    const second = first.done === true ? first : await pieces.next();
    if (second.done !== true && first.done !== true) {
      work.stream();
      work.rest();
      const body = streamed([first.value, second.value], pieces, work);
      return { status: 200, type: JSON_TYPE, body };
    }
    work.done();
    return first.done === true
      ? jsonAnswer(empty, form)
      : { status: 200, type: JSON_TYPE, body: first.value };
  } catch (error) {
    await pieces.return();
    throw error;
  }
}

/** Things of a list that are asked for, and written, at a time: at first, and at most. */
const FIRST_BATCH = 64;
const MOST_BATCH = 512;
/** Characters of one piece, about; a series may have thousands of instances. */
const PIECE = 1 << 20;

/** A list whose answers are written one batch of `items` after the other, each by itself an answer. */
export function listed<Item>(
  items: readonly Item[],
  form: JsonForm,
  tell: (batch: readonly Item[], form: JsonForm) => JsonAnswer | Promise<JsonAnswer>,
): Told | Promise<Told> {
  return items.length <= FIRST_BATCH ? tell(items, form) : inBatches(items, form, tell);
}

async function inBatches<Item>(
  items: readonly Item[],
  form: JsonForm,
  tell: (batch: readonly Item[], form: JsonForm) => JsonAnswer | Promise<JsonAnswer>,
): Promise<Told> {
  const empty = await tell([], form);
  // What stands around the items: `[`, `]` and line end, with the client's mark if there is one.
  const cut = empty.body.length - (form.client === undefined ? 3 : 4);
  async function* pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    let any = false;
    const pause = slices();
    let batch = FIRST_BATCH;
    for (let at = 0, next = 0; at < items.length; at = next) {
      await pause();
      next = at + batch;
      const { body } = await tell(items.slice(at, next), { quoting: form.quoting });
      if (body.length > PIECE) batch = Math.max(1, batch >> 1);
      else if (2 * body.length < PIECE) batch = Math.min(MOST_BATCH, 2 * batch);
      const text = body.slice(1, -3);
      if (text === "") continue;
      yield utf8(`${any ? "," : empty.body.slice(0, cut)}${text}`);
      any = true;
    }
    if (any) yield utf8(empty.body.slice(cut));
  }
  return { pieces: pieces(), empty };
}

const STATUSES: Readonly<Record<SeriesProblem["level"], number>> = {
  error: 400,
  "bad request": 400,
  "bad response": 500,
  corrupt: 500,
};

/** Errors that say that the store is away, not that the question is wrong. */
const AWAY: ReadonlySet<number> = new Set([PM_ERR.NOTCONN, PM_ERR.TIMEOUT, PM_ERR.IPC]);

const statusOf = (code: number, usual: number): number =>
  code === PM_ERR.TOOBIG ? 400 : AWAY.has(code) ? 503 : usual;

/**
 * The reply to a question that failed: its message, with the status that says whose fault it is. `usual` is
 * that of errors of the store. Throws what is a fault of this program.
 */
export function failureOf(error: unknown, form: JsonForm, usual = 500): WebReply {
  const reply = (status: number, message: string): WebReply => ({
    status,
    type: JSON_TYPE,
    body: problemJson(message, form),
  });
  const problem = problemOf(error);
  if (problem !== undefined) return reply(STATUSES[problem.level], problem.message);
  if (error instanceof PcpError) return reply(statusOf(error.code, usual), error.message);
  if (error instanceof BusyError)
    return { ...reply(503, error.message), headers: { "Retry-After": RETRY_SECONDS } };
  if (error instanceof Abandoned) return reply(503, error.message);
  throw error;
}
