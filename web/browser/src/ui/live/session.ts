/** The live session: frames of the camera go to the engine one at a time, and its answers to whoever listens. */

import { type Engine, EngineError, type FrameResult } from "../../protocol.ts";
import { closeCamera, openCamera, watchCamera } from "./camera.ts";

// In milliseconds: how long a hidden page keeps its camera, and the window of the frame rate.
const HIDDEN_TIMEOUT = 60_000;
const RATE_WINDOW = 2000;

export class Live {
  result: FrameResult | null = null;
  /** Id of the face that is shown in detail. */
  selected: number | null = null;
  running = false;
  /** Why the session ended, for the visitor. */
  ending = "";
  /** The picture of the newest result, while someone wants it. */
  picture: VideoFrame | ImageBitmap | null = null;
  wantsPicture = false;
  readonly #results = new Set<(result: FrameResult) => void>();
  readonly #changes = new Set<() => void>();
  readonly #answers: { at: number; took: number }[] = [];
  #stream: MediaStream | null = null;
  #run: symbol | null = null;
  #busy = false;
  /** Whether a frame came while the engine was busy. */
  #missed = false;
  #hiding = 0;

  constructor(
    readonly engine: Engine,
    readonly video: HTMLVideoElement,
  ) {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#hiding);
      if (!document.hidden || !this.running) return;
      this.#hiding = window.setTimeout(
        () => this.stop("Stopped, because the page was hidden for a minute."),
        HIDDEN_TIMEOUT,
      );
    });
    addEventListener("pagehide", () => this.stop("Stopped."));
  }

  /** Call `listener` with each result. */
  onResult(listener: (result: FrameResult) => void): void {
    this.#results.add(listener);
  }

  /** Call `listener` when the session starts or ends. */
  onChange(listener: () => void): void {
    this.#changes.add(listener);
  }

  get stream(): MediaStream | null {
    return this.#stream;
  }

  /** Frames per second and median milliseconds from a frame to its answer, over the last two seconds. */
  get pace(): { rate: number; latency: number } {
    const now = performance.now();
    while (this.#answers.length && now - this.#answers[0].at > RATE_WINDOW) this.#answers.shift();
    const times = this.#answers.map((one) => one.took).sort((one, other) => one - other);
    return { rate: (1000 * times.length) / RATE_WINDOW, latency: times[times.length >> 1] ?? 0 };
  }

  /** Open a camera; throw an `Error` with a message for the visitor. */
  async start(camera?: string): Promise<void> {
    this.#close();
    const run = Symbol("run");
    this.#run = run;
    let stream: MediaStream;
    try {
      stream = await openCamera(this.video, camera);
    } catch (error) {
      if (run === this.#run) this.stop((error as Error).message);
      return;
    }
    if (run !== this.#run) {
      // Stopped or started again meanwhile.
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    watchCamera(stream, (message) => run === this.#run && this.stop(message));
    this.#stream = stream;
    await this.engine.reset().catch(() => {});
    if (run !== this.#run) return;
    [this.running, this.ending] = [true, ""];
    this.#tell();
    this.#next(run);
  }

  stop(message: string): void {
    const told = this.running || this.#run !== null;
    this.#close();
    this.ending = message;
    if (told) this.#tell();
  }

  /** Select the next or previous face. */
  step(by: 1 | -1): void {
    const ids = this.result?.faces.map((face) => face.id) ?? [];
    if (!ids.length) return;
    const at = ids.indexOf(this.selected ?? ids[0]);
    this.selected = ids[(at + by + ids.length) % ids.length];
  }

  #close(): void {
    this.#run = null;
    this.running = false;
    closeCamera(this.video);
    this.#stream = null;
    this.result = null;
    this.selected = null;
    this.#answers.length = 0;
    this.#dropPicture();
  }

  #tell(): void {
    for (const listener of this.#changes) listener();
  }

  #next(run: symbol): void {
    if (run !== this.#run) return;
    const go = () => {
      void this.#take(run);
      this.#next(run);
    };
    if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(go);
    else window.setTimeout(go, 33);
  }

  /** Send the present frame, or, if the engine is still busy with one, the newest as soon as it is free. */
  async #take(run: symbol): Promise<void> {
    this.#missed = this.#busy;
    if (this.#busy || run !== this.#run || !this.video.videoWidth || this.video.readyState < 2) return;
    this.#busy = true;
    const began = performance.now();
    try {
      const [frame, copy] = await pictureOf(this.video, this.wantsPicture);
      const result = await this.engine.frame(frame, began / 1000);
      this.#dropPicture();
      if (run !== this.#run) {
        copy?.close();
        return;
      }
      this.picture = copy;
      this.#answers.push({ at: performance.now(), took: performance.now() - began });
      this.result = result;
      if (!result.faces.some((face) => face.id === this.selected)) this.selected = largest(result);
      for (const listener of this.#results) listener(result);
    } catch (error) {
      if (run === this.#run && !passing(error)) this.stop((error as Error).message);
    } finally {
      this.#busy = false;
      if (this.#missed) void this.#take(run);
    }
  }

  #dropPicture(): void {
    this.picture?.close();
    this.picture = null;
  }
}

/** Whether the next frame may do better. */
function passing(error: unknown): boolean {
  return (
    (error instanceof EngineError && error.code === "picture") || (error as DOMException).name === "InvalidStateError"
  );
}

/** The present frame of a video, and a copy if someone wants one. */
async function pictureOf(
  video: HTMLVideoElement,
  copied: boolean,
): Promise<[VideoFrame | ImageBitmap, VideoFrame | ImageBitmap | null]> {
  if ("VideoFrame" in globalThis) {
    const frame = new VideoFrame(video);
    return [frame, copied ? frame.clone() : null];
  }
  const bitmap = await createImageBitmap(video);
  return [bitmap, copied ? await createImageBitmap(bitmap) : null];
}

function largest(result: FrameResult): number | null {
  let [best, most] = [null as number | null, 0];
  for (const { id, box } of result.faces) {
    if (box.width * box.height > most) [best, most] = [id, box.width * box.height];
  }
  return best;
}
