/** Results for tests of the pages' parts. */
import type { Face, FrameResult } from "../../src/protocol.ts";

export const CLASSES = ["happy", "sad"].map((name) => ({ name, color: "#123456", taught: false }));

export function face(proba: number[], more: Partial<Face> = {}): Face {
  const confidence = Math.max(...proba);
  return {
    id: 1,
    box: { x: 10.04, y: 20, width: 30, height: 40 },
    landmarks: [],
    detection: 0.9,
    quality: { good: true, reason: "", size: 40, sharpness: 0.05, yaw: 3 },
    expression: CLASSES[proba.indexOf(confidence)].name,
    confidence,
    unknown: false,
    proba,
    votes: proba,
    neighbors: [{ id: 7, label: "happy", similarity: 0.98765432, source: "a, b.webp", taught: false, place: null }],
    explanation: "",
    place: null,
    ...more,
  };
}

export function frame(faces: Face[], time = 0, classes = CLASSES): FrameResult {
  const timings = { read: 0, detect: 0, track: 0, crop: 0, encode: 0, search: 0, decide: 0 };
  return { time, width: 100, height: 100, classes, faces, timings };
}

export const unreadable = {
  quality: { good: false, reason: "blurred", size: 40, sharpness: 0, yaw: 0 },
  expression: null,
};
