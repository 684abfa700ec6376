/** Combine head and votes into calibrated probabilities, as `moodspace.classifier` does. */

import { EngineError } from "../protocol.ts";
import type { CalibrationValues } from "./site.ts";

/** Probabilities of one face: of the ensemble, the head alone and the votes alone. */
export interface Parts {
  proba: number[];
  head: number[];
  votes: number[];
}

/** The nearest known faces of one face: rows of the gallery, best first, and their cosines. */
export interface Nearest {
  rows: Int32Array;
  similarities: Float32Array;
}

export function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

/** Raise probabilities to the power of 1 / temperature and normalize them. */
export function sharpen(proba: readonly number[], temperature: number): number[] {
  const most = Math.max(...proba);
  const powers = proba.map((value) => (value / most) ** (1 / temperature));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

/** The class shares of the neighbors' votes; null where no neighbor has a label. */
export function vote(nearest: Nearest, labels: Int8Array, classes: number, tau: number, k: number): number[] | null {
  const totals = new Array<number>(classes).fill(0);
  const count = Math.min(k, nearest.rows.length);
  let best = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < count; at++) {
    if (labels[nearest.rows[at]] >= 0) best = Math.max(best, nearest.similarities[at]);
  }
  if (best === Number.NEGATIVE_INFINITY) return null;
  for (let at = 0; at < count; at++) {
    const label = labels[nearest.rows[at]];
    if (label >= 0) totals[label] += Math.exp((nearest.similarities[at] - best) / tau);
  }
  const sum = totals.reduce((a, b) => a + b, 0);
  return totals.map((value) => value / sum);
}

/** Combine the logits of a label set with the votes of the nearest known faces. */
export function combine(
  logits: ArrayLike<number>,
  nearest: Nearest,
  labels: Int8Array,
  calibration: CalibrationValues,
): Parts {
  const classes = calibration.scale.length;
  const scaled = calibration.scale.map((scale, at) => scale * logits[at] + calibration.bias[at]);
  const head = softmax(scaled);
  const shares = vote(nearest, labels, classes, calibration.tau, calibration.k);
  const votes = sharpen(
    (shares ?? new Array<number>(classes).fill(1 / classes)).map((value) => value + calibration.votes_smoothing),
    calibration.votes_temperature,
  );
  const mixed = head.map((value, at) => calibration.alpha * value + (1 - calibration.alpha) * votes[at]);
  return { proba: shares ? sharpen(mixed, calibration.ensemble_temperature) : head, head, votes };
}

/** One prediction from several label sets. */
export interface Blend {
  classes: readonly string[];
  /** The label sets that it takes. */
  sets: readonly string[];
  unknownBelow: number;
  predict(parts: Readonly<Record<string, Parts>>): Parts;
  /** The column of a face's class from its columns in the label sets, -1 for none. */
  label(columns: Readonly<Record<string, number>>): number;
}

/** Read a manifest's blend. */
export function readBlend(
  values: Readonly<Record<string, unknown>>,
  classes: Readonly<Record<string, readonly string[]>>,
): Blend {
  if (!("shares" in values)) {
    throw new EngineError("damaged", "The site's blend is of an unknown kind; write the site again.");
  }
  if ("weights" in values) return new LogisticMixture(values as unknown as MixtureValues, classes);
  return new WeightedMean(values as unknown as MeanValues, classes);
}

interface MeanValues {
  classes: readonly string[];
  shares: Readonly<Record<string, readonly number[]>>;
  temperature: number;
  unknown_below: number;
}

abstract class SharedBlend implements Blend {
  readonly classes: readonly string[];
  readonly sets: readonly string[];
  readonly unknownBelow: number;
  protected readonly columns: Readonly<Record<string, number[]>>;

  constructor(
    readonly shared: MeanValues,
    classes: Readonly<Record<string, readonly string[]>>,
  ) {
    this.classes = shared.classes;
    this.sets = Object.keys(shared.shares);
    this.unknownBelow = shared.unknown_below;
    this.columns = Object.fromEntries(
      this.sets.map((set) => [set, shared.classes.map((name) => classes[set].indexOf(name))]),
    );
  }

  abstract mean(proba: Readonly<Record<string, readonly number[]>>): number[];

  predict(parts: Readonly<Record<string, Parts>>): Parts {
    const mean = (part: keyof Parts) => this.mean(Object.fromEntries(this.sets.map((set) => [set, parts[set][part]])));
    return { proba: mean("proba"), head: mean("head"), votes: mean("votes") };
  }

  label(columns: Readonly<Record<string, number>>): number {
    const total = this.classes.map(() => 0);
    for (const set of this.sets) {
      this.columns[set].forEach((column, at) => {
        if (column === columns[set]) total[at] += this.shared.shares[set][at];
      });
    }
    const most = Math.max(...total);
    return most > 0 ? total.indexOf(most) : -1;
  }
}

/** Each label set has a fixed share of each class. */
class WeightedMean extends SharedBlend {
  override mean(proba: Readonly<Record<string, readonly number[]>>): number[] {
    const total = this.classes.map(() => 0);
    for (const set of this.sets) {
      const shared = this.columns[set].map((column) => proba[set][column]);
      const sum = Math.max(
        shared.reduce((a, b) => a + b, 0),
        1e-12,
      );
      shared.forEach((value, at) => {
        total[at] += (this.shared.shares[set][at] * value) / sum;
      });
    }
    return sharpen(
      total.map((value) => Math.max(value, 1e-12)),
      this.shared.temperature,
    );
  }
}

interface MixtureValues extends MeanValues {
  /** For each label set, for each of its classes the weight for each class of the blend. */
  weights: Readonly<Record<string, readonly (readonly number[])[]>>;
  bias: readonly number[];
}

/** The lowest probability that the weights see. */
const LOWEST = 1e-3;

/** A logistic regression on the log probabilities of all label sets. */
class LogisticMixture extends SharedBlend {
  constructor(
    readonly values: MixtureValues,
    classes: Readonly<Record<string, readonly string[]>>,
  ) {
    super(values, classes);
  }

  override mean(proba: Readonly<Record<string, readonly number[]>>): number[] {
    const total = [...this.values.bias];
    for (const set of this.sets) {
      const logs = proba[set].map((value) => Math.log(Math.max(value, LOWEST)));
      const middle = logs.reduce((a, b) => a + b, 0) / logs.length;
      logs.forEach((value, row) => {
        this.values.weights[set][row].forEach((weight, at) => {
          total[at] += (value - middle) * weight;
        });
      });
    }
    return softmax(total.map((value) => value / this.values.temperature));
  }
}
