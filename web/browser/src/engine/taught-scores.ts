/** Score the classes that the visitor taught, as `moodspace.classifier.taught_scores` does. */

import { nearest } from "./search.ts";
import type { GateValues, Whitening } from "./site.ts";

const SUREST = 0.98;
const SUREST_ODDS = SUREST / (1 - SUREST);
const ITSELF = 0.999;
const MEAN_AT_MOST = 0.03;
const CANDIDATES = 32;
const EXAMPLES = 500;
const OTHERS = 4000;
const RIVALRY = 0.005;
const OPENNESS = 8;
const TIE = 1e-3;

export function whiten({ mean, transform }: Whitening, embedding: Float32Array): Float32Array {
  const dim = mean.length;
  const out = new Float64Array(dim);
  for (let from = 0; from < dim; from++) {
    const value = embedding[from] - mean[from];
    for (let to = 0; to < dim; to++) out[to] += value * transform[from * dim + to];
  }
  return unit(out);
}

function unit(values: ArrayLike<number>): Float32Array {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at] * values[at];
  const length = Math.max(Math.sqrt(sum), 1e-12);
  return Float32Array.from(values, (value) => value / length);
}

export function dot(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}

/** How many whitened examples of a class are no near copies of an earlier one. */
function distinct(rows: readonly Float32Array[], closeness: number): number {
  const kept: Float32Array[] = [];
  for (const row of rows) if (!kept.some((one) => dot(one, row) > closeness)) kept.push(row);
  return kept.length;
}

/** Odds that rise smoothly: 0 from `half - width` down, 1 at `half`, the largest from `half + width` up. */
function oddsOf(value: number, half: number, width: number): number {
  const share = Math.min(Math.max((value - half + width) / (2 * width), 0), 1);
  const opened = Math.min(share * share * (3 - 2 * share), SUREST);
  return opened / (1 - opened);
}

export class Gate {
  constructor(readonly values: GateValues) {}

  nearOdds(similarity: number, examples: number): number {
    if (similarity >= ITSELF) return SUREST_ODDS;
    const half = 1 - (1 - this.values.closeness) * examples ** -this.values.crowding;
    return oddsOf(similarity, half, this.values.closeness_width);
  }

  meanOdds(deviations: number, examples: number, newClasses: number): number {
    return oddsOf(deviations, this.#halfMean(examples, newClasses), this.values.deviations_width);
  }

  meanNearness(deviations: number, examples: number, newClasses: number): number {
    const beyond = (deviations - this.#halfMean(examples, newClasses)) / this.values.deviations_width;
    const more = MEAN_AT_MOST * (1 - Math.exp(-Math.max(beyond - 1, 0)));
    return this.values.closeness + this.values.closeness_width * Math.min(Math.max(beyond, -1), 1) + more;
  }

  #halfMean(examples: number, newClasses: number): number {
    const grown =
      this.values.deviations_by_example * Math.log(examples) + this.values.deviations_by_class * Math.log(newClasses);
    return this.values.deviations + grown;
  }
}

export interface Example {
  id: number;
  label: string;
  embedding: Float32Array;
}

/** The scores of the taught classes for a face. */
export interface TaughtScores {
  classes: readonly string[];
  /** The odds of each class against the prediction without taught faces. */
  odds: number[];
  /** The nearest taught faces, best first by cosine. */
  neighbors: { example: Example; similarity: number }[];
}

interface Means {
  column: number;
  examples: number;
  direction: Float32Array;
  middle: number;
  spread: number;
}

/** The taught faces of a moment, ready to score. */
export class TaughtIndex {
  readonly classes: readonly string[];
  readonly #rows: Float32Array;
  readonly #whitened: Float32Array[];
  readonly #counts: number[];
  readonly #means: Means[];

  /**
   * @param examples At least one, oldest first.
   * @param known Names of the classes of the view.
   * @param others Whitened known faces, see `usualFaces`.
   */
  constructor(
    readonly examples: readonly Example[],
    known: readonly string[],
    others: readonly Float32Array[],
    readonly whitening: Whitening,
    readonly gate: Gate,
  ) {
    const dim = whitening.mean.length;
    this.classes = [...new Set(examples.map((one) => one.label))].sort();
    this.#rows = new Float32Array(examples.length * dim);
    examples.forEach((one, row) => {
      this.#rows.set(one.embedding, row * dim);
    });
    this.#whitened = examples.map((one) => whiten(whitening, one.embedding));
    const newest = this.classes.map((name) =>
      this.#whitened.filter((_, row) => examples[row].label === name).slice(-EXAMPLES),
    );
    this.#counts = newest.map((rows) => Math.max(distinct(rows, gate.values.closeness), 1));
    this.#means = [];
    newest.forEach((rows, column) => {
      if (known.includes(this.classes[column]) || rows.length < gate.values.least_examples) return;
      const sum = new Float64Array(dim);
      for (const row of rows) for (let at = 0; at < dim; at++) sum[at] += row[at] / rows.length;
      const direction = unit(sum);
      const usual = others.map((one) => dot(one, direction)).sort((a, b) => a - b);
      const half = usual.length >> 1;
      const middle = !usual.length ? 0 : usual.length % 2 ? usual[half] : (usual[half - 1] + usual[half]) / 2;
      const mean = usual.reduce((a, b) => a + b, 0) / Math.max(usual.length, 1);
      const variance = usual.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(usual.length, 1);
      const spread = usual.length ? Math.max(Math.sqrt(variance), 1e-6) : 1;
      this.#means.push({ column, examples: this.#counts[column], direction, middle, spread });
    });
  }

  score(embedding: Float32Array): TaughtScores {
    const query = whiten(this.whitening, embedding);
    const found = nearest(this.#rows, this.examples.length, embedding, CANDIDATES);
    const odds = this.classes.map(() => 0);
    const nearness = this.classes.map(() => -1);
    for (const row of found.rows) {
      const column = this.classes.indexOf(this.examples[row].label);
      const similarity = dot(query, this.#whitened[row]);
      const own = this.gate.nearOdds(similarity, this.#counts[column]);
      odds[column] = Math.max(odds[column], own);
      if (own > 0) nearness[column] = Math.max(nearness[column], similarity);
    }
    for (const mean of this.#means) {
      const deviations = (dot(query, mean.direction) - mean.middle) / mean.spread;
      const { column, examples } = mean;
      odds[column] = Math.max(odds[column], this.gate.meanOdds(deviations, examples, this.#means.length));
      nearness[column] = Math.max(nearness[column], this.gate.meanNearness(deviations, examples, this.#means.length));
    }
    const neighbors = Array.from(found.rows, (row, at) => ({
      example: this.examples[row],
      similarity: found.similarities[at],
    }));
    return { classes: this.classes, odds: nearestWins(odds, nearness), neighbors };
  }
}

/** Return the whitened faces that the usual similarity to a class is estimated on. */
export function usualFaces(embeddings: Float32Array, count: number, whitening: Whitening): Float32Array[] {
  const dim = whitening.mean.length;
  const step = Math.max(1, Math.floor(count / OTHERS));
  const rows: Float32Array[] = [];
  for (let row = 0; row < count; row += step) {
    rows.push(whiten(whitening, embeddings.subarray(row * dim, (row + 1) * dim)));
  }
  return rows;
}

/** Lower the odds of classes next to a nearer class whose gate is open. */
export function nearestWins(odds: readonly number[], nearness: readonly number[]): number[] {
  const active = odds.map((_, at) => at).filter((at) => odds[at] > 0);
  if (active.length < 2) return [...odds];
  const opened = odds.map((own) => own / (1 + own) / (SUREST_ODDS / (1 + SUREST_ODDS)));
  return odds.map((own, at) => {
    if (!(own > 0)) return own;
    const lowered = active.map((other) => {
      const farther = Math.max(nearness[other] - nearness[at], 0);
      return Math.min(opened[other] ** OPENNESS * -Math.expm1(-farther / RIVALRY), 1);
    });
    return own * (1 - Math.max(...lowered));
  });
}

/** A face's probabilities with taught classes: those of the view, then the taught classes that it lacks. */
export interface WithTaught {
  classes: string[];
  proba: number[];
  head: number[];
  votes: number[];
  /** Whether several classes are equally probable and none is more probable. */
  tied: boolean;
}

export function withTaught(
  classes: readonly string[],
  parts: { proba: readonly number[]; head: readonly number[]; votes: readonly number[] },
  taught: TaughtScores,
): WithTaught {
  const all = [...classes, ...taught.classes.filter((name) => !classes.includes(name))];
  const padded = (values: readonly number[]) => [...values, ...new Array<number>(all.length - values.length).fill(0)];
  const columns = taught.classes.map((name) => all.indexOf(name));
  const proba = padded(parts.proba);
  columns.forEach((column, at) => {
    proba[column] += taught.odds[at];
  });
  const total = taught.odds.reduce((a, b) => a + b, 0);
  const tied = level(proba, taught.odds, columns);
  const scaled = total > 0 ? proba.map((value) => value / (1 + total)) : padded(parts.proba);
  return { classes: all, proba: scaled, head: padded(parts.head), votes: padded(parts.votes), tied };
}

/** Make classes with equal odds equally probable, if these are the largest odds; changes `proba`. */
function level(proba: number[], odds: readonly number[], columns: readonly number[]): boolean {
  const best = Math.max(0, ...odds);
  const equal = columns.filter((_, at) => odds[at] >= best * (1 - TIE) && best >= 1);
  if (equal.length < 2) return false;
  const mean = equal.reduce((sum, column) => sum + proba[column], 0) / equal.length;
  for (const column of equal) proba[column] = mean;
  return mean >= Math.max(...proba);
}
