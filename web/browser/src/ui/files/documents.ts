/** Results as files: the documents of `moodspace predict --json`, and a table of the same. */

import type { Face, FrameResult } from "../../protocol.ts";
import { csvRow, finite, rounded } from "../format.ts";

export interface FaceDocument {
  /** Left, top, width and height in pixels. */
  xywh: [number, number, number, number];
  expression: string;
  confidence: number;
  probabilities: Record<string, number>;
  unknown: boolean;
  neighbors: { id: number; label: string | null; similarity: number; source: string }[];
  quality: { size: number | null; sharpness: number | null; yaw: number | null; good: boolean; reason: string | null };
}

/** A picture has `faces`, a video `frames`. */
export interface ResultDocument {
  source: string;
  faces?: FaceDocument[];
  frames?: { time: number; faces: FaceDocument[] }[];
}

const LEADING = ["source", "time", "face", "left", "top", "width", "height", "expression", "confidence", "unknown"];

/** The faces of a frame as plain values, as in `moodspace.realtime.documents.face_documents`. */
export function faceDocuments(result: FrameResult): FaceDocument[] {
  return result.faces.map((face) => ({
    xywh: [face.box.x, face.box.y, face.box.width, face.box.height].map((value) => rounded(value, 1)) as [
      number,
      number,
      number,
      number,
    ],
    ...answerOf(face, result),
    probabilities: Object.fromEntries(result.classes.map(({ name }, at) => [name, rounded(face.proba[at], 6)])),
    unknown: face.unknown,
    neighbors: face.neighbors.map(({ id, label, similarity, source }) => ({
      id,
      label,
      similarity: rounded(similarity, 6),
      source,
    })),
    quality: {
      size: finite(face.quality.size, 1),
      sharpness: finite(face.quality.sharpness, 6),
      yaw: finite(face.quality.yaw, 1),
      good: face.quality.good,
      reason: face.quality.reason || null,
    },
  }));
}

/** The most probable class, also of a face that is unsure, and its probability. */
function answerOf(face: Face, result: FrameResult): { expression: string; confidence: number } {
  const best = face.proba.indexOf(Math.max(...face.proba));
  return {
    expression: face.expression ?? result.classes[best]?.name ?? "",
    confidence: rounded(face.confidence, 6),
  };
}

/** Documents as `moodspace predict --json` prints them: one a line. */
export function asJson(documents: readonly ResultDocument[]): string {
  return documents.map((one) => `${JSON.stringify(one)}\n`).join("");
}

/** A CSV table with a row per face and a column per class; the time of faces in pictures is empty. */
export function asCsv(documents: readonly ResultDocument[]): string {
  const rows = documents.flatMap(({ source, faces, frames }) =>
    (frames ?? [{ time: "", faces: faces ?? [] }]).flatMap((frame) =>
      frame.faces.map((face, at) => ({ source, time: frame.time, number: at + 1, face })),
    ),
  );
  const classes = [...new Set(rows.flatMap(({ face }) => Object.keys(face.probabilities)))];
  const lines = rows.map(({ source, time, number, face }) => {
    const nearest = face.neighbors[0];
    const shares = classes.map((name) => face.probabilities[name] ?? "");
    return csvRow([
      ...[source, time, number, ...face.xywh, face.expression, face.confidence, face.unknown],
      ...[face.quality.reason, ...shares, nearest?.label ?? "", nearest?.similarity ?? ""],
    ]);
  });
  return `${[csvRow([...LEADING, "reason", ...classes, "neighbor", "similarity"]), ...lines].join("\n")}\n`;
}
