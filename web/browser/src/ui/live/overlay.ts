/** Draw boxes and labels over a picture. */

import type { ClassInfo, Face, FrameResult } from "../../protocol.ts";
import { fitted } from "../dom.ts";
import { readableOn, UNSURE } from "../format.ts";

// A label may be this many times as wide as its face.
const WIDEST = 1.7;

export interface OverlayOptions {
  /** Id of the selected face. */
  selected: number | null;
  mirrored: boolean;
  /** Whether to number the faces if there are several. */
  numbered: boolean;
}

/** The label of a face: "happy 93 %", or "unsure" with the reason. */
export function labelOf(face: Face): string {
  if (face.expression === null) return face.quality.reason ? `unsure · ${face.quality.reason}` : "unsure";
  return `${face.expression} ${Math.round(100 * face.confidence)} %`;
}

/** The labels of a face from long to short: with the confidence, without it, and the number alone. */
function labelsOf(face: Face, tag: string): string[] {
  const short = face.expression ?? "unsure";
  const labels = [labelOf(face), short].map((label) => (tag ? `${tag}  ${label}` : label));
  return tag ? [...labels, tag] : labels;
}

/** The color of a face's answer. */
export function colorOf(face: Face, classes: readonly ClassInfo[]): string {
  return classes.find((one) => one.name === face.expression)?.color ?? UNSURE;
}

export class Overlay {
  #boxes: { id: number; x: number; y: number; width: number; height: number }[] = [];

  constructor(readonly canvas: HTMLCanvasElement) {}

  clear(): void {
    this.#boxes = [];
    this.canvas.getContext("2d")?.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Draw the faces of a frame that is shown with `object-fit: contain`. */
  draw(result: FrameResult, options: OverlayOptions): void {
    const { pen, width, height } = fitted(this.canvas);
    pen.clearRect(0, 0, width, height);
    const scale = Math.min(width / result.width, height / result.height);
    const left = (width - result.width * scale) / 2;
    const top = (height - result.height * scale) / 2;
    this.#boxes = result.faces.map(({ id, box }) => ({
      id,
      x: options.mirrored ? width - left - (box.x + box.width) * scale : left + box.x * scale,
      y: top + box.y * scale,
      width: box.width * scale,
      height: box.height * scale,
    }));
    result.faces.forEach((face, row) => {
      const tag = options.numbered && result.faces.length > 1 ? String(row + 1) : "";
      drawFace(pen, this.#boxes[row], width, 1, {
        labels: labelsOf(face, tag),
        color: colorOf(face, result.classes),
        strong: face.id === options.selected,
      });
    });
  }

  /** Return the id of the face at a point in CSS pixels. */
  at(x: number, y: number): number | undefined {
    return this.#boxes.find((one) => x >= one.x && y >= one.y && x <= one.x + one.width && y <= one.y + one.height)?.id;
  }
}

/** Draw the numbered faces of a photo into its pixels, for a file. */
export function annotate(pen: CanvasRenderingContext2D, result: FrameResult): void {
  const unit = Math.max(1, Math.min(result.width, result.height) / 480);
  result.faces.forEach((face, row) => {
    const tag = result.faces.length > 1 ? String(row + 1) : "";
    drawFace(pen, face.box, result.width, unit, {
      labels: labelsOf(face, tag),
      color: colorOf(face, result.classes),
      strong: false,
    });
  });
}

function drawFace(
  pen: CanvasRenderingContext2D,
  box: { x: number; y: number; width: number; height: number },
  room: number,
  unit: number,
  { labels, color, strong }: { labels: readonly string[]; color: string; strong: boolean },
): void {
  pen.lineJoin = "round";
  for (const [line, style] of [
    [strong ? 7 : 5, "#0009"],
    [strong ? 4 : 2.5, color],
  ] as const) {
    pen.lineWidth = line * unit;
    pen.strokeStyle = style;
    pen.beginPath();
    pen.roundRect(box.x, box.y, box.width, box.height, 10 * unit);
    pen.stroke();
  }
  pen.font = `600 ${15 * unit}px system-ui, "DejaVu Sans", sans-serif`;
  const widthOf = (label: string) => pen.measureText(label).width + 18 * unit;
  // A label that is much wider than its face would cover the next one; that of the selected face is always whole.
  const fitting = strong ? labels[0] : labels.find((label) => widthOf(label) <= WIDEST * box.width);
  const label = fitting ?? labels[labels.length - 1];
  const width = widthOf(label);
  const x = Math.max(2, Math.min(box.x, room - width - 2));
  const y = box.y > 32 * unit ? box.y - 30 * unit : box.y + 6 * unit;
  pen.fillStyle = color;
  pen.beginPath();
  pen.roundRect(x, y, width, 25 * unit, 8 * unit);
  pen.fill();
  pen.fillStyle = readableOn(color);
  pen.textBaseline = "middle";
  pen.fillText(label, x + 9 * unit, y + 13 * unit);
}
