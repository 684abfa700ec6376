/** The Photo page: the expressions in pictures from files, and the reasons. */

import type { FrameResult } from "../../protocol.ts";
import { find, h, notice, save, say, show, takeFiles } from "../dom.ts";
import { counted, namedAfter } from "../format.ts";
import { annotate } from "../live/overlay.ts";
import type { State } from "../state.ts";
import { faceCards } from "./cards.ts";
import { asCsv, asJson, faceDocuments, type ResultDocument } from "./documents.ts";
import { readPicture } from "./pictures.ts";

const MOST = 12;
// Longer side of a picture as it is shown, pixels.
const SHOWN = 2000;
const NO_FACE = "no face found. A face must be at least about 20 pixels wide, upright, lit and seen from the front.";

export class PhotoPage {
  readonly #page = find("#page-photo");
  readonly #results = find(".results", this.#page);
  readonly #status = find(".status", this.#page);
  #run: symbol | null = null;
  #documents: ResultDocument[] = [];

  constructor(
    readonly state: State,
    /** Address of the sample picture. */
    readonly sample: string,
  ) {
    takeFiles(find(".zone", this.#page), (files) => void this.#read(files));
    find(".sample", this.#page).addEventListener("click", () => void this.#readSample());
    find(".all", this.#page).append(...downloads(() => this.#documents, "moodspace"));
  }

  async #readSample(): Promise<void> {
    try {
      const answer = await fetch(this.sample);
      if (!answer.ok) throw new Error();
      await this.#read([new File([await answer.blob()], "astronaut.webp")]);
    } catch {
      say(this.#status, "The sample picture could not be loaded. Try again, or choose a file.");
    }
  }

  async #read(files: readonly File[]): Promise<void> {
    const run = Symbol("run");
    [this.#run, this.#documents] = [run, []];
    this.#results.replaceChildren();
    show(find(".all", this.#page), false);
    if (files.length > MOST) {
      this.#results.append(
        notice(`expected at most ${MOST} pictures at once, got ${files.length}; only the first ${MOST} are shown`),
      );
    }
    const chosen = files.slice(0, MOST);
    for (const [at, file] of chosen.entries()) {
      say(
        this.#status,
        chosen.length > 1 ? `Reading picture ${at + 1} of ${chosen.length} ...` : `Reading ${file.name} ...`,
      );
      const shown = await this.#analyzed(file, run);
      if (run !== this.#run) return;
      this.#results.append(shown);
    }
    const faces = this.#documents.reduce((sum, one) => sum + (one.faces?.length ?? 0), 0);
    say(this.#status, `${counted(chosen.length, "picture")}, ${counted(faces, "face")}.`);
    show(find(".all", this.#page), this.#documents.length > 1);
  }

  async #analyzed(file: File, run: symbol): Promise<HTMLElement> {
    try {
      const bitmap = await readPicture(file);
      // The engine takes over its image.
      const result = await this.state.engine.photo(await createImageBitmap(bitmap));
      if (run === this.#run) this.#documents.push({ source: file.name, faces: faceDocuments(result) });
      const made = this.#result(file, bitmap, result);
      bitmap.close();
      return made;
    } catch (error) {
      return notice((error as Error).message, `${file.name}:`);
    }
  }

  #result(file: File, bitmap: ImageBitmap, result: FrameResult): HTMLElement {
    const words = `${file.name}: ${counted(result.faces.length, "face")}`;
    const picture = shownPicture(bitmap, result);
    picture.setAttribute("aria-label", `${file.name}, with boxes around ${counted(result.faces.length, "face")}`);
    const document: ResultDocument = { source: file.name, faces: faceDocuments(result) };
    const files = [
      h("button", { type: "button", text: "Picture", onclick: () => void saveAnnotated(file, result) }),
      ...(result.faces.length ? downloads(() => [document], namedAfter(file.name, "")) : []),
    ];
    return h(
      "article",
      { class: `photo${result.faces.length > 2 ? " many" : ""}` },
      h(
        "figure",
        {},
        picture,
        h("figcaption", { class: "small faint", text: words }),
        h("div", { class: "row" }, ...files),
      ),
      result.faces.length ? faceCards(result, bitmap, this.state.shade) : notice(NO_FACE, `${file.name}:`, false),
    );
  }
}

/** Buttons that save documents as JSON and CSV. */
export function downloads(documents: () => readonly ResultDocument[], stem: string): HTMLButtonElement[] {
  return [
    h("button", {
      type: "button",
      text: "JSON",
      onclick: () => save(`${stem}.json`, "application/json", asJson(documents())),
    }),
    h("button", { type: "button", text: "CSV", onclick: () => save(`${stem}.csv`, "text/csv", asCsv(documents())) }),
  ];
}

/** The picture with its boxes, not larger than needed. */
function shownPicture(bitmap: ImageBitmap, result: FrameResult): HTMLCanvasElement {
  const scale = Math.min(1, SHOWN / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", {
    role: "img",
    width: Math.round(bitmap.width * scale),
    height: Math.round(bitmap.height * scale),
  });
  const pen = canvas.getContext("2d");
  if (!pen) return canvas;
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  pen.scale(canvas.width / result.width, canvas.height / result.height);
  annotate(pen, result);
  return canvas;
}

/** Decode the picture again and save it in full size with its boxes; no copy waits in memory for a click. */
async function saveAnnotated(file: File, result: FrameResult): Promise<void> {
  const bitmap = await readPicture(file);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const pen = canvas.getContext("2d");
  pen?.drawImage(bitmap, 0, 0);
  pen?.scale(bitmap.width / result.width, bitmap.height / result.height);
  annotate(pen as unknown as CanvasRenderingContext2D, result);
  bitmap.close();
  const jpeg = /\.jpe?g$/i.test(file.name);
  const blob = await canvas.convertToBlob({ type: jpeg ? "image/jpeg" : "image/png", quality: 0.92 });
  save(namedAfter(file.name, `-annotated${jpeg ? ".jpg" : ".png"}`), blob.type, blob);
}
