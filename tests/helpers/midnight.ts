// For tests that record by the real clock: a recorder begins a new archive at midnight.

const MINUTE_MS = 60_000;

/** Waits until midnight is over where it is near, be it that of UTC or of this machine. */
export async function farFromMidnight(): Promise<void> {
  for (;;) {
    const now = new Date();
    const isNear = [
      now.getHours() * 60 + now.getMinutes(),
      now.getUTCHours() * 60 + now.getUTCMinutes(),
    ].some((minute) => minute >= 24 * 60 - 3);
    if (!isNear) return;
    await Bun.sleep(MINUTE_MS / 4);
  }
}
