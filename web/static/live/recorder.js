// The record button and its sign. Each answer of the server says whether a recording is running.

const SECOND = 1000; // milliseconds; the recording has one row per second

class Recorder {
  // Calls ask(on, least) to start or stop a recording, say(text) for the visitor, and changed(on) when it runs or not.
  constructor(find, { ask, say, changed }) {
    Object.assign(this, { changed, button: find(".record"), sign: find(".recording"), group: find(".group"), say });
    this.least = null; // minimum number of faces of the running recording, null if none is running
    this.mismatches = 0;
    this.enough = -Infinity; // last time with enough faces
    this.button.addEventListener("click", () => ask(this.least === null, Number(this.group.value)));
  }

  receive({ on, min_group: least }) { // the answer to a request
    this.show(on ? least : null);
    const when = least > 1 ? `, and only while at least ${least} faces are visible` : "";
    this.say(on ? `Recording numbers only, no images${when}; kept until you leave. See the Session page.`
      : "Recording ended. It is on the Session page.");
  }

  // Compares the state with an answer to a frame; a single mismatch may come from an answer sent before the change.
  update({ recording: least, faces }, now) {
    if (least === this.least) this.showSign(faces, now);
    this.mismatches = least === this.least ? 0 : this.mismatches + 1;
    if (this.mismatches < 2) return;
    this.show(least);
    this.say(least === null ? "The recording has ended. See the Session page." : "Recording numbers only, no images.");
  }

  showSign(faces, now) { // seconds without enough readable faces are not recorded
    if (this.least === null) return;
    const readable = faces.filter(({ quality }) => quality.good).length;
    if (readable >= this.least) this.enough = now;
    const waiting = now - this.enough >= SECOND;
    const needed = `${this.least} ${this.least === 1 ? "face" : "faces"} needed`;
    const text = readable === faces.length ? `Waiting: ${needed}, ${readable} in view`
      : `Waiting: ${needed}, ${readable} of ${faces.length} readable`;
    this.sign.classList.toggle("waiting", waiting);
    this.sign.textContent = waiting ? text : "Recording";
  }

  show(least) {
    const on = least !== null;
    [this.least, this.mismatches, this.enough] = [least, 0, -Infinity];
    this.showSign([], performance.now());
    if (on) this.group.value = least;
    this.button.textContent = on ? "Stop recording" : "Record";
    this.button.classList.toggle("on", on);
    this.sign.hidden = !on;
    this.group.disabled = on;
    this.changed(on);
  }
}
