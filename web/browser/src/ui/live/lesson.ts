/** Teach by holding: while a class is held, different looks of the selected face are collected; then they are taught. */

import type { FaceReference, FrameResult, Held } from "../../protocol.ts";
import { find, h, say, show } from "../dom.ts";
import { counted } from "../format.ts";
import type { State } from "../state.ts";

/** A lesson is complete with this many faces. */
export const MOST = 12;
const THUMBNAIL = 96;
// Margin around a face, as a share of its box.
const MARGIN = 0.15;

const REFUSED: Readonly<Record<Held["reason"], string>> = {
  "": "",
  same: "This face is the same as one that was just collected.",
  gone: "There is no face to teach. Move into view.",
  unreadable: "This face cannot be read well enough to teach it. Face the camera, in good light.",
};

export class Lesson {
  readonly root = find<HTMLFormElement>("#page-live .lesson");
  readonly #said = find(".lesson-said", this.root);
  readonly #own = find<HTMLInputElement>(".own input", this.root);
  readonly #list = find(".thumbnails", this.root);
  #label = "";
  #last = "";
  #track: number | null = null;
  #collected: { id: number; thumbnail: HTMLCanvasElement }[] = [];
  #refusal: Held["reason"] = "gone";
  #holding = false;
  #asking: Promise<void> | null = null;

  constructor(readonly state: State) {
    this.root.addEventListener("submit", (event) => event.preventDefault());
    this.#makeHoldable(find(".hold-own", this.root), () => this.#own.value);
    this.#own.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.repeat) void this.#once(this.#own.value);
    });
    find(".undo", this.root).addEventListener("click", () => void this.#undo());
    document.addEventListener("keydown", (event) => this.#space(event, true));
    document.addEventListener("keyup", (event) => this.#space(event, false));
    addEventListener("blur", () => void this.#end());
    state.whenTaught(() => this.#showClasses());
    state.live.onResult((result) => this.#collect(result));
    state.live.onChange(() => this.#clear());
  }

  #showClasses(): void {
    const box = find(".classes", this.root);
    find<HTMLButtonElement>(".undo", this.root).disabled = !this.state.taught.canUndo;
    const names = this.state.classes.map((one) => one.name).join("\n");
    if (box.dataset.names === names) return;
    box.dataset.names = names;
    box.replaceChildren(
      ...this.state.classes.map(({ name, color }) => {
        const button = h("button", { type: "button", class: "mark", "--shade": color, text: name });
        this.#makeHoldable(button, () => name);
        return button;
      }),
    );
  }

  /** Let a button collect while it is held, by pointer or key; a plain click takes one face. */
  #makeHoldable(button: HTMLElement, label: () => string): void {
    let handled = false;
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      handled = true;
      button.setPointerCapture(event.pointerId);
      this.#begin(label());
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      button.addEventListener(end, () => void this.#end());
    }
    // A long press on a phone would open a menu.
    button.addEventListener("contextmenu", (event) => event.preventDefault());
    button.addEventListener("keydown", (event) => {
      if ((event.key !== " " && event.key !== "Enter") || event.repeat) return;
      handled = true;
      this.#begin(label());
    });
    button.addEventListener("keyup", (event) => {
      if (event.key === " " || event.key === "Enter") void this.#end();
    });
    // Screen readers click without a pointer or a key.
    button.addEventListener("click", () => {
      if (!handled) void this.#once(label());
      handled = false;
    });
  }

  /** The space bar holds the last class, unless something that uses it has the focus. */
  #space(event: KeyboardEvent, down: boolean): void {
    if (event.key !== " " || !this.#last || !this.state.live.running || this.root.offsetParent === null) return;
    if ((event.target as HTMLElement).closest("button, input, select, textarea, a, summary, label")) return;
    event.preventDefault();
    if (down && !event.repeat) this.#begin(this.#last);
    if (!down) void this.#end();
  }

  async #once(label: string): Promise<void> {
    this.#begin(label);
    await this.#end();
  }

  #begin(label: string): void {
    if (this.#holding) return;
    const { live } = this.state;
    if (!label.trim()) {
      say(this.#said, "Type the name of the new class first.");
      this.#own.focus();
      return;
    }
    this.#clear();
    [this.#label, this.#last, this.#track, this.#holding] = [label, label, live.selected, true];
    live.wantsPicture = true;
    this.root.classList.add("holding");
    say(this.#said, "");
    if (live.result) this.#collect(live.result);
  }

  /** Ask the engine to keep the face of this frame. */
  #collect(result: FrameResult): void {
    if (!this.#holding || this.#asking) return;
    const face = result.faces.find((one) => one.id === this.#track);
    if (!face) return;
    this.#asking = this.#ask({ from: "live", id: face.id }, result).finally(() => {
      this.#asking = null;
      if (this.#collected.length >= MOST) void this.#end();
    });
  }

  async #ask(reference: FaceReference, result: FrameResult): Promise<void> {
    const face = result.faces.find((one) => one.id === reference.id);
    const { live, engine } = this.state;
    if (!face) return;
    // Drawn first: the picture belongs to this result only until the next one.
    const picture = thumbnail(live.picture ?? live.video, face.box);
    try {
      const held = await engine.hold(reference);
      this.#refusal = held.reason;
      if (held.id === null) return;
      this.#collected.push({ id: held.id, thumbnail: picture });
      this.#list.append(h("li", {}, picture));
      this.#showRing();
    } catch (error) {
      say(this.#said, (error as Error).message);
      this.#holding = false;
    }
  }

  async #end(): Promise<void> {
    if (!this.#holding) return;
    this.#holding = false;
    this.state.live.wantsPicture = false;
    this.root.classList.remove("holding");
    await this.#asking;
    if (this.#collected.length) await this.#teach();
    else say(this.#said, REFUSED[this.#track === null ? "gone" : this.#refusal] || REFUSED.gone);
  }

  async #teach(): Promise<void> {
    const { engine, taught } = this.state;
    const known = new Set(taught.faces.map((face) => face.id));
    const held = this.#collected.map(({ id }): FaceReference => ({ from: "held", id }));
    try {
      const now = await engine.teach(this.#label, held);
      const added = now.faces.filter((face) => !known.has(face.id));
      const label = added[0]?.label ?? this.#label;
      this.state.setTaught(now);
      this.#own.value = "";
      if (added.length === held.length) this.#addRemovers(added.map((face) => face.id));
      const count = counted(added.length, "face");
      say(this.#said, `Taught: ${label}, ${count}. Your gallery has ${counted(now.faces.length, "face")}.`);
      // On a phone the tabs would cover it.
      this.#said.scrollIntoView({ block: "nearest" });
    } catch (error) {
      this.#clear();
      say(this.#said, (error as Error).message);
    } finally {
      await engine.release(held.map((face) => face.id)).catch(() => {});
    }
  }

  /** Let the visitor take single faces out of the lesson. */
  #addRemovers(ids: readonly number[]): void {
    this.#list.replaceChildren(
      ...this.#collected.map(({ thumbnail: picture }, at) =>
        h(
          "li",
          {},
          picture,
          h("button", {
            type: "button",
            class: "remove",
            "aria-label": `Remove face ${at + 1}`,
            text: "×",
            onclick: (event: MouseEvent) =>
              void this.#remove(ids[at], (event.currentTarget as HTMLElement).closest("li")),
          }),
        ),
      ),
    );
  }

  async #remove(id: number, item: Element | null): Promise<void> {
    try {
      this.state.setTaught(await this.state.engine.forget([id]));
      const next = (item?.nextElementSibling ?? item?.previousElementSibling)?.querySelector("button");
      item?.remove();
      (next ?? this.#own).focus();
      say(this.#said, `Removed. Your gallery has ${counted(this.state.taught.faces.length, "face")}.`);
      if (!this.#list.children.length) this.#clear();
      else this.#showRing();
    } catch (error) {
      say(this.#said, (error as Error).message);
    }
  }

  async #undo(): Promise<void> {
    try {
      const before = this.state.taught.faces.length;
      this.state.setTaught(await this.state.engine.undo());
      const by = this.state.taught.faces.length - before;
      this.#clear();
      say(this.#said, by < 0 ? `Undone: ${counted(-by, "face")} forgotten.` : `Undone: ${counted(by, "face")} back.`);
    } catch (error) {
      say(this.#said, (error as Error).message);
    }
  }

  #showRing(): void {
    const count = this.#list.children.length;
    show(find(".collected", this.root), count > 0);
    find(".ring", this.root).style.setProperty("--done", String(count / MOST));
    find(".ring text", this.root).textContent = String(count);
  }

  #clear(): void {
    this.#collected = [];
    this.#list.replaceChildren();
    this.#showRing();
  }
}

/** Cut a face out of a picture, a little wider than its box. */
export function thumbnail(
  picture: CanvasImageSource,
  box: { x: number; y: number; width: number; height: number },
): HTMLCanvasElement {
  const canvas = h("canvas", {
    class: "thumbnail",
    width: THUMBNAIL,
    height: THUMBNAIL,
    role: "img",
    "aria-label": "face",
  });
  const side = Math.max(box.width, box.height) * (1 + 2 * MARGIN);
  const [x, y] = [box.x + box.width / 2 - side / 2, box.y + box.height / 2 - side / 2];
  canvas.getContext("2d")?.drawImage(picture, x, y, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
  return canvas;
}
