// @vladmandic/human in Node with its WASM backend; see ../__init__.py for what an adapter does.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { environment, run } from './node.mjs';

const require = createRequire(path.join(environment, 'package.json'));
require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
const wasmPath = path.join(environment, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/');
wasm.setWasmPaths(wasmPath, true);
const { default: Human } = require(path.join(environment, 'node_modules/@vladmandic/human/dist/human.node-wasm.js'));
const models = path.join(environment, 'node_modules/@vladmandic/human/models/');
const human = new Human({
  backend: 'wasm', debug: false, modelBasePath: `file://${models}`, wasmPath,
  filter: { enabled: false },
  face: { enabled: true, detector: { maxDetected: 32, rotation: false }, mesh: { enabled: false }, iris: { enabled: false },
    description: { enabled: false }, antispoof: { enabled: false }, liveness: { enabled: false },
    emotion: { enabled: true, minConfidence: 0 } },
  body: { enabled: false }, hand: { enabled: false }, object: { enabled: false }, gesture: { enabled: false },
});
await human.load();
// Its own order of classes, src/gear/emotion.ts.
const NAMES = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
const json = JSON.parse(fs.readFileSync(path.join(models, 'emotion.json'), 'utf8'));
const data = fs.readFileSync(path.join(models, 'emotion.bin'));
const emotion = await human.tf.loadGraphModel({ load: async () => ({
  ...json, weightSpecs: json.weightsManifest[0].weights,
  weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
}) });
const size = emotion.inputs[0].shape[2];

// As its src/gear/emotion.ts does with the crop of a face, one face at a time.
async function label(crop) {
  const result = human.tf.tidy(() => {
    const image = human.tf.tensor4d(Float32Array.from(crop, (value) => value / 255), [1, 48, 48, 1]);
    const resized = human.tf.image.resizeBilinear(image, [size, size], false);
    return emotion.execute(human.tf.mul(human.tf.sub(resized, 0.5), 2));
  });
  const said = await result.data();
  result.dispose();
  return said;
}

async function predict(crops) {
  const said = [];
  for (const crop of crops) said.push(...(await label(crop)));
  return said;
}

const DEFAULT_CACHE = human.config.cacheSensitivity;

async function faces(frame, cacheSensitivity) {
  const tensor = human.tf.tensor(frame.data, [1, frame.height, frame.width, 3], 'float32');
  const result = await human.detect(tensor, { cacheSensitivity });
  tensor.dispose();
  return result.face.filter((face) => face.emotion?.length).length;
}

await run({
  predict, detect: (frame) => faces(frame, 0), live: (frame) => faces(frame, DEFAULT_CACHE), classes: NAMES,
  version: human.version,
});
