/** Fetch the files of the site that the engine needs, check and unpack them. */

import type { Progress } from "../protocol.ts";
import { EngineError } from "../protocol.ts";
import type { QualityEffect } from "./quality.ts";

export const FORMAT = "moodspace-site";
export const VERSION = 1;

/** Where a network's file holds a size: an offset, a stride, and what is added to the size divided by it. */
export type Place = readonly [number, number, number];

export interface FileEntry {
  url: string;
  bytes: number;
  sha256: string;
}

export interface NetworkEntry extends FileEntry {
  /** The number of values, and whether each is a 16-bit float that stands for a 32-bit one, or a byte. */
  segments: readonly (readonly [number, boolean])[];
  places: Readonly<Record<string, readonly Place[]>>;
}

export interface CalibrationValues {
  scale: readonly number[];
  bias: readonly number[];
  alpha: number;
  tau: number;
  k: number;
  unknown_below: number;
  votes_temperature: number;
  votes_smoothing: number;
  ensemble_temperature: number;
}

export interface GateValues {
  closeness: number;
  crowding: number;
  closeness_width: number;
  deviations: number;
  deviations_by_example: number;
  deviations_by_class: number;
  deviations_width: number;
  least_examples: number;
}

export interface GalleryEntry extends FileEntry {
  count: number;
  dim: number;
  hasMap: boolean;
  /** Whether faces have ids other than 0, 1, 2 and so on. */
  hasIds: boolean;
}

/** `site.json`, which `moodspace web --static` writes. */
export interface Site {
  format: string;
  version: number;
  moodspace: string;
  fingerprint: string;
  dim: number;
  flip: boolean;
  template: readonly (readonly [number, number])[];
  classes: Readonly<Record<string, readonly string[]>>;
  defaultView: string;
  calibrations: Readonly<Record<string, CalibrationValues>>;
  blend: Readonly<Record<string, unknown>> | null;
  gate: GateValues;
  /** For each view how low quality lowers the confidence; views may be missing. */
  quality: Readonly<Record<string, QualityEffect>>;
  /** For each view the classes that the network knows well: a taught one of them needs no mean of its examples. */
  commonClasses: Readonly<Record<string, readonly string[]>>;
  metrics: unknown;
  /** Colors of the known expressions, and those that a user's own classes choose from. */
  colors: Readonly<Record<string, string>>;
  ownColors: readonly string[];
  detector: NetworkEntry;
  encoder: NetworkEntry;
  gallery: GalleryEntry;
  sources: FileEntry;
  /** Weights of the detector of covered mouths. */
  occlusion: { weights: readonly number[]; bias: number };
  worker: FileEntry;
  runtime: Readonly<Record<"plain" | "compat" | "threaded", { script: FileEntry; wasm: FileEntry }>>;
}

/** Fetch `site.json`. */
export async function fetchSite(base: string): Promise<Site> {
  const url = new URL("site.json", base);
  let site: Site;
  try {
    const answer = await fetch(url, { cache: "no-cache" });
    if (!answer.ok)
      throw new EngineError("network", `Expected the file site.json, got status ${answer.status}; reload.`);
    site = await answer.json();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (error instanceof SyntaxError) {
      throw new EngineError("damaged", "The file site.json is damaged; write the site again.");
    }
    throw new EngineError("network", "The site cannot be reached; check the connection and reload.");
  }
  if (site.format !== FORMAT || site.version !== VERSION) {
    const got = `${site.format} ${site.version}`;
    throw new EngineError("damaged", `Expected ${FORMAT} ${VERSION} in site.json, got ${got}; write the site again.`);
  }
  return site;
}

/** Fetches files and tells how many bytes arrived. */
export class Fetcher {
  #loaded = 0;
  #total = 0;

  constructor(
    readonly base: string,
    readonly report: (progress: Progress) => void,
  ) {}

  /** Count these files in the total. */
  expect(files: readonly FileEntry[]): void {
    for (const file of files) this.#total += file.bytes;
  }

  async fetch(file: FileEntry, stage: Progress["stage"]): Promise<Uint8Array<ArrayBuffer>> {
    const content = new Uint8Array(file.bytes);
    let at = 0;
    try {
      const answer = await fetch(new URL(file.url, this.base));
      if (!answer.ok || !answer.body) {
        throw new EngineError("network", `Expected the file ${file.url}, got status ${answer.status}; reload.`);
      }
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (at + value.length <= content.length) content.set(value, at);
        at += value.length;
        this.#loaded += value.length;
        this.report({ stage, loaded: Math.min(this.#loaded, this.#total), total: this.#total });
      }
    } catch (error) {
      if (error instanceof EngineError) throw error;
      throw new EngineError("network", "The site cannot be reached; check the connection and reload.");
    }
    if (at !== file.bytes || !(await matches(content, file.sha256))) {
      throw new EngineError("damaged", `The file ${file.url} is damaged; reload, or write the site again.`);
    }
    return content;
  }
}

async function matches(content: Uint8Array<ArrayBuffer>, sha256: string): Promise<boolean> {
  // Pages without encryption have no digests; there is no camera either.
  if (!globalThis.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

let halves: Float32Array | undefined;

/** Return the value of each 16-bit float. */
function halfTable(): Float32Array {
  if (!halves) {
    halves = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const sign = bits & 0x8000 ? -1 : 1;
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      if (exponent === 0) halves[bits] = sign * fraction * 2 ** -24;
      else if (exponent === 31) halves[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
      else halves[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    }
  }
  return halves;
}

export function expandHalves(content: Uint8Array, offset: number, count: number, out: Float32Array, at = 0): void {
  const table = halfTable();
  for (let n = 0; n < count; n++) {
    const from = offset + 2 * n;
    out[at + n] = table[content[from] | (content[from + 1] << 8)];
  }
}

/** Return a network's file. */
export function unpack(content: Uint8Array, segments: NetworkEntry["segments"]): Uint8Array<ArrayBuffer> {
  const size = segments.reduce((sum, [count, isHalf]) => sum + (isHalf ? 4 * count : count), 0);
  const out = new Uint8Array(size);
  let from = 0;
  let to = 0;
  for (const [count, isHalf] of segments) {
    if (isHalf) {
      const values = new Float32Array(count);
      expandHalves(content, from, count, values);
      out.set(new Uint8Array(values.buffer), to);
    } else {
      out.set(content.subarray(from, from + count), to);
    }
    from += isHalf ? 2 * count : count;
    to += isHalf ? 4 * count : count;
  }
  return out;
}

/** The known faces. */
export interface Gallery {
  count: number;
  dim: number;
  /** `count * dim` numbers, rows of unit length. */
  embeddings: Float32Array;
  ids: Int32Array;
  /** For each label set the column of each face's class, -1 for none. */
  labels: Readonly<Record<string, Int8Array>>;
  sources: readonly string[];
  /** Two numbers a face in [0, 1]; null without a map. */
  map: Float32Array | null;
  whitening: Whitening;
}

/** See `moodspace.classifier.taught_scores.Whitening`. */
export interface Whitening {
  mean: Float32Array;
  /** `dim * dim`, applied from the right. */
  transform: Float32Array;
}

export function readGallery(content: Uint8Array<ArrayBuffer>, sources: readonly string[], site: Site): Gallery {
  const { count, dim, hasMap, hasIds } = site.gallery;
  const floats = (offset: number, size: number) => new Float32Array(content.buffer.slice(offset, offset + 4 * size));
  let at = 0;
  const mean = floats(at, dim);
  at += 4 * dim;
  const transform = floats(at, dim * dim);
  at += 4 * dim * dim;
  let ids: Int32Array = Int32Array.from({ length: count }, (_, row) => row);
  if (hasIds) {
    ids = new Int32Array(content.buffer.slice(at, at + 4 * count));
    at += 4 * count;
  }
  const embeddings = new Float32Array(count * dim);
  expandHalves(content, at, count * dim, embeddings);
  at += 2 * count * dim;
  let map: Float32Array | null = null;
  if (hasMap) {
    const places = new Uint16Array(content.buffer.slice(at, at + 4 * count));
    map = Float32Array.from(places, (value) => value / 65535);
    at += 4 * count;
  }
  const labels: Record<string, Int8Array> = {};
  for (const name of Object.keys(site.classes)) {
    labels[name] = new Int8Array(content.buffer.slice(at, at + count));
    at += count;
  }
  if (at !== content.length || sources.length !== count) {
    throw new EngineError("damaged", "The file of known faces is damaged; write the site again.");
  }
  return { count, dim, embeddings, ids, labels, sources, map, whitening: { mean, transform } };
}
