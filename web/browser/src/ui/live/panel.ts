/** Beside the picture: the group, the selected face with its evidence and place on the map, and the last minute. */

import type { ClassInfo, Face, FrameResult } from "../../protocol.ts";
import { stackedAreas } from "../areas.ts";
import { find, h, keepChildren, say, show } from "../dom.ts";
import { percent } from "../format.ts";
import type { State } from "../state.ts";
import { Minimap } from "./minimap.ts";
import { colorOf } from "./overlay.ts";

// Of more classes, the most probable are listed.
const LISTED = 12;
/** The group is shown from this many readable faces on. */
export const SMALLEST_GROUP = 5;
// The last minute, in bins of half a second, drawn twice a second.
const [BINS, BIN_SECONDS] = [120, 0.5];
// Seconds between two updates of what is listed.
const SHOW_EVERY = 0.1;
// Seconds for which a frame counts until the next one.
const LONGEST_FRAME = 2;

export class Panel {
  readonly root = find("#page-live .panel");
  readonly #minimap: Minimap;
  readonly #history: { at: number; shares: Map<string, number>; faces: number }[] = [];
  #drawn = 0;
  #shown = 0;

  constructor(readonly state: State) {
    this.#minimap = new Minimap(find<HTMLCanvasElement>(".minimap", this.root), state.info.map);
    show(find(".where", this.root), state.info.map !== null);
  }

  clear(): void {
    this.#history.length = 0;
    this.#shown = 0;
  }

  show(result: FrameResult): void {
    this.#remember(result);
    // Nobody reads faster, and drawing takes time that the engine needs on a small device.
    if (Math.abs(result.time - this.#shown) < SHOW_EVERY) return;
    this.#shown = result.time;
    const { selected } = this.state.live;
    const face = result.faces.find((one) => one.id === selected);
    this.#showGroup(result);
    this.#showChoice(result);
    say(find(".shown", this.root), title(face));
    showBars(find(".answer .bars", this.root), face?.proba ?? [], result.classes);
    this.#showEvidence(face);
    this.#minimap.draw(result.faces, selected, this.state.view, result.classes);
  }

  #showGroup(result: FrameResult): void {
    const readable = result.faces.filter((face) => face.quality.good);
    const enough = readable.length >= SMALLEST_GROUP;
    show(find(".group", this.root), enough);
    if (!enough) return;
    const unsure = readable.filter((face) => face.expression === null).length;
    say(find(".group-title", this.root), `The group: ${readable.length} faces${unsure ? `, ${unsure} unsure` : ""}`);
    showBars(find(".group .bars", this.root), meanOf(readable), result.classes);
  }

  #showChoice(result: FrameResult): void {
    const box = find(".choice", this.root);
    show(box, result.faces.length > 1);
    if (result.faces.length < 2) return;
    const live = this.state.live;
    const buttons = keepChildren(box, result.faces.length, () =>
      h("button", {
        type: "button",
        class: "face-choice",
        role: "radio",
        onclick: (event: MouseEvent) => {
          live.selected = Number((event.currentTarget as HTMLElement).dataset.id);
        },
        onkeydown: (event: KeyboardEvent) => {
          const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key] as 1 | -1 | undefined;
          if (!by) return;
          event.preventDefault();
          live.step(by);
          const at = live.result?.faces.findIndex((one) => one.id === live.selected) ?? 0;
          (box.children[at] as HTMLElement | undefined)?.focus();
        },
      }),
    );
    result.faces.forEach((face, at) => {
      const button = buttons[at];
      const checked = face.id === live.selected;
      button.dataset.id = String(face.id);
      say(button, `Face ${face.id}`);
      button.style.setProperty("--shade", colorOf(face, result.classes));
      button.setAttribute("aria-checked", String(checked));
      button.tabIndex = checked ? 0 : -1;
    });
  }

  #showEvidence(face: Face | undefined): void {
    const neighbors = face?.neighbors ?? [];
    const rows = keepChildren(find(".evidence", this.root), neighbors.length, () => {
      return h("li", {}, h("b", { class: "mark" }), h("span", { class: "number" }));
    });
    neighbors.forEach(({ label, similarity, source, taught }, at) => {
      const [name, number] = rows[at].children as unknown as [HTMLElement, HTMLElement];
      say(name, (label ?? "no label") + (taught ? " (taught)" : ""));
      name.style.setProperty("--shade", this.state.shade(label));
      say(number, similarity.toFixed(3));
      rows[at].title = source;
    });
    say(find(".reason", this.root), face?.explanation ?? "");
  }

  /** Keep the shares of the group, or of all faces of a small one, and draw the last minute. */
  #remember(result: FrameResult): void {
    const readable = result.faces.filter((face) => face.quality.good);
    const mean = meanOf(readable);
    const shares = new Map(result.classes.map(({ name }, at) => [name, mean[at] ?? 0]));
    this.#history.push({ at: result.time, shares, faces: readable.length });
    while (this.#history.length && result.time - this.#history[0].at > BINS * BIN_SECONDS) this.#history.shift();
    if (Math.abs(result.time - this.#drawn) < BIN_SECONDS) return;
    this.#drawn = result.time;
    const values = rolling(this.#history, result.time, result.classes);
    find(".rolling .drawing", this.root).replaceChildren(stackedAreas(values, result.classes) as unknown as Node);
  }
}

/**
 * The mean shares in each bin of the last minute; null for a bin without a readable face.
 *
 * A slow device has bins without a frame: there, the frame before counts, for up to two seconds.
 */
export function rolling(
  history: readonly { at: number; shares: ReadonlyMap<string, number>; faces: number }[],
  now: number,
  classes: readonly ClassInfo[],
): (number[] | null)[] {
  const sums = Array.from({ length: BINS }, () => ({ shares: classes.map(() => 0), frames: 0, readable: 0 }));
  // Bins have fixed borders, so that the drawing moves by whole bins and does not tremble.
  const newest = Math.floor(now / BIN_SECONDS);
  for (const { at, shares, faces } of history) {
    const bin = BINS - 1 - (newest - Math.floor(at / BIN_SECONDS));
    if (bin < 0 || bin >= BINS) continue;
    sums[bin].frames += 1;
    if (!faces) continue;
    sums[bin].readable += 1;
    classes.forEach(({ name }, column) => {
      sums[bin].shares[column] += shares.get(name) ?? 0;
    });
  }
  let last: number[] | null = null;
  let empty = 0;
  return sums.map(({ shares, frames, readable }) => {
    empty = frames ? 0 : empty + 1;
    if (frames) last = readable ? shares.map((sum) => sum / readable) : null;
    return empty * BIN_SECONDS <= LONGEST_FRAME ? last : null;
  });
}

/** The mean probabilities of faces; empty without any. */
export function meanOf(faces: readonly Face[]): number[] {
  return faces.length
    ? faces[0].proba.map((_, at) => faces.reduce((sum, face) => sum + face.proba[at], 0) / faces.length)
    : [];
}

function title(face: Face | undefined): string {
  if (!face) return "No face in view";
  if (face.expression === null) return face.quality.reason ? `Unsure: ${face.quality.reason}` : "Unsure";
  return `${face.expression}, ${percent(face.confidence)}`;
}

/** Show bars in the order of the classes, so that each keeps its place. */
function showBars(list: HTMLElement, proba: readonly number[], classes: readonly ClassInfo[]): void {
  const ranked = [...proba].sort((one, other) => other - one);
  const likely = proba
    .map((share, at) => ({ share, ...classes[at] }))
    .filter(({ share }) => share >= (ranked[LISTED - 1] ?? 0))
    .slice(0, LISTED);
  const rows = keepChildren(list, likely.length, () =>
    h("li", {}, h("span"), h("i", { class: "bar" }, h("i")), h("b")),
  );
  likely.forEach(({ name, color, share }, at) => {
    const [label, , number] = rows[at].children as unknown as HTMLElement[];
    say(label, name);
    say(number, percent(share));
    rows[at].style.setProperty("--shade", color);
    rows[at].style.setProperty("--share", `${100 * share}%`);
    rows[at].classList.toggle("best", share === ranked[0]);
  });
}
