/** The worker that runs the engine: it answers the calls of `client.ts` one after the other. */

import type {
  BundleInfo,
  ExportedFile,
  FaceReference,
  FrameResult,
  Held,
  Imported,
  Progress,
  Taught,
} from "../protocol.ts";
import { EngineError } from "../protocol.ts";
import { SIZE } from "./crops.ts";
import type { Rgba } from "./image.ts";
import { classColors, className } from "./names.ts";
import { Encoder, Pipeline, type Teachable } from "./pipeline.ts";
import { type Prediction, Recognizer } from "./recognizer.ts";
import type { Answer, Request } from "./rpc.ts";
import { chooseRuntime, Network, startRuntime } from "./runtime.ts";
import { Fetcher, type FileEntry, fetchSite, readGallery, unpack } from "./site.ts";
import { type NewFace, TaughtFaces } from "./taught.ts";

/** Larger pictures are shrunk: a phone's 12 megapixels keep every face, and memory stays bounded. */
const MOST_PIXELS = 24_000_000;

interface Loaded {
  pipeline: Pipeline;
  recognizer: Recognizer;
  taught: TaughtFaces;
}

/** What `client.ts` may call. */
class Service {
  #loaded: Loaded | null = null;
  #canvas: OffscreenCanvas | null = null;

  async load(base: string, threads: number | undefined): Promise<BundleInfo> {
    let chosen = chooseRuntime(threads);
    if (typeof OffscreenCanvas === "undefined") {
      throw new EngineError("unsupported", "This browser lacks OffscreenCanvas; update it, or use another.");
    }
    const site = await fetchSite(base);
    // Offline, only the builds without threads are kept.
    if (chosen.kind === "threaded" && !(await isAvailable(site.runtime.threaded.wasm, base))) chosen = chooseRuntime(1);
    const fetcher = new Fetcher(base, (progress) => report({ progress }));
    const { wasm } = site.runtime[chosen.kind];
    fetcher.expect([wasm, site.detector, site.encoder, site.gallery, site.sources]);
    const runtime = startRuntime(site, chosen.kind, base, fetcher.fetch(wasm, "runtime"));
    const [detectorFile, encoderFile, galleryFile, sourcesFile] = await Promise.all([
      fetcher.fetch(site.detector, "detector"),
      fetcher.fetch(site.encoder, "encoder"),
      fetcher.fetch(site.gallery, "gallery"),
      fetcher.fetch(site.sources, "gallery"),
      runtime,
    ]);
    const sources: string[] = JSON.parse(new TextDecoder().decode(sourcesFile));
    const gallery = readGallery(galleryFile, sources, site);
    const network = (content: Uint8Array<ArrayBuffer>, entry: typeof site.detector) =>
      new Network(unpack(content, entry.segments), entry.places, chosen.threads);
    const detector = network(detectorFile, site.detector);
    const encoder = network(encoderFile, site.encoder);
    await encoder.prepare({ batch: 1 });
    const recognizer = new Recognizer(site, gallery);
    const taught = new TaughtFaces(site.fingerprint, site.dim, (embedding) => recognizer.placeOf(embedding));
    const pipeline = new Pipeline(detector, new Encoder(encoder, site.flip), recognizer);
    this.#loaded = { pipeline, recognizer, taught };
    report({ progress: { stage: "start", loaded: 1, total: 1 } satisfies Progress });
    const labels = Object.fromEntries(recognizer.views.map(({ name }) => [name, recognizer.labels(name)]));
    const names = recognizer.views.flatMap((view) => view.classes);
    return {
      version: site.moodspace,
      fingerprint: site.fingerprint,
      dim: site.dim,
      galleryCount: gallery.count,
      views: recognizer.views,
      defaultView: site.defaultView,
      colors: classColors(names, site.colors, site.ownColors),
      map: gallery.map && { positions: gallery.map, labels },
      metrics: site.metrics,
      runtime: { backend: "wasm", threads: chosen.threads },
    };
  }

  get #parts(): Loaded {
    if (!this.#loaded) throw new EngineError("internal", "Expected a loaded engine, got none; call load first.");
    return this.#loaded;
  }

  async frame(image: ImageBitmap | VideoFrame, time: number): Promise<FrameResult> {
    const started = performance.now();
    const frame = this.#pixels(image);
    return this.#parts.pipeline.frame(frame, time, performance.now() - started);
  }

  async photo(image: ImageBitmap): Promise<FrameResult> {
    const started = performance.now();
    const picture = this.#pixels(image);
    return this.#parts.pipeline.photo(picture, performance.now() - started);
  }

  /** Recognize 48x48 gray crops; not part of the pages, for comparisons with Python. */
  async crops(pixels: Uint8Array): Promise<Prediction[]> {
    const size = SIZE * SIZE;
    const found: Prediction[] = [];
    for (let at = 0; at < pixels.length; at += size) {
      found.push(await this.#parts.pipeline.crop({ width: SIZE, height: SIZE, data: pixels.slice(at, at + size) }));
    }
    return found;
  }

  reset(): void {
    this.#parts.pipeline.restart();
  }

  setView(view: string): void {
    this.#parts.recognizer.setView(view);
    this.#parts.pipeline.refresh();
  }

  setSmoothing(halfLife: number): void {
    this.#parts.pipeline.halfLife = halfLife;
  }

  async teach(label: string, references: readonly FaceReference[]): Promise<Taught> {
    const { pipeline, taught } = this.#parts;
    const name = className(label);
    const faces = references.flatMap((reference) => {
      const face = pipeline.teachable(reference);
      return face ? [face] : [];
    });
    if (!faces.length) {
      throw new EngineError("gone", "This face is no longer in view; select a face and teach again.");
    }
    const added = Date.now() / 1000;
    const fresh: NewFace[] = [];
    for (const face of faces) {
      fresh.push({ label: name, embedding: face.embedding, source: face.from, digest: await digestOf(face), added });
    }
    taught.add(fresh);
    return this.#changed();
  }

  hold(reference: FaceReference): Held {
    return this.#parts.pipeline.hold(reference);
  }

  release(ids?: readonly number[]): void {
    this.#parts.pipeline.release(ids);
  }

  undo(): Taught {
    this.#parts.taught.undo();
    return this.#changed();
  }

  forget(ids: readonly number[]): Taught {
    this.#parts.taught.forget(ids);
    return this.#changed();
  }

  taught(): Taught {
    const { taught, recognizer } = this.#parts;
    const faces = taught.faces;
    const names = [...new Set(faces.map((face) => face.label))].sort();
    // Colors depend on all classes of the view, so that they are those of its results.
    const described = new Map(recognizer.classes.map((one) => [one.name, one]));
    const classes = recognizer.describe(names).map((one) => ({
      ...one,
      ...described.get(one.name),
      count: faces.filter((face) => face.label === one.name).length,
    }));
    return { faces, classes, canUndo: taught.canUndo };
  }

  exportTaught(): ExportedFile {
    if (!this.#parts.taught.examples.length) {
      throw new EngineError("gone", "There are no taught faces to export; teach some first.");
    }
    return this.#parts.taught.export();
  }

  async importTaught(content: ArrayBuffer): Promise<Imported> {
    const faces = await this.#parts.taught.read(content, false);
    const added = this.#parts.taught.add(faces);
    return { added, known: faces.length - added, taught: this.#changed() };
  }

  async restoreTaught(content: ArrayBuffer): Promise<Taught> {
    this.#parts.taught.add(await this.#parts.taught.read(content, true), false);
    return this.#changed();
  }

  #changed(): Taught {
    const { recognizer, taught, pipeline } = this.#parts;
    recognizer.setExamples([...taught.examples]);
    pipeline.refresh();
    return this.taught();
  }

  #pixels(image: ImageBitmap | VideoFrame): Rgba {
    try {
      const fullWidth = image instanceof ImageBitmap ? image.width : image.displayWidth;
      const fullHeight = image instanceof ImageBitmap ? image.height : image.displayHeight;
      const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (fullWidth * fullHeight)));
      const width = Math.max(1, Math.round(fullWidth * scale));
      const height = Math.max(1, Math.round(fullHeight * scale));
      if (this.#canvas?.width !== width || this.#canvas.height !== height) {
        this.#canvas = new OffscreenCanvas(width, height);
      }
      const context = this.#canvas.getContext("2d", { willReadFrequently: true });
      if (!context) throw new Error("no canvas");
      context.drawImage(image, 0, 0, width, height);
      return { width, height, data: context.getImageData(0, 0, width, height).data };
    } catch {
      throw new EngineError("picture", "This picture cannot be read; choose another.");
    } finally {
      image.close();
    }
  }
}

async function isAvailable(file: FileEntry, base: string): Promise<boolean> {
  try {
    return (await fetch(new URL(file.url, base), { method: "HEAD" })).ok;
  } catch {
    return false;
  }
}

async function digestOf(face: Teachable): Promise<string> {
  if (!globalThis.crypto?.subtle) return "";
  const digest = await crypto.subtle.digest("SHA-256", Uint8Array.from(face.crop.data));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function report(answer: Answer): void {
  postMessage(answer);
}

function problem(error: unknown): { code: EngineError["code"]; message: string } {
  if (error instanceof EngineError) return { code: error.code, message: error.message };
  if (error instanceof RangeError && /memory|allocation/i.test(error.message)) {
    return { code: "memory", message: "The device has not enough memory; close other tabs and reload." };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: `The engine failed: ${reason.split("\n")[0]}; reload the page.` };
}

const service = new Service();
let last: Promise<unknown> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  const { id, method, values } = data;
  last = last.then(async () => {
    try {
      const call = (service as unknown as Record<string, (...values: unknown[]) => unknown>)[method];
      report({ id, result: await call.apply(service, values) });
    } catch (error) {
      report({ id, error: problem(error) });
    }
  });
};
