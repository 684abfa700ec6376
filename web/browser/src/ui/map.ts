/** The Map page: the known faces in two dimensions, by class, with the faces in view and those that were taught. */

import type { FrameResult, MapInfo, Point } from "../protocol.ts";
import { find, fitted, h, mark, say, show, tone } from "./dom.ts";
import { counted, UNSURE } from "./format.ts";
import { colorOf } from "./live/overlay.ts";
import type { Page, State } from "./state.ts";

const MARGIN = 24;
const [LEAST_ZOOM, MOST_ZOOM] = [0.5, 60];
const STEP = 1.35;
const PAN = 60;
const NEAR = 12;
// Milliseconds between two drawings of the faces in view.
const DRAW_EVERY = 60;

export class MapPage implements Page {
  readonly #page = find("#page-map");
  readonly #canvas = find<HTMLCanvasElement>(".dots", this.#page);
  readonly #search = find<HTMLInputElement>(".search", this.#page);
  readonly #map: MapInfo | null;
  readonly #hidden = new Set<string>();
  #order: Uint32Array;
  #counts: number[] = [];
  #known: HTMLCanvasElement | null = null;
  #zoom = 1;
  #center: Point = { x: 0.5, y: 0.5 };
  #selected = -1;
  #shown = false;
  #drawn = 0;
  #request = 0;

  constructor(readonly state: State) {
    this.#map = state.info.map;
    this.#order = shuffled(this.#map ? this.#map.positions.length / 2 : 0);
    if (!this.#map) {
      find(".atlas", this.#page).replaceChildren(h("p", { class: "notice", text: "This site's network has no map." }));
      return;
    }
    this.#listen();
    state.whenTaught(() => this.#showClasses());
    state.live.onResult(() => {
      const now = performance.now();
      if (!this.#shown || now - this.#drawn < DRAW_EVERY) return;
      this.#drawn = now;
      this.#redraw(false);
    });
    state.live.onChange(() => this.#redraw(false));
  }

  enter(): void {
    this.#shown = true;
    this.#redraw();
  }

  leave(): void {
    this.#shown = false;
  }

  #listen(): void {
    const canvas = this.#canvas;
    const on = (name: string, act: () => void) => find(name, this.#page).addEventListener("click", act);
    on(".in", () => this.#zoomBy(STEP));
    on(".out", () => this.#zoomBy(1 / STEP));
    on(".fit", () => this.#fit());
    this.#search.addEventListener("input", () => {
      this.#select(-1);
      this.#redraw();
    });
    new ResizeObserver(() => this.#redraw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 20;
      const turn = Math.max(-200, Math.min(200, event.deltaY * lines));
      this.#zoomBy(Math.exp(-turn / 400), this.#placeAt(event.offsetX, event.offsetY));
    });
    this.#listenToPointers();
    canvas.addEventListener("keydown", (event) => this.#typed(event));
  }

  /** One pointer moves the map or selects a face, two pinch. */
  #listenToPointers(): void {
    const canvas = this.#canvas;
    const pointers = new Map<number, Point>();
    let travelled = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      if (!pointers.size) travelled = 0;
      pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = { x: event.offsetX, y: event.offsetY };
      travelled += Math.hypot(now.x - before.x, now.y - before.y);
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      if (!other) {
        if (travelled > 4) this.#panBy(now.x - before.x, now.y - before.y);
        return;
      }
      const gap = (point: Point) => Math.max(20, Math.hypot(point.x - other.x, point.y - other.y));
      this.#zoomBy(gap(now) / gap(before), this.#placeAt((now.x + other.x) / 2, (now.y + other.y) / 2));
    });
    for (const end of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(end, (event) => {
        const clicked = end === "pointerup" && pointers.size === 1 && travelled <= 4;
        pointers.delete(event.pointerId);
        if (clicked) this.#select(this.#nearest(event.offsetX, event.offsetY));
      });
    }
  }

  #typed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const acts: Record<string, () => void> = {
      ArrowLeft: () => this.#panBy(PAN, 0),
      ArrowRight: () => this.#panBy(-PAN, 0),
      ArrowUp: () => this.#panBy(0, PAN),
      ArrowDown: () => this.#panBy(0, -PAN),
      "+": () => this.#zoomBy(STEP),
      "=": () => this.#zoomBy(STEP),
      "-": () => this.#zoomBy(1 / STEP),
      "0": () => this.#fit(),
      n: () => this.#walk(1),
      N: () => this.#walk(-1),
      Escape: () => this.#select(-1),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #showClasses(): void {
    const labels = this.#map?.labels[this.state.view];
    const known = this.state.info.views.find((one) => one.name === this.state.view)?.classes ?? [];
    this.#counts = known.map(() => 0);
    for (const label of labels ?? []) if (label >= 0) this.#counts[label] += 1;
    const taught = new Map(this.state.taught.classes.map((one) => [one.name, one.count]));
    const box = find(".filter", this.#page);
    box.querySelectorAll("label").forEach((label) => {
      label.remove();
    });
    box.append(
      ...this.state.classes.map(({ name, color }, at) =>
        h(
          "label",
          { class: "check" },
          h("input", {
            type: "checkbox",
            checked: !this.#hidden.has(name),
            onchange: (event: Event) => {
              if ((event.target as HTMLInputElement).checked) this.#hidden.delete(name);
              else this.#hidden.add(name);
              this.#redraw();
            },
          }),
          mark(name, color),
          h("span", {
            class: "number faint",
            text: ((this.#counts[at] ?? 0) + (taught.get(name) ?? 0)).toLocaleString("en"),
          }),
        ),
      ),
    );
    this.#redraw();
  }

  /** The classes that are neither hidden nor excluded by the search. */
  #found(): Set<string> {
    const words = this.#search.value.trim().toLowerCase();
    const names = this.state.classes.map((one) => one.name);
    return new Set(names.filter((name) => !this.#hidden.has(name) && name.includes(words)));
  }

  #classOf(row: number): string | null {
    const label = this.#map?.labels[this.state.view]?.[row] ?? -1;
    return this.state.classes[label]?.name ?? null;
  }

  #redraw(all = true): void {
    if (all) this.#known = null;
    if (!this.#shown || this.#request) return;
    this.#request = requestAnimationFrame(() => {
      this.#request = 0;
      this.#draw();
    });
  }

  #draw(): void {
    if (!this.#map) return;
    const { pen, width, height } = fitted(this.#canvas);
    if (!width) return;
    const found = this.#found();
    this.#known ??= this.#drawKnown(found, width, height);
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.#known, 0, 0, width, height);
    const [ink, paper] = [tone("--ink"), tone("--paper")];
    for (const face of this.state.taught.faces) {
      if (!face.place || !found.has(face.label)) continue;
      const { x, y } = this.#pixel(face.place);
      pen.fillStyle = this.state.shade(face.label);
      pen.strokeStyle = ink;
      pen.lineWidth = 1.5;
      pen.fillRect(x - 4, y - 4, 8, 8);
      pen.strokeRect(x - 4, y - 4, 8, 8);
    }
    if (this.#selected >= 0) {
      const { x, y } = this.#pixel(this.#placeOf(this.#selected));
      ring(pen, x, y, 7, null, ink);
    }
    const { result, selected } = this.state.live;
    for (const face of result?.faces ?? []) {
      if (!face.place) continue;
      const { x, y } = this.#pixel(face.place);
      const strong = face.id === selected;
      ring(pen, x, y, strong ? 10 : 8, colorOf(face, (result as FrameResult).classes), strong ? ink : paper);
    }
    this.#describe(found);
  }

  #drawKnown(found: ReadonlySet<string>, width: number, height: number): HTMLCanvasElement {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.#canvas.width, this.#canvas.height];
    const pen = canvas.getContext("2d");
    const labels = this.#map?.labels[this.state.view];
    if (!pen || !labels) return canvas;
    const ratio = canvas.width / width;
    pen.scale(ratio, ratio);
    const dot = Math.max(1.5, Math.min(5, 1.6 * Math.sqrt(this.#zoom)));
    const colors = this.state.classes.map((one) => (found.has(one.name) ? one.color : null));
    const searching = this.#search.value.trim() !== "";
    // In a random order, so that no class hides others.
    for (const row of this.#order) {
      const color = colors[labels[row]] ?? null;
      if (!color && (!searching || this.#hidden.has(this.#classOf(row) ?? ""))) continue;
      const { x, y } = this.#pixel(this.#placeOf(row));
      if (x < -dot || y < -dot || x > width + dot || y > height + dot) continue;
      pen.globalAlpha = color ? 0.6 : 0.1;
      pen.fillStyle = color ?? UNSURE;
      pen.fillRect(x - dot / 2, y - dot / 2, dot, dot);
    }
    return canvas;
  }

  #describe(found: ReadonlySet<string>): void {
    const count = this.state.classes.reduce(
      (sum, one, at) => sum + (found.has(one.name) ? (this.#counts[at] ?? 0) : 0),
      0,
    );
    const names = [...found];
    const all = names.length === this.state.classes.length;
    say(
      find(".found", this.#page),
      names.length ? `${counted(count, "known face")}${all ? "" : `: ${names.join(", ")}`}` : "No class has this name.",
    );
  }

  #scale(): number {
    return this.#zoom * (Math.min(this.#canvas.clientWidth, this.#canvas.clientHeight) - 2 * MARGIN);
  }

  #pixel(place: Point): Point {
    const scale = this.#scale();
    return {
      x: this.#canvas.clientWidth / 2 + (place.x - this.#center.x) * scale,
      y: this.#canvas.clientHeight / 2 - (place.y - this.#center.y) * scale,
    };
  }

  #placeAt(x: number, y: number): Point {
    const scale = this.#scale();
    return {
      x: this.#center.x + (x - this.#canvas.clientWidth / 2) / scale,
      y: this.#center.y - (y - this.#canvas.clientHeight / 2) / scale,
    };
  }

  #placeOf(row: number): Point {
    const { positions } = this.#map as MapInfo;
    return { x: positions[2 * row], y: positions[2 * row + 1] };
  }

  #zoomBy(factor: number, around: Point = this.#center): void {
    const zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, this.#zoom * factor));
    const by = this.#zoom / zoom;
    this.#center = {
      x: around.x + (this.#center.x - around.x) * by,
      y: around.y + (this.#center.y - around.y) * by,
    };
    this.#zoom = zoom;
    this.#redraw();
  }

  #panBy(dx: number, dy: number): void {
    const scale = this.#scale();
    const within = (value: number) => Math.max(0, Math.min(1, value));
    this.#center = { x: within(this.#center.x - dx / scale), y: within(this.#center.y + dy / scale) };
    this.#redraw();
  }

  #fit(): void {
    [this.#zoom, this.#center] = [1, { x: 0.5, y: 0.5 }];
    this.#redraw();
  }

  /** The row of the found face nearest to a pixel, -1 for none near it. */
  #nearest(x: number, y: number): number {
    const found = this.#found();
    let [best, least] = [-1, NEAR];
    for (const row of this.#order) {
      const at = this.#pixel(this.#placeOf(row));
      const away = Math.hypot(at.x - x, at.y - y);
      if (away < least && found.has(this.#classOf(row) ?? "")) [best, least] = [row, away];
    }
    return best;
  }

  /** Select the next found face, from left to right. */
  #walk(by: 1 | -1): void {
    const found = this.#found();
    const rows = [...this.#order].filter((row) => found.has(this.#classOf(row) ?? ""));
    if (!rows.length) return;
    rows.sort((one, other) => this.#placeOf(one).x - this.#placeOf(other).x || one - other);
    const at = rows.indexOf(this.#selected);
    const next = rows[(at + by + rows.length) % rows.length];
    this.#center = this.#placeOf(next);
    this.#zoom = Math.max(this.#zoom, 4);
    this.#select(next);
    this.#redraw();
  }

  #select(row: number): void {
    this.#selected = row;
    const card = find(".point", this.#page);
    show(card, row >= 0);
    card.setAttribute("role", "status");
    if (row >= 0) {
      const label = this.#classOf(row);
      const others = this.state.info.views
        .filter((view) => view.name !== this.state.view)
        .map((view) => `${view.name}: ${view.classes[this.#map?.labels[view.name]?.[row] ?? -1] ?? "no label"}`);
      card.replaceChildren(
        mark(label ?? "no label", this.state.shade(label)),
        h("span", {
          class: "small faint",
          text: ` known face ${row + 1}${others.length ? ` · ${others.join(", ")}` : ""}`,
        }),
      );
    }
    this.#redraw(false);
  }
}

function ring(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  radius: number,
  fill: string | null,
  line: string,
): void {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  if (fill) {
    pen.fillStyle = fill;
    pen.fill();
  }
  pen.lineWidth = 2.5;
  pen.strokeStyle = line;
  pen.stroke();
}

/** The rows in a random order that is the same each time. */
function shuffled(length: number): Uint32Array {
  const rows = Uint32Array.from({ length }, (_, at) => at);
  let state = 1;
  for (let at = length - 1; at > 0; at--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (at + 1);
    [rows[at], rows[other]] = [rows[other], rows[at]];
  }
  return rows;
}
