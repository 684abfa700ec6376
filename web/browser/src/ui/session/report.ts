/** The report of a session, in the words and the look of `moodspace report`. */

import { type Fill, runsOf, stackedAreas } from "../areas.ts";
import { h, mark, save } from "../dom.ts";
import { timesAxis } from "../files/timeline.ts";
import { clock, percent } from "../format.ts";
import { type Change, changes, DEVIATIONS, MIN_DIFFERENCE, median, WINDOW } from "./changes.ts";
import { lengthOf, type Session, sharesOf } from "./recorder.ts";

/** Return the color of a class. */
export type Shade = (name: string) => string;

/** What was recorded in a bin of time, or why nothing was; the numbers are those of `report.css`. */
enum Kept {
  Shares = 0,
  TooFewReadable = 1,
  TooFew = 2,
  NoFrames = 3,
}

interface Bin {
  kept: Kept;
  /** Number of recorded seconds. */
  seconds: number;
  /** Means over the recorded seconds; null without any. */
  shares: number[] | null;
  faces: number;
  readable: number;
  unsure: number;
}

const NOTICE =
  "This report shows facial expressions as a network classified them, not what anybody felt or meant. The network " +
  "is often wrong, and a smile does not have to mean joy. In the European Union, Article 5(1)(f) of the AI Act " +
  "prohibits inferring the emotions of people at work and in education, except for medical or safety reasons.";
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400];
const MOST_BINS = 600;
const TABLE_WIDTHS = [60, 120, 300, 600, 900, 1800, 3600, 14400];
const MOST_ROWS = 60;
// Minimum change of a share to be listed.
const MIN_CHANGE = 0.03;

/** Key figures, shares over time and moments of change, as the Session page shows them. */
export function overview(session: Session, shade: Shade): HTMLElement {
  const found = changes(session);
  const recorded = session.seconds.some((one) => one.shares);
  return h(
    "div",
    { class: "report" },
    keyFigures(session, found, shade),
    recorded && groupOverTime(session, found, shade),
    recorded && moments(session, found, shade),
  );
}

/** Hand the visitor the whole report as one page that loads nothing. */
export function saveReport(session: Session, shade: Shade): void {
  const found = changes(session);
  const body = h(
    "main",
    { class: "sheet report" },
    h("header", {}, h("h1", { text: "Expressions shown" }), h("p", { class: "faint", text: when(session) })),
    h("p", { class: "card notice", text: NOTICE }),
    keyFigures(session, found, shade),
    groupOverTime(session, found, shade),
    moments(session, found, shade),
    byMinute(session, shade),
    certainty(session),
    notRecorded(session),
  );
  // Written as text: this page's policy would keep a style out of a document made here. The parts are escaped already.
  const head =
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' +
    `<title>Expressions shown</title><style>${pageStyles()}</style>`;
  const html = `<!doctype html>\n<html lang="en"><head>${head}</head><body>${body.outerHTML}</body></html>\n`;
  save("moodspace-session.html", "text/html", html);
}

/** The rules of this page's own style sheets, so that the report looks the same on its own. */
function pageStyles(): string {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules].map((rule) => rule.cssText));
  return rules.join("\n");
}

function keyFigures(session: Session, found: readonly Change[], shade: Shade): HTMLElement {
  const rows = session.seconds.filter((one) => one.shares);
  const length = lengthOf(session);
  const figures: [string, string | Node][] = [
    ["duration", clock(length)],
    ["of the time recorded", percent(rows.length / length)],
  ];
  if (rows.length) {
    const means = meanShares(session);
    const best = means.indexOf(Math.max(...means));
    const name = session.classes[best];
    const [readable, unsure] = [sum(rows.map((one) => one.readable ?? 0)), sum(rows.map((one) => one.unsure ?? 0))];
    figures.push(
      ["visible faces (median)", String(Math.round(median(rows.map((one) => one.faces ?? 0))))],
      [`most frequent expression, ${percent(means[best])} on average`, mark(name, shade(name))],
      ["of readable faces unsure", percent(unsure / readable)],
      [found.length === 1 ? "moment of change" : "moments of change", String(found.length)],
    );
  }
  return h(
    "dl",
    { class: "figures" },
    ...figures.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", {}, value))),
  );
}

function groupOverTime(session: Session, found: readonly Change[], shade: Shade): HTMLElement {
  const order = shownOrder(session);
  const means = meanShares(session);
  const width = drawnWidth(session);
  const bins = binned(session, width);
  const values = bins.map((bin) => bin.shares && order.map((at) => bin.shares?.[at] ?? 0));
  const fills = order.map((at) => ({ color: shade(session.classes[at]) }));
  const words = "Shares of the group's expressions over time; the table below lists them as numbers.";
  const resolution = width === 1 ? "" : `Each point is the mean over ${width} seconds. `;
  return h(
    "section",
    {},
    h("h2", { text: "Group expressions over time" }),
    h("p", { class: "faint", text: `Mean over all readable faces, per second. ${resolution}Hatched: not recorded.` }),
    h(
      "ul",
      { class: "legend" },
      ...[...order].reverse().map((at) => {
        const name = session.classes[at];
        return h("li", {}, mark(name, shade(name)), " ", h("span", { class: "faint", text: percent(means[at]) }));
      }),
    ),
    plot(session, bins, width, values, fills, 1, ["0 %", "50 %", "100 %"], words, found),
  );
}

function moments(session: Session, found: readonly Change[], shade: Shade): HTMLElement {
  const rule =
    `Rule: the mean shares of the ${WINDOW} seconds after a moment of change differ from those of the ${WINDOW} ` +
    `seconds before by at least ${100 * MIN_DIFFERENCE} points in total, by more than at any other second within ` +
    `${WINDOW} seconds, and by more than the session's median plus ${DEVIATIONS} median absolute deviations. The rule ` +
    "shows when something changed, not why.";
  const rows = found.map((change, at) =>
    h(
      "tr",
      {},
      h("td", { class: "number", text: at + 1 }),
      h("td", { class: "number", text: clock(change.second) }),
      h("td", {}, ...changedShares(session, change, shade)),
    ),
  );
  const head = h(
    "tr",
    {},
    h("th", { class: "number", text: "No." }),
    h("th", { class: "number", text: "Time" }),
    h("th", { text: "Mean shares before and after" }),
  );
  return h(
    "section",
    {},
    h("h2", { text: "Moments of change" }),
    found.length ? h("table", { class: "narrow" }, head, ...rows) : h("p", { text: "None." }),
    h("p", { class: "faint small", text: rule }),
  );
}

function changedShares(session: Session, change: Change, shade: Shade): (Node | string)[] {
  const by = change.after.map((share, at) => share - change.before[at]);
  const listed = by
    .map((_, at) => at)
    .filter((at) => Math.abs(by[at]) >= MIN_CHANGE)
    .sort((one, other) => Math.abs(by[other]) - Math.abs(by[one]))
    .slice(0, 4);
  return listed.flatMap((at, place) => {
    const name = session.classes[at];
    const moved = ` ${percent(change.before[at])} → ${percent(change.after[at])}`;
    return [place ? ", " : "", h("span", { class: "change" }, mark(name, shade(name)), moved)];
  });
}

function byMinute(session: Session, shade: Shade): HTMLElement {
  const width =
    TABLE_WIDTHS.find((one) => lengthOf(session) / one <= MOST_ROWS) ?? TABLE_WIDTHS[TABLE_WIDTHS.length - 1];
  const order = shownOrder(session);
  const head = h(
    "tr",
    {},
    h("th", { text: "From" }),
    h("th", { class: "number", text: "Recorded" }),
    h("th", { class: "number", text: "Faces" }),
    ...order.map((at) => h("th", { class: "number" }, mark(session.classes[at], shade(session.classes[at])))),
  );
  const rows = binned(session, width).map((bin, at) => {
    const from = h("th", { text: clock(at * width) });
    if (!bin.shares)
      return h("tr", {}, from, h("td", { colspan: order.length + 2, class: "faint", text: reason(session, bin.kept) }));
    return h(
      "tr",
      {},
      from,
      h("td", { class: "number", text: `${bin.seconds} s` }),
      h("td", { class: "number", text: bin.faces.toFixed(1) }),
      ...order.map((column) => h("td", { class: "number", text: percent(bin.shares?.[column] ?? 0) })),
    );
  });
  return h(
    "section",
    {},
    h("h2", { text: `By ${width === 60 ? "minute" : `${width / 60} minutes`}` }),
    h("div", { class: "scroll" }, h("table", { class: "dense" }, head, ...rows)),
  );
}

function certainty(session: Session): HTMLElement | null {
  const rows = session.seconds.filter((one) => one.shares);
  if (!rows.length) return null;
  const width = drawnWidth(session);
  const bins = binned(session, width);
  const top = Math.max(1, ...rows.map((one) => one.faces ?? 0));
  const values = bins.map((bin) => bin.shares && [bin.readable - bin.unsure, bin.unsure, bin.faces - bin.readable]);
  const [faces, readable, unsure] = (["faces", "readable", "unsure"] as const).map((key) =>
    sum(rows.map((one) => one[key] ?? 0)),
  );
  const shares = [(readable - unsure) / faces, unsure / faces, 1 - readable / faces];
  const names = ["sure", "unsure", "unreadable"];
  const words = ["confident", "unsure: no clear expression", "unreadable: too small, blurred or turned away"];
  const label = "Number of faces over time: confident, unsure and unreadable.";
  return h(
    "section",
    { class: "certainty" },
    h("h2", { text: "Number of faces and confidence" }),
    h("p", { class: "faint", text: "The shares include unsure faces, but not unreadable ones." }),
    h(
      "ul",
      { class: "legend" },
      ...names.map((name, at) =>
        h(
          "li",
          {},
          h("i", { class: `key ${name}` }),
          words[at],
          " ",
          h("span", { class: "faint", text: percent(shares[at]) }),
        ),
      ),
    ),
    plot(
      session,
      bins,
      width,
      values,
      names.map((name) => ({ class: name })),
      top,
      ["0", String(top)],
      label,
      [],
    ),
  );
}

function notRecorded(session: Session): HTMLElement {
  const length = lengthOf(session);
  const counts = new Map<Kept, number>([
    [Kept.TooFew, session.seconds.filter((one) => one.faces === null).length],
    [Kept.TooFewReadable, session.seconds.filter((one) => !one.shares && one.faces !== null).length],
    [Kept.NoFrames, length - session.seconds.length],
  ]);
  const rows = [...counts]
    .filter(([, seconds]) => seconds >= 1)
    .map(([kept, seconds]) => {
      const words = reason(session, kept);
      return h(
        "tr",
        {},
        h("td", { text: `${words[0].toUpperCase()}${words.slice(1)}` }),
        h("td", { class: "number", text: clock(seconds) }),
        h("td", { class: "number", text: percent(seconds / length) }),
      );
    });
  const gaps = session.gaps.map(({ start, stop, reason: why }) =>
    h("li", { text: `${clock(start)} to ${clock(stop)}: ${why}` }),
  );
  return h(
    "section",
    {},
    h("h2", { text: "Not recorded" }),
    rows.length
      ? h(
          "table",
          { class: "narrow" },
          h(
            "tr",
            {},
            h("th", { text: "Reason" }),
            h("th", { class: "number", text: "Time" }),
            h("th", { class: "number", text: "Share" }),
          ),
          ...rows,
        )
      : h("p", { text: "The group was recorded all the time." }),
    gaps.length > 0 && h("h3", { text: "Interruptions" }),
    gaps.length > 0 && h("ul", {}, ...gaps),
    h("p", { text: "Single faces were not recorded. No images, face crops or embeddings were stored." }),
  );
}

/** A drawing with its axes, hatched where nothing was recorded, and a numbered line at each moment of change. */
function plot(
  session: Session,
  bins: readonly Bin[],
  width: number,
  values: readonly (readonly number[] | null)[],
  fills: readonly Fill[],
  top: number,
  levels: readonly string[],
  label: string,
  found: readonly Change[],
): HTMLElement {
  const place = (bin: number) => `${(100 * bin) / bins.length}%`;
  const voids = [Kept.TooFewReadable, Kept.TooFew, Kept.NoFrames].flatMap((kept) =>
    runsOf(bins.map((bin) => bin.kept === kept)).map(([start, stop]) =>
      h("i", {
        class: `void kind${kept}`,
        "--at": place(start),
        "--wide": place(stop - start),
        title: `${clock(start * width)} to ${clock(stop * width)}: ${reason(session, kept)}`,
      }),
    ),
  );
  const lines = found.map((change, at) =>
    h("i", { class: "moment", "--at": place(change.second / width) }, h("b", { text: at + 1 })),
  );
  return h(
    "figure",
    { class: "plot" },
    h(
      "div",
      { class: "levels", "aria-hidden": "true" },
      ...levels.map((level, at) => h("span", { "--up": `${(100 * at) / (levels.length - 1)}%`, text: level })),
    ),
    h(
      "div",
      { class: "drawing", role: "img", "aria-label": label },
      stackedAreas(values, fills, top) as unknown as Node,
      ...voids,
      ...lines,
    ),
    timesAxis(lengthOf(session), 8, bins.length * width),
  );
}

/** Average a session over bins of `width` seconds. */
function binned(session: Session, width: number): Bin[] {
  const bins = Array.from({ length: Math.ceil(lengthOf(session) / width) }, (): Bin => {
    return { kept: Kept.NoFrames, seconds: 0, shares: null, faces: 0, readable: 0, unsure: 0 };
  });
  for (const one of session.seconds) {
    const bin = bins[Math.floor(one.second / width)];
    bin.kept = Math.min(bin.kept, one.shares ? Kept.Shares : one.faces === null ? Kept.TooFew : Kept.TooFewReadable);
    if (!one.shares) continue;
    bin.shares ??= session.classes.map(() => 0);
    sharesOf(one, session).forEach((share, at) => {
      if (bin.shares) bin.shares[at] += share;
    });
    bin.seconds += 1;
    bin.faces += one.faces ?? 0;
    bin.readable += one.readable ?? 0;
    bin.unsure += one.unsure ?? 0;
  }
  for (const bin of bins) {
    if (!bin.shares) continue;
    bin.shares = bin.shares.map((share) => share / bin.seconds);
    for (const key of ["faces", "readable", "unsure"] as const) bin[key] /= bin.seconds;
  }
  return bins;
}

function reason(session: Session, kept: Kept): string {
  const n = session.minGroup;
  if (kept === Kept.TooFew) return `fewer than ${n} faces visible`;
  if (kept === Kept.TooFewReadable) return `${n} or more faces visible, fewer than ${n} readable`;
  return "no frames received";
}

/** The mean share of each class over the recorded seconds. */
function meanShares(session: Session): number[] {
  const rows = session.seconds.filter((one) => one.shares).map((one) => sharesOf(one, session));
  return session.classes.map((_, at) => sum(rows.map((row) => row[at])) / (rows.length || 1));
}

/** The columns of the classes, largest share first. */
function shownOrder(session: Session): number[] {
  const means = meanShares(session);
  return means.map((_, at) => at).sort((one, other) => means[other] - means[one] || one - other);
}

function drawnWidth(session: Session): number {
  return WIDTHS.find((one) => lengthOf(session) / one <= MOST_BINS) ?? WIDTHS[WIDTHS.length - 1];
}

function when(session: Session): string {
  const start = new Date(1000 * session.began);
  const day = start.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  const time = (seconds: number) => new Date(1000 * seconds).toLocaleTimeString("en-GB");
  return `${session.source} · ${day}, ${time(session.began)}${session.ended === null ? "" : ` to ${time(session.ended)}`}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}
