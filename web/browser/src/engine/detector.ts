/**
 * Detect faces with CenterFace, as `moodspace.embeddings.detection` does.
 *
 * Positions are in pixels of the frame. For boxes (0, 0) is the corner of the first pixel; for landmarks its center.
 */

import type { Box, Point } from "../protocol.ts";
import { type Region, type Rgba, resizeForNetwork } from "./image.ts";
import type { Network } from "./runtime.ts";

export interface Detection {
  box: Box;
  landmarks: Point[];
  confidence: number;
}

/** Longer sides in pixels that a frame is resized to. */
export const LIVE_SIZES = [480];
export const PICTURE_SIZES = [640, 320];
/** Height in pixels of the smallest face to find in a picture of any size. */
const LEAST_FACE = 40;
const THRESHOLD = 0.5;
const TILE_THRESHOLD = 0.35;
const LARGEST_ENLARGEMENT = 3;

/** Boxes with a larger intersection over union are one face. */
const LARGEST_OVERLAP = 0.3;
/** The network halves its input five times. */
const STRIDE = 32;

// Of `tiles.py`, which explains them.
const LEAST_SEEN = 23;
const TILE = 576;
const OVERLAP = 96;
const LARGEST = 88;
const SEAM = 3;
const STEP = 4;
const LEAST_GAIN = 1.15;
const CONTAINED = 0.7;
const LEAST_PART = 0.1;

/** Find the faces of a frame of a video, most confident first. */
export async function detectLive(network: Network, frame: Rgba): Promise<Detection[]> {
  return inWhole(network, frame, LIVE_SIZES);
}

/** Find the faces of a picture, small ones too, most confident first. */
export async function detectInPicture(network: Network, picture: Rgba): Promise<Detection[]> {
  const found = await inWhole(network, picture, PICTURE_SIZES);
  const coarsest = Math.max(...scalesOf(picture, PICTURE_SIZES));
  const levels = levelScales(Math.max(picture.width, picture.height), coarsest, LEAST_FACE);
  if (!levels.length) return found;
  for (const shrink of levels) found.push(...(await inTiles(network, picture, shrink)));
  return withoutDuplicates(found);
}

function scalesOf(frame: { width: number; height: number }, sizes: readonly number[]): number[] {
  const longest = Math.max(frame.width, frame.height);
  return [...new Set(sizes.map((size) => Math.min(size / longest, LARGEST_ENLARGEMENT)))].sort((a, b) => b - a);
}

async function inWhole(network: Network, frame: Rgba, sizes: readonly number[]): Promise<Detection[]> {
  const region = { left: 0, top: 0, right: frame.width, bottom: frame.height };
  const found: Detection[] = [];
  for (const scale of scalesOf(frame, sizes)) {
    const width = Math.max(1, roundHalfEven(frame.width * scale));
    const height = Math.max(1, roundHalfEven(frame.height * scale));
    const faces = await look(network, frame, region, width, height, THRESHOLD);
    found.push(...faces.map((face) => placed(face, { x: 0, y: 0 }, 1 / scale, 1 / scale)));
  }
  return merge(found);
}

/** Round as Python does. */
export function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}

/** Convert positions from network input to frame, and those of landmarks from pixel corners to pixel centers. */
function placed(face: Detection, corner: Point, across: number, down: number): Detection {
  const { x, y, width, height } = face.box;
  return {
    box: { x: x * across + corner.x, y: y * down + corner.y, width: width * across, height: height * down },
    landmarks: face.landmarks.map((one) => ({ x: one.x * across + corner.x - 0.5, y: one.y * down + corner.y - 0.5 })),
    confidence: face.confidence,
  };
}

/** Find the faces of a region that is resized to this width and height, in pixels of the resized region. */
async function look(
  network: Network,
  frame: Rgba,
  region: Region,
  width: number,
  height: number,
  threshold: number,
): Promise<Detection[]> {
  const paddedWidth = Math.ceil(width / STRIDE) * STRIDE;
  const paddedHeight = Math.ceil(height / STRIDE) * STRIDE;
  const input = resizeForNetwork(frame, region, width, height, paddedWidth, paddedHeight);
  const sizes = { height: paddedHeight, width: paddedWidth };
  const { heat, sizes: logs, offsets, landmarks } = await network.run(sizes, input, [1, paddedHeight, paddedWidth, 3]);
  return decode(heat, logs, offsets, landmarks, paddedWidth / 4, threshold);
}

/** Decode the output maps, one cell for 4x4 pixels; see `decode_centerface`. */
export function decode(
  heat: Float32Array,
  sizes: Float32Array,
  offsets: Float32Array,
  landmarks: Float32Array,
  columns: number,
  threshold: number,
): Detection[] {
  const found: Detection[] = [];
  for (let cell = 0; cell < heat.length; cell++) {
    if (!(heat[cell] > threshold)) continue;
    const row = Math.floor(cell / columns);
    const column = cell % columns;
    const height = Math.exp(sizes[2 * cell]) * 4;
    const width = Math.exp(sizes[2 * cell + 1]) * 4;
    const y = (row + offsets[2 * cell] + 0.5) * 4 - height / 2;
    const x = (column + offsets[2 * cell + 1] + 0.5) * 4 - width / 2;
    const points = Array.from({ length: 5 }, (_, at) => ({
      x: landmarks[10 * cell + 2 * at + 1] * width + x,
      y: landmarks[10 * cell + 2 * at] * height + y,
    }));
    found.push({ box: { x, y, width, height }, landmarks: points, confidence: heat[cell] });
  }
  return merge(found);
}

/** Keep one of the faces that overlap, most confident first. */
function merge(faces: readonly Detection[]): Detection[] {
  const kept: Detection[] = [];
  for (const face of [...faces].sort((a, b) => b.confidence - a.confidence)) {
    if (kept.every((other) => overlap(face.box, other.box) <= LARGEST_OVERLAP)) kept.push(face);
  }
  return kept;
}

function shared(one: Box, other: Box): number {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  return Math.max(width, 0) * Math.max(height, 0);
}

function area(box: Box): number {
  return box.width * box.height;
}

/** Intersection over union. */
export function overlap(one: Box, other: Box): number {
  const both = shared(one, other);
  return both / Math.max(area(one) + area(other) - both, 1e-6);
}

/** Return the factors by which the levels are smaller than the picture, the finest first. */
export function levelScales(longest: number, coarsest: number, leastFace: number): number[] {
  const found: number[] = [];
  let shrink = Math.max(1, leastFace / LEAST_SEEN);
  while (shrink * coarsest * LEAST_GAIN < 1 && longest > shrink) {
    found.push(shrink);
    shrink *= STEP;
  }
  return found;
}

async function inTiles(network: Network, picture: Rgba, shrink: number): Promise<Detection[]> {
  const height = Math.max(1, roundHalfEven(picture.height / shrink));
  const width = Math.max(1, roundHalfEven(picture.width / shrink));
  const found: Detection[] = [];
  for (const [top, bottom] of spans(height)) {
    for (const [left, right] of spans(width)) {
      const x = roundHalfEven(left * shrink);
      const y = roundHalfEven(top * shrink);
      const region = {
        left: x,
        top: y,
        right: Math.min(Math.max(roundHalfEven(right * shrink), x + 1), picture.width),
        bottom: Math.min(Math.max(roundHalfEven(bottom * shrink), y + 1), picture.height),
      };
      const faces = await look(network, picture, region, right - left, bottom - top, TILE_THRESHOLD);
      for (const face of faces) {
        const box = face.box;
        const whole =
          Math.max(box.width, box.height) <= LARGEST &&
          (box.x >= SEAM || left === 0) &&
          (box.y >= SEAM || top === 0) &&
          (box.x + box.width <= right - left - SEAM || right === width) &&
          (box.y + box.height <= bottom - top - SEAM || bottom === height);
        if (!whole) continue;
        const across = (region.right - region.left) / (right - left);
        const down = (region.bottom - region.top) / (bottom - top);
        found.push(placed(face, { x, y }, across, down));
      }
    }
  }
  return found;
}

/** Return start and end of the tiles along a side: as few as possible, of equal length. */
export function spans(side: number): [number, number][] {
  if (side <= TILE) return [[0, side]];
  const count = Math.ceil((side - OVERLAP) / (TILE - OVERLAP));
  const length = Math.ceil((side - OVERLAP) / count) + OVERLAP;
  return Array.from({ length: count }, (_, at) => {
    const start = roundHalfEven(((side - length) * at) / (count - 1));
    return [start, start + length];
  });
}

function withoutDuplicates(faces: readonly Detection[]): Detection[] {
  const kept = merge(faces);
  return kept.filter((face) => {
    const own = area(face.box);
    return !kept.some((other) => {
      const theirs = area(other.box);
      return shared(face.box, other.box) > CONTAINED * own && own < theirs && own > LEAST_PART * theirs;
    });
  });
}
