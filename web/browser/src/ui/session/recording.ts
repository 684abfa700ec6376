/** The recording of this visit: at most one, in memory, running or complete. */

import type { FrameResult } from "../../protocol.ts";
import type { State } from "../state.ts";
import { Recorder, type Session } from "./recorder.ts";

const SOURCE = "A live session in a browser";
// Seconds without enough faces after which the sign says so.
const WAITING_AFTER = 1;

export class Recording {
  /** For the sign: how many faces are missing, or "". */
  waiting = "";
  #recorder: Recorder | null = null;
  #enough = 0;
  readonly #listeners = new Set<() => void>();

  constructor(readonly state: State) {}

  get running(): boolean {
    return this.#recorder !== null && this.#recorder.session.ended === null;
  }

  get session(): Session | null {
    return this.#recorder?.session ?? null;
  }

  /** Call `listener` when a recording starts, ends or is discarded. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  start(minGroup: number): void {
    const names = this.state.classes.map((one) => one.name);
    this.#recorder = new Recorder(names, minGroup, SOURCE, Date.now() / 1000);
    [this.waiting, this.#enough] = ["", performance.now() / 1000];
    this.#tell();
  }

  add(result: FrameResult): void {
    if (!this.#recorder || !this.running) return;
    const goesOn = this.#recorder.add(result, Date.now() / 1000);
    const least = this.#recorder.session.minGroup;
    const readable = result.faces.filter((face) => face.quality.good).length;
    const now = performance.now() / 1000;
    if (readable >= least) this.#enough = now;
    const needed = `Waiting: ${least} ${least === 1 ? "face" : "faces"} needed`;
    const got =
      readable === result.faces.length ? `${readable} in view` : `${readable} of ${result.faces.length} readable`;
    this.waiting = now - this.#enough >= WAITING_AFTER ? `${needed}, ${got}` : "";
    if (!goesOn) this.#tell();
  }

  interrupt(reason: string): void {
    this.#recorder?.interrupt(reason);
  }

  stop(): void {
    this.#recorder?.end(Date.now() / 1000);
    this.#tell();
  }

  discard(): void {
    this.#recorder = null;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
