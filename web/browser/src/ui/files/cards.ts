/** Faces as cards: the expression of each, its confidence, and the most similar known faces. */

import type { Face, FrameResult } from "../../protocol.ts";
import { h, mark } from "../dom.ts";
import { percent, UNSURE } from "../format.ts";
import { thumbnail } from "../live/lesson.ts";
import { colorOf } from "../live/overlay.ts";

// Number of probabilities listed per face; those of the other classes are close to 0.
const LISTED = 4;

/** The cards of a photo's faces, numbered from 1 as the boxes are if there are several. */
export function faceCards(
  result: FrameResult,
  picture: CanvasImageSource,
  shade: (name: string) => string,
): HTMLElement {
  const several = result.faces.length > 1;
  return h(
    "div",
    { class: "faces" },
    ...result.faces.map((face, at) => card(face, result, picture, several ? `Face ${at + 1}` : "", shade)),
  );
}

function card(
  face: Face,
  result: FrameResult,
  picture: CanvasImageSource,
  number: string,
  shade: (name: string) => string,
): HTMLElement {
  const unreadable = face.quality.reason && `${face.quality.reason}; it cannot be read`;
  const unsure = unreadable || "confidence too low; most likely first";
  const details = [number, face.expression === null ? unsure : "expression shown"].filter(Boolean).join(" · ");
  return h(
    "article",
    { class: "card face" },
    thumbnail(picture, face.box),
    h(
      "h2",
      {},
      face.expression === null ? "Unsure" : mark(face.expression, colorOf(face, result.classes)),
      h("span", { class: "number", text: `${Math.round(100 * face.confidence)} %` }),
    ),
    h("p", { class: "faint small", text: details }),
    chances(face, result),
    neighbors(face, shade),
  );
}

function chances(face: Face, result: FrameResult): HTMLElement {
  const top = result.classes
    .map((one, at) => ({ ...one, share: face.proba[at] }))
    .sort((one, other) => other.share - one.share)
    .slice(0, LISTED);
  return h(
    "dl",
    { class: "chances" },
    ...top.flatMap(({ name, color, share }) => [
      h("dt", { text: name }),
      h("dd", { class: "bar", "--share": `${100 * share}%`, "--shade": color }, h("i")),
      h("dd", { class: "number", text: percent(share) }),
    ]),
  );
}

function neighbors(face: Face, shade: (name: string) => string): HTMLElement | null {
  if (!face.neighbors.length) return null;
  return h(
    "div",
    { class: "why" },
    "Most similar faces, by similarity (1 = identical)",
    h(
      "ol",
      {},
      ...face.neighbors.map(({ label, source, similarity, taught }) =>
        h(
          "li",
          {},
          mark(label ?? "no label", label === null ? UNSURE : shade(label)),
          h("span", { class: "source", title: source, text: taught ? `taught (${source})` : source }),
          h("span", { class: "number", text: similarity.toFixed(3) }),
        ),
      ),
    ),
    face.explanation && h("p", { text: face.explanation }),
  );
}
