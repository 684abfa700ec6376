/** The Live page: the camera with boxes and labels, what it means, teaching and recording. */

import type { FrameResult } from "../../protocol.ts";
import { find, h, say, show } from "../dom.ts";
import type { Recording } from "../session/recording.ts";
import type { Page, State } from "../state.ts";
import { listCameras, unsupported } from "./camera.ts";
import { Lesson } from "./lesson.ts";
import { Overlay } from "./overlay.ts";
import { Panel } from "./panel.ts";

// In milliseconds: how long a description must be unchanged before it is announced, and between two updates of the pace.
const ANNOUNCE_AFTER = 1200;
const PACE_EVERY = 500;
const LOOKING = "Looking for faces ...";
const VIEW_NAMES: Readonly<Record<string, string>> = { blend: "blend", fer2013: "FER2013", ferplus: "FER+" };

export class LivePage implements Page {
  readonly #page = find("#page-live");
  readonly #stage = find(".stage", this.#page);
  readonly #video = find<HTMLVideoElement>("video", this.#page);
  readonly #mirror = find<HTMLInputElement>(".mirror", this.#page);
  readonly #overlay = new Overlay(find<HTMLCanvasElement>(".over", this.#page));
  readonly #status = find(".status", this.#page);
  readonly #panel: Panel;
  #shown = true;
  #words = "";
  #steady = 0;
  #paced = 0;

  constructor(
    readonly state: State,
    readonly recording: Recording,
  ) {
    this.#panel = new Panel(state);
    new Lesson(state);
    this.#listen();
    this.#showViews();
    const problem = unsupported();
    if (problem) say(find(".word", this.#page), problem);
    show(find(".go", this.#page), !problem);
    find<HTMLButtonElement>(".go", this.#page).disabled = false;
    state.live.onResult((result) => this.#show(result));
    state.live.onChange(() => this.#changed());
    recording.onChange(() => this.#showRecording());
    this.#showRecording();
  }

  enter(): void {
    this.#shown = true;
    if (this.state.live.result) this.#show(this.state.live.result);
  }

  leave(): void {
    this.#shown = false;
  }

  #listen(): void {
    const { live } = this.state;
    const on = (name: string, event: string, act: (event: Event) => void) =>
      find(name, this.#page).addEventListener(event, act);
    on(".go", "click", () => void this.#start());
    on(".stop", "click", () => live.stop("Stopped."));
    on(".mirror", "change", () => this.#stage.classList.toggle("mirrored", this.#mirror.checked));
    on(".cameras", "change", (event) => void this.#start((event.target as HTMLSelectElement).value));
    on(".view", "change", (event) => void this.#setView((event.target as HTMLSelectElement).value));
    on(".record", "click", () => this.#record());
    this.#video.addEventListener("resize", () => {
      const { videoWidth: width, videoHeight: height } = this.#video;
      if (width) this.#stage.style.setProperty("--shape", `${width} / ${height}`);
    });
    const over = this.#overlay.canvas;
    over.addEventListener("click", (event) => {
      const box = over.getBoundingClientRect();
      live.selected = this.#overlay.at(event.clientX - box.left, event.clientY - box.top) ?? live.selected;
    });
    over.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key] as 1 | -1 | undefined;
      if (!by || !live.result?.faces.length) return;
      event.preventDefault();
      live.step(by);
    });
  }

  async #start(camera?: string): Promise<void> {
    const go = find<HTMLButtonElement>(".go", this.#page);
    const keyboard = document.activeElement === go;
    say(find(".word", this.#page), "Opening the camera ...");
    go.disabled = true;
    await this.state.live.start(camera);
    go.disabled = false;
    const { live } = this.state;
    if (!live.running || !live.stream) return;
    if (keyboard) find(".stop", this.#page).focus({ preventScroll: true });
    await listCameras(find<HTMLSelectElement>(".cameras", this.#page), live.stream);
  }

  /** The session started or ended. */
  #changed(): void {
    const { live } = this.state;
    const focused = document.activeElement?.closest("#page-live .controls, #page-live .panel");
    show(find(".curtain", this.#page), !live.running);
    show(find(".controls", this.#page), live.running);
    show(find(".panel", this.#page), live.running);
    this.#stage.classList.toggle("mirrored", this.#mirror.checked);
    this.#overlay.clear();
    this.#panel.clear();
    say(find(".pace", this.#page), "");
    say(find(".sight", this.#page), "");
    say(this.#status, live.running ? LOOKING : "");
    if (live.running) return;
    this.recording.interrupt("the camera was off");
    const kept = this.recording.running ? " The recording goes on when you start again; see the Session page." : "";
    say(find(".word", this.#page), (live.ending || "Stopped.") + kept);
    const go = find(".go", this.#page);
    go.textContent = "Start again";
    if (focused) go.focus({ preventScroll: true });
  }

  #show(result: FrameResult): void {
    this.recording.add(result);
    if (!this.#shown) return;
    const now = performance.now();
    const { live } = this.state;
    this.#overlay.draw(result, { selected: live.selected, mirrored: this.#mirror.checked, numbered: false });
    this.#panel.show(result);
    if (now - this.#paced > PACE_EVERY) {
      this.#paced = now;
      const { rate, latency } = live.pace;
      say(find(".pace", this.#page), `${Math.round(rate)} fps, ${Math.round(latency)} ms`);
    }
    if (this.#status.textContent === LOOKING) say(this.#status, "");
    this.#announce(result, now);
    this.#showSign();
  }

  /** For screen readers; waits until the description is stable. */
  #announce(result: FrameResult, now: number): void {
    const words = describe(result, this.state.live.selected);
    if (words !== this.#words) [this.#words, this.#steady] = [words, now];
    else if (now - this.#steady > ANNOUNCE_AFTER) say(find(".sight", this.#page), words);
  }

  #showViews(): void {
    const { views } = this.state.info;
    show(find(".views", this.#page), views.length > 1);
    find(".view", this.#page).replaceChildren(
      ...views.map(({ name }) =>
        h("option", { value: name, text: VIEW_NAMES[name] ?? name, selected: name === this.state.view }),
      ),
    );
  }

  async #setView(view: string): Promise<void> {
    try {
      await this.state.setView(view);
      this.#panel.clear();
    } catch (error) {
      say(this.#status, (error as Error).message);
    }
  }

  #record(): void {
    const least = find<HTMLSelectElement>(".least", this.#page);
    if (this.recording.running) {
      this.recording.stop();
      say(this.#status, "Recording ended. It is on the Session page.");
      return;
    }
    const group = Number(least.value);
    this.recording.start(group);
    const when = group > 1 ? `, and only while at least ${group} faces are visible` : "";
    say(this.#status, `Recording numbers only, no images${when}; kept until you leave. See the Session page.`);
  }

  #showRecording(): void {
    const { running } = this.recording;
    const button = find(".record", this.#page);
    button.textContent = running ? "Stop recording" : "Record";
    button.classList.toggle("on", running);
    find<HTMLSelectElement>(".least", this.#page).disabled = running;
    this.#showSign();
  }

  /** The sign says whether faces are recorded, or how many are missing. */
  #showSign(): void {
    const sign = find(".sign", this.#page);
    show(sign, this.recording.running);
    if (!this.recording.running) return;
    const waiting = this.recording.waiting;
    sign.classList.toggle("waiting", waiting !== "");
    say(sign, waiting || "Recording");
  }
}

function describe(result: FrameResult, selected: number | null): string {
  if (!result.faces.length) return "No face in view.";
  const { expression } = result.faces.find((face) => face.id === selected) ?? result.faces[0];
  const count =
    result.faces.length === 1 ? "One face in view; it" : `${result.faces.length} faces in view; the selected one`;
  return `${count} ${expression === null ? "is unsure" : `shows ${expression}`}.`;
}
