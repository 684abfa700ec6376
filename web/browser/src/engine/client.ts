/** Open the engine. */

import type {
  BundleInfo,
  ClassInfo,
  Engine,
  ExportedFile,
  Face,
  FaceReference,
  FrameResult,
  Held,
  Imported,
  LoadOptions,
  Taught,
  TaughtFace,
} from "../protocol.ts";
import { EngineError } from "../protocol.ts";

export function openEngine(): Engine {
  return new FakeEngine();
}

const CLASSES = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"];
const COLORS = ["#D55E00", "#009E73", "#CC79A7", "#F0E442", "#999999", "#0072B2", "#56B4E9"];
const OWN_COLORS = ["#E600BE", "#4646FA", "#D2003C", "#3278FA"];
const POINTS = 4000;

function noise(seed: number): number {
  const value = Math.sin(seed * 12.9898) * 43758.5453;
  return value - Math.floor(value);
}

/** Stands in for the engine until it works, so that the pages can be built: two faces that move and change. */
class FakeEngine implements Engine {
  #faces: TaughtFace[] = [];
  #held = new Set<number>();
  #holds = 0;
  #lessons: number[] = [];
  #next = 1;
  #view = "blend";
  #seen = new Set<string>();

  async load(options: LoadOptions = {}): Promise<BundleInfo> {
    const total = 17_000_000;
    const stages = ["runtime", "detector", "encoder", "gallery", "start"] as const;
    for (const [at, stage] of stages.entries()) {
      options.progress?.({ stage, loaded: (total * (at + 1)) / stages.length, total });
      await new Promise((done) => setTimeout(done, 150));
    }
    const positions = new Float32Array(2 * POINTS);
    const labels = new Int8Array(POINTS);
    for (let at = 0; at < POINTS; at++) {
      labels[at] = at % CLASSES.length;
      const turn = (2 * Math.PI * labels[at]) / CLASSES.length;
      positions[2 * at] = 0.5 + 0.3 * Math.cos(turn) + 0.2 * (noise(at) - 0.5);
      positions[2 * at + 1] = 0.5 + 0.3 * Math.sin(turn) + 0.2 * (noise(at + 0.5) - 0.5);
    }
    return {
      version: "fake",
      fingerprint: "0".repeat(64),
      dim: 64,
      galleryCount: POINTS,
      views: [
        { name: "blend", classes: CLASSES, unknownBelow: 0.49 },
        { name: "fer2013", classes: CLASSES, unknownBelow: 0.47 },
      ],
      defaultView: "blend",
      colors: Object.fromEntries(CLASSES.map((name, at) => [name, COLORS[at]])),
      map: { positions, labels: { blend: labels, fer2013: labels } },
      metrics: {},
      runtime: { backend: "wasm", threads: 1 },
    };
  }

  async frame(image: ImageBitmap | VideoFrame, time: number): Promise<FrameResult> {
    const width = image instanceof ImageBitmap ? image.width : image.displayWidth;
    const height = image instanceof ImageBitmap ? image.height : image.displayHeight;
    image.close();
    await new Promise((done) => setTimeout(done, 40));
    return this.#result(width, height, time, "live");
  }

  async photo(image: ImageBitmap): Promise<FrameResult> {
    const { width, height } = image;
    image.close();
    await new Promise((done) => setTimeout(done, 200));
    return this.#result(width, height, 0, "photo");
  }

  #result(width: number, height: number, time: number, from: string): FrameResult {
    const classes = this.#classes();
    const faces = [1, 2].map((id): Face => {
      this.#seen.add(`${from} ${id}`);
      const side = 0.3 * Math.min(width, height);
      const x = width * (0.3 * id) - side / 2 + 0.05 * width * Math.sin(time + id);
      const y = height * 0.4 - side / 2 + 0.05 * height * Math.cos(0.7 * time + id);
      const weights = classes.map((_, at) => Math.exp(3 * Math.sin(0.4 * time + 1.3 * at + 2 * id)));
      const sum = weights.reduce((a, b) => a + b);
      const proba = weights.map((value) => value / sum);
      const confidence = Math.max(...proba);
      const best = proba.indexOf(confidence);
      const readable = !(id === 2 && time % 20 > 16);
      const expression = readable && confidence >= 0.49 ? classes[best].name : null;
      const turn = (2 * Math.PI * best) / CLASSES.length + 0.2 * Math.sin(time);
      return {
        id,
        box: { x, y, width: side, height: 1.2 * side },
        landmarks: [
          [0.3, 0.4],
          [0.7, 0.4],
          [0.5, 0.6],
          [0.35, 0.8],
          [0.65, 0.8],
        ].map(([right, down]) => ({ x: x + right * side, y: y + down * 1.2 * side })),
        detection: 0.97,
        quality: { good: readable, reason: readable ? "" : "turned away", size: side, sharpness: 0.04, yaw: 5 },
        expression,
        confidence,
        unknown: expression === null,
        proba,
        votes: proba,
        neighbors: Array.from({ length: 5 }, (_, at) => ({
          id: 100 * id + at,
          label: classes[best].name,
          similarity: 0.98 - 0.02 * at,
          source: `Training ${100 * id + at}`,
          taught: false,
          place: { x: 0.5 + 0.3 * Math.cos(turn + 0.02 * at), y: 0.5 + 0.3 * Math.sin(turn + 0.02 * at) },
        })),
        explanation: "",
        place: { x: 0.5 + 0.3 * Math.cos(turn), y: 0.5 + 0.3 * Math.sin(turn) },
      };
    });
    const timings = { read: 2, detect: 20, track: 1, crop: 1, encode: 14, search: 2, decide: 0 };
    return { time, width, height, classes, faces, timings };
  }

  #classes(): ClassInfo[] {
    const own = [...new Set(this.#faces.map((face) => face.label))].filter((name) => !CLASSES.includes(name));
    return [
      ...CLASSES.map((name, at) => ({ name, color: COLORS[at], taught: false })),
      ...own.map((name, at) => ({ name, color: OWN_COLORS[at % OWN_COLORS.length], taught: true })),
    ];
  }

  async reset(): Promise<void> {
    this.#seen.clear();
  }

  async setView(view: string): Promise<void> {
    this.#view = view;
    if (!this.#view) throw new EngineError("internal", "Expected a view, got none.");
  }

  async setSmoothing(): Promise<void> {}

  async teach(label: string, faces: readonly FaceReference[]): Promise<Taught> {
    if (!label.trim()) throw new EngineError("label", "Expected a class name, got none; type one.");
    const known = faces.filter((face) =>
      face.from === "held" ? this.#held.has(face.id) : this.#seen.has(`${face.from} ${face.id}`),
    );
    if (!known.length) {
      throw new EngineError("gone", "This face is no longer in view; select a face and teach again.");
    }
    for (const face of known) {
      const place = { x: 0.2 + 0.01 * this.#next, y: 0.15 };
      this.#faces.push({ id: this.#next++, label: label.trim(), source: face.from, added: Date.now() / 1000, place });
    }
    this.#lessons.push(known.length);
    return this.taught();
  }

  async hold(face: FaceReference): Promise<Held> {
    if (!this.#seen.has(`${face.from} ${face.id}`)) return { id: null, reason: "gone" };
    if (++this.#holds % 4) return { id: null, reason: "same" };
    this.#held.add(this.#holds);
    return { id: this.#holds, reason: "" };
  }

  async release(ids?: readonly number[]): Promise<void> {
    for (const id of ids ?? this.#held) this.#held.delete(id);
  }

  async undo(): Promise<Taught> {
    const count = this.#lessons.pop();
    if (!count) throw new EngineError("gone", "There is nothing to undo.");
    this.#faces.splice(-count, count);
    return this.taught();
  }

  async forget(ids: readonly number[]): Promise<Taught> {
    this.#faces = this.#faces.filter((face) => !ids.includes(face.id));
    return this.taught();
  }

  async taught(): Promise<Taught> {
    const classes = this.#classes()
      .map((one) => ({ ...one, count: this.#faces.filter((face) => face.label === one.name).length }))
      .filter((one) => one.count);
    return { faces: [...this.#faces], classes, canUndo: this.#lessons.length > 0 };
  }

  async exportTaught(): Promise<ExportedFile> {
    return {
      name: "taught.json",
      type: "application/json",
      bytes: new TextEncoder().encode(JSON.stringify(this.#faces)),
    };
  }

  async importTaught(bytes: ArrayBuffer): Promise<Imported> {
    const faces = JSON.parse(new TextDecoder().decode(bytes));
    this.#faces.push(...faces);
    return { added: faces.length, known: 0, taught: await this.taught() };
  }

  async restoreTaught(bytes: ArrayBuffer): Promise<Taught> {
    this.#faces.push(...JSON.parse(new TextDecoder().decode(bytes)));
    return this.taught();
  }

  stop(): void {}
}
