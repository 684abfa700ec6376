import assert from "node:assert/strict";
import { test } from "node:test";
import { LONGEST, lengthOf, Recorder } from "../../src/ui/session/recorder.ts";
import { CLASSES, face, frame, unreadable } from "./fakes.ts";

const names = CLASSES.map((one) => one.name);
const group = (count: number, proba = [0.8, 0.2]) => Array.from({ length: count }, () => face(proba));

function recorded(frames: [number, ReturnType<typeof frame>][], least: number) {
  const recorder = new Recorder(names, least, "a test", 100);
  for (const [at, result] of frames) recorder.add(result, 100 + at);
  recorder.end(100 + frames[frames.length - 1][0]);
  return recorder.session;
}

test("a second keeps the mean over the readable faces of frames with enough of them", () => {
  const faces = [...group(4), face([0.3, 0.7]), face([0, 1], unreadable)];
  const session = recorded(
    [
      [0, frame(faces)],
      [0.5, frame(group(4))],
      [1, frame([])],
    ],
    5,
  );
  const [first] = session.seconds;
  assert.deepEqual([first.second, first.frames, first.faces, first.readable, first.unsure], [0, 2, 6, 5, 0]);
  assert.ok(Math.abs((first.shares?.[0] ?? 0) - 0.7) < 1e-9 && Math.abs((first.shares?.[1] ?? 0) - 0.3) < 1e-9);
});

test("nothing is kept of a group that is too small, not even how many there were", () => {
  const session = recorded(
    [
      [0, frame(group(4))],
      [1.1, frame(group(4))],
    ],
    5,
  );
  for (const one of session.seconds) {
    assert.deepEqual([one.faces, one.readable, one.unsure, one.shares], [null, null, null, null]);
  }
});

test("enough faces of which too few can be read are counted, and no more", () => {
  const faces = [...group(4), face([0, 1], unreadable)];
  const session = recorded(
    [
      [0, frame(faces)],
      [1.1, frame([])],
    ],
    5,
  );
  assert.deepEqual([session.seconds[0].faces, session.seconds[0].readable, session.seconds[0].shares], [5, null, null]);
});

test("a time without frames is a gap with its reason", () => {
  const recorder = new Recorder(names, 1, "a test", 0);
  recorder.add(frame(group(1)), 0.5);
  recorder.interrupt("the camera was off");
  recorder.interrupt("another reason");
  recorder.add(frame(group(1)), 10.5);
  recorder.add(frame(group(1)), 14.5);
  recorder.end(15);
  assert.deepEqual(recorder.session.gaps, [
    { start: 0.5, stop: 10.5, reason: "the camera was off" },
    { start: 10.5, stop: 14.5, reason: "no frames came" },
  ]);
  assert.equal(recorder.session.duration, 15);
});

test("a class that is taught later has no share before", () => {
  const more = [...CLASSES, { name: "bored", color: "#000000", taught: true }];
  const bored = { ...face([0.1, 0.1]), proba: [0.1, 0.1, 0.8], expression: "bored" };
  const session = recorded(
    [
      [0, frame(group(1))],
      [1.1, frame([bored], 0, more)],
      [2.2, frame([])],
    ],
    1,
  );
  assert.deepEqual(session.classes, ["happy", "sad", "bored"]);
  assert.deepEqual(session.since, [0, 0, 1]);
  assert.equal(session.seconds[0].shares?.length, 2);
  assert.equal(session.seconds[1].shares?.length, 3);
});

test("a recording ends by itself after four hours, and takes nothing more", () => {
  const recorder = new Recorder(names, 1, "a test", 0);
  assert.equal(recorder.add(frame(group(1)), 1), true);
  assert.equal(recorder.add(frame(group(1)), LONGEST + 1), false);
  assert.equal(recorder.add(frame(group(1)), LONGEST + 2), false);
  assert.equal(recorder.session.ended, LONGEST + 1);
  assert.equal(lengthOf(recorder.session), LONGEST + 2);
});
