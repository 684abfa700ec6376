/** Names of classes, as `moodspace.embeddings.data.labels` checks and normalizes them. */

import { EngineError } from "../protocol.ts";

const LONGEST = 40;

const ALIASES: Readonly<Record<string, string>> = {
  anger: "angry",
  contemptuous: "contempt",
  disgusted: "disgust",
  afraid: "fear",
  fearful: "fear",
  scared: "fear",
  happiness: "happy",
  joy: "happy",
  sadness: "sad",
  surprised: "surprise",
};

const VARIANTS = /[\u180b-\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/gu;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|\u034f|[\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]/u;

/** Return the canonical name of a class that a person or a file names. */
export function className(name: string): string {
  const plain = name
    .replace(VARIANTS, "")
    .normalize("NFC")
    .trim()
    .split(/\s+/u)
    .join(" ")
    .toLowerCase()
    .normalize("NFC");
  if (!plain)
    throw new EngineError("label", "Expected the name of a class, got none; choose a class or type a new one.");
  const length = [...plain].length;
  if (length > LONGEST) {
    throw new EngineError("label", `Expected a name of at most ${LONGEST} characters, got ${length}; shorten it.`);
  }
  if (INVISIBLE.test(name.replace(VARIANTS, ""))) {
    throw new EngineError("label", "Expected a name of visible characters on one line, got others; type it again.");
  }
  return Object.hasOwn(ALIASES, plain) ? ALIASES[plain] : plain;
}

let table: Uint32Array | undefined;

function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, at) => {
    let value = at;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 255];
  return (crc ^ 0xffffffff) >>> 0;
}

/** Return the color of each class, the same wherever it is drawn; see `moodspace.classifier.palette`. */
export function classColors(
  classes: readonly string[],
  known: Readonly<Record<string, string>>,
  own: readonly string[],
): Record<string, string> {
  const colors: Record<string, string> = {};
  let free: string[] = [];
  for (const name of [...new Set(classes)].filter((one) => !Object.hasOwn(known, one)).sort()) {
    if (!free.length) free = [...own];
    const first = crc32(new TextEncoder().encode(name)) % own.length;
    const color = [...own.slice(first), ...own.slice(0, first)].find((one) => free.includes(one))!;
    colors[name] = color;
    free.splice(free.indexOf(color), 1);
  }
  for (const name of classes) if (Object.hasOwn(known, name)) colors[name] = known[name];
  return colors;
}
