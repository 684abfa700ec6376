/**
 * The interface between the pages and the engine.
 *
 * Positions are in pixels of the frame that was sent, x to the right and y down. Times are in seconds. Probabilities
 * sum to 1. Map positions are in [0, 1] within a square, x to the right and y up.
 */

/** What went wrong. Show `message` as it is: one clear sentence that says what to do. */
export type ErrorCode =
  /** The browser lacks WebAssembly with SIMD. */
  | "no-simd"
  /** The browser lacks something else that the engine needs, such as OffscreenCanvas. */
  | "unsupported"
  /** A file of the site could not be fetched. */
  | "network"
  /** A file of the site is damaged or of another version. */
  | "damaged"
  /** The device has not enough memory. */
  | "memory"
  /** A picture or frame cannot be read. */
  | "picture"
  /** A class name is not allowed. */
  | "label"
  /** The face is no longer known, or there is nothing to teach, undo or forget. */
  | "gone"
  /** There is no room for more taught faces. */
  | "full"
  /** A file of taught faces cannot be read, or another network made it. */
  | "import"
  /** The engine was stopped. */
  | "stopped"
  /** A fault of the program. */
  | "internal";

export class EngineError extends Error {
  override readonly name = "EngineError";

  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** How far loading is. */
export interface Progress {
  stage: "runtime" | "detector" | "encoder" | "gallery" | "start";
  /** Bytes received so far and in all, uncompressed, over all files. */
  loaded: number;
  total: number;
}

export interface ViewInfo {
  /** A label set of the bundle, or "blend". */
  name: string;
  classes: readonly string[];
  /** Predictions with a lower confidence are unknown. */
  unknownBelow: number;
}

/** What the loaded site contains. */
export interface BundleInfo {
  /** Version of Moodspace that wrote the site. */
  version: string;
  /** Identifies the network: taught faces belong to one. */
  fingerprint: string;
  /** Numbers per face. */
  dim: number;
  /** Number of known faces. */
  galleryCount: number;
  views: readonly ViewInfo[];
  defaultView: string;
  /** "#rrggbb" for each class of the views. */
  colors: Readonly<Record<string, string>>;
  /** The known faces on the map; null if the bundle has no map. */
  map: MapInfo | null;
  /** Measured figures of the bundle, as in the manifest's `metrics`. */
  metrics: unknown;
  /** How the network runs. */
  runtime: RuntimeInfo;
}

export interface MapInfo {
  /** Two numbers per known face, x and y in [0, 1]. */
  positions: Float32Array;
  /** For each view one number per known face: the column of its class, -1 for none. */
  labels: Readonly<Record<string, Int8Array>>;
}

export interface RuntimeInfo {
  backend: "wasm";
  /** 1 unless the page is cross-origin isolated. */
  threads: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Quality {
  /** Whether the face can be read. */
  good: boolean;
  /** Why not: "too small", "cut off", "turned away", "blurred" or "mouth hidden"; "" if good. */
  reason: string;
  /** Longer side of the box, pixels. */
  size: number;
  sharpness: number;
  /** Degrees, positive if the face is turned to the viewer's right. */
  yaw: number;
}

/** A known or taught face that supports an answer. */
export interface Neighbor {
  id: number;
  /** Its class in the current view; null if it has none there. */
  label: string | null;
  /** Cosine in [-1, 1]. */
  similarity: number;
  /** Where it came from, to be shown. */
  source: string;
  taught: boolean;
  /** Its place on the map; null for a taught face or a bundle without a map. */
  place: Point | null;
}

export interface Face {
  /** Track id, from 1 up, never used again; in photos the number of the face from 1 up. */
  id: number;
  box: Box;
  /** Viewer-left eye, viewer-right eye, nose tip, viewer-left and viewer-right mouth corner. */
  landmarks: readonly Point[];
  /** The detector's confidence. */
  detection: number;
  quality: Quality;
  /** The class to show, which does not flicker; null for unknown. */
  expression: string | null;
  /** The probability of `expression`, or the largest one if it is null. */
  confidence: number;
  unknown: boolean;
  /** One probability per class of `FrameResult.classes`, smoothed over time in live sessions. */
  proba: readonly number[];
  /** The votes of the neighbors, in the same order. */
  votes: readonly number[];
  /** At most 5 faces that support the answer, most important first. */
  neighbors: readonly Neighbor[];
  /** One sentence that says why the answer differs from the neighbors' votes; "" if it does not. */
  explanation: string;
  /** Where the face is on the map; null if unknown. */
  place: Point | null;
}

export interface ClassInfo {
  name: string;
  /** "#rrggbb", the same everywhere; see the app for its use on light and dark grounds. */
  color: string;
  taught: boolean;
}

/** The faces of a frame or photo. */
export interface FrameResult {
  /** The time that the frame was sent with. */
  time: number;
  width: number;
  height: number;
  /** The view's classes, then taught ones that it lacks: the columns of `proba` and `votes`. */
  classes: readonly ClassInfo[];
  faces: readonly Face[];
  /** Milliseconds per stage. */
  timings: Readonly<Record<Stage, number>>;
}

export type Stage = "read" | "detect" | "track" | "crop" | "encode" | "search" | "decide";

/** A face to teach: of the live session by its track id, of the newest photo by its number, or one that is held. */
export interface FaceReference {
  from: "live" | "photo" | "held";
  id: number;
}

/** The answer to `Engine.hold`. */
export interface Held {
  /** Number of the held face, from 1 up, never used again; null if it was not kept. */
  id: number | null;
  /** Why it was not kept: it cannot be read, a held face is nearly the same, or it is no longer in view. */
  reason: "" | "unreadable" | "same" | "gone";
}

export interface TaughtFace {
  id: number;
  label: string;
  /** Where it came from: "live", "photo", or a name from an imported file. */
  source: string;
  /** Seconds since 1970. */
  added: number;
  /** Where it is on the map, next to its most similar known faces; null without a map. */
  place: Point | null;
}

/** The taught faces, newest last. */
export interface Taught {
  faces: readonly TaughtFace[];
  classes: readonly (ClassInfo & { count: number })[];
  /** Whether there is a lesson to undo. */
  canUndo: boolean;
}

export interface Imported {
  added: number;
  /** How many were known already. */
  known: number;
  taught: Taught;
}

/** A file of taught faces that Python reads: `moodspace gallery import FILE`. */
export interface ExportedFile {
  /** Such as "taught.json". */
  name: string;
  type: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface LoadOptions {
  /** Address of the folder with `site.json`; by default that of the page. */
  base?: string;
  /** Called while files are fetched and the network starts. */
  progress?: (progress: Progress) => void;
  /** Most threads to use; by default as many as help. More than 1 needs a cross-origin isolated page. */
  threads?: number;
}

/**
 * The engine. Its work runs in a worker. Every call rejects with an `EngineError`.
 *
 * Calls are answered in order. Send the next frame when the last one is answered; frames in between are best dropped.
 */
export interface Engine {
  load(options?: LoadOptions): Promise<BundleInfo>;
  /** Track and recognize the faces of the next frame of a live session or video. Takes over the image and closes it. */
  frame(image: ImageBitmap | VideoFrame, time: number): Promise<FrameResult>;
  /** Recognize the faces of one picture, small ones too. Takes over the image and closes it. */
  photo(image: ImageBitmap): Promise<FrameResult>;
  /** Forget all tracks: the next frame is the first of another source. */
  reset(): Promise<void>;
  /** Predict in another view from now on. */
  setView(view: string): Promise<void>;
  /** Half-life of the smoothing of live sessions, seconds, >= 0. */
  setSmoothing(halfLife: number): Promise<void>;
  /** Teach faces as a class, as one lesson. A live face can be taught for 3 s after it left the picture. */
  teach(label: string, faces: readonly FaceReference[]): Promise<Taught>;
  /**
   * Keep a face as it is in the newest frame or photo, to teach it later. Of a live face only readable and different looks
   * are kept, so that a second of the same look gives one of them; a face of a photo is always kept.
   */
  hold(face: FaceReference): Promise<Held>;
  /** Let held faces go; without ids, all of them. Teaching does not let them go. */
  release(ids?: readonly number[]): Promise<void>;
  /** Undo the last change: a lesson, or faces that were forgotten or imported. */
  undo(): Promise<Taught>;
  /** Forget taught faces by id. */
  forget(ids: readonly number[]): Promise<Taught>;
  taught(): Promise<Taught>;
  exportTaught(): Promise<ExportedFile>;
  /** Add the faces of an exported file, JSON or parquet, from here or from Python; known ones are left out. */
  importTaught(bytes: ArrayBuffer): Promise<Imported>;
  /** Take back the taught faces of an earlier visit: as an import, but with their sources, and without undo. */
  restoreTaught(bytes: ArrayBuffer): Promise<Taught>;
  /** Stop the worker and free its memory. Calls in flight reject with "stopped". */
  stop(): void;
}
