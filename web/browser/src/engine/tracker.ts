/** Track faces from frame to frame, as `moodspace.realtime.tracking.tracker` does. */

import type { Box, Point } from "../protocol.ts";
import { appearance, associate } from "./association.ts";
import { cropFace } from "./crops.ts";
import { type Detection, overlap } from "./detector.ts";
import { Flow, type Move } from "./flow.ts";
import type { Gray, Matrix, Rgba } from "./image.ts";

const FEWEST_FRAMES = 2;
const MOST_FRAMES = 5;
const FACES_PER_FRAME = 2;
const LONGEST_WAIT_S = 0.3;
const FRAMES_WHEN_EMPTY = 3;
const MEMORY_S = 1.5;
const UNDETECTED_S = 0.3;
const BEHIND = 0.3;
const TOUCHING = 0.05;
const SPEED_WEIGHT = 0.5;
const APPEARANCE_WEIGHT = 0.3;
const DRIFT_S = 0.5;

export interface Tracked {
  id: number;
  box: Box;
  landmarks: Point[];
  confidence: number;
  /** False where the position is a guess. */
  fresh: boolean;
  /** Its crop, if it was detected in this frame. */
  crop: Gray | null;
}

export interface TrackedFaces {
  /** The visible faces, in the order of their ids. */
  faces: Tracked[];
  /** The ids of these and of those that may come back. */
  remembered: Set<number>;
  /** Milliseconds that the detector took. */
  detectMs: number;
}

export class Tracker {
  #next = 1;
  #flow = new Flow();
  #tracks: Track[] = [];
  #size: { width: number; height: number } | null = null;
  #time = 0;
  #framesSince = 0;
  #detectedAt = 0;
  #touching = false;
  #crops = new Map<Track, Gray>();

  constructor(
    readonly detect: (frame: Rgba) => Promise<Detection[]>,
    readonly template: readonly Point[],
  ) {}

  /** Start over with another source: the next frame is its first. Ids are not used again. */
  restart(): void {
    this.#tracks = [];
    this.#size = null;
    this.#time = 0;
    this.#framesSince = 0;
    this.#detectedAt = 0;
    this.#touching = false;
    this.#crops = new Map();
    this.#flow.restart();
  }

  async update(frame: Rgba, now: number): Promise<TrackedFaces> {
    if (now < this.#time) this.restart();
    const { width, height } = frame;
    const first = !this.#size;
    const resized = this.#size !== null && (this.#size.width !== width || this.#size.height !== height);
    if (this.#size && resized) {
      for (const track of this.#tracks) track.rescale(width / this.#size.width, height / this.#size.height);
    }
    this.#size = { width, height };
    this.#time = now;
    this.#move(frame, now);
    this.#framesSince++;
    this.#crops = new Map();
    let detectMs = 0;
    if (first || resized || this.#detectorIsDue(now)) detectMs = await this.#detect(frame, now, first);
    this.#tracks = this.#tracks.filter((track) => now - track.detectedAt <= MEMORY_S);
    return { ...this.#visible(now), detectMs };
  }

  #move(frame: Rgba, now: number): void {
    const moves: Move[] = this.#flow.advance(
      frame,
      this.#tracks.map((track) => track.landmarks),
    );
    this.#tracks.forEach((track, row) => {
      const move = moves[row];
      if (move && track.flowing) track.move(move);
      else track.drift(now);
    });
  }

  #detectorIsDue(now: number): boolean {
    if (now - this.#detectedAt >= LONGEST_WAIT_S) return true;
    if (!this.#tracks.length) return this.#framesSince >= FRAMES_WHEN_EMPTY;
    if (this.#touching || this.#tracks.some((track) => !track.flowing || !track.id)) {
      return this.#framesSince >= FEWEST_FRAMES;
    }
    const wait = FEWEST_FRAMES + Math.floor(this.#tracks.length / FACES_PER_FRAME);
    return this.#framesSince >= Math.min(wait, MOST_FRAMES);
  }

  async #detect(frame: Rgba, now: number, first: boolean): Promise<number> {
    const started = performance.now();
    const faces = await this.detect(frame);
    const detectMs = performance.now() - started;
    this.#framesSince = 0;
    this.#detectedAt = now;
    const crops = faces.map((face) => cropFace(frame, face.landmarks, this.template));
    const found = faces.map((face, at) => ({
      box: face.box,
      appearance: appearance(crops[at]),
      whole: faces.every((other) => other === face || overlap(face.box, other.box) <= TOUCHING),
    }));
    this.#touching = found.some((one) => !one.whole);
    const expected = this.#tracks.map((track) => ({
      box: track.box,
      appearance: track.appearance,
      undetected: now - track.detectedAt,
    }));
    const pairs = new Map(associate(expected, found));
    this.#tracks.forEach((track, row) => {
      const at = pairs.get(row);
      if (at === undefined) {
        track.fresh = false;
        return;
      }
      track.update(faces[at], now);
      this.#crops.set(track, crops[at]);
      if (found[at].whole) track.updateAppearance(found[at].appearance);
    });
    this.#tracks = this.#tracks.filter((track) => track.fresh || track.confirmed);
    const taken = new Set(pairs.values());
    faces.forEach((face, at) => {
      if (taken.has(at)) return;
      const track = new Track(face, found[at].appearance, now);
      this.#crops.set(track, crops[at]);
      this.#tracks.push(track);
    });
    for (const track of this.#tracks) if (!track.id && (first || track.confirmed)) track.id = this.#next++;
    // Do not follow the pixels of faces that are behind another one.
    const visible = this.#tracks.filter((track) => track.fresh);
    for (const track of this.#tracks) {
      if (!track.fresh && visible.some((other) => overlap(track.box, other.box) > BEHIND)) track.flowing = false;
    }
    return detectMs;
  }

  #visible(now: number): Omit<TrackedFaces, "detectMs"> {
    const faces = this.#tracks
      .filter((track) => track.id && (track.fresh || (track.flowing && now - track.detectedAt <= UNDETECTED_S)))
      .sort((a, b) => a.id - b.id)
      .map((track) => ({
        id: track.id,
        box: track.box,
        landmarks: track.landmarks,
        confidence: track.confidence,
        fresh: track.fresh && track.flowing,
        crop: this.#crops.get(track) ?? null,
      }));
    return { faces, remembered: new Set(this.#tracks.map((track) => track.id)) };
  }
}

class Track {
  id = 0;
  confirmed = false;
  fresh = true;
  flowing = true;
  box: Box;
  landmarks: Point[];
  confidence: number;
  detectedAt: number;
  #speed = { x: 0, y: 0 };
  #detectedBox: Box;
  #detectedLandmarks: Point[];

  constructor(
    face: Detection,
    public appearance: Float32Array,
    now: number,
  ) {
    this.box = this.#detectedBox = face.box;
    this.landmarks = this.#detectedLandmarks = face.landmarks;
    this.confidence = face.confidence;
    this.detectedAt = now;
  }

  update(face: Detection, now: number): void {
    const old = this.#detectedBox;
    const { box } = face;
    const x = box.x + box.width / 2 - old.x - old.width / 2;
    const y = box.y + box.height / 2 - old.y - old.height / 2;
    if (now > this.detectedAt) {
      const weight = this.confirmed ? SPEED_WEIGHT : 1;
      const seconds = now - this.detectedAt;
      this.#speed = {
        x: (1 - weight) * this.#speed.x + (weight * x) / seconds,
        y: (1 - weight) * this.#speed.y + (weight * y) / seconds,
      };
    }
    this.confirmed = this.fresh = this.flowing = true;
    this.box = this.#detectedBox = box;
    this.landmarks = this.#detectedLandmarks = face.landmarks;
    this.confidence = face.confidence;
    this.detectedAt = now;
  }

  updateAppearance(seen: Float32Array): void {
    const mixed = this.appearance.map((value, at) => (1 - APPEARANCE_WEIGHT) * value + APPEARANCE_WEIGHT * seen[at]);
    const length = Math.max(Math.hypot(...mixed), 1e-6);
    this.appearance = mixed.map((value) => value / length);
  }

  move([a, b, c, d, e, f]: Matrix): void {
    const centerX = this.box.x + this.box.width / 2;
    const centerY = this.box.y + this.box.height / 2;
    const by = Math.hypot(a, d);
    const width = this.box.width * by;
    const height = this.box.height * by;
    this.box = {
      x: a * centerX + b * centerY + c - width / 2,
      y: d * centerX + e * centerY + f - height / 2,
      width,
      height,
    };
    this.landmarks = this.landmarks.map(({ x, y }) => ({ x: a * x + b * y + c, y: d * x + e * y + f }));
  }

  /** Move it to where its speed, slowing down, has taken it since its last detection. */
  drift(now: number): void {
    this.flowing = false;
    const by = DRIFT_S * (1 - Math.exp(-(now - this.detectedAt) / DRIFT_S));
    const x = this.#speed.x * by;
    const y = this.#speed.y * by;
    this.box = { ...this.#detectedBox, x: this.#detectedBox.x + x, y: this.#detectedBox.y + y };
    this.landmarks = this.#detectedLandmarks.map((point) => ({ x: point.x + x, y: point.y + y }));
  }

  rescale(across: number, down: number): void {
    const box = (one: Box) => ({
      x: one.x * across,
      y: one.y * down,
      width: one.width * across,
      height: one.height * down,
    });
    const points = (many: readonly Point[]) => many.map(({ x, y }) => ({ x: x * across, y: y * down }));
    this.box = box(this.box);
    this.landmarks = points(this.landmarks);
    this.#detectedBox = box(this.#detectedBox);
    this.#detectedLandmarks = points(this.#detectedLandmarks);
    this.#speed = { x: this.#speed.x * across, y: this.#speed.y * down };
  }
}
