/** A small map of the known faces, with the places of the faces in view. */

import type { ClassInfo, Face, MapInfo } from "../../protocol.ts";
import { fitted, tone } from "../dom.ts";
import { UNSURE } from "../format.ts";
import { colorOf } from "./overlay.ts";

// Share of the side, so that dots at the edge are not cut off.
const MARGIN = 0.05;
// Number of known faces that show the shape of the map.
const MOST = 4000;

export class Minimap {
  #background: HTMLCanvasElement | null = null;
  #drawn = "";

  /** `view` and `classes` belong to the column of labels that colors the map. */
  constructor(
    readonly canvas: HTMLCanvasElement,
    readonly map: MapInfo | null,
  ) {}

  draw(faces: readonly Face[], selected: number | null, view: string, classes: readonly ClassInfo[]): void {
    if (!this.map) return;
    const { pen, width } = fitted(this.canvas);
    if (width < 10) return;
    const key = `${this.canvas.width} ${view}`;
    if (this.#drawn !== key) {
      this.#background = drawKnown(this.map, view, classes, this.canvas.width);
      this.#drawn = key;
    }
    pen.clearRect(0, 0, width, width);
    if (this.#background) pen.drawImage(this.#background, 0, 0, width, width);
    const unit = width / 180;
    for (const face of faces) {
      if (!face.place) continue;
      const { x, y } = pixel(face.place, width);
      pen.beginPath();
      pen.arc(x, y, (face.id === selected ? 5.5 : 4) * unit, 0, 7);
      pen.fillStyle = colorOf(face, classes);
      pen.fill();
      pen.lineWidth = 2 * unit;
      pen.strokeStyle = tone(face.id === selected ? "--ink" : "--paper");
      pen.stroke();
    }
  }
}

function pixel(place: { x: number; y: number }, side: number): { x: number; y: number } {
  const inner = side * (1 - 2 * MARGIN);
  return { x: side * MARGIN + place.x * inner, y: side * MARGIN + (1 - place.y) * inner };
}

function drawKnown(map: MapInfo, view: string, classes: readonly ClassInfo[], side: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [side, side];
  const pen = canvas.getContext("2d");
  const labels = map.labels[view];
  if (!pen || !labels) return canvas;
  pen.globalAlpha = 0.5;
  const dot = Math.max(1, side / 170);
  const step = Math.max(1, labels.length / MOST);
  for (let drawn = 0; drawn < Math.min(MOST, labels.length); drawn++) {
    const row = Math.floor(drawn * step);
    if (labels[row] < 0) continue;
    const { x, y } = pixel({ x: map.positions[2 * row], y: map.positions[2 * row + 1] }, side);
    pen.fillStyle = classes[labels[row]]?.color ?? UNSURE;
    pen.fillRect(x, y, dot, dot);
  }
  return canvas;
}
