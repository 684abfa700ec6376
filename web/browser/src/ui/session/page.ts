/** The Session page: what the recording holds so far, and its files. */

import { find, save, say, show } from "../dom.ts";
import { clock } from "../format.ts";
import type { Page, State } from "../state.ts";
import { sessionCsv, sessionJson } from "./documents.ts";
import type { Session } from "./recorder.ts";
import { LONGEST } from "./recorder.ts";
import type { Recording } from "./recording.ts";
import { overview, saveReport } from "./report.ts";

// Seconds without a new row after which the page says so; a row is complete up to two seconds late.
const SILENT_AFTER = 5;
const SHOW_EVERY = 1000;

export class SessionPage implements Page {
  readonly #page = find("#page-session");
  #timer = 0;

  constructor(
    readonly state: State,
    readonly recording: Recording,
  ) {
    const on = (name: string, act: (session: Session) => void) =>
      find(name, this.#page).addEventListener("click", () => {
        const { session } = recording;
        if (session) act(session);
      });
    on(".stop-recording", () => recording.stop());
    on(".report-file", (session) => saveReport(session, state.shade));
    on(".csv-file", (session) => save("moodspace-session.csv", "text/csv", sessionCsv(session)));
    on(".json-file", (session) => save("moodspace-session.json", "application/json", sessionJson(session)));
    on(".discard", () => {
      if (confirm("This permanently deletes the recording.")) recording.discard();
    });
    recording.onChange(() => this.#show());
    this.#show();
  }

  enter(): void {
    this.#show();
    this.#timer = window.setInterval(() => this.recording.running && this.#show(), SHOW_EVERY);
  }

  leave(): void {
    clearInterval(this.#timer);
  }

  #show(): void {
    const { session, running } = this.recording;
    show(find(".how", this.#page), session === null);
    show(find(".actions", this.#page), session !== null);
    show(find(".stop-recording", this.#page), running);
    const state = find(".state", this.#page);
    show(state, session !== null);
    const status = find(".status", this.#page);
    const shown = find(".shown-session", this.#page);
    if (!session) {
      shown.replaceChildren();
      show(status, false);
      return;
    }
    const waiting = running && this.recording.waiting !== "";
    state.className = `state${waiting ? " waiting" : running ? " on" : ""}`;
    say(state, stateOf(session, running, waiting));
    const problem = problemOf(session, running);
    say(status, problem);
    show(status, problem !== "");
    shown.replaceChildren(overview(session, this.state.shade));
  }
}

function stateOf(session: Session, running: boolean, waiting: boolean): string {
  const faces = `${session.minGroup} ${session.minGroup === 1 ? "face" : "faces"}`;
  if (waiting) return `Waiting: ${faces} needed`;
  return `${running ? "Recording" : "Recorded"} while at least ${faces} ${session.minGroup === 1 ? "is" : "are"} visible`;
}

/** Why a recording is empty, silent or incomplete; "" if all is well. */
export function problemOf(session: Session, running: boolean, now = Date.now() / 1000): string {
  const least = session.minGroup;
  if (!session.seconds.some((one) => one.shares)) {
    if (!session.seconds.length) return "Nothing recorded yet. Start the camera on the Live page.";
    if (least === 1) return "Nothing recorded yet: no readable face has been in view.";
    const smaller = "start one for a smaller group on the Live page.";
    if (running) {
      return `Nothing recorded yet: at least ${least} readable faces are needed. Wait for more faces, or discard this recording and ${smaller}`;
    }
    return `Nothing was recorded: at least ${least} readable faces were needed. Discard this recording and ${smaller}`;
  }
  const silent = now - (session.seconds.at(-1)?.wall ?? now);
  if (running && silent >= SILENT_AFTER) {
    return `No frame for ${clock(silent)}. Start the camera on the Live page; this recording then continues.`;
  }
  if (!running && session.duration >= LONGEST)
    return `The recording ended after ${LONGEST / 3600} hours, the maximum length.`;
  return "";
}
