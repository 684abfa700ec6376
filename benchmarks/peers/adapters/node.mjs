// What the adapters in Node share: reading the inputs, timing, and the answer on stdout. See common.py.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SIZES = [1, 8, 32];
const WARM_UP = 3;
const [task, inputs] = process.argv.slice(2);
export const environment = process.argv[4];
export const timesClips = task === 'time';

// TensorFlow.js fetches models and WASM, and Node's fetch reads no files.
const networkFetch = globalThis.fetch;
globalThis.fetch = async (address, ...rest) => {
  const text = String(address?.url ?? address);
  if (!text.startsWith('file://') && !text.startsWith('/')) return networkFetch(address, ...rest);
  const file = text.startsWith('file://') ? fileURLToPath(text) : text;
  const type = file.endsWith('.wasm') ? 'application/wasm' : file.endsWith('.json') ? 'application/json' : 'application/octet-stream';
  return new Response(fs.readFileSync(file), { headers: { 'content-type': type } });
};

function crops() {
  const data = fs.readFileSync(path.join(inputs, 'crops.u8'));
  return Array.from({ length: data.length / 2304 }, (_, i) => data.subarray(2304 * i, 2304 * (i + 1)));
}

const clips = () => JSON.parse(fs.readFileSync(path.join(inputs, 'clips.json'), 'utf8'));

// The frames of a clip, read one at a time, so that memory is the package's.
function* frames(number) {
  const { width, height, frames: count } = clips()[number];
  const file = fs.openSync(path.join(inputs, `clip${number}.rgb`), 'r');
  for (let i = 0; i < count; i++) {
    const data = new Uint8Array(width * height * 3);
    fs.readSync(file, data, 0, data.length, i * data.length);
    yield { data, width, height };
  }
  fs.closeSync(file);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

async function milliseconds(call) {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

// Median milliseconds of a call, of at least five calls and one second.
async function timed(call) {
  for (let i = 0; i < 2; i++) await call();
  const times = [];
  const end = performance.now() + 1000;
  while (times.length < 5 || performance.now() < end) times.push(await milliseconds(call));
  return median(times);
}

// Milliseconds of each frame after the warm-up, and the mean number of faces that were found.
async function frameTimes(detect, clip) {
  const times = [];
  const found = [];
  for (const frame of clip) times.push(await milliseconds(async () => found.push(await detect(frame))));
  return [times.length > WARM_UP ? times.slice(WARM_UP) : times, mean(found)];
}

async function clipTimes(detect, live, number) {
  const [times, faces] = await frameTimes(detect, frames(number));
  const one = { frame_ms: median(times), faces };
  if (!live) return one;
  // The mean, because the frames of a session cost unlike amounts: not every frame is searched for faces.
  const [liveTimes, liveFaces] = await frameTimes(live, frames(number));
  return { ...one, live_ms: mean(liveTimes), live_faces: liveFaces };
}

// The largest resident memory of this process so far.
function peakMb() {
  try {
    return Number(/VmHWM:\s*(\d+) kB/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024 / 1e6;
  } catch {
    return process.resourceUsage().maxRSS / 1e3;
  }
}

/**
 * Do the task that the command line names and print the answer.
 * `predict` takes a list of 48x48 gray crops and returns the probabilities of all, one after the other; `detect` and
 * `live` take a frame and return the number of its faces; `classes` are the columns of `predict` in FER2013's names.
 */
export async function run({ predict, detect, live, classes, version }) {
  const faces = crops();
  const answer = { version };
  if (task === 'cold') {
    await predict(faces.slice(0, 1));
  } else if (task === 'label') {
    answer.classes = classes;
    answer.proba = [];
    for (let at = 0; at < faces.length; at += 32) answer.proba.push(...(await predict(faces.slice(at, at + 32))));
  } else {
    const many = Array.from({ length: Math.max(...SIZES) }, (_, i) => faces[i % faces.length]);
    answer.ms = {};
    for (const n of SIZES) answer.ms[n] = await timed(() => predict(many.slice(0, n))) / n;
    answer.clips = {};
    for (const [number, { name }] of clips().entries()) answer.clips[name] = await clipTimes(detect, live, number);
  }
  answer.peak_mb = peakMb();
  process.stdout.write(`\nANSWER ${JSON.stringify(answer)}\n`, () => process.exit(0));
}
