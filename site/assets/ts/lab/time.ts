/** Rounds to minutes, but never down to 0. */
export function minutesLeft(ms: number): number {
  return Math.max(1, Math.round(ms / 60_000));
}
