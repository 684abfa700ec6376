/** Numbers and names as text. */

/** The color of an answer that is unsure. */
export const UNSURE = "#8a8f98";

/** A share in [0, 1] as a whole percentage; small shares become <1 %, not 0 %. */
export function percent(share: number): string {
  return share > 0 && share < 0.005 ? "<1 %" : `${Math.round(100 * share)} %`;
}

/** Seconds as 4:05 or 1:02:33. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const rest = String(whole % 60).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A number with its word: "1 face", "2,000 faces". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Black or white, whichever is easier to read on a color. */
export function readableOn(hex: string): string {
  const [r, g, b] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

/** The name of a download: the name of its source without its ending, plus `suffix`. */
export function namedAfter(source: string, suffix: string): string {
  return `${source.replace(/^.*[\\/]/, "").replace(/(.)\.[^.]*$/, "$1") || "moodspace"}${suffix}`;
}

/** One row of a CSV file; texts with commas, quotes or line breaks are quoted. */
export function csvRow(cells: readonly (string | number | boolean | null)[]): string {
  return cells
    .map((cell) => {
      const text = cell === null ? "" : typeof cell === "boolean" ? (cell ? "True" : "False") : String(cell);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(",");
}

/** A number rounded to some digits. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** A finite number rounded to some digits, or null, which JSON has in its place. */
export function finite(value: number, digits: number): number | null {
  return Number.isFinite(value) ? rounded(value, digits) : null;
}
