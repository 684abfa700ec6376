// The record button and its sign. The server knows whether it records and says so with each answer.

const SECOND = 1000; // the recording has one row for each, in milliseconds

class Recorder {
  // ask(on, least) wants it begun or ended, say(words) tells a person.
  constructor(find, { ask, say }) {
    Object.assign(this, { button: find(".record"), sign: find(".recording"), group: find(".group"), say });
    this.least = null; // the smallest group that is recorded, null while nothing is
    this.doubts = 0;
    this.enough = -Infinity; // when there were enough faces last
    this.button.addEventListener("click", () => ask(this.least === null, Number(this.group.value)));
  }

  heard({ on, min_group: least }) { // the answer to what was asked
    this.show(on ? least : null);
    const when = least > 1 ? `, and only while at least ${least} faces are visible` : "";
    this.say(on ? `Recording numbers only, no images${when}; kept until you leave. See the Session page.`
      : "Recording ended. It is on the Session page.");
  }

  // What an answer to a frame says; one that was on its way meanwhile may be wrong.
  seen({ recording: least, faces }, now) {
    if (least === this.least) this.tell(faces, now);
    this.doubts = least === this.least ? 0 : this.doubts + 1;
    if (this.doubts < 2) return;
    this.show(least);
    this.say(least === null ? "The recording has ended. See the Session page." : "Recording numbers only, no images.");
  }

  tell(faces, now) { // nothing is kept of a second without enough readable faces
    if (this.least === null) return;
    const readable = faces.filter(({ quality }) => quality.good).length;
    if (readable >= this.least) this.enough = now;
    const waits = now - this.enough >= SECOND;
    const needed = `${this.least} ${this.least === 1 ? "face" : "faces"} needed`;
    const words = readable === faces.length ? `Waiting: ${needed}, ${readable} in view`
      : `Waiting: ${needed}, ${readable} of ${faces.length} readable`;
    this.sign.classList.toggle("waiting", waits);
    this.sign.textContent = waits ? words : "Recording";
  }

  show(least) {
    const on = least !== null;
    [this.least, this.doubts, this.enough] = [least, 0, -Infinity];
    this.tell([], performance.now());
    if (on) this.group.value = least;
    this.button.textContent = on ? "Stop recording" : "Record";
    this.button.classList.toggle("on", on);
    this.sign.hidden = !on;
    this.group.disabled = on;
  }
}
