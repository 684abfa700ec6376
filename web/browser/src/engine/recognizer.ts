/** Recognize the expression of encoded faces, as `moodspace.classifier.recognizer` does. */

import type { ClassInfo, Neighbor, Point, ViewInfo } from "../protocol.ts";
import { EngineError } from "../protocol.ts";
import { type Blend, combine, type Nearest, type Parts, readBlend, sharpen } from "./ensemble.ts";
import { classColors } from "./names.ts";
import { type Measured, temperatureOf } from "./quality.ts";
import { nearest } from "./search.ts";
import type { Gallery, Site } from "./site.ts";
import { type Example, Gate, TaughtIndex, type TaughtScores, usualFaces, withTaught } from "./taught-scores.ts";

const BLEND = "blend";
/** How fast a neighbor's weight on the map falls with its similarity. */
const MAP_TAU = 0.02;
/** The largest probability of another label set that counts for a taught class. */
const SUREST = 0.98;

/** A face as the network sees it. */
export interface Encoded {
  embedding: Float32Array;
  logits: Readonly<Record<string, ArrayLike<number>>>;
}

export interface Prediction {
  /** The view's classes, then taught ones that it lacks. */
  classes: readonly string[];
  proba: readonly number[];
  votes: readonly number[];
  unknown: boolean;
  /** Best first; as many as vote. */
  neighbors: readonly Neighbor[];
  place: Point | null;
}

export class Recognizer {
  readonly views: readonly ViewInfo[];
  #view: string;
  #blend: Blend | null;
  #examples: readonly Example[] = [];
  #index: TaughtIndex | null = null;
  #others: Float32Array[] | null = null;
  readonly #labels: Record<string, Int8Array> = {};

  constructor(
    readonly site: Site,
    readonly gallery: Gallery,
  ) {
    this.#blend = site.blend ? readBlend(site.blend, site.classes) : null;
    this.views = [
      ...Object.entries(site.classes).map(([name, classes]) => ({
        name,
        classes,
        unknownBelow: site.calibrations[name].unknown_below,
      })),
      ...(this.#blend ? [{ name: BLEND, classes: this.#blend.classes, unknownBelow: this.#blend.unknownBelow }] : []),
    ];
    this.#view = site.defaultView;
    this.view;
  }

  get view(): ViewInfo {
    const view = this.views.find((one) => one.name === this.#view);
    if (!view) throw new EngineError("damaged", `The site has no view ${this.#view}; write the site again.`);
    return view;
  }

  setView(name: string): void {
    const names = this.views.map((view) => view.name);
    if (!names.includes(name)) {
      throw new EngineError("internal", `Expected a view among ${names.join(", ")}, got ${name}.`);
    }
    this.#view = name;
    this.#index = null;
  }

  /** The column of each known face's class in a view, -1 for none. */
  labels(view: string): Int8Array {
    this.#labels[view] ??= this.#viewLabels(view);
    return this.#labels[view];
  }

  #viewLabels(view: string): Int8Array {
    const { labels, count } = this.gallery;
    if (view !== BLEND || !this.#blend) return labels[view];
    const columns: Record<string, number> = {};
    const out = new Int8Array(count);
    for (let row = 0; row < count; row++) {
      for (const set of this.#blend.sets) columns[set] = labels[set][row];
      out[row] = this.#blend.label(columns);
    }
    return out;
  }

  /** Use these taught faces from now on, oldest first. */
  setExamples(examples: readonly Example[]): void {
    this.#examples = examples;
    this.#index = null;
  }

  /** The columns of predictions. */
  get classes(): ClassInfo[] {
    const known = this.view.classes;
    const taught = [...new Set(this.#examples.map((one) => one.label))].filter((name) => !known.includes(name)).sort();
    return this.describe([...known, ...taught]);
  }

  /** Names and colors of classes, which are the same for any order. */
  describe(names: readonly string[]): ClassInfo[] {
    const colors = classColors(names, this.site.colors, this.site.ownColors);
    const known = new Set(this.view.classes);
    return names.map((name) => ({ name, color: colors[name], taught: !known.has(name) }));
  }

  /** @param measured How well the face can be read; it lowers the confidence. */
  predict(face: Encoded, measured: Measured): Prediction {
    const sets = this.#view === BLEND && this.#blend ? this.#blend.sets : [this.#view];
    const most = Math.max(...sets.map((set) => this.site.calibrations[set].k));
    const found = nearest(this.gallery.embeddings, this.gallery.count, face.embedding, most);
    const parts: Record<string, Parts> = {};
    for (const set of sets) {
      parts[set] = combine(face.logits[set], found, this.gallery.labels[set], this.site.calibrations[set]);
    }
    const plain = this.#view === BLEND && this.#blend ? this.#blend.predict(parts) : parts[this.#view];
    const effect = this.site.quality[this.#view];
    const own = effect ? { ...plain, proba: sharpen(plain.proba, temperatureOf(effect, measured)) } : plain;
    const { classes, unknownBelow } = this.view;
    const place = this.place(found);
    const neighbors = this.#known(found, classes);
    const index = this.#taughtIndex();
    if (!index) {
      return {
        classes,
        proba: own.proba,
        votes: own.votes,
        unknown: Math.max(...own.proba) < unknownBelow,
        neighbors,
        place,
      };
    }
    const scores = this.#withOtherLabelSets(index.score(face.embedding), face, found);
    const mixed = withTaught(classes, own, scores);
    const taught = scores.neighbors.map(({ example, similarity }) => ({
      id: example.id,
      label: example.label,
      similarity,
      source: "",
      taught: true,
      place: null,
    }));
    const both = [...taught, ...neighbors].sort((a, b) => b.similarity - a.similarity).slice(0, neighbors.length);
    const unknown = mixed.tied || Math.max(...mixed.proba) < unknownBelow;
    return { classes: mixed.classes, proba: mixed.proba, votes: mixed.votes, unknown, neighbors: both, place };
  }

  /** Add the odds of taught classes that the view lacks and another label set has, where the taught faces give odds. */
  #withOtherLabelSets(scores: TaughtScores, face: Encoded, found: Nearest): TaughtScores {
    const odds = scores.odds.map((own, column) => {
      const name = scores.classes[column];
      if (!(own > 0) || this.view.classes.includes(name)) return own;
      let sum = own;
      for (const [set, classes] of Object.entries(this.site.classes)) {
        const at = classes.indexOf(name);
        if (at < 0) continue;
        const { proba } = combine(face.logits[set], found, this.gallery.labels[set], this.site.calibrations[set]);
        const share = Math.min(proba[at], SUREST);
        sum += share / (1 - share);
      }
      return sum;
    });
    return { ...scores, odds };
  }

  #known(found: Nearest, classes: readonly string[]): Neighbor[] {
    const labels = this.labels(this.#view);
    const { ids, sources, map } = this.gallery;
    return Array.from(found.rows, (row, at) => ({
      id: ids[row],
      label: labels[row] >= 0 ? classes[labels[row]] : null,
      similarity: found.similarities[at],
      source: sources[row],
      taught: false,
      place: map ? { x: map[2 * row], y: map[2 * row + 1] } : null,
    }));
  }

  /** Where a face is on the map: the weighted mean of its neighbors' places; null without a map. */
  place(found: Nearest): Point | null {
    const { map } = this.gallery;
    if (!map || !found.rows.length) return null;
    let x = 0;
    let y = 0;
    let sum = 0;
    found.rows.forEach((row, at) => {
      const weight = Math.exp((found.similarities[at] - found.similarities[0]) / MAP_TAU);
      x += weight * map[2 * row];
      y += weight * map[2 * row + 1];
      sum += weight;
    });
    return { x: x / sum, y: y / sum };
  }

  /** Where an embedding is on the map. */
  placeOf(embedding: Float32Array): Point | null {
    return this.place(nearest(this.gallery.embeddings, this.gallery.count, embedding, 15));
  }

  #taughtIndex(): TaughtIndex | null {
    if (!this.#examples.length) return null;
    if (!this.#index) {
      const { embeddings, count, whitening } = this.gallery;
      this.#others ??= usualFaces(embeddings, count, whitening);
      this.#index = new TaughtIndex(
        this.#examples,
        this.site.commonClasses[this.#view],
        this.#others,
        whitening,
        new Gate(this.site.gate),
      );
    }
    return this.#index;
  }
}
