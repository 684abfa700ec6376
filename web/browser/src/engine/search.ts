/** Exact search for the most similar rows. */

import type { Nearest } from "./ensemble.ts";

/**
 * Find the rows most similar to a query, best first; ties go to the lower row.
 *
 * @param rows `count * dim` numbers, rows of unit length.
 */
export function nearest(rows: Float32Array, count: number, query: Float32Array, k: number): Nearest {
  const dim = query.length;
  const size = Math.min(k, count);
  // A heap whose root is the worst of the best so far.
  const heap = new Int32Array(size);
  const values = new Float32Array(size);
  let filled = 0;
  for (let row = 0; row < count; row++) {
    const similarity = dot(rows, row * dim, query);
    if (filled < size) {
      let at = filled++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (values[parent] <= similarity) break;
        heap[at] = heap[parent];
        values[at] = values[parent];
        at = parent;
      }
      heap[at] = row;
      values[at] = similarity;
    } else if (similarity > values[0]) {
      sink(heap, values, size, row, similarity);
    }
  }
  const order = Array.from(heap.keys()).sort((a, b) => values[b] - values[a] || heap[a] - heap[b]);
  return {
    rows: Int32Array.from(order, (at) => heap[at]),
    similarities: Float32Array.from(order, (at) => Math.min(Math.max(values[at], -1), 1)),
  };
}

function dot(rows: Float32Array, start: number, query: Float32Array): number {
  let first = 0;
  let second = 0;
  let third = 0;
  let fourth = 0;
  const dim = query.length;
  let at = 0;
  for (; at + 3 < dim; at += 4) {
    first += rows[start + at] * query[at];
    second += rows[start + at + 1] * query[at + 1];
    third += rows[start + at + 2] * query[at + 2];
    fourth += rows[start + at + 3] * query[at + 3];
  }
  for (; at < dim; at++) first += rows[start + at] * query[at];
  return first + second + third + fourth;
}

function sink(heap: Int32Array, values: Float32Array, size: number, row: number, similarity: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    if (child + 1 < size && values[child + 1] < values[child]) child++;
    if (values[child] >= similarity) break;
    heap[at] = heap[child];
    values[at] = values[child];
    at = child;
  }
  heap[at] = row;
  values[at] = similarity;
}
