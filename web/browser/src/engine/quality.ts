/** Decide whether a face can be read, as `moodspace.embeddings.detection.quality` and `occlusion` do. */

import type { Point, Quality } from "../protocol.ts";
import type { Detection } from "./detector.ts";
import { blur, filter3, type Gray } from "./image.ts";

const LEAST_SIZE = 16;
const LEAST_SHARPNESS = 0.015;
const MOST_YAW = 54;
const LEAST_MARGIN = 0.2;
const MOST_HIDDEN = 0.75;
const NOISE_SIGMA = 1;
const NOSE = 0.35;

const CELLS = 6;
const DIRECTIONS = 8;
const EDGE_SIGMA = 0.7;
const LEAST_EDGE = 1;

/** How bad each measure of a face has to be to count; see `moodspace.classifier.quality_effect`. */
const SHARP = 0.035;
const SMOOTH = 2.5;
const CLEAN = 8;
const OPEN = 0.5;
const FRONTAL = 20;
const LARGE = 40;
const YAW_STEP = 30;

/** How much each kind of low quality flattens the probabilities of a view. */
export interface QualityEffect {
  overall: number;
  blurred: number;
  grainy: number;
  noisy: number;
  hidden: number;
  turned: number;
  small: number;
}

/** What is known of a crop's quality; size and yaw are NaN where the picture is not at hand. */
export interface Measured {
  sharpness: number;
  noise: number;
  hidden: number;
  size: number;
  yaw: number;
}

/** The temperature that the probabilities of a face are flattened with, above 0. */
export function temperatureOf(effect: QualityEffect, face: Measured): number {
  const positive = (value: number) => (Number.isNaN(value) ? 0 : Math.max(value, 0));
  const sum =
    effect.blurred * positive(Math.log(SHARP / Math.max(face.sharpness, 1e-4))) +
    effect.grainy * positive(Math.log(Math.min(Math.max(face.noise, 1e-4), CLEAN) / SMOOTH)) +
    effect.noisy * positive(Math.log(Math.max(face.noise, 1e-4) / CLEAN)) +
    effect.hidden * positive(2 * (face.hidden - OPEN)) +
    effect.turned * positive((Math.abs(face.yaw) - FRONTAL) / YAW_STEP) +
    effect.small * positive(Math.log(LARGE / Math.max(face.size, 1)));
  return Math.exp(effect.overall + sum);
}

/** Measure what a crop alone tells. */
export function measureCrop(crop: Gray, occlusion: Occlusion): Measured {
  return {
    sharpness: sharpness(crop),
    noise: noiseLevel(crop),
    hidden: mouthHidden(crop, occlusion),
    size: Number.NaN,
    yaw: Number.NaN,
  };
}

/** The standard deviation of the sensor noise in gray levels (Immerkaer, "Fast noise variance estimation", 1996). */
export function noiseLevel({ width, height, data }: Gray): number {
  const rough = filter3(data, width, height, [1, -2, 1, -2, 4, -2, 1, -2, 1]);
  let sum = 0;
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) sum += Math.abs(rough[y * width + x]);
  }
  return ((Math.sqrt(Math.PI / 2) / 6) * sum) / ((width - 2) * (height - 2));
}

export interface Occlusion {
  weights: readonly number[];
  bias: number;
}

/** Assess a face from what its crop tells. */
export function assess(
  face: Pick<Detection, "box" | "landmarks">,
  { sharpness: sharp, hidden }: Pick<Measured, "sharpness" | "hidden">,
  width: number,
  height: number,
): Quality {
  const size = Math.max(face.box.width, face.box.height);
  const yaw = estimateYaw(face.landmarks);
  let reason = "";
  if (size < LEAST_SIZE) reason = "too small";
  else if (cutOff(face.landmarks, width, height)) reason = "cut off";
  else if (Math.abs(yaw) > MOST_YAW) reason = "turned away";
  else if (sharp < LEAST_SHARPNESS) reason = "blurred";
  else if (hidden > MOST_HIDDEN) reason = "mouth hidden";
  return { good: !reason, reason, size, sharpness: sharp, yaw };
}

export function cutOff(landmarks: readonly Point[], width: number, height: number): boolean {
  const [left, right, , mouthLeft, mouthRight] = landmarks;
  const across = (mouthLeft.x + mouthRight.x - left.x - right.x) / 2;
  const down = (mouthLeft.y + mouthRight.y - left.y - right.y) / 2;
  const margin = LEAST_MARGIN * Math.hypot(across, down);
  return landmarks.some(({ x, y }) => Math.min(x, y, width - 1 - x, height - 1 - y) < margin);
}

/** Degrees, positive to the viewer's right. */
export function estimateYaw(landmarks: readonly Point[]): number {
  const [left, right, nose] = landmarks;
  const x = right.x - left.x;
  const y = right.y - left.y;
  const aside = (nose.x - (left.x + right.x) / 2) * x + (nose.y - (left.y + right.y) / 2) * y;
  return (Math.atan2(aside / Math.max(x * x + y * y, 1e-6), NOSE) * 180) / Math.PI;
}

function variance(values: ArrayLike<number>): number {
  let sum = 0;
  let squares = 0;
  for (let at = 0; at < values.length; at++) {
    sum += values[at];
    squares += values[at] * values[at];
  }
  const mean = sum / values.length;
  return squares / values.length - mean * mean;
}

/** The variance of the crop's Laplacian over that of its gray levels. */
export function sharpness(crop: Gray): number {
  const smooth = blur(crop, NOISE_SIGMA, true);
  const edges = filter3(smooth, crop.width, crop.height, [0, 1, 0, 1, -4, 1, 0, 1, 0]);
  return variance(edges) / Math.max(variance(crop.data), 1);
}

/** The probability that the mouth of a face is covered. */
export function mouthHidden(crop: Gray, { weights, bias }: Occlusion): number {
  const { width, height } = crop;
  const smooth = blur(crop, EDGE_SIGMA, false);
  const right = filter3(smooth, width, height, [-1, 0, 1, -2, 0, 2, -1, 0, 1]);
  const down = filter3(smooth, width, height, [-1, -2, -1, 0, 0, 0, 1, 2, 1]);
  const sums = new Float64Array(CELLS * CELLS * DIRECTIONS);
  let total = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      const strength = Math.hypot(right[at], down[at]);
      const angle = Math.atan2(down[at], right[at]);
      const turn = ((angle < 0 ? angle + Math.PI : angle) % Math.PI) * (DIRECTIONS / Math.PI);
      const first = Math.floor(turn);
      const part = turn - first;
      const cell = (Math.floor((y * CELLS) / height) * CELLS + Math.floor((x * CELLS) / width)) * DIRECTIONS;
      sums[cell + (first % DIRECTIONS)] += strength * (1 - part);
      sums[cell + ((first + 1) % DIRECTIONS)] += strength * part;
      total += strength;
    }
  }
  let logit = bias;
  const all = total + LEAST_EDGE * width * height;
  for (let at = 0; at < sums.length; at++) logit += weights[at] * Math.sqrt(sums[at] / all);
  return 1 / (1 + Math.exp(-Math.min(Math.max(logit, -30), 30)));
}
