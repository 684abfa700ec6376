// @vladmandic/human in Node with its WASM backend; see ../__init__.py for what an adapter does.
import { createRequire } from 'node:module';
import path from 'node:path';
import { crops, finish, frames, percentile, words, timed } from './node.mjs';

const { task, inputs, environment } = words();
const require = createRequire(path.join(environment, 'package.json'));
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
wasm.setWasmPaths(path.join(environment, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'), true);
const { default: Human } = require(path.join(environment, 'node_modules/@vladmandic/human/dist/human.node-wasm.js'));
const models = `file://${path.join(environment, 'node_modules/@vladmandic/human/models/')}`;
const human = new Human({
  backend: 'wasm', debug: false, modelBasePath: models, wasmPath: path.join(environment, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'),
  filter: { enabled: false }, cacheSensitivity: 0, skipAllowed: false,
  face: { enabled: true, detector: { maxDetected: 32, rotation: false }, mesh: { enabled: false }, iris: { enabled: false },
    description: { enabled: false }, antispoof: { enabled: false }, liveness: { enabled: false },
    emotion: { enabled: true, minConfidence: 0 } },
  body: { enabled: false }, hand: { enabled: false }, object: { enabled: false }, gesture: { enabled: false },
});
await human.load();
// Its own order of classes, src/face/emotion or src/gear/emotion.
const NAMES = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
const emotion = human.tf.loadGraphModel ? await load() : null;

async function load() {
  const fs = await import('node:fs');
  const folder = path.join(environment, 'node_modules/@vladmandic/human/models');
  const json = JSON.parse(fs.readFileSync(path.join(folder, 'emotion.json'), 'utf8'));
  const data = fs.readFileSync(path.join(folder, 'emotion.bin'));
  const artifacts = { ...json, weightSpecs: json.weightsManifest[0].weights,
    weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) };
  return human.tf.loadGraphModel({ load: async () => artifacts });
}

// As its src/gear/emotion.ts does with the crop of a face, one face at a time.
async function predict(crop) {
  const size = emotion.inputs[0].shape[2];
  const result = human.tf.tidy(() => {
    const image = human.tf.tensor4d(Float32Array.from(crop, (value) => value / 255), [1, 48, 48, 1]);
    const resized = human.tf.image.resizeBilinear(image, [size, size], false);
    return emotion.execute(human.tf.mul(human.tf.sub(resized, 0.5), 2));
  });
  const data = await result.data();
  result.dispose();
  return data;
}

async function detect(frame) {
  const tensor = human.tf.tensor(frame.data, [1, frame.height, frame.width, 3], 'float32');
  const result = await human.detect(tensor);
  tensor.dispose();
  return result.face.length;
}

const faces = crops(inputs);
if (task === 'cold') {
  await predict(faces[0]);
  finish({ version: human.version });
} else if (task === 'faces') {
  const proba = [];
  for (const face of faces) proba.push(...(await predict(face)));
  const ms = {};
  for (const n of [1, 8, 32]) ms[n] = await timed(async () => { for (let i = 0; i < n; i++) await predict(faces[i % faces.length]); }) / n;
  finish({ version: human.version, classes: NAMES, proba, ms });
} else {
  const times = []; const found = [];
  for (const frame of frames(inputs)) {
    const start = performance.now();
    found.push(await detect(frame));
    times.push(performance.now() - start);
  }
  finish({ version: human.version, frame_ms: percentile(times.slice(3)), faces_per_frame: found.reduce((a, b) => a + b, 0) / found.length });
}
