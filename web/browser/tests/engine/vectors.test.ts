/** The parts of the engine compute what Python's do; `tests/web/site/vectors.py` writes what these are. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { appearance, assign, associate } from "../../src/engine/association.ts";
import { cropFace } from "../../src/engine/crops.ts";
import { decode, levelScales, spans } from "../../src/engine/detector.ts";
import { combine, type Parts, readBlend } from "../../src/engine/ensemble.ts";
import { Flow } from "../../src/engine/flow.ts";
import { type Gray, type Rgba, resizeForNetwork, resizeGray, toGray } from "../../src/engine/image.ts";
import { classColors, className } from "../../src/engine/names.ts";
import {
  assess,
  mouthHidden,
  noiseLevel,
  type QualityEffect,
  sharpness,
  temperatureOf,
} from "../../src/engine/quality.ts";
import { nearest } from "../../src/engine/search.ts";
import { unpack } from "../../src/engine/site.ts";
import { LabelSmoother, SmoothedEvidence } from "../../src/engine/smoothing.ts";
import { halfPrecision } from "../../src/engine/taught.ts";
import { Gate, nearestWins, TaughtIndex, usualFaces, whiten } from "../../src/engine/taught-scores.ts";
import type { Point } from "../../src/protocol.ts";

const file = process.env.MOODSPACE_VECTORS;
const vectors = file ? JSON.parse(readFileSync(file, "utf8")) : {};
const skip = file ? false : "needs what Python computes: pytest tests/web/site/test_engine_vectors.py";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text: string) => new Float32Array(bytes(text).buffer);
const points = (rows: number[][]): Point[] => rows.map(([x, y]) => ({ x, y }));
const box = ([x, y, width, height]: number[]) => ({ x, y, width, height });

function picture({ width, height, rgba }: { width: number; height: number; rgba: string }): Rgba {
  return { width, height, data: bytes(rgba) };
}

function close(found: ArrayLike<number>, wanted: ArrayLike<number>, most: number, what = ""): void {
  assert.equal(found.length, wanted.length, what);
  for (let at = 0; at < found.length; at++) {
    const apart = Math.abs(found[at] - wanted[at]);
    assert.ok(apart <= most, `${what} at ${at}: expected ${wanted[at]}, got ${found[at]}`);
  }
}

function meanDifference(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  return Array.from(found, (value, at) => Math.abs(value - wanted[at])).reduce((a, b) => a + b) / found.length;
}

test("pictures become gray and change their size as in OpenCV", { skip }, () => {
  const { frame, gray, resized, network } = vectors.pictures;
  const own = toGray(picture(frame));
  close(own.data, bytes(gray), 0, "gray");
  const whole: Gray = { ...own, data: bytes(gray) };
  for (const { size, data } of resized) close(resizeGray(whole, size[0], size[1]).data, bytes(data), 1, `${size}`);
  const [width, height] = network.size;
  const [wide, high] = network.padded;
  const region = { left: 0, top: 0, right: frame.width, bottom: frame.height };
  const input = resizeForNetwork(picture(frame), region, width, height, wide, high);
  const wanted = bytes(network.data);
  for (let y = 0; y < high; y++) {
    for (let x = 0; x < wide; x++) {
      for (let c = 0; c < 3; c++) {
        const value = x < width && y < height ? wanted[3 * (y * width + x) + c] : 0;
        assert.ok(Math.abs(input[3 * (y * wide + x) + c] - value) <= 1);
      }
    }
  }
});

test("faces are cropped and judged as in Python", { skip }, () => {
  const [{ template, weights, bias }, ...cases] = vectors.crops;
  const frame = picture(vectors.pictures.frame);
  for (const one of cases) {
    const crop = cropFace(frame, points(one.landmarks), points(template));
    close(crop.data, bytes(one.crop), 1, "crop");
    assert.ok(meanDifference(crop.data, bytes(one.crop)) < 0.1);
    const same: Gray = { width: 48, height: 48, data: bytes(one.crop) };
    close([sharpness(same)], [one.sharpness], 2e-3 * Math.max(one.sharpness, 0.05), "sharpness");
    close([mouthHidden(same, { weights, bias })], [one.hidden], 2e-3, "hidden");
    const face = { box: box(one.box), landmarks: points(one.landmarks) };
    const quality = assess(face, one, frame.width, frame.height);
    close([quality.yaw], [one.yaw], 1e-3, "yaw");
    assert.equal(quality.reason, one.reason);
    close(appearance(same), one.appearance, 0.005, "appearance");
  }
});

test("the detector's maps are decoded as in Python", { skip }, () => {
  const { maps, columns, boxes, landmarks, confidence } = vectors.detector;
  const [heat, sizes, offsets, places] = maps.map(floats);
  const found = decode(heat, sizes, offsets, places, columns, 0.5);
  close(
    found.map((one) => one.confidence),
    confidence,
    1e-6,
  );
  found.forEach((one, row) => {
    close([one.box.x, one.box.y, one.box.width, one.box.height], boxes[row], 2e-3, "box");
    close(
      one.landmarks.flatMap(({ x, y }) => [x, y]),
      landmarks[row].flat(),
      2e-3,
      "landmarks",
    );
  });
  for (const [side, wanted] of Object.entries(vectors.detector.spans)) assert.deepEqual(spans(Number(side)), wanted);
  for (const [side, wanted] of Object.entries<number[]>(vectors.detector.levels)) {
    close(levelScales(Number(side), Math.min(640 / Number(side), 3), 40), wanted, 1e-6, side);
  }
});

test("head, votes and blends give Python's probabilities", { skip }, () => {
  const { classes, embeddings, labels, queries, ids, similarities, logits, calibrations, parts, blends } =
    vectors.ensemble;
  const rows = floats(embeddings);
  const columns = Object.fromEntries(
    Object.entries<string>(labels).map(([name, text]) => [name, new Int8Array(bytes(text).buffer)]),
  );
  queries.forEach((query: number[], row: number) => {
    const found = nearest(rows, rows.length / query.length, Float32Array.from(query), 9);
    assert.deepEqual([...found.rows], ids[row]);
    close(found.similarities, similarities[row], 1e-6, "similarity");
    const own: Record<string, Parts> = {};
    for (const name of Object.keys(classes)) {
      own[name] = combine(logits[name][row], found, columns[name], calibrations[name]);
      for (const part of ["proba", "head", "votes"] as const) {
        close(own[name][part], parts[name][part][row], 1e-5, `${name} ${part}`);
      }
    }
    for (const one of blends) {
      const mixed = readBlend(one.values, classes).predict(own);
      for (const part of ["proba", "head", "votes"] as const) {
        close(mixed[part], one.parts[part][row], 1e-5, `blend ${part}`);
      }
    }
  });
  for (const one of blends) {
    const blend = readBlend(one.values, classes);
    const named = Array.from({ length: one.labels.length }, (_, row) =>
      blend.label(Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[row]]))),
    );
    assert.deepEqual(named, one.labels);
  }
});

test("taught classes get Python's odds", { skip }, () => {
  const wanted = vectors.taught;
  const whitening = { mean: floats(wanted.mean), transform: floats(wanted.transform) };
  wanted.rows.forEach((row: number[], at: number) => {
    close(whiten(whitening, Float32Array.from(row)), wanted.whitened[at], 1e-5, "whitened");
  });
  const gate = new Gate(wanted.gate);
  close(
    wanted.similarities.map((value: number) => gate.nearOdds(value, 7)),
    wanted.near,
    1e-6,
    "near",
  );
  close(
    wanted.deviations.map((value: number) => gate.meanOdds(value, 5, 3)),
    wanted.mean_odds,
    1e-6,
    "mean",
  );
  close(
    wanted.deviations.map((value: number) => gate.meanNearness(value, 5, 3)),
    wanted.mean_nearness,
    1e-6,
    "nearness",
  );
  wanted.odds.forEach((odds: number[], row: number) => {
    close(nearestWins(odds, wanted.nearness[row]), wanted.wins[row], 1e-6, "wins");
  });
  const examples = wanted.examples.embeddings.map((row: number[], at: number) => ({
    id: at,
    label: wanted.examples.labels[at],
    embedding: Float32Array.from(row),
  }));
  const known = Float32Array.from(wanted.known);
  const others = usualFaces(known, known.length / whitening.mean.length, whitening);
  const index = new TaughtIndex(examples, ["happy"], others, whitening, gate);
  wanted.asked.forEach((row: number[], at: number) => {
    const scores = index.score(Float32Array.from(row));
    assert.deepEqual(scores.classes, wanted.scored.classes);
    close(scores.odds, wanted.scored.odds[at], 0.01, `odds of face ${at}`);
  });
});

test("faces are followed and matched as in Python", { skip }, () => {
  const { before, landmarks, moves, costs, associate: pairs } = vectors.tracking;
  const marks = points(landmarks);
  for (const { after, move, known } of moves) {
    const flow = new Flow();
    flow.advance(picture(before), [marks]);
    const [found] = flow.advance(picture(after), [marks]);
    assert.equal(found !== null, known);
    if (!found) continue;
    const place = ([a, b, c, d, e, f]: readonly number[], { x, y }: Point) => [a * x + b * y + c, d * x + e * y + f];
    for (const one of marks) close(place(found, one), place(move, one), 0.05, "flow");
  }
  for (const { cost, columns } of costs) assert.deepEqual(assign(cost), columns);
  const tracked = pairs.expected.map((one: number[], row: number) => ({
    box: box(one),
    appearance: Float32Array.from(pairs.known[row]),
    undetected: pairs.undetected[row],
  }));
  const found = pairs.found.map((one: number[], row: number) => ({
    box: box(one),
    appearance: Float32Array.from(pairs.seen[row]),
    whole: pairs.whole[row],
  }));
  assert.deepEqual(associate(tracked, found), pairs.pairs);
});

test("probabilities and evidence are smoothed as in Python", { skip }, () => {
  const { halfLife, unknownBelow, steps } = vectors.smoothing;
  const smoother = new LabelSmoother(halfLife);
  const evidence = new SmoothedEvidence(halfLife);
  for (const { action, classes, proba, now, faces, smoothed, shown, nearest: near, votes } of steps) {
    if (action === "reset") {
      smoother.reset();
      evidence.reset();
    }
    if (action === "fade") {
      smoother.fade(classes, now);
    } else {
      smoother.update(proba, classes, now);
      const neighbors = faces.map(([id, label, similarity, taught]: [number, string, number, boolean]) => ({
        id,
        label,
        similarity,
        taught,
        source: "",
        place: null,
      }));
      evidence.update(neighbors, classes, proba, now);
    }
    close(smoother.proba, smoothed, 1e-5, "smoothed");
    assert.equal(smoother.shown(unknownBelow, now), shown);
    const listed = evidence.nearest(3, classes[0]);
    assert.deepEqual(
      listed.map((one) => one.id),
      near.map(([id]: [number, number]) => id),
    );
    close(
      listed.map((one) => one.similarity),
      near.map(([, similarity]: [number, number]) => similarity),
      1e-5,
      "similarity",
    );
    close(evidence.votes(classes), votes, 1e-5, "votes");
  }
});

test("low quality lowers the confidence as in Python", { skip }, () => {
  if (!vectors.effect) return; // this Python has no such function yet
  const { effects, rows, temperatures, crop, noise } = vectors.effect;
  effects.forEach((effect: QualityEffect, at: number) => {
    const found = rows.map((row: Record<string, number | null>) => {
      const known = Object.entries(row).map(([name, value]) => [name, value ?? Number.NaN]);
      return temperatureOf(effect, Object.fromEntries(known));
    });
    close(found, temperatures[at], 1e-4, "temperature");
  });
  close([noiseLevel({ width: 48, height: 48, data: bytes(crop) })], [noise], 1e-3, "noise");
});

test("classes have Python's names and colors", { skip }, () => {
  const { typed, refused, colors, own, shades } = vectors.names;
  for (const [name, wanted] of Object.entries(typed)) assert.equal(className(name), wanted);
  for (const name of refused) assert.throws(() => className(name), { code: "label" });
  assert.deepEqual(classColors(Object.keys(shades), colors, own), shades);
});

test("packed files are unpacked to the byte, and numbers rounded to 16 bits", { skip }, () => {
  const { content, segments, file: wanted } = vectors.halves;
  assert.deepEqual(unpack(bytes(content), segments), bytes(wanted));
  const { exact, rounded } = vectors.halves;
  assert.deepEqual(Float32Array.from(exact, halfPrecision), Float32Array.from(rounded));
});
