/**
 * Find moments of change in what a group shows; the rule is that of `viz/report/changes.py`.
 *
 * At each second, compare the mean shares of the 30 s before with those of the 30 s after. A second is a moment of change
 * if the difference is at least 15 points, is the largest within 30 s, and exceeds the session's median by five median
 * absolute deviations.
 */

import { type Session, sharesOf } from "./recorder.ts";

export const WINDOW = 30;
export const MIN_DIFFERENCE = 0.15;
export const DEVIATIONS = 5;
// Minimum number of recorded seconds in each window.
const MIN_RECORDED = 20;

export interface Change {
  /** When the new shares begin, in seconds since the session began. */
  second: number;
  /** Half the sum of the absolute differences, in [0, 1]. */
  size: number;
  before: number[];
  after: number[];
}

export function changes(session: Session): Change[] {
  const rows = session.seconds.filter((one) => one.shares);
  const seconds = rows.map((one) => one.second);
  const totals = [session.classes.map(() => 0)];
  for (const row of rows) {
    const shares = sharesOf(row, session);
    totals.push(totals[totals.length - 1].map((sum, at) => sum + shares[at]));
  }
  const found: (Change & { row: number })[] = [];
  for (let row = 0; row < rows.length; row++) {
    const start = firstFrom(seconds, seconds[row] - WINDOW);
    const stop = firstFrom(seconds, seconds[row] + WINDOW);
    if (row - start < MIN_RECORDED || stop - row < MIN_RECORDED) continue;
    const before = totals[row].map((sum, at) => (sum - totals[start][at]) / (row - start));
    const after = totals[stop].map((sum, at) => (sum - totals[row][at]) / (stop - row));
    const size = after.reduce((sum, share, at) => sum + Math.abs(share - before[at]), 0) / 2;
    found.push({ row, second: seconds[row], size, before, after });
  }
  if (!found.length) return [];
  const sizes = found.map((one) => one.size);
  const middle = median(sizes);
  const threshold = Math.max(
    MIN_DIFFERENCE,
    middle + DEVIATIONS * median(sizes.map((size) => Math.abs(size - middle))),
  );
  const kept: Change[] = [];
  const largestFirst = found.map((_, at) => at).sort((one, other) => sizes[other] - sizes[one] || one - other);
  for (const at of largestFirst) {
    if (sizes[at] < threshold) break;
    const { row, ...change } = found[at];
    const [left, right] = [found[at - 1], found[at + 1]];
    // At an edge the change may lie beyond it.
    const peak = left && right && right.row - left.row === 2 && change.size >= left.size && change.size >= right.size;
    if (peak && kept.every((other) => Math.abs(change.second - other.second) >= WINDOW)) kept.push(change);
  }
  return kept.sort((one, other) => one.second - other.second);
}

/** The index of the first of the ascending `values` that is not below `least`. */
function firstFrom(values: readonly number[], least: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
