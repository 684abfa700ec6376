import assert from "node:assert/strict";
import { test } from "node:test";
import { areaPaths, runsOf, ticks } from "../../src/ui/areas.ts";
import { meanOf, rolling } from "../../src/ui/live/panel.ts";
import { CLASSES, face } from "./fakes.ts";

test("areas lie on each other and leave out bins without values", () => {
  const [lower, upper] = areaPaths([[0.25, 0.75], null, [1, 0]], 2);
  assert.equal(lower, "M0 750L5 750L10 750L10 1000L5 1000L0 1000zM20 0L25 0L30 0L30 1000L25 1000L20 1000z");
  assert.match(upper, /^M0 0L5 0L10 0L10 750L5 750L0 750z/);
});

test("a class that is missing everywhere has no area", () => {
  assert.deepEqual(areaPaths([null, null], 2), ["", ""]);
});

test("runs begin and end where they should", () => {
  assert.deepEqual(runsOf([true, true, false, true]), [
    [0, 2],
    [3, 4],
  ]);
  assert.deepEqual(runsOf([false, false]), []);
});

test("an axis has few labels at round times", () => {
  assert.deepEqual(ticks(10, 6), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(3600, 8), [0, 600, 1200, 1800, 2400, 3000, 3600]);
});

test("the last minute has a bin per half second, the newest last, empty without a readable face", () => {
  const shares = (happy: number) =>
    new Map([
      ["happy", happy],
      ["sad", 1 - happy],
    ]);
  const history = [
    { at: 100.1, shares: shares(1), faces: 1 },
    { at: 100.4, shares: shares(0), faces: 2 },
    { at: 100.6, shares: shares(0), faces: 0 },
    { at: 20, shares: shares(1), faces: 1 },
  ];
  const bins = rolling(history, 100.7, CLASSES);
  assert.equal(bins.length, 120);
  assert.deepEqual(bins.slice(-2), [[0.5, 0.5], null]);
  assert.ok(bins.slice(0, -2).every((bin) => bin === null));
});

test("between two slow frames the last minute shows the first, but not for long", () => {
  const one = (at: number) => ({ at, shares: new Map([["happy", 1]]), faces: 1 });
  const bins = rolling([one(90.1), one(98.1), one(99.6)], 100.1, CLASSES);
  assert.deepEqual(
    bins
      .map((bin) => (bin ? "x" : "-"))
      .join("")
      .slice(-22),
    "-xxxxx-----------xxxxx",
  );
});

test("the group's shares are the mean over its faces", () => {
  assert.deepEqual(meanOf([face([1, 0]), face([0.5, 0.5])]), [0.75, 0.25]);
  assert.deepEqual(meanOf([]), []);
});
