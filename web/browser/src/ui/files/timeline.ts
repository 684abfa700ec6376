/** The expressions in a video over time, as a stacked chart of their mean probabilities. */

import { stackedAreas, ticks } from "../areas.ts";
import { h, mark } from "../dom.ts";
import { clock, percent } from "../format.ts";
import type { FaceDocument } from "./documents.ts";

// More bins are too narrow to tell apart; more labels overlap on a phone.
const MOST_BINS = 200;
const MOST_LABELS = 6;
// Times are rounded: a frame that overlaps a bin by less than this share of either does not count.
const MIN_OVERLAP = 0.1;
// Expressions that never reach this share are not in the legend.
const VISIBLE = 0.02;

/** The mean probabilities over the faces in each bin of time; null for a bin without a face. */
export function meanShares(
  frames: readonly { time: number; faces: readonly FaceDocument[] }[],
  seconds: number,
  classes: readonly string[],
): (number[] | null)[] {
  const bins = Math.max(1, Math.min(MOST_BINS, frames.length));
  const width = seconds / bins;
  const sums = Array.from({ length: bins }, () => classes.map(() => 0));
  const weights = new Array<number>(bins).fill(0);
  frames.forEach(({ faces }, at) => {
    const start = at ? Math.min(frames[at].time, seconds) : 0;
    const end = at + 1 < frames.length ? Math.min(frames[at + 1].time, seconds) : seconds;
    if (!faces.length || end <= start) return;
    const last = Math.min(Math.floor(end / width), bins - 1);
    for (let bin = Math.min(Math.floor(start / width), bins - 1); bin <= last; bin++) {
      const overlap = Math.min(end, (bin + 1) * width) - Math.max(start, bin * width);
      if (overlap <= MIN_OVERLAP * Math.min(end - start, width)) continue;
      for (const face of faces) {
        classes.forEach((name, column) => {
          sums[bin][column] += overlap * (face.probabilities[name] ?? 0);
        });
      }
      weights[bin] += overlap * faces.length;
    }
  });
  return sums.map((row, bin) => (weights[bin] ? row.map((sum) => sum / weights[bin]) : null));
}

/** The chart with its legend. */
export function timeline(
  shares: readonly (readonly number[] | null)[],
  seconds: number,
  classes: readonly { name: string; color: string }[],
): HTMLElement {
  const seen = classes
    .map((one, at) => {
      const values = shares.filter((row) => row !== null).map((row) => row[at]);
      return { ...one, most: Math.max(0, ...values), mean: values.reduce((a, b) => a + b, 0) / (values.length || 1) };
    })
    .filter((one) => one.most >= VISIBLE);
  const summary = seen.map(({ name, mean }) => `${name} ${Math.round(100 * mean)} %`).join(", ") || "no face";
  return h(
    "figure",
    { class: "timeline" },
    h(
      "div",
      { class: "drawing", role: "img", "aria-label": `On average: ${summary}` },
      stackedAreas(shares, classes) as unknown as Node,
    ),
    timesAxis(seconds, MOST_LABELS),
    h(
      "ul",
      { class: "legend" },
      ...seen.map(({ name, color, mean }) =>
        h("li", {}, mark(name, color), " ", h("span", { class: "faint", text: percent(mean) })),
      ),
    ),
  );
}

/** The labels below a drawing of `seconds`; `end` is where the drawing ends, if later. */
export function timesAxis(seconds: number, most: number, end = seconds): HTMLElement {
  return h(
    "div",
    { class: "times", "aria-hidden": "true" },
    ...ticks(seconds, most).map((at) =>
      h("span", { class: at > 0.95 * end ? "last" : null, "--at": `${(100 * at) / end}%`, text: clock(at) }),
    ),
  );
}
