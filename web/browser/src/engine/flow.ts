/**
 * Follow landmarks from one frame to the next by optical flow, as `moodspace.realtime.tracking.flow` does.
 *
 * Source: Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", Intel 2000; checked backwards as in
 * Kalal et al., "Forward-Backward Error: Automatic Detection of Tracking Failures", ICPR 2010.
 */

import type { Point } from "../protocol.ts";
import { roundHalfEven } from "./detector.ts";
import { type Gray, type Matrix, mirrored, type Rgba, resizeGray, toGray } from "./image.ts";

const SIDE = 480;
const LARGEST_RETURN_ERROR = 1;
const LEAST_POINTS = 3;
const LARGEST_SCALE_CHANGE = 1.3;
const WINDOW = 15;
const HALF = (WINDOW - 1) / 2;
const LEVELS = 2;
const STEPS = 15;
const EPSILON = 0.03;
/** Of the mean squared gradient, in gray levels per pixel; OpenCV's 1e-4 in its own units. */
const LEAST_EIGENVALUE = 1e-4 * 1024;

/** How a face moved: a similarity that maps positions of the previous frame to this one; null where it is unknown. */
export type Move = Matrix | null;

export class Flow {
  #previous: Gray[] | null = null;

  advance(frame: Rgba, faces: readonly (readonly Point[])[]): Move[] {
    const scale = SIDE / Math.max(frame.width, frame.height);
    const width = Math.max(1, roundHalfEven(frame.width * scale));
    const height = Math.max(1, roundHalfEven(frame.height * scale));
    const pyramid = pyramidOf(resizeGray(toGray(frame), width, height));
    const previous = this.#previous;
    this.#previous = pyramid;
    if (!previous || previous[0].width !== width || previous[0].height !== height) return faces.map(() => null);
    return faces.map((points) => {
      const before = points.map(({ x, y }) => ({ x: (x + 0.5) * scale - 0.5, y: (y + 0.5) * scale - 0.5 }));
      const pairs: [Point, Point][] = [];
      for (const start of before) {
        const end = follow(previous, pyramid, start);
        const back = end && follow(pyramid, previous, end);
        if (end && back && Math.hypot(back.x - start.x, back.y - start.y) <= LARGEST_RETURN_ERROR) {
          pairs.push([inFrame(start, scale), inFrame(end, scale)]);
        }
      }
      if (pairs.length < LEAST_POINTS) return null;
      const { move, size } = fit(pairs);
      return Math.abs(Math.log(size)) < Math.log(LARGEST_SCALE_CHANGE) ? move : null;
    });
  }

  /** Treat the next frame as the first. */
  restart(): void {
    this.#previous = null;
  }
}

function inFrame({ x, y }: Point, scale: number): Point {
  return { x: (x + 0.5) / scale - 0.5, y: (y + 0.5) / scale - 0.5 };
}

function fit(pairs: readonly (readonly [Point, Point])[]): { move: Matrix; size: number } {
  const n = pairs.length;
  let [fromX, fromY, toX, toY] = [0, 0, 0, 0];
  for (const [start, end] of pairs) {
    fromX += start.x / n;
    fromY += start.y / n;
    toX += end.x / n;
    toY += end.y / n;
  }
  let [real, imaginary, spread] = [0, 0, 0];
  for (const [start, end] of pairs) {
    const [x, y, u, v] = [start.x - fromX, start.y - fromY, end.x - toX, end.y - toY];
    real += x * u + y * v;
    imaginary += x * v - y * u;
    spread += x * x + y * y;
  }
  real /= Math.max(spread, 1e-9);
  imaginary /= Math.max(spread, 1e-9);
  const move: Matrix = [
    real,
    -imaginary,
    toX - (real * fromX - imaginary * fromY),
    imaginary,
    real,
    toY - (imaginary * fromX + real * fromY),
  ];
  return { move, size: Math.max(Math.hypot(real, imaginary), 1e-9) };
}

function pyramidOf(picture: Gray): Gray[] {
  const levels = [picture];
  for (let level = 0; level < LEVELS; level++) levels.push(shrink(levels[level]));
  return levels;
}

/** Halve a picture after a blur of 5x5 pixels, as OpenCV's `pyrDown`. */
function shrink(picture: Gray): Gray {
  const width = (picture.width + 1) >> 1;
  const height = (picture.height + 1) >> 1;
  const from = picture.data;
  const rows = new Uint16Array(width * picture.height);
  for (let y = 0; y < picture.height; y++) {
    const start = y * picture.width;
    for (let x = 0; x < width; x++) {
      const at = 2 * x;
      const inner = at >= 2 && at + 2 < picture.width;
      const one = inner ? at - 2 : mirrored(at - 2, picture.width);
      const two = inner ? at - 1 : mirrored(at - 1, picture.width);
      const four = inner ? at + 1 : mirrored(at + 1, picture.width);
      const five = inner ? at + 2 : mirrored(at + 2, picture.width);
      rows[y * width + x] =
        from[start + one] + from[start + five] + 4 * (from[start + two] + from[start + four]) + 6 * from[start + at];
    }
  }
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const [one, two, three, four, five] = [-2, -1, 0, 1, 2].map((by) => width * mirrored(2 * y + by, picture.height));
    for (let x = 0; x < width; x++) {
      const sum = rows[one + x] + rows[five + x] + 4 * (rows[two + x] + rows[four + x]) + 6 * rows[three + x];
      data[y * width + x] = (sum + 128) >> 8;
    }
  }
  return { width, height, data };
}

const COUNT = WINDOW * WINDOW;
const patch = new Float32Array(COUNT);
const gradientX = new Float32Array(COUNT);
const gradientY = new Float32Array(COUNT);
const moved = new Float32Array(COUNT);
const WIDE = WINDOW + 1;
const wholeX = new Float32Array(WIDE * WIDE);
const wholeY = new Float32Array(WIDE * WIDE);

/** Follow a point from one picture to the other; null if it is lost. */
export function follow(start: readonly Gray[], end: readonly Gray[], point: Point): Point | null {
  let x = 0;
  let y = 0;
  for (let level = LEVELS; level >= 0; level--) {
    const by = 2 ** -level;
    const fromX = point.x * by - HALF;
    const fromY = point.y * by - HALF;
    x = level === LEVELS ? fromX : 2 * (x + HALF) - HALF;
    y = level === LEVELS ? fromY : 2 * (y + HALF) - HALF;
    const source = start[level];
    const target = end[level];
    if (outside(source, fromX, fromY)) {
      if (level === 0) return null;
      continue;
    }
    sample(source, fromX, fromY, patch);
    gradients(source, fromX, fromY);
    let [xx, xy, yy] = [0, 0, 0];
    for (let at = 0; at < COUNT; at++) {
      xx += gradientX[at] * gradientX[at];
      xy += gradientX[at] * gradientY[at];
      yy += gradientY[at] * gradientY[at];
    }
    const determinant = xx * yy - xy * xy;
    const least = (xx + yy - Math.sqrt((xx - yy) ** 2 + 4 * xy * xy)) / (2 * COUNT);
    if (least < LEAST_EIGENVALUE || determinant <= 0) {
      if (level === 0) return null;
      continue;
    }
    let [lastX, lastY] = [0, 0];
    for (let step = 0; step < STEPS; step++) {
      if (outside(target, x, y)) {
        if (level === 0) return null;
        break;
      }
      sample(target, x, y, moved);
      let [differenceX, differenceY] = [0, 0];
      for (let at = 0; at < COUNT; at++) {
        const difference = moved[at] - patch[at];
        differenceX += difference * gradientX[at];
        differenceY += difference * gradientY[at];
      }
      const shiftX = (xy * differenceY - yy * differenceX) / determinant;
      const shiftY = (xy * differenceX - xx * differenceY) / determinant;
      x += shiftX;
      y += shiftY;
      if (shiftX * shiftX + shiftY * shiftY <= EPSILON * EPSILON) break;
      if (step > 0 && Math.abs(shiftX + lastX) < 0.01 && Math.abs(shiftY + lastY) < 0.01) {
        x -= shiftX / 2;
        y -= shiftY / 2;
        break;
      }
      [lastX, lastY] = [shiftX, shiftY];
    }
  }
  return { x: x + HALF, y: y + HALF };
}

function outside(picture: Gray, x: number, y: number): boolean {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  return left < -WINDOW || left >= picture.width || top < -WINDOW || top >= picture.height;
}

/** Sample a window whose first pixel is at x, y; beyond the border the picture is mirrored. */
function sample({ width, height, data }: Gray, x: number, y: number, out: Float32Array): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  const right = x - left;
  const down = y - top;
  const inner = left >= 0 && top >= 0 && left + WINDOW < width && top + WINDOW < height;
  let to = 0;
  for (let row = 0; row < WINDOW; row++) {
    const upper = width * (inner ? top + row : mirrored(top + row, height));
    const lower = width * (inner ? top + row + 1 : mirrored(top + row + 1, height));
    for (let column = 0; column < WINDOW; column++) {
      const one = inner ? left + column : mirrored(left + column, width);
      const two = inner ? left + column + 1 : mirrored(left + column + 1, width);
      const above = data[upper + one] + right * (data[upper + two] - data[upper + one]);
      const below = data[lower + one] + right * (data[lower + two] - data[lower + one]);
      out[to++] = above + down * (below - above);
    }
  }
}

/** Sample the Scharr gradients of a window, in gray levels per pixel; they are 0 beyond the border. */
function gradients({ width, height, data }: Gray, x: number, y: number): void {
  const left = Math.floor(x);
  const top = Math.floor(y);
  for (let row = 0; row < WIDE; row++) {
    for (let column = 0; column < WIDE; column++) {
      const [atX, atY] = [left + column, top + row];
      const at = row * WIDE + column;
      if (atX < 0 || atY < 0 || atX >= width || atY >= height) {
        wholeX[at] = wholeY[at] = 0;
        continue;
      }
      const x0 = mirrored(atX - 1, width);
      const x2 = mirrored(atX + 1, width);
      const y0 = width * mirrored(atY - 1, height);
      const y1 = width * atY;
      const y2 = width * mirrored(atY + 1, height);
      wholeX[at] =
        (3 * (data[y0 + x2] - data[y0 + x0] + data[y2 + x2] - data[y2 + x0]) + 10 * (data[y1 + x2] - data[y1 + x0])) /
        32;
      wholeY[at] =
        (3 * (data[y2 + x0] - data[y0 + x0] + data[y2 + x2] - data[y0 + x2]) + 10 * (data[y2 + atX] - data[y0 + atX])) /
        32;
    }
  }
  const right = x - left;
  const down = y - top;
  for (let row = 0; row < WINDOW; row++) {
    for (let column = 0; column < WINDOW; column++) {
      const at = row * WIDE + column;
      const to = row * WINDOW + column;
      gradientX[to] = between(wholeX, at, right, down);
      gradientY[to] = between(wholeY, at, right, down);
    }
  }
}

function between(values: Float32Array, at: number, right: number, down: number): number {
  const above = values[at] + right * (values[at + 1] - values[at]);
  const below = values[at + WIDE] + right * (values[at + WIDE + 1] - values[at + WIDE]);
  return above + down * (below - above);
}
