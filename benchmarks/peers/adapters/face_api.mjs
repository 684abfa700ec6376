// @vladmandic/face-api in Node with the WASM backend; see ../__init__.py for what an adapter does.
import { createRequire } from 'node:module';
import path from 'node:path';
import { crops, finish, frames, percentile, words, timed } from './node.mjs';

const { task, inputs, environment } = words();
const require = createRequire(path.join(environment, 'package.json'));
const tf = require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
wasm.setWasmPaths(path.join(environment, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'), true);
const faceapi = require(path.join(environment, 'node_modules/@vladmandic/face-api/dist/face-api.node-wasm.js'));
await faceapi.tf.setBackend('wasm');
await faceapi.tf.ready();
const models = path.join(environment, 'node_modules/@vladmandic/face-api/model');
await faceapi.nets.faceExpressionNet.loadFromDisk(models);
if (task === 'clip') await faceapi.nets.tinyFaceDetector.loadFromDisk(models);
const NAMES = ['neutral', 'happy', 'sad', 'angry', 'fear', 'disgust', 'surprise'];
const OWN = ['neutral', 'happy', 'sad', 'angry', 'fearful', 'disgusted', 'surprised'];

async function predict(crop) {
  const rgb = new Float32Array(48 * 48 * 3);
  for (let i = 0; i < 2304; i++) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = crop[i];
  const tensor = faceapi.tf.tensor3d(rgb, [48, 48, 3]);
  const said = await faceapi.nets.faceExpressionNet.predictExpressions(tensor);
  tensor.dispose();
  return OWN.map((name) => said[name]);
}

const faces = crops(inputs);
const version = faceapi.version;
if (task === 'cold') {
  await predict(faces[0]);
  finish({ version });
} else if (task === 'faces') {
  const proba = [];
  for (const face of faces) proba.push(...(await predict(face)));
  const ms = {};
  for (const n of [1, 8, 32]) ms[n] = await timed(async () => { for (let i = 0; i < n; i++) await predict(faces[i % faces.length]); }) / n;
  finish({ version, classes: NAMES, proba, ms });
} else {
  const options = new faceapi.TinyFaceDetectorOptions({ inputSize: 416 });
  const times = []; const found = [];
  for (const frame of frames(inputs)) {
    const start = performance.now();
    const tensor = faceapi.tf.tensor3d(Float32Array.from(frame.data), [frame.height, frame.width, 3]);
    found.push((await faceapi.detectAllFaces(tensor, options).withFaceExpressions()).length);
    tensor.dispose();
    times.push(performance.now() - start);
  }
  finish({ version, frame_ms: percentile(times.slice(3)), faces_per_frame: found.reduce((a, b) => a + b, 0) / found.length });
}
