/** Recognize the faces of frames and photos, as `moodspace.realtime.pipeline` does. */

import type { Face, FaceReference, FrameResult, Held, Neighbor, Point, Quality, Stage } from "../protocol.ts";
import { cropFace, SIZE } from "./crops.ts";
import { type Detection, detectInPicture, detectLive } from "./detector.ts";
import type { Gray, Rgba } from "./image.ts";
import { assess, type Measured, measureCrop } from "./quality.ts";
import type { Encoded, Prediction, Recognizer } from "./recognizer.ts";
import type { Network } from "./runtime.ts";
import { explain, LabelSmoother, listed, SmoothedEvidence } from "./smoothing.ts";
import { dot, whiten } from "./taught-scores.ts";
import { type Tracked, Tracker } from "./tracker.ts";

const ALL_UP_TO = 4;
const ENCODER_BATCH = 8;
const NAMED_NEIGHBORS = 5;
const MAP_HALF_LIFE_S = 0.2;
/** How long a face can still be taught after it left the picture. */
const MEMORY_S = 3;
/**
 * Held live faces are less similar to one another, after whitening. Of the frames of two clips that are 0.1 s apart, half are
 * above 0.97, and those of a face that keeps still above 0.98.
 */
const HELD_APART = 0.95;

/** A face that can be taught. */
export interface Teachable {
  embedding: Float32Array;
  crop: Gray;
  good: boolean;
  from: "live" | "photo";
}

/** Runs the network that turns crops into embeddings and logits. */
export class Encoder {
  constructor(
    readonly network: Network,
    readonly flip: boolean,
  ) {}

  async encode(crop: Gray): Promise<Encoded> {
    const first = await this.#run(crop.data);
    const second = this.flip ? await this.#run(mirroredCrop(crop)) : first;
    const mean = (name: string) => first[name].map((value, at) => 0.5 * (value + second[name][at]));
    const logits: Record<string, Float32Array> = {};
    for (const name of Object.keys(first)) if (name !== "embedding") logits[name] = mean(name);
    const embedding = mean("embedding");
    const length = Math.max(Math.hypot(...embedding), 1e-6);
    return { embedding: embedding.map((value) => value / length), logits };
  }

  #run(crop: Uint8Array): Promise<Record<string, Float32Array>> {
    // One face at a time: the runtime takes as long for each in a batch.
    return this.network.run({ batch: 1 }, Float32Array.from(crop), [1, SIZE, SIZE, 1]);
  }
}

function mirroredCrop({ width, data }: Gray): Uint8Array {
  return data.map((_, at) => data[at - (at % width) + (width - 1 - (at % width))]);
}

interface State {
  smoother: LabelSmoother;
  evidence: SmoothedEvidence;
  croppedAt: number;
  /** What its crop tells, and its size and yaw when it was cropped. */
  measured: Measured;
  crop: Gray | null;
  encoded: Encoded | null;
  prediction: Prediction | null;
  place: Point | null;
}

export class Pipeline {
  readonly #tracker: Tracker;
  readonly #template: readonly Point[];
  #states = new Map<number, State>();
  #halfLife = 0.5;
  #time = 0;
  #live = new Map<number, Teachable & { seen: number }>();
  #photo: Teachable[] = [];
  #held = new Map<number, Teachable>();
  #nextHeld = 1;

  constructor(
    readonly detector: Network,
    readonly encoder: Encoder,
    readonly recognizer: Recognizer,
  ) {
    this.#template = recognizer.site.template.map(([x, y]) => ({ x, y }));
    this.#tracker = new Tracker((frame) => detectLive(detector, frame), this.#template);
  }

  restart(): void {
    this.#tracker.restart();
    this.#states.clear();
  }

  set halfLife(seconds: number) {
    this.#halfLife = seconds;
    for (const state of this.#states.values()) state.smoother.halfLife = state.evidence.halfLife = seconds;
  }

  /** Predict all faces again, and let the next frame show it at once: something was taught, or the view changed. */
  refresh(): void {
    for (const state of this.#states.values()) {
      state.smoother.reset();
      state.evidence.reset();
      if (state.encoded) state.prediction = this.recognizer.predict(state.encoded, state.measured);
    }
  }

  async frame(frame: Rgba, now: number, readMs: number): Promise<FrameResult> {
    const timings = { read: readMs, detect: 0, track: 0, crop: 0, encode: 0, search: 0, decide: 0 };
    const clock = new Clock(timings);
    const tracked = await this.#tracker.update(frame, now);
    clock.lap("track");
    timings.detect = tracked.detectMs;
    timings.track -= tracked.detectMs;
    this.#forget(tracked.remembered);
    const states = tracked.faces.map((face) => this.#state(face.id));
    const due = dueRows(states, tracked.faces);
    for (const row of due) {
      const crop = tracked.faces[row].crop ?? cropFace(frame, tracked.faces[row].landmarks, this.#template);
      const state = states[row];
      state.crop = crop;
      state.croppedAt = now;
      state.measured = measureCrop(crop, this.recognizer.site.occlusion);
    }
    const qualities = tracked.faces.map((face, row) => assess(face, states[row].measured, frame.width, frame.height));
    qualities.forEach(({ size, yaw }, row) => {
      states[row].measured = { ...states[row].measured, size, yaw };
    });
    clock.lap("crop");
    const encode = due.filter((row) => qualities[row].good || !states[row].encoded);
    for (const row of encode) states[row].encoded = await this.encoder.encode(states[row].crop!);
    clock.lap("encode");
    for (const row of encode)
      states[row].prediction = this.recognizer.predict(states[row].encoded!, states[row].measured);
    clock.lap("search");
    const classes = this.recognizer.classes;
    const names = classes.map((one) => one.name);
    const kept = 0.5 ** (Math.max(now - this.#time, 0) / MAP_HALF_LIFE_S);
    this.#time = now;
    for (const row of due) {
      const { smoother, evidence, prediction } = states[row];
      if (!prediction) continue;
      if (qualities[row].good) {
        smoother.update(prediction.proba, prediction.classes, now);
        evidence.update(prediction.neighbors, prediction.classes, prediction.votes, now);
      } else {
        smoother.fade(names, now);
      }
    }
    const faces = tracked.faces.map((face, row): Face => {
      const state = states[row];
      state.smoother.useClasses(names);
      state.place = towards(state.place, state.prediction?.place ?? null, kept);
      return this.#describe(face, qualities[row], state, names, now);
    });
    this.#remember(tracked.faces, states, qualities, now);
    clock.lap("decide");
    return { time: now, width: frame.width, height: frame.height, classes, faces, timings };
  }

  #describe(face: Tracked, quality: Quality, state: State, names: readonly string[], now: number): Face {
    const { smoother, evidence } = state;
    const { unknownBelow, classes: known } = this.recognizer.view;
    const proba = smoother.proba;
    const expression = smoother.shown(unknownBelow, now);
    const most = Math.max(...proba);
    const answer = names[proba.indexOf(most)];
    const neighbors = evidence.nearest(NAMED_NEIGHBORS, answer);
    const votes = evidence.votes(names);
    return {
      id: face.id,
      box: face.box,
      landmarks: face.landmarks,
      detection: face.confidence,
      quality,
      expression,
      confidence: expression === null ? most : proba[names.indexOf(expression)],
      unknown: expression === null,
      proba,
      votes,
      neighbors,
      explanation: expression === null ? "" : explain(answer, known, neighbors, names, votes),
      place: state.place,
    };
  }

  #state(id: number): State {
    let state = this.#states.get(id);
    if (!state) {
      state = {
        smoother: new LabelSmoother(this.#halfLife),
        evidence: new SmoothedEvidence(this.#halfLife),
        croppedAt: -1,
        measured: { sharpness: 0, noise: 0, hidden: 0, size: 0, yaw: 0 },
        crop: null,
        encoded: null,
        prediction: null,
        place: null,
      };
      this.#states.set(id, state);
    }
    return state;
  }

  #forget(remembered: ReadonlySet<number>): void {
    for (const id of this.#states.keys()) if (!remembered.has(id)) this.#states.delete(id);
  }

  #remember(faces: readonly Tracked[], states: readonly State[], qualities: readonly Quality[], now: number): void {
    for (const [id, face] of this.#live) if (Math.abs(now - face.seen) >= MEMORY_S) this.#live.delete(id);
    faces.forEach(({ id }, row) => {
      const { encoded, crop } = states[row];
      if (!encoded || !crop) return;
      this.#live.set(id, { embedding: encoded.embedding, crop, good: qualities[row].good, from: "live", seen: now });
    });
  }

  async photo(picture: Rgba, readMs: number): Promise<FrameResult> {
    const timings = { read: readMs, detect: 0, track: 0, crop: 0, encode: 0, search: 0, decide: 0 };
    const clock = new Clock(timings);
    const found = await detectInPicture(this.detector, picture);
    clock.lap("detect");
    const crops = found.map((face) => cropFace(picture, face.landmarks, this.#template));
    const measured = crops.map((crop) => measureCrop(crop, this.recognizer.site.occlusion));
    const qualities = found.map((face, at) => assess(face, measured[at], picture.width, picture.height));
    clock.lap("crop");
    const encoded: Encoded[] = [];
    for (const crop of crops) encoded.push(await this.encoder.encode(crop));
    clock.lap("encode");
    const predictions = encoded.map((one, at) => {
      const { size, yaw } = qualities[at];
      return this.recognizer.predict(one, { ...measured[at], size, yaw });
    });
    clock.lap("search");
    this.#photo = encoded.map(({ embedding }, at) => {
      return { embedding, crop: crops[at], good: qualities[at].good, from: "photo" };
    });
    const classes = this.recognizer.classes;
    const faces = found.map((face, at) => this.#photoFace(face, at + 1, qualities[at], predictions[at]));
    clock.lap("decide");
    return { time: 0, width: picture.width, height: picture.height, classes, faces, timings };
  }

  #photoFace(face: Detection, id: number, quality: Quality, prediction: Prediction): Face {
    const { classes, proba, votes, place } = prediction;
    const most = Math.max(...proba);
    const answer = classes[proba.indexOf(most)];
    const unknown = prediction.unknown || !quality.good;
    const neighbors: Neighbor[] = listed(prediction.neighbors, answer, NAMED_NEIGHBORS);
    return {
      id,
      box: face.box,
      landmarks: face.landmarks,
      detection: face.confidence,
      quality,
      expression: unknown ? null : answer,
      confidence: most,
      unknown,
      proba,
      votes,
      neighbors,
      explanation: unknown ? "" : explain(answer, this.recognizer.view.classes, neighbors, classes, votes),
      place,
    };
  }

  /** Recognize a face that was cropped before, as `moodspace predict --crops` does. */
  async crop(crop: Gray): Promise<Prediction> {
    return this.recognizer.predict(await this.encoder.encode(crop), measureCrop(crop, this.recognizer.site.occlusion));
  }

  /** Return a face to teach; null if it is gone. */
  teachable({ from, id }: FaceReference): Teachable | null {
    if (from === "held") return this.#held.get(id) ?? null;
    return (from === "live" ? this.#live.get(id) : this.#photo[id - 1]) ?? null;
  }

  hold(reference: FaceReference): Held {
    const face = this.teachable(reference);
    if (!face) return { id: null, reason: "gone" };
    // The visitor chose the faces of a photo; a live session offers many, of which some are blurred and most alike.
    if (face.from === "live") {
      if (!face.good) return { id: null, reason: "unreadable" };
      const { whitening } = this.recognizer.gallery;
      const look = whiten(whitening, face.embedding);
      for (const other of this.#held.values()) {
        const alike = other.from === "live" && dot(whiten(whitening, other.embedding), look) >= HELD_APART;
        if (alike) return { id: null, reason: "same" };
      }
    }
    this.#held.set(this.#nextHeld, face);
    return { id: this.#nextHeld++, reason: "" };
  }

  release(ids?: readonly number[]): void {
    for (const id of ids ?? [...this.#held.keys()]) this.#held.delete(id);
  }
}

function dueRows(states: readonly State[], faces: readonly Tracked[]): number[] {
  const waiting = states.map((_, row) => row).filter((row) => faces[row].fresh || states[row].croppedAt < 0);
  waiting.sort((a, b) => states[a].croppedAt - states[b].croppedAt);
  const n = waiting.length;
  const share = n <= ALL_UP_TO ? n : Math.max(ALL_UP_TO, Math.min(Math.ceil(n / 2), ENCODER_BATCH), Math.ceil(n / 4));
  const fresh = states.filter((state) => state.croppedAt < 0).length;
  return waiting.slice(0, Math.max(share, fresh)).sort((a, b) => a - b);
}

function towards(old: Point | null, next: Point | null, kept: number): Point | null {
  if (!old || !next) return next;
  return { x: next.x + (old.x - next.x) * kept, y: next.y + (old.y - next.y) * kept };
}

class Clock {
  #last = performance.now();

  constructor(readonly timings: Record<Stage, number>) {}

  lap(stage: Stage): void {
    const now = performance.now();
    this.timings[stage] += now - this.#last;
    this.#last = now;
  }
}
