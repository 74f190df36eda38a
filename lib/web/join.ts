// Requests that want the same at the same time: one does the work, those that come meanwhile share the
// one after it, which begins later than they came. So many clients cost little more than two, and nobody
// is told what was so before the question.

/** Work of one kind that requests share. */
export interface Joint<T> {
  now: Promise<T> | undefined;
  next: Promise<T> | undefined;
  /** Asks each of those who wait for `next`. */
  waiting: (() => boolean)[];
}

export const newJoint = <T>(): Joint<T> => ({ now: undefined, next: undefined, waiting: [] });

/** Does work for everybody in `wanted`, which says whether anybody still waits for it. */
export type SharedWork<T> = (wanted: () => boolean) => Promise<T>;

function begin<T>(joint: Joint<T>, work: Promise<T>): Promise<T> {
  const over = (): void => {
    if (joint.now === work) joint.now = undefined;
  };
  joint.now = work;
  work.then(over, over);
  return work;
}

const never = (): boolean => false;

/**
 * What `work` brings, begun after this call; `gone` says whether the caller has lost interest.
 */
export function join<T>(
  joint: Joint<T>,
  gone: (() => boolean) | undefined,
  work: SharedWork<T>,
): Promise<T> {
  const isGone = gone ?? never;
  if (joint.next !== undefined) {
    joint.waiting.push(isGone);
    return joint.next;
  }
  if (joint.now === undefined)
    return begin(
      joint,
      work(() => !isGone()),
    );
  const waiting = [isGone];
  const start = (): Promise<T> => {
    joint.next = undefined;
    return begin(
      joint,
      work(() => waiting.some((each) => !each())),
    );
  };
  joint.waiting = waiting;
  joint.next = joint.now.then(start, start);
  return joint.next;
}

/** Joints by what they are about; those that nobody uses go. */
export type Joints = Map<string, Joint<unknown>>;

/** `join` under a key. Whoever uses a key always has the same type for it. */
export async function joinAs<T>(
  joints: Joints,
  key: string,
  gone: (() => boolean) | undefined,
  work: SharedWork<T>,
): Promise<T> {
  let joint = joints.get(key) as Joint<T> | undefined;
  if (joint === undefined) {
    joint = newJoint<T>();
    joints.set(key, joint);
  }
  try {
    return await join(joint, gone, work);
  } finally {
    if (joint.now === undefined && joint.next === undefined) joints.delete(key);
  }
}
