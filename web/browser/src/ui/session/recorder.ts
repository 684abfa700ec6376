/**
 * Record a live session as numbers: what the group shows, once a second, and never a picture.
 *
 * A frame counts only if at least `minGroup` of its faces can be read, so no recorded mean covers fewer faces. The rules
 * are those of `realtime/session/recorder.py`.
 */

import type { FrameResult } from "../../protocol.ts";

/** A longer time between two frames is a gap, in seconds. */
export const LONGEST_STEP = 2;
/** A recording ends after this time, in seconds. */
export const LONGEST = 4 * 3600;
export const NO_FRAMES = "no frames came";

/** One second with frames; counts and shares are null where the group was too small. */
export interface Second {
  /** Seconds since the session began. */
  second: number;
  /** Unix seconds. */
  wall: number;
  frames: number;
  faces: number | null;
  readable: number | null;
  unsure: number | null;
  /** Mean probabilities in the order of `Session.classes`; sum to 1. */
  shares: number[] | null;
}

export interface Gap {
  start: number;
  stop: number;
  reason: string;
}

export interface Session {
  source: string;
  /** Unix seconds. */
  began: number;
  ended: number | null;
  /** Seconds. */
  duration: number;
  minGroup: number;
  classes: string[];
  /** The second from which each class was known. */
  since: number[];
  seconds: Second[];
  gaps: Gap[];
}

/** The faces of one frame, in the session's classes. */
interface FrameStats {
  faces: number;
  readable: { shares: number[]; unsure: boolean }[];
}

export class Recorder {
  readonly session: Session;
  #frames: FrameStats[] = [];
  #second = 0;
  #wall = 0;
  #last: number;
  #position = 0;
  #first = true;
  #reason = "";

  /** `now` is in unix seconds. */
  constructor(classes: readonly string[], minGroup: number, source: string, now: number) {
    this.session = {
      source,
      began: now,
      ended: null,
      duration: 0,
      minGroup,
      classes: [...classes],
      since: classes.map(() => 0),
      seconds: [],
      gaps: [],
    };
    this.#last = now;
  }

  /** Add a frame; `now` is in unix seconds. Return whether the recording goes on. */
  add(result: FrameResult, now: number): boolean {
    if (this.session.ended !== null) return false;
    this.#advance(now);
    const second = Math.floor(this.#position);
    for (const { name } of result.classes) {
      if (this.session.classes.includes(name)) continue;
      this.session.classes.push(name);
      this.session.since.push(second);
    }
    if (second > this.#second) this.#write();
    if (!this.#frames.length) [this.#second, this.#wall] = [second, now];
    this.#frames.push(this.#stats(result));
    if (now - this.session.began > LONGEST) this.end(now);
    return this.session.ended === null;
  }

  /** Say why no frames come; only the first reason of a gap is kept. */
  interrupt(reason: string): void {
    this.#reason ||= reason;
  }

  end(now: number): void {
    if (this.session.ended !== null) return;
    this.#write();
    this.#advance(now);
    this.session.ended = now;
    this.session.duration = this.#position;
  }

  #advance(now: number): void {
    const step = Math.max(0, now - this.#last);
    // Opening a camera takes a moment, which is not a gap.
    const opening = this.#first && step <= LONGEST_STEP;
    if (!opening && (step > LONGEST_STEP || this.#reason)) {
      const stop = this.#position + step;
      this.session.gaps.push({ start: this.#position, stop, reason: this.#reason || NO_FRAMES });
    }
    this.#position += step;
    [this.#last, this.#first, this.#reason] = [now, false, ""];
    this.session.duration = this.#position;
  }

  #stats(result: FrameResult): FrameStats {
    const columns = result.classes.map(({ name }) => this.session.classes.indexOf(name));
    const readable = result.faces
      .filter((face) => face.quality.good)
      .map((face) => {
        const shares = this.session.classes.map(() => 0);
        face.proba.forEach((share, at) => {
          shares[columns[at]] = share;
        });
        return { shares, unsure: face.expression === null };
      });
    return { faces: result.faces.length, readable };
  }

  #write(): void {
    if (!this.#frames.length) return;
    const group = groupSecond(this.#frames, this.session.minGroup);
    this.session.seconds.push({ second: this.#second, wall: this.#wall, frames: this.#frames.length, ...group });
    this.#frames = [];
  }
}

/** Summarize the group over the frames of one second; later frames may have more classes. */
export function groupSecond(
  frames: readonly FrameStats[],
  minGroup: number,
): Pick<Second, "faces" | "readable" | "unsure" | "shares"> {
  const enough = frames.filter((frame) => frame.readable.length >= minGroup);
  if (!enough.length) {
    const visible = frames.map((frame) => frame.faces).filter((count) => count >= minGroup);
    return { faces: visible.length ? roundedMean(visible) : null, readable: null, unsure: null, shares: null };
  }
  const sums = new Array<number>(enough[enough.length - 1].readable[0].shares.length).fill(0);
  for (const { readable } of enough) {
    for (const face of readable) {
      face.shares.forEach((share, at) => {
        sums[at] += share / readable.length;
      });
    }
  }
  const total = sums.reduce((sum, one) => sum + one, 0);
  return {
    faces: roundedMean(enough.map((frame) => frame.faces)),
    readable: roundedMean(enough.map((frame) => frame.readable.length)),
    unsure: roundedMean(enough.map((frame) => frame.readable.filter((face) => face.unsure).length)),
    shares: sums.map((sum) => sum / total),
  };
}

/** The length of a session in whole seconds, at least 1. */
export function lengthOf(session: Session): number {
  return Math.max(Math.round(session.duration), (session.seconds.at(-1)?.second ?? 0) + 1);
}

/** The shares of a second, with a zero for each class that came later. */
export function sharesOf(second: Second, session: Session): number[] {
  return session.classes.map((_, at) => second.shares?.[at] ?? 0);
}

function roundedMean(counts: readonly number[]): number {
  return Math.floor(counts.reduce((sum, one) => sum + one, 0) / counts.length + 0.5);
}
