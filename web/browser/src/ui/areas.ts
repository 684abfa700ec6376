/** Stacked areas over time: the last minute live, a video, a session. */

const HEIGHT = 1000;
const STEP = 10;
const SVG = "http://www.w3.org/2000/svg";
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

/** An area: its color, or the class that a style gives a color. */
export interface Fill {
  color?: string;
  class?: string;
}

/**
 * Draw stacked areas, with gaps where values are missing.
 *
 * @param values For each bin of time the heights of the areas, null where there are none.
 * @param top Height of the drawing in the unit of the values, > 0.
 */
export function stackedAreas(
  values: readonly (readonly number[] | null)[],
  fills: readonly Fill[],
  top = 1,
): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${Math.max(1, values.length) * STEP} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  areaPaths(values, fills.length, top).forEach((shape, at) => {
    if (!shape) return;
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    const { color, class: name } = fills[at];
    if (color) path.setAttribute("fill", color);
    if (name) path.setAttribute("class", name);
    svg.append(path);
  });
  return svg;
}

/** The outline of each of `count` areas as an SVG path, "" for one that is missing everywhere. */
export function areaPaths(values: readonly (readonly number[] | null)[], count: number, top = 1): string[] {
  const edges = values.map((row) => {
    if (!row) return null;
    let sum = 0;
    const heights = row.slice(0, count).map((value) => {
      sum += value;
      return Math.round(HEIGHT * (1 - sum / top));
    });
    return [HEIGHT, ...heights];
  });
  const runs = runsOf(edges.map((row) => row !== null));
  return Array.from({ length: count }, (_, area) =>
    runs.map(([start, stop]) => band(edges.slice(start, stop) as number[][], area, start)).join(""),
  );
}

/** One area over the bins from `start`, with its corners at the middle of each bin. */
function band(edges: readonly number[][], area: number, start: number): string {
  const at = (row: number) => (start + row) * STEP + STEP / 2;
  const last = edges.length - 1;
  const [left, right] = [start * STEP, (start + edges.length) * STEP];
  const upper = edges.map((edge, row) => `${at(row)} ${edge[area + 1]}`);
  const lower = edges.map((edge, row) => `${at(row)} ${edge[area]}`).reverse();
  const outline = [
    `${left} ${edges[0][area + 1]}`,
    ...upper,
    `${right} ${edges[last][area + 1]}`,
    `${right} ${edges[last][area]}`,
    ...lower,
    `${left} ${edges[0][area]}`,
  ];
  return `M${outline.join("L")}z`;
}

/** Start and stop of each run of true. */
export function runsOf(chosen: readonly boolean[]): [number, number][] {
  const runs: [number, number][] = [];
  chosen.forEach((one, at) => {
    if (!one) return;
    if (at && chosen[at - 1]) runs[runs.length - 1][1] = at + 1;
    else runs.push([at, at + 1]);
  });
  return runs;
}

/** Times to label on an axis of `seconds`, at most about `most`. */
export function ticks(seconds: number, most: number): number[] {
  const step = STEPS.find((one) => seconds / one <= most) ?? STEPS[STEPS.length - 1];
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, at) => at * step);
}
