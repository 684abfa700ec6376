/** Match detected faces with tracked ones, as `moodspace.realtime.tracking.association` does. */

import type { Box } from "../protocol.ts";
import { blur, type Gray } from "./image.ts";
import { dot } from "./taught-scores.ts";

const SIDE = 8;
const BLUR_SIGMA = 5;
const LEAST_LIKENESS = 0.2;
const NEAR = 0.5;
const RADIUS = 1;
const RADIUS_PER_SECOND = 2;
const LARGEST_RADIUS = 4;
const LEAST_SIZE_RATIO = 0.5;
const NO_PAIR = 3;

/** A vector of length 1 that tells faces apart over a few seconds, at any brightness. */
export function appearance(crop: Gray): Float32Array {
  const smooth = blur(crop, BLUR_SIGMA, true);
  const step = crop.width / SIDE;
  const values = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < crop.height; y++) {
    for (let x = 0; x < crop.width; x++) {
      values[Math.floor(y / step) * SIDE + Math.floor(x / step)] += smooth[y * crop.width + x] / (step * step);
    }
  }
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  for (let at = 0; at < values.length; at++) values[at] -= mean;
  const length = Math.max(Math.hypot(...values), 1e-6);
  return values.map((value) => value / length);
}

export interface Expected {
  box: Box;
  appearance: Float32Array;
  /** Seconds since it was last detected. */
  undetected: number;
}

export interface Found {
  box: Box;
  appearance: Float32Array;
  /** False where another face may cover a part. */
  whole: boolean;
}

/** Match tracked with detected faces so that the pairs are nearest and most alike in total; returns pairs of rows. */
export function associate(tracked: readonly Expected[], found: readonly Found[]): [number, number][] {
  if (!tracked.length || !found.length) return [];
  const costs = tracked.map((one, row) => {
    const size = Math.max(one.box.width, one.box.height);
    const radius = Math.min(RADIUS + RADIUS_PER_SECOND * one.undetected, LARGEST_RADIUS) * size;
    const paired = found.map((other) => {
      const otherSize = Math.max(other.box.width, other.box.height);
      const closeness = 1 - distance(one.box, other.box) / Math.max(radius, 1e-6);
      const likeness = dot(one.appearance, other.appearance);
      const ratio = Math.min(size, otherSize) / Math.max(size, otherSize, 1e-6);
      const alike = likeness >= LEAST_LIKENESS || (!other.whole && closeness >= NEAR);
      const possible = closeness > 0 && alike && ratio >= LEAST_SIZE_RATIO;
      return possible ? 2 - closeness - likeness : Number.NaN;
    });
    // Each tracked face has a column of its own for staying without a match.
    return {
      row,
      paired,
      costs: [...paired.map((cost) => (cost >= 0 || cost < 0 ? cost : NO_PAIR)), ...tracked.map(() => NO_PAIR)],
    };
  });
  const columns = assign(costs.map((one) => one.costs));
  return columns.flatMap((column, row): [number, number][] =>
    column < found.length && !Number.isNaN(costs[row].paired[column]) ? [[row, column]] : [],
  );
}

function distance(one: Box, other: Box): number {
  return Math.hypot(
    one.x + one.width / 2 - other.x - other.width / 2,
    one.y + one.height / 2 - other.y - other.height / 2,
  );
}

/**
 * Assign each row its own column so that the total cost is least; at least as many columns as rows.
 *
 * Source: Kuhn, "The Hungarian Method for the Assignment Problem", Naval Research Logistics 1955; by shortest augmenting
 * paths as in Jonker & Volgenant, Computing 1987.
 */
export function assign(cost: readonly (readonly number[])[]): number[] {
  const n = cost.length;
  const m = n ? cost[0].length : 0;
  const rowPotential = new Array<number>(n).fill(0);
  const columnPotential = new Array<number>(m).fill(0);
  const owner = new Array<number>(m).fill(-1);
  for (let start = 0; start < n; start++) {
    const nearest = new Array<number>(m).fill(Number.POSITIVE_INFINITY);
    const cameFrom = new Array<number>(m).fill(-1);
    const reached = new Array<boolean>(m).fill(false);
    let row = start;
    let column = -1;
    let soFar = 0;
    while (row >= 0) {
      for (let at = 0; at < m; at++) {
        const through = soFar + cost[row][at] - rowPotential[row] - columnPotential[at];
        if (!reached[at] && through < nearest[at]) {
          nearest[at] = through;
          cameFrom[at] = column;
        }
      }
      column = -1;
      for (let at = 0; at < m; at++) {
        if (!reached[at] && (column < 0 || nearest[at] < nearest[column])) column = at;
      }
      soFar = nearest[column];
      reached[column] = true;
      row = owner[column];
    }
    rowPotential[start] += soFar;
    for (let at = 0; at < m; at++) {
      if (!reached[at] || nearest[at] >= soFar) continue;
      const gain = soFar - nearest[at];
      columnPotential[at] -= gain;
      rowPotential[owner[at]] += gain;
    }
    while (column >= 0) {
      const previous = cameFrom[column];
      owner[column] = previous >= 0 ? owner[previous] : start;
      column = previous;
    }
  }
  const columns = new Array<number>(n).fill(-1);
  owner.forEach((row, column) => {
    if (row >= 0) columns[row] = column;
  });
  return columns;
}
