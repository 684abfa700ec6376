import assert from "node:assert/strict";
import { test } from "node:test";
import { asCsv, asJson, faceDocuments } from "../../src/ui/files/documents.ts";
import { meanShares } from "../../src/ui/files/timeline.ts";
import { clock, csvRow, namedAfter, percent } from "../../src/ui/format.ts";
import { changes } from "../../src/ui/session/changes.ts";
import { sessionCsv, sessionJson } from "../../src/ui/session/documents.ts";
import type { Session } from "../../src/ui/session/recorder.ts";
import { face, frame, unreadable } from "./fakes.ts";

test("a face's document has the fields of predict --json", () => {
  const [one] = faceDocuments(frame([face([0.7, 0.3])]));
  assert.deepEqual(Object.keys(one), [
    "xywh",
    "expression",
    "confidence",
    "probabilities",
    "unknown",
    "neighbors",
    "quality",
  ]);
  assert.deepEqual(one.xywh, [10, 20, 30, 40]);
  assert.deepEqual(one.probabilities, { happy: 0.7, sad: 0.3 });
  assert.equal(one.neighbors[0].similarity, 0.987654);
  assert.equal(one.quality.reason, null);
});

test("an unsure face's document names the most probable class, as Python does", () => {
  const [one] = faceDocuments(frame([face([0.4, 0.6], { ...unreadable, unknown: true })]));
  assert.deepEqual([one.expression, one.confidence, one.unknown, one.quality.reason], ["sad", 0.6, true, "blurred"]);
});

test("the table has a row per face, numbered in each picture and frame, and quotes what needs it", () => {
  const faces = faceDocuments(frame([face([0.7, 0.3]), face([0.2, 0.8])]));
  const [head, ...rows] = asCsv([
    { source: 'a "b".jpg', faces },
    { source: "clip.mp4", frames: [{ time: 0.1, faces: [faces[1]] }] },
  ])
    .trimEnd()
    .split("\n");
  assert.equal(
    head,
    "source,time,face,left,top,width,height,expression,confidence,unknown,reason,happy,sad,neighbor,similarity",
  );
  assert.equal(rows[0], '"a ""b"".jpg",,1,10,20,30,40,happy,0.7,False,,0.7,0.3,happy,0.987654');
  assert.deepEqual(
    rows.map((row) => row.split(",").slice(1, 3)),
    [
      ["", "1"],
      ["", "2"],
      ["0.1", "1"],
    ],
  );
});

test("JSON has one document a line", () => {
  assert.equal(
    asJson([
      { source: "a.jpg", faces: [] },
      { source: "b.jpg", faces: [] },
    ]).split("\n").length,
    3,
  );
});

test("a video's shares are means over its faces, weighted by how long a frame lasts", () => {
  const [happy, sad] = faceDocuments(frame([face([1, 0]), face([0, 1])]));
  const frames = [
    { time: 0, faces: [happy] },
    { time: 1, faces: [happy, sad] },
    { time: 3, faces: [] },
  ];
  assert.deepEqual(meanShares(frames, 6, ["happy", "sad"]), [[2 / 3, 1 / 3], [0.5, 0.5], null]);
});

test("numbers and names are written as the server app writes them", () => {
  assert.deepEqual([0, 0.001, 0.004, 0.005, 0.5, 1].map(percent), ["0 %", "<1 %", "<1 %", "1 %", "50 %", "100 %"]);
  assert.deepEqual([0, 65, 3753].map(clock), ["0:00", "1:05", "1:02:33"]);
  assert.deepEqual(
    ["a/b.jpg", "C:\\x\\y.png", ".jpg", "noname", ""].map((name) => namedAfter(name, ".csv")),
    ["b.csv", "y.csv", ".jpg.csv", "noname.csv", "moodspace.csv"],
  );
  assert.equal(csvRow(["a\nb", null, 1, false]), '"a\nb",,1,False');
});

/** Ten minutes of seconds whose shares `of` gives. */
function session(of: (second: number) => number[] | null): Session {
  const seconds = Array.from({ length: 600 }, (_, second) => {
    const shares = of(second);
    const count = shares ? 6 : null;
    return {
      second,
      wall: 1000 + second,
      frames: 10,
      faces: count,
      readable: count,
      unsure: shares ? 1 : null,
      shares,
    };
  });
  const classes = ["happy", "sad"];
  return {
    source: "a test",
    began: 1000,
    ended: 1600,
    duration: 600,
    minGroup: 5,
    classes,
    since: [0, 0],
    seconds,
    gaps: [],
  };
}

test("a step is one moment of change, where it begins; a steady session has none", () => {
  const found = changes(session((second) => (second < 300 ? [0.2, 0.8] : [0.7, 0.3])));
  assert.equal(found.length, 1);
  assert.equal(found[0].second, 300);
  assert.ok(Math.abs(found[0].size - 0.5) < 1e-9);
  assert.deepEqual(changes(session(() => [0.5, 0.5])), []);
  assert.deepEqual(changes(session(() => null)), []);
});

test("a session's files say nothing of the seconds that were withheld", () => {
  const one = session((second) => (second < 2 ? [0.25, 0.75] : null));
  const document = JSON.parse(sessionJson(one));
  assert.deepEqual(document.seconds[0].shares, { happy: 0.25, sad: 0.75 });
  assert.deepEqual([document.seconds[2].faces, document.seconds[2].shares], [null, null]);
  assert.equal(document.began, "1970-01-01T00:16:40.000+00:00");
  const [head, first, , third] = sessionCsv(one).split("\r\n");
  assert.equal(head, "second,time,frames,faces,readable,unsure,withheld,share_happy,share_sad");
  assert.equal(first, "0,1970-01-01T00:16:40.000+00:00,10,6,6,1,,0.25,0.75");
  assert.equal(third, "2,1970-01-01T00:16:42.000+00:00,10,,,,fewer than 5 faces,,");
});
