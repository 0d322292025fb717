/** minutesLeft rounds so that "1 min" never stands for nothing and a fresh hour says 60. */
export function minutesLeft(ms: number): number {
  return Math.max(1, Math.round(ms / 60_000));
}
