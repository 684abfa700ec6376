/** The Video page: a clip analyzed frame by frame, with a timeline and results to download. */

import type { FrameResult } from "../../protocol.ts";
import { find, h, notice, say, show, takeFiles } from "../dom.ts";
import { clock, namedAfter } from "../format.ts";
import { Overlay } from "../live/overlay.ts";
import type { State } from "../state.ts";
import { faceDocuments, type ResultDocument } from "./documents.ts";
import { downloads } from "./photo.ts";
import { meanShares, timeline } from "./timeline.ts";

/** Analyzed frames per second of a video. */
const RATE = 10;
const MOST_SECONDS = 1800;
// Milliseconds; a busy device may take long.
const SEEK_TIMEOUT = 30_000;
/** Half-life of the smoothing of live sessions, seconds, as the engine starts with. */
const LIVE_SMOOTHING = 0.5;
const UNREADABLE = "expected a video that this browser can play, got another file; save it as MP4 (H.264) or WebM";

export class VideoPage {
  readonly #page = find("#page-video");
  readonly #results = find(".results", this.#page);
  readonly #status = find(".status", this.#page);
  #run: symbol | null = null;
  #address = "";

  constructor(readonly state: State) {
    takeFiles(find(".zone", this.#page), (files) => void this.#analyze(files[0]));
    find(".cancel", this.#page).addEventListener("click", () => {
      this.#run = null;
    });
    // The engine follows one source at a time.
    state.live.onChange(() => {
      if (state.live.running) this.#run = null;
    });
  }

  async #analyze(file: File): Promise<void> {
    const run = Symbol("run");
    this.#run = run;
    if (this.state.live.running) this.state.live.stop("Stopped, because a video was analyzed.");
    this.#results.replaceChildren();
    URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(file);
    const working = find(".working", this.#page);
    const bar = find<HTMLProgressElement>("progress", working);
    bar.value = 0;
    say(find(".working-words", working), `Opening ${file.name} ...`);
    show(working, true);
    try {
      const video = await opened(this.#address);
      const frames: FrameResult[] = [];
      await this.state.engine.reset();
      await this.state.engine.setSmoothing(0);
      for (let at = 0; at < Math.max(1, Math.floor(video.duration * RATE)); at++) {
        const time = at / RATE;
        await seek(video, time);
        const result = await this.state.engine.frame(await createImageBitmap(video), time);
        if (run !== this.#run) break;
        frames.push(result);
        bar.value = Math.min(1, time / video.duration);
        say(find(".working-words", working), `Analyzing ${file.name}: ${clock(time)} of ${clock(video.duration)}`);
      }
      const done = run === this.#run;
      say(this.#status, done ? `${file.name} is analyzed.` : "Cancelled.");
      if (done) this.#show(file.name, video, frames);
    } catch (error) {
      this.#results.replaceChildren(notice((error as Error).message, `${file.name}:`));
    } finally {
      // Not if another file was chosen meanwhile.
      if (run === this.#run || this.#run === null) {
        await this.state.engine.setSmoothing(LIVE_SMOOTHING).catch(() => {});
        await this.state.engine.reset().catch(() => {});
        show(working, false);
      }
    }
  }

  #show(name: string, video: HTMLVideoElement, frames: readonly FrameResult[]): void {
    const documents = frames.map((frame) => ({ time: Number(frame.time.toFixed(3)), faces: faceDocuments(frame) }));
    const document: ResultDocument = { source: name, frames: documents };
    const withFace = frames.filter((frame) => frame.faces.length).length;
    this.#results.replaceChildren(
      player(video, frames),
      h("div", { class: "row" }, ...downloads(() => [document], namedAfter(name, ""))),
    );
    if (!withFace) {
      this.#results.append(notice("no face found in any frame", `${name}:`, false));
      return;
    }
    const { classes } = frames[frames.length - 1];
    const shares = meanShares(
      documents,
      video.duration,
      classes.map((one) => one.name),
    );
    const note =
      `Mean over the faces in view, ${RATE} frames a second. ` +
      `${withFace.toLocaleString("en")} of ${frames.length.toLocaleString("en")} analyzed frames show a face.`;
    this.#results.append(
      h(
        "section",
        {},
        h("h2", { text: "Over time" }),
        h("p", { class: "faint", text: note }),
        timeline(shares, video.duration, classes),
      ),
    );
  }
}

/** The video with the boxes of the analyzed frame that is nearest before its time. */
function player(video: HTMLVideoElement, frames: readonly FrameResult[]): HTMLElement {
  const canvas = h("canvas", { class: "over through", "aria-hidden": "true" });
  const overlay = new Overlay(canvas);
  const draw = () => {
    const at = Math.min(frames.length - 1, Math.floor(video.currentTime * RATE + 0.01));
    if (canvas.isConnected) overlay.draw(frames[at], { selected: null, mirrored: false, numbered: true });
  };
  const follow = () => {
    draw();
    if (!video.paused && canvas.isConnected) requestAnimationFrame(follow);
  };
  for (const event of ["seeked", "loadeddata", "pause"]) video.addEventListener(event, draw);
  video.addEventListener("play", follow);
  new ResizeObserver(draw).observe(canvas);
  video.controls = true;
  video.currentTime = 0;
  const shape = `${video.videoWidth} / ${video.videoHeight}`;
  return h("div", { class: "stage clip", "--shape": shape }, video, canvas);
}

/** Open a video; throw an `Error` with a message for the visitor. */
async function opened(address: string): Promise<HTMLVideoElement> {
  const video = h("video", { muted: true, playsinline: true, preload: "auto" });
  video.muted = true;
  await new Promise<void>((resolve, reject) => {
    video.addEventListener("loadeddata", () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Error(UNREADABLE)), { once: true });
    setTimeout(
      () => reject(new Error("this video could not be opened in time; try again, or cut it shorter")),
      SEEK_TIMEOUT,
    );
    video.src = address;
  });
  if (!video.videoWidth) throw new Error(UNREADABLE);
  if (!Number.isFinite(video.duration)) await findDuration(video);
  if (video.duration > MOST_SECONDS) {
    throw new Error(`expected at most ${MOST_SECONDS / 60} minutes, got ${clock(video.duration)}; cut it shorter`);
  }
  return video;
}

/** Recordings of browsers do not say how long they are until someone seeks to their end. */
async function findDuration(video: HTMLVideoElement): Promise<void> {
  const known = new Promise<void>((resolve) => {
    video.addEventListener("durationchange", () => Number.isFinite(video.duration) && resolve());
    setTimeout(resolve, SEEK_TIMEOUT);
  });
  video.currentTime = 1e7;
  await known;
  if (!Number.isFinite(video.duration)) throw new Error(UNREADABLE);
}

async function seek(video: HTMLVideoElement, time: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timeout = setTimeout(
      () => reject(new Error("expected a video that can be read to its end, got a damaged one")),
      SEEK_TIMEOUT,
    );
    video.addEventListener(
      "seeked",
      () => {
        clearTimeout(timeout);
        resolve();
      },
      { once: true },
    );
    // The middle of a frame's time is safe from rounding.
    video.currentTime = Math.min(time + 0.5 / 240, Math.max(0, video.duration - 0.001));
  });
}
