/** Cut faces out of a frame as 48x48 gray crops, as `moodspace.embeddings.crops` does. */

import type { Point } from "../protocol.ts";
import { type Gray, halve, inverse, type Matrix, type Region, type Rgba, resizeGray, toGray, warp } from "./image.ts";

export const SIZE = 48;

const OVERSAMPLING = 2;
const LEAST_SCALE = 1 / 1000;
const MOST_SCALE = SIZE;

/** Find the similarity transform that brings points closest to the template, by least squares (Umeyama 1991). */
export function similarity(points: readonly Point[], template: readonly Point[]): Matrix {
  const middle = mean(points);
  const target = mean(template);
  let real = 0;
  let imaginary = 0;
  let norm = 0;
  points.forEach((point, at) => {
    const x = point.x - middle.x;
    const y = point.y - middle.y;
    const u = template[at].x - target.x;
    const v = template[at].y - target.y;
    real += x * u + y * v;
    imaginary += x * v - y * u;
    norm += x * x + y * y;
  });
  real = norm > 0 ? real / norm : 0;
  imaginary = norm > 0 ? imaginary / norm : 0;
  const scale = Math.hypot(real, imaginary);
  const limited = Math.min(Math.max(scale, LEAST_SCALE), MOST_SCALE);
  const cos = scale > 0 ? (real / scale) * limited : limited;
  const sin = scale > 0 ? (imaginary / scale) * limited : 0;
  return [
    cos,
    -sin,
    target.x - (cos * middle.x - sin * middle.y),
    sin,
    cos,
    target.y - (sin * middle.x + cos * middle.y),
  ];
}

function mean(points: readonly Point[]): Point {
  let x = 0;
  let y = 0;
  for (const point of points) {
    x += point.x;
    y += point.y;
  }
  return { x: x / points.length, y: y / points.length };
}

/** Cut out a face, so that its landmarks match the template. Beyond the frame, its border pixels are repeated. */
export function cropFace(frame: Rgba, landmarks: readonly Point[], template: readonly Point[]): Gray {
  const toCrop = similarity(landmarks, template);
  const shrink = Math.max(1, Math.trunc(1 / (Math.hypot(toCrop[0], toCrop[3]) * OVERSAMPLING)));
  const region = regionOf(frame, toCrop, shrink);
  let gray = toGray(frame, region);
  let stepX = 1;
  let stepY = 1;
  if (shrink > 1) {
    const width = Math.max(1, Math.floor(gray.width / shrink));
    const height = Math.max(1, Math.floor(gray.height / shrink));
    stepX = gray.width / width;
    stepY = gray.height / height;
    gray = resizeGray(gray, width, height);
  }
  const [a, b, c, d, e, f] = toCrop;
  // The center of pixel p of the shrunk region is at (p + 0.5) * step - 0.5 of the region.
  const left = region.left + 0.5 * stepX - 0.5;
  const top = region.top + 0.5 * stepY - 0.5;
  // Pixel u of the crop is the mean of the pixels 2u and 2u + 1 of the oversampled crop.
  const more = (OVERSAMPLING - 1) / 2;
  const matrix: Matrix = [
    OVERSAMPLING * a * stepX,
    OVERSAMPLING * b * stepY,
    OVERSAMPLING * (c + a * left + b * top) + more,
    OVERSAMPLING * d * stepX,
    OVERSAMPLING * e * stepY,
    OVERSAMPLING * (f + d * left + e * top) + more,
  ];
  return halve(warp(gray, matrix, SIZE * OVERSAMPLING, SIZE * OVERSAMPLING));
}

function regionOf(frame: { width: number; height: number }, toCrop: Matrix, shrink: number): Region {
  const [a, b, c, d, e, f] = inverse(toCrop);
  const edge = SIZE - 0.5;
  const corners = [
    [-0.5, -0.5],
    [edge, -0.5],
    [edge, edge],
    [-0.5, edge],
  ];
  const xs = corners.map(([x, y]) => a * x + b * y + c);
  const ys = corners.map(([x, y]) => d * x + e * y + f);
  const [left, right] = span(Math.min(...xs), Math.max(...xs), frame.width, shrink);
  const [top, bottom] = span(Math.min(...ys), Math.max(...ys), frame.height, shrink);
  return { left, top, right, bottom };
}

function span(least: number, most: number, limit: number, shrink: number): [number, number] {
  const first = Math.min(Math.max(Math.floor(least) - shrink, 0), limit - 1);
  const needed = Math.max(Math.ceil((most + shrink - first) / shrink), 1);
  const available = Math.floor((limit - first) / shrink);
  return [first, available > 0 ? first + Math.min(needed, available) * shrink : limit];
}
