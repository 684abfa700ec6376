/** Smooth the probabilities and the evidence of a tracked face, as `moodspace.realtime` does. */

import type { Neighbor } from "../protocol.ts";

const MARGIN = 0.1;
const PATIENCE_S = 0.3;
const TIE = 1e-4;
const FADING_S = 2;
const LEAST_WEIGHT = 0.01;

/** Reorder probabilities by class name. New classes get 0; the share of removed ones is spread over the others. */
export function byName(proba: readonly number[], names: readonly string[], wanted: readonly string[]): number[] {
  const known = new Map(names.map((name, at) => [name, proba[at]]));
  const moved = wanted.map((name) => known.get(name) ?? 0);
  const total = moved.reduce((a, b) => a + b, 0);
  return moved.map((value) => (total > 0 ? value / total : 1 / wanted.length));
}

export class LabelSmoother {
  proba: readonly number[] = [];
  #classes: readonly string[] = [];
  #time = 0;
  /** null stands for unknown, a label like any other. */
  #shown: string | null = null;
  #behindSince: number | null = null;
  #decided = false;
  #reset = false;

  constructor(public halfLife: number) {}

  /** Treat the next prediction as the first. */
  reset(): void {
    this.#reset = true;
  }

  update(proba: readonly number[], classes: readonly string[], now: number): void {
    const halfLife = this.#reset ? 0 : this.halfLife;
    this.#decided = this.#decided && !this.#reset;
    this.#reset = false;
    this.#approach(proba, classes, now, halfLife);
  }

  /** Let the probabilities fade to uniform while the face is visible but cannot be read. */
  fade(classes: readonly string[], now: number): void {
    const uniform = classes.map(() => 1 / classes.length);
    this.#approach(uniform, classes, now, FADING_S);
  }

  #approach(proba: readonly number[], classes: readonly string[], now: number, halfLife: number): void {
    let next = proba;
    if (this.#classes.length) {
      this.useClasses(classes);
      const left = halfLife > 0 ? 0.5 ** ((now - this.#time) / halfLife) : 0;
      next = proba.map((value, at) => value + (this.proba[at] - value) * left);
    }
    this.proba = next;
    this.#classes = classes;
    this.#time = now;
  }

  useClasses(classes: readonly string[]): void {
    if (classes.length !== this.#classes.length || classes.some((name, at) => name !== this.#classes[at])) {
      this.proba = byName(this.proba, this.#classes, classes);
      this.#classes = classes;
    }
  }

  /** Decide which label to show; null for unknown. */
  shown(unknownBelow: number, now: number): string | null {
    const scores = new Map<string | null, number>([[null, unknownBelow]]);
    this.#classes.forEach((name, at) => {
      scores.set(name, this.proba[at]);
    });
    let best: string | null = null;
    for (const [name, score] of scores) if (score > scores.get(best)!) best = name;
    const top = scores.get(best)!;
    // Otherwise the order of the classes would decide.
    if ([...scores.values()].filter((score) => score >= top - TIE).length > 1) best = null;
    if (best === this.#shown) this.#behindSince = null;
    else this.#behindSince ??= now;
    const lead = scores.get(best)! - (scores.get(this.#shown) ?? 0);
    const waited = this.#behindSince !== null && now - this.#behindSince >= PATIENCE_S;
    if (!this.#decided || lead >= MARGIN || waited) {
      this.#shown = best;
      this.#decided = true;
      this.#behindSince = null;
    }
    return this.#shown !== null && this.#classes.includes(this.#shown) ? this.#shown : null;
  }
}

interface Weighted {
  face: Neighbor;
  weight: number;
  weightedSimilarity: number;
}

export class SmoothedEvidence {
  #neighbors = new Map<number, Weighted>();
  #votes = new Map<string, number>();
  #time: number | null = null;

  constructor(public halfLife: number) {}

  /** Treat the next prediction as the first. */
  reset(): void {
    this.#time = null;
  }

  update(neighbors: readonly Neighbor[], classes: readonly string[], votes: readonly number[], now: number): void {
    const kept = this.#time !== null && this.halfLife > 0 ? 0.5 ** (Math.max(now - this.#time, 0) / this.halfLife) : 0;
    this.#time = now;
    const moved = new Map<string, number>();
    if (kept) for (const [name, share] of this.#votes) moved.set(name, kept * share);
    classes.forEach((name, at) => {
      moved.set(name, (moved.get(name) ?? 0) + (1 - kept) * votes[at]);
    });
    this.#votes = moved;
    const weighted = new Map<number, Weighted>();
    for (const one of this.#neighbors.values()) {
      if (kept * one.weight < LEAST_WEIGHT) continue;
      const { face, weight, weightedSimilarity } = one;
      weighted.set(face.id, { face, weight: kept * weight, weightedSimilarity: kept * weightedSimilarity });
    }
    for (const face of neighbors) {
      const one = weighted.get(face.id) ?? { face, weight: 0, weightedSimilarity: 0 };
      one.face = face;
      one.weight += 1 - kept;
      one.weightedSimilarity += (1 - kept) * face.similarity;
      weighted.set(face.id, one);
    }
    this.#neighbors = weighted;
  }

  nearest(most: number, answer: string): Neighbor[] {
    const ranked = [...this.#neighbors.values()].sort(
      (a, b) => b.weightedSimilarity - a.weightedSimilarity || a.face.id - b.face.id,
    );
    const named = ranked.map((one) => ({ ...one.face, similarity: one.weightedSimilarity / one.weight }));
    return listed(named, answer, most);
  }

  votes(classes: readonly string[]): number[] {
    const shares = classes.map((name) => this.#votes.get(name) ?? 0);
    const total = shares.reduce((a, b) => a + b, 0);
    return shares.map((share) => (total > 0 ? share / total : 1 / classes.length));
  }
}

/** Return the first neighbors, and always the best one that the visitor taught as the answer. */
export function listed(ranked: readonly Neighbor[], answer: string, most: number): Neighbor[] {
  const first = ranked.slice(0, most);
  const decided = ranked.find((one) => one.taught && one.label === answer);
  return !decided || first.includes(decided) ? first : [...first.slice(0, -1), decided];
}

/** Explain in one sentence why the answer differs from the neighbors' votes; "" if it does not. */
export function explain(
  answer: string,
  known: readonly string[],
  nearest: readonly Neighbor[],
  classes: readonly string[],
  votes: readonly number[],
): string {
  const best = votes.indexOf(Math.max(...votes));
  if (classes[best] === answer) return "";
  if (!known.includes(answer) || nearest.some((one) => one.taught && one.label === answer)) {
    return `Faces that you taught as ${answer} decide: this face is similar enough to them.`;
  }
  const share = `${(100 * votes[best]).toFixed(0)} %`;
  return `Together, the neighbors vote ${classes[best]} (${share}); the network's own prediction makes it ${answer}.`;
}
