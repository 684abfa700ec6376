// What the adapters in Node share: reading the inputs, timing, and the answer on stdout.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// TensorFlow.js fetches models and WASM, and Node's fetch reads no files.
const networkFetch = globalThis.fetch;
globalThis.fetch = async (address, ...rest) => {
  const text = String(address?.url ?? address);
  if (!text.startsWith('file://') && !text.startsWith('/')) return networkFetch(address, ...rest);
  const file = text.startsWith('file://') ? fileURLToPath(text) : text;
  const type = file.endsWith('.wasm') ? 'application/wasm' : file.endsWith('.json') ? 'application/json' : 'application/octet-stream';
  return new Response(fs.readFileSync(file), { headers: { 'content-type': type } });
};

export function words() {
  const [task, inputs, environment] = process.argv.slice(2);
  return { task, inputs, environment };
}

export function crops(inputs) {
  const data = fs.readFileSync(path.join(inputs, 'crops.u8'));
  return Array.from({ length: data.length / 2304 }, (_, i) => data.subarray(2304 * i, 2304 * (i + 1)));
}

export function* frames(inputs) {
  const { width, height, frames: count } = JSON.parse(fs.readFileSync(path.join(inputs, 'clip.json'), 'utf8'));
  const file = fs.openSync(path.join(inputs, 'clip.rgb'), 'r');
  for (let i = 0; i < count; i++) {
    const data = new Uint8Array(width * height * 3);
    fs.readSync(file, data, 0, data.length, i * data.length);
    yield { data, width, height };
  }
  fs.closeSync(file);
}

export function percentile(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

// Milliseconds of a call, the median of at least nine calls or two seconds.
export async function timed(call) {
  const times = [];
  const end = performance.now() + 2000;
  for (let i = 0; i < 3; i++) await call();
  while (times.length < 9 || (performance.now() < end && times.length < 200)) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
    if (performance.now() > end + 8000) break;
  }
  return percentile(times);
}

export function finish(answer) {
  process.stdout.write(`\nANSWER ${JSON.stringify(answer)}\n`, () => process.exit(0));
}
