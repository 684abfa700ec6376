// @vladmandic/face-api in Node with the WASM backend; see ../__init__.py for what an adapter does.
import { createRequire } from 'node:module';
import path from 'node:path';
import { environment, run, timesClips } from './node.mjs';

const require = createRequire(path.join(environment, 'package.json'));
require('@tensorflow/tfjs');
const wasm = require('@tensorflow/tfjs-backend-wasm');
wasm.setWasmPaths(path.join(environment, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'), true);
const faceapi = require(path.join(environment, 'node_modules/@vladmandic/face-api/dist/face-api.node-wasm.js'));
await faceapi.tf.setBackend('wasm');
await faceapi.tf.ready();
const models = path.join(environment, 'node_modules/@vladmandic/face-api/model');
await faceapi.nets.faceExpressionNet.loadFromDisk(models);
if (timesClips) await faceapi.nets.tinyFaceDetector.loadFromDisk(models);
// Its own names, and FER2013's for them.
const NAMES = {
  neutral: 'neutral', happy: 'happy', sad: 'sad', angry: 'angry', fearful: 'fear', disgusted: 'disgust', surprised: 'surprise',
};

function color(crop) {
  const rgb = new Float32Array(48 * 48 * 3);
  for (let i = 0; i < 2304; i++) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = crop[i];
  return faceapi.tf.tensor3d(rgb, [48, 48, 3]);
}

async function predict(crops) {
  const tensors = crops.map(color);
  const said = await faceapi.nets.faceExpressionNet.predictExpressions(tensors);
  for (const tensor of tensors) tensor.dispose();
  return [said].flat().flatMap((one) => Object.keys(NAMES).map((name) => one[name]));
}

const options = new faceapi.TinyFaceDetectorOptions({ inputSize: 416 });

async function detect(frame) {
  const tensor = faceapi.tf.tensor3d(new Float32Array(frame.data), [frame.height, frame.width, 3]);
  const found = await faceapi.detectAllFaces(tensor, options).withFaceExpressions();
  tensor.dispose();
  return found.length;
}

await run({ predict, detect, classes: Object.values(NAMES), version: faceapi.version });
