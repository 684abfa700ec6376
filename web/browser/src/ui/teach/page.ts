/** The Teach page: example faces from pictures, and the visitor's gallery with undo, forget, export and import. */

import { find, h, mark, notice, save, say, takeFiles } from "../dom.ts";
import { readPicture } from "../files/pictures.ts";
import { counted } from "../format.ts";
import { thumbnail } from "../live/lesson.ts";
import type { State } from "../state.ts";
import { discard, keep, kept } from "./keep.ts";

const MOST = 20;
const NO_FACE = "no face found; use a picture with a larger, upright face seen from the front";
const CANNOT_KEEP =
  "This browser keeps no data for this page, as in some private windows. What you teach lasts until you leave; export it to keep it.";

export class TeachPage {
  readonly #page = find("#page-teach");
  readonly #list = find(".candidates", this.#page);
  readonly #status = find(".status", this.#page);
  readonly #gallery: Gallery;
  #label = "";
  #reading = false;

  constructor(readonly state: State) {
    this.#gallery = new Gallery(state);
    takeFiles(find(".zone", this.#page), (files) => void this.#read(files));
    find<HTMLInputElement>(".new-class", this.#page).addEventListener("input", (event) => {
      if ((event.target as HTMLInputElement).value.trim()) this.#choose("");
    });
    find(".teach", this.#page).addEventListener("click", () => void this.#teach());
    state.whenTaught(() => this.#showClasses());
  }

  /** Take back what an earlier visit kept. */
  async restore(): Promise<void> {
    await this.#gallery.restore();
  }

  /** Find the faces of pictures, and let the visitor choose which to teach. */
  async #read(files: readonly File[]): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    if (files.length > MOST)
      say(this.#status, `Expected at most ${MOST} pictures at once; only the first ${MOST} are used.`);
    for (const file of files.slice(0, MOST)) {
      say(this.#status, `Looking for faces in ${file.name} ...`);
      try {
        const bitmap = await readPicture(file);
        const result = await this.state.engine.photo(await createImageBitmap(bitmap));
        if (!result.faces.length) this.#list.append(h("li", { class: "wide" }, notice(NO_FACE, `${file.name}:`)));
        const largest = Math.max(...result.faces.map(({ box }) => box.width * box.height));
        for (const face of result.faces) {
          const held = await this.state.engine.hold({ from: "photo", id: face.id });
          if (held.id !== null)
            this.#add(held.id, file.name, thumbnail(bitmap, face.box), face.box.width * face.box.height === largest);
        }
        bitmap.close();
      } catch (error) {
        this.#list.append(h("li", { class: "wide" }, notice((error as Error).message, `${file.name}:`)));
      }
    }
    this.#reading = false;
    this.#update();
    say(this.#status, `${counted(this.#chosen().length, "face")} chosen.`);
  }

  /** Add a face to choose; of several in a picture the largest is chosen first. */
  #add(id: number, source: string, picture: HTMLCanvasElement, chosen: boolean): void {
    const box = h("input", { type: "checkbox", value: id, checked: chosen, onchange: () => this.#update() });
    this.#list.append(
      h(
        "li",
        {},
        h("label", { title: source }, picture, box, h("span", { class: "unseen", text: `face of ${source}` })),
      ),
    );
  }

  #chosen(): number[] {
    return [...this.#list.querySelectorAll<HTMLInputElement>("input:checked")].map((box) => Number(box.value));
  }

  /** The ids of all faces to choose from. */
  #all(): number[] {
    return [...this.#list.querySelectorAll<HTMLInputElement>("input")].map((box) => Number(box.value));
  }

  #update(): void {
    const count = this.#chosen().length;
    const button = find<HTMLButtonElement>(".teach", this.#page);
    button.disabled = !count;
    button.textContent = count ? `Teach ${counted(count, "face")}` : "Teach";
  }

  #showClasses(): void {
    const box = find(".label-choice .classes", this.#page);
    const names = this.state.classes.map((one) => one.name).join("\n");
    if (box.dataset.names === names) return;
    box.dataset.names = names;
    box.replaceChildren(
      ...this.state.classes.map(({ name, color }) =>
        h("button", {
          type: "button",
          class: "mark",
          "--shade": color,
          "aria-pressed": "false",
          text: name,
          onclick: () => this.#choose(this.#label === name ? "" : name),
        }),
      ),
    );
    this.#choose(this.#label);
  }

  #choose(label: string): void {
    this.#label = label;
    if (label) find<HTMLInputElement>(".new-class", this.#page).value = "";
    for (const button of this.#page.querySelectorAll(".label-choice button")) {
      button.setAttribute("aria-pressed", String(button.textContent === label));
    }
  }

  async #teach(): Promise<void> {
    const own = find<HTMLInputElement>(".new-class", this.#page);
    const label = own.value.trim() || this.#label;
    if (!label) {
      say(this.#status, "Choose a class or type a new one first.");
      return;
    }
    const before = this.state.taught.faces.length;
    const chosen = this.#chosen();
    try {
      const taught = await this.state.engine.teach(
        label,
        chosen.map((id) => ({ from: "held", id })),
      );
      this.state.setTaught(taught);
      await this.state.engine.release(this.#all());
      const added = taught.faces.length - before;
      const known = chosen.length - added;
      this.#list.replaceChildren();
      own.value = "";
      this.#choose("");
      this.#update();
      const name = taught.faces.at(-1)?.label ?? label;
      say(this.#status, `${name}: ${counted(added, "face")} taught${known > 0 ? `, ${known} already known` : ""}.`);
    } catch (error) {
      say(this.#status, (error as Error).message);
    }
  }
}

/** The visitor's gallery: its classes, undo, export, import, and keeping it in this browser. */
class Gallery {
  readonly #root = find("#page-teach .gallery");
  readonly #said = find(".gallery-status", this.#root);
  readonly #keep = find<HTMLInputElement>(".keep-taught", this.#root);
  #keeps = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(readonly state: State) {
    find(".undo", this.#root).addEventListener("click", () => void this.#undo());
    find(".export", this.#root).addEventListener("click", () => void this.#export());
    find<HTMLInputElement>(".import", this.#root).addEventListener(
      "change",
      (event) => void this.#import(event.target as HTMLInputElement),
    );
    this.#keep.addEventListener("change", () => void this.#setKeeps(this.#keep.checked));
    state.whenTaught(() => this.#show());
  }

  async restore(): Promise<void> {
    const { engine, info } = this.state;
    let bytes: ArrayBuffer | null;
    try {
      bytes = await kept(info.fingerprint);
    } catch {
      this.#cannotKeep();
      return;
    }
    if (!bytes) return;
    this.#keep.checked = true;
    this.#keeps = true;
    try {
      if (bytes.byteLength) this.state.setTaught(await engine.restoreTaught(bytes));
    } catch (error) {
      // Not overwritten: another version of this app may read it.
      this.#keeps = this.#keep.checked = false;
      say(this.#said, `What you kept cannot be read: ${(error as Error).message}`);
    }
  }

  #cannotKeep(): void {
    this.#keep.disabled = true;
    this.#keep.checked = this.#keeps = false;
    say(find(".keep-words", this.#root), CANNOT_KEEP);
  }

  #show(): void {
    const { faces, classes, canUndo } = this.state.taught;
    say(find(".count", this.#root), `${counted(faces.length, "face")}. Only you can see it.`);
    find<HTMLButtonElement>(".undo", this.#root).disabled = !canUndo;
    find<HTMLButtonElement>(".export", this.#root).disabled = !faces.length;
    find(".own-classes", this.#root).replaceChildren(
      ...classes.map(({ name, color, count }) =>
        h(
          "li",
          {},
          mark(name, color),
          h("span", { class: "number", text: count }),
          h("button", {
            type: "button",
            class: "plain",
            text: "Forget",
            "aria-label": `Forget ${name}`,
            onclick: () => void this.#forget(name),
          }),
        ),
      ),
    );
    if (this.#keeps) this.#store();
  }

  async #forget(label: string): Promise<void> {
    const ids = this.state.taught.faces.filter((face) => face.label === label).map((face) => face.id);
    await this.#change(async () => {
      this.state.setTaught(await this.state.engine.forget(ids));
      find(".undo", this.#root).focus();
      return `Forgot ${label}: ${counted(ids.length, "face")}.`;
    });
  }

  async #undo(): Promise<void> {
    await this.#change(async () => {
      const before = this.state.taught.faces.length;
      this.state.setTaught(await this.state.engine.undo());
      const by = this.state.taught.faces.length - before;
      return by < 0 ? `Undone: ${counted(-by, "face")} forgotten.` : `Undone: ${counted(by, "face")} back.`;
    });
  }

  async #export(): Promise<void> {
    await this.#change(async () => {
      const { name, type, bytes } = await this.state.engine.exportTaught();
      save(name, type, bytes);
      return "";
    });
  }

  async #import(chooser: HTMLInputElement): Promise<void> {
    const file = chooser.files?.[0];
    chooser.value = "";
    if (!file) return;
    await this.#change(async () => {
      const { added, known, taught } = await this.state.engine.importTaught(await file.arrayBuffer());
      this.state.setTaught(taught);
      return `${counted(added, "face")} imported${known ? `, ${known} already known` : ""}.`;
    });
  }

  async #change(act: () => Promise<string>): Promise<void> {
    try {
      say(this.#said, await act());
    } catch (error) {
      say(this.#said, (error as Error).message);
    }
  }

  async #setKeeps(keeps: boolean): Promise<void> {
    const { info } = this.state;
    this.#keeps = keeps;
    try {
      await this.#saving;
      if (keeps) {
        this.#store();
        await this.#saving;
        // Without this the browser may remove it when space is short.
        await navigator.storage?.persist?.();
      } else await discard(info.fingerprint);
      if (this.#keeps === keeps)
        say(this.#said, keeps ? "Kept in this browser from now on." : "No longer kept in this browser.");
    } catch {
      this.#cannotKeep();
    }
  }

  /** Store the gallery, one write after the other. */
  #store(): void {
    const { engine, info } = this.state;
    this.#saving = this.#saving.then(async () => {
      if (!this.#keeps) return;
      try {
        const bytes = this.state.taught.faces.length
          ? (await engine.exportTaught()).bytes.slice().buffer
          : new ArrayBuffer(0);
        await keep(info.fingerprint, bytes);
      } catch {
        this.#cannotKeep();
      }
    });
  }
}
