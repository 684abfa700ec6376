/**
 * Gray pictures and the operations on them, as OpenCV computes them.
 *
 * Pixel centers are at whole numbers, as in OpenCV's `warpAffine`.
 */

export interface Gray {
  width: number;
  height: number;
  data: Uint8Array;
}

/** A picture as a canvas gives it: 4 bytes a pixel, red, green, blue, alpha. */
export interface Rgba {
  width: number;
  height: number;
  data: Uint8ClampedArray | Uint8Array;
}

export interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Convert a region to gray levels (ITU-R 601 luma, rounded). */
export function toGray(picture: Rgba, region: Region = whole(picture)): Gray {
  const { left, top, right, bottom } = region;
  const width = right - left;
  const height = bottom - top;
  const data = new Uint8Array(width * height);
  let to = 0;
  for (let y = top; y < bottom; y++) {
    let from = 4 * (y * picture.width + left);
    for (let x = 0; x < width; x++, from += 4) {
      data[to++] =
        (9798 * picture.data[from] + 19235 * picture.data[from + 1] + 3735 * picture.data[from + 2] + 16384) >> 15;
    }
  }
  return { width, height, data };
}

function whole(picture: { width: number; height: number }): Region {
  return { left: 0, top: 0, right: picture.width, bottom: picture.height };
}

/** The source pixels of each target pixel along one side, and their weights, which sum to 1. */
interface Weights {
  first: Int32Array;
  count: Int32Array;
  most: number;
  /** `most` values for each target pixel. */
  values: Float32Array;
}

const known = new Map<string, Weights>();

function weightsOf(from: number, to: number): Weights {
  const key = `${from} ${to}`;
  let weights = known.get(key);
  if (!weights) {
    weights = to < from ? areaWeights(from, to) : linearWeights(from, to);
    if (known.size > 64) known.clear();
    known.set(key, weights);
  }
  return weights;
}

function areaWeights(from: number, to: number): Weights {
  const scale = from / to;
  const most = Math.ceil(scale) + 2;
  const weights = empty(to, most);
  for (let at = 0; at < to; at++) {
    const begin = at * scale;
    const end = begin + scale;
    const cell = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const inner = Math.min(Math.ceil(begin), last);
    const add = (pixel: number, weight: number) => {
      if (!weights.count[at]) weights.first[at] = pixel;
      weights.values[at * most + weights.count[at]++] = weight;
    };
    if (inner - begin > 1e-3) add(inner - 1, (inner - begin) / cell);
    for (let pixel = inner; pixel < last; pixel++) add(pixel, 1 / cell);
    if (end - last > 1e-3) add(last, Math.min(end - last, 1, cell) / cell);
  }
  return weights;
}

function linearWeights(from: number, to: number): Weights {
  const weights = empty(to, 2);
  for (let at = 0; at < to; at++) {
    const place = ((at + 0.5) * from) / to - 0.5;
    const first = Math.min(Math.max(Math.floor(place), 0), Math.max(from - 2, 0));
    const part = Math.min(Math.max(place - first, 0), 1);
    weights.first[at] = first;
    weights.count[at] = from > 1 ? 2 : 1;
    weights.values[2 * at] = 1 - (from > 1 ? part : 0);
    weights.values[2 * at + 1] = part;
  }
  return weights;
}

function empty(to: number, most: number): Weights {
  return { first: new Int32Array(to), count: new Int32Array(to), most, values: new Float32Array(to * most) };
}

/** Resize by the mean of the covered pixels where it shrinks, and linearly where it grows. */
export function resizeGray(picture: Gray, width: number, height: number): Gray {
  if (picture.width === width && picture.height === height) return picture;
  const across = weightsOf(picture.width, width);
  const down = weightsOf(picture.height, height);
  const data = new Uint8Array(width * height);
  const row = new Float32Array(width);
  const sum = new Float32Array(width);
  let done = -1;
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let n = 0; n < down.count[y]; n++) {
      const from = down.first[y] + n;
      if (from !== done) shrinkRow(picture.data, from * picture.width, across, row);
      done = from;
      const weight = down.values[y * down.most + n];
      for (let x = 0; x < width; x++) sum[x] += weight * row[x];
    }
    const to = y * width;
    for (let x = 0; x < width; x++) data[to + x] = sum[x] + 0.5;
  }
  return { width, height, data };
}

function shrinkRow(data: Uint8Array, start: number, across: Weights, row: Float32Array): void {
  const { first, count, most, values } = across;
  for (let x = 0; x < row.length; x++) {
    let sum = 0;
    const from = start + first[x];
    const at = x * most;
    for (let n = 0; n < count[x]; n++) sum += values[at + n] * data[from + n];
    row[x] = sum;
  }
}

/** The newest inputs by their sizes. Each is used again, because browsers free large arrays late. */
const inputs = new Map<string, Float32Array<ArrayBuffer>>();
const MOST_INPUTS = 3;

function inputOf(key: string, size: number): Float32Array<ArrayBuffer> {
  const input = inputs.get(key) ?? new Float32Array(size);
  if (!inputs.has(key) && inputs.size >= MOST_INPUTS) inputs.clear();
  inputs.set(key, input);
  return input;
}

/**
 * Resize a region of a picture for a network: 3 floats a pixel, red, green and blue in [0, 255], rounded; zeros beyond
 * the width and height up to the padded ones. The next call with the same sizes overwrites the result.
 */
export function resizeForNetwork(
  picture: Rgba,
  region: Region,
  width: number,
  height: number,
  paddedWidth: number,
  paddedHeight: number,
): Float32Array<ArrayBuffer> {
  const out = inputOf(`${width} ${height} ${paddedWidth} ${paddedHeight}`, 3 * paddedWidth * paddedHeight);
  const regionWidth = region.right - region.left;
  const across = weightsOf(regionWidth, width);
  const down = weightsOf(region.bottom - region.top, height);
  const { first, count, most, values } = across;
  const row = new Float32Array(3 * width);
  const sum = new Float32Array(3 * width);
  const data = picture.data;
  let done = -1;
  for (let y = 0; y < height; y++) {
    sum.fill(0);
    for (let n = 0; n < down.count[y]; n++) {
      const line = down.first[y] + n;
      if (line !== done) {
        const start = (region.top + line) * picture.width + region.left;
        for (let x = 0; x < width; x++) {
          let red = 0;
          let green = 0;
          let blue = 0;
          let from = 4 * (start + first[x]);
          const at = x * most;
          for (let m = 0; m < count[x]; m++, from += 4) {
            const weight = values[at + m];
            red += weight * data[from];
            green += weight * data[from + 1];
            blue += weight * data[from + 2];
          }
          row[3 * x] = red;
          row[3 * x + 1] = green;
          row[3 * x + 2] = blue;
        }
        done = line;
      }
      const weight = down.values[y * down.most + n];
      for (let x = 0; x < row.length; x++) sum[x] += weight * row[x];
    }
    const to = 3 * y * paddedWidth;
    for (let x = 0; x < row.length; x++) out[to + x] = Math.floor(sum[x] + 0.5);
  }
  return out;
}

/** A 2x3 matrix by rows: x' = a x + b y + c, y' = d x + e y + f. */
export type Matrix = readonly [number, number, number, number, number, number];

export function inverse([a, b, c, d, e, f]: Matrix): Matrix {
  const by = 1 / (a * e - b * d);
  return [e * by, -b * by, (b * f - c * e) * by, -d * by, a * by, (c * d - a * f) * by];
}

/** Resample a picture linearly; beyond its border, the border pixels are repeated. */
export function warp(picture: Gray, matrix: Matrix, width: number, height: number): Gray {
  const [a, b, c, d, e, f] = inverse(matrix);
  const data = new Uint8Array(width * height);
  const lastX = picture.width - 1;
  const lastY = picture.height - 1;
  const from = picture.data;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const sourceX = a * x + b * y + c;
      const sourceY = d * x + e * y + f;
      const left = Math.floor(sourceX);
      const top = Math.floor(sourceY);
      const right = sourceX - left;
      const down = sourceY - top;
      const x0 = Math.min(Math.max(left, 0), lastX);
      const x1 = Math.min(Math.max(left + 1, 0), lastX);
      const y0 = picture.width * Math.min(Math.max(top, 0), lastY);
      const y1 = picture.width * Math.min(Math.max(top + 1, 0), lastY);
      const upper = from[y0 + x0] + right * (from[y0 + x1] - from[y0 + x0]);
      const lower = from[y1 + x0] + right * (from[y1 + x1] - from[y1 + x0]);
      data[y * width + x] = upper + down * (lower - upper) + 0.5;
    }
  }
  return { width, height, data };
}

/** Halve a picture by the mean of 2x2 pixels, rounded. */
export function halve(picture: Gray): Gray {
  const width = picture.width >> 1;
  const height = picture.height >> 1;
  const data = new Uint8Array(width * height);
  const from = picture.data;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 2 * y * picture.width + 2 * x;
      data[y * width + x] =
        (from[at] + from[at + 1] + from[at + picture.width] + from[at + picture.width + 1] + 2) >> 2;
    }
  }
  return { width, height, data };
}

/** A place beyond the border, mirrored without repeating the border pixel. */
export function mirrored(at: number, size: number): number {
  if (size === 1) return 0;
  let place = at;
  while (place < 0 || place >= size) place = place < 0 ? -place : 2 * size - 2 - place;
  return place;
}

const kernels = new Map<string, Float64Array>();

function gaussian(sigma: number, size: number): Float64Array {
  const key = `${sigma} ${size}`;
  let kernel = kernels.get(key);
  if (!kernel) {
    kernel = new Float64Array(size).map((_, at) => Math.exp(-((at - (size - 1) / 2) ** 2) / (2 * sigma * sigma)));
    const sum = kernel.reduce((one, other) => one + other);
    kernel = kernel.map((value) => value / sum);
    kernels.set(key, kernel);
  }
  return kernel;
}

/**
 * Blur with a Gaussian; OpenCV takes as many pixels as 3 deviations on each side for bytes, 4 for floats.
 *
 * @param rounded Whether to round to whole gray levels.
 */
export function blur(picture: Gray, sigma: number, rounded: boolean): Float32Array {
  const size = Math.round(sigma * (rounded ? 3 : 4) * 2 + 1) | 1;
  const kernel = gaussian(sigma, size);
  const half = size >> 1;
  const { width, height, data } = picture;
  const rows = new Float32Array(width * height);
  for (let x = 0; x < width; x++) {
    for (let n = 0; n < size; n++) {
      const from = mirrored(x + n - half, width);
      for (let y = 0; y < height; y++) rows[y * width + x] += kernel[n] * data[y * width + from];
    }
  }
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let n = 0; n < size; n++) {
      const from = width * mirrored(y + n - half, height);
      for (let x = 0; x < width; x++) out[y * width + x] += kernel[n] * rows[from + x];
    }
  }
  if (rounded) for (let at = 0; at < out.length; at++) out[at] = Math.floor(out[at] + 0.5);
  return out;
}

/** Apply a 3x3 kernel; beyond the border the picture is mirrored. */
export function filter3(
  data: ArrayLike<number>,
  width: number,
  height: number,
  kernel: readonly number[],
): Float32Array {
  const out = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const rows = [mirrored(y - 1, height) * width, y * width, mirrored(y + 1, height) * width];
    for (let x = 0; x < width; x++) {
      const columns = [mirrored(x - 1, width), x, mirrored(x + 1, width)];
      let sum = 0;
      for (let n = 0; n < 9; n++) {
        const weight = kernel[n];
        if (weight) sum += weight * data[rows[(n / 3) | 0] + columns[n % 3]];
      }
      out[y * width + x] = sum;
    }
  }
  return out;
}
