/** The faces that the visitor taught: add, undo, forget, export and import. */

import type { ExportedFile, Point, TaughtFace } from "../protocol.ts";
import { EngineError } from "../protocol.ts";
import { roundHalfEven } from "./detector.ts";
import { className } from "./names.ts";
import { dot, type Example } from "./taught-scores.ts";

const FORMAT = "moodspace-taught-faces";
const VERSION = 1;
const FIRST_ID = 1_000_000_000;
const MOST_FACES = 2000;
const MOST_UNDO = 100;
const IMPORTED = "import:";
const LENGTH_TOLERANCE = 0.01;
/** Embeddings that differ by less in every number are equal up to rounding to 16 bits. */
const ROUNDING = 1e-3;
const LONGEST_TEXT = 4096;

export interface NewFace {
  label: string;
  embedding: Float32Array;
  source: string;
  /** SHA-256 of its crop; "" if unknown. */
  digest: string;
  added: number;
}

interface Stored extends NewFace, Example {
  place: Point | null;
}

/** What a change added and removed. */
interface Change {
  added: Set<number>;
  removed: Stored[];
}

export class TaughtFaces {
  #faces: Stored[] = [];
  #changes: Change[] = [];
  #next = FIRST_ID;

  constructor(
    readonly fingerprint: string,
    readonly dim: number,
    readonly placeOf: (embedding: Float32Array) => Point | null,
  ) {}

  /** Oldest first. */
  get examples(): readonly Example[] {
    return this.#faces;
  }

  get faces(): TaughtFace[] {
    return this.#faces.map(({ id, label, source, added, place }) => ({ id, label, source, added, place }));
  }

  get canUndo(): boolean {
    return this.#changes.length > 0;
  }

  /** Add faces as one change; return how many were new. A face is taught once under a class. */
  add(faces: readonly NewFace[], undoable = true): number {
    const fresh: NewFace[] = [];
    for (const face of faces) {
      if (![...this.#faces, ...fresh].some((other) => same(face, other))) fresh.push(face);
    }
    const room = MOST_FACES - this.#faces.length;
    if (fresh.length > room) {
      throw new EngineError("full", `Expected room for ${fresh.length} faces, got room for ${room}; forget some.`);
    }
    const stored = fresh.map((face) => ({
      ...face,
      embedding: face.embedding.map(halfPrecision),
      id: this.#next++,
      place: this.placeOf(face.embedding),
    }));
    this.#faces.push(...stored);
    if (undoable && stored.length) this.#note({ added: new Set(stored.map((face) => face.id)), removed: [] });
    return stored.length;
  }

  forget(ids: readonly number[]): void {
    const gone = new Set(ids);
    const removed = this.#faces.filter((face) => gone.has(face.id));
    if (!removed.length) throw new EngineError("gone", "These faces are forgotten already.");
    this.#faces = this.#faces.filter((face) => !gone.has(face.id));
    this.#note({ added: new Set(), removed });
  }

  undo(): void {
    const change = this.#changes.pop();
    if (!change) throw new EngineError("gone", "There is nothing to undo.");
    this.#faces = [...this.#faces.filter((face) => !change.added.has(face.id)), ...change.removed];
    this.#faces.sort((a, b) => a.id - b.id);
  }

  #note(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length > MOST_UNDO) this.#changes.shift();
  }

  export(): ExportedFile {
    const faces = this.#faces.map(({ label, source, added, digest, embedding }) => ({
      label,
      source,
      added,
      digest,
      embedding: Array.from(embedding, (value) => Number(value.toFixed(7))),
    }));
    const document = { format: FORMAT, version: VERSION, encoder: this.fingerprint, dim: this.dim, faces };
    const bytes = new TextEncoder().encode(JSON.stringify(document));
    return { name: "taught.json", type: "application/json", bytes };
  }

  /** Read an exported file, JSON or parquet. */
  async read(content: ArrayBuffer, own: boolean): Promise<NewFace[]> {
    const start = new Uint8Array(content, 0, Math.min(4, content.byteLength));
    const isParquet = String.fromCharCode(...start) === "PAR1";
    const document = isParquet ? await readParquet(content) : readJson(content);
    if (document.format !== FORMAT || document.version !== VERSION || !Array.isArray(document.faces)) {
      throw new EngineError("import", "Expected an exported file of taught faces, got another file; choose another.");
    }
    if (document.encoder !== this.fingerprint) {
      throw new EngineError(
        "import",
        "Another network made these faces, so that they cannot be compared; teach again.",
      );
    }
    if (document.faces.length > MOST_FACES) {
      throw new EngineError(
        "full",
        `Expected at most ${MOST_FACES} faces, got ${document.faces.length}; export fewer.`,
      );
    }
    return document.faces.map((face) => this.#checked(face, own));
  }

  #checked(face: unknown, own: boolean): NewFace {
    const { label, source, added, digest, embedding } = (face ?? {}) as Record<string, unknown>;
    const values = Float32Array.from(
      Array.isArray(embedding) || ArrayBuffer.isView(embedding) ? (embedding as number[]) : [],
    );
    const length = Math.hypot(...values);
    const texts = [label, source, digest].every((text) => typeof text === "string" && text.length <= LONGEST_TEXT);
    const sound = texts && typeof added === "number" && Number.isFinite(added) && values.length === this.dim;
    if (!sound || !(Math.abs(length - 1) < LENGTH_TOLERANCE) || !/^([0-9a-f]{64})?$/.test(digest as string)) {
      throw new EngineError("import", "This file of taught faces is damaged; export it again.");
    }
    const name = source as string;
    return {
      label: className(label as string),
      source: own || name.startsWith(IMPORTED) ? name : IMPORTED + name,
      added: added as number,
      digest: digest as string,
      embedding: values.map((value) => value / length),
    };
  }
}

/** Round to a 16-bit float, as Python stores taught faces. */
export function halfPrecision(value: number): number {
  if (!value) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), -14);
  const step = 2 ** (exponent - 10);
  return roundHalfEven(value / step) * step;
}

function same(one: NewFace, other: NewFace): boolean {
  if (one.label !== other.label) return false;
  if (one.digest && other.digest) return one.digest === other.digest;
  return (
    dot(one.embedding, other.embedding) > 0.999 &&
    one.embedding.every((value, at) => Math.abs(value - other.embedding[at]) < ROUNDING)
  );
}

interface Exported {
  format?: unknown;
  version?: unknown;
  encoder?: unknown;
  faces?: unknown;
}

function readJson(content: ArrayBuffer): Exported {
  try {
    const document: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
    if (typeof document === "object" && document) return document;
  } catch {
    // Not JSON, which the next line says.
  }
  throw new EngineError("import", "Expected an exported file of taught faces, got another file; choose another.");
}

async function readParquet(content: ArrayBuffer): Promise<Exported> {
  const { parquetMetadata, parquetReadObjects } = await import("hyparquet");
  try {
    const metadata = parquetMetadata(content);
    const entry = metadata.key_value_metadata?.find((one) => one.key === "moodspace");
    const described = JSON.parse(entry?.value ?? "{}");
    if (Number(metadata.num_rows) > MOST_FACES) return { ...described, faces: { length: Number(metadata.num_rows) } };
    const columns = ["label", "source", "added", "digest", "embedding"];
    const rows = await parquetReadObjects({ file: content, metadata, columns });
    const faces = rows.map((row) => ({
      ...row,
      added: row.added instanceof Date ? row.added.getTime() / 1000 : row.added,
    }));
    return { ...described, faces };
  } catch {
    throw new EngineError("import", "This parquet file cannot be read; export it again.");
  }
}
